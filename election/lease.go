package election

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const maxNanos = math.MaxInt64

// margin is what a lease ends earlier here than in etcd: for clocks that run unequally,
// and for the reply that is on its way when the deadline comes.
func margin(ttl time.Duration) time.Duration { return ttl / 10 }

// A session is one lease as this process believes in it.
type session struct {
	lease int64
	now   func() int64

	deadline atomic.Int64 // by now; 0 when it has ended
	lost     chan struct{}

	mu    sync.Mutex
	dead  bool
	why   error
	timer *time.Timer

	term *term // the leadership under it, ended with it
	sent int64 // when the last renewal was sent that was answered; keepLease alone reads it

	enrolled atomic.Int64 // the revision of this node's entry under it, 0 without
}

// newSession begins with a lease that was asked for at the moment sent.
func newSession(lease int64, sent int64, granted time.Duration, now func() int64) *session {
	s := &session{lease: lease, now: now, sent: sent, lost: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline.Store(sent + int64(granted-margin(granted)))
	s.timer = time.AfterFunc(time.Duration(s.deadline.Load()-now()), s.due)
	return s
}

// left is the time until the deadline, not more than zero when the session has ended.
func (s *session) left() time.Duration { return time.Duration(s.deadline.Load() - s.now()) }

// extend moves the deadline after a renewal that was sent at the moment sent. A session
// whose deadline has passed has ended, even if etcd still had the lease.
func (s *session) extend(sent int64, granted time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if s.left() <= 0 {
		s.die(errDeadline)
		return false
	}
	if next := sent + int64(granted-margin(granted)); next > s.deadline.Load() {
		s.deadline.Store(next)
		s.timer.Reset(s.left())
	}
	return true
}

var errDeadline = errors.New("it was not renewed in time")

// due is run by the timer: it ends the session when nobody asks.
func (s *session) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return
	}
	if left := s.left(); left > 0 {
		s.timer.Reset(left)
		return
	}
	s.die(errDeadline)
}

// end ends the session now.
func (s *session) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		s.die(why)
	}
}

func (s *session) die(why error) {
	s.dead, s.why = true, why
	s.deadline.Store(0)
	s.timer.Stop()
	close(s.lost)
	if s.term != nil {
		s.term.end(why)
	}
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// keepLease takes a lease and renews it; when it is lost, another.
func (c *coordinator) keepLease() {
	wait := c.newPause()
	for c.ctx.Err() == nil {
		if !c.healthy() {
			c.sleep(c.ttl / 3)
			continue
		}
		s, err := c.takeLease()
		if err != nil {
			c.reached(leasing, err)
			wait.sleep()
			continue
		}
		wait.reset()
		c.session.Store(s)
		c.telling.ring()
		c.renewals(s)
		c.session.CompareAndSwap(s, nil)
		c.giveBack(s)
	}
}

func (c *coordinator) takeLease() (*session, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.callTime())
	defer cancel()
	sent := c.now()
	lease, granted, err := c.d.grant(ctx, c.ttl)
	if err != nil {
		return nil, err
	}
	return newSession(lease, sent, granted, c.now), nil
}

// giveBack revokes a lease that has ended here. If it cannot, registering under the
// next one deletes what stood under it.
func (c *coordinator) giveBack(s *session) {
	if why := s.reason(); !errors.Is(why, ErrClosed) {
		c.log.Warn("lost the lease", "reason", why)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), min(c.callTime(), time.Second))
	defer cancel()
	_ = c.d.revoke(ctx, s.lease)
}

var errUnhealthy = errors.New("this node is not healthy")

// renewals renews a lease until it is lost. Each attempt has its own time, so that one
// endpoint that does not answer leaves time for the others.
func (c *coordinator) renewals(s *session) {
	for {
		next := s.sent + int64(c.ttl/3) - c.now()
		timer := time.NewTimer(max(time.Duration(next), c.ttl/50))
		select {
		case <-timer.C:
		case <-s.lost:
		case <-c.ctx.Done():
			s.end(ErrClosed)
		}
		timer.Stop()
		for s.left() > 0 {
			if !c.healthy() {
				s.end(errUnhealthy)
				break
			}
			if c.renew(s) {
				break
			}
		}
		if s.left() <= 0 {
			s.end(errDeadline)
			return
		}
	}
}

// renew tries once.
func (c *coordinator) renew(s *session) bool {
	ctx, cancel := context.WithTimeout(c.ctx, min(c.ttl/5, s.left()))
	defer cancel()
	sent := c.now()
	granted, err := c.d.renew(ctx, s.lease)
	c.reached(leasing, err)
	switch {
	case err == nil:
		s.extend(sent, granted)
		s.sent = sent
		return true
	case errors.Is(err, errLeaseGone):
		s.end(err)
	default:
		select {
		case <-time.After(c.ttl / 50):
		case <-s.lost:
		case <-c.ctx.Done():
			s.end(ErrClosed)
		}
	}
	return false
}
