//go:build linux

package failover

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// TestMeasure prints the table of README. It judges nothing.
func TestMeasure(t *testing.T) {
	if !*measure {
		t.Skip("make failover-bench runs it")
	}
	needs(t, "etcd", "redis-server")
	var table strings.Builder
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&table, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
		t.Logf("%s: %s", what, fmt.Sprintf(format, args...))
	}
	t.Run("kill", func(t *testing.T) {
		for _, lease := range []int{3, 5} {
			took := takeOvers(t, lease, 7)
			row(fmt.Sprintf("take-over after `kill -9` of the leader, lease-ttl %d", lease), "%v in the median, %v at most (TTL %+.2f s)",
				round(took[len(took)/2]), round(took[len(took)-1]), took[len(took)-1].Seconds()-float64(lease))
		}
	})
	t.Run("handover", func(t *testing.T) {
		worst, failed := handovers(t, 7)
		row("planned hand-over under load, as clients of any node see it", "the slowest call took %v in the median of 7, %v at most; %d failed",
			round(worst[len(worst)/2]), round(worst[len(worst)-1]), failed)
	})
	t.Run("rejoin", func(t *testing.T) {
		missed, took := rejoin(t, time.Minute)
		row("in sync again after a minute away under load", "%v for %d MB of log", round(took), missed>>20)
	})
	t.Run("joining", func(t *testing.T) {
		for _, j := range joinings(t, 5) {
			row("p99 of the leader's SETs "+j.when, "%v (%v to %v), %.1f times that without", round(j.p99), round(j.least), round(j.most), j.ratio)
		}
	})
	t.Run("throughput", func(t *testing.T) {
		for _, s := range throughput(t, 3) {
			row("SETs per second, 50 clients, one at a time: "+s.name, "%.0f, p99 %v", s.perSecond, round(s.p99))
		}
	})
	fmt.Printf("\n| what | measured |\n|---|---|\n%s\n", table.String())
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// takeOvers kills leaders and returns, in order, how long it took until a client was
// answered that asks all nodes.
func takeOvers(t *testing.T, lease, times int) (took []time.Duration) {
	c := newCluster(t, "--lease-ttl", strconv.Itoa(lease))
	for range times {
		leader := c.leader(t)
		others := c.others(leader)
		leader.must(t, "SET", "k", "0")
		// Not in step with the renewals of the lease.
		time.Sleep(time.Duration(len(took)*137) * time.Millisecond)
		var first atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		leader.crash()
		for _, n := range others {
			wg.Go(func() {
				v, err := n.ask(patience, "INCR", "k") // held back until somebody leads
				if err == nil && !v.IsError() {
					first.CompareAndSwap(0, int64(time.Since(start)))
				}
			})
		}
		wg.Wait()
		require.NotZero(t, first.Load(), "nobody has answered")
		took = append(took, time.Duration(first.Load()))
		leader.start(t)
		c.whole(t)
	}
	slices.Sort(took)
	return took
}

// handovers moves the leadership and returns, in order, the slowest call of each time,
// and how many calls failed altogether.
func handovers(t *testing.T, times int) (worst []time.Duration, failed int64) {
	c := newCluster(t)
	w := newLoad(t, c.nodes, 9)
	for i := range times + 2 {
		to := c.nodes[i%3]
		if c.leader(t) == to {
			continue
		}
		w.goesOn(t, 500)
		w.worst.Store(0)
		_, stderr, code := c.admin(t, "handover", to.name)
		require.Zero(t, code, stderr)
		w.goesOn(t, 200)
		worst = append(worst, time.Duration(w.worst.Load()))
	}
	w.end()
	slices.Sort(worst)
	return worst, w.refused.Load() + w.unknown.Load()
}

// rejoin returns how much log a follower has missed, and how long it took until it was
// in sync again.
func rejoin(t *testing.T, away time.Duration) (missed int64, took time.Duration) {
	c := newCluster(t)
	leader := c.leader(t)
	guest := c.others(leader)[0]
	h := hammer(t, leader, 20, "SET")
	guest.crash()
	before := leader.info().number("master_repl_offset")
	time.Sleep(away)
	missed = leader.info().number("master_repl_offset") - before
	start := time.Now()
	guest.start(t)
	c.whole(t)
	took = time.Since(start)
	h.end()
	return missed, took
}

// A hammering is clients that write as fast as they are answered.
type hammering struct {
	stop  chan struct{}
	wg    sync.WaitGroup
	mu    sync.Mutex
	took  []answered
	began time.Time
	ended time.Time
}

// An answered call, by when it was.
type answered struct {
	at   time.Time
	took time.Duration
}

// hammer lets clients write; with "WAIT" they wait for a replica each time, as only
// redis-server needs it.
func hammer(t testing.TB, n *node, clients int, how string) *hammering {
	h := &hammering{stop: make(chan struct{}), began: time.Now()}
	for i := range clients {
		to, err := n.dial(patience)
		require.NoError(t, err)
		h.wg.Go(func() {
			defer to.Close()
			took := h.client(to, i, how)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.took = append(h.took, took...)
		})
	}
	t.Cleanup(h.end)
	return h
}

func (h *hammering) client(to *transcript.Client, id int, how string) (took []answered) {
	for i := 0; ; i++ {
		select {
		case <-h.stop:
			return took
		default:
		}
		start := time.Now()
		if to.Send("SET", fmt.Sprintf("key:%d:%d", id, i%1000), "0123456789abcdef") != nil {
			return took
		}
		if how == "WAIT" && to.Send("WAIT", "1", "0") != nil {
			return took
		}
		for range strings.Count(how, "WAIT") + 1 {
			if v, err := to.Receive(false); err != nil || v.IsError() {
				return took
			}
		}
		now := time.Now()
		took = append(took, answered{now, now.Sub(start)})
	}
}

func (h *hammering) end() {
	h.mu.Lock()
	if h.ended.IsZero() {
		h.ended = time.Now()
		close(h.stop)
	}
	h.mu.Unlock()
	h.wg.Wait()
}

func (h *hammering) p99() time.Duration { return h.p99Between(h.began, h.ended) }

// p99Between is that of the calls that were answered in a time, or 0.
func (h *hammering) p99Between(from, to time.Time) time.Duration {
	var took []time.Duration
	for _, a := range h.took {
		if !a.at.Before(from) && a.at.Before(to) {
			took = append(took, a.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func (h *hammering) perSecond() float64 {
	return float64(len(h.took)) / h.ended.Sub(h.began).Seconds()
}

// A speed is what a kind of server reaches.
type speed struct {
	name      string
	perSecond float64
	p99       time.Duration
}

// throughput measures each kind of server several times, in turn, and returns medians.
func throughput(t *testing.T, rounds int) (speeds []speed) {
	kinds := []struct {
		name string
		how  string
		open func(t *testing.T) *node
	}{
		{"ferricd, leader and 2 followers, insync (on 3 disks)", "SET", func(t *testing.T) *node { return pairOf(t, 3, "insync") }},
		{"ferricd, leader and 1 follower, insync (on 2 disks)", "SET", func(t *testing.T) *node { return pairOf(t, 2, "insync") }},
		{"ferricd, leader and 1 follower, async", "SET", func(t *testing.T) *node { return pairOf(t, 2, "async") }},
		{"redis-server, 1 replica, appendfsync always, WAIT 1 (on 1 disk, in 2 memories)", "WAIT", func(t *testing.T) *node { return redisPair(t, "always") }},
		{"redis-server, 1 replica, appendfsync everysec, WAIT 1 (in 2 memories)", "WAIT", func(t *testing.T) *node { return redisPair(t, "everysec") }},
		{"redis-server, 1 replica, appendfsync everysec", "SET", func(t *testing.T) *node { return redisPair(t, "everysec") }},
	}
	all := make([][]speed, len(kinds))
	for range rounds {
		for i, k := range kinds {
			t.Run(k.name, func(t *testing.T) {
				n := k.open(t)
				h := hammer(t, n, 50, k.how)
				time.Sleep(5 * time.Second)
				h.end()
				all[i] = append(all[i], speed{k.name, h.perSecond(), h.p99()})
			})
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b speed) int { return int(a.perSecond - b.perSecond) })
		speeds = append(speeds, list[len(list)/2])
	}
	return speeds
}

// pairOf is the leader of a cluster of so many.
func pairOf(t *testing.T, nodes int, policy string) *node {
	c := emptyCluster(t, "--ack-policy", policy)
	c.init(t)
	for i := range nodes {
		c.newNode(t, fmt.Sprint("n", i+1)).start(t)
	}
	c.whole(t)
	return c.leader(t)
}

// redisPair is a redis-server that another one follows.
func redisPair(t *testing.T, fsync string) *node {
	dir := t.TempDir()
	server := func(name string, args ...string) *node {
		n := &node{name: name, client: freePort(t), log: filepath.Join(dir, name+".log"), c: &cluster{}}
		argv := append([]string{"redis-server", "--port", strconv.Itoa(n.client), "--dir", t.TempDir(), "--save", "",
			"--appendonly", "yes", "--appendfsync", fsync}, args...)
		n.process = start(t, name, n.log, nil, argv...)
		eventually(t, name+" serves", func() bool {
			v, err := n.ask(patience, "PING")
			return err == nil && v.Str == "PONG"
		})
		return n
	}
	first := server("r1")
	second := server("r2", "--replicaof", "127.0.0.1", strconv.Itoa(first.client))
	eventually(t, "it follows", func() bool { return second.info().follows() })
	return first
}
