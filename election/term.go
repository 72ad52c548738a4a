package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// term is a leadership: the leader key of one create revision, under one session.
type term struct {
	c       *coordinator
	s       *session
	created int64
	epoch   uint64

	ended     atomic.Bool
	resigning atomic.Bool // Resign deletes the key, and nobody else may

	lost   chan struct{}
	ending sync.Once

	writing chan struct{} // holds one token: one change of the set at a time

	mu       sync.Mutex
	inSync   []Member
	modified int64 // revision of the set in etcd
}

// Campaign tries once to become leader.
func (c *coordinator) Campaign(ctx context.Context, claim Claim) (Term, error) {
	select {
	case c.campaigning <- struct{}{}:
		defer func() { <-c.campaigning }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	case <-c.ctx.Done():
		return nil, ErrClosed
	}
	s, err := c.eligible()
	if err != nil {
		return nil, err
	}
	for range 3 {
		st, err := c.read(ctx)
		if err != nil {
			return nil, c.unread(err)
		}
		if _, mine := st.won(c.me, s.lease); mine {
			if c.holds() {
				return nil, fmt.Errorf("%w: it is this one", ErrTaken)
			}
			if _, _, err := c.surely(s, st.disown()); err != nil {
				return nil, c.unread(err)
			}
			continue
		}
		t, err := st.campaign(c.me, s.lease, claim)
		if err != nil {
			return nil, err
		}
		if _, _, err := c.surely(s, t); err != nil {
			return nil, c.unread(err)
		}
		// Whether it was done is read rather than believed: an earlier attempt of the
		// same request may have been carried out and made the last one fail.
		if st, err = c.readSurely(s); err != nil {
			return nil, c.unread(err)
		}
		if created, mine := st.won(c.me, s.lease); mine {
			return c.begin(s, st, created)
		}
	}
	return nil, fmt.Errorf("%w, or tries to", ErrTaken)
}

// eligible returns the session to campaign with.
func (c *coordinator) eligible() (*session, error) {
	if s := c.session.Load(); s != nil && s.left() > 0 && s.enrolled.Load() != 0 {
		return s, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil {
		return nil, c.refused
	}
	return nil, ErrUnreachable
}

func (c *coordinator) unread(err error) error {
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrClosed) {
		return err
	}
	c.looking.ring()
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// holds reports whether there is a term that the leader key belongs to.
func (c *coordinator) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.term.holds()
}

func (t *term) holds() bool { return t != nil && (!t.over() || t.resigning.Load()) }

// begin makes a term of a leader key that is there.
func (c *coordinator) begin(s *session, st *state, created int64) (Term, error) {
	t := &term{
		c: c, s: s, created: created, epoch: st.epoch(),
		lost: make(chan struct{}), writing: make(chan struct{}, 1),
		inSync: st.inSync, modified: st.modified(keyInSync),
	}
	if !s.attach(t) {
		return nil, fmt.Errorf("%w: the lease ended", ErrUnreachable)
	}
	c.mu.Lock()
	c.term = t
	c.mu.Unlock()
	c.looking.ring()
	c.log.Info("won the election", "epoch", t.epoch, "lease_left", s.left())
	return t, nil
}

// surely carries out a transaction until etcd has said what became of it, or the
// session has ended. It repeats what it does not know the outcome of: the transaction
// must be one that cannot be carried out twice.
func (c *coordinator) surely(s *session, t txn) (done bool, revision int64, err error) {
	err = ErrUnreachable
	for try := 0; s.left() > 0; try++ {
		ctx, cancel := context.WithTimeout(c.ctx, min(c.callTime(), s.left()))
		done, revision, err = c.d.commit(ctx, t)
		cancel()
		c.reached(writing, err)
		switch {
		case err == nil:
			return done, revision, nil
		case errors.Is(err, errLeaseGone):
			s.end(err)
			return false, 0, err
		case errors.Is(err, errRefused) && try == 0:
			return false, 0, err
		}
		c.linger(s)
	}
	return false, 0, err
}

// readSurely reads until etcd answers or the session has ended.
func (c *coordinator) readSurely(s *session) (*state, error) {
	err := ErrUnreachable
	for s.left() > 0 {
		var st *state
		if st, err = c.read(c.ctx); err == nil || errors.Is(err, ErrMalformed) {
			return st, err
		}
		c.linger(s)
	}
	return nil, err
}

func (c *coordinator) linger(s *session) {
	timer := time.NewTimer(c.ttl / 50)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.lost:
	case <-c.ctx.Done():
		s.end(ErrClosed)
	}
}

// attach ends t together with the session; false when that has ended already.
func (s *session) attach(t *term) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	s.term = t
	return true
}

func (t *term) over() bool { return t.ended.Load() || t.s.left() <= 0 }

// end is called with the session's or the coordinator's mutex held, or with none.
func (t *term) end(why error) {
	t.ended.Store(true)
	t.ending.Do(func() {
		close(t.lost)
		if why != nil {
			t.c.log.Warn("lost the leadership", "epoch", t.epoch, "reason", why)
		}
	})
}

func (t *term) Epoch() uint64         { return t.epoch }
func (t *term) Valid() bool           { return !t.over() }
func (t *term) Lost() <-chan struct{} { return t.lost }

func (t *term) Remaining() time.Duration {
	if t.ended.Load() {
		return 0
	}
	return max(0, t.s.left())
}

func (t *term) InSync() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.inSync)
}

// SetInSync makes members the in-sync set.
func (t *term) SetInSync(ctx context.Context, members []Member) error {
	members = sorted(members)
	if err := checkMembers(members); err != nil {
		return err
	}
	if !slices.Contains(members, t.c.me.Member()) {
		return errors.New("the leader is always in the in-sync set")
	}
	select {
	case t.writing <- struct{}{}:
		defer func() { <-t.writing }()
	case <-ctx.Done():
		return ctx.Err()
	case <-t.lost:
		return ErrLost
	}
	for ctx.Err() == nil {
		if t.over() {
			return ErrLost
		}
		done, revision, err := t.c.surely(t.s, setInSync(t.created, t.modified, members))
		if err != nil {
			return t.unsettled(err)
		}
		if done {
			t.hold(members, revision)
			return nil
		}
		settled, err := t.settle(members)
		if settled || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// settle finds out why the set was not written: the term is over, or an earlier
// attempt has written it, or an administrator has.
func (t *term) settle(members []Member) (settled bool, err error) {
	st, err := t.c.readSurely(t.s)
	if err != nil {
		return false, t.unsettled(err)
	}
	if st.created(keyLeader) != t.created {
		t.end(errKeyGone)
		return false, ErrLost
	}
	t.hold(st.inSync, st.modified(keyInSync))
	return slices.Equal(st.inSync, members), nil
}

func (t *term) unsettled(err error) error {
	if t.over() {
		return ErrLost
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// hold keeps what is known of the set. Only who holds writing changes it.
func (t *term) hold(members []Member, modified int64) {
	t.mu.Lock()
	t.inSync, t.modified = members, modified
	t.mu.Unlock()
}

// Resign ends the term, then deletes the leader key.
func (t *term) Resign(ctx context.Context, to string) error {
	var hint int64
	if to != "" && !t.over() {
		grant, cancel := context.WithTimeout(ctx, t.c.callTime())
		lease, _, err := t.c.d.grant(grant, t.c.ttl)
		cancel()
		if err == nil { // without the hint any member may win, which is no harm
			hint = lease
		}
	}
	// Else whoever meets a leader key without a term would delete it without the hint.
	t.resigning.Store(true)
	defer t.resigning.Store(false)
	t.end(nil)
	err := ErrUnreachable
	for t.s.left() > 0 && ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, t.c.callTime())
		_, _, err = t.c.d.commit(call, resign(t.created, t.epoch, to, hint))
		cancel()
		if err == nil {
			t.c.log.Info("resigned", "epoch", t.epoch, "to", to)
			t.c.looking.ring()
			return nil
		}
		t.c.linger(t.s)
	}
	// A leader key without a leader would stand as long as the lease is renewed.
	t.s.end(errors.New("the leader key could not be deleted"))
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
