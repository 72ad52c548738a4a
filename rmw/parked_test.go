package rmw

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

// queues are lists with blocked pops: what a router makes of the parked calls,
// as small as it can be. Each queue lies under a latch of its own.
type queues struct {
	r     *Runner
	items [4]int
	mu    sync.Mutex
	seq   int
	wait  [4][]*popper // by number, so that who parks again finds its old place
}

type popper struct {
	*client
	q      *queues
	ids    []latch.ID
	number int
	ticket Call
	got    bool
	parks  int
}

// readyNext readies the first of those who wait at a queue with something in it.
// The queue's latch is held.
func (q *queues) readyNext(id latch.ID) {
	if q.items[id] == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.wait[id]) > 0 {
		w := q.wait[id][0]
		q.wait[id] = q.wait[id][1:]
		if q.r.Ready(&w.ticket, id) {
			return
		}
	}
}

func (q *queues) enlist(w *popper) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range w.ids {
		at := 0
		for at < len(q.wait[id]) && q.wait[id][at].number < w.number {
			at++
		}
		if at < len(q.wait[id]) && q.wait[id][at] == w {
			continue
		}
		q.wait[id] = append(q.wait[id][:at:at], append([]*popper{w}, q.wait[id][at:]...)...)
	}
}

func (q *queues) push(c *client, id latch.ID) error {
	return c.short(id, func() { q.items[id]++; q.readyNext(id) })
}

// takeOrPark is the popper's work, first and when it is readied. All latches are
// held.
func (w *popper) takeOrPark() {
	for _, id := range w.ids {
		if w.q.items[id] > 0 {
			w.q.items[id]--
			w.got = true
			w.q.readyNext(id)
			return
		}
	}
	w.ticket.Park()
	w.q.enlist(w)
}

// pop is BLPOP. The zero time waits for ever.
func (q *queues) pop(c *client, deadline time.Time, gone <-chan struct{}, ids ...latch.ID) (bool, error) {
	w := &popper{client: c, q: q, ids: ids}
	q.mu.Lock()
	q.seq++
	w.number = q.seq
	q.mu.Unlock()
	w.ticket = Call{Owner: c.o, Latches: ids, Gone: gone, Work: &work{
		run:  func(bool) Verdict { w.takeOrPark(); return Done },
		park: func() { w.parks++ },
	}}
	if err := c.long(w.takeOrPark, ids...); err != nil {
		return false, err
	}
	c.p.Enter()
	defer c.p.Leave()
	for !w.got {
		if err := c.r.Await(c.p, &w.ticket, deadline, c.unblock); err != nil {
			if w.ticket.Readied() {
				err := c.r.Run(c.p, &Call{Owner: c.o, Latches: ids, Wait: time.Minute, Work: do(func() {
					for _, id := range ids {
						q.readyNext(id)
					}
				})})
				if err != nil && err != ErrStopped {
					return false, err
				}
			}
			return false, err
		}
	}
	return true, nil
}

func (q *queues) parkedAt(t *testing.T, id latch.ID, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.wait[id]) == n
	}, 5*time.Second, 100*time.Microsecond)
}

func TestParkedAreServedInOrder(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 4})
	q := &queues{r: r}
	order := make(chan int, 5)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			got, err := q.pop(newClient(r), time.Time{}, nil, 0, 1)
			if !got || err != nil {
				t.Error(got, err)
			}
			order <- i
		})
		q.parkedAt(t, 0, i+1)
	}
	c := newClient(r)
	for i := range 5 {
		require.NoError(t, q.push(c, latch.ID(i%2)))
		require.Equal(t, i, <-order)
	}
	wg.Wait()
	require.EqualValues(t, 5, r.Total().Readied)
	settled(t, r)
}

// Who is readied stands before those who came to the line meanwhile, also when the
// coordinator itself runs the push.
func TestReadiedGoesToTheFront(t *testing.T) {
	for _, byCoordinator := range []bool{true, false} {
		r := start(t, Options{Shards: 1, Slots: 1})
		q := &queues{r: r}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := q.pop(newClient(r), time.Time{}, nil, 0); !got || err != nil {
				t.Error("a newcomer took what was the parked one's", got, err)
			}
		})
		q.parkedAt(t, 0, 1)
		release := hold(t, r, 0)
		wg.Go(func() {
			k := &Call{Latches: []latch.ID{0}, Short: byCoordinator, Work: do(func() { q.items[0]++; q.readyNext(0) })}
			_ = newClient(r).run(k)
		})
		inLine(t, r, 1)
		stole := false
		wg.Go(func() {
			_ = newClient(r).short(0, func() {
				if q.items[0] > 0 {
					q.items[0], stole = 0, true
				}
			})
		})
		inLine(t, r, 2)
		release()
		require.Eventually(t, func() bool { return r.Total().Depth == 0 }, 5*time.Second, time.Millisecond)
		if stole {
			require.NoError(t, q.push(newClient(r), 0)) // let the test end
		}
		wg.Wait()
		require.False(t, stole)
	}
}

func TestAwaitEnds(t *testing.T) {
	r := newRunner(Options{Shards: 1, Slots: 2}, nil)
	q := &queues{r: r}

	_, err := q.pop(newClient(r), time.Now().Add(time.Millisecond), nil, 0)
	require.ErrorIs(t, err, ErrTimeout)

	gone := make(chan struct{})
	errs := make(chan error)
	go func() { _, err := q.pop(newClient(r), time.Time{}, gone, 0); errs <- err }()
	q.parkedAt(t, 0, 2) // the first one's entry is still there, for Ready to skip
	close(gone)
	require.ErrorIs(t, <-errs, ErrGone)

	c := newClient(r)
	go func() { _, err := q.pop(c, time.Time{}, nil, 0, 1); errs <- err }()
	q.parkedAt(t, 0, 3)
	close(c.unblock)
	require.ErrorIs(t, <-errs, ErrUnblocked)

	go func() { _, err := q.pop(newClient(r), time.Time{}, nil, 1); errs <- err }()
	q.parkedAt(t, 1, 2)
	require.NoError(t, r.Stop(t.Context()))
	require.ErrorIs(t, <-errs, ErrStopped)

	require.NoError(t, q.push(newClient(r), 0), "nobody left to be readied")
	requireAtRest(t, r)
}

// Readied, but gone before the latch was free: the next one is readied instead.
func TestReadinessIsPassedOn(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	q := &queues{r: r}
	first := make(chan struct{})
	errs := make(chan error, 2)
	go func() { _, err := q.pop(newClient(r), time.Time{}, first, 0); errs <- err }()
	q.parkedAt(t, 0, 1)
	second := make(chan error, 1)
	go func() {
		got, err := q.pop(newClient(r), time.Time{}, nil, 0)
		if !got {
			t.Error("not served")
		}
		second <- err
	}()
	q.parkedAt(t, 0, 2)

	c := newClient(r)
	c.p.Enter()
	require.NoError(t, r.Run(c.p, &Call{Owner: c.o, Latches: []latch.ID{0}, Work: do(func() {
		q.items[0]++
		q.readyNext(0) // queued now, and the latch is ours still
		require.Zero(t, len(errs))
		close(first)
		inLine(t, r, 1) // the first has withdrawn, and stands in line to pass it on
	})}))
	c.p.Leave()
	require.ErrorIs(t, <-errs, ErrGone)
	require.NoError(t, <-second)
	settled(t, r)
}

// A readied call of several keys that cannot have the others at once goes for
// them from the lowest, and gives up like any other; the readiness is passed on.
func TestReadiedTakesItsOtherLatches(t *testing.T) {
	r := start(t, Options{Shards: 2, Slots: 2})
	q := &queues{r: r}
	c := newClient(r)
	end := make(chan error, 1)
	go func() { _, err := q.pop(c, time.Time{}, nil, 0, 3); end <- err }()
	q.parkedAt(t, 3, 1)
	release := hold(t, r, 0)
	require.NoError(t, q.push(newClient(r), 3))
	require.Eventually(t, func() bool { return r.Stats(0).Depth == 1 }, 5*time.Second, 100*time.Microsecond)
	o, isHeld, _ := r.table.Holder(3)
	require.False(t, isHeld && o == c.o, "it does not wait for a lower one with a higher in hand")
	release()
	require.NoError(t, <-end)

	r.SetWait(time.Millisecond)
	go func() { _, err := q.pop(c, time.Time{}, nil, 0, 3); end <- err }()
	q.parkedAt(t, 3, 1)
	release = hold(t, r, 0)
	require.NoError(t, q.push(newClient(r), 3))
	var err error
	require.Eventually(t, func() bool {
		select {
		case err = <-end:
			return true
		default:
			if r.Total().Timeouts > 0 && release != nil {
				release()
				release = nil
			}
			return false
		}
	}, 5*time.Second, time.Millisecond)
	require.ErrorIs(t, err, ErrBusy)
	require.Equal(t, 1, q.items[3])
	settled(t, r)
}

// Who parks again may be readied before Await has returned; it is to await all
// the same.
func TestParkedAgainAndReadiedAtOnce(t *testing.T) {
	r := start(t, Options{Shards: 1, Slots: 1})
	c, other := newClient(r), newClient(r)
	runs := 0
	var k *Call
	k = &Call{Owner: c.o, Latches: []latch.ID{0}, Work: do(func() {
		if runs++; runs == 1 {
			k.Park()
			r.Ready(k, 0)
		}
	})}
	require.NoError(t, c.long(func() { k.Park() }, 0))
	require.True(t, k.Parked())
	require.NoError(t, other.long(func() { r.Ready(k, 0) }, 0))
	c.p.Enter()
	defer c.p.Leave()
	require.NoError(t, r.Await(c.p, k, time.Time{}, nil))
	require.True(t, k.Parked())
	require.NoError(t, r.Await(c.p, k, time.Time{}, nil))
	require.False(t, k.Parked())
	require.Equal(t, 2, runs)
}

// §12.19: whatever timed out, left or was readied at that moment, no client sleeps
// beside an element, and none is popped twice.
func TestNobodySleepsBesideAnElement(t *testing.T) {
	for name, o := range map[string]Options{
		"two shards":    {Shards: 2, Slots: 2, Drain: 8},
		"one latch":     {Shards: 1, Slots: 1, Drain: 8},
		"always queued": {Shards: 2, Slots: 2, AlwaysQueue: true},
	} {
		t.Run(name, func(t *testing.T) { blockedPops(t, o) })
	}
}

func blockedPops(t *testing.T, o Options) {
	r := startHooked(t, o, yields)
	q := &queues{r: r}
	last := latch.ID(o.Shards*o.Slots - 1)
	var pushed, popped atomic.Int64
	end := time.Now().Add(*dur / 4)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			c := newClient(r)
			for n := i; time.Now().Before(end); n++ {
				if err := q.push(c, latch.ID(n)%(last+1)); err != nil {
					t.Error(err)
				}
				pushed.Add(1)
				for pushed.Load() > popped.Load()+3 && time.Now().Before(end) {
					yields("")
				}
			}
		})
	}
	for i := range 8 {
		wg.Go(func() {
			c := newClient(r)
			for n := i; time.Now().Before(end); n++ {
				ids := []latch.ID{0}
				if last > 0 && n%3 > 0 {
					ids = []latch.ID{latch.ID(n) % last, last}
				}
				got, err := q.pop(c, time.Now().Add(time.Duration(n*7%200)*time.Microsecond), nil, ids...)
				switch {
				case got:
					popped.Add(1)
				case err != ErrTimeout:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// The patient take the rest: a lost readiness would leave one asleep.
	for id := range last + 1 {
		have := q.items[id]
		var g sync.WaitGroup
		for range have + 20 {
			g.Go(func() {
				got, err := q.pop(newClient(r), time.Now().Add(20*time.Second), nil, id)
				if !got {
					t.Error("slept beside an element", err)
				}
				popped.Add(1)
			})
		}
		c := newClient(r)
		for range 20 {
			require.NoError(t, q.push(c, id))
			pushed.Add(1)
		}
		g.Wait()
		require.Zero(t, q.items[id])
	}
	require.Equal(t, pushed.Load(), popped.Load())
	settled(t, r)
	require.NotZero(t, popped.Load())
}
