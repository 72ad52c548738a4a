package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
)

// goodbyeTime is what a follower has to take the last message.
const goodbyeTime = 250 * time.Millisecond

// A session is the network loop around a leader: three goroutines beside the one
// that steps the machine. One receives, one sends the tail, one beats.
type session struct {
	h    *Hub
	lead *leadership
	p    *Peer
	w    *wire
	m    *leader

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	events chan event
	ours   atomic.Bool // the follower waits for us: it is to hear that we live
	joined bool

	tail Tail
	pins Pinned
}

// session serves a follower until it ends.
func (h *Hub) session(w *wire, theirs *hello, lead *leadership, addr string) {
	s := &session{
		h: h, lead: lead, w: w, events: make(chan event, 4),
		m: &leader{epoch: lead.epoch, cluster: lead.source.Cluster()},
	}
	s.ctx, s.cancel = context.WithCancelCause(lead.ctx)
	defer s.cancel(nil)
	s.p = &Peer{
		id: theirs.id, addr: addr, stop: s.cancel,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	s.p.needs.Store(nowhere)
	if err := h.enter(lead, s.p); err != nil {
		h.o.Log.Info("a follower was refused", "follower", theirs.id.Name, "addr", addr, "error", err)
		return
	}
	defer h.leave(lead, s.p)
	err := s.run()
	s.close(err)
	h.o.Log.Info("a follower's session has ended", "follower", theirs.id.Name, "addr", addr, "cause", Cause(err), "error", err)
	h.mu.Lock()
	h.ended[Cause(err)]++
	h.mu.Unlock()
	if s.joined && h.o.OnGone != nil {
		h.o.OnGone(s.p, err)
	}
}

// enter gives a follower its place. One of the same id is a connection that has
// died without our noticing: it goes first.
func (h *Hub) enter(lead *leadership, p *Peer) error {
	late := time.NewTimer(h.o.Limits.Handshake)
	defer late.Stop()
	for {
		h.mu.Lock()
		if h.lead != lead {
			h.mu.Unlock()
			return ErrResigned
		}
		old := h.peers[p.id.ID]
		if old == nil {
			lead.wg.Add(1)
			h.peers[p.id.ID] = p
			h.mu.Unlock()
			return nil
		}
		h.mu.Unlock()
		old.stop(ErrReplaced)
		select {
		case <-old.done:
		case <-lead.ctx.Done():
			return ErrResigned
		case <-late.C:
			return fmt.Errorf("%w: the connection before this one does not end", ErrBusy)
		}
	}
}

func (h *Hub) leave(lead *leadership, p *Peer) {
	h.mu.Lock()
	delete(h.peers, p.id.ID)
	h.mu.Unlock()
	close(p.done)
	lead.wg.Done()
}

// run steps the machine until the session is over, and returns why.
func (s *session) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("replica: panic: %v", p)
		}
	}()
	if err := s.w.begin(s.h.o.Limits.Silence, s.h.o.Limits.Write); err != nil {
		return err
	}
	context.AfterFunc(s.ctx, s.hurry)
	s.goes(s.receive)
	s.goes(s.beat)
	late := time.NewTimer(s.h.o.Limits.Handshake)
	defer late.Stop()
	var queue []event
	for {
		var e event
		if len(queue) > 0 {
			e, queue = queue[0], queue[1:]
		} else {
			select {
			case e = <-s.events:
			case <-s.ctx.Done():
				return context.Cause(s.ctx)
			case <-late.C:
				if s.m.theirTurn() {
					return fmt.Errorf("%w: it stays in the state %s", ErrSilent, s.m.state)
				}
				continue
			}
		}
		if _, ok := e.(*ack); ok {
			s.m.step(sentTo{s.p.sent.Load()})
		}
		out := s.m.step(e)
		s.ours.Store(!s.m.theirTurn())
		s.p.state.Store(int32(s.m.shows()))
		for _, o := range out {
			next, err := s.do(o)
			if err != nil {
				return s.cause(err)
			}
			if next != nil {
				queue = append(queue, next)
			}
		}
		late.Reset(s.h.o.Limits.Bulk)
	}
}

// cause prefers the reason for which the session was ended to what broke by that.
func (s *session) cause(err error) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return err
}

// goes runs one of the session's goroutines; its error ends the session.
func (s *session) goes(fn func() error) {
	s.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.cancel(fmt.Errorf("replica: panic: %v", p))
			}
		}()
		if err := fn(); err != nil {
			s.cancel(err)
		}
	})
}

// hurry is called when the session is to end. The socket is closed first, so that
// nothing can wait for the peer; only who is told goodbye has a moment.
func (s *session) hurry() {
	if resigned, _ := s.farewell(); resigned {
		deadline := time.Now().Add(goodbyeTime)
		if s.w.c.SetDeadline(deadline) == nil {
			time.AfterFunc(goodbyeTime, func() { s.w.c.Close() })
			return
		}
	}
	s.w.c.Close()
}

func (s *session) farewell() (bool, *goodbye) {
	var r *resignedError
	if !errors.As(context.Cause(s.ctx), &r) {
		return false, nil
	}
	return true, &goodbye{reason: shorten(r.reason, maxText), next: shorten(r.next, maxName)}
}

// close ends all that the session has, whatever state it is in.
func (s *session) close(err error) {
	s.p.state.Store(int32(Gone))
	s.cancel(err)
	if resigned, bye := s.farewell(); resigned {
		s.part(bye)
	}
	s.w.c.Close()
	s.wg.Wait()
	s.unpin()
	if s.tail != nil {
		_ = s.tail.Close()
	}
}

// part says goodbye and waits for the follower to close, for the moment that hurry
// leaves: who closes with acknowledgements unread resets the connection, and some
// systems then take from the follower what it has not read.
func (s *session) part(bye *goodbye) {
	if s.w.send(bye) != nil {
		return
	}
	if half, ok := s.w.c.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	s.wg.Wait()
	_, _ = io.Copy(io.Discard, s.w.r) // until it closes or the moment is over
}

func (s *session) receive() error {
	for {
		m, err := s.w.receive(leaderTakes)
		if err == nil && m.kind() == kindAlive {
			continue
		}
		e := event(m)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				return err
			}
			e = malformed{err}
		}
		select {
		case s.events <- e:
			if err != nil {
				return nil
			}
		case <-s.ctx.Done():
			return nil
		}
	}
}

// beat tells the follower that the leader lives, and what else there is to tell.
func (s *session) beat() error {
	tick := time.NewTicker(s.h.o.Heartbeat)
	defer tick.Stop()
	for {
		var list []message
		select {
		case <-s.ctx.Done():
			return nil
		case <-tick.C:
			list = append(list, &heartbeat{end: s.lead.source.End(), commit: s.lead.source.Commit(), now: millis(time.Now())})
		case <-s.p.wake:
		}
		if !s.ours.Load() {
			continue
		}
		for _, m := range append(list, s.p.news()...) {
			if err := s.w.send(m); err != nil {
				return err
			}
		}
	}
}

// do carries out what the machine says, and returns the event that answers it.
func (s *session) do(o output) (event, error) {
	switch o := o.(type) {
	case send:
		return nil, s.w.send(o.m)
	case place:
		history, end := s.lead.source.History(), s.lead.source.End()
		return placed{shared: aof.Diverge(history, o.p.history, end, o.p.end), end: o.p.end}, nil
	case openTail:
		return s.openTail(o.from)
	case prepare:
		return s.prepare()
	case pin:
		return s.pin()
	case unpin:
		s.unpin()
		return nil, nil
	case sendFiles:
		return filesSent{}, s.sendFiles(o.list)
	case stream:
		s.stream(o.from)
		return nil, nil
	case acked:
		a := s.p.acked(o.a)
		if s.h.o.OnAck != nil {
			s.h.o.OnAck(s.p, a)
		}
		return nil, nil
	case told:
		s.h.stale(o.epoch)
		return nil, nil
	case fail:
		return nil, o.err
	}
	return nil, fmt.Errorf("replica: %T has no meaning", o)
}

func (s *session) openTail(from uint64) (event, error) {
	if s.tail != nil {
		_ = s.tail.Close()
		s.tail = nil
	}
	t, err := s.lead.source.Tail(from)
	switch {
	case err == nil:
		s.tail = t
		s.p.needs.Store(from)
		return tailOpened{}, nil
	case errors.Is(err, aof.ErrGone):
		return tailGone{}, nil
	}
	return nil, err
}

func (s *session) prepare() (event, error) {
	if s.h.o.BeforeFullCopy == nil {
		return prepared{}, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.h.o.Limits.Bulk)
	defer cancel()
	return prepared{}, s.h.o.BeforeFullCopy(ctx, s.p)
}

func (s *session) pin() (event, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.h.o.Limits.Bulk)
	defer cancel()
	p, err := s.lead.source.Pin(ctx)
	if err != nil {
		return nil, err
	}
	s.pins = p
	s.p.needs.Store(p.End())
	return pinnedNow{files: p.Files(), lsn: p.End(), epoch: p.Epoch()}, nil
}

func (s *session) unpin() {
	if s.pins != nil {
		s.pins.Release()
		s.pins = nil
	}
}

func (s *session) sendFiles(list []Want) error {
	sizes := map[string]int64{}
	for _, f := range s.pins.Files() {
		sizes[f.Name] = f.Size
	}
	var total int64
	for _, w := range list {
		total += sizes[w.Name] - w.Offset
	}
	s.p.copyTotal.Store(total)
	buf := make([]byte, maxChunk)
	for _, w := range list {
		if err := s.sendFile(w, sizes[w.Name], buf); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) sendFile(w Want, size int64, buf []byte) error {
	if w.Offset == size {
		return nil
	}
	f, err := s.pins.Open(w.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	for at := w.Offset; at < size; {
		n := min(int64(len(buf)), size-at)
		if err := s.h.copies.await(s.ctx, n, s.h.o.CopyRate); err != nil {
			return err
		}
		if got, err := f.ReadAt(buf[:n], at); int64(got) < n {
			return fmt.Errorf("%s cannot be read at %d: %w", w.Name, at+int64(got), cmp.Or(err, io.ErrUnexpectedEOF))
		}
		if err := s.w.send(&chunk{name: w.Name, offset: at, data: buf[:n]}); err != nil {
			return err
		}
		at += n
		s.p.copyDone.Add(n)
	}
	return nil
}

// stream lets the follower join and starts its sender.
func (s *session) stream(from uint64) {
	s.p.sent.Store(from)
	s.joined = true
	if s.h.o.OnJoin != nil {
		s.h.o.OnJoin(s.p)
	}
	s.goes(s.send)
}

// send is the follower's sender: it reads the log from its files, so that who
// writes to the log never waits for a socket.
func (s *session) send() error {
	for {
		c, err := s.tail.Next(s.ctx, s.h.o.Limits.Chunk)
		if err != nil {
			return err
		}
		if c.Segment != nil {
			err = s.w.send(&segment{first: c.Segment.First, epoch: c.Segment.Epoch})
		}
		if err == nil && len(c.Frames) > 0 {
			// Before they are sent: the answer may come at once.
			s.p.sent.Store(c.End)
			err = s.w.send(&frames{first: c.First, data: c.Frames})
		}
		if err != nil {
			return err
		}
		s.p.needs.Store(c.End)
	}
}
