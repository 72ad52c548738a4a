//go:build linux

package failover

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// refusals begin answers that say that a command certainly did not run.
var refusals = []string{"READONLY ", "NOREPLICAS ", "MASTERDOWN ", "TRYAGAIN ", "LOADING ", "MISCONF ", "BUSY "}

// judge tells what an answer says of a call.
func judge(v transcript.Value, err error) (outcome, error) {
	switch {
	case err != nil:
		return unknown, nil //nolint:nilerr // that is what an error says
	case !v.IsError():
		return ran, nil
	case strings.HasPrefix(v.Str, "INDOUBT "):
		return unknown, nil
	}
	for _, word := range refusals {
		if strings.HasPrefix(v.Str, word) {
			return refused, nil
		}
	}
	return unknown, fmt.Errorf("an answer that nothing explains: %s", v.Str)
}

// A load is clients that call for as long as it runs.
type load struct {
	h       *history
	keys    int           // of each kind
	pace    time.Duration // between two calls of a client
	timeout time.Duration // of a call
	stop    chan struct{}
	wg      sync.WaitGroup
	unique  atomic.Int64
	acked   atomic.Int64
	refused atomic.Int64
	unknown atomic.Int64
	worst   atomic.Int64 // nanoseconds that an acknowledged call took

	mu     sync.Mutex
	faults []error
}

// newLoad starts clients, spread over the nodes: each stays with its own.
func newLoad(t testing.TB, nodes []*node, clients int) *load {
	w := &load{
		h: newHistory(), keys: max(2, clients/2), pace: 4 * time.Millisecond, timeout: 25 * time.Second,
		stop: make(chan struct{}),
	}
	for i := range clients {
		n := nodes[i%len(nodes)]
		w.wg.Go(func() { w.client(n, i) })
	}
	t.Cleanup(w.end)
	return w
}

// end stops the load and waits. It may be called more than once.
func (w *load) end() {
	w.mu.Lock()
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// client calls a node until the load ends, over one connection after the other.
func (w *load) client(n *node, id int) {
	rng := rand.New(rand.NewPCG(uint64(id), 1))
	var to *transcript.Client
	defer func() {
		if to != nil {
			to.Close()
		}
	}()
	for {
		select {
		case <-w.stop:
			return
		case <-time.After(w.pace):
		}
		if to == nil {
			var err error
			if to, err = n.dial(w.timeout); err != nil {
				to = nil
				continue
			}
		}
		argv := w.draw(rng)
		before := time.Now()
		sent := w.h.now()
		v, err := to.Do(argv...)
		what, strange := judge(v, err)
		if err != nil {
			v.Str = err.Error()
		}
		w.h.add(id, argv, sent, what, v)
		if strange != nil {
			w.fault(fmt.Errorf("%s: %q: %w", n.name, argv, strange))
		}
		w.count(what, time.Since(before))
		if err != nil || what == unknown {
			to.Close()
			to = nil
		}
	}
}

func (w *load) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, err)
}

func (w *load) count(what outcome, took time.Duration) {
	switch what {
	case ran:
		w.acked.Add(1)
		for {
			worst := w.worst.Load()
			if int64(took) <= worst || w.worst.CompareAndSwap(worst, int64(took)) {
				return
			}
		}
	case refused:
		w.refused.Add(1)
	case unknown:
		w.unknown.Add(1)
	}
}

// draw draws a call. What is written is unlike anything written before.
func (w *load) draw(rng *rand.Rand) []string {
	key := rng.IntN(w.keys)
	switch rng.IntN(8) {
	case 0, 1:
		return []string{"SET", fmt.Sprint("register:", key), fmt.Sprint(w.unique.Add(1))}
	case 2, 3, 4:
		return []string{"GET", fmt.Sprint("register:", key)}
	case 5, 6:
		return []string{"INCR", fmt.Sprint("counter:", key)}
	}
	return []string{"RPUSH", fmt.Sprint("list:", key), fmt.Sprint(w.unique.Add(1))}
}

// goesOn waits until so many calls more have been acknowledged.
func (w *load) goesOn(t testing.TB, calls int64) {
	t.Helper()
	goal := w.acked.Load() + calls
	eventually(t, fmt.Sprintf("%d calls are acknowledged", calls), func() bool { return w.acked.Load() >= goal })
}

// unharmed makes sure that no call has failed.
func (w *load) unharmed(t testing.TB) {
	t.Helper()
	w.end()
	require.Zero(t, w.refused.Load()+w.unknown.Load(), "%s", w.h.failures())
}

// check ends the load, reads at the leader what is left, and judges all of it.
func (w *load) check(t testing.TB, c *cluster) {
	t.Helper()
	w.end()
	require.Empty(t, w.faults)
	w.readAll(t, c.leader(t))
	t.Logf("%d calls acknowledged, %d refused, %d of unknown outcome, the slowest took %v",
		w.acked.Load(), w.refused.Load(), w.unknown.Load(), time.Duration(w.worst.Load()).Round(time.Millisecond))
	t.Log(w.h.failures())
	require.NoError(t, w.h.check())
}

// readAll reads every key.
func (w *load) readAll(t testing.TB, n *node) {
	t.Helper()
	for i := range w.keys {
		for _, argv := range [][]string{
			{"GET", fmt.Sprint("register:", i)}, {"GET", fmt.Sprint("counter:", i)}, {"LRANGE", fmt.Sprint("list:", i), "0", "-1"},
		} {
			sent := w.h.now()
			w.h.add(-1, argv, sent, ran, n.must(t, argv...))
		}
	}
}
