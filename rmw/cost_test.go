package rmw

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/latch"
)

func TestFastPathAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the checks allocate")
	}
	r := start(t, Options{Shards: 4, Slots: 4})
	c := newClient(r)
	c.p.Enter()
	defer c.p.Leave()
	for _, k := range []*Call{
		{Latches: []latch.ID{1}, Short: true},
		{Latches: []latch.ID{1, 2, 9}, Closes: true},
	} {
		k.Owner, k.Work = c.o, &counter{}
		require.Zero(t, testing.AllocsPerRun(1000, func() { _ = r.Run(c.p, k) }))
	}
}

// A call that stands in line again and again brings everything it needs.
func TestLineAllocatesNothingForACallUsedAgain(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the checks allocate")
	}
	r := start(t, Options{Shards: 1, Slots: 1, AlwaysQueue: true})
	c := newClient(r)
	c.p.Enter()
	defer c.p.Leave()
	k := &Call{Owner: c.o, Latches: []latch.ID{0}, Short: true, Work: &counter{}}
	require.NoError(t, r.Run(c.p, k))
	require.Less(t, testing.AllocsPerRun(1000, func() { _ = r.Run(c.p, k) }), 1.0)
}

// §12.15: neither a runner at rest nor one with a thousand calls in line and as
// many parked uses the processor.
func TestWaitingCostsNothing(t *testing.T) {
	const n = 1000
	r := start(t, Options{Sweep: 5 * time.Second})
	q := &queues{r: r}
	release := hold(t, r, 7)
	unblock := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _ = newClient(r).short(7, func() {}) })
		wg.Go(func() {
			c := newClient(r)
			c.unblock = unblock
			_, _ = q.pop(c, time.Time{}, nil, 0, 1)
		})
	}
	inLine(t, r, n)
	q.parkedAt(t, 1, n)
	runtime.GC()
	before, start := cpuTime(t), time.Now()
	time.Sleep(300 * time.Millisecond) // the thing measured, not a wait for something
	used, passed := cpuTime(t)-before, time.Since(start)
	require.Less(t, used, passed/10, "of processor time in %v", passed)
	close(unblock)
	release()
	wg.Wait()
	settled(t, r)
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestStats(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 2})
	c := newClient(r)
	for range 3 {
		require.NoError(t, c.short(2, func() {}))
	}
	require.NoError(t, c.long(func() {}, 0, 2))
	require.EqualValues(t, 1, r.Stats(0).Fast)
	require.EqualValues(t, 3, r.Stats(1).Fast)

	release := hold(t, r, 2)
	r.ResetStats()
	require.Equal(t, Stats{}, r.Total())
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			if err := newClient(r).run(&Call{Latches: []latch.ID{2}, Short: i < 4, Work: do(func() {})}); err != nil {
				t.Error(err)
			}
		})
		inLine(t, r, i+1)
	}
	require.Zero(t, r.Stats(0).Depth)
	release()
	wg.Wait()
	s := r.Total()
	require.Zero(t, s.Fast)
	require.EqualValues(t, 5, s.Slow)
	require.EqualValues(t, 4, s.ByCoordinator)
	require.EqualValues(t, 1, s.HandedOver)
	require.EqualValues(t, 1, s.Batches)
	require.EqualValues(t, 4, s.BatchMax)
	require.EqualValues(t, 5, s.DepthMax)
	require.EqualValues(t, 5, s.Waits)
	require.NotZero(t, s.WaitMax)
	require.GreaterOrEqual(t, s.WaitTotal, s.WaitMax)
	require.Eventually(t, func() bool { return r.Total().Holds == 2 }, time.Second, time.Millisecond)
	require.NotZero(t, r.Total().HoldMax)
	settled(t, r)
}
