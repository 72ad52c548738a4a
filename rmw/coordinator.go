package rmw

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/latch"
)

// coordinator keeps the lines of one shard. It never waits for a latch, a
// channel, a socket or a reader; what it waits for is a note, and at the gate.
type coordinator struct {
	r     *Runner
	shard int
	self  latch.Owner

	mu      sync.Mutex // guards inbox, started and stopped
	inbox   []note
	started bool
	stopped bool

	waiting atomic.Int64  // queued calls of the shard
	urgent  atomic.Bool   // a note for the front of a line has come
	wake    chan struct{} // capacity 1
	exited  chan struct{}
	lines   []line // by slot; once made, for ever

	// The goroutine's own.
	notes                []note
	reached              int // in notes
	strikes              int // panics at that note
	readyHead, readyTail *line
	current              *Call // claimed and not yet answered
	ending               bool
	setbacks             int // panics since the last answer

	counters
}

func (c *coordinator) init(r *Runner, shard int) {
	c.r, c.shard, c.self = r, shard, ownOwners+latch.Owner(shard)
	c.wake = make(chan struct{}, 1)
	c.exited = make(chan struct{})
}

func (c *coordinator) slot(id latch.ID) uint32 { return uint32(c.r.table.Slot(id)) }

// makeLines is called, like start, with the inbox's mutex held and when first
// somebody needs it.
func (c *coordinator) makeLines() {
	if c.lines != nil {
		return
	}
	c.lines = make([]line, c.r.table.Slots())
	for i := range c.lines {
		c.lines[i].id = c.r.table.At(c.shard, i)
	}
}

func (c *coordinator) start() {
	c.makeLines()
	if !c.started {
		c.started = true
		go c.live()
	}
}

// stop makes the goroutine refuse whoever waits and end.
func (c *coordinator) stop() {
	c.mu.Lock()
	c.stopped = true
	if !c.started {
		close(c.exited)
	}
	c.mu.Unlock()
	c.ring()
}

func (c *coordinator) loop() {
	for {
		stopped := c.takeNotes()
		if stopped {
			c.refuseAll()
			return
		}
		ln := c.nextReady()
		if ln == nil {
			<-c.wake
			continue
		}
		c.serve(ln)
		runtime.Gosched() // who was answered runs before the scheduler's next tick
	}
}

// takeNotes empties the inbox into the lines. After stop it has seen the last.
func (c *coordinator) takeNotes() (stopped bool) {
	c.applyNotes() // what a panic has left
	c.urgent.Store(false)
	c.mu.Lock()
	c.inbox, c.notes = c.notes[:0], c.inbox
	stopped = c.stopped
	c.mu.Unlock()
	c.applyNotes()
	return stopped
}

// applyNotes goes on at the note that was reached. Applying one twice does no
// harm.
func (c *coordinator) applyNotes() {
	for c.reached < len(c.notes) {
		c.apply(c.notes[c.reached])
		c.notes[c.reached] = note{}
		c.reached++
		c.strikes = 0
	}
	c.reached = 0
	c.notes = c.notes[:0]
	if cap(c.notes) > 4096 {
		c.notes = nil // a burst is no reason to keep the room
	}
}

func (c *coordinator) apply(n note) {
	c.r.at("note")
	ln := &c.lines[n.slot]
	switch n.kind {
	case joined, readied:
		if !n.call.lined && !n.call.withdrawn() {
			if n.kind == readied {
				ln.pushFront(n.call)
			} else {
				ln.pushBack(n.call)
			}
		}
	case left:
		ln.remove(n.call)
	case released:
	}
	if ln.empty() {
		c.r.table.Unmark(ln.id) // whoever marks it sends a note, and that marks again
		return
	}
	if n.kind != released {
		c.r.table.Mark(ln.id)
	}
	c.makeReady(ln)
}

func (c *coordinator) makeReady(ln *line) {
	if ln.ready {
		return
	}
	ln.ready = true
	if c.readyTail == nil {
		c.readyHead = ln
	} else {
		c.readyTail.nextReady = ln
	}
	c.readyTail = ln
}

func (c *coordinator) nextReady() *line {
	ln := c.readyHead
	if ln == nil {
		return nil
	}
	if c.readyHead = ln.nextReady; c.readyHead == nil {
		c.readyTail = nil
	}
	ln.nextReady, ln.ready = nil, false
	return ln
}

// next takes the first call that has not been withdrawn and claims it. The latch
// is held: the other way round a call could be neither run nor withdrawn.
func (c *coordinator) next(ln *line) *Call {
	for k := ln.head; k != nil; k = ln.head {
		ln.remove(k)
		if !k.claim() {
			continue
		}
		c.leave(c.slot(ln.id))
		c.current = k
		if !k.clientHasLeft() {
			return k
		}
		c.answer(k, endLeft)
	}
	return nil
}

func (c *coordinator) answer(k *Call, e ending) {
	c.current = nil
	c.setbacks = 0
	k.answer(e)
}

// serve takes the latch and runs the short calls of its line, up to a bound. A
// call that is not short gets the latch and runs in its own goroutine.
func (c *coordinator) serve(ln *line) {
	tok := c.r.gate.RLock() // nothing is held here
	section := c.r.grace.Begin(c.shard)
	defer func() {
		section.End()
		c.r.gate.RUnlock(tok)
	}()
	t := c.r.table
	if !t.TakeFromLine(ln.id, c.self) {
		return // held, and marked: the release tells us
	}
	ln.taken.Add(1)
	start := time.Now()
	ran, size := 0, 0
	defer func() { c.served(ran, start) }()
	for size < c.r.drain {
		c.r.at("taken")
		k := c.next(ln)
		c.r.at("claimed")
		if k == nil {
			t.Unmark(ln.id)
			t.Release(ln.id, c.self) // marked meanwhile? then a note is on its way
			return
		}
		if !k.Short || c.r.runByCoordinator(k) == HandOver {
			if ln.empty() {
				t.Unmark(ln.id)
			}
			t.HandOver(ln.id, c.self, k.Owner)
			c.r.at("handed")
			c.handedOver.Add(1)
			c.answer(k, endHanded)
			return
		}
		ran++
		size += max(k.Size, 1)
		c.answer(k, endRan)
		if c.urgent.Load() {
			c.takeNotes()
		}
	}
	t.Release(ln.id, c.self) // still marked: only we can take it again
	c.makeReady(ln)
}
