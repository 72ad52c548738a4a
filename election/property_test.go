package election

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A step is what happens next; a run of them is drawn before time begins.
type step struct {
	Do    string
	Node  int
	Other int
	N     int
}

func (s step) String() string { return fmt.Sprintf("%s(%d,%d,%d)", s.Do, s.Node, s.Other, s.N) }

var steps = []string{
	"wait", "wait", "wait", "wait", "set", "set", "resign",
	"cut", "cut", "heal", "expire", "freeze", "thaw", "thaw", "deaf", "fail", "slow", "slow", "fast", "reopen",
}

func drawSteps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Do:    rapid.SampledFrom(steps).Draw(t, "do"),
			Node:  rapid.IntRange(0, 2).Draw(t, "node"),
			Other: rapid.IntRange(0, 2).Draw(t, "other"),
			N:     rapid.IntRange(0, 100).Draw(t, "n"),
		}
	}), 1, 60).Draw(t, "steps")
}

// world is three nodes, what they hold, and what has been seen of them.
type world struct {
	f     *Fake
	nodes [3]Coordinator
	stop  [3]func() // ends the candidate of a node
	wg    sync.WaitGroup

	mu     sync.Mutex
	terms  []Term // in the order of their wins
	owner  []int
	faults []string

	writes atomic.Int32 // how many change the set just now
}

var worldNames = [3]string{"a", "b", "c"}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *world) open(i int) {
	n := node(worldNames[i])
	n.Incarnation += fmt.Sprint(time.Now().UnixNano())
	c, err := w.f.Open(Options{Cluster: "ferricd", Node: n, TTL: ttl})
	if err != nil {
		w.fault("open: %v", err)
		return
	}
	w.nodes[i] = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.stop[i] = func() { cancel(); <-done }
	go func() {
		defer close(done)
		w.stand(ctx, i, c)
	}()
}

// stand campaigns whenever nobody leads, and makes all who are there members.
func (w *world) stand(ctx context.Context, i int, c Coordinator) {
	for ctx.Err() == nil {
		changed := c.Changed()
		if v := c.View(); v.Known && v.Leader == nil && w.campaign(ctx, i, c) {
			w.set(7)
		}
		timer := time.NewTimer(ttl / 10)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// check looks for two leaders.
func (w *world) check(after step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var valid []uint64
	for i, t := range w.terms {
		if t.Valid() {
			valid = append(valid, t.Epoch())
			if i != len(w.terms)-1 {
				w.faults = append(w.faults, fmt.Sprintf("after %v: epoch %d lives on", after, t.Epoch()))
			}
		}
	}
	if n := len(w.terms); len(valid) > 0 && w.terms[n-1].Valid() && w.writes.Load() == 0 {
		// Nobody else has touched the set, now or ever.
		if knows, is := w.terms[n-1].InSync(), w.inEtcd(); !slices.Equal(knows, is) {
			w.faults = append(w.faults, fmt.Sprintf("after %v: the leader knows %v, etcd has %v", after, knows, is))
		}
	}
	if len(valid) > 1 {
		w.faults = append(w.faults, fmt.Sprintf("after %v: leaders %v", after, valid))
	}
}

// inEtcd is the set, whatever is in the way.
func (w *world) inEtcd() (set []Member) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if err := decode(w.f.entries[prefixOf("ferricd")+keyInSync].value, &set); err != nil {
		w.faults = append(w.faults, err.Error())
	}
	return set
}

func (w *world) campaign(ctx context.Context, i int, c Coordinator) bool {
	t, err := c.Campaign(ctx, claim)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// Wins are noted out of order when a winner is slow to return; its term is over then.
	if n := len(w.terms); n > 0 && t.Epoch() <= w.terms[n-1].Epoch() {
		if t.Valid() {
			w.faults = append(w.faults, fmt.Sprintf("epoch %d comes after %d", t.Epoch(), w.terms[n-1].Epoch()))
		}
		return false
	}
	if !slices.Contains(t.InSync(), node(worldNames[i]).Member()) {
		w.faults = append(w.faults, fmt.Sprintf("%s won and is not in %v", worldNames[i], t.InSync()))
	}
	w.terms, w.owner = append(w.terms, t), append(w.owner, i)
	return true
}

func (w *world) last() (Term, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.terms) == 0 {
		return nil, 0
	}
	return w.terms[len(w.terms)-1], w.owner[len(w.owner)-1]
}

// set writes the leader, and others by the bits of n.
func (w *world) set(n int) {
	t, owner := w.last()
	if t == nil {
		return
	}
	members := []Member{node(worldNames[owner]).Member()}
	for i, name := range worldNames {
		if i != owner && n>>i&1 == 1 {
			members = append(members, node(name).Member())
		}
	}
	w.writes.Add(1)
	defer w.writes.Add(-1)
	valid := t.Valid()
	err := t.SetInSync(context.Background(), members)
	if err == nil && !valid {
		w.fault("epoch %d wrote %v when it was over", t.Epoch(), members)
	}
}

func (w *world) do(s step) {
	name := worldNames[s.Node]
	switch s.Do {
	case "wait":
		for range 1 + s.N/4 {
			time.Sleep(ttl / 20)
			w.check(s)
		}
	case "set":
		w.wg.Go(func() { w.set(s.N) })
	case "resign":
		if t, _ := w.last(); t != nil {
			to := ""
			if s.N > 30 {
				to = worldNames[s.Other]
			}
			w.wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), ttl)
				defer cancel()
				_ = t.Resign(ctx, to)
			})
		}
	case "cut", "heal":
		w.f.Cut(name, s.Do == "cut")
	case "expire":
		// A lease that ends early is a fault etcd does not have, except when this node
		// gave it up: then its term is over first.
		w.mu.Lock()
		held := len(w.owner) > 0 && w.owner[len(w.owner)-1] == s.Node && w.terms[len(w.terms)-1].Valid()
		w.mu.Unlock()
		if !held {
			w.f.Expire(name)
		}
	case "freeze":
		w.f.Freeze()
	case "thaw":
		w.f.Thaw()
	case "deaf":
		w.f.LoseReplies(name, 1+s.N%3)
	case "fast":
		w.f.Delay(name, 0)
	case "slow":
		w.f.Delay(name, ttl*time.Duration(s.N%70)/100)
	case "fail":
		w.f.FailNext(name, 1+s.N%5)
	case "reopen":
		w.stop[s.Node]()
		_ = w.nodes[s.Node].Close()
		w.open(s.Node)
	}
}

// recovers heals everything and wants a leader who can change the set.
func (w *world) recovers() {
	w.f.Thaw()
	for _, name := range worldNames {
		w.f.Cut(name, false)
		w.f.LoseReplies(name, 0)
		w.f.FailNext(name, 0)
		w.f.Delay(name, 0)
	}
	w.wg.Wait()
	for range 20 {
		time.Sleep(ttl / 2)
		w.set(7)
		if t, _ := w.last(); t != nil && t.Valid() && len(t.InSync()) == 3 {
			return
		}
	}
	w.fault("nobody leads when all is well again: %+v", w.nodes[0].View())
}

// TestOneLeader draws faults and finds at most one leader at any time, epochs that
// only grow, winners that were members, and a leader when the faults are over.
func TestOneLeader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		run := drawSteps(rt)
		var faults []string
		synctest.Test(t, func(*testing.T) {
			w := &world{f: NewFake()}
			if err := w.f.Init("ferricd", ""); err != nil {
				w.fault("init: %v", err)
			}
			for i := range w.nodes {
				w.open(i)
			}
			time.Sleep(ttl)
			for _, s := range run {
				w.do(s)
				w.check(s)
				synctest.Wait()
				w.check(s)
			}
			w.recovers()
			w.check(step{Do: "end"})
			for i, n := range w.nodes {
				w.stop[i]()
				_ = n.Close()
			}
			faults = w.faults
		})
		if len(faults) > 0 {
			rt.Fatalf("%q", faults)
		}
	})
}
