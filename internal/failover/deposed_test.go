//go:build linux

package failover

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
	"github.com/ferricd/ferricd/internal/transcript"
)

// A late call lies in the socket of a process that does not run.
type late struct {
	argv []string
	sent time.Duration
	to   *transcript.Client
}

// TestWritesInTheBufferOfAFrozenLeader sends calls to a leader that is frozen, some at
// once and some when it has been replaced and others have written, and lets it read
// them when all that is long ago.
func TestWritesInTheBufferOfAFrozenLeader(t *testing.T) {
	c := newCluster(t)
	old := c.leader(t)
	epoch := old.info().number("ferricd_epoch")
	w := newLoad(t, c.others(old), 6)
	w.goesOn(t, 200)
	// Each late call has a connection of its own, which is known to the leader.
	var calls []*late
	for i := range 48 {
		to, err := old.dial(patience)
		require.NoError(t, err)
		t.Cleanup(func() { to.Close() })
		v, err := to.Do("PING")
		require.NoError(t, err)
		require.Equal(t, "PONG", v.Str)
		key := i / 4 % w.keys
		calls = append(calls, &late{to: to, argv: [][]string{
			{"SET", fmt.Sprint("register:", key), fmt.Sprint("late", i)},
			{"GET", fmt.Sprint("register:", key)},
			{"INCR", fmt.Sprint("counter:", key)},
			{"RPUSH", fmt.Sprint("list:", key), fmt.Sprint("late", i)},
		}[i%4]})
	}
	send := func(calls []*late) {
		for _, k := range calls {
			k.sent = w.h.now()
			require.NoError(t, k.to.Send(k.argv...))
		}
	}
	old.stop(t)
	send(calls[:24])
	c.leads(t, epoch+1, old)
	w.goesOn(t, 200)
	send(calls[24:])
	leases(2)
	old.cont(t)
	for i, k := range calls {
		v, err := k.to.Receive(false)
		what, strange := judge(v, err)
		require.NoError(t, strange)
		w.h.add(100+i, k.argv, k.sent, what, v)
	}
	c.whole(t)
	w.check(t, c)
	c.same(t)
}

// TestADeposedLeaderAnswersNoReads asks a leader that cannot reach etcd for a key for
// as long as it answers: once somebody else may have written, it must not.
func TestADeposedLeaderAnswersNoReads(t *testing.T) {
	c := newCluster(t, "--proxy-wait", "500")
	old := c.leader(t)
	epoch := old.info().number("ferricd_epoch")
	old.must(t, "SET", "k", "before")
	old.cutFromEtcd(faultnet.Cut)
	old.cutFromNodes(faultnet.Cut)

	type answer struct {
		sent time.Time
		text string
	}
	var answers []answer
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			a := answer{sent: time.Now()}
			v, err := old.ask(patience, "GET", "k")
			if err != nil || v.IsError() { // it has understood
				return
			}
			a.text = v.Str
			answers = append(answers, a)
		}
	}()
	leader := c.leads(t, epoch+1, old)
	require.Equal(t, "before", leader.must(t, "GET", "k").Str)
	leader.must(t, "SET", "k", "after")
	written := time.Now()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the deposed leader goes on answering")
	}
	require.NotEmpty(t, answers)
	for _, a := range answers {
		require.False(t, a.sent.After(written) && a.text == "before", "a stale read, %v after the write", a.sent.Sub(written))
	}
	t.Logf("its last answer was asked for %v before the new leader's first write was acknowledged", written.Sub(answers[len(answers)-1].sent))
	c.heal()
	c.whole(t)
	require.Equal(t, "after", leader.must(t, "GET", "k").Str)
	c.same(t)
}

// TestOnlyTheInSyncSetMayLead lets a follower fall behind, and then takes away all who
// have what it lacks.
func TestOnlyTheInSyncSetMayLead(t *testing.T) {
	c := newCluster(t)
	first := c.leader(t)
	leader := first
	behind, other := c.others(leader)[0], c.others(leader)[1]
	leader.fromNodes.Set(behind.name, faultnet.Cut)
	leader.must(t, "SET", "k", "1") // answered when the one that does not acknowledge has left the set
	require.NotContains(t, c.members(t), behind.name)
	epoch := leader.info().number("ferricd_epoch")
	leader.crash()

	other.note("it is to lead")
	require.Equal(t, other, c.leads(t, epoch+1, leader))
	require.Equal(t, "1", other.must(t, "GET", "k").Str)
	c.heal()
	c.whole(t)
	require.Equal(t, "1", behind.must(t, "GET", "k").Str) // proxied

	// Now nobody who is left has it all.
	leader = other
	leader.fromNodes.Set(behind.name, faultnet.Cut)
	leader.must(t, "SET", "k", "2")
	require.Equal(t, []string{leader.name}, c.members(t))
	leader.crash()
	leases(2.5)
	require.False(t, behind.info().leads(), "it leads without what was acknowledged")
	leader.start(t)
	c.heal()
	require.Equal(t, leader, c.leads(t, epoch+2))
	require.Equal(t, "2", leader.must(t, "GET", "k").Str)
	first.start(t)
	c.whole(t)
	c.same(t)
}

// TestMinInSync lets the set shrink below what writes need.
func TestMinInSync(t *testing.T) {
	c := newCluster(t, "--min-insync-replicas", "2")
	leader := c.leader(t)
	followers := c.others(leader)
	leader.must(t, "SET", "k", "1")
	followers[0].crash()
	leader.must(t, "SET", "k", "2") // two are left
	followers[1].crash()
	eventually(t, "the set is too small", func() bool {
		v, err := leader.ask(patience, "SET", "k", "3")
		return err == nil && v.Str == "NOREPLICAS Not enough good replicas to write."
	})
	v := leader.must(t, "GET", "k")
	require.Contains(t, []string{"2", "3"}, v.Str) // a write that shrank the set itself is INDOUBT
	followers[0].start(t)
	eventually(t, "writes are taken again", func() bool {
		v, err := leader.ask(patience, "SET", "k", "4")
		return err == nil && v.Str == "OK"
	})
	followers[1].start(t)
	c.whole(t)
	c.same(t)
}
