package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
)

// FollowOptions say whom to follow and with what.
type FollowOptions struct {
	Dial
	Addr    string // host:port of the leader's hub
	Me      Identity
	Standby Standby
	// MinEpoch is the highest epoch known; a leader of a lower one is not followed.
	MinEpoch uint64
	Log      *slog.Logger
	// Heartbeat is how often the leader hears of us; 500 ms if 0.
	Heartbeat time.Duration
	// Silence is how long the leader may be: 3 s if 0, at least six heartbeats.
	Silence time.Duration

	// What happens, told by the goroutine of Follow. The functions may be nil and
	// must not wait.
	OnState        func(Progress)
	OnDrop         func(before uint64)
	OnSnapshotHint func()
}

// Progress is what a session has come to, and what the leader last said.
type Progress struct {
	State               State
	Leader              Identity
	Epoch               uint64
	Cluster             string    // the leader's
	End, Commit         uint64    // by the last heartbeat
	Heard               time.Time // the last heartbeat, by our clock
	CopyDone, CopyTotal int64
}

func (o *FollowOptions) defaults() {
	positive(&o.Heartbeat, 500*time.Millisecond)
	positive(&o.Silence, max(3*time.Second, 6*o.Heartbeat))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Follow is one session with a leader: it returns when that is over, and why.
// When ctx ends the connection is closed at once; a Standby or Staging that is at
// work ends by itself or by being closed.
func Follow(ctx context.Context, o FollowOptions) (err error) {
	o.defaults()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("replica: panic: %v", p)
		}
	}()
	s := &link{o: o}
	s.tell(func(*Progress) {})
	w, peer, err := o.connect(ctx, o.Addr, o.hello(PurposeStream, o.Me, o.MinEpoch, nil))
	if err != nil {
		return err
	}
	s.w, s.m = w, &follower{epoch: peer.epoch, cluster: o.Cluster}
	s.tell(func(st *Progress) {
		st.State, st.Leader, st.Epoch, st.Cluster = Comparing, peer.peer, peer.epoch, peer.cluster
	})
	return s.run(ctx)
}

// link is the network loop around a follower.
type link struct {
	o     FollowOptions
	w     *wire
	m     *follower
	state Progress
	stage Staging

	streaming atomic.Bool
	started   chan struct{} // wakes the acker when the stream begins
	wg        sync.WaitGroup
}

func (s *link) tell(change func(*Progress)) {
	change(&s.state)
	if s.o.OnState != nil {
		s.o.OnState(s.state)
	}
}

func (s *link) run(parent context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(parent)
	s.started = make(chan struct{})
	unhook := context.AfterFunc(ctx, func() { s.w.c.Close() })
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("replica: panic: %v", p)
		}
		cancel(nil)
		unhook()
		s.w.c.Close()
		s.wg.Wait()
		if s.stage != nil {
			_ = s.stage.Close() // what has gathered stays whatever it says
		}
	}()
	if err := s.w.begin(s.o.Silence, s.o.Silence); err != nil {
		return err
	}
	s.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				cancel(fmt.Errorf("replica: panic: %v", p))
			}
		}()
		if err := s.acknowledge(ctx); err != nil {
			// The leader may have said why it closes: that is read first.
			select {
			case <-ctx.Done():
			case <-time.After(s.o.Silence):
			}
			cancel(err)
		}
	})
	history, end := s.position()
	for next := event(stands{history, end}); ; {
		if next == nil {
			m, err := s.w.receive(followerTakes)
			if next = m; err != nil {
				next = malformed{err}
			}
		}
		out := s.m.step(next)
		next = nil
		for _, o := range out {
			answer, err := s.do(o)
			if err != nil {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return err
			}
			if answer != nil {
				next = answer
			}
		}
	}
}

func (s *link) position() ([]aof.EpochStart, uint64) {
	received, _, _ := s.o.Standby.Positions()
	return s.o.Standby.History(), received
}

// acknowledge tells the leader where we are whenever that changes, and at least
// once per heartbeat. Before the stream runs it only tells that we live: our
// positions are not yet positions of the leader's log.
func (s *link) acknowledge(ctx context.Context) error {
	tick := time.NewTicker(s.o.Heartbeat)
	defer tick.Stop()
	var moved <-chan struct{}
	started := s.started
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-moved:
		case <-started:
			started = nil
		}
		m := message(&alive{})
		if s.streaming.Load() {
			// Asked for first, or a move in between is missed.
			moved = s.o.Standby.Moved()
			received, applied, durable := s.o.Standby.Positions()
			m = &ack{epoch: s.m.epoch, received: received, applied: applied, durable: durable, now: millis(time.Now())}
		}
		if err := s.w.send(m); err != nil {
			return err
		}
	}
}

// do carries out what the machine says, and returns the event that answers it.
func (s *link) do(o output) (event, error) {
	switch o := o.(type) {
	case send:
		return nil, s.w.send(o.m)
	case extend:
		return nil, s.o.Standby.Append(o.data)
	case begin:
		return nil, s.o.Standby.Segment(o.first, o.epoch)
	case heard:
		s.heard(o.m)
		return nil, nil
	case follow:
		s.tell(func(st *Progress) { st.State = Streaming })
		s.streaming.Store(true)
		close(s.started)
		return nil, nil
	case cutTo:
		return s.cutTo(o.to)
	case fail:
		return nil, o.err
	}
	return s.doCopy(o)
}

func (s *link) heard(m message) {
	switch m := m.(type) {
	case *heartbeat:
		s.tell(func(st *Progress) {
			st.End, st.Commit, st.Heard = m.end, m.commit, time.Now()
		})
	case *drop:
		if s.o.OnDrop != nil {
			s.o.OnDrop(m.before)
		}
	case *snapshotHint:
		if s.o.OnSnapshotHint != nil {
			s.o.OnSnapshotHint()
		}
	}
}

func (s *link) cutTo(to uint64) (event, error) {
	s.tell(func(st *Progress) { st.State = Cutting })
	s.o.Log.Warn("the log is cut back to where the leader's parts from it", "to", to)
	err := s.o.Standby.CutBack(to)
	s.tell(func(st *Progress) { st.State = Comparing })
	if errors.Is(err, ErrCannotCut) {
		return cannotCut{}, nil
	}
	if err != nil {
		return nil, err
	}
	history, end := s.position()
	return stands{history, end}, nil
}

// doCopy carries out the steps of a full copy.
func (s *link) doCopy(o output) (event, error) {
	switch o := o.(type) {
	case compare:
		return s.compare(o.list)
	case store:
		err := s.stage.Write(o.name, o.offset, o.data)
		s.tell(func(st *Progress) { st.CopyDone += int64(len(o.data)) })
		return nil, err
	case verify:
		return nil, s.stage.Done(o.name)
	case install:
		s.tell(func(st *Progress) { st.State = Installing })
		if err := s.stage.Install(o.lsn, o.cluster, o.epoch); err != nil {
			return nil, err
		}
		return nowInPlace{}, nil
	}
	return nil, fmt.Errorf("replica: %T has no meaning", o)
}

func (s *link) compare(list []FileInfo) (event, error) {
	stage, err := s.o.Standby.Stage()
	if err != nil {
		return nil, err
	}
	s.stage = stage
	wants, err := stage.Want(list)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, w := range wants {
		total += s.m.sizes[w.Name] - w.Offset
	}
	s.tell(func(st *Progress) { st.State, st.CopyTotal = Copying, total })
	return missing{wants}, nil
}
