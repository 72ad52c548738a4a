package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/election"
)

var (
	b  = election.Member{Name: "b", ID: "id-b"}
	c  = election.Member{Name: "c", ID: "id-c"}
	t0 = time.Unix(1_000_000, 0)
)

const timeout = 3 * time.Second

func after(d time.Duration) time.Time { return t0.Add(d) }

// begin begins a term of a leader whose disk takes everything at once.
func begin(end func() uint64, others ...election.Member) *quorum {
	return newQuorum(timeout, end, end, others, t0)
}

func all(string) bool  { return true }
func none(string) bool { return false }

// settled tells whether a wait for lsn is over, and how.
func settled(q *quorum, lsn uint64) (bool, error) {
	gone := make(chan struct{})
	close(gone)
	err := q.await(lsn, gone)
	return !errors.Is(err, errLeft), err
}

func requireOpen(t require.TestingT, q *quorum, lsn uint64) {
	over, _ := settled(q, lsn)
	require.False(t, over, "a reply to %d would go out", lsn)
}

func requireDone(t require.TestingT, q *quorum, lsn uint64) {
	over, err := settled(q, lsn)
	require.True(t, over, "a reply to %d waits", lsn)
	require.NoError(t, err)
}

func TestAloneNobodyIsWaitedFor(t *testing.T) {
	q := begin(func() uint64 { return 100 })
	requireDone(t, q, 100)
	require.False(t, q.look(t0, all).changes())
}

func TestEveryMemberIsWaitedFor(t *testing.T) {
	q := begin(func() uint64 { return 100 }, b, c)
	requireOpen(t, q, 1)
	q.acked(b, 100, t0)
	requireOpen(t, q, 1)
	q.acked(c, 50, t0)
	requireDone(t, q, 50)
	requireOpen(t, q, 51)
	q.acked(c, 100, t0)
	requireDone(t, q, 100)
}

func TestAMemberThatStandsStillLeavesByEtcdFirst(t *testing.T) {
	end := uint64(100)
	q := begin(func() uint64 { return end }, b)
	q.joined(b.ID, t0)
	q.acked(b, 100, t0)
	require.False(t, q.look(t0, all).changes())
	end = 200
	require.False(t, q.look(after(time.Second), all).changes())
	require.False(t, q.look(after(2*time.Second), all).changes())
	q.acked(b, 150, after(3*time.Second))
	require.False(t, q.look(after(5*time.Second), all).changes(), "slow, but it moves")
	r := q.look(after(6*time.Second), all)
	require.Equal(t, []string{b.ID}, r.remove)
	require.Empty(t, r.list)
	requireOpen(t, q, 200)
	q.listed(r)
	requireDone(t, q, 200)
}

// TestMembersAreNotBlamedForTheLeadersDisk: what the leader cannot write nobody can be
// sent.
func TestMembersAreNotBlamedForTheLeadersDisk(t *testing.T) {
	end, written := uint64(100), uint64(100)
	q := newQuorum(timeout, func() uint64 { return end }, func() uint64 { return written }, []election.Member{b}, t0)
	q.joined(b.ID, t0)
	q.acked(b, 100, t0)
	require.False(t, q.look(t0, all).changes())
	end = 200
	require.False(t, q.look(after(time.Second), all).changes())
	require.False(t, q.look(after(time.Hour), all).changes(), "it has all that there is to have")
	written = 200
	require.False(t, q.look(after(time.Hour+time.Second), all).changes(), "it is sent it now")
	r := q.look(after(2*time.Hour), all)
	require.Equal(t, []string{b.ID}, r.remove)
}

func TestDiskWatch(t *testing.T) {
	var w diskWatch
	for _, c := range []struct {
		end, written uint64
		at, idle     time.Duration
	}{
		{100, 100, 0, 0},
		{100, 100, 9, 0}, // nothing is to be written
		{200, 100, 10, 1},
		{300, 100, 12, 3}, // it hangs
		{300, 150, 13, 0},
		{300, 150, 15, 2},
		{300, 300, 16, 0},
	} {
		require.Equal(t, c.idle*time.Second, w.idle(c.end, c.written, after(c.at*time.Second)), c)
	}
}

func TestAnIdleMemberMayBeAway(t *testing.T) {
	q := begin(func() uint64 { return 100 }, b)
	q.acked(b, 100, t0)
	q.left(b.ID)
	require.False(t, q.look(after(time.Hour), none).changes(), "it has everything")
}

func TestADeadMemberLeavesAtOnceWhenSomebodyWaits(t *testing.T) {
	end := uint64(100)
	q := begin(func() uint64 { return end }, b, c)
	q.acked(b, 100, t0)
	q.acked(c, 100, t0)
	q.left(b.ID)
	q.left(c.ID)
	end = 200
	<-q.poke // of left
	waits := make(chan error, 1)
	go func() { waits <- q.await(200, nil) }()
	<-q.poke // of the wait: who is away holds it up
	r := q.look(after(time.Millisecond), func(name string) bool { return name == "c" })
	require.Equal(t, []string{b.ID}, r.remove, "c lives and may come back")
	require.Equal(t, []election.Member{c}, r.list)
	q.listed(r)
	q.acked(c, 200, t0)
	require.NoError(t, <-waits)
}

// TestWhoJoinsHasWhatWasAnsweredBefore: it is waited for at once, and listed only
// when it has everything that may have been answered without it.
func TestWhoJoinsHasWhatWasAnsweredBefore(t *testing.T) {
	end := uint64(100)
	q := begin(func() uint64 { return end })
	requireDone(t, q, 100)
	q.acked(b, 90, t0)
	require.False(t, q.look(t0, all).changes(), "it does not have 100, which was answered")
	end = 120
	requireOpen(t, q, 120)
	q.acked(b, 99, t0)
	require.False(t, q.look(t0, all).changes())
	q.acked(b, 100, t0)
	r := q.look(t0, all)
	require.Equal(t, []string{b.ID}, r.add)
	q.listed(r)
	requireOpen(t, q, 120)
	require.False(t, q.look(t0, all).changes())
}

func TestWhoIsFarBehindIsNotWaitedFor(t *testing.T) {
	q := begin(func() uint64 { return closely * 10 })
	q.acked(b, 10, t0)
	requireDone(t, q, closely*10)
}

func TestAJoinerThatStopsIsForgottenWithoutEtcd(t *testing.T) {
	end := uint64(100)
	q := begin(func() uint64 { return end })
	q.acked(b, 90, t0)
	requireOpen(t, q, 100)
	q.look(t0, all)
	require.False(t, q.look(after(4*time.Second), all).changes())
	requireDone(t, q, 100)
}

func TestLeaveReturnsWhenEtcdHasIt(t *testing.T) {
	q := begin(func() uint64 { return 100 }, b)
	q.acked(b, 100, t0)
	left := make(chan error, 1)
	go func() { left <- q.leave(context.Background(), b.ID, "it copies everything") }()
	<-q.poke
	r := q.look(t0, all)
	require.Equal(t, []string{b.ID}, r.remove)
	select {
	case err := <-left:
		require.Fail(t, "etcd does not have it yet", "%v", err)
	default:
	}
	q.listed(r)
	require.NoError(t, <-left)
	require.NoError(t, q.leave(context.Background(), "stranger", ""))
}

func TestTheEndOfATermEndsAllWaits(t *testing.T) {
	q := begin(func() uint64 { return 100 }, b)
	waits := make(chan error, 1)
	go func() { waits <- q.await(100, nil) }()
	<-q.poke // of the wait: who is away holds it up
	lost := errors.New("lost")
	q.fail(lost)
	require.Equal(t, lost, <-waits)
	require.Equal(t, lost, q.await(1, nil))
	q.acked(b, 100, t0)
	require.Equal(t, lost, q.await(1, nil), "an acknowledgement that comes late changes nothing")
}

// TestWhatIsAnsweredIsOnEveryListedNode drives a quorum at random: at any moment each
// node on etcd's list has everything that has been answered.
func TestWhatIsAnsweredIsOnEveryListedNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end, local, now := uint64(1000), uint64(1000), t0
		durable := map[string]uint64{}
		etcd := map[string]bool{}
		nodes := []election.Member{b, c, {Name: "d", ID: "id-d"}}
		q := begin(func() uint64 { return end })
		answered, pending := uint64(0), (*review)(nil)
		one := rapid.SampledFrom(nodes)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { end += rapid.Uint64Range(1, closely/2).Draw(t, "bytes") },
			"sync":  func(*rapid.T) { local = end },
			"follow": func(t *rapid.T) {
				n := one.Draw(t, "node")
				durable[n.ID] += rapid.Uint64Range(0, end-durable[n.ID]).Draw(t, "bytes")
				q.acked(n, durable[n.ID], now)
			},
			"vanish": func(t *rapid.T) { q.left(one.Draw(t, "node").ID) },
			"answer": func(*rapid.T) {
				if at := min(local, q.floor.Load()); at > answered {
					answered = at
				}
			},
			"look": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(timeout)).Draw(t, "time")))
				if pending == nil {
					if r := q.look(now, all); r.changes() {
						pending = &r
					}
				}
			},
			"etcd": func(*rapid.T) {
				if pending == nil {
					return
				}
				clear(etcd)
				for _, m := range pending.list {
					etcd[m.ID] = true
				}
				q.listed(*pending)
				pending = nil
			},
			"": func(t *rapid.T) {
				for id := range etcd {
					if durable[id] < answered {
						t.Fatalf("%s has %d, %d was answered", id, durable[id], answered)
					}
				}
			},
		})
	})
}
