package rmw

import (
	"slices"
	"time"

	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/latch"
)

// Run runs the call under its latches: here and now if they are free, and else
// in line. The pass is held, and held again on return whatever happened. A nil
// error means that the work ran to its end; a *PanicError that it panicked; any
// other that it never ran and never will.
func (r *Runner) Run(p *Pass, k *Call) error {
	if invariants.Enabled {
		checkCall(p, k)
	}
	k.warned = false
	if r.direct && len(k.Latches) == 1 && r.table.TryClaim(k.Latches[0], k.Owner) {
		p.fast[r.table.Shard(k.Latches[0])].Add(1)
		if err := r.held(k); err != nil {
			return r.reported(p, err)
		}
		return nil
	}
	return r.runSlower(p, k)
}

func checkCall(p *Pass, k *Call) {
	invariants.Check(p.held, "rmw: a call runs without the gate")
	invariants.Check(slices.IsSorted(k.Latches) && len(slices.Compact(slices.Clone(k.Latches))) == len(k.Latches),
		"rmw: latches must be ascending, each once")
	invariants.Check(!k.Short || len(k.Latches) == 1, "rmw: a short call has one latch")
	invariants.Check(k.Reusable(), "rmw: a withdrawn call runs again")
}

func (r *Runner) runSlower(p *Pass, k *Call) error {
	var err error
	if r.claimAll(p, k) {
		err = r.held(k)
	} else {
		err = r.inLine(p, k)
	}
	if err != nil {
		err = r.reported(p, err)
	}
	return err
}

// reported passes an error on, and tells of it if it is a panic.
func (r *Runner) reported(p *Pass, err error) error {
	if pe, ok := err.(*PanicError); ok && r.onPanic != nil {
		p.aside(func() { r.report(pe) })
	}
	return err
}

// claimAll takes all latches or none. It looks for a moment at one that is held,
// but does not wait.
func (r *Runner) claimAll(p *Pass, k *Call) bool {
	if !r.direct {
		return len(k.Latches) == 0
	}
	probed := false
	for n, id := range k.Latches {
		if r.table.TryClaim(id, k.Owner) {
			continue
		}
		if !probed && r.probe(id, k.Owner) {
			probed = true
			continue
		}
		r.release(k.Latches[:n], k.Owner)
		return false
	}
	switch {
	case probed:
		r.statsOf(k.Latches[0]).probed.Add(1)
	case len(k.Latches) > 0:
		p.fast[r.table.Shard(k.Latches[0])].Add(1)
	}
	return true
}

// probe claims a latch that comes free within a moment, if it is merely held:
// when others wait already, the line is the only way.
func (r *Runner) probe(id latch.ID, o latch.Owner) bool {
	if !r.probes {
		return false
	}
	for start := time.Now(); ; {
		_, isHeld, isWaited := r.table.Holder(id)
		if isWaited {
			return false
		}
		if !isHeld && r.table.TryClaim(id, o) {
			return true
		}
		if time.Since(start) > probeTime {
			return false
		}
		for i := range 16 {
			idleStep(i)
		}
	}
}

// idleStep keeps a prober off the holder's cache line for a moment.
//
//go:noinline
func idleStep(int) {}

// held runs a call that has all its latches and the gate, and releases them.
func (r *Runner) held(k *Call) (err error) {
	finished := false
	defer func() {
		if !finished {
			err = r.panicked(k, recover())
		}
		if k.Closes {
			r.open(k)
		}
		r.release(k.Latches, k.Owner)
	}()
	if k.Closes {
		r.close(k)
	}
	v := k.Work.Run(false)
	finished = true
	if invariants.Enabled {
		invariants.Check(v == Done, "rmw: only the coordinator hands over")
	}
	return nil
}

// runByCoordinator runs a call whose latch the coordinator holds and keeps.
func (r *Runner) runByCoordinator(k *Call) (v Verdict) {
	finished := false
	defer func() {
		if !finished {
			k.err = r.panicked(k, recover())
		}
		if k.Closes {
			r.open(k)
		}
	}()
	if k.Closes {
		r.close(k)
	}
	v = k.Work.Run(true)
	finished = true
	return v
}

func (r *Runner) panicked(k *Call, v any) *PanicError {
	if len(k.Latches) > 0 {
		r.statsOf(k.Latches[0]).panics.Add(1)
	}
	return newPanicError(v)
}

func (r *Runner) close(k *Call) {
	for _, id := range k.closeLatches() {
		r.table.Close(id)
	}
}

func (r *Runner) open(k *Call) {
	for _, id := range k.closeLatches() {
		r.table.Open(id)
	}
}

func (r *Runner) release(ids []latch.ID, o latch.Owner) {
	for _, id := range ids {
		if r.table.Release(id, o) {
			r.coordinatorOf(id).tellReleased(id)
		}
	}
}

// inLine takes the latches one by one, in ascending order, standing in line
// where one is held. It holds lower latches then, and nothing else.
func (r *Runner) inLine(p *Pass, k *Call) error {
	p.Leave()
	k.beforePark()
	mine, err := r.lineUpAll(p, k)
	p.Enter()
	switch {
	case err != nil:
		return err
	case !mine: // the coordinator ran it
		return k.err
	}
	return r.heldAfterLine(k)
}

func (r *Runner) heldAfterLine(k *Call) error {
	start := time.Now()
	err := r.held(k)
	r.statsOf(k.Latches[0]).held(time.Since(start))
	return err
}

// lineUpAll stands in line for each latch in turn; one deadline counts for all.
func (r *Runner) lineUpAll(p *Pass, k *Call) (mine bool, err error) {
	wait := k.Wait
	if wait == 0 {
		wait = time.Duration(r.wait.Load())
	}
	start := time.Now()
	now := start // the clock is asked once per latch
	r.statsOf(k.Latches[0]).slow.Add(1)
	for i, id := range k.Latches {
		since := now
		mine, err = r.lineUp(p, k, id, wait-since.Sub(start))
		now = time.Now()
		if err != nil {
			r.release(k.Latches[:i], k.Owner)
			if err == ErrBusy {
				r.lookForStuck(k, id, now.Sub(since))
			}
			break
		}
		if !mine {
			break
		}
	}
	r.statsOf(k.Latches[0]).waited(now.Sub(start))
	return mine, err
}

// lineUp takes the latch or stands in line for it. Not mine, and no error: the
// coordinator ran the call.
func (r *Runner) lineUp(p *Pass, k *Call, id latch.ID, wait time.Duration) (mine bool, err error) {
	if invariants.Enabled {
		invariants.Check(!p.held, "rmw: waits with the gate")
	}
	if r.direct && r.table.TryClaim(id, k.Owner) {
		return true, nil
	}
	if k.done == nil {
		k.done = make(chan struct{}, 1)
	}
	k.err = nil
	c := r.coordinatorOf(id)
	if mine, err = c.join(k, id); mine || err != nil {
		return mine, err
	}
	var why error
	late := p.arm(wait)
	select {
	case <-k.done:
	case <-late:
		why = ErrBusy
	case <-k.Gone:
		why = ErrGone
	}
	p.timer.Stop()
	if why != nil {
		r.at("withdraw")
		if _, _, ok := k.withdraw(); ok {
			c.left(k, id)
			c.countLoss(why)
			return false, why
		}
		<-k.done // claimed: it is being run, or handed over
	}
	return k.outcome(c)
}

// outcome is how a time in line ended that was not withdrawn.
func (k *Call) outcome(c *coordinator) (mine bool, err error) {
	switch k.ending {
	case endHanded:
		return true, nil
	case endRan:
		if k.Short {
			return false, nil
		}
		return false, k.err // the coordinator panicked over it
	case endLeft:
		c.countLoss(ErrGone)
		return false, ErrGone
	default:
		return false, ErrStopped
	}
}

// lookForStuck tells of a latch that nobody else has had since the call, which
// gave up waiting, marked it: while it was marked only the line could take it.
// That somebody was in a hurry says nothing about the holder.
func (r *Runner) lookForStuck(k *Call, id latch.ID, since time.Duration) {
	if since < time.Duration(r.wait.Load()) {
		return
	}
	c := r.coordinatorOf(id)
	o, isHeld, _ := r.table.Holder(id)
	if !isHeld || !c.lines[r.table.Slot(id)].stuckSince(k.taken) {
		return
	}
	c.longHolds.Add(1)
	if r.onStuck != nil {
		defer func() { _ = recover() }()
		r.onStuck(Stuck{Latch: id, Holder: o, For: since})
	}
}
