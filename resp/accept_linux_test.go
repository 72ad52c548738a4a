//go:build !386 && !s390x

package resp

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What loops accept has the options that package net would set, knows both ends of
// it, and leaves nothing of a listener that was closed.
func TestAccepted(t *testing.T) {
	l := NewLimits()
	l.TCPKeepalive.Store(int64(100 * time.Second))
	s, _ := startLoops(t, newDemo(), l)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		ln, err := s.Listen(addr)
		if err != nil && addr == "[::1]:0" {
			continue // a machine without IPv6
		}
		require.NoError(t, err)
		nc, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		var c *Conn
		eventually(t, "it is accepted", func() bool {
			for c = range s.Conns() {
				return true
			}
			return false
		})
		require.NotNil(t, c.loop)
		require.Equal(t, nc.LocalAddr().String(), c.RemoteAddr())
		require.Equal(t, nc.RemoteAddr().String(), c.LocalAddr())
		require.True(t, c.IsLoopback())
		for _, o := range []struct{ level, option, want int }{
			{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 100},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 34},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		} {
			is, err := syscall.GetsockoptInt(c.FD(), o.level, o.option)
			require.NoError(t, err)
			require.Equal(t, o.want, is, "option %d", o.option)
		}
		at := ln.Addr().String()
		require.NoError(t, ln.Close())
		_, err = net.DialTimeout("tcp", at, time.Second)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		again, err := s.Listen(at)
		require.NoError(t, err)
		require.NoError(t, again.Close())
		require.NoError(t, nc.Close())
		eventually(t, "it is forgotten", func() bool { return s.Totals().Clients == 0 })
		require.Equal(t, ":0", c.LocalAddr(), "its number may be another's")
	}
}
