package rmw

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/latch"
)

// What Run answers when it did not run the call. In every case the call has
// changed nothing and never will.
var (
	ErrBusy    = errors.New("rmw: waited for too long")
	ErrFull    = errors.New("rmw: too many wait already")
	ErrGone    = errors.New("rmw: the client has left")
	ErrStopped = errors.New("rmw: shutting down")

	// Await only.
	ErrTimeout   = errors.New("rmw: not readied in time")
	ErrUnblocked = errors.New("rmw: unblocked from outside")
)

// ErrPanic is what every *PanicError is.
var ErrPanic = errors.New("rmw: panic")

// A PanicError is what Run answers when the work panicked. The latches are free
// and open; what the work had done by then is for the work to have put back.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("rmw: panic: %v", e.Value) }

// Is makes errors.Is(err, ErrPanic) true.
func (e *PanicError) Is(target error) bool { return target == ErrPanic }

func newPanicError(v any) *PanicError {
	if v == nil {
		v = "runtime.Goexit" // panic(nil) recovers as a *runtime.PanicNilError
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}

// Verdict is what Work answers.
type Verdict uint8

const (
	Done     Verdict = iota
	HandOver         // the coordinator only: nothing is half done, let my own goroutine do it, or the rest
)

// Work is what a call does. The same object serves inline, handed over and in
// line.
type Work interface {
	// Run does it, with the latches held and the gate read-locked. byCoordinator
	// tells that the shard's coordinator runs it, so it must not wait for
	// anything; it may then answer HandOver, with nothing half done, to be run
	// again, or to its end, by its own goroutine.
	Run(byCoordinator bool) Verdict

	// BeforePark is called at most once per Run of a call, before it stands in
	// line, with neither latch nor gate token held.
	BeforePark()
}

// Call is one piece of work and the latches it needs. It may be used again after
// Run unless Reusable says no. It must not be copied.
type Call struct {
	Owner   latch.Owner
	Latches []latch.ID // ascending, each once

	// Short: one latch, O(1), cannot wait. The coordinator may run it.
	Short bool

	// Size is how many commands the work is, of those that a coordinator runs under
	// one claim; 0 is 1.
	Size int

	// Closes: it publishes more than once, so that readers without a latch must
	// keep away from CloseLatches (nil: all of Latches) meanwhile.
	Closes       bool
	CloseLatches []latch.ID

	// Must: a place in line is always granted. It is for calls that somebody would
	// be forgotten without, and of which there are no more than clients.
	Must bool

	Wait time.Duration   // how long to stand in line; 0: the default
	Gone <-chan struct{} // closed when the client has left; may be nil
	Work Work

	ticket atomic.Uint64 // status and, in a line, the latch: one word, or a timeout slips between two
	done   chan struct{} // capacity 1; one send for every time in line that was not withdrawn
	ending ending        // written before the send
	err    error         // of the run by the coordinator

	prev, next *Call // in a line; the coordinator's
	lined      bool

	taken uint64 // the line's count when the call joined it

	warned  bool // BeforePark was called
	asleep  bool // the work has parked it, and Await has not run it since
	readied bool // Await ended between readiness and a finished run
}

// status is the low byte of the ticket; the latch's ID lies above 32 bits.
type status = uint64

const (
	idle status = iota
	queued
	claimed
	withdrawn
	parked // in no line yet: a blocked call

	statusMask = 0xff
)

func ticketOf(s status, id latch.ID) uint64 { return s | uint64(id)<<32 }
func ticketLatch(t uint64) latch.ID         { return latch.ID(t >> 32) }

// ending is how a time in line ended.
type ending uint8

const (
	endHanded  ending = iota // the latch is the caller's
	endRan                   // the coordinator ran it, or failed to: err says
	endRefused               // shutting down
	endLeft                  // the coordinator saw that the client has left
)

// Reusable tells whether the call may be run again. A withdrawn one may not: the
// line may still know it, and it would run under the wrong latch.
func (k *Call) Reusable() bool { return k.ticket.Load()&statusMask != withdrawn }

func (k *Call) withdrawn() bool { return !k.Reusable() }

// claim moves the ticket queued → claimed. The latch is held by who claims.
func (k *Call) claim() bool {
	t := k.ticket.Load()
	return t&statusMask == queued && k.ticket.CompareAndSwap(t, t&^statusMask|claimed)
}

// withdraw moves the ticket from parked or queued to withdrawn, and tells from
// where. Of neither, it has been claimed and will be answered.
func (k *Call) withdraw() (from status, id latch.ID, ok bool) {
	for {
		t := k.ticket.Load()
		from = t & statusMask
		if from != parked && from != queued {
			return from, 0, false
		}
		if k.ticket.CompareAndSwap(t, t&^statusMask|withdrawn) {
			return from, ticketLatch(t), true
		}
	}
}

// clientHasLeft looks without waiting.
func (k *Call) clientHasLeft() bool {
	if k.Gone == nil {
		return false
	}
	select {
	case <-k.Gone:
		return true
	default:
		return false
	}
}

// answer ends a time in line. After it the call is its client's again.
func (k *Call) answer(e ending) {
	k.ending = e
	k.done <- struct{}{}
}

func (k *Call) closeLatches() []latch.ID {
	if k.CloseLatches != nil {
		return k.CloseLatches
	}
	return k.Latches
}

func (k *Call) beforePark() {
	if !k.warned {
		k.warned = true
		k.Work.BeforePark()
	}
}
