package election

import (
	"context"
	"errors"
	"reflect"
	"time"
)

// look keeps the view: it reads when it is woken, and twice in a lease's time.
func (c *coordinator) look() {
	wait := c.newPause()
	woken := true
	for c.ctx.Err() == nil {
		s, err := c.read(c.ctx)
		next := c.ttl / 2
		if err != nil {
			next = wait.take()
		} else {
			wait.reset()
		}
		c.reached(reading, err)
		c.note(s, err, woken)
		timer := time.NewTimer(next)
		select {
		case <-c.looking:
			woken = true
		case <-timer.C:
			woken = err != nil
		case <-c.ctx.Done():
		}
		timer.Stop()
	}
}

// read returns what etcd holds now.
func (c *coordinator) read(ctx context.Context) (*state, error) {
	ctx, cancel := context.WithTimeout(ctx, c.callTime())
	defer cancel()
	return readState(ctx, c.d)
}

func readState(ctx context.Context, d driver) (*state, error) {
	m, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	return understand(m)
}

// note takes over what was read. Only look calls it, so that what it brings is never
// older than what it brought before.
func (c *coordinator) note(s *state, err error, woken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	if err != nil {
		v := c.view
		v.Known = false
		if errors.Is(err, ErrMalformed) {
			v.Known = true
			v.Err = err
		}
		c.publish(v)
		return
	}
	before := c.view
	c.seen = s
	c.examine(s)
	v := s.view()
	v.Known, v.Err = true, c.refused
	c.publish(v)
	if !woken && !reflect.DeepEqual(before, v) {
		c.rewatch() // the watch should have told
	}
}

// publish makes v the view if it differs. The caller holds mu.
func (c *coordinator) publish(v View) {
	if reflect.DeepEqual(c.view, v) {
		return
	}
	c.view = v
	c.shout()
}

func (c *coordinator) shout() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// examine looks in a new state for what concerns this node. The caller holds mu.
func (c *coordinator) examine(s *state) {
	if t := c.term; t != nil && s.revision >= t.created && s.created(keyLeader) != t.created {
		t.end(errKeyGone)
	}
	if c.refused != nil {
		c.telling.ring()
	}
	ses := c.session.Load()
	if ses == nil {
		return
	}
	if at := ses.enrolled.Load(); at != 0 && s.revision >= at && s.lease(prefixNodes+c.me.Name) != ses.lease {
		ses.enrolled.Store(0)
		c.telling.ring()
	}
	if _, mine := s.won(c.me, ses.lease); mine && !c.term.holds() {
		c.telling.ring()
	}
}

var errKeyGone = errors.New("the leader key is gone")

// keepWatch has the view read anew when something changes.
func (c *coordinator) keepWatch() {
	wait := c.newPause()
	for c.ctx.Err() == nil {
		revision, again, changed := c.watchFrom()
		if again == nil {
			select {
			case <-changed:
			case <-c.ctx.Done():
			}
			continue
		}
		ctx, cancel := context.WithCancel(c.ctx)
		stop := make(chan struct{})
		c.wg.Go(func() {
			defer cancel()
			select {
			case <-again:
			case <-stop:
			}
		})
		begun := time.Now()
		err := c.d.watch(ctx, revision, c.looking.ring)
		close(stop)
		if c.ctx.Err() != nil {
			return
		}
		c.log.Debug("watching etcd anew", "reason", err)
		c.looking.ring()
		if time.Since(begun) > c.ttl {
			wait.reset()
		}
		wait.sleep()
	}
}

// watchFrom returns the revision to watch after, and what says that the watch is to
// begin anew; again is nil while etcd has not been read.
func (c *coordinator) watchFrom() (revision int64, again, changed chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		return 0, nil, c.changed
	}
	if c.renewal == nil {
		c.renewal = make(chan struct{})
	}
	return c.seen.revision, c.renewal, c.changed
}

// rewatch ends the watch that runs. The caller holds mu.
func (c *coordinator) rewatch() {
	if c.renewal != nil {
		close(c.renewal)
		c.renewal = nil
	}
}
