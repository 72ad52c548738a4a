package resp

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// pushOverhead is what a message in the outbox costs besides its bytes.
const pushOverhead = 32

// An outbox holds what was not sent at once: pushes, and the rest of replies
// that the socket did not take before the connection parked. Replies are
// normally written by the connection's goroutine without touching it.
//
// While that goroutine serves, it alone writes; while it waits or is parked,
// the outbox's own goroutine does, which the first push starts. writing keeps
// the two apart.
type outbox struct {
	used atomic.Bool // something was put in, once

	mu      sync.Mutex
	ready   sync.Cond // writing has become false
	owed    []byte    // goes first
	msgs    [][]byte
	bytes   int64 // in owed and msgs and in what is being written
	since   int64 // when bytes passed the soft limit
	sending int64 // when replies were first seen to be above theirs
	writing bool
	held    atomic.Bool // pushes wait for a reply, though the connection is parked
	closed  bool
	wake    chan struct{} // capacity 1; nil until the goroutine is started
	done    chan struct{} // closed by it
}

// outbox is the connection's, made if need be.
func (c *Conn) outbox() *outbox {
	o := c.out.Load()
	if o == nil {
		o = new(outbox)
		o.ready.L = &o.mu
		if !c.out.CompareAndSwap(nil, o) {
			o = c.out.Load()
		}
	}
	return o
}

// usedOutbox is the connection's if something was put in, else nil.
func (c *Conn) usedOutbox() *outbox {
	if o := c.out.Load(); o != nil && o.used.Load() {
		return o
	}
	return nil
}

// Push puts an encoded message where it is sent as soon as no reply is in the
// middle of being written: at the latest after the batch that is running. It
// may be called from any goroutine and never waits. b must not be changed
// afterwards. false: the connection is closed, perhaps because of this message.
func (c *Conn) Push(b []byte) bool {
	o := c.outbox()
	o.mu.Lock()
	if o.closed || c.dead() {
		o.mu.Unlock()
		return false
	}
	o.msgs = append(o.msgs, b)
	o.bytes += int64(len(b)) + pushOverhead
	over := c.overLimit()
	o.used.Store(true) // before the state is looked at: see wakeOutbox
	if !over && c.state.Load() != serving && !o.held.Load() {
		o.signal(c)
	}
	o.mu.Unlock()
	if over {
		c.cutOff()
	}
	return !over
}

// overLimit judges what is in the outbox; o.mu is held.
func (c *Conn) overLimit() bool {
	o := c.out.Load()
	if o.closed {
		return false
	}
	over, since := c.pushLimit().exceeded(o.bytes, o.since, c.srv.now)
	c.setSince(since)
	return over
}

// setSince keeps count of the connections that the ticker has to look at; o.mu
// is held.
func (c *Conn) setSince(since int64) {
	o := c.out.Load()
	switch had := o.since; {
	case had == 0 && since != 0:
		c.srv.overSoft.Add(1)
	case had != 0 && since == 0:
		c.srv.overSoft.Add(-1)
	}
	o.since = since
}

// closeIfSlow is the ticker's look at a connection: nothing else may happen on
// one that is above its soft limit.
func (c *Conn) closeIfSlow() {
	if c.out.Load() == nil && c.stats.out.Load() == 0 {
		return
	}
	o := c.outbox()
	o.mu.Lock()
	over := c.overLimit()
	if !over {
		over, o.sending = c.replyLimit().exceeded(c.stats.out.Load(), o.sending, c.srv.now)
	}
	o.mu.Unlock()
	if over {
		c.cutOff()
	}
}

const outputLimitReached = "output buffer limit"

// cutOff may be called by whoever pushes, holding what others wait for: that it was
// done is logged by the connection's own goroutine.
func (c *Conn) cutOff() {
	c.srv.counters.outputLimit.Add(1)
	c.Kill(outputLimitReached)
}

// signal tells the outbox's goroutine that there is something; o.mu is held.
func (o *outbox) signal(c *Conn) {
	if o.wake == nil {
		o.wake, o.done = make(chan struct{}, 1), make(chan struct{})
		go c.writeOutbox()
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// wakeOutbox is called when the connection's goroutine stops to serve. It has said
// so in state before used is read here, and Push sets used before it reads state:
// one of the two sees the other.
func (c *Conn) wakeOutbox() {
	o := c.usedOutbox()
	if o == nil {
		return
	}
	o.mu.Lock()
	if len(o.owed) > 0 || len(o.msgs) > 0 {
		o.signal(c)
	}
	o.mu.Unlock()
}

func (c *Conn) writeOutbox() {
	o, gone := c.out.Load(), c.Gone()
	defer close(o.done)
	defer c.recovered("outbox")
	for {
		select {
		case <-o.wake:
			for c.writePending() {
			}
		case <-gone:
			return
		}
	}
}

func (c *Conn) writePending() bool {
	o := c.out.Load()
	o.mu.Lock()
	if o.closed || o.writing || c.state.Load() == serving || o.held.Load() || len(o.owed) == 0 && len(o.msgs) == 0 {
		o.mu.Unlock()
		return false
	}
	owed, msgs := o.take()
	o.mu.Unlock()
	err := c.send(owed)
	if err == nil {
		err = c.sendAll(msgs, c.send)
	}
	o.wrote(c, len(owed), msgs)
	return err == nil
}

// take empties the outbox for whoever calls it to write; o.mu is held.
func (o *outbox) take() (owed []byte, msgs [][]byte) {
	owed, msgs = o.owed, o.msgs
	o.owed, o.msgs, o.writing = nil, nil, true
	return owed, msgs
}

func (o *outbox) wrote(c *Conn, owed int, msgs [][]byte) {
	o.mu.Lock()
	o.bytes -= int64(owed)
	for _, m := range msgs {
		o.bytes -= int64(len(m)) + pushOverhead
	}
	c.overLimit()
	o.writing = false
	o.ready.Broadcast()
	o.mu.Unlock()
}

// endOutbox waits for the outbox's goroutine; the socket is closed already.
func (c *Conn) endOutbox() {
	o := c.out.Load()
	if o == nil { // who makes one from now on finds that the connection is dead
		return
	}
	o.mu.Lock()
	c.setSince(0)
	o.closed = true
	o.owed, o.msgs = nil, nil
	done := o.done
	o.mu.Unlock()
	if done != nil {
		<-done
	}
}

// AppendPushes moves pushes that have come to c.Reply: between two commands,
// for a handler that wants them there and not after the batch.
func (c *Conn) AppendPushes() {
	o := c.usedOutbox()
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	chunk := int(c.srv.limits.ReplyChunk.Load())
	n := 0
	for n < len(o.msgs) && c.Reply.Len() < chunk {
		c.Reply.Raw(o.msgs[n])
		o.bytes -= int64(len(o.msgs[n])) + pushOverhead
		o.msgs[n] = nil
		n++
	}
	if o.msgs = o.msgs[n:]; len(o.msgs) == 0 {
		o.msgs = nil
	}
	c.overLimit()
}

// Flush sends what c.Reply holds, and pushes that wait. It blocks while the
// client does not read (WriteTimeout bounds that, Kill ends it): its caller
// holds nothing that others wait for. After an error the connection is closed.
func (c *Conn) Flush() error {
	if c.dead() {
		c.Reply.Truncate(0)
		return ErrClosed
	}
	if o := c.usedOutbox(); o != nil {
		return c.flushAll(o)
	}
	if c.Reply.Len() == 0 {
		return nil
	}
	return c.sendReplies()
}

// FlushIfLarge flushes when the replies have grown past ReplyChunk.
func (c *Conn) FlushIfLarge() error {
	if int64(c.Reply.Len()) < c.srv.limits.ReplyChunk.Load() {
		return nil
	}
	return c.Flush()
}

func (c *Conn) replyLimit() *OutputLimit {
	if c.Class() == ClassNormal {
		return &c.srv.limits.Normal
	}
	return c.pushLimit()
}

func (c *Conn) pushLimit() *OutputLimit {
	if c.Class() == ClassReplica {
		return &c.srv.limits.Replica
	}
	return &c.srv.limits.PubSub
}

func (c *Conn) sendReplies() error {
	n := c.Reply.Len()
	if hard := c.replyLimit().Hard.Load(); hard > 0 && int64(n) > hard {
		c.Reply.Truncate(0)
		c.cutOff()
		return ErrClosed
	}
	c.outHint.used(n)
	err := error(nil)
	if b := c.sendOnLoop(c.Reply.buf); len(b) > 0 {
		c.stats.out.Store(int64(n))
		err = c.send(b)
		c.stats.out.Store(0)
	}
	c.Reply.Truncate(0)
	if cap(c.Reply.buf) > 2*maxBuffer { // one huge reply does not stay for ever
		c.replies = getBuffer(int(c.outHint.n))
		c.Reply.buf = c.replies.b
	}
	return err
}

// flushAll is Flush once the outbox has been used.
func (c *Conn) flushAll(o *outbox) error {
	o.mu.Lock()
	if o.writing {
		c.StepAside()
	}
	for o.writing {
		o.ready.Wait()
	}
	owed, msgs := o.take()
	o.mu.Unlock()
	err := c.sendOwn(owed)
	if err == nil {
		err = c.sendReplies()
	}
	if err == nil {
		err = c.sendAll(msgs, c.sendOwn)
	}
	o.wrote(c, len(owed), msgs)
	return err
}

// send writes b, waiting as long as it takes.
func (c *Conn) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if d := c.srv.limits.WriteTimeout.Load(); d > 0 {
		_ = c.sock.SetWriteDeadline(time.Now().Add(time.Duration(d)))
		c.timed = true
	} else if c.timed {
		_ = c.sock.SetWriteDeadline(time.Time{})
		c.timed = false
	}
	n, err := c.nc.Write(b)
	c.traffic().wrote(1, uint64(n))
	if err != nil {
		c.Kill("write: " + err.Error())
		return ErrClosed
	}
	return nil
}

// sendOwn is send for the connection's own goroutine, which may be the driver of
// a loop.
func (c *Conn) sendOwn(b []byte) error { return c.send(c.sendOnLoop(b)) }

// sendOnLoop returns what of b is to be waited with. It writes for the driver of a
// loop, and if the socket does not take all, the driver is no longer that.
func (c *Conn) sendOnLoop(b []byte) []byte {
	if !c.onLoop() || len(b) == 0 {
		return b
	}
	n, _ := writeNow(c.fd, b) // an error comes again
	n = max(n, 0)
	c.loop.writes++
	c.loop.out += uint64(n)
	if n < len(b) {
		c.StepAside()
	}
	return b[n:]
}

// sendAll writes messages with send, small ones together.
func (c *Conn) sendAll(msgs [][]byte, send func([]byte) error) error {
	if len(msgs) == 1 {
		return send(msgs[0])
	}
	if len(msgs) == 0 {
		return nil
	}
	p := getBuffer(maxHint)
	defer p.free()
	for _, m := range msgs {
		if len(p.b)+len(m) > maxHint {
			if err := send(p.b); err != nil {
				return err
			}
			p.b = p.b[:0]
		}
		if len(m) > maxHint {
			if err := send(m); err != nil {
				return err
			}
			continue
		}
		p.b = append(p.b, m...)
	}
	return send(p.b)
}

// flushNow sends what the socket takes at once and leaves the rest, if any, to
// the outbox.
func (c *Conn) flushNow() {
	if c.Reply.Len() == 0 || c.dead() {
		return
	}
	o := c.outbox()
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := c.Reply.buf
	if c.raw != nil && !o.writing && len(o.owed) == 0 {
		d := c.directly()
		d.unsent = rest
		_ = c.raw.Write(d.write)
		rest, d.unsent = d.unsent, nil
		c.traffic().wrote(1, uint64(c.Reply.Len()-len(rest)))
	}
	if len(rest) > 0 {
		o.owed = append(o.owed, rest...)
		o.bytes += int64(len(rest))
		o.used.Store(true)
	}
	c.Reply.Truncate(0)
}

func (c *Conn) writeReady(fd uintptr) bool {
	d := c.direct
	for len(d.unsent) > 0 {
		n, err := syscall.Write(int(fd), d.unsent)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			break // full, or broken: the next write will tell
		}
		d.unsent = d.unsent[n:]
	}
	return true
}
