package command

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/tracking"
)

// ClientFlags say what a client is and does at the moment.
type ClientFlags uint32

const (
	ClientMonitor    ClientFlags = 1 << iota // O in CLIENT LIST
	ClientMulti                              // x
	ClientBlocked                            // b
	ClientDirty                              // d: a watched key was changed
	ClientCloseAfter                         // c
	ClientPubSub                             // P
	ClientNoEvict                            // e
	ClientNoTouch                            // T
	ClientInternal                           // no connection: log replay, DEBUG POPULATE
	ClientReplica                            // S
	ClientReadonly                           // r: it has said READONLY
	ClientRedirects                          // it has said CLIENT CAPA redirect
	ClientProxied                            // p: a follower passes it on
)

// ReplyMode is what CLIENT REPLY has set.
type ReplyMode uint8

const (
	ReplyOn ReplyMode = iota
	ReplyOff
	ReplySkip     // leaves out the reply of the next command
	ReplySkipping // of this one
)

// A Client is who sends commands: a connection, or the server itself.
type Client struct {
	ID   uint64
	Conn *resp.Conn // nil for an internal client

	// Changed by the client's own goroutine only.
	Authenticated bool
	ReplyMode     ReplyMode
	User          string
	Session       Session // the router's
	Subs          *pubsub.Client
	Tracking      *tracking.Client
	Repl          ReplConf // what REPLCONF has told

	// Read by others too.
	db       atomic.Int32
	proto    atomic.Int32
	queued   atomic.Int32 // commands in its transaction, and one; 0: it is in none
	flags    atomic.Uint32
	last     atomic.Pointer[Spec]
	lastUsed atomic.Int64 // Unix ms
	mu       sync.Mutex   // guards the fields below
	name     string
	libName  string
	libVer   string
	started  time.Time
}

// NewClient returns a client of database 0.
func NewClient(id uint64, conn *resp.Conn) *Client {
	c := &Client{ID: id, Conn: conn, User: "default", started: time.Now()}
	c.proto.Store(2)
	return c
}

// DB is the database that the client has selected.
func (c *Client) DB() int { return int(c.db.Load()) }

// SetDB selects a database.
func (c *Client) SetDB(db int) { c.db.Store(int32(db)) }

// Proto is the protocol version that the client speaks.
func (c *Client) Proto() int { return int(c.proto.Load()) }

// SetProto notes the protocol version.
func (c *Client) SetProto(proto int) { c.proto.Store(int32(proto)) }

// Queued is the number of commands in the client's transaction, -1 if it is in
// none.
func (c *Client) Queued() int { return int(c.queued.Load()) - 1 }

// SetQueued notes that number.
func (c *Client) SetQueued(n int) { c.queued.Store(int32(n + 1)) }

// Has tells whether all the given flags are set.
func (c *Client) Has(f ClientFlags) bool { return ClientFlags(c.flags.Load())&f == f }

// Flags are all flags.
func (c *Client) Flags() ClientFlags { return ClientFlags(c.flags.Load()) }

// SetFlag sets or clears a flag.
func (c *Client) SetFlag(f ClientFlags, on bool) {
	if on {
		c.flags.Or(uint32(f))
	} else {
		c.flags.And(^uint32(f))
	}
}

// Last is the command that the client ran last, or nil.
func (c *Client) Last() *Spec { return c.last.Load() }

// Note remembers a command and when it came.
func (c *Client) Note(s *Spec, now int64) {
	if c.last.Load() != s {
		c.last.Store(s)
	}
	if c.lastUsed.Load() != now {
		c.lastUsed.Store(now)
	}
}

// LastUsed is when the last command came, in Unix milliseconds.
func (c *Client) LastUsed() int64 { return c.lastUsed.Load() }

// Started is when the client came.
func (c *Client) Started() time.Time { return c.started }

// Name is what CLIENT SETNAME has set.
func (c *Client) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

// SetName names the client.
func (c *Client) SetName(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
}

// Library is what CLIENT SETINFO has set.
func (c *Client) Library() (name, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.libName, c.libVer
}

// SetLibrary says which client library this is; nil leaves a field as it is.
func (c *Client) SetLibrary(name, version *string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name != nil {
		c.libName = *name
	}
	if version != nil {
		c.libVer = *version
	}
}

// LoggedIn tells whether the client may run commands: it has given the password,
// or there is none.
func (c *Client) LoggedIn(cfg *config.Config) bool {
	return c.Authenticated || cfg.String(config.RequirePass) == ""
}

// IsLocal tells whether the client is on this machine, as the enable- parameters
// mean it.
func (cl *Client) IsLocal() bool {
	return cl.Conn == nil || cl.Conn.IsUnix() || cl.Conn.IsLoopback()
}
