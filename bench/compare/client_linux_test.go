package compare

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// requests are batches of encoded calls, one after the other in one piece of memory.
type requests struct {
	bytes []byte
	ends  []int
	quiet []bool // of batches whose latency is not recorded; nil: all are
}

func (r *requests) batch(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.bytes[from:r.ends[i]]
}

// A round is what one load of one server has shown.
type round struct {
	ops     int
	elapsed time.Duration
	client  time.Duration // processor time of the client
	latency histogram     // of batches
}

// A client drives connections from one thread over epoll. Nothing in its loop allocates.
type client struct {
	requests *requests
	depth    int
	next     int // batch
	poll     int
	pinned   bool
	conns    []conn
	buf      []byte
	events   []unix.EpollEvent
	began    time.Time
	round    round
}

type conn struct {
	fd      int
	replies scanner
	unsent  []byte
	asked   bool          // to be told when the socket takes more
	sent    time.Duration // since began
	quiet   bool
}

// drainWithin bounds the wait for the replies to what was sent last.
const drainWithin = 10 * time.Second

// connect opens n connections to addr and sees each of them answered.
func connect(addr string, n int) (_ *client, err error) {
	c := &client{conns: make([]conn, n), buf: make([]byte, 256<<10), events: make([]unix.EpollEvent, 256), poll: -1}
	for i := range c.conns {
		c.conns[i].fd = -1
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range c.conns {
		if err = c.open(i, addr); err != nil {
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return c, nil
}

// open has package net connect, which knows of interrupted calls, and keeps the socket.
func (c *client) open(i int, addr string) error {
	conn, err := net.DialTimeout("tcp4", addr, drainWithin)
	if err != nil {
		return err
	}
	defer conn.Close()
	pong := make([]byte, 7)
	if err := conn.SetDeadline(time.Now().Add(drainWithin)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, pong); err != nil {
		return err
	}
	if string(pong) != "+PONG\r\n" {
		return fmt.Errorf("PING was answered %q", pong)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var dup error
	err = raw.Control(func(fd uintptr) { c.conns[i].fd, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, dup); err != nil {
		return err
	}
	return unix.EpollCtl(c.poll, unix.EPOLL_CTL_ADD, c.conns[i].fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
}

func (c *client) close() {
	for _, k := range c.conns {
		if k.fd >= 0 {
			_ = unix.Close(k.fd)
		}
	}
	if c.poll >= 0 {
		_ = unix.Close(c.poll)
	}
}

// run sends batches of depth calls, beginning with batch from, for d and then waits for
// the replies that are missing: what was counted is what the server has done.
func (c *client) run(r *requests, depth, from int, d time.Duration, core int) (round, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if core >= 0 {
		back, err := pinThread(core)
		if err != nil {
			return round{}, err
		}
		defer back()
	}
	c.requests, c.depth, c.next, c.round, c.pinned = r, depth, from%len(r.ends), round{}, core >= 0
	cpu := threadTime()
	c.began = time.Now()
	for i := range c.conns {
		if err := c.send(i, 0); err != nil {
			return round{}, err
		}
	}
	err := c.loop(d)
	c.round.elapsed, c.round.client = time.Since(c.began), threadTime()-cpu
	return c.round, err
}

func (c *client) loop(d time.Duration) error {
	for waiting := len(c.conns); waiting > 0; {
		n, err := c.wait()
		if err != nil {
			return err
		}
		over := time.Since(c.began)
		if over > d+drainWithin {
			return fmt.Errorf("%d connections had no reply for %v", waiting, drainWithin)
		}
		for _, e := range c.events[:n] {
			if e.Events&unix.EPOLLOUT != 0 {
				if err := c.write(int(e.Fd)); err != nil {
					return err
				}
			}
			if e.Events&^unix.EPOLLOUT == 0 {
				continue
			}
			done, now, err := c.receive(int(e.Fd))
			switch {
			case err != nil:
				return err
			case !done:
			case now < d:
				err = c.send(int(e.Fd), now)
			default:
				waiting--
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// wait fills the events, or gives up after a tenth of a second. A client with a core of its
// own sleeps without the scheduler's knowledge, which would hand the core's work to another
// thread each time and costs about a tenth of what a command does.
func (c *client) wait() (int, error) {
	const ms = 100
	if !c.pinned {
		n, err := unix.EpollWait(c.poll, c.events, ms)
		if err == unix.EINTR {
			return 0, nil
		}
		return max(n, 0), err
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(c.poll), uintptr(unsafe.Pointer(&c.events[0])), uintptr(len(c.events)), ms, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, errno
}

func (c *client) send(i int, now time.Duration) error {
	k := &c.conns[i]
	k.unsent, k.sent, k.replies.left = c.requests.batch(c.next), now, c.depth
	k.quiet = c.requests.quiet != nil && c.requests.quiet[c.next]
	if c.next++; c.next == len(c.requests.ends) {
		c.next = 0
	}
	return c.write(i)
}

// write sends what the socket takes, and asks to be told when it takes more.
func (c *client) write(i int) error {
	k := &c.conns[i]
	n, errno := rawIO(syscall.SYS_WRITE, k.fd, k.unsent)
	if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
		return fmt.Errorf("write: %w", errno)
	}
	k.unsent = k.unsent[n:]
	more := len(k.unsent) > 0
	if more == k.asked {
		return nil
	}
	k.asked = more
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if more {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(c.poll, unix.EPOLL_CTL_MOD, k.fd, &e)
}

// receive reads once and tells whether the batch's last reply was there, and when.
func (c *client) receive(i int) (done bool, now time.Duration, err error) {
	k := &c.conns[i]
	n, errno := rawIO(syscall.SYS_READ, k.fd, c.buf)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return false, 0, nil
	case errno != 0:
		return false, 0, fmt.Errorf("read: %w", errno)
	case n == 0:
		return false, 0, errors.New("the server has closed the connection")
	}
	if err := k.replies.scan(c.buf[:n]); err != nil {
		return false, 0, err
	}
	if k.replies.left > 0 {
		return false, 0, nil
	}
	now = time.Since(c.began)
	c.round.ops += c.depth
	if !k.quiet {
		c.round.latency.add(now - k.sent)
	}
	return true, now, nil
}

// rawIO is read or write of a socket that does not block, so that the scheduler need not
// know.
func rawIO(call uintptr, fd int, b []byte) (int, syscall.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
