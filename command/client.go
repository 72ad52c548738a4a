package command

import (
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
	Session       Session  // the router's
	Repl          ReplConf // what REPLCONF has told

	// Read by others too.
	db       atomic.Int32
	proto    atomic.Int32
	queued   atomic.Int32 // commands in its transaction, and one; 0: it is in none
	flags    atomic.Uint32
	last     atomic.Pointer[Spec]
	lastUsed atomic.Int64 // Unix ms
	subs     atomic.Pointer[pubsub.Client]
	tracking atomic.Pointer[tracking.Client]
	labels   atomic.Pointer[labels]
	started  int64 // Unix ms
}

// labels are what a client says of itself. They do not change: who sets one puts others
// in their place.
type labels struct{ name, libName, libVer string }

// NewClient returns a client of database 0.
func NewClient(id uint64, conn *resp.Conn) *Client {
	c := &Client{ID: id, Conn: conn, User: "default", started: time.Now().UnixMilli()}
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
func (c *Client) Started() time.Time { return time.UnixMilli(c.started) }

// Subs is where the client listens; nil, of which all can be asked, until it has
// subscribed to something.
func (c *Client) Subs() *pubsub.Client { return c.subs.Load() }

// listener is Subs for who subscribes: the client's own goroutine.
func (c *Client) listener() *pubsub.Client {
	if c.subs.Load() == nil {
		c.subs.Store(c.Session.NewSubs())
	}
	return c.subs.Load()
}

// Tracking is the client's end of the tracking table; nil, of which all can be asked,
// until it has been switched on.
func (c *Client) Tracking() *tracking.Client { return c.tracking.Load() }

// Tracker is Tracking for who switches it on: the client's own goroutine.
func (c *Client) Tracker() *tracking.Client {
	if c.tracking.Load() == nil {
		c.tracking.Store(c.Session.NewTracking())
	}
	return c.tracking.Load()
}

// Name is what CLIENT SETNAME has set.
func (c *Client) Name() string { return c.said().name }

// SetName names the client.
func (c *Client) SetName(name string) {
	if l := c.said(); l.name != name {
		l.name = name
		c.labels.Store(&l)
	}
}

func (c *Client) said() labels {
	if l := c.labels.Load(); l != nil {
		return *l
	}
	return labels{}
}

// Library is what CLIENT SETINFO has set.
func (c *Client) Library() (name, version string) {
	l := c.said()
	return l.libName, l.libVer
}

// SetLibrary says which client library this is; nil leaves a field as it is.
func (c *Client) SetLibrary(name, version *string) {
	l := c.said()
	if name != nil {
		l.libName = *name
	}
	if version != nil {
		l.libVer = *version
	}
	c.labels.Store(&l)
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
