package replica

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secrets = [][]byte{[]byte("secret")}

type cleaner interface {
	require.TestingT
	Cleanup(func())
}

// hub starts a hub of a node that leads in an epoch.
func hub(t cleaner, n *node, epoch uint64, o HubOptions) (h *Hub, addr string) {
	o.Me, o.Secrets = n.id(), secrets
	h = NewHub(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.Listen(ln)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	if epoch > 0 {
		n.lead(epoch)
		h.Lead(epoch, n)
	}
	return h, ln.Addr().String()
}

func options(n *node, addr string) FollowOptions {
	return FollowOptions{Dial: Dial{Secrets: secrets, Cluster: "c"}, Addr: addr, Me: n.id(), Standby: n}
}

// session runs one session in the background. What is returned ends it and gives
// its error.
func begins(t cleaner, o FollowOptions) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Follow(ctx, o) }()
	var err error
	end = sync.OnceValue(func() error {
		cancel()
		select {
		case err = <-done:
		case <-time.After(patience):
			require.Fail(t, "the session does not end")
		}
		return err
	})
	t.Cleanup(func() { _ = end() })
	return end
}

// soon waits for something that was promised on a channel.
func soon[T any](t require.TestingT, ch <-chan T, what string) (v T) {
	select {
	case v = <-ch:
	case <-time.After(patience):
		require.Fail(t, "nothing comes", what)
	}
	return v
}

// holds makes a node with data of its own, closed at the end.
func holds(t cleaner, name string) *node {
	n := newNode(t, name)
	t.Cleanup(n.close)
	return n
}

func TestFollowing(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	acks, joined := make(chan Ack, 1<<16), make(chan *Peer, 1)
	gone := make(chan error, 1)
	h, addr := hub(t, a, 7, HubOptions{
		OnJoin: func(p *Peer) { joined <- p },
		OnAck:  func(_ *Peer, k Ack) { acks <- k },
		OnGone: func(_ *Peer, err error) { gone <- err },
		Limits: Limits{Silence: time.Hour},
	})
	a.write(500, 30)
	var last Progress
	o := options(b, addr)
	o.Heartbeat = time.Hour // what is acknowledged is so because it has moved
	streams := make(chan struct{})
	o.OnState = func(p Progress) {
		if p.State == Streaming && last.State != Streaming {
			close(streams)
		}
		last = p
	}
	end := begins(t, o)
	p := soon(t, joined, "a follower")
	require.Equal(t, b.id(), p.Identity())
	soon(t, streams, "the stream")
	a.write(500, 30)
	lsn := a.write(1, 100_000) // more than a chunk of a small message
	a.awaits(lsn)
	b.awaits(lsn)
	for k := (Ack{}); k.Durable < lsn; {
		k = soon(t, acks, "an acknowledgement")
		require.Equal(t, uint64(7), k.Epoch)
	}
	require.Equal(t, a.files(), b.files(), "segments and all")
	state := h.Followers()
	require.Len(t, state, 1)
	require.Equal(t, "b", state[0].Name)
	require.Equal(t, Streaming, state[0].State)
	require.Equal(t, lsn, state[0].Durable)
	require.Equal(t, lsn, state[0].Sent)
	require.NotZero(t, state[0].LastAck)
	needs, ok := h.Needs()
	require.True(t, ok)
	require.Equal(t, lsn, needs)

	require.ErrorIs(t, end(), context.Canceled)
	require.Error(t, soon(t, gone, "the follower's end"))
	require.Eventually(t, func() bool { return len(h.Followers()) == 0 }, patience, time.Millisecond)
	require.Equal(t, map[string]uint64{"lost": 1}, h.Ended())
	require.Equal(t, uint64(7), last.Epoch)
	require.Equal(t, "a", last.Leader.Name)
}

func TestCopiesGoOn(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	_, addr := hub(t, a, 7, HubOptions{})
	a.awaits(a.write(3000, 300))
	require.NoError(t, a.current().DropBefore(5000))
	var total int64
	for _, f := range a.files() {
		total += int64(len(f))
	}
	require.Greater(t, total, int64(900_000))
	o := options(b, addr)
	o.Network = func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		f := &flaky{Conn: nc}
		f.left.Store(600 << 10)
		return f, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.OnState = func(p Progress) {
		if p.State == Streaming {
			cancel()
		}
	}
	tries := 0
	for b.copies == 0 {
		require.Error(t, Follow(ctx, o))
		if tries++; tries > 10 {
			require.Fail(t, "each session begins from the beginning")
		}
	}
	require.Greater(t, tries, 1)
	require.Equal(t, total, b.fetched, "nothing was sent twice")
}

// TestBeforeWhatDestroys: nobody may count on a follower when its data goes, and
// when that cannot be said the follower keeps what it has.
func TestBeforeWhatDestroys(t *testing.T) {
	for _, c := range []struct {
		name         string
		common       bool // the beginning of the log is
		cannot       bool
		cuts, copies int
		asked        int32
	}{
		{"cut", true, false, 1, 0, 1},
		{"copy", false, false, 0, 1, 1},
		{"copy instead of a cut", true, true, 0, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := holds(t, "a"), holds(t, "b")
			old, addr := hub(t, b, 1, HubOptions{})
			if c.common {
				end := begins(t, options(a, addr))
				a.awaits(b.write(200, 100))
				require.Error(t, end())
			}
			require.NoError(t, old.Close())
			before := b.write(10, 10)
			b.awaits(before)

			b.cannotCut = c.cannot
			b.current().SetFollowing(true)
			var asked atomic.Int32
			var refusing atomic.Bool
			refusing.Store(true)
			h, addr := hub(t, a, 2, HubOptions{BeforeFullCopy: func(context.Context, *Peer) error {
				if asked.Add(1); refusing.Load() {
					return errFlaky
				}
				return nil
			}})
			require.Error(t, Follow(context.Background(), options(b, addr)))
			require.Equal(t, int32(1), asked.Load())
			require.Equal(t, before, b.End(), "nothing is lost")

			require.Eventually(t, func() bool { return len(h.Followers()) == 0 }, patience, time.Millisecond)
			refusing.Store(false)
			asked.Store(0)
			end := begins(t, options(b, addr))
			b.awaitsAt(a.write(1, 1), 2)
			require.Error(t, end())
			require.Equal(t, c.asked, asked.Load())
			require.Equal(t, c.cuts, b.cuts)
			require.Equal(t, c.copies, b.copies)
			require.Equal(t, a.files(), b.files())
		})
	}
}

func TestGoodbye(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	gone := make(chan error, 1)
	h, addr := hub(t, a, 7, HubOptions{OnGone: func(_ *Peer, err error) { gone <- err }})
	end := make(chan error, 1)
	go func() { end <- Follow(context.Background(), options(b, addr)) }()
	// The follower has much to acknowledge when it is told.
	lsn := a.write(2000, 100)
	b.awaits(lsn)
	h.Resign("maintenance", "b")
	var bye *GoodbyeError
	require.ErrorAs(t, soon(t, end, "the goodbye"), &bye)
	require.Equal(t, GoodbyeError{Reason: "maintenance", Next: "b"}, *bye)
	require.ErrorIs(t, soon(t, gone, "the follower's end"), ErrResigned)
	require.Empty(t, h.Followers())

	var refused *RefusedError
	require.ErrorAs(t, Follow(context.Background(), options(b, addr)), &refused)
	require.ErrorIs(t, refused, ErrNotLeader)
	require.Equal(t, "b", refused.Leader)
	require.Equal(t, uint64(7), refused.Epoch)
}

func TestLeaderOfAnOldEpoch(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	stale := make(chan uint64, 2)
	_, addr := hub(t, a, 7, HubOptions{OnStale: func(epoch uint64) { stale <- epoch }})
	o := options(b, addr)
	o.MinEpoch = 9
	require.ErrorIs(t, Follow(context.Background(), o), ErrStale)
	require.Equal(t, uint64(9), soon(t, stale, "the higher epoch"))
	b.lead(8)
	o.MinEpoch = 0
	require.ErrorIs(t, Follow(context.Background(), o), ErrStale)
	require.Equal(t, uint64(8), soon(t, stale, "the higher epoch"))
}

// TestTheNewConnectionCounts: one that has died unnoticed does not keep its node out.
func TestTheNewConnectionCounts(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	var order []string
	var mu sync.Mutex
	note := func(word string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, word)
	}
	joined, gone := make(chan struct{}, 2), make(chan error, 2)
	h, addr := hub(t, a, 7, HubOptions{
		OnJoin: func(*Peer) { note("joins"); joined <- struct{}{} },
		OnGone: func(_ *Peer, err error) { note(Cause(err)); gone <- err },
	})
	first := make(chan error, 1)
	go func() { first <- Follow(context.Background(), options(b, addr)) }()
	soon(t, joined, "the first connection")
	begins(t, options(b, addr))
	soon(t, joined, "the second connection")
	require.ErrorIs(t, soon(t, gone, "the first one's end"), ErrReplaced)
	require.Error(t, soon(t, first, "the first one's end"))
	require.Len(t, h.Followers(), 1)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"joins", "replaced", "joins"}, order)
}

func TestNews(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	joined := make(chan struct{}, 1)
	h, addr := hub(t, a, 7, HubOptions{OnJoin: func(*Peer) { joined <- struct{}{} }, Heartbeat: 10 * time.Millisecond})
	o := options(b, addr)
	dropped, hints, beats := make(chan uint64, 1), make(chan struct{}, 1), make(chan Progress, 1)
	o.OnDrop = func(before uint64) { dropped <- before }
	o.OnSnapshotHint = func() { hints <- struct{}{} }
	o.OnState = func(p Progress) {
		if p.End > 0 {
			select {
			case beats <- p:
			default:
			}
		}
	}
	begins(t, o)
	soon(t, joined, "a follower")
	h.Dropped(3000)
	require.Equal(t, uint64(3000), soon(t, dropped, "what was dropped"))
	h.SnapshotHint()
	soon(t, hints, "the hint")
	p := soon(t, beats, "a heartbeat")
	require.Equal(t, a.End(), p.End)
	require.NotZero(t, p.Heard)
}

// TestASlowFollower costs its own session and nobody else's time.
func TestASlowFollower(t *testing.T) {
	a, slow, b := holds(t, "a"), holds(t, "slow"), holds(t, "b")
	gone := make(chan error, 1)
	h, addr := hub(t, a, 7, HubOptions{
		Limits: Limits{Write: 200 * time.Millisecond},
		OnGone: func(p *Peer, err error) {
			if p.Identity().Name == "slow" {
				gone <- err
			}
		},
	})
	slow.blockAppend = make(chan struct{})
	begins(t, options(slow, addr))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil { // on a machine that is slow itself it may be left too
			_ = Follow(ctx, options(b, addr))
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	lsn := uint64(0)
	for range 20 {
		lsn = a.write(10, 100_000)
		require.NoError(t, a.current().AwaitRoom(nil))
	}
	b.awaits(lsn)
	require.ErrorIs(t, soon(t, gone, "the slow follower's end"), ErrSilent)
	require.NotZero(t, h.Ended()["silent"])
	close(slow.blockAppend)
}

// TestResigningWaitsForNobody: not for a snapshot, not for a socket, not for a peer.
func TestResigningWaitsForNobody(t *testing.T) {
	a, b, c := holds(t, "a"), holds(t, "b"), holds(t, "c")
	copying, joined := make(chan struct{}, 4), make(chan struct{}, 1)
	h, addr := hub(t, a, 7, HubOptions{
		BeforeFullCopy: func(context.Context, *Peer) error { copying <- struct{}{}; return nil },
		OnJoin:         func(*Peer) { joined <- struct{}{} },
	})
	c.blockAppend = make(chan struct{})
	begins(t, options(c, addr))
	soon(t, joined, "a follower that takes nothing")
	a.blockPin = true
	a.awaits(a.write(300, 100_000))
	require.NoError(t, a.current().DropBefore(150_000))
	begins(t, options(b, addr))
	soon(t, copying, "a copy")
	done := make(chan struct{})
	go func() {
		h.Resign("enough", "")
		close(done)
	}()
	soon(t, done, "the end of the leadership")
	require.Empty(t, h.Followers())
	close(c.blockAppend)
}

func TestAPanicEndsOneSession(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	_, addr := hub(t, a, 7, HubOptions{OnJoin: func(p *Peer) {
		if p.Identity().Incarnation == "bad" {
			panic("a mistake")
		}
	}})
	o := options(b, addr)
	o.Me.Incarnation = "bad"
	require.Error(t, Follow(context.Background(), o))
	begins(t, options(b, addr))
	b.awaits(a.write(1, 1))
}

// TestLongStepsAreNoSilence: while one side is at work with the copy, the other
// hears that it lives.
func TestLongStepsAreNoSilence(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	h, addr := hub(t, a, 7, HubOptions{Heartbeat: 5 * time.Millisecond})
	a.awaits(a.write(300, 100))
	require.NoError(t, a.current().DropBefore(5000))
	const enough = 10
	pinned, wanted := make(chan struct{}), make(chan struct{})
	a.beforePin = func() { <-pinned }
	b.beforeWant = func() { <-wanted }
	o := options(b, addr)
	o.Heartbeat = 5 * time.Millisecond
	var said atomic.Int64
	o.Network = func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &counted{nc, &said}, err
	}
	beats := 0
	o.OnState = func(p Progress) {
		if p.State == Comparing && !p.Heard.IsZero() {
			if beats++; beats == enough {
				close(pinned)
			}
		}
	}
	begins(t, o)
	soon(t, pinned, "heartbeats while files are pinned")
	h.mu.Lock()
	p := h.peers[b.id().ID]
	h.mu.Unlock()
	require.Eventually(t, func() bool { return p.State().State == Copying }, patience, time.Millisecond)
	before := said.Load()
	require.Eventually(t, func() bool { return said.Load() >= before+enough }, patience, time.Millisecond)
	close(wanted)
	b.awaits(a.write(1, 1))
	require.Equal(t, 1, b.copies)
}

// A counted connection counts what is written to it.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// A timed connection knows its deadline.
type timed struct {
	net.Conn
	deadline time.Time
}

func (c *timed) SetDeadline(t time.Time) error {
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

func TestProxiedConnection(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	over := make(chan struct{})
	o := HubOptions{Me: a.id(), Secrets: secrets, Proxy: func(c net.Conn, hello []byte) {
		defer close(over)
		fmt.Fprintf(c, "+%s\r\n", hello)
		_, _ = io.Copy(c, c)
	}}
	h := NewHub(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.Listen(ln)
	var nc *timed
	d := Dial{Secrets: secrets, Timeout: patience, Network: func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		nc = &timed{Conn: c}
		return nc, err
	}}
	c, err := d.Proxy(context.Background(), ln.Addr().String(), b.id(), []byte("db=3"))
	require.NoError(t, err)
	defer c.Close()
	require.Zero(t, nc.deadline, "it is the client's now")
	_, err = c.Write([]byte("PING\r\n"))
	require.NoError(t, err)
	got := make([]byte, len("+db=3\r\nPING\r\n"))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "+db=3\r\nPING\r\n", string(got))
	h.Resign("a leadership that there is not", "")
	require.NoError(t, h.Close())
	soon(t, over, "the proxied connection's end")
	_, err = c.Read(got)
	require.Error(t, err)

	_, err = d.Proxy(context.Background(), ln.Addr().String(), b.id(), make([]byte, maxExtra+1))
	require.Error(t, err)
}

var _ Source = (*node)(nil)
var _ Standby = (*node)(nil)
