package rmw

import (
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v3"

	"github.com/ferricd/ferricd/internal/grace"
	"github.com/ferricd/ferricd/latch"
)

// A Pass is the token of the gate that a batch of calls holds while it runs. Run
// gives it back for as long as the call waits. It belongs to one goroutine at a
// time, and to one batch: it is not recursive.
type Pass struct {
	r     *Runner
	token *xsync.RToken // nil is a token too
	held  bool
	of    grace.Section // while it is held
	row   int           // the stripe this pass counts in
	fast  []atomic.Uint64
	timer *time.Timer // made when first somebody has to wait
}

// NewPass makes a pass that is not held.
func (r *Runner) NewPass() *Pass {
	n := int(r.nextStripe.Add(1)) % len(r.stripes)
	return &Pass{r: r, row: n, fast: r.stripes[n]}
}

// Enter takes the token, and waits while the gate is closed. What the calls look at
// stays what it is until Leave; see Grace.
func (p *Pass) Enter() {
	if p.held {
		panic("rmw: the pass is held already")
	}
	p.token = p.r.gate.RLock()
	p.of = p.r.grace.Begin(p.row)
	p.held = true
}

// Leave gives the token back, if it is held.
func (p *Pass) Leave() {
	if p.held {
		p.held = false
		p.of.End()
		p.r.gate.RUnlock(p.token)
		p.token = nil
	}
}

// Held tells whether the token is held.
func (p *Pass) Held() bool { return p.held }

// Renew lets in whoever waits to close the gate, and tells whether it did: then
// time has passed, and what was looked up before may no longer be so. It costs
// one load when nobody waits. A batch calls it between its commands, with no
// latch held.
func (p *Pass) Renew() bool {
	if !p.r.closing.Load() {
		return false
	}
	p.Leave()
	p.Enter()
	return true
}

// BeginLong says that what follows may take long under the gate: a script, an
// O(N) command, a big EXEC. Nobody closes the gate until EndLong. It may wait
// for a closer, so the call has changed nothing yet.
func (p *Pass) BeginLong() {
	r := p.r
	if r.mayBegin.TryRLock() {
		r.long.Add(1)
		r.mayBegin.RUnlock()
		return
	}
	p.Leave()
	r.mayBegin.RLock()
	r.long.Add(1)
	r.mayBegin.RUnlock()
	p.Enter()
}

// EndLong ends what BeginLong began.
func (p *Pass) EndLong() {
	if p.r.long.Add(-1) == 0 {
		select {
		case p.r.longDone <- struct{}{}:
		default:
		}
	}
}

// Exclusive runs fn with the gate closed: no call runs, and none is between its
// first change and its last. It first waits, with the gate open, until no call
// registered as long runs, for at most wait (0: as long as a call would stand in
// line; negative: it does not wait for them but closes the gate on them), past
// which it answers ErrBusy. The caller holds neither latch nor pass.
func (r *Runner) Exclusive(wait time.Duration, fn func()) error {
	if wait == 0 {
		wait = time.Duration(r.wait.Load())
	}
	var late <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r.closer <- struct{}{}:
	case <-late:
		return ErrBusy
	}
	defer func() { <-r.closer }()
	if wait > 0 {
		if !r.awaitLong(wait/4, late) {
			return ErrBusy
		}
		defer r.mayBegin.Unlock()
	}
	if pe := r.closed(fn); pe != nil {
		r.report(pe)
		return pe
	}
	return nil
}

// awaitLong returns true when no long call runs, with mayBegin locked so that
// none begins. For a while it lets others begin meanwhile; then it does not, or
// a steady stream of them would keep every closer out.
func (r *Runner) awaitLong(polite time.Duration, late <-chan time.Time) bool {
	impatient := time.NewTimer(polite)
	defer impatient.Stop()
	for begins := true; ; {
		if begins {
			r.mayBegin.Lock()
		}
		if r.long.Load() == 0 {
			return true
		}
		if begins {
			r.mayBegin.Unlock()
		}
		select {
		case <-r.longDone:
		case <-impatient.C:
			r.mayBegin.Lock()
			begins = false
		case <-late:
			if !begins {
				r.mayBegin.Unlock()
			}
			return false
		}
	}
}

func (r *Runner) closed(fn func()) (pe *PanicError) {
	r.closing.Store(true)
	r.gate.Lock()
	finished := false
	defer func() {
		if !finished {
			pe = newPanicError(recover())
		}
		r.closing.Store(false)
		r.gate.Unlock()
	}()
	fn()
	finished = true
	return nil
}

// Try runs fn with all the latches, ascending and each once, or answers false at
// once. It is for expiry and eviction. The pass is held; a panic in fn is
// reported and ends there.
func (r *Runner) Try(p *Pass, latches []latch.ID, o latch.Owner, fn func()) bool {
	n := 0
	for n < len(latches) && r.table.TryClaim(latches[n], o) {
		n++
	}
	if n < len(latches) {
		r.release(latches[:n], o)
		return false
	}
	if pe := r.tried(latches, o, fn); pe != nil {
		p.aside(func() { r.report(pe) })
	}
	return true
}

func (r *Runner) tried(latches []latch.ID, o latch.Owner, fn func()) (pe *PanicError) {
	finished := false
	defer func() {
		if !finished {
			pe = newPanicError(recover())
			if len(latches) > 0 {
				r.statsOf(latches[0]).panics.Add(1)
			}
		}
		r.release(latches, o)
	}()
	fn()
	finished = true
	return nil
}

// aside does something without the token.
func (p *Pass) aside(do func()) {
	p.Leave()
	defer p.Enter()
	do()
}

// arm sets the pass' timer, of which there is one: a client waits for one thing
// at a time.
func (p *Pass) arm(d time.Duration) <-chan time.Time {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	return p.timer.C
}
