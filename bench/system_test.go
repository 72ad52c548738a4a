package bench

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/store"
)

// A system keeps calls that share a key from each other.
type system interface {
	client() client
	stats() rmw.Stats // zero of baselines
	stop()
}

// A client belongs to one goroutine.
type client interface {
	// do runs a call; the reply is valid until the next.
	do(args [][]byte) (reply []byte, err error)
	// breathe is called between batches.
	breathe()
	close()
}

var systems = []struct {
	name string
	open func() system
}{
	{"ferricd", func() system { return openLatched(false) }},
	{"in-line", func() system { return openLatched(true) }},
	{"router", openRouted},
	{"mutex", openMutexes},
	{"map", openMap},
	{"goroutine", openGoroutines},
}

// process is as much of the process as the handlers ask about.
type process struct {
	command.Server // nil: what is asked beyond is a mistake of the bench
	cfg            *config.Config
}

func (p process) Config() *config.Config { return p.cfg }

var host = process{cfg: config.New()}

// latched is package rmw with a worker behind it.
type latched struct {
	runner *rmw.Runner
	ks     *store.Keyspace
}

func openLatched(always bool) *latched {
	r := rmw.New(rmw.Options{Shards: shards, AlwaysQueue: always, Sweep: 5 * time.Second})
	return &latched{r, store.New(store.Options{Shards: shards, Slots: r.Table()})}
}

func (s *latched) stats() rmw.Stats { return s.runner.Total() }
func (s *latched) stop()            { _ = s.runner.Stop(context.Background()) }

type latchedClient struct {
	*worker
	s    *latched
	pass *rmw.Pass
	call *rmw.Call
	ids  []latch.ID
}

func (s *latched) client() client {
	c := &latchedClient{worker: newWorker(s.ks), s: s, pass: s.runner.NewPass()}
	c.call = &rmw.Call{Owner: s.runner.NewOwner(), Work: c}
	c.pass.Enter()
	return c
}

func (c *latchedClient) do(args [][]byte) ([]byte, error) {
	if err := c.prepare(args); err != nil {
		return nil, err
	}
	c.ids = c.ids[:0]
	for i := range c.refs {
		c.ids = append(c.ids, c.s.runner.Table().ID(c.refs[i].Hash))
	}
	if len(c.ids) > 1 {
		slices.Sort(c.ids)
		c.ids = slices.Compact(c.ids)
	}
	c.call.Latches = c.ids
	c.call.Short = len(c.ids) == 1 && (c.spec.Has(command.Fast) || c.spec.Has(command.Short))
	c.call.Closes = len(c.refs) > 1
	if err := c.s.runner.Run(c.pass, c.call); err != nil {
		return nil, err
	}
	return c.reply.Bytes(), c.err
}

// Run is the body of the call.
func (c *latchedClient) Run(byCoordinator bool) rmw.Verdict {
	mode := store.Claimed
	if byCoordinator {
		mode = store.InLine
	}
	if !c.run(mode) {
		return rmw.HandOver
	}
	return rmw.Done
}

func (c *latchedClient) BeforePark() {}

func (c *latchedClient) breathe() {
	c.pass.Leave()
	runtime.Gosched()
	c.pass.Enter()
	c.tick()
}

func (c *latchedClient) close() {
	c.pass.Leave()
	c.s.runner.Retire(c.call.Owner)
}

// routed is the server without its sockets.
type routed struct {
	latched
	router *router.Router
}

func openRouted() system {
	s := &routed{latched: *openLatched(false)}
	s.router = router.New(router.Options{
		Config: host.cfg, Server: host, Keyspace: s.ks, Runner: s.runner, Limits: resp.NewLimits(),
		Stats: &command.Stats{
			Commands: metrics.NewCommands(len(command.All().Rows())), SlowLog: metrics.NewSlowLog(128),
			Latency: metrics.NewLatencyMonitor(), Errors: metrics.NewErrors(),
		},
		Log: slog.New(slog.DiscardHandler),
	})
	return s
}

type routedClient struct{ *router.Internal }

func (s *routed) client() client { return routedClient{s.router.NewInternal()} }

func (c routedClient) do(args [][]byte) ([]byte, error) { return c.Do(0, args...) }
func (c routedClient) breathe()                         { runtime.Gosched() }
func (c routedClient) close()                           { c.Close() }

// baseline is what the others have in common.
type baseline struct{ ks *store.Keyspace }

func newBaseline() baseline { return baseline{store.New(store.Options{Shards: shards})} }

func (baseline) stats() rmw.Stats { return rmw.Stats{} }
func (baseline) stop()            {}

type baselineClient struct {
	*worker
	shards []int // of the call's keys, ascending, each once
}

func (s baseline) client() *baselineClient { return &baselineClient{worker: newWorker(s.ks)} }

func (c *baselineClient) breathe() {
	runtime.Gosched()
	c.tick()
}

func (c *baselineClient) close() {}

func (c *baselineClient) finish() ([]byte, error) { return c.reply.Bytes(), c.err }

// locate is prepare, and finds the shards.
func (c *baselineClient) locate(args [][]byte) error {
	if err := c.prepare(args); err != nil {
		return err
	}
	c.shards = c.shards[:0]
	for i := range c.refs {
		c.shards = append(c.shards, int(c.refs[i].Hash>>58))
	}
	if len(c.shards) > 1 {
		slices.Sort(c.shards)
		c.shards = slices.Compact(c.shards)
	}
	return nil
}

// byKey orders references so that latches are taken in one order.
func byKey(a, b store.Ref) int {
	return cmp.Or(cmp.Compare(a.Hash, b.Hash), slices.Compare(a.Key, b.Key))
}
