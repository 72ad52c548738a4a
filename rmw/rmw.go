package rmw

import (
	"context"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v3"

	"github.com/ferricd/ferricd/internal/grace"
	"github.com/ferricd/ferricd/latch"
)

// Defaults of Options.
const (
	DefaultShards        = 64
	DefaultWait          = 10 * time.Second
	DefaultDrain         = 128
	DefaultBoundPerLatch = 16 << 10
	DefaultBoundPerShard = 64 << 10
)

// probeTime is how long a loser looks before it stands in line: long enough that
// a section of a few hundred nanoseconds is almost never queued for.
const probeTime = 2 * time.Microsecond

// Options are what a Runner is made with; what is 0 gets its default.
type Options struct {
	Shards int // power of two
	Slots  int // latches per shard, power of two; with 1 all keys of a shard collide

	Wait          time.Duration // how long a call stands in line
	Sweep         time.Duration // how often to look for latches of the gone; 0: only when told to
	BoundPerLatch int           // calls in line
	BoundPerShard int
	Drain         int // short calls per claim of a coordinator

	// AlwaysQueue sends every call through a line, for tests.
	AlwaysQueue bool

	// OnPanic is told of every panic, OnStuck of a latch that one owner has held
	// for Wait and longer while others stood in line, once per hold. Both may write
	// logs: neither latch nor gate is held, but a client waits.
	OnPanic func(*PanicError)
	OnStuck func(Stuck)
}

// Stuck is a latch that one owner has held for too long.
type Stuck struct {
	Latch  latch.ID
	Holder latch.Owner
	For    time.Duration // at least
}

// Runner runs calls.
type Runner struct {
	table        *latch.Table
	gate         *xsync.RBMutex
	coordinators []coordinator
	sweeper      *latch.Sweeper

	direct  bool // claim when free; false: always stand in line
	probes  bool
	drain   int
	onPanic func(*PanicError)
	onStuck func(Stuck)
	hook    func(point string) // tests: yields and panics between the steps

	wait, sweep        atomic.Int64 // nanoseconds
	perLatch, perShard atomic.Int64

	owners atomic.Uint64
	live   *xsync.MapOf[latch.Owner, struct{}]

	closer   chan struct{} // one who closes the gate at a time
	closing  atomic.Bool   // he waits for the passes to be given back
	mayBegin sync.RWMutex  // read-locked for the instant in which a long call begins
	long     atomic.Int64
	longDone chan struct{} // capacity 1: long has come to 0

	grace      *grace.Periods
	stripes    [][]atomic.Uint64 // fast wins, by stripe and shard
	nextStripe atomic.Uint32

	stopping chan struct{}
	stopOnce sync.Once
}

// ownOwners are the owners that are no clients: coordinators and the sweeper.
// Clients count from 1 and never get there.
const ownOwners latch.Owner = 1 << 61

// New makes a runner. It starts the sweeper; a coordinator starts when first
// somebody has to wait in its shard, and is parked from then on while nobody
// does. Stop ends them.
func New(o Options) *Runner { return newRunner(o, nil) }

func newRunner(o Options, hook func(string)) *Runner {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&o.Shards, DefaultShards)
	def(&o.Slots, latch.DefaultSlots)
	def(&o.BoundPerLatch, DefaultBoundPerLatch)
	def(&o.BoundPerShard, DefaultBoundPerShard)
	def(&o.Drain, DefaultDrain)
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	r := &Runner{
		table:        latch.NewTable(o.Shards, o.Slots),
		gate:         xsync.NewRBMutex(),
		coordinators: make([]coordinator, o.Shards),
		direct:       !o.AlwaysQueue,
		probes:       runtime.GOMAXPROCS(0) > 1,
		drain:        o.Drain,
		onPanic:      o.OnPanic,
		onStuck:      o.OnStuck,
		hook:         hook,
		live:         xsync.NewMapOf[latch.Owner, struct{}](),
		closer:       make(chan struct{}, 1),
		longDone:     make(chan struct{}, 1),
		stripes:      newStripes(o.Shards),
		stopping:     make(chan struct{}),
	}
	r.grace = grace.New(len(r.stripes))
	r.SetWait(o.Wait)
	r.SetBounds(o.BoundPerLatch, o.BoundPerShard)
	for i := range r.coordinators {
		r.coordinators[i].init(r, i)
	}
	r.sweep.Store(int64(o.Sweep))
	r.sweeper = latch.NewSweeper(r.table, latch.SweeperOptions{
		Self:  ownOwners + latch.Owner(o.Shards),
		Every: func() time.Duration { return time.Duration(r.sweep.Load()) },
		Alive: r.Alive,
		Freed: r.swept,
		Panicked: func(v any, stack []byte) {
			r.report(&PanicError{Value: v, Stack: stack})
		},
	})
	r.sweeper.Start()
	return r
}

// newStripes makes about one row per processor, each of whole cache lines.
func newStripes(shards int) [][]atomic.Uint64 {
	rows := 1 << bits.Len(uint(runtime.GOMAXPROCS(0)-1))
	s := make([][]atomic.Uint64, min(rows, 64))
	for i := range s {
		s[i] = make([]atomic.Uint64, (shards+7)&^7)
	}
	return s
}

// Table is the latches, for who needs to know IDs and sequence numbers.
func (r *Runner) Table() *latch.Table { return r.table }

// Grace tells when what a call has taken out of the data is looked at by no call any
// more: each is in a section while it has the gate's token, be it a client's or a
// coordinator's. With the gate closed there are none.
func (r *Runner) Grace() *grace.Periods { return r.grace }

// SetWait changes how long a call without a Wait of its own stands in line.
func (r *Runner) SetWait(d time.Duration) { r.wait.Store(int64(d)) }

// SetBounds changes how many calls may stand in line.
func (r *Runner) SetBounds(perLatch, perShard int) {
	r.perLatch.Store(int64(perLatch))
	r.perShard.Store(int64(perShard))
}

// SetSweep changes how often the sweeper walks; 0 disables it.
func (r *Runner) SetSweep(d time.Duration) {
	r.sweep.Store(int64(d))
	r.sweeper.Changed()
}

// Sweep walks one shard now, or all for -1, and returns how many latches of gone
// owners it freed.
func (r *Runner) Sweep(shard int) int { return r.sweeper.SweepShard(shard) }

func (r *Runner) swept(id latch.ID, marked bool) {
	r.statsOf(id).swept.Add(1)
	if marked {
		r.coordinatorOf(id).tellReleased(id)
	}
}

// NewOwner returns a number that nobody had before, and counts its bearer as
// living.
func (r *Runner) NewOwner() latch.Owner {
	o := latch.Owner(r.owners.Add(1))
	r.live.Store(o, struct{}{})
	return o
}

// Retire says that the owner is gone. Its goroutine does it as its last deed:
// the sweeper may free whatever latch the owner still holds.
func (r *Runner) Retire(o latch.Owner) { r.live.Delete(o) }

// Alive tells whether the owner has not been retired.
func (r *Runner) Alive(o latch.Owner) bool {
	if o >= ownOwners {
		return true
	}
	_, ok := r.live.Load(o)
	return ok
}

// Stop refuses all who stand in line, who are parked and who would have to wait
// from now on; each gets one answer. Calls that find their latches free still
// run. It returns when the coordinators have ended, or with the context's error.
func (r *Runner) Stop(ctx context.Context) error {
	r.stopOnce.Do(func() {
		close(r.stopping)
		for i := range r.coordinators {
			r.coordinators[i].stop()
		}
	})
	r.sweeper.Stop()
	for i := range r.coordinators {
		select {
		case <-r.coordinators[i].exited:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *Runner) coordinatorOf(id latch.ID) *coordinator { return &r.coordinators[r.table.Shard(id)] }
func (r *Runner) statsOf(id latch.ID) *counters          { return &r.coordinatorOf(id).counters }

// report tells of a panic. The caller holds neither latch nor gate.
func (r *Runner) report(e *PanicError) {
	if r.onPanic == nil {
		return
	}
	defer func() { _ = recover() }() // who reports panics may not add one
	r.onPanic(e)
}

func (r *Runner) at(point string) {
	if r.hook != nil {
		r.hook(point)
	}
}
