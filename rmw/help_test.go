package rmw

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferricd/ferricd/latch"
)

var dur = flag.Duration("dur", 2*time.Second, "how long each variant of the stress test runs")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// work is a Work made of functions.
type work struct {
	run  func(byCoordinator bool) Verdict
	park func()
}

func (w *work) Run(byCoordinator bool) Verdict { return w.run(byCoordinator) }
func (w *work) BeforePark() {
	if w.park != nil {
		w.park()
	}
}

func do(fn func()) *work {
	return &work{run: func(bool) Verdict { fn(); return Done }}
}

// client is what a connection brings along.
type client struct {
	r *Runner
	p *Pass
	o latch.Owner

	unblock chan struct{}
}

func newClient(r *Runner) *client {
	return &client{r: r, p: r.NewPass(), o: r.NewOwner(), unblock: make(chan struct{})}
}

// unblocker is the channel that CLIENT UNBLOCK would close.
func (c *client) unblocker() <-chan struct{} { return c.unblock }

// run runs a call as a batch of one.
func (c *client) run(k *Call) error {
	k.Owner = c.o
	c.p.Enter()
	defer c.p.Leave()
	return c.r.Run(c.p, k)
}

func (c *client) short(id latch.ID, fn func()) error {
	return c.run(&Call{Latches: []latch.ID{id}, Short: true, Work: do(fn)})
}

func (c *client) long(fn func(), ids ...latch.ID) error {
	return c.run(&Call{Latches: ids, Work: do(fn)})
}

// holder keeps a latch until release is called.
func hold(t *testing.T, r *Runner, ids ...latch.ID) (release func()) {
	t.Helper()
	in, out, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(end)
		c := newClient(r)
		c.p.Enter()
		_ = r.Run(c.p, &Call{Owner: c.o, Latches: ids, Work: do(func() {
			close(in)
			c.p.Leave() // a stuck holder, not one that keeps the gate
			<-out
			c.p.Enter()
		})})
		c.p.Leave()
	}()
	<-in
	return func() { close(out); <-end }
}

func start(t testing.TB, o Options) *Runner { return startHooked(t, o, nil) }

func startHooked(t testing.TB, o Options, hook func(string)) *Runner {
	r := newRunner(o, hook)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, r.Stop(ctx))
		requireAtRest(t, r)
	})
	return r
}

// requireAtRest is row 21: no word, no mark, no odd number, nobody in line.
func requireAtRest(t testing.TB, r *Runner) {
	t.Helper()
	tab := r.Table()
	for id := range latch.ID(tab.Shards() * tab.Slots()) {
		o, isHeld, isWaited := tab.Holder(id)
		require.False(t, isHeld, "latch %d is left held by %d", id, o)
		require.False(t, isWaited, "latch %d is left marked", id)
		require.Zero(t, tab.Seq(id)&1, "latch %d is left closed", id)
	}
	for i := range r.coordinators {
		c := &r.coordinators[i]
		require.Zero(t, c.waiting.Load())
		for j := range c.lines {
			require.Zero(t, c.lines[j].waiting.Load())
		}
	}
}

// settled waits until the words are free: a mark may outlive its line by a note.
func settled(t testing.TB, r *Runner) {
	t.Helper()
	tab := r.Table()
	require.Eventually(t, func() bool {
		for id := range latch.ID(tab.Shards() * tab.Slots()) {
			if _, isHeld, isWaited := tab.Holder(id); isHeld || isWaited || tab.Seq(id)&1 != 0 {
				return false
			}
		}
		return true
	}, 5*time.Second, time.Millisecond)
}

// inLine waits until n calls stand in line.
func inLine(t testing.TB, r *Runner, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Total().Depth == int64(n) }, 5*time.Second, 100*time.Microsecond)
}

func yields(string) {
	switch n := rand.Uint32(); {
	case n&15 == 0:
		runtime.Gosched()
	case n&2047 == 1:
		time.Sleep(20 * time.Microsecond)
	}
}
