package rmw

import (
	"sync/atomic"

	"github.com/ferricd/ferricd/latch"
)

// line is who waits for one latch, first come first. It exists for ever; all but
// the atomics is its coordinator's.
type line struct {
	id         latch.ID
	head, tail *Call
	nextReady  *line
	ready      bool

	waiting  atomic.Int64  // queued calls, in the line or on their way to it
	taken    atomic.Uint64 // times the latch was taken from the line
	reported atomic.Uint64 // 1 + taken at the last report of a stuck holder
}

func (ln *line) empty() bool { return ln.head == nil }

func (ln *line) pushBack(k *Call) {
	k.prev, k.next, k.lined = ln.tail, nil, true
	if ln.tail == nil {
		ln.head = k
	} else {
		ln.tail.next = k
	}
	ln.tail = k
}

func (ln *line) pushFront(k *Call) {
	k.prev, k.next, k.lined = nil, ln.head, true
	if ln.head == nil {
		ln.tail = k
	} else {
		ln.head.prev = k
	}
	ln.head = k
}

func (ln *line) remove(k *Call) {
	if !k.lined {
		return
	}
	if k.prev == nil {
		ln.head = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		ln.tail = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.prev, k.next, k.lined = nil, nil, false
}

// stuckSince tells, once per hold, whether the latch has not been taken from the
// line since taken was read.
func (ln *line) stuckSince(taken uint64) bool {
	if ln.taken.Load() != taken {
		return false
	}
	before := ln.reported.Load()
	return before != taken+1 && ln.reported.CompareAndSwap(before, taken+1)
}

// note is what a coordinator is told.
type note struct {
	call *Call
	slot uint32
	kind noteKind
}

type noteKind uint8

const (
	released noteKind = iota // a marked latch was let go
	joined                   // a call for the end of the line
	readied                  // a blocked call, for the front
	left                     // a call was withdrawn
)

// tell puts a note into the inbox. It never blocks: two coordinators that told
// each other something through full channels would stop for good. False means
// that the coordinator has ended.
func (c *coordinator) tell(n note) bool {
	c.mu.Lock()
	ok := !c.stopped
	if ok {
		c.start()
		c.inbox = append(c.inbox, n)
	}
	c.mu.Unlock()
	if ok {
		c.ring()
	}
	return ok
}

func (c *coordinator) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// tellReleased says that a marked latch is free.
func (c *coordinator) tellReleased(id latch.ID) {
	if !c.tell(note{slot: c.slot(id), kind: released}) {
		c.r.table.Unmark(id) // nobody is in line any more, nor will be
	}
}

// join puts a call into the latch's line, or claims the latch if it is free. The
// place, the mark and the note are one step under the inbox's mutex, so there is
// no mark without a note.
func (c *coordinator) join(k *Call, id latch.ID) (mine bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false, ErrStopped
	}
	c.start()
	ln := &c.lines[c.slot(id)]
	if !k.Must && (c.waiting.Load() >= c.r.perShard.Load() || ln.waiting.Load() >= c.r.perLatch.Load()) {
		c.full.Add(1)
		return false, ErrFull
	}
	if !c.r.direct {
		c.r.table.Mark(id)
	} else if c.r.table.ClaimOrMark(id, k.Owner) {
		return true, nil
	}
	k.taken = ln.taken.Load()
	k.ticket.Store(ticketOf(queued, id))
	c.enter(note{call: k, slot: c.slot(id), kind: joined})
	return false, nil
}

// enter counts a queued call and passes it on. The inbox's mutex is held.
func (c *coordinator) enter(n note) {
	raise(&c.depthMax, c.waiting.Add(1))
	c.lines[n.slot].waiting.Add(1)
	c.inbox = append(c.inbox, n)
	c.ring()
}

// leave undoes enter's counting; it is done by whoever moves the ticket out of
// queued.
func (c *coordinator) leave(slot uint32) {
	c.waiting.Add(-1)
	c.lines[slot].waiting.Add(-1)
}

// left says that the call, queued before, has been withdrawn. A readied call may
// be withdrawn before who readied it has come to enter it.
func (c *coordinator) left(k *Call, id latch.ID) {
	c.mu.Lock()
	c.makeLines()
	c.leave(c.slot(id))
	c.mu.Unlock()
	c.tell(note{call: k, slot: c.slot(id), kind: left})
}

// joinFront always grants a place: there are no more blocked calls than clients.
func (c *coordinator) joinFront(k *Call, id latch.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		c.makeLines()
		c.waiting.Add(1)
		c.lines[c.slot(id)].waiting.Add(1)
		if k.claim() {
			c.leave(c.slot(id))
			k.answer(endRefused)
		}
		return
	}
	c.start()
	c.r.table.Mark(id)
	c.enter(note{call: k, slot: c.slot(id), kind: readied})
	c.urgent.Store(true)
	c.readied.Add(1)
}
