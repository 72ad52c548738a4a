package rmw

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

// §12.8: a coordinator that panics, wherever it is, keeps its lines, restarts, and
// releases the latch it held; every waiting call gets exactly one answer.
func TestCoordinatorPanics(t *testing.T) {
	for _, point := range []string{"note", "taken", "claimed", "handed"} {
		for _, short := range []bool{true, false} {
			name := point + " long"
			if short {
				name = point + " short"
			}
			t.Run(name, func(t *testing.T) {
				const n = 30
				var armed atomic.Bool
				var hits atomic.Int64
				told := make(chan *PanicError, n*4)
				r := startHooked(t, Options{Shards: 1, Slots: 2, Drain: 4, OnPanic: func(e *PanicError) { told <- e }}, func(at string) {
					if armed.Load() && at == point && hits.Add(1)%5 == 1 {
						panic(at)
					}
				})
				release := hold(t, r, 0)
				var ran, failed atomic.Int64
				var wg sync.WaitGroup
				for range n {
					wg.Go(func() {
						c := newClient(r)
						k := &Call{Latches: []latch.ID{0}, Short: short, Work: do(func() { ran.Add(1) })}
						switch err := c.run(k).(type) {
						case nil:
						case *PanicError:
							failed.Add(1)
						default:
							t.Error(err)
						}
						if !k.Reusable() || len(k.done) != 0 {
							t.Error("not exactly one answer")
						}
						if err := c.run(k); err != nil { // and another round, while it goes on
							if _, ok := err.(*PanicError); !ok {
								t.Error(err)
							}
							failed.Add(1)
						}
					})
				}
				inLine(t, r, n)
				armed.Store(true)
				release()
				wg.Wait()
				armed.Store(false)
				require.EqualValues(t, 2*n, ran.Load()+failed.Load())
				if hits.Load() > 0 {
					require.NotZero(t, r.Total().Restarts)
					require.Equal(t, point, (<-told).Value)
				} else {
					require.True(t, short && point == "handed", "the point was never reached")
				}
				if point != "claimed" {
					require.Zero(t, failed.Load(), "only the call in hand may be lost")
				}
				require.NoError(t, newClient(r).short(0, func() {}))
				settled(t, r)
			})
		}
	}
}

// A note over which the loop panics again and again is given up, and its call
// answered; the others of the shard are served.
func TestPoisonedNoteIsSkipped(t *testing.T) {
	var armed atomic.Bool
	r := startHooked(t, Options{Shards: 1, Slots: 2}, func(at string) {
		if at == "note" && armed.Load() {
			panic("poison")
		}
	})
	release := hold(t, r, 0)
	armed.Store(true)
	c := newClient(r)
	err := c.long(func() { t.Error("ran") }, 0)
	require.ErrorIs(t, err, ErrPanic)
	require.EqualValues(t, 2, r.Total().Restarts)
	armed.Store(false)
	end := make(chan error)
	go func() { end <- c.short(0, func() {}) }()
	inLine(t, r, 1)
	release()
	require.NoError(t, <-end)
	settled(t, r)
}

// A call of several latches over which a coordinator panics lets go of those it
// had.
func TestPanicOverOneOfSeveralReleasesTheLower(t *testing.T) {
	var armed atomic.Bool
	r := startHooked(t, Options{Shards: 2, Slots: 1}, func(at string) {
		if at == "claimed" && armed.CompareAndSwap(true, false) {
			panic("boom")
		}
	})
	release := hold(t, r, 1)
	end := make(chan error)
	go func() { end <- newClient(r).long(func() { t.Error("ran") }, 0, 1) }()
	inLine(t, r, 1)
	armed.Store(true)
	release()
	require.ErrorIs(t, <-end, ErrPanic)
	settled(t, r)
}

// Work that ends the goroutine it runs in ends neither the client's wait nor the
// line.
func TestWorkThatExitsTheCoordinator(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1, AlwaysQueue: true})
	c := newClient(r)
	err := c.run(&Call{Latches: []latch.ID{0}, Short: true, Closes: true, Work: do(runtime.Goexit)})
	require.ErrorIs(t, err, ErrPanic)
	require.NoError(t, c.short(0, func() {}))
	require.EqualValues(t, 1, r.Total().Restarts)
	settled(t, r)
}

// Work that ends the client's own goroutine leaves the latch free and open.
func TestWorkThatExitsTheClient(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 2})
	end := make(chan struct{})
	go func() {
		defer close(end)
		c := newClient(r)
		defer c.p.Leave()
		_ = c.run(&Call{Latches: []latch.ID{0, 1}, Closes: true, Work: do(runtime.Goexit)})
	}()
	<-end
	requireAtRest(t, r)
	require.NoError(t, r.Exclusive(time.Second, func() {}), "and the gate open")
}

// A coordinator is started when somebody has to wait in its shard, not before.
func TestCoordinatorsStartWhenNeeded(t *testing.T) {
	r := start(t, Options{Shards: 1024, Slots: 2})
	c := newClient(r)
	for shard := range 1024 {
		require.NoError(t, c.short(r.table.At(shard, 1), func() {}))
	}
	for i := range r.coordinators {
		require.False(t, r.coordinators[i].started)
	}
	release := hold(t, r, 0)
	end := make(chan error)
	go func() { end <- newClient(r).short(0, func() {}) }()
	inLine(t, r, 1)
	release()
	require.NoError(t, <-end)
	require.True(t, r.coordinators[0].started)
	require.False(t, r.coordinators[1].started)
}
