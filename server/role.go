package server

import (
	"net"

	"github.com/ferricd/ferricd/proxy"
	"github.com/ferricd/ferricd/router"
)

// Router is what clients' commands go through.
func (s *Server) Router() *router.Router { return s.router }

// SetRole gives this node its part, between two calls.
func (s *Server) SetRole(role router.Role) error {
	return s.runner.Exclusive(-1, func() { s.router.SetRole(role) })
}

// PassedOn serves a client whose connection another node passes on, with the
// description that came first.
func (s *Server) PassedOn(nc net.Conn, hello []byte) {
	from, err := proxy.DecodeHello(hello)
	if err == nil {
		err = s.wire.ServeConn(nc, from)
	} else {
		_ = nc.Close()
	}
	if err != nil {
		s.log.Warn("a client that another node passes on is not served", "error", err)
	}
}
