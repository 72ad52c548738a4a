package resp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

var errQueryBuffer = errors.New("closing client that reached max query buffer length")

// main is the connection's goroutine.
func (c *Conn) main() {
	defer c.finish()
	defer c.recovered("connection")
	c.srv.tune(c.sock)
	if err := c.handshake(); err != nil {
		c.srv.log.Debug("TLS handshake failed", "addr", c.RemoteAddr(), "err", err)
		return
	}
	c.borrow()
	defer c.closed()
	c.srv.handler.Open(c)
	c.opened.Store(true)
	_ = c.serve()
	if !c.dead() && c.Flush() == nil {
		c.discard()
	}
}

// recovered keeps a panic from ending the process: it ends the connection.
func (c *Conn) recovered(where string) {
	if p := recover(); p != nil {
		c.panicked(where, p)
	}
}

func (c *Conn) panicked(where string, p any) {
	c.srv.log.Error("panic in "+where, "id", c.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.Kill("panic in " + where)
}

func (c *Conn) closed() {
	defer c.recovered("closing a connection")
	c.leave()
	c.srv.handler.Closed(c)
}

// serve runs what comes in until the connection is to end, or until its loop has
// it back: then the answer is errGivenBack, and it is not to be looked at.
func (c *Conn) serve() error {
	for !c.Closing() && !c.srv.draining.Load() {
		b := c.batch
		c.in.guard.maxBulk = c.srv.limits.MaxBulk.Load()
		broken := c.in.parse(b)
		if len(b.cmds) > 0 {
			c.runBatch()
			if err := c.FlushIfLarge(); err != nil {
				return err
			}
			continue
		}
		if broken != "" { // only now: what came before it may have been an AUTH
			c.Reply.Error("ERR " + broken)
			c.srv.handler.ProtocolError(c, broken)
			return nil
		}
		if err := c.Flush(); err != nil {
			return err
		}
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

// runBatch has what was parsed run.
func (c *Conn) runBatch() {
	b := c.batch
	c.in.pinned = true
	c.srv.handler.Serve(c, b)
	c.in.pinned = false
	if b.reset(); b.large() {
		c.batch = batchPool.Get().(*Batch)
	}
}

// read waits for the client and takes what has come.
func (c *Conn) read() error {
	if c.loop != nil {
		return c.readAside()
	}
	c.ioErr = nil
	var err error
	if c.raw != nil {
		err = c.readRaw()
	} else {
		c.in.idle()
		if c.rest() {
			var n int
			if n, err = c.nc.Read(c.in.room()); n > 0 {
				c.received(n)
				err = nil
			}
		}
	}
	if c.state.Load() != serving && !c.state.CompareAndSwap(waiting, serving) {
		return ErrClosed
	}
	c.borrow()
	if err == nil {
		err = c.ioErr
	}
	return err
}

func (c *Conn) readRaw() error { return c.raw.Read(c.directly().read) }

// readReady is called by raw.Read when there may be something to read; false
// waits until there is. Nothing is kept while waiting but what has been
// received and is not a whole command.
func (c *Conn) readReady(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), c.in.room())
		switch {
		case n > 0:
			c.received(n)
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN && c.state.Load() == parked:
			return false
		case err == syscall.EAGAIN:
			c.in.idle()
			return !c.rest()
		case err == nil:
			c.ioErr = io.EOF
		default:
			c.ioErr = os.NewSyscallError("read", err)
		}
		return true
	}
}

// received takes n bytes that were read.
func (c *Conn) received(n int) {
	c.traffic().read(1, uint64(n))
	c.took(n, c.srv.now())
}

func (c *Conn) took(n int, now int64) {
	c.in.got(n)
	c.stats.active.Store(now)
	c.stats.setQuery(&c.in)
	unread := int64(c.in.unread())
	if limit := c.srv.limits.QueryBuffer.Load(); limit > 0 && unread > limit {
		c.srv.counters.queryLimit.Add(1)
		c.srv.log.Warn(errQueryBuffer.Error(), "id", c.ID, "addr", c.RemoteAddr(), "bytes", unread)
		c.ioErr = errQueryBuffer
	}
}

// rest gives back what is not needed while the client is waited for. It returns
// false if the connection is to end instead.
func (c *Conn) rest() bool {
	c.giveBack()
	c.stats.setQuery(&c.in)
	if c.state.Load() == serving {
		c.state.Store(waiting)
	}
	if c.srv.draining.Load() || c.stop.Load() {
		c.ioErr = ErrClosed
		return false
	}
	c.wakeOutbox()
	return true
}

func (c *Conn) borrow() {
	c.borrowBatch()
	if c.replies == nil {
		c.replies = getBuffer(int(c.outHint.n))
		c.Reply.buf = c.replies.b
	}
}

func (c *Conn) borrowBatch() {
	if c.batch == nil {
		c.batch = batchPool.Get().(*Batch)
	}
}

func (c *Conn) giveBack() {
	if c.batch != nil {
		c.batch.free()
		c.batch = nil
	}
	if c.replies != nil {
		c.replies.b = c.Reply.buf
		c.replies.free()
		c.replies, c.Reply.buf = nil, nil
	}
}

// discard takes from the socket what has come and will not be run: closing it
// otherwise tells the peer's kernel to forget the replies it has not read yet.
func (c *Conn) discard() {
	if c.raw == nil {
		return
	}
	p := getBuffer(maxHint)
	defer p.free()
	_ = c.raw.Read(func(fd uintptr) bool {
		for range 4 {
			if n, _ := syscall.Read(int(fd), p.b[:cap(p.b)]); n <= 0 {
				break
			}
		}
		return true
	})
}

// finish is the last thing the connection's goroutine does.
func (c *Conn) finish() {
	c.leave()
	switch c.KillReason() {
	case "":
		_ = c.nc.Close() // with TLS it says goodbye
	case outputLimitReached:
		c.srv.log.Warn("client closed for overcoming of output buffer limits", "id", c.ID, "addr", c.RemoteAddr())
	}
	_ = c.sock.Close()
	c.endWatch() // a handler may have panicked while parked
	c.state.Store(ended)
	c.endOutbox()
	c.giveBack()
	c.in.pinned = false
	c.in.idle()
	if c.evented != nil {
		c.srv.loops.socks.remove(c.fd)
		c.evented.free()
	}
	c.srv.forget(c)
}

func (c *Conn) handshake() error {
	if c.tls == nil {
		return nil
	}
	if d := c.srv.limits.HandshakeTimeout.Load(); d > 0 {
		_ = c.sock.SetDeadline(time.Now().Add(time.Duration(d)))
		defer func() { _ = c.sock.SetDeadline(time.Time{}) }()
	}
	c.state.Store(waiting)
	err := c.tls.Handshake()
	if !c.state.CompareAndSwap(waiting, serving) {
		return ErrClosed
	}
	return err
}

// closeIdle closes a connection that waits for its client.
func (c *Conn) closeIdle(reason string) {
	if c.state.CompareAndSwap(waiting, ended) {
		c.Kill(reason)
	}
}
