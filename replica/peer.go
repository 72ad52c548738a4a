package replica

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
)

// State is what a session is doing. A leader knows only some of its follower's.
type State int32

// The states of a session, in their order.
const (
	Connecting State = iota
	Comparing        // positions, or files
	Cutting          // the log back to where it parts from the leader's
	Copying          // files
	Installing       // them
	Streaming        // the log, as it grows
	Gone
)

func (s State) String() string {
	return [...]string{"connecting", "comparing", "cutting", "copying", "installing", "streaming", "gone"}[s]
}

// PeerState is how far a follower has come.
type PeerState struct {
	Name, ID, Incarnation string
	Addr                  string // it connects from
	State                 State
	// Positions in the log; 0 before the stream.
	Sent, Received, Applied, Durable uint64
	LastAck                          time.Time // by this node's clock; zero: none yet
	CopyDone, CopyTotal              int64     // bytes of the full copy
}

// nowhere is the position of who needs nothing.
const nowhere = math.MaxUint64

// A Peer is a follower that is connected.
type Peer struct {
	id   Identity
	addr string
	stop context.CancelCauseFunc
	done chan struct{} // closed when nothing of it is left

	state               atomic.Int32
	sent                atomic.Uint64
	needs               atomic.Uint64
	copyDone, copyTotal atomic.Int64

	mu      sync.Mutex
	last    Ack
	lastAt  time.Time
	dropped uint64 // to be told
	hint    bool
	wake    chan struct{}
}

// Identity is what the follower says of itself.
func (p *Peer) Identity() Identity { return p.id }

// Addr is where it connects from.
func (p *Peer) Addr() string { return p.addr }

// State tells how far it has come.
func (p *Peer) State() PeerState {
	p.mu.Lock()
	last, at := p.last, p.lastAt
	p.mu.Unlock()
	return PeerState{
		Name: p.id.Name, ID: p.id.ID, Incarnation: p.id.Incarnation, Addr: p.addr,
		State: State(p.state.Load()),
		Sent:  p.sent.Load(), Received: last.Received, Applied: last.Applied, Durable: last.Durable,
		LastAck:  at,
		CopyDone: p.copyDone.Load(), CopyTotal: p.copyTotal.Load(),
	}
}

// note changes what is to be told and wakes the goroutine that tells it.
func (p *Peer) note(change func()) {
	p.mu.Lock()
	change()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// news takes what is to be told.
func (p *Peer) news() (list []message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropped > 0 {
		list = append(list, &drop{before: p.dropped})
	}
	if p.hint {
		list = append(list, &snapshotHint{})
	}
	p.dropped, p.hint = 0, false
	return list
}

func (p *Peer) acked(m ack) Ack {
	a := Ack{Epoch: m.epoch, Received: m.received, Applied: m.applied, Durable: m.durable}
	p.mu.Lock()
	p.last, p.lastAt = a, time.Now()
	p.mu.Unlock()
	return a
}

// Cause names in a word why a session ended, for counters and logs.
func Cause(err error) string {
	for _, c := range []struct {
		err  error
		word string
	}{
		{ErrSilent, "silent"}, {ErrReplaced, "replaced"}, {ErrResigned, "resigned"}, {ErrStale, "stale"},
		{ErrProtocol, "protocol"}, {aof.ErrGone, "gone"}, {ErrTooLarge, "too-large"}, {ErrClosed, "closed"},
	} {
		if errors.Is(err, c.err) {
			return c.word
		}
	}
	return "lost"
}
