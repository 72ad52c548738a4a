//go:build !linux || 386 || s390x

package resp

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// loopsWork: there is no poller for event loops here, each connection has a
// goroutine.
const loopsWork = false

const (
	pollIn uint32 = 1 << iota
	pollOut
	pollHup
)

type poller struct{ n int }

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (p *poller) add(int, uint32) error            { return errors.ErrUnsupported }
func (p *poller) poll() int                        { return 0 }
func (p *poller) park() error                      { return errors.ErrUnsupported }
func (p *poller) event(int) (int, uint32, uint32)  { return 0, 0, 0 }
func (p *poller) wake()                            {}
func (p *poller) close()                           {}
func readNow(fd int, b []byte) (n int, err error)  { return syscall.Read(fd, b) }
func writeNow(fd int, b []byte) (n int, err error) { return syscall.Write(fd, b) }

type acceptor struct{}

func newAcceptor(net.Listener) (*acceptor, error) { return nil, errors.ErrUnsupported }

func (a *acceptor) accept() (*sock, error) { return nil, errors.ErrUnsupported }
func (a *acceptor) close()                 {}
func (s *sock) tune(time.Duration)         {}
