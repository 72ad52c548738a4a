package rmw

import (
	"time"
)

// live runs the loop. Should it panic, or the work it runs end the goroutine, a
// new one takes over with the same lines.
func (c *coordinator) live() {
	defer func() {
		if c.ending {
			close(c.exited)
			return
		}
		c.recovered(recover())
		go c.live()
	}()
	c.rest()
	c.loop()
}

// rest keeps a coordinator that panics again and again, serving nobody between,
// from spinning.
func (c *coordinator) rest() {
	if c.setbacks < 2 {
		return
	}
	select {
	case <-time.After(min(time.Millisecond<<min(c.setbacks, 10), 100*time.Millisecond)):
	case <-c.r.stopping:
	}
}

// recovered brings the shard back to what the loop may assume: the call that was
// being served is answered, no latch is held, and every line with somebody in it
// is looked at again.
func (c *coordinator) recovered(v any) {
	c.restarts.Add(1)
	pe := newPanicError(v)
	setbacks := c.setbacks + 1
	if k := c.current; k != nil {
		c.answerAfterPanic(k, pe)
	}
	c.setbacks = setbacks
	for i := range c.lines {
		ln := &c.lines[i]
		o, isHeld, _ := c.r.table.Holder(ln.id)
		mine := isHeld && o == c.self
		if mine {
			c.r.table.Release(ln.id, c.self)
		}
		if mine || !ln.empty() {
			c.makeReady(ln)
		}
	}
	if c.reached < len(c.notes) {
		if c.strikes++; c.strikes > 1 {
			c.skipNote(pe)
		}
	}
	c.r.report(pe)
}

// answerAfterPanic gives a claimed call its one answer: the latch, if that had
// been handed over already, and else the panic.
func (c *coordinator) answerAfterPanic(k *Call, pe *PanicError) {
	id := ticketLatch(k.ticket.Load())
	if o, isHeld, _ := c.r.table.Holder(id); isHeld && o == k.Owner {
		c.answer(k, endHanded)
		return
	}
	k.err = pe
	c.answer(k, endRan)
}

// skipNote gives up a note over which the loop has panicked twice.
func (c *coordinator) skipNote(pe *PanicError) {
	n := c.notes[c.reached]
	c.notes[c.reached] = note{}
	c.reached++
	c.strikes = 0
	if k := n.call; k != nil && n.kind != left && !k.lined && k.claim() {
		c.leave(n.slot)
		c.answerAfterPanic(k, pe)
	}
}

// refuseAll is the last thing a coordinator does.
func (c *coordinator) refuseAll() {
	for i := range c.lines {
		ln := &c.lines[i]
		for k := ln.head; k != nil; k = ln.head {
			ln.remove(k)
			if k.claim() {
				c.leave(uint32(i))
				c.answer(k, endRefused)
			}
		}
		c.r.table.Unmark(ln.id)
	}
	c.ending = true
}
