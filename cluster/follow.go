package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/replica"
)

// A link is the leader as this node knows it, be it itself.
type link struct {
	leader election.Node
	epoch  uint64
	state  atomic.Pointer[replica.Progress] // nil: there has been no session
	down   atomic.Int64                     // Unix ns since when the stream is interrupted; 0: it is not
}

// Between two tries to follow, or to reach the leader.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	lastDial   = 50 * time.Millisecond // for a client that waits
)

// follow follows the leader of a view until another one leads. The error is
// errStorage.
func (n *Node) follow(view election.View) error {
	l := &link{leader: *view.Leader, epoch: view.Epoch}
	l.down.Store(time.Now().UnixNano())
	n.noteLeader(l)
	if err := n.o.Keeper.NoteMember(view.Epoch); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	ctx, cancel := context.WithCancel(n.ctx)
	watched := make(chan struct{})
	defer func() {
		cancel()
		<-watched
	}()
	n.spawn("watch the leader", func() {
		defer close(watched)
		defer cancel()
		n.whileLeads(ctx, l)
	})
	said := ""
	for retry := firstRetry; ctx.Err() == nil; retry = min(2*retry, lastRetry) {
		began := time.Now()
		err := replica.Follow(ctx, n.session(l))
		l.ended()
		if ctx.Err() != nil {
			return nil
		}
		if _, failed, on := n.o.Keeper.Log(); !on || failed != nil {
			return fmt.Errorf("%w: %w", errStorage, failed)
		}
		if text := fmt.Sprint(err); text != said {
			n.log.Warn("not following", "leader", l.leader.Name, "error", err)
			said = text
		}
		if time.Since(began) > lastRetry || errors.Is(err, replica.ErrGoodbye) {
			retry = firstRetry
		}
		n.pause(ctx.Done(), retry)
	}
	return nil
}

func (n *Node) session(l *link) replica.FollowOptions {
	return replica.FollowOptions{
		Dial: n.dial(), Addr: l.leader.Replication, Me: n.self,
		Standby: standby{n.standby.Load()}, MinEpoch: l.epoch, Log: n.log,
		OnState:        l.note,
		OnDrop:         func(before uint64) { n.log.Debug("the leader's log begins later", "position", before) },
		OnSnapshotHint: n.o.Keeper.SaveLater,
	}
}

func (l *link) note(s replica.Progress) {
	if s.State == replica.Streaming {
		l.down.Store(0)
	}
	l.state.Store(&s)
}

// ended: the stream is interrupted, since now if it was not.
func (l *link) ended() {
	l.down.CompareAndSwap(0, time.Now().UnixNano())
	if s := l.state.Load(); s != nil {
		now := *s
		now.State = replica.Connecting
		l.state.Store(&now)
	}
}

// whileLeads returns when the leader of the link leads no more. An etcd that is out
// of reach deposes nobody.
func (n *Node) whileLeads(ctx context.Context, l *link) {
	for ctx.Err() == nil {
		changed := n.co.Changed()
		view := n.co.View()
		if registered(view) != nil || view.Known && (view.Leader == nil || view.Leader.ID != l.leader.ID || view.Epoch != l.epoch) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// noteLeader remembers who leads, and tells who wants to know that it is another one.
func (n *Node) noteLeader(l *link) {
	old := n.link.Swap(l)
	n.hub.Know(l.leader.Name, l.epoch)
	from := command.Address{}
	if old != nil {
		from = address(old.leader.Client)
	}
	if to := address(l.leader.Client); from != to {
		n.o.Switched(from, to)
	}
}

// Fresh tells whether what this node has may be shown to those who have said
// READONLY: it follows, and the leader was heard of lately.
func (n *Node) Fresh() bool {
	l := n.link.Load()
	if l == nil {
		return false
	}
	s := l.state.Load()
	return s != nil && s.State == replica.Streaming
}
