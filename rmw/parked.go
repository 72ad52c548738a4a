package rmw

import (
	"time"

	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/latch"
)

// A blocked call, such as BLPOP's, is a Call of its own that is never Short: the
// ticket. Its way:
//
//	Park     by the call that found nothing, while it holds the latches of all
//	         the keys, so that nothing can come between the look and the parking.
//	         Whoever keeps the lists of the blocked then knows the ticket.
//	Ready    by whoever leaves something at a key, under that key's latch: the
//	         ticket goes to the front of the latch's line.
//	Await    by the client's goroutine: sleeps until readied, takes the latches
//	         and runs the ticket's Work, which serves the client or, if somebody
//	         was quicker, parks again at its old place.
//
// A ticket that leaves between Ready and a finished run has swallowed a
// readiness. Readied says so, and then another call over all its keys must ready
// the next one at each: else somebody sleeps beside an element.

// Park makes the call wait to be readied. All its latches are held.
func (k *Call) Park() {
	if k.done == nil {
		k.done = make(chan struct{}, 1)
	}
	k.readied, k.asleep = false, true
	k.ticket.Store(parked)
}

// Parked tells, after Run or Await returned nil, that the work has parked the
// call. It does not matter that by now it may have been readied: Await is next.
func (k *Call) Parked() bool { return k.asleep }

// Readied tells, after Await returned an error, that the call had been readied:
// the next one must be.
func (k *Call) Readied() bool { return k.readied }

// Ready sends a parked call to the front of a latch's line and tells whether it
// was parked. The latch is held by the caller, and is one of the call's. It
// never blocks.
func (r *Runner) Ready(k *Call, id latch.ID) bool {
	if !k.ticket.CompareAndSwap(parked, ticketOf(queued, id)) {
		return false // readied by another, or it has left
	}
	r.at("ready")
	r.coordinatorOf(id).joinFront(k, id)
	return true
}

// Await sleeps until the parked call is readied, then runs its work with all its
// latches. The zero deadline is none; unblock and the call's Gone may be nil. The
// pass is held on entry and on return.
//
// A nil error means that the work ran; if it parked the call again, Await is
// called again. With any other the call is not used any more, and Readied says
// whether the next must be readied in its stead.
func (r *Runner) Await(p *Pass, k *Call, deadline time.Time, unblock <-chan struct{}) error {
	if invariants.Enabled {
		invariants.Check(p.held && !k.Short && k.ticket.Load()&statusMask != idle, "rmw: awaits what was never parked")
	}
	p.Leave()
	k.beforePark()
	id, err := r.sleep(p, k, deadline, unblock)
	if err == nil {
		err = r.claimRest(p, k, id)
	}
	p.Enter()
	k.asleep = false
	if err == nil {
		err = r.heldAfterLine(k)
	}
	if err != nil {
		return r.reported(p, err)
	}
	k.readied = false
	return nil
}

// sleep returns the latch that was handed over, or why not.
func (r *Runner) sleep(p *Pass, k *Call, deadline time.Time, unblock <-chan struct{}) (latch.ID, error) {
	var late <-chan time.Time
	if !deadline.IsZero() {
		late = p.arm(time.Until(deadline))
		defer p.timer.Stop()
	}
	var why error
	select {
	case <-k.done:
	case <-late:
		why = ErrTimeout
	case <-k.Gone:
		why = ErrGone
	case <-unblock:
		why = ErrUnblocked
	case <-r.stopping:
		why = ErrStopped
	}
	if why != nil {
		r.at("withdraw")
		if from, id, ok := k.withdraw(); ok {
			if from == queued {
				k.readied = true
				r.coordinatorOf(id).left(k, id)
			}
			return 0, why
		}
		<-k.done // claimed: the latch is on its way
	}
	k.readied = true // until the work has run
	id := ticketLatch(k.ticket.Load())
	_, err := k.outcome(r.coordinatorOf(id))
	return id, err
}

// claimRest takes the call's other latches. The one at hand may lie above them,
// so they are tried; if one is taken, all are released and the call goes through
// the lines from the lowest.
func (r *Runner) claimRest(p *Pass, k *Call, at latch.ID) error {
	for i, id := range k.Latches {
		if id == at || r.direct && r.table.TryClaim(id, k.Owner) {
			continue
		}
		r.release(k.Latches[:i], k.Owner)
		if id < at { // else it was among those
			r.release([]latch.ID{at}, k.Owner)
		}
		_, err := r.lineUpAll(p, k)
		return err
	}
	return nil
}
