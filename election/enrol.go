package election

import (
	"context"
	"errors"
	"time"
)

// statusTime is how often a node's positions are told, at most.
const statusTime = 5 * time.Second

var errConflict = errors.New("somebody else wrote meanwhile")

// enrolment registers this node under its lease and tells its status.
func (c *coordinator) enrolment() {
	wait := c.newPause()
	for c.ctx.Err() == nil {
		next := min(statusTime, c.ttl)
		if s := c.session.Load(); s != nil && s.left() > 0 {
			if err := c.attend(s); err != nil {
				next = wait.take()
			} else {
				wait.reset()
			}
		}
		timer := time.NewTimer(next)
		select {
		case <-c.telling:
		case <-timer.C:
		case <-c.ctx.Done():
		}
		timer.Stop()
	}
}

func (c *coordinator) attend(s *session) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.callTime())
	defer cancel()
	if s.enrolled.Load() == 0 {
		if err := c.enrol(ctx, s); err != nil {
			return err
		}
	}
	if err := c.disown(ctx, s); err != nil {
		return err
	}
	return c.tell(ctx, s)
}

func (c *coordinator) enrol(ctx context.Context, s *session) error {
	st, err := c.read(ctx)
	if err != nil {
		c.refuse(err)
		return err
	}
	c.mu.Lock()
	told, ever := c.status, c.ever
	c.mu.Unlock()
	t, err := st.enrol(c.me, told, s.lease, ever)
	if err != nil {
		c.refuse(err)
		return err
	}
	done, revision, err := c.d.commit(ctx, t)
	switch {
	case errors.Is(err, errLeaseGone):
		s.end(err)
		return err
	case err != nil:
		return err
	case !done:
		return errConflict
	}
	s.enrolled.Store(revision)
	c.mu.Lock()
	first := !c.ever
	c.ever, c.told = true, told
	c.mu.Unlock()
	c.refuse(nil)
	c.looking.ring()
	if first {
		c.log.Info("registered in etcd", "node", c.me.Name)
	}
	return nil
}

// refuse keeps why this node is not registered, for the view. An error of another
// kind leaves what was known.
func (c *coordinator) refuse(err error) {
	known := err == nil
	for _, kind := range []error{ErrNameTaken, ErrReplaced, ErrNoCluster, ErrMalformed} {
		known = known || errors.Is(err, kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !known || c.ctx.Err() != nil {
		return
	}
	if err != nil {
		if c.refused != nil && c.refused.Error() == err.Error() {
			return
		}
		c.log.Warn("not registered in etcd", "reason", err)
	}
	c.refused = err
	v := c.view
	v.Err = err
	c.view = v
	c.shout() // also for who waits in Ready
}

// disown deletes the leader key that an abandoned attempt has left under this lease.
func (c *coordinator) disown(ctx context.Context, s *session) error {
	select {
	case c.campaigning <- struct{}{}:
		defer func() { <-c.campaigning }()
	default:
		return nil // who campaigns looks for himself
	}
	c.mu.Lock()
	seen, t := c.seen, c.term
	c.mu.Unlock()
	if seen == nil || t.holds() {
		return nil
	}
	if _, mine := seen.won(c.me, s.lease); !mine {
		return nil
	}
	_, _, err := c.d.commit(ctx, seen.disown())
	return err
}

func (c *coordinator) tell(ctx context.Context, s *session) error {
	c.mu.Lock()
	status, told := c.status, c.told
	c.mu.Unlock()
	if status == told {
		return nil
	}
	done, _, err := c.d.commit(ctx, tell(c.me, status, s.lease))
	switch {
	case err != nil:
		return err
	case !done:
		s.enrolled.Store(0)
		return errConflict
	}
	c.mu.Lock()
	c.told = status
	c.mu.Unlock()
	return nil
}
