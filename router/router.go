package router

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v3"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
	"github.com/ferricd/ferricd/tracking"
)

// Options are what a Router works with. All fields but Sink and Log are needed.
type Options struct {
	Config   *config.Config
	Keyspace *store.Keyspace
	Runner   *rmw.Runner
	Server   command.Server
	Limits   *resp.Limits
	Stats    *command.Stats
	Sink     Sink             // nil: writes are told to nobody
	Log      *slog.Logger     // nil: silent
	Now      func() time.Time // nil: the system's clock
}

// A Router is the resp.Handler of the server.
type Router struct {
	cfg     *config.Config
	ks      *store.Keyspace
	latches *latch.Table
	runner  *rmw.Runner
	server  command.Server
	limits  *resp.Limits
	stats   *command.Stats
	sink    Sink
	log     *slog.Logger
	now     func() time.Time
	base    time.Time // durations count from here: reading the monotonic clock alone is cheaper
	table   *command.Table
	runs    []bool // by row: whether its commands may be of a run

	clients   *xsync.MapOf[uint64, *session]
	monitors  monitors
	pause     pause
	watches   watches
	blocked   blocked
	hub       *pubsub.Hub
	tracking  *tracking.Table
	evictor   evictor
	expiry    expiry
	watched   atomic.Uint32 // notification classes somebody wants
	loading   atomic.Bool
	durable   durable
	roles     roles
	counters  Counters
	scratches sync.Pool     // of *scratch
	internal  atomic.Uint64 // ids of internal clients, counted down from the top
}

// Counters are what INFO stats shows of the router.
type Counters struct {
	Commands      *metrics.Counter
	Hits, Misses  *metrics.Counter
	Changes       *metrics.Counter // keys changed
	Expired       atomic.Int64
	ExpiredFields atomic.Int64
	Evicted       atomic.Int64
	Panics        atomic.Int64
	Rejected      atomic.Int64
	Forwarded     atomic.Int64 // commands sent to the leader
	AuthFailures  atomic.Int64
	ExpiryCapped  atomic.Int64 // expiry cycles that ran out of time
	ExpiryTime    atomic.Int64 // nanoseconds spent in them
}

// New returns a router that serves once it is given to a resp.Server.
func New(o Options) *Router {
	r := &Router{
		cfg: o.Config, ks: o.Keyspace, latches: o.Runner.Table(), runner: o.Runner, server: o.Server, limits: o.Limits,
		stats: o.Stats, sink: o.Sink, log: o.Log, now: o.Now, base: time.Now(),
		table: command.All(), clients: xsync.NewMapOf[uint64, *session](),
		hub: pubsub.NewHub(), tracking: tracking.New(),
	}
	if r.sink == nil {
		r.sink = new(NoSink)
	}
	for _, spec := range r.table.Rows() {
		r.runs = append(r.runs, mayRunTogether(spec))
	}
	r.durable.last = make([]atomic.Uint64, r.latches.Shards()*r.latches.Slots())
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.counters.Commands = metrics.NewCounter()
	r.counters.Hits, r.counters.Misses = metrics.NewCounter(), metrics.NewCounter()
	r.counters.Changes = metrics.NewCounter()
	r.pause.init()
	r.roles.init()
	r.evictor.init(r)
	r.expiry.init(r)
	return r
}

// Counters returns the router's counters.
func (r *Router) Counters() *Counters { return &r.counters }

// Now is the time by which keys expire.
func (r *Router) Now() time.Time { return r.now() }

// nano is a monotonic clock in nanoseconds.
func (r *Router) nano() int64 { return int64(time.Since(r.base)) }

// Open makes a session for a new connection.
func (r *Router) Open(c *resp.Conn) {
	s := r.newSession(c.ID, c)
	s.client.Authenticated = r.cfg.String(config.RequirePass) == ""
	if from := c.Origin(); from != nil {
		s.passedOn(from)
	}
	c.SetAuthenticated(s.client.Authenticated)
	c.Data = s
	if text := r.protected(c); text != "" {
		c.RejectAndClose(text)
		return
	}
	r.clients.Store(c.ID, s)
}

// protected refuses strangers while no password is set, as Redis' protected
// mode does: only loopback addresses and unix sockets may come in.
func (r *Router) protected(c *resp.Conn) string {
	if !r.cfg.Bool(config.ProtectedMode) || r.cfg.String(config.RequirePass) != "" || c.IsUnix() || c.IsLoopback() || c.Origin() != nil {
		return ""
	}
	return "DENIED ferricd is running in protected mode because protected mode is enabled and no password " +
		"is set for the default user. In this mode connections are only accepted from the loopback interface. " +
		"To connect from other hosts, set a password with 'requirepass', or switch the mode off with " +
		"'CONFIG SET protected-mode no' from a local connection or 'protected-mode no' in the configuration."
}

// Closed forgets a connection. It is listed until nothing of it is left.
func (r *Router) Closed(c *resp.Conn) {
	s := c.Data.(*session)
	defer r.clients.Delete(c.ID)
	if s.up != nil {
		s.up.Close()
	}
	r.monitors.remove(s.client)
	r.server.Unfollow(s.client)
	s.close()
}

// ProtocolError counts a request that could not be parsed.
func (r *Router) ProtocolError(c *resp.Conn, text string) {
	r.stats.Errors.Add("ERR")
	r.log.Debug("protocol error", "client", c.ID, "addr", c.RemoteAddr(), "error", text)
}

// Serve runs the commands of a batch in order.
func (r *Router) Serve(c *resp.Conn, b *resp.Batch) {
	s := c.Data.(*session)
	s.borrow(&c.Reply)
	s.batch(c, b)
	s.giveBack()
}

func (s *session) batch(c *resp.Conn, b *resp.Batch) {
	s.begin()
	defer s.end()
	s.hashes = s.hashes[:0]
	if b.Len() > 1 {
		s.touch(b)
	}
	c.AppendPushes() // what came before these commands stands before their replies
	chunk := int(s.r.limits.ReplyChunk.Load())
	for i, fresh := 0, 0; i < b.Len(); {
		if i += s.forward(b, i); i == b.Len() {
			return
		}
		n := s.serveRun(b, i)
		if n == 0 {
			if s.hashed = len(s.hashes) > 0; s.hashed {
				s.hash = s.hashes[i]
			}
			s.serve(b.Args(i))
			s.hashed = false
			if s.moved {
				continue
			}
			n = 1
		}
		i, fresh = i+n, fresh+n
		c.AppendPushes()
		if s.closing {
			c.Close()
			if s.doubted {
				c.Reply.Truncate(s.mark)
			}
		}
		if c.Closing() {
			return
		}
		if fresh >= 128 {
			fresh = 0
			s.renew()
		}
		if c.Reply.Len() >= chunk {
			s.end()
			if c.Flush() != nil || s.doubted {
				return
			}
			s.begin()
		}
	}
}

// PubSub is who listens to which channels.
func (r *Router) PubSub() *pubsub.Hub { return r.hub }

// Tracking is who has read which keys.
func (r *Router) Tracking() *tracking.Table { return r.tracking }

// Client returns a connected client, or nil.
func (r *Router) Client(id uint64) *command.Client {
	if s, ok := r.clients.Load(id); ok {
		return s.client
	}
	return nil
}

// EachClient calls fn for every connected client, in no order.
func (r *Router) EachClient(fn func(*command.Client) bool) {
	r.clients.Range(func(_ uint64, s *session) bool { return fn(s.client) })
}

// ClientCount is the number of connected clients.
func (r *Router) ClientCount() int { return r.clients.Size() }

// ResetCounters sets the counters of INFO stats to 0.
func (r *Router) ResetCounters() {
	c := &r.counters
	c.Commands.Reset()
	c.Hits.Reset()
	c.Misses.Reset()
	for _, n := range []*atomic.Int64{&c.Expired, &c.ExpiredFields, &c.Evicted, &c.Panics, &c.Rejected, &c.AuthFailures, &c.ExpiryCapped, &c.ExpiryTime} {
		n.Store(0)
	}
}
