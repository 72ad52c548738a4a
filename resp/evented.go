package resp

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// What a loop is to do with a connection that it has read from.
type fetched uint8

const (
	fetchedNothing fetched = iota // it waits for its client
	fetchedAgain                  // there may be more to read
	fetchedSome                   // there is something to parse, or to run
	fetchedEnd
)

// And with one that it has run.
type ran uint8

const (
	ranDry   ran = iota // it waits for its client
	ranAgain            // there may be more to read or to run
	ranOwing            // what it has answered is to be sent
	ranAside            // it has taken the goroutine, the loop is handed over
	ranToEnd
)

// errGivenBack: the connection is its loop's again.
var errGivenBack = errors.New("resp: given back to the loop")

// adopt finds a loop for what an acceptor has accepted; nil for all others.
func (s *Server) adopt(nc net.Conn) *loop {
	sock, ok := nc.(*sock)
	if !ok {
		return nil
	}
	sock.tune(time.Duration(s.limits.TCPKeepalive.Load()))
	return s.loops.pick()
}

// onLoop tells whether the connection's goroutine is its loop's driver.
func (c *Conn) onLoop() bool { return c.loop != nil && c.evented.word.Load()&sockAside == 0 }

// StepAside is called within Serve before anything that may have to wait or may
// take long, by a handler that does not call BeforePark for it. It does not wait
// itself. Other connections go on meanwhile, whichever transport serves them.
func (c *Conn) StepAside() {
	if c.onLoop() {
		c.loop.srv.loops.away.Add(1)
		c.evented.word.Or(sockAside)
		c.loop.handOver()
	}
}

// begin lets a loop serve a connection that was accepted. What has come already is
// an event for the loop; only what cannot wait for it takes a goroutine.
func (c *Conn) begin() {
	if c.introduce() && c.Reply.Len() == 0 && c.restOnLoop() {
		return
	}
	go c.goOn()
}

// restOnLoop gives the connection to its loop, to wait for its client. false: the
// caller has it still, because something came or because it is to end.
func (c *Conn) restOnLoop() bool {
	c.in.idle()
	if c.rest() {
		away := &c.srv.loops.away
		if c.evented.giveBack() {
			away.Add(-1)
			return true
		}
		c.state.CompareAndSwap(waiting, serving) // else it has ended, and says so
	}
	return false
}

// introduce shows the connection to the handler and to the loop.
func (c *Conn) introduce() (ok bool) {
	defer c.recovered("connection")
	c.borrow()
	c.srv.handler.Open(c)
	c.opened.Store(true)
	if !c.srv.loops.socks.put(c.fd, c) {
		c.Kill("no place for its descriptor")
		return false
	}
	if err := c.loop.poll.add(c.fd, uint32(c.ID)); err != nil {
		c.Kill(err.Error())
		return false
	}
	return true
}

// goOn serves a connection that has a goroutine of its own until the loop can
// have it back, or to its end.
func (c *Conn) goOn() {
	if c.serveAside() != errGivenBack {
		c.end()
	}
}

func (c *Conn) serveAside() (err error) {
	defer c.recovered("connection")
	c.borrow()
	if err = c.FlushIfLarge(); err != nil {
		return err
	}
	return c.serve()
}

// readAside is read for a connection with a goroutine of its own. Before it
// waits it gives the connection back.
func (c *Conn) readAside() error {
	for {
		if came, hup := c.evented.edge(); came {
			c.more, c.hup = true, c.hup || hup
		}
		if c.more {
			c.borrow()
			if n := c.readOnce(); n > 0 {
				c.received(n)
				return c.ioErr
			}
			if c.ioErr != nil {
				return c.ioErr
			}
			continue
		}
		c.in.idle()
		if !c.rest() {
			return c.ioErr
		}
		away := &c.srv.loops.away
		if c.evented.giveBack() {
			away.Add(-1)
			return errGivenBack
		}
		if !c.state.CompareAndSwap(waiting, serving) {
			return ErrClosed
		}
	}
}

// end is the last thing that is done for a connection of a loop, in a goroutine
// of its own.
func (c *Conn) end() {
	defer c.srv.wait.Done()
	defer c.srv.loops.away.Add(-1)
	defer c.finish()
	defer c.closed()
	defer c.recovered("connection")
	if !c.dead() && c.Flush() == nil {
		c.discard()
	}
}

// readOnce reads what is there, for who takes it. more says afterwards whether that may not have
// been all: nobody tells of what was there before.
func (c *Conn) readOnce() int {
	c.ioErr = nil
	if c.in.buf == nil && c.onLoop() {
		c.in.buf, c.in.pos = c.loop.spare.buffer(c.in.hint.n), 0
	}
	room := c.in.room()
	n, err := readNow(c.fd, room)
	switch {
	case n > 0:
		c.more = n == len(room) || c.hup
	case err == syscall.EAGAIN:
		c.more = false
	case err == syscall.EINTR:
	case err == nil:
		c.ioErr = io.EOF
	default:
		c.ioErr = os.NewSyscallError("read", err)
	}
	return n
}

// fetch reads for the loop.
func (c *Conn) fetch() fetched {
	if c.batch != nil && c.batch.Len() > 0 {
		return fetchedSome // parsed already
	}
	if c.Closing() || c.srv.draining.Load() {
		return fetchedEnd
	}
	if n := c.readOnce(); n > 0 {
		c.loop.reads++
		c.loop.in += uint64(n)
		if c.took(n, c.loop.now); c.ioErr == nil {
			return fetchedSome
		}
	}
	if c.ioErr != nil {
		return fetchedEnd
	}
	return c.starved()
}

// parse looks for whole commands in what fetch has read.
func (c *Conn) parse() fetched {
	if c.batch == nil {
		c.batch = c.loop.spare.batch()
	}
	if c.batch.Len() > 0 {
		return fetchedSome
	}
	c.in.guard.maxBulk = c.srv.limits.MaxBulk.Load()
	if broken := c.in.parse(c.batch); c.batch.Len() > 0 || broken != "" {
		return fetchedSome
	}
	return c.starved()
}

// starved: there is no whole command.
func (c *Conn) starved() fetched {
	if c.more {
		return fetchedAgain
	}
	return c.dry()
}

// dry lets the connection wait for its client.
func (c *Conn) dry() fetched {
	c.loop.spare.keep(c)
	c.in.idle()
	if !c.rest() {
		return fetchedEnd
	}
	return fetchedNothing
}

// step does something for the connection that calls its handler or writes to its
// socket: run or settle. A panic ends the connection and not its loop.
func (c *Conn) step(do func(*Conn) ran) (r ran) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked("connection", p)
			if r = ranToEnd; !c.onLoop() {
				r = ranAside
			}
		}
	}()
	return do(c)
}

// run runs what was parsed.
func (c *Conn) run() ran {
	if c.Closing() {
		return ranToEnd
	}
	if c.replies == nil {
		c.replies = c.loop.spare.buffer(c.outHint.n)
		c.Reply.buf = c.replies.b
	}
	if c.batch.Len() > 0 {
		c.runBatch()
		if !c.onLoop() {
			return ranAside
		}
		if c.FlushIfLarge() != nil || c.Closing() || c.srv.draining.Load() {
			return c.where(ranToEnd)
		}
	}
	c.in.guard.maxBulk = c.srv.limits.MaxBulk.Load()
	if broken := c.in.parse(c.batch); c.batch.Len() > 0 {
		return c.where(ranAgain) // the others first
	} else if broken != "" {
		c.Reply.Error("ERR " + broken)
		c.srv.handler.ProtocolError(c, broken)
		return ranToEnd
	}
	return c.where(ranOwing)
}

// settle sends what the connection is owed after all that was whole has run.
func (c *Conn) settle() ran {
	if c.Flush() != nil {
		return c.where(ranToEnd)
	}
	if !c.onLoop() {
		return ranAside
	}
	if c.more {
		return ranAgain
	}
	if c.dry() == fetchedEnd {
		return ranToEnd
	}
	return ranDry
}

// where is r, unless the connection has left the loop meanwhile.
func (c *Conn) where(r ran) ran {
	if c.onLoop() {
		return r
	}
	return ranAside
}
