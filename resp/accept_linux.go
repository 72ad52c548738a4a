//go:build !386 && !s390x

package resp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// An acceptor accepts for a listener. Package net would put each socket into the
// runtime's poller and make objects of both addresses: garbage, for a connection that
// a loop watches, and a third of what its accepting took.
type acceptor struct {
	file *os.File // the listener's socket, under a number of its own
	raw  syscall.RawConn
	try  func(fd uintptr) bool
	// of the last call:
	fd    int
	errno syscall.Errno
	from  syscall.RawSockaddrAny
	size  uint32
}

func newAcceptor(ln net.Listener) (*acceptor, error) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	a := &acceptor{file: file, raw: raw}
	a.try = a.tryNow
	return a, nil
}

func (a *acceptor) tryNow(fd uintptr) bool {
	for {
		a.size = syscall.SizeofSockaddrAny
		n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&a.from)),
			uintptr(unsafe.Pointer(&a.size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case syscall.EINTR, syscall.ECONNABORTED:
			continue
		case syscall.EAGAIN:
			return false
		}
		a.fd, a.errno = int(n), errno
		return true
	}
}

// accept waits for a client.
func (a *acceptor) accept() (*sock, error) {
	if a.raw.Read(a.try) != nil {
		return nil, net.ErrClosed
	}
	if a.errno != 0 {
		return nil, os.NewSyscallError("accept4", a.errno)
	}
	return &sock{fd: a.fd, remote: addrOf(&a.from)}, nil
}

func (a *acceptor) close() { _ = a.file.Close() }

// addrOf reads what the kernel has written.
func addrOf(from *syscall.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { // in the network's order
		b := (*[2]byte)(unsafe.Pointer(p))
		return uint16(b[0])<<8 | uint16(b[1])
	}
	switch from.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(from))
		ip := netip.AddrFrom16(a.Addr).Unmap().WithZone(zone(a.Scope_id))
		return netip.AddrPortFrom(ip, port(&a.Port))
	}
	return netip.AddrPort{}
}

// tune sets what package net and Server.tune set on other sockets.
func (s *sock) tune(keepalive time.Duration) {
	set := func(level, option, value int) { _ = syscall.SetsockoptInt(s.fd, level, option, value) }
	set(syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if keepalive <= 0 {
		return
	}
	set(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	set(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, seconds(keepalive))
	set(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, seconds(keepalive/3))
	set(syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3)
}

func seconds(d time.Duration) int { return int(max(1, (d+time.Second-1)/time.Second)) }
