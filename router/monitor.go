package router

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
)

// monitors are the clients that see every command.
type monitors struct {
	n    atomic.Int32
	mu   sync.Mutex // guards list
	list []*command.Client
}

func (m *monitors) active() bool { return m.n.Load() > 0 }

// Monitor makes c a monitor.
func (r *Router) Monitor(c *command.Client) {
	m := &r.monitors
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Has(command.ClientMonitor) || c.Conn == nil {
		return
	}
	c.SetFlag(command.ClientMonitor, true)
	m.list = append(m.list, c)
	m.n.Add(1)
}

// Unmonitor ends what Monitor began; RESET and disconnects do.
func (r *Router) Unmonitor(c *command.Client) { r.monitors.remove(c) }

func (m *monitors) remove(c *command.Client) {
	if !c.Has(command.ClientMonitor) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, x := range m.list {
		if x == c {
			c.SetFlag(command.ClientMonitor, false)
			m.list = append(m.list[:i:i], m.list[i+1:]...)
			m.n.Add(-1)
			return
		}
	}
}

// feed shows a command to all monitors.
func (m *monitors) feed(s *session, spec *command.Spec, args [][]byte) {
	if spec.Has(command.SkipMonitor) || spec.Has(command.Admin) {
		return
	}
	line := monitorLine(s, spec.Redact(args))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.list {
		c.Conn.Push(line)
	}
}

func monitorLine(s *session, args [][]byte) []byte {
	addr := "lua"
	if s.conn != nil {
		addr = s.conn.RemoteAddr()
		if s.conn.IsUnix() {
			addr = "unix:" + s.conn.LocalAddr()
		}
	}
	now := s.r.now()
	b := fmt.Appendf(nil, "+%d.%06d [%d %s]", now.Unix(), now.Nanosecond()/1000, s.client.DB(), addr)
	for _, a := range args {
		b = append(b, ' ')
		b = appendRepr(b, a)
	}
	return append(b, '\r', '\n')
}

// appendRepr quotes an argument as Redis does in MONITOR.
func appendRepr(b, arg []byte) []byte {
	b = append(b, '"')
	for _, c := range arg {
		switch {
		case c == '\\' || c == '"':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\a':
			b = append(b, `\a`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c < ' ' || c > '~':
			b = append(b, `\x`...)
			if c < 16 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// slow puts a call into the slow log.
func (r *Router) slow(s *session, spec *command.Spec, args [][]byte, took int64) {
	addr, name := "", s.client.Name()
	if s.conn != nil {
		addr = s.conn.RemoteAddr()
	}
	r.stats.SlowLog.Add(r.now(), took/1000, spec.Redact(args), addr, name)
}

// late tells the latency monitor what took long: a command, or what the server
// does besides.
func (r *Router) late(event string, took int64) {
	if limit := r.cfg.Int(config.LatencyMonitorThreshold); limit > 0 && took >= limit*1e6 {
		r.stats.Latency.Add(event, r.now(), took/1e6)
	}
}

func commandEvent(spec *command.Spec) string {
	if spec.Has(command.Fast) {
		return "fast-command"
	}
	return "command"
}
