package rmw

import (
	"sync/atomic"
	"time"
)

// Stats is what a shard's calls, or all, have come to since the start or the last
// ResetStats.
type Stats struct {
	Fast     uint64 // claimed at once
	ProbeWon uint64 // claimed after a short look
	Slow     uint64 // stood in line

	ByCoordinator uint64 // run by the coordinator
	HandedOver    uint64 // run by their own goroutine with a latch from the line
	Readied       uint64 // blocked calls sent to the front of a line
	Batches       uint64 // claims under which a coordinator ran something
	BatchMax      uint64 // calls run under one claim

	Depth, DepthMax int64 // calls in line, now and at most

	Waits              uint64 // slow calls that have ended
	WaitTotal, WaitMax time.Duration
	Holds              uint64 // holds by coordinators and by calls handed over
	HoldTotal, HoldMax time.Duration

	Timeouts  uint64 // ErrBusy
	Gone      uint64 // ErrGone
	Full      uint64 // ErrFull
	Panics    uint64 // of work
	Restarts  uint64 // of coordinators
	Swept     uint64 // latches freed by the sweeper; healthy: 0
	LongHolds uint64 // latches held for longer than a call waits by default
}

// counters are a shard's, written off the fast path only.
type counters struct {
	_ [64]byte

	slow, probed                         atomic.Uint64
	byCoordinator, handedOver, readied   atomic.Uint64
	batches                              atomic.Uint64
	batchMax, depthMax, waitMax, holdMax atomic.Int64
	waits, holds                         atomic.Uint64
	waitTotal, holdTotal                 atomic.Int64
	timeouts, gone, full                 atomic.Uint64
	panics, restarts, swept, longHolds   atomic.Uint64

	_ [64]byte
}

// raise makes m at least n.
func raise(m *atomic.Int64, n int64) {
	for {
		old := m.Load()
		if n <= old || m.CompareAndSwap(old, n) {
			return
		}
	}
}

func (c *counters) waited(d time.Duration) {
	c.waits.Add(1)
	c.waitTotal.Add(int64(d))
	raise(&c.waitMax, int64(d))
}

func (c *counters) held(d time.Duration) {
	c.holds.Add(1)
	c.holdTotal.Add(int64(d))
	raise(&c.holdMax, int64(d))
}

// served counts one claim by the coordinator.
func (c *counters) served(ran int, since time.Time) {
	c.held(time.Since(since))
	if ran > 0 {
		c.batches.Add(1)
		c.byCoordinator.Add(uint64(ran))
		raise(&c.batchMax, int64(ran))
	}
}

func (c *counters) countLoss(why error) {
	switch why {
	case ErrBusy:
		c.timeouts.Add(1)
	case ErrGone:
		c.gone.Add(1)
	}
}

// Stats is one shard's.
func (r *Runner) Stats(shard int) Stats {
	c := &r.coordinators[shard]
	s := Stats{
		ProbeWon: c.probed.Load(), Slow: c.slow.Load(),
		ByCoordinator: c.byCoordinator.Load(), HandedOver: c.handedOver.Load(), Readied: c.readied.Load(),
		Batches: c.batches.Load(), BatchMax: uint64(c.batchMax.Load()),
		Depth: max(c.waiting.Load(), 0), DepthMax: c.depthMax.Load(),
		Waits: c.waits.Load(), WaitTotal: time.Duration(c.waitTotal.Load()), WaitMax: time.Duration(c.waitMax.Load()),
		Holds: c.holds.Load(), HoldTotal: time.Duration(c.holdTotal.Load()), HoldMax: time.Duration(c.holdMax.Load()),
		Timeouts: c.timeouts.Load(), Gone: c.gone.Load(), Full: c.full.Load(),
		Panics: c.panics.Load(), Restarts: c.restarts.Load(), Swept: c.swept.Load(), LongHolds: c.longHolds.Load(),
	}
	for i := range r.stripes {
		s.Fast += r.stripes[i][shard].Load()
	}
	return s
}

// Total is all shards' together.
func (r *Runner) Total() Stats {
	var t Stats
	for i := range r.coordinators {
		t.add(r.Stats(i))
	}
	return t
}

func (t *Stats) add(s Stats) {
	t.Fast += s.Fast
	t.ProbeWon += s.ProbeWon
	t.Slow += s.Slow
	t.ByCoordinator += s.ByCoordinator
	t.HandedOver += s.HandedOver
	t.Readied += s.Readied
	t.Batches += s.Batches
	t.BatchMax = max(t.BatchMax, s.BatchMax)
	t.Depth += s.Depth
	t.DepthMax = max(t.DepthMax, s.DepthMax)
	t.Waits += s.Waits
	t.WaitTotal += s.WaitTotal
	t.WaitMax = max(t.WaitMax, s.WaitMax)
	t.Holds += s.Holds
	t.HoldTotal += s.HoldTotal
	t.HoldMax = max(t.HoldMax, s.HoldMax)
	t.Timeouts += s.Timeouts
	t.Gone += s.Gone
	t.Full += s.Full
	t.Panics += s.Panics
	t.Restarts += s.Restarts
	t.Swept += s.Swept
	t.LongHolds += s.LongHolds
}

// ResetStats sets all counts to 0. Depth is no count and stays.
func (r *Runner) ResetStats() {
	for i := range r.coordinators {
		r.coordinators[i].reset()
		for _, s := range r.stripes {
			s[i].Store(0)
		}
	}
}

func (c *counters) reset() {
	for _, n := range []*atomic.Uint64{
		&c.slow, &c.probed, &c.byCoordinator, &c.handedOver, &c.readied, &c.batches, &c.waits, &c.holds,
		&c.timeouts, &c.gone, &c.full, &c.panics, &c.restarts, &c.swept, &c.longHolds,
	} {
		n.Store(0)
	}
	for _, n := range []*atomic.Int64{&c.batchMax, &c.depthMax, &c.waitMax, &c.holdMax, &c.waitTotal, &c.holdTotal} {
		n.Store(0)
	}
}
