package rmw

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

func TestPassIsNotRecursive(t *testing.T) {
	p := start(t, Options{Shards: 1, Slots: 1}).NewPass()
	p.Leave() // not held: nothing
	p.Enter()
	require.True(t, p.Held())
	require.Panics(t, p.Enter)
	p.Leave()
	require.False(t, p.Held())
}

// §12.18: the gate closes while calls stand in line, hold lower latches, or are
// parked, and what runs under it sees nothing half done.
func TestExclusiveWhileOthersWait(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 2})
	release := hold(t, r, 3)
	var wg sync.WaitGroup
	for _, ids := range [][]latch.ID{{3}, {0, 3}, {1, 3}} {
		wg.Go(func() { _ = newClient(r).long(func() {}, ids...) })
	}
	c := newClient(r)
	blocked := &Call{Owner: c.o, Latches: []latch.ID{2}, Work: do(func() {})}
	require.NoError(t, c.long(blocked.Park, 2))
	wg.Go(func() {
		c.p.Enter()
		defer c.p.Leave()
		require.ErrorIs(t, r.Await(c.p, blocked, time.Time{}, c.unblocker()), ErrUnblocked)
	})
	inLine(t, r, 3)
	ran := false
	require.NoError(t, r.Exclusive(time.Second, func() { ran = true }))
	require.True(t, ran)
	release()
	close(c.unblock)
	wg.Wait()
}

// What Exclusive runs is alone: the sum over a transfer is never seen in between.
func TestExclusiveIsAlone(t *testing.T) {
	r := startHooked(t, Options{Shards: 2, Slots: 1}, yields)
	var a, b int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := newClient(r)
			c.p.Enter()
			defer c.p.Leave()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				ids := []latch.ID{0, 1}
				_ = r.Run(c.p, &Call{Owner: c.o, Latches: ids, Work: do(func() { a++; yields(""); b-- })})
				c.p.Renew()
			}
		})
	}
	for range 200 {
		require.NoError(t, r.Exclusive(time.Second, func() {
			require.Zero(t, a+b)
		}))
	}
	close(stop)
	wg.Wait()
}

// A batch that never ends does not keep a closer out: it renews its pass.
func TestRenewLetsTheCloserIn(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	p := r.NewPass()
	p.Enter()
	require.False(t, p.Renew(), "nobody waits")
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = r.Exclusive(time.Minute, func() {})
	}()
	let := false
	require.Eventually(t, func() bool {
		let = p.Renew() || let
		select {
		case <-closed:
			return true
		default:
			return false
		}
	}, 5*time.Second, 10*time.Microsecond)
	require.True(t, let)
	p.Leave()
}

func TestExclusiveWaitsForLongCallsWithTheGateOpen(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	long := newClient(r)
	long.p.Enter()
	long.p.BeginLong()

	require.ErrorIs(t, r.Exclusive(5*time.Millisecond, func() { t.Error("ran") }), ErrBusy)
	waits := make(chan error)
	ran := atomic.Bool{}
	go func() { waits <- r.Exclusive(time.Minute, func() { ran.Store(true) }) }()
	c := newClient(r)
	for range 100 { // meanwhile life goes on
		require.NoError(t, c.short(0, func() {}))
	}
	require.ErrorIs(t, r.Exclusive(5*time.Millisecond, func() {}), ErrBusy, "one closer at a time")
	require.False(t, ran.Load())
	long.p.EndLong()
	long.p.Leave()
	require.NoError(t, <-waits)
	require.True(t, ran.Load())

	// a role change does not wait to be let in
	long.p.Enter()
	long.p.BeginLong()
	go func() { waits <- r.Exclusive(-1, func() {}) }()
	require.Eventually(t, func() bool { return long.p.r.closing.Load() }, time.Second, time.Millisecond)
	long.p.EndLong()
	long.p.Leave()
	require.NoError(t, <-waits)
}

// No long call begins once a closer has made sure that none runs.
func TestLongCallsAndClosers(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	var running atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			p := r.NewPass()
			for {
				select {
				case <-stop:
					return
				default:
				}
				p.Enter()
				p.BeginLong()
				running.Add(1)
				yields("")
				running.Add(-1)
				p.EndLong()
				p.Leave()
			}
		})
	}
	closed := 0
	for range 100 {
		err := r.Exclusive(20*time.Millisecond, func() {
			require.Zero(t, running.Load())
			closed++
		})
		if err != ErrBusy { // a slow machine may not get round to it in time
			require.NoError(t, err)
		}
	}
	close(stop)
	wg.Wait()
	require.NotZero(t, closed)
	require.Zero(t, r.long.Load())
}

// A steady stream of long calls, never none of them, does not keep a closer out:
// after a while it lets no more begin.
func TestLongCallsInASteadyStream(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	a, b := r.NewPass(), r.NewPass()
	a.Enter()
	a.BeginLong()
	began, closed := make(chan struct{}), make(chan error)
	go func() { closed <- r.Exclusive(4*time.Second, func() {}) }()
	require.Eventually(t, func() bool { // until it is held back, b begins and ends at will
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Enter()
			b.BeginLong()
			b.EndLong()
			b.Leave()
		}()
		select {
		case <-done:
			return false
		case <-time.After(50 * time.Millisecond):
			began = done
			return true
		}
	}, 4*time.Second, time.Millisecond)
	a.EndLong()
	a.Leave()
	require.NoError(t, <-closed)
	<-began
	require.Zero(t, r.long.Load())
}

func TestExclusiveSurvivesAPanic(t *testing.T) {
	told := 0
	r := start(t, Options{Shards: 1, Slots: 1, OnPanic: func(*PanicError) { told++ }})
	require.ErrorIs(t, r.Exclusive(0, func() { panic("boom") }), ErrPanic)
	require.Equal(t, 1, told)
	require.NoError(t, r.Exclusive(0, func() {}))
	require.NoError(t, newClient(r).short(0, func() {}))
}

func TestTryTakesAllOrNone(t *testing.T) {
	told := 0
	r := start(t, Options{Shards: 1, Slots: 4, OnPanic: func(*PanicError) { told++ }})
	c := newClient(r)
	try := func(ids []latch.ID, fn func()) bool {
		c.p.Enter()
		defer c.p.Leave()
		return r.Try(c.p, ids, c.o, fn)
	}
	release := hold(t, r, 2)
	require.False(t, try([]latch.ID{0, 2}, func() { t.Error("ran") }))
	ran := false
	require.True(t, try([]latch.ID{0, 1}, func() {
		ran = true
		require.False(t, r.table.TryClaim(0, 99))
	}))
	require.True(t, ran)
	require.True(t, try([]latch.ID{0, 1}, func() { panic("boom") }))
	require.Equal(t, 1, told)
	require.EqualValues(t, 1, r.Total().Panics)
	release()
	settled(t, r)
}

// A try that meets a line behind its first latch tells it on letting go.
func TestTryTellsTheLine(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 2})
	c := newClient(r)
	end := make(chan error, 1)
	c.p.Enter()
	r.Try(c.p, []latch.ID{0}, c.o, func() {
		go func() { end <- newClient(r).long(func() {}, 0) }()
		inLine(t, r, 1)
	})
	c.p.Leave()
	require.NoError(t, <-end)
	settled(t, r)
}

func TestOwnersAreNeverUsedAgain(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 1})
	a := r.NewOwner()
	require.True(t, r.Alive(a))
	r.Retire(a)
	require.False(t, r.Alive(a))
	require.Greater(t, r.NewOwner(), a)
	require.True(t, r.Alive(r.coordinators[1].self))
}
