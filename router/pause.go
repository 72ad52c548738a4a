package router

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
)

// pause holds back commands, as CLIENT PAUSE asks.
type pause struct {
	on atomic.Bool // read at every command

	mu     sync.Mutex // guards the fields below
	until  time.Time
	writes bool          // only commands that write wait
	ended  chan struct{} // closed when the pause ends or changes
}

func (p *pause) init() { p.ended = make(chan struct{}) }

// Pause holds back all commands, or those that write, until a time. A pause
// that is already on is never shortened or weakened.
func (r *Router) Pause(writesOnly bool, until time.Time) {
	p := &r.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on.Load() {
		writesOnly = writesOnly && p.writes
		if until.Before(p.until) {
			until = p.until
		}
	}
	p.writes, p.until = writesOnly, until
	p.on.Store(true)
	p.signal()
}

// Unpause lets all commands go on.
func (r *Router) Unpause() {
	p := &r.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on.Store(false)
	p.signal()
}

func (p *pause) signal() {
	close(p.ended)
	p.ended = make(chan struct{})
}

// holds tells whether the pause holds back spec, until when, and what is closed
// when that changes.
func (p *pause) holds(spec *command.Spec) (wait time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on.Load() || p.writes && spec.Flags&(command.Write|command.MayReplicate) == 0 {
		return 0, nil
	}
	left := time.Until(p.until)
	if left <= 0 {
		p.on.Store(false)
		p.signal()
		return 0, nil
	}
	return left, p.ended
}

// waitPause waits with neither gate nor latch until spec may run.
func (s *session) waitPause(spec *command.Spec, args [][]byte) {
	for {
		wait, changed := s.r.pause.holds(spec)
		if wait <= 0 || s.conn == nil {
			return
		}
		timer := time.NewTimer(wait)
		s.sleep(args, changed, timer.C)
		timer.Stop()
		if s.closing {
			return
		}
	}
}

// sleep waits for a change or a time, with neither gate nor latch. The client may leave
// meanwhile.
func (s *session) sleep(args [][]byte, changed <-chan struct{}, over <-chan time.Time) {
	s.ctx.Args = args
	s.refs = s.refs[:0]
	s.pass.Leave()
	s.park()
	s.client.SetFlag(command.ClientBlocked, true)
	select {
	case <-changed:
	case <-over:
	case <-s.conn.Gone():
		s.closing = true
	}
	s.client.SetFlag(command.ClientBlocked, false)
	s.pass.Enter()
}
