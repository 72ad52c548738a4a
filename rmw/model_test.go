package rmw

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

var broken = flag.String("broken", "", "seq|append|list: leave a check out of the stress test, which then fails")

// stress is a small server without protocol: counters, EXEC-like calls, transfers
// over several latches, lists that are renamed, a log, and readers of all kinds,
// all at once and under random yields.
type stress struct {
	t      *testing.T
	r      *Runner
	shards []*index
	closed atomic.Bool // the gate
	end    time.Time
	wg     sync.WaitGroup
	failed atomic.Bool

	logMu sync.Mutex
	log   map[string]int64

	counters   [3]atomic.Int64 // acknowledged
	version    int64
	accounts   [8]int64
	ops, lost  atomic.Int64
	panics     atomic.Int64
	transfers  atomic.Int64
	cuts, fits int
}

// One shard may have one slot only; keys are spread over what there is.
func TestStress(t *testing.T) {
	for name, o := range map[string]Options{
		"as served":        {Shards: 2, Slots: 4},
		"small batches":    {Shards: 2, Slots: 4, Drain: 8},
		"one latch each":   {Shards: 2, Slots: 1, Drain: 8},
		"always in line":   {Shards: 2, Slots: 4, Drain: 8, AlwaysQueue: true},
		"swept all along":  {Shards: 2, Slots: 4, Drain: 8, Sweep: time.Millisecond},
		"panicking loops":  {Shards: 2, Slots: 4, Drain: 8},
		"everything hurts": {Shards: 1, Slots: 1, Drain: 2, AlwaysQueue: true, Sweep: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			hook := yields
			if name == "panicking loops" {
				hook = func(point string) {
					if point != "ready" && point != "withdraw" && rand.IntN(500) == 0 {
						panic(point)
					}
					yields(point)
				}
			}
			s := &stress{t: t, r: startHooked(t, o, hook), log: map[string]int64{}, end: time.Now().Add(*dur / 2)}
			for range o.Shards {
				s.shards = append(s.shards, newIndex())
			}
			s.run(name)
		})
	}
}

func (s *stress) run(name string) {
	s.seed()
	s.spawn(12, s.increment)
	s.spawn(4, s.causality)
	s.spawn(3, s.exec)
	s.spawn(4, s.readExec)
	s.spawn(6, s.transfer)
	s.spawn(1, s.cut)
	s.spawn(3, s.churn)
	s.spawn(3, s.permanent)
	s.spawn(2, s.rename)
	s.spawn(3, s.readList)
	s.spawn(1, s.try)
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(*dur/2 + 60*time.Second):
		panic("stuck: " + name)
	}
	settled(s.t, s.r)
	for i := range s.counters {
		require.Equal(s.t, s.counters[i].Load(), s.value(fmt.Sprint("c", i)), "acknowledged increments of c%d", i)
	}
	total := s.r.Total()
	if name != "panicking loops" {
		require.Zero(s.t, total.Restarts)
	}
	require.Zero(s.t, total.Swept)
	s.t.Logf("%d operations, %d withdrawn, %d panics, %d transfers, %d cuts, %d tries; %+v",
		s.ops.Load(), s.lost.Load(), s.panics.Load(), s.transfers.Load(), s.cuts, s.fits, total)
}

// spawn lets n clients do the same thing until the end.
func (s *stress) spawn(n int, fn func(c *client)) {
	for range n {
		s.wg.Go(func() {
			c := newClient(s.r)
			defer s.r.Retire(c.o)
			for time.Now().Before(s.end) && !s.failed.Load() {
				fn(c)
				s.ops.Add(1)
				yields("")
			}
		})
	}
}

func (s *stress) fail(format string, a ...any) {
	if !s.failed.Swap(true) {
		s.t.Errorf(format, a...)
	}
}

func (s *stress) place(k string) (x *index, id latch.ID, h uint64) {
	h = hashOf(k)
	id = s.r.table.ID(h)
	return s.shards[s.r.table.Shard(id)], id, h
}

func (s *stress) latches(keys ...string) (ids []latch.ID) {
	for _, k := range keys {
		_, id, _ := s.place(k)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *stress) append(k string, v int64) {
	s.logMu.Lock()
	s.log[k] = v
	s.logMu.Unlock()
}

func (s *stress) logged(k string) int64 {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log[k]
}

func (s *stress) value(k string) int64 {
	x, _, h := s.place(k)
	if b := x.get(h, k); b != nil {
		return b.num.Load() + b.val
	}
	return 0
}

// call runs fn under the keys' latches and may lose the call, if wait is short.
func (s *stress) call(c *client, wait time.Duration, closes bool, fn func(), keys ...string) error {
	ids := s.latches(keys...)
	k := &Call{Latches: ids, Short: len(ids) == 1 && rand.IntN(4) != 0, Closes: closes, Wait: wait, Work: &work{
		run: func(byCoordinator bool) Verdict {
			if s.closed.Load() {
				s.fail("a call runs with the gate closed")
			}
			if byCoordinator && rand.IntN(8) == 0 {
				return HandOver
			}
			fn()
			return Done
		},
		park: func() {
			if c.p.Held() {
				s.fail("parks with the gate")
			}
		},
	}}
	if rand.IntN(16) == 0 {
		gone := make(chan struct{})
		k.Gone = gone
		if wait < time.Minute && rand.IntN(2) == 0 {
			close(gone)
		}
	}
	err := c.run(k)
	if !c.p.held && err == nil && !k.Reusable() {
		s.fail("a call that ran is withdrawn")
	}
	return err
}

// must runs fn, though a coordinator panic over it.
func (s *stress) must(c *client, closes bool, fn func(), keys ...string) {
	for {
		err := s.call(c, time.Minute, closes, fn, keys...)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrPanic) {
			s.fail("%v: %v", keys, err)
			return
		}
	}
}

// view is what a reader without a latch sees of a block.
type view struct {
	v       int64
	present bool
}

// get is the reader of one key: without a latch if it can, by a call if not.
func (s *stress) get(c *client, k string) (v view) {
	x, id, h := s.place(k)
	look := func() (v view) {
		yields("")
		if b := x.get(h, k); b != nil {
			yields("")
			v = view{b.num.Load() + b.val, true}
		}
		yields("")
		return v
	}
	c.p.Enter()
	for range 2 {
		before := s.r.table.Seq(id)
		if before&1 != 0 {
			break
		}
		v = look()
		if *broken == "seq" || s.r.table.SeqOf(h) == before {
			c.p.Leave()
			return v
		}
	}
	c.p.Leave()
	s.must(c, false, func() { v = look() }, k)
	return v
}

// seed puts the keys there that never go, and the list.
func (s *stress) seed() {
	for i := range 64 {
		k := fmt.Sprint("p", i)
		x, _, h := s.place(k)
		x.put(h, &block{key: k, val: int64(i)})
	}
	x, _, h := s.place("L")
	x.put(h, &block{key: "L", obj: &list{}})
}

// increment is INCR: logged before it is published, in place or by a new block,
// with panics and withdrawals.
func (s *stress) increment(c *client) {
	i := rand.IntN(len(s.counters))
	k := fmt.Sprint("c", i)
	wait := time.Minute
	if rand.IntN(2) == 0 {
		wait = time.Duration(1 + rand.IntN(100_000))
	}
	boom, inPlace := rand.IntN(50) == 0, rand.IntN(2) == 0
	err := s.call(c, wait, false, func() { s.incr(k, boom, inPlace) }, k)
	switch {
	case err == nil:
		s.counters[i].Add(1)
	case err == ErrBusy || err == ErrGone:
		s.lost.Add(1)
	default:
		s.panics.Add(1)
	}
}

func (s *stress) incr(k string, boom, inPlace bool) {
	x, _, h := s.place(k)
	b := x.get(h, k)
	v := s.value(k)
	yields("")
	if boom {
		panic("boom")
	}
	if *broken != "append" {
		s.append(k, v+1)
	}
	yields("")
	if inPlace && b != nil {
		b.num.Add(1)
	} else {
		x.put(h, &block{key: k, val: v + 1})
	}
	yields("")
	if *broken == "append" {
		s.append(k, v+1)
	}
}

// causality: what is seen has been logged, and never goes back.
func (s *stress) causality(c *client) {
	k := fmt.Sprint("c", rand.IntN(len(s.counters)))
	v := s.get(c, k).v
	if l := s.logged(k); l < v {
		s.fail("%s seen as %d, logged as %d", k, v, l)
	}
	if w := s.get(c, k).v; w < v {
		s.fail("%s went back from %d to %d", k, v, w)
	}
}

// exec gives a and b an odd version, then the same even one; sometimes they are
// deleted in between.
func (s *stress) exec(c *client) {
	keys := []string{"a", "b"}
	s.must(c, true, func() {
		s.version += 2
		for _, k := range keys {
			x, _, h := s.place(k)
			x.put(h, &block{key: k, val: s.version - 1})
			yields("")
		}
		s.append("ab", s.version)
		for _, k := range keys {
			x, _, h := s.place(k)
			if s.version%3 == 0 {
				x.del(h, k)
				yields("")
			}
			x.put(h, &block{key: k, val: s.version})
			yields("")
		}
	}, "a", "b", fmt.Sprint("x", rand.IntN(9)))
}

func (s *stress) readExec(c *client) {
	a := s.get(c, "a")
	if !a.present {
		if s.logged("ab") > 0 && !s.get(c, "a").present {
			s.fail("a is missing")
		}
		return
	}
	b := s.get(c, "b")
	if !b.present || a.v%2 != 0 || b.v%2 != 0 || b.v < a.v {
		s.fail("half an EXEC: a=%v b=%v", a, b)
	}
	if l := s.logged("ab"); l < b.v {
		s.fail("EXEC seen before its record")
	}
}

// transfer is a call of several latches that may give up; the sum stays.
func (s *stress) transfer(c *client) {
	n := len(s.accounts)
	x, y, z := rand.IntN(n), rand.IntN(n), rand.IntN(n)
	key := func(i int) string { return fmt.Sprint("acct", i) }
	err := s.call(c, time.Duration(1+rand.IntN(5_000_000)), false, func() {
		s.accounts[x]--
		yields("")
		s.accounts[y]--
		s.accounts[z] += 2
	}, key(x), key(y), key(z))
	if err == nil {
		s.transfers.Add(1)
	} else {
		s.lost.Add(1)
	}
}

// cut is a snapshot or a FLUSHALL: nothing is half done when the gate is closed.
func (s *stress) cut(*client) {
	time.Sleep(5 * time.Millisecond)
	err := s.r.Exclusive(0, func() {
		s.closed.Store(true)
		sum := int64(0)
		for _, v := range s.accounts {
			sum += v
		}
		if sum != 0 {
			s.fail("cut in the middle of a call: %d", sum)
		}
		if v := s.value("a"); v != s.logged("ab") {
			s.fail("memory has %d, the log %d", v, s.logged("ab"))
		}
		s.closed.Store(false)
	})
	if err != nil {
		s.fail("exclusive: %v", err)
	}
	s.cuts++
}

// churn makes the index grow and fill with places of the deleted.
func (s *stress) churn(c *client) {
	for range 16 {
		k := fmt.Sprint("g", rand.IntN(3000))
		x, _, h := s.place(k)
		del := rand.IntN(2) == 0
		_ = s.call(c, time.Minute, false, func() {
			if del {
				x.del(h, k)
			} else {
				x.put(h, &block{key: k})
			}
		}, k)
	}
}

func (s *stress) permanent(c *client) {
	i := rand.IntN(64)
	if v := s.get(c, fmt.Sprint("p", i)); v != (view{int64(i), true}) {
		s.fail("a key that never goes was lost: %v", v)
	}
}

// rename moves the list between L and M and pushes twice: 2s at M, 1s at L.
func (s *stress) rename(c *client) {
	s.must(c, true, func() {
		from, to, v := "L", "M", int64(2)
		x, _, h := s.place(from)
		b := x.get(h, from)
		if b == nil {
			from, to, v = "M", "L", 1
			x, _, h = s.place(from)
			b = x.get(h, from)
		}
		x2, _, h2 := s.place(to)
		x.del(h, from)
		x2.put(h2, &block{key: to, obj: b.obj})
		for range 2 {
			b.obj.mu.Lock()
			if len(b.obj.items) > 41 {
				b.obj.items = nil
			}
			b.obj.items = append(b.obj.items, v)
			yields("")
			b.obj.mu.Unlock()
			yields("")
		}
	}, "L", "M")
}

// readList is the reader of one collection: it looks after it has locked.
func (s *stress) readList(c *client) {
	k, v := "L", int64(1)
	if rand.IntN(2) == 0 {
		k, v = "M", 2
	}
	x, id, h := s.place(k)
	c.p.Enter()
	defer c.p.Leave()
	b := x.get(h, k)
	if b == nil {
		return
	}
	yields("")
	b.obj.mu.RLock()
	defer b.obj.mu.RUnlock()
	yields("")
	if *broken != "list" && (s.r.table.Seq(id)&1 != 0 || x.get(h, k) != b) {
		return
	}
	if it := b.obj.items; len(it)%2 != 0 || len(it) > 0 && it[len(it)-1] != v {
		s.fail("a list in between: %s %v", k, it)
	}
}

// try is eviction: all or none, never waiting.
func (s *stress) try(c *client) {
	k := fmt.Sprint("g", rand.IntN(3000))
	x, id, h := s.place(k)
	c.p.Enter()
	defer c.p.Leave()
	if s.r.Try(c.p, []latch.ID{id}, c.o, func() { x.del(h, k) }) {
		s.fits++
	}
}
