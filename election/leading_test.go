package election

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const ttl = 5 * time.Second

var ctx = context.Background()

func node(name string) Node {
	return Node{Name: name, ID: "d" + name, Incarnation: name + "-1", Client: name + ":6379", Replication: name + ":16379"}
}

// claim is that of a node with data of the cluster of these tests.
var claim = Claim{Cluster: "c1"}

func open(t *testing.T, f *Fake, n Node) *coordinator {
	t.Helper()
	c, err := f.Open(Options{Cluster: "ferricd", Node: n, TTL: ttl})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c.(*coordinator)
}

// pair is a cluster that a leads, with b in the set.
func pair(t *testing.T) (f *Fake, a, b *coordinator, term Term) {
	t.Helper()
	f = NewFake()
	require.NoError(t, f.Init("ferricd", ""))
	a, b = open(t, f, node("a")), open(t, f, node("b"))
	require.NoError(t, a.Ready(ctx))
	require.NoError(t, b.Ready(ctx))
	term, err := a.Campaign(ctx, claim)
	require.NoError(t, err)
	require.NoError(t, term.SetInSync(ctx, both))
	return f, a, b, term
}

var both = []Member{{"a", "da"}, {"b", "db"}}

func TestALeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, b, term := pair(t)
		for i := range 100 {
			f.FailNext("a", i%2) // is tried again at once
			time.Sleep(ttl / 4)
			require.True(t, term.Valid())
			// Renewed every third, from the moment the last renewal was sent.
			require.Greater(t, term.Remaining(), ttl/2)
			require.LessOrEqual(t, term.Remaining(), ttl-margin(ttl))
		}
		require.Equal(t, term.Epoch(), b.View().Epoch)
	})
}

// The term ends a margin before the lease does, counted from when the last renewal
// was sent that was answered.
func TestTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, b, term := pair(t)
		f.Cut("a", true)
		left := term.Remaining()
		time.Sleep(left - 1)
		require.True(t, term.Valid())
		select {
		case <-term.Lost():
			require.FailNow(t, "lost too early")
		default:
		}
		time.Sleep(time.Nanosecond)
		require.False(t, term.Valid())
		synctest.Wait()
		select {
		case <-term.Lost():
		default:
			require.FailNow(t, "nobody was told")
		}
		require.NotNil(t, b.View().Leader, "etcd still has the lease")
		_, err := b.Campaign(ctx, claim)
		require.ErrorIs(t, err, ErrTaken)
		time.Sleep(margin(ttl))
		synctest.Wait()
		require.Nil(t, b.View().Leader)
		next, err := b.Campaign(ctx, claim)
		require.NoError(t, err)
		require.Greater(t, next.Epoch(), term.Epoch())
	})
}

// What a renewal took is not counted in: etcd may have begun to count when it was sent.
func TestASlowRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _, term := pair(t)
		const slow = ttl / 6
		f.Delay("a", slow)
		time.Sleep(ttl / 2)
		for range 10 * 100 {
			time.Sleep(ttl / 100)
			require.True(t, term.Valid())
			require.LessOrEqual(t, term.Remaining(), ttl-margin(ttl)-slow)
			if term.Remaining() < ttl/3 {
				require.FailNow(t, "it is renewed too late")
			}
		}
	})
}

// A renewal that was on its way when the deadline passed changes nothing: the term is
// over although etcd has renewed the lease.
func TestALateAnswerDoesNotRevive(t *testing.T) {
	now := int64(1000)
	s := newSession(1, now, ttl, func() int64 { return now })
	defer s.end(ErrClosed)
	sent := now + int64(ttl/3)
	now += int64(ttl - margin(ttl) - 1)
	require.Positive(t, s.left())
	now++
	require.LessOrEqual(t, s.left(), time.Duration(0))
	require.False(t, s.extend(sent, ttl))
	require.LessOrEqual(t, s.left(), time.Duration(0))
	<-s.lost
	require.ErrorIs(t, s.reason(), errDeadline)
}

// A process that was stopped, on a machine that was suspended: no timer has run, and
// the first question is answered rightly.
func TestValidNeedsNoGoroutine(t *testing.T) {
	now := int64(1000)
	s := newSession(1, now, time.Hour, func() int64 { return now })
	defer s.end(ErrClosed)
	term := &term{s: s}
	require.True(t, term.Valid())
	now += int64(time.Hour)
	require.False(t, term.Valid())
	require.Zero(t, term.Remaining())
}

func TestARenewalCountsFromWhenItWasSent(t *testing.T) {
	now := int64(1000)
	s := newSession(1, now, ttl, func() int64 { return now })
	defer s.end(ErrClosed)
	sent := now
	now += int64(ttl / 2) // so long it took
	require.True(t, s.extend(sent, ttl))
	require.Equal(t, ttl/2-margin(ttl), s.left())
	require.True(t, s.extend(now, ttl))
	require.True(t, s.extend(sent, ttl), "an older answer")
	require.Equal(t, ttl-margin(ttl), s.left(), "an older answer does not shorten it")
}

func TestAnElectionOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, b, term := pair(t)
		require.NoError(t, term.Resign(ctx, "b"))
		f.LoseReplies("b", 2)
		next, err := b.Campaign(ctx, claim)
		require.NoError(t, err)
		require.Equal(t, both, next.InSync())
		synctest.Wait()
		require.Equal(t, next.Epoch(), b.View().Epoch)
		require.True(t, next.Valid())
	})
}

func TestASetOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, term := pair(t)
		f.LoseReplies("a", 3)
		require.NoError(t, term.SetInSync(ctx, both[:1]))
		require.Equal(t, both[:1], term.InSync())
		synctest.Wait()
		require.Equal(t, both[:1], b.View().InSync)
		// Nothing of it is known, and the leadership ends meanwhile.
		f.LoseReplies("a", 1)
		time.AfterFunc(1, func() { f.Cut("a", true) })
		require.ErrorIs(t, term.SetInSync(ctx, both), ErrLost)
		require.False(t, term.Valid())
		synctest.Wait()
		require.False(t, a.View().Known)
	})
}

// A request that was given up on arrives after a later one: the set stays.
func TestAStragglerChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, held := pair(t)
		term := held.(*term)
		late := setInSync(term.created, term.modified, nil)
		require.NoError(t, term.SetInSync(ctx, both[:1]))
		done, _, err := a.d.commit(ctx, late)
		require.NoError(t, err)
		require.False(t, done)
		synctest.Wait()
		require.Equal(t, both[:1], b.View().InSync)
	})
}

// An administrator's hand in the set is noticed, not fought.
func TestTheSetIsEditedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, b, term := pair(t)
		f.Put("ferricd", keyInSync, `[{"name":"a","id":"da"}]`)
		require.NoError(t, term.SetInSync(ctx, both))
		synctest.Wait()
		require.Equal(t, both, b.View().InSync)
		require.True(t, term.Valid())
		f.Put("ferricd", keyInSync, `nonsense`)
		synctest.Wait()
		require.ErrorIs(t, b.View().Err, ErrMalformed)
		require.ErrorIs(t, term.SetInSync(ctx, both), ErrMalformed)
		require.NoError(t, term.Resign(ctx, ""))
		_, err := b.Campaign(ctx, claim)
		require.ErrorIs(t, err, ErrMalformed)
		f.Put("ferricd", keyInSync, `[{"name":"b","id":"db"}]`)
		time.Sleep(ttl)
		require.NoError(t, b.View().Err)
		_, err = b.Campaign(ctx, claim)
		require.NoError(t, err)
	})
}

// The leader key of an attempt that was given up on appears: nobody leads by it, and
// it goes away.
func TestALeaderKeyWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, term := pair(t)
		s := a.session.Load()
		st, err := a.read(ctx)
		require.NoError(t, err)
		require.NoError(t, term.Resign(ctx, "a"))
		late := txn{then: []write{{key: keyLeader, value: encode(a.me), lease: s.lease}}}
		done, _, err := a.d.commit(ctx, late)
		require.NoError(t, err)
		require.True(t, done)
		synctest.Wait()
		require.Nil(t, b.View().Leader)
		require.NotContains(t, b.View().InSync, Member{})
		require.NotNil(t, st.leader)
		// And if its own next attempt meets it.
		_, _, err = a.d.commit(ctx, late)
		require.NoError(t, err)
		next, err := a.Campaign(ctx, claim)
		require.NoError(t, err)
		synctest.Wait()
		require.True(t, next.Valid())
		require.Equal(t, next.Epoch(), b.View().Epoch)
	})
}

// While the request to resign is on its way there is a leader key and no valid term.
// It is not deleted without the hint.
func TestResigningIsNotHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, term := pair(t)
		slow := func(node string, t txn) {
			if node == "a" && len(t.then) == 2 && t.then[1].key == keyHandover {
				a.looking.ring()
				time.Sleep(ttl / 50)
				_, _ = a.Campaign(ctx, claim)
			}
		}
		f.onCommit.Store(&slow)
		require.NoError(t, term.Resign(ctx, "b"))
		synctest.Wait()
		require.Equal(t, "b", b.View().Handover)
		_, err := a.Campaign(ctx, claim)
		require.ErrorIs(t, err, ErrHeldBack)
	})
}

func TestResigningWhileCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, term := pair(t)
		f.Cut("a", true)
		lease := a.session.Load()
		within, cancel := context.WithTimeout(ctx, ttl/10)
		defer cancel()
		require.ErrorIs(t, term.Resign(within, "b"), ErrUnreachable)
		require.False(t, term.Valid())
		<-lease.lost
		f.Cut("a", false)
		time.Sleep(ttl / 2)
		require.Nil(t, b.View().Leader, "the leader key goes with the lease that was given back")
		require.NotNil(t, b.View().Node("a"), "and a registers again")
		next, err := a.Campaign(ctx, claim)
		require.NoError(t, err)
		require.Greater(t, next.Epoch(), term.Epoch())
	})
}

// Etcd restored from a backup: what it says about the set may be old.
func TestEtcdIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, b, term := pair(t)
		restore := f.Backup()
		f.Skip(100)
		require.NoError(t, term.Resign(ctx, ""))
		next, err := b.Campaign(ctx, claim)
		require.NoError(t, err)
		require.NoError(t, next.SetInSync(ctx, both[1:]))
		restore()
		synctest.Wait()
		time.Sleep(ttl)
		require.False(t, next.Valid())
		require.Equal(t, both, b.View().InSync, "the old set")
		_, err = b.Campaign(ctx, Claim{Cluster: "c1", MinEpoch: next.Epoch(), Member: true})
		require.ErrorIs(t, err, ErrRolledBack)
	})
}

func TestCloseGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, term := pair(t)
		require.NoError(t, a.Close())
		require.False(t, term.Valid())
		<-term.Lost()
		synctest.Wait()
		require.Nil(t, b.View().Leader, "at once")
		require.Equal(t, []string{"insync", "meta", "nodes/b"}, f.Keys("ferricd"))
		_, err := a.Campaign(ctx, claim)
		require.Error(t, err)
		require.ErrorIs(t, a.Ready(ctx), ErrClosed)
		require.NoError(t, a.Close(), "twice")
	})
}

func TestAPanicEndsTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake()
		require.NoError(t, f.Init("ferricd", ""))
		var fatal atomic.Bool
		c, err := f.Open(Options{Cluster: "ferricd", Node: node("a"), TTL: ttl, Healthy: func() bool {
			if fatal.CompareAndSwap(true, false) {
				panic("a fault of the test")
			}
			return true
		}})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		require.NoError(t, c.Ready(ctx))
		term, err := c.Campaign(ctx, claim)
		require.NoError(t, err)
		fatal.Store(true)
		<-term.Lost()
		time.Sleep(2 * ttl)
		require.NoError(t, c.Ready(ctx))
		_, err = c.Campaign(ctx, claim)
		require.NoError(t, err)
	})
}

// A watch that has silently died costs half a lease's time.
func TestADeadWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, _ := pair(t)
		synctest.Wait()
		f.mu.Lock()
		clear(f.watches[b.d.(*fakeDriver)])
		f.mu.Unlock()
		a.SetStatus(Status{Role: "leader", LSN: 5})
		time.Sleep(ttl/2 + 1)
		synctest.Wait()
		require.EqualValues(t, 5, b.View().Node("a").LSN)
		time.Sleep(ttl)
		a.SetStatus(Status{Role: "leader again", LSN: 6})
		synctest.Wait()
		require.EqualValues(t, 6, b.View().Node("a").LSN, "it watches anew")
	})
}

func TestOptionsThatCannotBe(t *testing.T) {
	good := Options{Endpoints: []string{"http://127.0.0.1:1"}, Cluster: "ferricd", Node: node("a"), TTL: ttl}
	for name, change := range map[string]func(*Options){
		"cluster":  func(o *Options) { o.Cluster = "a/b" },
		"node":     func(o *Options) { o.Node.Name = "" },
		"id":       func(o *Options) { o.Node.ID = "" },
		"endpoint": func(o *Options) { o.Endpoints = nil },
		"URL":      func(o *Options) { o.Endpoints = []string{"ftp://a:1"} },
		"mixed":    func(o *Options) { o.Endpoints = []string{"http://a:1", "https://b:1"} },
		"short":    func(o *Options) { o.TTL = time.Second },
		"long":     func(o *Options) { o.TTL = time.Hour },
		"uneven":   func(o *Options) { o.TTL = 3500 * time.Millisecond },
	} {
		o := good
		change(&o)
		_, err := Open(o)
		require.Error(t, err, name)
	}
	c, err := Open(good)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func BenchmarkValid(b *testing.B) {
	s := newSession(1, bootNanos(), time.Hour, bootNanos)
	defer s.end(ErrClosed)
	t := &term{s: s}
	for b.Loop() {
		if !t.Valid() {
			b.Fatal("it ended")
		}
	}
}
