package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/cluster"
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/proxy"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/store"
)

// RedisVersion is the version whose commands and replies are offered.
const RedisVersion = "7.2.0"

// Version is ferricd's own; the build sets it.
var Version = "0.1.0"

// Options are what a Server is opened with.
type Options struct {
	Config *config.Config  // nil: defaults
	Stdout io.Writer       // where log lines go when logfile is empty; nil: nowhere
	Sink   router.Sink     // nil: none
	Stop   <-chan struct{} // closed to give up loading; nil: never
	Fail   func(string)    // for tests, called at the failpoints of log and snapshots
	FS     vfs.FS          // where the data directory is; nil: the machine's
	// Elect, for tests, is the election that etcd-endpoints would be asked for.
	Elect func(me election.Node, healthy func() bool) (election.Coordinator, error)
	Addr  string  // listens here instead of where the parameters say; ":0" for tests
	Nodes Cluster // for tests, instead of the one that the parameters name
	// OwnProcess: nothing else is in this process, so Go's collector may be adjusted.
	OwnProcess bool
}

// A Server is a whole ferricd in this process.
type Server struct {
	cfg     *config.Config
	addr    string // listens here and nowhere else, if not empty
	log     *slog.Logger
	level   *slog.LevelVar
	logTo   io.Closer
	ks      *store.Keyspace
	runner  *rmw.Runner
	keeper  *persist.Keeper
	router  *router.Router
	stats   *command.Stats
	wire    *resp.Server
	limits  *resp.Limits
	tls     atomic.Pointer[resp.TLS] // nil without TLS
	sockets sockets
	port    atomic.Int64 // TCP, without TLS
	rates   rates
	traffic traffic
	peak    peak
	gc      *collector // nil: left alone
	rest    rest
	id      command.Identity
	waits   waits
	follow  following
	cluster atomic.Pointer[Cluster] // nil: this server is alone

	node     *cluster.Node // nil: likewise
	nodeSink *cluster.Sink
	proxy    *proxy.Proxy
	elects   func(election.Node, func() bool) (election.Coordinator, error) // nil: etcd does
	link     atomic.Pointer[resp.TLS]                                       // between nodes
	failure  atomic.Pointer[error]

	work      sync.WaitGroup // background goroutines
	quit      chan struct{}  // closed when the server stops
	stopOnce  sync.Once
	stopping  atomic.Bool
	internal  sync.Mutex // guards do
	do        *router.Internal
	cronTicks atomic.Int64

	cronPaused     atomic.Bool // DEBUG PAUSE-CRON
	saveAtEnd      atomic.Bool
	fail           func(point string) // failpoints of tests, or nil
	evictedClients atomic.Int64
}

// Open makes a server that listens on its sockets and serves. The caller ends
// it with Close.
func Open(o Options) (*Server, error) {
	s := &Server{cfg: o.Config, addr: o.Addr, fail: o.Fail, elects: o.Elect, quit: make(chan struct{}), level: new(slog.LevelVar)}
	if s.cfg == nil {
		s.cfg = config.New()
	}
	if err := s.start(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Announce("Ready to accept connections")
	return s, nil
}

func (s *Server) start(o Options) error {
	if err := s.cfg.CheckNodes(); err != nil {
		return err
	}
	if err := s.openLog(o.Stdout); err != nil {
		return err
	}
	s.join(o.Nodes)
	if err := s.openDir(o.FS); err != nil {
		return err
	}
	if err := s.keeper.RemoveCopies(); err != nil {
		return err
	}
	s.identify()
	s.greet()
	s.openCollector(o.OwnProcess)
	s.openParts(s.sink(o.Sink))
	s.router.SetLoading(true)
	if err := s.standBy(); err != nil {
		return err
	}
	s.watchPersistence()
	logging := o.Sink == nil && s.cfg.Bool(config.AppendOnly)
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.openNode(); err != nil {
		return err
	}
	s.spawn("serve", func() { _ = s.wire.Serve() })
	if err := s.load(logging, o.Stop); err != nil {
		return err
	}
	if err := s.startNode(); err != nil {
		return err
	}
	s.watchConfig()
	s.spawn("cron", s.cron)
	s.spawn("rest", s.tendRest)
	return nil
}

func (s *Server) openLog(stdout io.Writer) error {
	if stdout == nil {
		stdout = io.Discard
	}
	w, closer, err := logFile(s.cfg.String(config.LogFile), stdout)
	if err != nil {
		return err
	}
	s.logTo = closer
	s.level.Set(parseLevel(s.cfg.String(config.LogLevel)))
	s.log = slog.New(newLogHandler(w, s.level))
	return nil
}

func (s *Server) identify() {
	s.id = command.Identity{
		RunID: randomHex(20), ReplID: randomHex(20), Version: Version, Redis: RedisVersion,
		StartedAt: time.Now(), PID: os.Getpid(),
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// openParts makes everything between the data and the sockets.
func (s *Server) openParts(sink router.Sink) {
	c := s.cfg
	shards, slots := int(c.Int(config.Shards)), int(c.Int(config.LatchSlots))
	s.runner = rmw.New(rmw.Options{
		Shards: shards, Slots: slots,
		Wait:          time.Duration(c.Int(config.RMWWait)) * time.Millisecond,
		BoundPerLatch: int(c.Int(config.RMWMaxQueuePerKey)),
		BoundPerShard: int(c.Int(config.RMWMaxQueuePerShard)),
		Sweep:         time.Duration(c.Int(config.LatchSweep)) * time.Millisecond,
		AlwaysQueue:   c.Bool(config.RMWAlwaysQueue),
		OnPanic:       func(p *rmw.PanicError) { s.log.Error("call panicked", "panic", p.Value, "stack", string(p.Stack)) },
	})
	s.ks = store.New(store.Options{Shards: shards, Databases: int(c.Int(config.Databases)), Seed: s.keeper.Seed(), Slots: s.runner.Table(), Grace: s.runner.Grace()})
	s.stats = newStats(c)
	s.stats.Reset = s.resetStats
	s.limits = resp.NewLimits()
	s.applyLimits()
	s.applyAccess()
	s.applyLists()
	s.applyHashes()
	s.applySets()
	s.applyZSets()
	s.applyStreams()
	s.router = router.New(router.Options{
		Config: c, Keyspace: s.ks, Runner: s.runner, Server: host{s}, Limits: s.limits, Stats: s.stats, Sink: sink, Log: s.log,
	})
	s.applyNotify()
	s.wire = resp.NewServer(s.router, resp.Options{Limits: s.limits, Log: s.log, Transport: resp.Transports[c.String(config.Transport)]})
	s.do = s.router.NewInternal()
}

func newStats(c *config.Config) *command.Stats {
	commands := metrics.NewCommands(len(command.All().Rows()))
	commands.TrackLatency(c.Bool(config.LatencyTracking))
	return &command.Stats{
		Commands: commands,
		SlowLog:  metrics.NewSlowLog(int(c.Int(config.SlowlogMaxLen))),
		Latency:  metrics.NewLatencyMonitor(),
		Errors:   metrics.NewErrors(),
	}
}

// Port is the TCP port that the server listens on.
func (s *Server) Port() int { return int(s.port.Load()) }

// Addr is the loopback address of the server, for tests and health checks.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port()) }

// Done is closed when the server has been told to stop, by SHUTDOWN or Close.
func (s *Server) Done() <-chan struct{} { return s.quit }

// stop tells everyone that the server ends.
func (s *Server) stop() { s.stopOnce.Do(func() { close(s.quit) }) }

// Shutdown stops taking connections, lets running commands finish within the
// context's time, and ends everything.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.stopping.CompareAndSwap(false, true) {
		return nil
	}
	if s.node != nil {
		s.node.Leave(ctx)
		s.letProxiedGo(ctx)
	}
	s.stop()
	s.waits.wakeAll()
	if s.router != nil {
		s.router.Unpause()
		s.router.UnblockAll()
	}
	var err error
	if s.wire != nil {
		err = s.wire.Shutdown(ctx)
	}
	if s.node != nil {
		err = errors.Join(err, s.proxy.Close(), s.node.Close())
	}
	s.work.Wait()
	if s.do != nil {
		s.do.Close()
	}
	if s.router != nil {
		err = errors.Join(err, s.finalSave())
	}
	if s.keeper != nil {
		err = errors.Join(err, s.keeper.Close())
	}
	if s.runner != nil {
		err = errors.Join(err, s.runner.Stop(context.Background()))
	}
	if s.log != nil {
		s.Announce("ferricd is now ready to exit, bye bye...")
	}
	if s.logTo != nil {
		err = errors.Join(err, s.logTo.Close())
	}
	return err
}

// Close ends the server without waiting for its clients.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
