package resp

import (
	"errors"
	"net"
)

// An Origin is a client whose connection another node passes on, and what that
// client is there.
type Origin struct {
	Node          string // that passes it on
	ID            uint64 // of the connection, at that node
	Addr          string // the client's
	Name          string
	LibName       string
	LibVer        string
	User          string
	DB            int
	Proto         int // 2 or 3
	Authenticated bool
}

// ErrFull is why ServeConn has refused a connection.
var ErrFull = errors.New("resp: max number of clients reached")

// ServeConn serves a connection that did not come through one of the listeners: one
// that another node passes on. It counts as a client. The connection is closed when it
// ends, and if it is refused.
func (s *Server) ServeConn(nc net.Conn, from *Origin) error {
	s.counters.accepted.Add(1)
	s.mu.Lock()
	full := int64(s.open) >= s.limits.MaxClients.Load()
	if full || s.closed || s.draining.Load() {
		s.mu.Unlock()
		defer nc.Close()
		if full {
			s.counters.rejected.Add(1)
			return ErrFull
		}
		return net.ErrClosed
	}
	defer s.mu.Unlock()
	s.open++
	c := newConn(s, s.lastID.Add(1), nc)
	if _, plain := nc.(*net.TCPConn); !plain {
		c.raw = nil // what wraps the socket may have read from it already
	}
	c.origin, c.unix = from, false
	s.conns[c.ID] = c
	s.wait.Go(c.main)
	return nil
}

// Origin is the client that another node passes on here; nil for all others.
func (c *Conn) Origin() *Origin { return c.origin }

// CloseWhenIdle ends the connection as soon as no command of it runs: what runs is
// answered, what stands behind it is not run. A command that waits is not woken. It
// may be called from any goroutine and does not wait.
func (c *Conn) CloseWhenIdle(reason string) {
	c.stop.Store(true) // before the state is looked at: see rest
	c.closeIdle(reason)
}
