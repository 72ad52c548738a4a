//go:build !386 && !s390x

package resp

import (
	"os"
	"syscall"
	"unsafe"
)

// loopsWork: there is a poller for event loops here.
const loopsWork = true

// What a poller tells of a socket.
const (
	pollIn  = syscall.EPOLLIN
	pollOut = syscall.EPOLLOUT
	pollHup = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

const edgeTriggered = 1 << 31 // syscall.EPOLLET is negative

// maxEvents bounds a turn of a loop.
const maxEvents = 128

// A poller is an epoll descriptor. A socket is told of once for everything that
// becomes possible, so nothing is to be armed again.
type poller struct {
	fd     int
	file   *os.File        // the same descriptor, in the runtime's poller
	raw    syscall.RawConn // of file
	pipe   [2]int          // what is written to it wakes the poller
	events [maxEvents]syscall.EpollEvent
	n      int // events that are there
	again  func(fd uintptr) bool
}

// newPoller makes a poller. Its descriptor is itself put into the runtime's
// poller: a loop that waits holds no thread.
func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &poller{fd: fd, pipe: [2]int{-1, -1}}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(fd), "epoll")
	p.again = func(uintptr) bool { return p.poll() > 0 }
	err = syscall.Pipe2(p.pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK)
	if err == nil {
		err = p.add(p.pipe[0], 0)
	}
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// add watches a socket from now on; key comes with its events.
func (p *poller) add(fd int, key uint32) error {
	e := syscall.EpollEvent{Events: pollIn | pollOut | syscall.EPOLLRDHUP | edgeTriggered, Fd: int32(fd), Pad: int32(key)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &e))
}

// poll takes the events that are there, without waiting, and returns how many.
func (p *poller) poll() int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), maxEvents, 0, 0, 0)
	if p.n = int(n); errno != 0 {
		p.n = 0
	}
	return p.n
}

// park waits until there are events and takes them.
func (p *poller) park() error { return p.raw.Read(p.again) }

// event returns event i of those that were taken.
func (p *poller) event(i int) (fd int, key uint32, what uint32) {
	e := &p.events[i]
	return int(e.Fd), uint32(e.Pad), e.Events
}

// wake ends a park, now or to come. It may be called from any goroutine.
func (p *poller) wake() { _, _ = syscall.Write(p.pipe[1], []byte{0}) }

func (p *poller) close() {
	_ = p.file.Close()
	for _, fd := range p.pipe {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
	}
}

// readNow and writeNow are read and write for sockets that do not block: the
// scheduler need not hear of them. recv and send are the shorter way through the
// kernel.
func readNow(fd int, b []byte) (int, error) {
	if underRace {
		return syscall.Read(fd, b)
	}
	return callNow(syscall.SYS_RECVFROM, fd, b, 0)
}

func writeNow(fd int, b []byte) (int, error) {
	if underRace {
		return syscall.Write(fd, b)
	}
	return callNow(syscall.SYS_SENDTO, fd, b, syscall.MSG_NOSIGNAL)
}

func callNow(call uintptr, fd int, b []byte, flags uintptr) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
