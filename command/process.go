package command

import (
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/store"
)

// Server is what handlers ask of the process they run in.
type Server interface {
	Persistence
	Primary
	Nodes
	Config() *config.Config
	Keyspace() *store.Keyspace
	Stats() *Stats

	// Do runs a command through the router as an internal client of database
	// db, with latches and log like any other.
	Do(db int, args ...[]byte) error
	// NewCaller returns another such client, whom the caller closes.
	NewCaller() Caller

	// Clients calls fn for every connected client, in order of their ids.
	Clients(fn func(*Client) bool)
	// ClientByID returns a connected client, or nil.
	ClientByID(id uint64) *Client
	// Waiting says that the client waits from now on, until Waited, and returns
	// what is closed when Unblock or the server's end calls it off.
	Waiting(c *Client) <-chan struct{}
	Waited(c *Client)
	// Unblock ends the wait of a blocked client, with a timeout or an error.
	Unblock(id uint64, withError bool) bool
	// Pause holds back commands (all, or those that write) until a time.
	Pause(writesOnly bool, until time.Time)
	// Unpause ends a Pause.
	Unpause()
	// PubSub is who listens to which channels.
	PubSub() *pubsub.Hub
	// Monitor makes the client a monitor.
	Monitor(c *Client)
	// Unmonitor ends that.
	Unmonitor(c *Client)
	// AuthFailed counts and logs a wrong password.
	AuthFailed(c *Client)

	// Info is the text of INFO for the given sections, as the client named them.
	Info(sections []string) string
	// SweepLatches frees latches whose owners are gone, in one shard or (-1) all.
	SweepLatches(shard int) (freed int, err error)
	// Shutdown stops the server; it returns only an error.
	Shutdown(opt ShutdownOptions) error
	// AbortShutdown calls off a shutdown that waits.
	AbortShutdown() bool
	// RewriteConfig writes the configuration file.
	RewriteConfig() error
	// Identity is what does not change while the process lives.
	Identity() Identity
	// Memory is what the process holds.
	Memory() MemoryStats
	// HeapReport is what Go's runtime says of its heap, for people.
	HeapReport() string
	// FreeMemory collects garbage and gives back to the system what it can.
	FreeMemory()

	// SetActiveExpire switches the search for expired keys.
	SetActiveExpire(on bool)
	// PauseCron stops what is done several times a second, and lets it go on.
	PauseCron(on bool)
	// Log writes a line of a client's.
	Log(text string)
}

// ShutdownOptions are the words of SHUTDOWN.
type ShutdownOptions struct {
	Save, NoSave, Now, Force bool
}

// Identity is what does not change while the process lives.
type Identity struct {
	RunID     string // 40 hex digits
	ReplID    string
	Version   string // ferricd's
	Redis     string // the Redis version whose behaviour is offered
	StartedAt time.Time
	PID       int
}

// Stats are the counters that commands show and reset.
type Stats struct {
	Commands *metrics.Commands
	SlowLog  *metrics.SlowLog
	Latency  *metrics.LatencyMonitor
	Errors   *metrics.Errors
	Reset    func()
}
