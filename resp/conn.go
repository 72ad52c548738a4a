package resp

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrClosed is what sending returns once the connection has ended.
var ErrClosed = errors.New("resp: connection closed")

// What a connection's goroutine is doing. It goes from waiting to serving by
// compare-and-swap only: who takes the connection from waiting to ended may
// close it and knows that nothing it received meanwhile will be run.
const (
	serving int32 = iota
	waiting       // for the client
	parked        // within Serve, for something else
	ended
)

// A Class says which output limit applies to a connection's replies.
type Class int32

// The classes.
const (
	ClassNormal Class = iota
	ClassPubSub
	ClassReplica // follows: nearly all it is sent are pushes
)

// A Conn is a client's connection. Unless said otherwise its methods are for
// its own goroutine: the one in which the Handler is called.
type Conn struct {
	// ID is unique in the life of the server and never 0.
	ID uint64
	// Reply collects the replies of what is being run.
	Reply Writer
	// Data is the handler's.
	Data any

	srv   *Server
	nc    net.Conn        // the socket, or TLS over it
	sock  net.Conn        // the socket
	raw   syscall.RawConn // nil with TLS
	tls   *tls.Conn       // nil without
	fd    int
	loop  *loop // nil: it has a goroutine
	start int64 // when it was accepted, on the server's clock

	state   atomic.Int32
	class   atomic.Int32
	stop    atomic.Bool // Close was called
	opened  atomic.Bool // Open has returned: Data may be read by others
	left    atomic.Bool // leave was called
	unix    bool
	timed   bool                   // a write deadline is set
	more    bool                   // with a loop: there may be something to read, and nobody will tell
	hup     bool                   // with a loop: the peer sends nothing more
	gone    atomic.Pointer[gone]   // nil until somebody asks
	reason  atomic.Pointer[string] // why it was killed
	ioErr   error                  // what ended reading
	in      input
	batch   *Batch  // nil while the client is waited for
	replies *buffer // what Reply.buf was borrowed as; nil while the client is waited for
	outHint sizeHint
	direct  *direct // nil until raw is used
	evented *sock   // the socket, if a loop serves it
	origin  *Origin
	out     atomic.Pointer[outbox] // nil until something was put in
	watch   *watch                 // nil until it parks for the first time
	stats   connStats
}

// A direct is what reading and writing by raw take. The functions are made once, so
// that a read allocates nothing.
type direct struct {
	read, write func(fd uintptr) bool
	unsent      []byte // what write is to send: it takes off what the socket takes
}

// directly is c.direct, made if need be.
func (c *Conn) directly() *direct {
	if c.direct == nil {
		c.direct = &direct{read: c.readReady, write: c.writeReady}
	}
	return c.direct
}

func newConn(s *Server, id uint64, nc net.Conn) *Conn {
	c := &Conn{ID: id, srv: s, nc: nc, sock: nc, start: s.now(), fd: -1}
	c.in.guard.reset()
	c.in.guard.unauth = true
	c.in.hint.n, c.outHint.n = minBuffer, minBuffer
	c.stats.active.Store(c.start)
	_, c.unix = nc.(*net.UnixConn)
	c.evented, _ = nc.(*sock)
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { c.fd = int(fd) })
			c.raw = raw
		}
	}
	return c
}

// RemoteAddr is the peer's address as Redis prints it.
func (c *Conn) RemoteAddr() string {
	if c.origin != nil {
		return c.origin.Addr
	}
	return c.addr(c.sock.RemoteAddr())
}

// LocalAddr is the address the peer connected to.
func (c *Conn) LocalAddr() string { return c.addr(c.sock.LocalAddr()) }

func (c *Conn) addr(a net.Addr) string {
	if c.unix {
		return c.sock.LocalAddr().String() + ":0"
	}
	return a.String()
}

// IsUnix tells whether the client came through the unix socket.
func (c *Conn) IsUnix() bool { return c.unix }

// IsTLS tells whether the connection is encrypted.
func (c *Conn) IsTLS() bool { return c.tls != nil }

// IsLoopback tells whether the client is on this machine.
func (c *Conn) IsLoopback() bool { return c.origin == nil && isLocal(c.sock) }

func isLocal(nc net.Conn) bool {
	if s, ok := nc.(*sock); ok {
		return s.remote.Addr().IsLoopback()
	}
	switch a := nc.RemoteAddr().(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// TLSState describes the encryption; nil without TLS.
func (c *Conn) TLSState() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	s := c.tls.ConnectionState()
	return &s
}

// FD is the socket's descriptor number, for display only.
func (c *Conn) FD() int { return c.fd }

// Created is when the connection was accepted.
func (c *Conn) Created() time.Time { return c.srv.began.Add(time.Duration(c.start)) }

// SetAuthenticated lifts, or sets again, the smaller limits for strangers:
// 10 arguments of 16 KiB. A connection begins as a stranger's.
func (c *Conn) SetAuthenticated(ok bool) { c.in.guard.unauth = !ok }

// SetClass says which output limit applies to replies. Subscribers and
// replicas are also exempt from the idle timeout.
func (c *Conn) SetClass(k Class) { c.class.Store(int32(k)) }

// Class may be called from any goroutine.
func (c *Conn) Class() Class { return Class(c.class.Load()) }

// Close ends the connection after the replies collected so far are sent. What
// else the client has sent is not run: a handler that calls it returns from
// Serve.
func (c *Conn) Close() { c.stop.Store(true) }

// RejectAndClose is for Open: it answers with an error and ends the connection.
func (c *Conn) RejectAndClose(text string) {
	c.Reply.Error(text)
	c.Close()
}

// Closing tells that no more commands are to be run: Close or Kill was called,
// or the peer is known to have left. It may be called from any goroutine.
func (c *Conn) Closing() bool { return c.stop.Load() || c.dead() }

// Gone is closed when the connection has ended for whatever reason: the peer
// left (seen while parked), or it was killed. It may be called from any
// goroutine.
func (c *Conn) Gone() <-chan struct{} {
	g := c.gone.Load()
	if g == nil {
		if g = (&gone{make(chan struct{})}); !c.gone.CompareAndSwap(nil, g) {
			g = c.gone.Load()
		}
	}
	return g.signal
}

// gone is what Conn.Gone returns. Most connections end without having been asked for
// it.
type gone struct{ signal chan struct{} }

var longGone = func() *gone {
	g := &gone{make(chan struct{})}
	close(g.signal)
	return g
}()

func (c *Conn) dead() bool { return c.left.Load() }

// Kill ends the connection at once: nothing more is sent. It may be called from
// any goroutine and does not wait; the first reason is the one that counts.
func (c *Conn) Kill(reason string) {
	c.reason.CompareAndSwap(nil, &reason)
	c.leave()
	_ = c.sock.Close()
}

// KillReason is the text that Kill was called with, or "". It may be called
// from any goroutine.
func (c *Conn) KillReason() string {
	if p := c.reason.Load(); p != nil {
		return *p
	}
	return ""
}

func (c *Conn) leave() {
	if c.left.CompareAndSwap(false, true) {
		if g := c.gone.Swap(longGone); g != nil {
			close(g.signal)
		}
	}
}
