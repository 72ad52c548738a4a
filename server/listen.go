package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
)

// An endpoint is a TCP address that the server listens on.
type endpoint struct {
	addr     string
	secure   bool
	optional bool // this machine need not have the address
}

// sockets are the TCP listeners, by where they listen.
type sockets struct {
	mu   sync.Mutex // guards open
	open map[endpoint]*resp.Listener
}

// listen opens every socket that the parameters name.
func (s *Server) listen() error {
	if err := s.relisten(); err != nil {
		return err
	}
	if path := s.cfg.String(config.UnixSocket); path != "" && s.addr == "" {
		if _, err := s.wire.ListenUnix(path, os.FileMode(s.cfg.Int(config.UnixSocketPerm))); err != nil {
			return fmt.Errorf("can't listen on unix socket %s: %w", path, err)
		}
	}
	return nil
}

// endpoints are the addresses that the parameters name.
func (s *Server) endpoints() (list []endpoint) {
	if s.addr != "" {
		return []endpoint{{addr: s.addr}}
	}
	for _, host := range s.cfg.Addresses() {
		host, optional := strings.CutPrefix(host, "-")
		if host == "*" {
			host = ""
		}
		for _, p := range []struct {
			id     config.ID
			secure bool
		}{{config.Port, false}, {config.TLSPort, true}} {
			if port := s.cfg.Int(p.id); port > 0 {
				list = append(list, endpoint{net.JoinHostPort(host, strconv.FormatInt(port, 10)), p.secure, optional})
			}
		}
	}
	return list
}

// relisten makes the sockets those that the parameters name. What goes is
// closed first, since it may be in the way of what comes; clients stay. After an
// error the caller puts the parameters back and calls again.
func (s *Server) relisten() error {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	if s.tls.Load() == nil && s.cfg.Int(config.TLSPort) > 0 {
		t, err := resp.LoadTLS(s.tlsFiles())
		if err != nil {
			return err
		}
		s.tls.Store(t)
	}
	want := map[endpoint]bool{}
	for _, e := range s.endpoints() {
		want[e] = true
	}
	if s.sockets.open == nil {
		s.sockets.open = map[endpoint]*resp.Listener{}
	}
	for e, l := range s.sockets.open {
		if !want[e] {
			_ = l.Close()
			delete(s.sockets.open, e)
		}
	}
	s.port.Store(0)
	for _, e := range s.endpoints() {
		if err := s.openSocket(e); err != nil {
			return err
		}
	}
	return nil
}

// openSocket listens on e, unless that is done already.
func (s *Server) openSocket(e endpoint) error {
	l := s.sockets.open[e]
	if l == nil {
		var err error
		if e.secure {
			l, err = s.wire.ListenTLS(e.addr, s.tls.Load().Config)
		} else {
			l, err = s.wire.Listen(e.addr)
		}
		switch {
		case err != nil && e.optional && errors.Is(err, syscall.EADDRNOTAVAIL):
			return nil
		case err != nil:
			return fmt.Errorf("can't listen: %w", err)
		}
		s.sockets.open[e] = l
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !e.secure {
		s.port.CompareAndSwap(0, int64(tcp.Port))
	}
	return nil
}

// moveSockets is relisten as CONFIG SET has it done.
func (s *Server) moveSockets() error {
	if err := s.relisten(); err != nil {
		s.log.Warn("sockets were not changed", "error", err)
		return errors.New("Unable to listen on this port. Check server logs.") //nolint:staticcheck // Redis' words
	}
	return nil
}
