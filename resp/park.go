package resp

import (
	"errors"
	"os"
	"sync"
	"time"
)

// watchAfter is how long a connection is parked before its socket is watched:
// most calls that stand in line are served long before, and a watch costs a
// goroutine.
const watchAfter = 5 * time.Millisecond

// A watch reads from the socket of a parked connection, to learn that the peer
// has left. What it reads is kept and run later.
type watch struct {
	timer *time.Timer

	mu   sync.Mutex
	on   bool          // the connection is parked
	done chan struct{} // closed when the reading goroutine has ended; nil without one
}

// BeforePark is called within Serve when what is being run has to wait for
// something else than the client, with c.Reply holding whole replies only and
// the arguments of the running command copied. It sends what is owed, without
// waiting for a slow client, and from then on c.Gone tells when the peer has
// left. AfterPark ends it.
func (c *Conn) BeforePark() {
	c.flushNow()
	c.state.Store(parked)
	c.wakeOutbox()
	if w := c.watch; w == nil {
		c.watch = &watch{on: true}
		c.watch.timer = time.AfterFunc(watchAfter, c.watchPeer)
	} else {
		w.mu.Lock()
		w.on = true
		w.mu.Unlock()
		w.timer.Reset(watchAfter)
	}
	c.StepAside() // last: the loop does not wait for what is above
}

// AfterPark is called when the waiting is over, for whatever reason. What the
// client has sent meanwhile waits, unparsed, behind the batch.
func (c *Conn) AfterPark() {
	c.endWatch()
	c.stats.active.Store(c.srv.now())
	c.state.Store(serving)
	if o := c.out.Load(); o != nil {
		o.held.Store(false)
	}
}

// HoldPushes is called while the connection is parked, by whoever runs the command
// that it is parked in, before that command looks at what it will answer. Pushes
// made from then on are sent after the answer: AfterPark ends it.
func (c *Conn) HoldPushes() { c.outbox().held.Store(true) }

// ReleasePushes ends HoldPushes when the command parks again, without an answer. As
// in wakeOutbox, this or Push sees the other.
func (c *Conn) ReleasePushes() {
	if o := c.out.Load(); o != nil && o.held.Load() {
		o.held.Store(false)
		c.wakeOutbox()
	}
}

// endWatch returns when nobody else reads from the socket.
func (c *Conn) endWatch() {
	w := c.watch
	if w == nil {
		return
	}
	w.timer.Stop()
	w.mu.Lock()
	w.on = false
	done := w.done
	w.mu.Unlock()
	if done == nil {
		return
	}
	_ = c.sock.SetReadDeadline(time.Unix(1, 0))
	<-done
	_ = c.sock.SetReadDeadline(time.Time{})
	w.mu.Lock()
	w.done = nil
	w.mu.Unlock()
}

// watchPeer runs in the timer's goroutine, while the connection's own is
// parked and leaves the socket's reading side and c.in to it.
func (c *Conn) watchPeer() {
	w := c.watch
	w.mu.Lock()
	if !w.on || w.done != nil { // a timer that came too late
		w.mu.Unlock()
		return
	}
	done := make(chan struct{})
	w.done = done
	w.mu.Unlock()
	defer close(done)
	defer c.recovered("watch")
	c.ioErr = nil
	for c.ioErr == nil {
		err := c.readParked()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			c.ioErr = err
		}
	}
	c.leave()
}

func (c *Conn) readParked() error {
	if c.raw != nil {
		return c.readRaw()
	}
	n, err := c.nc.Read(c.in.room())
	if n > 0 {
		c.received(n)
		return nil
	}
	return err
}
