package electiontest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
)

// An Etcd is one that a test may break.
type Etcd interface {
	Open(o election.Options) (election.Coordinator, error)
	Admin(cluster string) (*election.Admin, error)
	// Cut keeps a node from etcd, or lets it again.
	Cut(node string, cut bool)
	// Freeze has etcd answer nobody until Thaw.
	Freeze()
	Thaw()
	// Restart ends etcd and starts it with its data.
	Restart()
	// Wipe has etcd forget everything.
	Wipe()
}

// TTL is the lease time of the tests, but for those that want a node to live through
// what takes a slow machine long.
const (
	TTL     = 4 * time.Second
	longTTL = 12 * time.Second
)

const clusterID = "c1c1"

// Run tries everything. Each test gets an etcd of its own; in starts it, and wraps
// the test if it has to.
func Run(t *testing.T, in func(t *testing.T, test func(t *testing.T, e Etcd))) {
	for _, c := range []struct {
		name string
		test func(c *cluster)
	}{
		{"the first node founds the cluster", founding},
		{"a leader that is cut off has ended before another begins", takeover},
		{"a deposed leader cannot change the set", fenced},
		{"etcd stands still for longer than a lease", frozen},
		{"etcd restarts and nobody notices", restarted},
		{"etcd has forgotten everything", wiped},
		{"two directories with one name", nameTaken},
		{"the next process of a node takes its place", replaced},
		{"an administrator hands over", handedOver},
		{"a leader resigns to one of two", resigned},
		{"a node that is not healthy makes way", unhealthy},
		{"one of many candidates wins", oneWins},
		{"etcd comes after the node", late},
		{"a node tells its status", told},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			in(t, func(t *testing.T, e Etcd) {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
				t.Cleanup(cancel)
				c.test(&cluster{T: t, ctx: ctx, etcd: e, ttl: TTL})
			})
		})
	}
}

// cluster is what a test has.
type cluster struct {
	*testing.T
	ctx  context.Context
	etcd Etcd
	ttl  time.Duration
}

// member is a node under test.
type member struct {
	election.Coordinator
	c    *cluster
	node election.Node
}

func (c *cluster) init(first string) {
	c.Helper()
	created, err := c.admin().Init(c.ctx, first)
	require.NoError(c, err)
	require.True(c, created)
}

func (c *cluster) admin() *election.Admin {
	c.Helper()
	a, err := c.etcd.Admin("ferricd")
	require.NoError(c, err)
	c.Cleanup(func() { require.NoError(c, a.Close()) })
	return a
}

func described(name string) election.Node {
	return election.Node{Name: name, ID: "ab" + name, Incarnation: name + "1", Client: name + ":1", Replication: name + ":2"}
}

func (c *cluster) open(n election.Node, healthy func() bool) *member {
	c.Helper()
	log := slog.New(slog.NewTextHandler(c.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.Incarnation)
	co, err := c.etcd.Open(election.Options{Cluster: "ferricd", Node: n, TTL: c.ttl, Healthy: healthy, Log: log})
	require.NoError(c, err)
	c.Cleanup(func() { require.NoError(c, co.Close()) })
	return &member{Coordinator: co, c: c, node: n}
}

// ready opens a node and waits for it.
func (c *cluster) ready(name string) *member {
	c.Helper()
	m := c.open(described(name), nil)
	require.NoError(c, m.Ready(c.ctx))
	return m
}

// until waits for a view of the wanted kind.
func (m *member) until(what string, ok func(election.View) bool) election.View {
	m.c.Helper()
	for {
		changed := m.Changed()
		v := m.View()
		if ok(v) {
			return v
		}
		select {
		case <-changed:
		case <-m.c.ctx.Done():
			require.FailNow(m.c, "it never came to this", "%s: %s; %+v", m.node.Name, what, v)
		}
	}
}

func (m *member) claim() election.Claim { return election.Claim{Cluster: clusterID} }

func (m *member) leads() election.Term {
	m.c.Helper()
	t, err := m.Campaign(m.c.ctx, m.claim())
	require.NoError(m.c, err)
	require.True(m.c, t.Valid())
	return t
}

// wins campaigns whenever there is a chance until it has won.
func (m *member) wins() election.Term {
	m.c.Helper()
	for {
		changed := m.Changed()
		if m.View().Leader == nil {
			if t, err := m.Campaign(m.c.ctx, m.claim()); err == nil {
				return t
			}
		}
		timer := time.NewTimer(TTL / 10)
		select {
		case <-changed:
		case <-timer.C:
		case <-m.c.ctx.Done():
			require.FailNow(m.c, "it never won", "%s: %+v", m.node.Name, m.View())
		}
		timer.Stop()
	}
}

func (c *cluster) lost(t election.Term) {
	c.Helper()
	select {
	case <-t.Lost():
		require.False(c, t.Valid())
		require.Zero(c, t.Remaining())
	case <-c.ctx.Done():
		require.FailNow(c, "the term does not end")
	}
}

// pair is a cluster that a leads, with b in the set.
func (c *cluster) pair() (a, b *member, term election.Term) {
	c.Helper()
	c.init("")
	a, b = c.ready("a"), c.ready("b")
	term = a.leads()
	require.NoError(c, term.SetInSync(c.ctx, []election.Member{b.node.Member(), a.node.Member()}))
	return a, b, term
}

func founding(c *cluster) {
	c.init("")
	created, err := c.admin().Init(c.ctx, "b")
	require.NoError(c, err)
	require.False(c, created, "a cluster is made twice")
	a, b := c.ready("a"), c.ready("b")
	v := b.until("the cluster is there", func(v election.View) bool { return v.Exists && v.Known })
	require.Nil(c, v.Leader)
	require.Empty(c, v.Cluster)
	term := a.leads()
	require.Positive(c, term.Epoch())
	require.Equal(c, []election.Member{a.node.Member()}, term.InSync())
	v = b.until("a leads", func(v election.View) bool { return v.Leader != nil })
	require.Equal(c, a.node, *v.Leader)
	require.Equal(c, term.Epoch(), v.Epoch)
	require.Equal(c, clusterID, v.Cluster)
	_, err = b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrTaken)
	_, err = a.Campaign(c.ctx, a.claim())
	require.ErrorIs(c, err, election.ErrTaken)
	require.NoError(c, term.Resign(c.ctx, ""))
	require.False(c, term.Valid())
	c.lost(term)
	_, err = b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrNotInSync)
	_, err = a.Campaign(c.ctx, election.Claim{Cluster: "dd"})
	require.ErrorIs(c, err, election.ErrOtherCluster)
	again := a.leads()
	require.Greater(c, again.Epoch(), term.Epoch())
	require.False(c, term.Valid())
	require.ErrorIs(c, term.SetInSync(c.ctx, []election.Member{a.node.Member()}), election.ErrLost)
}

func takeover(c *cluster) {
	a, b, term := c.pair()
	b.until("it sees the leader", func(v election.View) bool { return v.Leader != nil && v.Holds(b.node.Member()) })
	c.etcd.Cut("a", true)
	begun := time.Now()
	next := b.wins()
	require.False(c, term.Valid(), "two leaders at once")
	c.Logf("took over %v after the cut", time.Since(begun))
	c.lost(term)
	require.Greater(c, next.Epoch(), term.Epoch())
	a.until("it knows that it does not know", func(v election.View) bool { return !v.Known })
	c.etcd.Cut("a", false)
	v := a.until("it sees the new leader", func(v election.View) bool { return v.Known && v.Leader != nil && v.Leader.Name == "b" })
	require.Equal(c, next.Epoch(), v.Epoch)
	require.False(c, term.Valid())
	b.until("a is back", func(v election.View) bool { return v.Node("a") != nil })
}

func fenced(c *cluster) {
	a, b, term := c.pair()
	// Only the new leader is cut off from nothing; the old one learns of it by writing.
	c.etcd.Cut("a", true)
	next := b.wins()
	require.NoError(c, next.SetInSync(c.ctx, []election.Member{b.node.Member()}))
	c.etcd.Cut("a", false)
	require.ErrorIs(c, term.SetInSync(c.ctx, []election.Member{a.node.Member()}), election.ErrLost)
	require.Error(c, next.SetInSync(c.ctx, []election.Member{a.node.Member()}), "a leader leaves the set")
	require.NoError(c, next.Resign(c.ctx, ""))
	require.NoError(c, a.Ready(c.ctx))
	require.Eventually(c, func() bool {
		_, err := a.Campaign(c.ctx, a.claim())
		require.Error(c, err)
		return errors.Is(err, election.ErrNotInSync)
	}, time.Minute, TTL/10)
}

func frozen(c *cluster) {
	a, b, term := c.pair()
	c.etcd.Freeze()
	c.lost(term)
	b.until("it knows that it does not know", func(v election.View) bool { return !v.Known })
	_, err := b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrUnreachable)
	c.etcd.Thaw()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	epochs := make(chan uint64, 2)
	for _, m := range []*member{a, b} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if t, err := m.Campaign(ctx, m.claim()); err == nil {
					epochs <- t.Epoch()
					return
				}
				select {
				case <-m.Changed():
				case <-time.After(TTL / 10):
				case <-ctx.Done():
				}
			}
		})
	}
	select {
	case epoch := <-epochs:
		require.Greater(c, epoch, term.Epoch())
	case <-c.ctx.Done():
		require.FailNow(c, "nobody leads after the freeze")
	}
	require.False(c, term.Valid())
}

func restarted(c *cluster) {
	c.ttl = longTTL
	a, b, term := c.pair()
	for range 2 {
		c.etcd.Restart()
		require.True(c, term.Valid())
		require.NoError(c, term.SetInSync(c.ctx, []election.Member{a.node.Member()}))
		require.NoError(c, term.SetInSync(c.ctx, []election.Member{a.node.Member(), b.node.Member()}))
		b.until("the set", func(v election.View) bool { return v.Known && len(v.InSync) == 2 })
		left := term.Remaining()
		require.Eventually(c, func() bool { return term.Remaining() > left }, time.Minute, TTL/100, "no renewal after the restart")
	}
	require.True(c, term.Valid())
	require.Equal(c, term.Epoch(), b.View().Epoch)
}

func wiped(c *cluster) {
	a, b, term := c.pair()
	c.etcd.Wipe()
	c.lost(term)
	gone := func(v election.View) bool { return v.Known && !v.Exists && errors.Is(v.Err, election.ErrNoCluster) }
	for _, m := range []*member{a, b} {
		m.until("no cluster", gone)
		_, err := m.Campaign(c.ctx, m.claim())
		require.ErrorIs(c, err, election.ErrNoCluster)
		require.ErrorIs(c, m.Ready(c.ctx), election.ErrNoCluster)
	}
	c.init("b")
	been := election.Claim{Cluster: clusterID, MinEpoch: 1000 + term.Epoch(), Member: true}
	for _, m := range []*member{a, b} {
		m.until("registered", func(v election.View) bool { return v.Err == nil && v.Node(m.node.Name) != nil })
	}
	_, err := a.Campaign(c.ctx, been)
	require.ErrorIs(c, err, election.ErrNotFirst)
	next, err := b.Campaign(c.ctx, been)
	require.NoError(c, err)
	require.Greater(c, next.Epoch(), been.MinEpoch)
	require.Equal(c, []election.Member{b.node.Member()}, next.InSync())
}

func nameTaken(c *cluster) {
	c.init("")
	a := c.ready("a")
	other := described("a")
	other.ID, other.Incarnation = "ff", "f1"
	b := c.open(other, nil)
	require.ErrorIs(c, b.Ready(c.ctx), election.ErrNameTaken)
	_, err := b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrNameTaken)
	term := a.leads()
	require.NoError(c, a.Close())
	require.False(c, term.Valid())
	b.until("the name is free", func(v election.View) bool { return v.Err == nil && v.Node("a") != nil && v.Node("a").ID == "ff" })
	_, err = b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrNotInSync, "the name alone is not the member")
}

func replaced(c *cluster) {
	a, b, term := c.pair()
	second := a.node
	second.Incarnation, second.Client = "a2", "elsewhere:1"
	a2 := c.open(second, nil)
	require.NoError(c, a2.Ready(c.ctx))
	// The first cannot live any more where the directory has a lock. If it does, it
	// learns that its key is gone, and does not fight.
	c.lost(term)
	a.until("it knows", func(v election.View) bool { return errors.Is(v.Err, election.ErrReplaced) })
	b.until("its new address", func(v election.View) bool { return v.Node("a") != nil && v.Node("a").Client == "elsewhere:1" })
	next := a2.leads()
	require.Greater(c, next.Epoch(), term.Epoch())
	require.NoError(c, a2.Close())
	a.until("it is back", func(v election.View) bool {
		return v.Err == nil && v.Node("a") != nil && v.Node("a").Incarnation == "a1"
	})
}

// obey has m make way whenever it is asked to, until the test ends.
func (m *member) obey(t election.Term) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			changed := m.Changed()
			if to := m.View().Handover; to != "" {
				_ = t.Resign(m.c.ctx, to)
				return
			}
			select {
			case <-changed:
			case <-m.c.ctx.Done():
				return
			case <-t.Lost():
				return
			}
		}
	}()
	m.c.Cleanup(func() { <-done })
}

func handedOver(c *cluster) {
	a, b, term := c.pair()
	x := c.ready("x")
	admin := c.admin()
	_, err := admin.Handover(c.ctx, "nobody")
	require.ErrorIs(c, err, election.ErrNotAlive)
	_, err = admin.Handover(c.ctx, "x")
	require.ErrorIs(c, err, election.ErrNotInSync)
	_, err = admin.Handover(c.ctx, "a")
	require.ErrorIs(c, err, election.ErrTaken)
	x.until("no hand-over", func(v election.View) bool { return v.Handover == "" })
	a.obey(term)
	won := make(chan election.Term, 1)
	go func() { won <- b.wins() }()
	leader, err := admin.Handover(c.ctx, "")
	require.NoError(c, err)
	require.Equal(c, "b", leader.Name)
	require.Equal(c, "b:1", leader.Client)
	c.lost(term)
	next := <-won
	require.Greater(c, next.Epoch(), term.Epoch())
	x.until("it is done with", func(v election.View) bool { return v.Leader != nil && v.Leader.Name == "b" && v.Handover == "" })
	// Nobody makes way now: the request is withdrawn with its time.
	ctx, cancel := context.WithTimeout(c.ctx, TTL/2)
	defer cancel()
	_, err = admin.Handover(ctx, "a")
	require.ErrorIs(c, err, context.DeadlineExceeded)
	x.until("it is withdrawn", func(v election.View) bool { return v.Handover == "" })
	require.True(c, next.Valid())
}

func resigned(c *cluster) {
	c.ttl = longTTL
	a, b, term := c.pair()
	d := c.ready("d")
	require.NoError(c, term.SetInSync(c.ctx, []election.Member{a.node.Member(), b.node.Member(), d.node.Member()}))
	require.NoError(c, term.Resign(c.ctx, "d"))
	_, err := b.Campaign(c.ctx, b.claim())
	require.ErrorIs(c, err, election.ErrHeldBack)
	_, err = a.Campaign(c.ctx, a.claim())
	require.ErrorIs(c, err, election.ErrHeldBack)
	next := d.leads()
	require.NoError(c, next.Resign(c.ctx, "a"))
	// Who was to lead does not come: after a while anybody may.
	b.wins()
	require.False(c, next.Valid())
}

func unhealthy(c *cluster) {
	c.init("")
	var mu sync.Mutex
	well := true
	set := func(to bool) {
		mu.Lock()
		defer mu.Unlock()
		well = to
	}
	a := c.open(described("a"), func() bool {
		mu.Lock()
		defer mu.Unlock()
		return well
	})
	require.NoError(c, a.Ready(c.ctx))
	b := c.ready("b")
	term := a.leads()
	require.NoError(c, term.SetInSync(c.ctx, []election.Member{a.node.Member(), b.node.Member()}))
	set(false)
	next := b.wins()
	require.False(c, term.Valid())
	b.until("a is gone", func(v election.View) bool { return v.Node("a") == nil })
	_, err := a.Campaign(c.ctx, a.claim())
	require.ErrorIs(c, err, election.ErrUnreachable)
	set(true)
	b.until("a is back", func(v election.View) bool { return v.Node("a") != nil })
	require.True(c, next.Valid())
}

func oneWins(c *cluster) {
	a, b, term := c.pair()
	d := c.ready("d")
	members := []*member{a, b, d}
	require.NoError(c, term.SetInSync(c.ctx, []election.Member{a.node.Member(), b.node.Member(), d.node.Member()}))
	last := term
	for round := range 10 {
		require.NoError(c, last.Resign(c.ctx, ""))
		won := make(chan election.Term, len(members))
		var wg sync.WaitGroup
		for _, m := range members {
			wg.Go(func() {
				t, err := m.Campaign(c.ctx, m.claim())
				if err == nil {
					won <- t
				} else if !errors.Is(err, election.ErrTaken) {
					c.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		require.Len(c, won, 1, "round %d", round)
		next := <-won
		require.Greater(c, next.Epoch(), last.Epoch())
		last = next
	}
}

func late(c *cluster) {
	c.etcd.Freeze()
	a := c.open(described("a"), nil)
	ctx, cancel := context.WithTimeout(c.ctx, TTL)
	defer cancel()
	require.ErrorIs(c, a.Ready(ctx), election.ErrUnreachable)
	require.False(c, a.View().Known)
	_, err := a.Campaign(c.ctx, a.claim())
	require.ErrorIs(c, err, election.ErrUnreachable)
	c.etcd.Thaw()
	a.until("no cluster", func(v election.View) bool { return v.Known && errors.Is(v.Err, election.ErrNoCluster) })
	c.init("")
	a.until("registered", func(v election.View) bool { return v.Err == nil && v.Node("a") != nil })
	a.leads()
}

func told(c *cluster) {
	a, b, _ := c.pair()
	a.SetStatus(election.Status{Role: "leader", Epoch: 7, LSN: 10})
	b.until("the role", func(v election.View) bool { n := v.Node("a"); return n != nil && n.Role == "leader" && n.LSN == 10 })
	for lsn := range uint64(20) {
		a.SetStatus(election.Status{Role: "leader", Epoch: 7, LSN: 11 + lsn, Lag: -1})
	}
	b.until("the last position", func(v election.View) bool { return v.Node("a").LSN == 30 })
	v, err := c.admin().View(c.ctx)
	require.NoError(c, err)
	require.ElementsMatch(c, []election.Member{a.node.Member(), b.node.Member()}, v.InSync)
	require.True(c, slices.ContainsFunc(v.Nodes, func(n election.NodeStatus) bool { return n.Name == "a" && n.LSN == 30 && n.Lag == -1 }), fmt.Sprint(v.Nodes))
}
