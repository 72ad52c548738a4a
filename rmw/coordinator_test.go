package rmw

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

// §12.1: N concurrent increments answer exactly 1..N, whichever way they go.
func TestIncrementsAnswerEachNumberOnce(t *testing.T) {
	for name, o := range map[string]Options{
		"fast and slow": {Shards: 1, Slots: 1},
		"always queued": {Shards: 1, Slots: 1, AlwaysQueue: true},
		"small batches": {Shards: 1, Slots: 1, AlwaysQueue: true, Drain: 3},
	} {
		t.Run(name, func(t *testing.T) {
			const workers, rounds = 8, 500
			r := startHooked(t, o, yields)
			var mu sync.Mutex
			seen := map[int]int{}
			n := 0
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					c := newClient(r)
					for i := range rounds {
						got := 0
						incr := func() { n++; got = n }
						var err error
						if i%4 == 0 {
							err = c.long(incr, 0)
						} else {
							err = c.short(0, incr)
						}
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						seen[got]++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			require.Equal(t, workers*rounds, n)
			require.Len(t, seen, n)
			for i := 1; i <= n; i++ {
				require.Equal(t, 1, seen[i], "answer %d", i)
			}
		})
	}
}

// §12.11: first in, first served; newcomers do not pass those in line.
func TestLineIsServedInOrder(t *testing.T) {
	for _, short := range []bool{true, false} {
		t.Run(fmt.Sprintf("short=%v", short), func(t *testing.T) {
			const n = 20
			r := start(t, Options{Shards: 1, Slots: 1, Drain: 8})
			release := hold(t, r, 0)
			var order []int
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					c := newClient(r)
					k := &Call{Latches: []latch.ID{0}, Short: short, Work: do(func() { order = append(order, i) })}
					if err := c.run(k); err != nil {
						t.Error(err)
					}
				})
				inLine(t, r, i+1)
			}
			release()
			wg.Wait()
			for i := range n {
				require.Equal(t, i, order[i])
			}
		})
	}
}

// §12.11: while there is a line a newcomer stands behind it, though the latch be
// free at that instant.
func TestNewcomersDoNotPass(t *testing.T) {
	var r *Runner
	barged := make(chan bool, 1)
	once := sync.Once{}
	r = startHooked(t, Options{Shards: 1, Slots: 1}, func(point string) {
		if point != "taken" {
			return
		}
		once.Do(func() { // the coordinator has the latch and there is a second in line
			barged <- r.table.TryClaim(0, 12345)
		})
	})
	release := hold(t, r, 0)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = newClient(r).long(func() {}, 0) })
	}
	inLine(t, r, 2)
	require.False(t, r.table.TryClaim(0, 12345))
	release()
	require.False(t, <-barged)
	wg.Wait()
}

// §12.6, §12.11: a latch that is never released costs its own line an error in
// time, and other latches of the shard nothing.
func TestStuckHolderDelaysNobodyElse(t *testing.T) {
	stuck := make(chan Stuck, 8)
	r := start(t, Options{Shards: 1, Slots: 2, Wait: 50 * time.Millisecond, OnStuck: func(s Stuck) { stuck <- s }})
	release := hold(t, r, 0)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			c := newClient(r)
			k := &Call{Latches: []latch.ID{0}, Short: true, Work: do(func() { t.Error("ran") })}
			if err := c.run(k); !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			if k.Reusable() {
				t.Error("a withdrawn call may not be used again")
			}
		})
	}
	inLine(t, r, 3)
	r2 := newClient(r)
	for range 100 {
		require.NoError(t, r2.short(1, func() {}))
	}
	wg.Wait()
	s := <-stuck
	require.Equal(t, latch.ID(0), s.Latch)
	require.EqualValues(t, 1, s.Holder)
	require.Empty(t, stuck, "told once per hold")
	total := r.Total()
	require.EqualValues(t, 3, total.Timeouts)
	require.EqualValues(t, 1, total.LongHolds)
	require.Zero(t, total.Depth)
	require.Eventually(t, func() bool {
		_, _, waited := r.table.Holder(0)
		return !waited
	}, time.Second, time.Millisecond, "the mark goes with the last in line, though the latch be held")
	release()
	require.NoError(t, r2.short(0, func() {}))
}

// §12.11: a long call that came through the line delays no other line.
func TestLongCallDelaysNoOtherLine(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 2, AlwaysQueue: true})
	release := hold(t, r, 0) // handed over by the coordinator, and in no hurry
	c := newClient(r)
	for _, short := range []bool{true, false} {
		require.NoError(t, c.run(&Call{Latches: []latch.ID{1}, Short: short, Work: do(func() {})}))
	}
	release()
	settled(t, r)
}

// §12.7: who gave up or left is never applied, and the line goes on without him.
func TestWithdrawnIsNeverRun(t *testing.T) {
	for _, short := range []bool{true, false} {
		r := start(t, Options{Shards: 1, Slots: 1})
		release := hold(t, r, 0)
		gone := make(chan struct{})
		ran := atomic.Int64{}
		errs := make(chan error, 3)
		call := func(k *Call) {
			k.Latches, k.Short, k.Work = []latch.ID{0}, short, do(func() { ran.Add(1) })
			errs <- newClient(r).run(k)
		}
		go call(&Call{Wait: time.Millisecond})
		require.ErrorIs(t, <-errs, ErrBusy)
		go call(&Call{Gone: gone})
		inLine(t, r, 1)
		go call(&Call{})
		inLine(t, r, 2)
		close(gone)
		require.ErrorIs(t, <-errs, ErrGone)
		release()
		require.NoError(t, <-errs)
		require.EqualValues(t, 1, ran.Load())
		require.EqualValues(t, 1, r.Total().Gone)
		settled(t, r)
	}
}

// §12.7: the coordinator itself sees that the client has left, should it come
// before the client's goroutine.
func TestCoordinatorSeesThatTheClientHasLeft(t *testing.T) {
	gone := make(chan struct{})
	first := sync.Once{}
	var r *Runner
	r = startHooked(t, Options{Shards: 1, Slots: 1}, func(point string) {
		if point == "withdraw" { // the client's goroutine noticed, but comes too late
			for r.Total().Depth > 0 {
				runtime.Gosched()
			}
		}
		if point == "taken" {
			first.Do(func() { close(gone) })
		}
	})
	release := hold(t, r, 0)
	errs := make(chan error)
	go func() {
		errs <- newClient(r).run(&Call{Latches: []latch.ID{0}, Short: true, Gone: gone, Work: do(func() { t.Error("ran") })})
	}()
	inLine(t, r, 1)
	release()
	require.ErrorIs(t, <-errs, ErrGone)
	require.EqualValues(t, 1, r.Total().Gone)
	settled(t, r)
}

// §12.14: bounds per latch and per shard, a clear error, and room again as soon
// as somebody leaves.
func TestLinesAreBounded(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 2, BoundPerLatch: 2, BoundPerShard: 3})
	release := hold(t, r, 0, 1, 2)
	gone := make(chan struct{})
	var wg sync.WaitGroup
	stand := func(id latch.ID, leaves bool) {
		wg.Go(func() {
			k := &Call{Latches: []latch.ID{id}, Work: do(func() {})}
			if leaves {
				k.Gone = gone
			}
			_ = newClient(r).run(k)
		})
	}
	stand(0, false)
	inLine(t, r, 1)
	stand(0, true)
	inLine(t, r, 2)
	c := newClient(r)
	for range 50 {
		require.ErrorIs(t, c.short(0, func() { t.Error("ran") }), ErrFull)
	}
	stand(1, true)
	inLine(t, r, 3)
	require.ErrorIs(t, c.short(1, func() { t.Error("ran") }), ErrFull, "the shard is full, though the latch's line is not")
	stand(2, false)
	inLine(t, r, 4)
	require.EqualValues(t, 51, r.Stats(0).Full)
	require.Zero(t, r.Stats(1).Full)
	close(gone)
	inLine(t, r, 2)
	stand(1, false)
	inLine(t, r, 3)
	r.SetBounds(1, 1)
	require.ErrorIs(t, c.short(1, func() { t.Error("ran") }), ErrFull)
	served := make(chan error, 1)
	go func() { served <- newClient(r).run(&Call{Latches: []latch.ID{1}, Must: true, Work: do(func() {})}) }()
	inLine(t, r, 4)
	release()
	wg.Wait()
	require.NoError(t, <-served)
	require.EqualValues(t, 3, r.Stats(0).DepthMax)
	settled(t, r)
}

// §12.5: work that panics, inline, handed over, by the coordinator: an error with
// the stack, the latch free, the slot open, the next call works.
func TestPanicsLeaveNothingBehind(t *testing.T) {
	for name, k := range map[string]*Call{
		"short":   {Short: true, Latches: []latch.ID{0}},
		"long":    {Latches: []latch.ID{0}},
		"several": {Latches: []latch.ID{0, 1, 5}},
		"closes":  {Short: true, Latches: []latch.ID{0}, Closes: true},
		"exec":    {Latches: []latch.ID{0, 1, 5}, Closes: true, CloseLatches: []latch.ID{1, 5}},
	} {
		for _, contended := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s contended=%v", name, contended), func(t *testing.T) {
				told := make(chan *PanicError, 1)
				r := start(t, Options{Shards: 2, Slots: 4, AlwaysQueue: contended, OnPanic: func(e *PanicError) { told <- e }})
				boom := &Call{Short: k.Short, Latches: k.Latches, Closes: k.Closes, CloseLatches: k.CloseLatches}
				boom.Work = do(func() {
					for _, id := range boom.closeLatches() {
						require.Equal(t, boom.Closes, r.table.Seq(id)&1 == 1)
					}
					panic("boom")
				})
				c := newClient(r)
				err := c.run(boom)
				require.ErrorIs(t, err, ErrPanic)
				var pe *PanicError
				require.ErrorAs(t, err, &pe)
				require.Equal(t, "boom", pe.Value)
				require.Contains(t, string(pe.Stack), "coordinator_test.go")
				require.Same(t, pe, <-told)
				require.EqualValues(t, 1, r.Total().Panics)
				settled(t, r)
				ran := false
				boom.Work = do(func() { ran = true })
				require.NoError(t, c.run(boom))
				require.True(t, ran)
				require.False(t, c.p.Held())
			})
		}
	}
}

// What is not short, or answers HandOver, runs in its own goroutine.
func TestHandOver(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 2, AlwaysQueue: true})
	c := newClient(r)
	asked := []bool{}
	k := &Call{Latches: []latch.ID{0}, Short: true, Work: &work{run: func(byCoordinator bool) Verdict {
		asked = append(asked, byCoordinator)
		require.Equal(t, !byCoordinator, c.p.held)
		if byCoordinator {
			return HandOver
		}
		o, _, _ := r.table.Holder(0)
		require.Equal(t, c.o, o)
		return Done
	}}}
	require.NoError(t, c.run(k))
	require.Equal(t, []bool{true, false}, asked)
	require.True(t, k.Reusable())
	asked = nil
	k.Short, k.Latches = false, []latch.ID{0, 1}
	require.NoError(t, c.run(k))
	require.Equal(t, []bool{false}, asked)
	require.EqualValues(t, 3, r.Total().HandedOver)
	require.Zero(t, r.Total().ByCoordinator)
}

// BeforePark comes once, with nothing held, and only to who stands in line.
func TestBeforePark(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 4})
	c := newClient(r)
	parks := 0
	k := &Call{Latches: []latch.ID{0, 1, 2}, Work: &work{run: func(bool) Verdict { return Done }, park: func() {
		parks++
		require.False(t, c.p.Held())
		o, isHeld, _ := r.table.Holder(0)
		require.False(t, isHeld && o == c.o)
	}}}
	require.NoError(t, c.run(k))
	require.Zero(t, parks)
	release1, release2 := hold(t, r, 1), hold(t, r, 2)
	end := make(chan error)
	go func() { end <- c.run(k) }()
	inLine(t, r, 1)
	o, isHeld, _ := r.table.Holder(0)
	require.True(t, isHeld, "it holds the lower one while it waits")
	require.Equal(t, c.o, o)
	release1()
	require.Eventually(t, func() bool { o, _, w := r.table.Holder(2); return w && o != c.o }, time.Second, time.Millisecond)
	release2()
	require.NoError(t, <-end)
	require.Equal(t, 1, parks)
	settled(t, r)
}

// A call that gives up at a higher latch lets the lower ones go.
func TestGivingUpReleasesTheLower(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 1})
	release := hold(t, r, 1)
	c := newClient(r)
	err := c.run(&Call{Latches: []latch.ID{0, 1}, Wait: time.Millisecond, Work: do(func() { t.Error("ran") })})
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, c.short(0, func() {}))
	release()
	settled(t, r)
}

// §12.15: a loser looks for a moment at what is merely held, and never when
// others wait already.
func TestProbe(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	if !r.probes {
		t.Skip("one processor")
	}
	require.True(t, r.probe(0, 7))
	r.table.Mark(0)
	require.False(t, r.probe(0, 8))
	r.table.Release(0, 7)
	require.False(t, r.probe(0, 8), "free, but waited for")
	r.table.Unmark(0)
	r.probes = false
	require.False(t, r.probe(0, 8))
}

func TestOneProcessorDoesNotProbe(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	require.False(t, start(t, Options{Shards: 1, Slots: 1}).probes)
}

// §12.9, §12.21: the latches of a client that is gone are freed, opened and given
// to their line.
func TestSweepGivesToTheLine(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 2})
	dead := r.NewOwner()
	require.True(t, r.table.TryClaim(2, dead))
	r.table.Close(2)
	require.Zero(t, r.Sweep(-1), "alive")
	c := newClient(r)
	end := make(chan error)
	go func() { end <- c.short(2, func() {}) }()
	inLine(t, r, 1)
	r.Retire(dead)
	require.Zero(t, r.Sweep(0))
	require.Equal(t, 1, r.Sweep(1))
	require.NoError(t, <-end)
	require.EqualValues(t, 1, r.Stats(1).Swept)
	settled(t, r)
	require.True(t, r.table.TryClaim(0, dead))
	r.SetSweep(time.Millisecond)
	require.Eventually(t, func() bool { return r.Stats(0).Swept == 1 }, 5*time.Second, time.Millisecond)
}

// Stop answers everybody in line once, and refuses who would have to wait.
func TestStop(t *testing.T) {
	r := newRunner(Options{Shards: 2, Slots: 2}, nil)
	release := hold(t, r, 0, 2)
	const n = 10
	errs := make(chan error, n)
	for i := range n {
		go func() {
			ids := []latch.ID{latch.ID(i % 2 * 2)}
			if i%3 == 0 {
				ids = []latch.ID{1, 2}
			}
			errs <- newClient(r).run(&Call{Latches: ids, Short: len(ids) == 1, Work: do(func() { t.Error("ran") })})
		}()
	}
	require.Eventually(t, func() bool { return r.Total().Slow == n && r.Total().Depth > 0 }, 5*time.Second, time.Millisecond)
	require.NoError(t, r.Stop(t.Context()))
	for range n {
		require.ErrorIs(t, <-errs, ErrStopped)
	}
	c := newClient(r)
	require.ErrorIs(t, c.short(0, func() { t.Error("ran") }), ErrStopped)
	require.NoError(t, c.short(1, func() {}), "what need not wait still runs")
	release()
	require.NoError(t, c.short(0, func() {}))
	require.NoError(t, r.Stop(t.Context()))
	requireAtRest(t, r)
}

// A call that is several commands counts as so many: the others of the shard get
// their turn as soon as behind single ones.
func TestDrainCountsWhatACallIs(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1, Drain: 16})
	release := hold(t, r, 0)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if err := newClient(r).run(&Call{Latches: []latch.ID{0}, Short: true, Size: 8, Work: do(func() {})}); err != nil {
				t.Error(err)
			}
		})
		inLine(t, r, i+1)
	}
	release()
	wg.Wait()
	settled(t, r)
	require.EqualValues(t, 2, r.Total().BatchMax)
	require.EqualValues(t, 3, r.Total().Batches)
}
