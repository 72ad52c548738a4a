package resp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a socket's word says. While aside is not set the connection belongs to
// its loop, whose driver alone sets it; only the connection's own goroutine
// clears it, and only with neither of the others set.
const (
	sockAside uint32 = 1 << iota // the connection has a goroutine of its own
	sockEdge                     // meanwhile something came, or the peer went
	sockHup                      // the peer has sent all it will send
)

// A sock is a connected socket that the runtime's poller does not know: a loop
// watches it. As a net.Conn it waits by asking the loop's events, so who waits
// must not be the loop's driver.
//
// Close shuts the socket down and ends all waiting; the descriptor stays until
// free, so that its number is nobody else's while the loop may still use it.
type sock struct {
	fd      int
	remote  netip.AddrPort // a net.Addr would take more than twice as much
	word    atomic.Uint32
	in, out side

	mu     sync.Mutex // guards closed, freed, and of both sides late, until and the making of wake
	closed bool
	freed  bool
}

// A side is one direction, for at most one goroutine that waits at a time.
type side struct {
	waits atomic.Bool   // an event is to leave a token in wake
	wake  chan struct{} // capacity 1; nil until somebody waits. A token may be stale
	until int64         // nanoseconds after sockBegan: waiting fails from then on; 0: never
}

// sockBegan is where deadlines count from: a number is a third of a time.Time, and an
// idle connection has two.
var sockBegan = time.Now()

// noted is asked by the loop's driver about an event. false: the connection is
// the loop's, and so is the event.
func (s *sock) noted(hup bool) bool {
	for {
		w := s.word.Load()
		if w&sockAside == 0 {
			return false
		}
		next := w | sockEdge
		if hup {
			next |= sockHup
		}
		if w == next || s.word.CompareAndSwap(w, next) {
			return true
		}
	}
}

// giveBack makes the connection its loop's again, unless something came.
func (s *sock) giveBack() bool { return s.word.CompareAndSwap(sockAside, 0) }

// edge takes what noted has noted.
func (s *sock) edge() (came, hup bool) {
	w := s.word.Load()
	if w&^sockAside == 0 {
		return false, false
	}
	w = s.word.And(sockAside)
	return w&sockEdge != 0, w&sockHup != 0
}

// signal wakes who waits on one side, if anybody does.
func (d *side) signal() {
	if !d.waits.Load() {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// await calls try until it is done, and waits for an event in between.
func (s *sock) await(d *side, try func(fd uintptr) bool) error {
	defer d.waits.Store(false)
	for {
		s.mu.Lock()
		if d.wake == nil {
			d.wake = make(chan struct{}, 1)
		}
		closed, until := s.closed, d.until
		d.waits.Store(true) // before try: an event after it leaves a token
		s.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		left := time.Duration(until) - time.Since(sockBegan)
		if until != 0 && left <= 0 {
			return os.ErrDeadlineExceeded
		}
		if try(uintptr(s.fd)) {
			return nil
		}
		if until == 0 {
			<-d.wake
			continue
		}
		timer := time.NewTimer(left)
		select {
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Read waits until there is something.
func (s *sock) Read(b []byte) (n int, err error) {
	waited := s.await(&s.in, func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), b)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	if waited != nil {
		return 0, waited
	}
	return max(n, 0), os.NewSyscallError("read", err)
}

// Write waits until the socket has taken all of b.
func (s *sock) Write(b []byte) (n int, err error) {
	waited := s.await(&s.out, func(fd uintptr) bool {
		for n < len(b) {
			var k int
			k, err = syscall.Write(int(fd), b[n:])
			switch {
			case err == syscall.EINTR:
			case err == syscall.EAGAIN:
				return false
			case err != nil:
				return true
			default:
				n += k
			}
		}
		return true
	})
	if waited != nil {
		return n, waited
	}
	return n, os.NewSyscallError("write", err)
}

// Close may be called from any goroutine, and more than once.
func (s *sock) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if !s.freed {
		_ = syscall.Shutdown(s.fd, syscall.SHUT_RDWR) // the loop hears of it
	}
	s.in.signal()
	s.out.signal()
	return nil
}

// free gives the descriptor back. Nobody waits, and the loop's table has
// forgotten the socket.
func (s *sock) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.freed {
		s.freed, s.closed = true, true
		_ = syscall.Close(s.fd)
	}
}

// LocalAddr is asked of the kernel each time: it is seldom wanted.
func (s *sock) LocalAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.freed {
		switch a, _ := syscall.Getsockname(s.fd); a := a.(type) {
		case *syscall.SockaddrInet4:
			return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
		case *syscall.SockaddrInet6:
			return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone(a.ZoneId)}
		}
	}
	return &net.TCPAddr{}
}

// zone names the interface that a link-local address belongs to.
func zone(id uint32) string {
	if id == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// RemoteAddr is the peer's. It is made anew each time.
func (s *sock) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (s *sock) SetDeadline(t time.Time) error {
	return errors.Join(s.setDeadline(&s.in, t), s.setDeadline(&s.out, t))
}

// SetReadDeadline bounds the waiting for input, also what goes on already.
func (s *sock) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.in, t) }

// SetWriteDeadline is the same for output.
func (s *sock) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.out, t) }

func (s *sock) setDeadline(d *side, t time.Time) error {
	until := int64(0)
	if !t.IsZero() {
		if until = int64(t.Sub(sockBegan)); until == 0 {
			until = 1
		}
	}
	s.mu.Lock()
	d.until = until
	d.signal()
	s.mu.Unlock()
	return nil
}

// SyscallConn makes a sock a syscall.Conn.
func (s *sock) SyscallConn() (syscall.RawConn, error) { return (*rawSock)(s), nil }

// A rawSock is a sock for who makes the system calls himself.
type rawSock sock

// Control calls f with the descriptor.
func (r *rawSock) Control(f func(fd uintptr)) error {
	f(uintptr(r.fd))
	return nil
}

// Read calls f until it returns true, waiting for input in between.
func (r *rawSock) Read(f func(fd uintptr) bool) error {
	s := (*sock)(r)
	return s.await(&s.in, f)
}

// Write calls f until it returns true, waiting for room in between.
func (r *rawSock) Write(f func(fd uintptr) bool) error {
	s := (*sock)(r)
	return s.await(&s.out, f)
}

var (
	_ net.Conn        = (*sock)(nil)
	_ syscall.Conn    = (*sock)(nil)
	_ syscall.RawConn = (*rawSock)(nil)
)
