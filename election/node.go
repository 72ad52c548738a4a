package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// coordinator is the Coordinator, over any driver. Its goroutines: keepLease holds the
// lease, look reads the view, watch wakes it, enrolment writes this node's entry.
type coordinator struct {
	me      Node
	ttl     time.Duration
	healthy func() bool
	log     *slog.Logger
	d       driver
	now     func() int64

	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	session atomic.Pointer[session]

	telling bell // the entry of this node may have to be written
	looking bell // the view may be old

	campaigning chan struct{} // holds one token: one campaign at a time

	mu       sync.Mutex
	view     View
	seen     *state
	changed  chan struct{}
	refused  error // what View.Err says
	status   Status
	told     Status
	ever     bool // this process has been registered before
	term     *term
	silent   way           // which calls etcd did not answer last
	answered bool          // it has, once
	renewal  chan struct{} // closed when the watch is to begin anew
}

// start runs a coordinator. The options are sound.
func start(o Options, d driver, now func() int64) *coordinator {
	c := &coordinator{
		me: o.Node, ttl: o.TTL, healthy: o.Healthy, log: o.Log, d: d, now: now,
		telling: newBell(), looking: newBell(),
		campaigning: make(chan struct{}, 1),
		changed:     make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, f := range []func(){c.keepLease, c.look, c.keepWatch, c.enrolment} {
		c.wg.Go(func() { c.guard(f) })
	}
	return c
}

// guard runs f until the coordinator is closed. A panic ends the leadership, since
// nobody knows what it left behind.
func (c *coordinator) guard(f func()) {
	for c.ctx.Err() == nil {
		func() {
			defer func() {
				if p := recover(); p != nil {
					c.log.Error("panic in election", "panic", fmt.Sprint(p))
					if s := c.session.Load(); s != nil {
						s.end(errors.New("an internal error"))
					}
				}
			}()
			f()
		}()
		c.sleep(c.ttl / 3)
	}
}

// callTime is how long one call to etcd may take.
func (c *coordinator) callTime() time.Duration { return c.ttl / 2 }

// sleep ends early when the coordinator is closed.
func (c *coordinator) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// A bell remembers that it was rung, once.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// A pause between tries that fail, growing up to a third of the lease's time.
type pause struct {
	c    *coordinator
	next time.Duration
}

func (c *coordinator) newPause() *pause { return &pause{c: c, next: c.ttl / 50} }
func (p *pause) reset()                 { p.next = p.c.ttl / 50 }
func (p *pause) sleep()                 { p.c.sleep(p.take()) }
func (p *pause) take() time.Duration {
	d := p.next
	p.next = min(2*p.next, p.c.ttl/3)
	return d
}

// A way is what etcd was asked for. One may fail while others do not.
type way uint8

const (
	leasing way = 1 << iota
	reading
	writing
)

// reached notes whether etcd answered, and logs when that changes.
func (c *coordinator) reached(w way, err error) {
	if c.ctx.Err() != nil {
		return
	}
	why := c.whyNever(err)
	c.mu.Lock()
	was := c.silent
	c.answered = c.answered || err == nil
	if err == nil || errors.Is(err, errLeaseGone) || errors.Is(err, ErrMalformed) {
		c.silent &^= w
		if w == reading { // where reads are answered, a write that failed is over
			c.silent &^= writing
		}
	} else {
		c.silent |= w
	}
	silent := c.silent
	if was != 0 && silent == 0 {
		c.rewatch()
	}
	c.mu.Unlock()
	switch {
	case silent != 0 && was == 0:
		left := time.Duration(0)
		if s := c.session.Load(); s != nil {
			left = max(0, s.left())
		}
		what := "etcd does not answer"
		if errors.Is(why, errRefused) {
			what = "etcd refuses what it is asked"
		}
		c.log.Warn(what, "error", why, "lease_left", left)
		c.looking.ring()
	case was != 0 && silent == 0:
		c.log.Info("etcd answers again")
		c.looking.ring()
	}
}

// whyNever makes more of an error that only says that time is up, as long as etcd has
// never answered: then the parameters may be wrong, and there is no lease to be late for.
func (c *coordinator) whyNever(err error) error {
	c.mu.Lock()
	never := !c.answered && c.silent == 0
	c.mu.Unlock()
	if never && errors.Is(err, context.DeadlineExceeded) {
		if why := c.d.probe(c.ctx); why != nil {
			return why
		}
	}
	return err
}

// View returns what etcd said last.
func (c *coordinator) View() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// Changed is closed at the next change of the View.
func (c *coordinator) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Ready waits until this node is registered, or refused.
func (c *coordinator) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		changed, refused := c.changed, c.refused
		c.mu.Unlock()
		if refused != nil {
			return refused
		}
		if s := c.session.Load(); s != nil && s.enrolled.Load() != 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ErrUnreachable
		case <-c.ctx.Done():
			return ErrClosed
		}
	}
}

// SetStatus keeps what this node tells about itself.
func (c *coordinator) SetStatus(s Status) {
	c.mu.Lock()
	urgent := s.Role != c.status.Role || s.Epoch != c.status.Epoch
	c.status = s
	c.mu.Unlock()
	if urgent {
		c.telling.ring()
	}
}

// Handover asks the leader to make way for a node. The request ends with its lease.
func (c *coordinator) Handover(ctx context.Context, to string) error {
	_, err := askHandover(ctx, c.d, to, 2*c.ttl)
	return err
}

// Close ends the term, gives back the lease and waits for all goroutines.
func (c *coordinator) Close() error {
	if s := c.session.Load(); s != nil {
		s.end(ErrClosed)
	}
	c.cancel()
	c.wg.Wait()
	c.d.close()
	return nil
}
