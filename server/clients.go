package server

import (
	"cmp"
	"slices"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
)

// clientMemoryLimit is what all clients together may hold, 0 for no limit.
func (s *Server) clientMemoryLimit() int64 {
	limit := s.cfg.Int(config.MaxMemoryClients)
	if limit < 0 { // a percentage
		return s.cfg.Int(config.MaxMemory) / 100 * -limit
	}
	return limit
}

// evictClients closes those that hold most, until the others are within the
// limit. Who has asked for it by CLIENT NO-EVICT, or is a replica, neither counts nor
// goes; nor does who is being closed already, or it would be counted twice.
func (s *Server) evictClients() {
	limit := s.clientMemoryLimit()
	if limit == 0 {
		return
	}
	type holder struct {
		conn  *resp.Conn
		bytes int64
	}
	var all []holder
	var sum int64
	for c := range s.wire.Conns() {
		if cl := s.router.Client(c.ID); cl == nil || c.Closing() || cl.Has(command.ClientNoEvict) || cl.Has(command.ClientReplica) {
			continue
		}
		h := holder{c, int64(c.Stats().Memory)}
		all = append(all, h)
		sum += h.bytes
	}
	if sum <= limit {
		return
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, h := range all {
		if sum <= limit {
			return
		}
		s.log.Warn("client closed to save memory", "client", h.conn.ID, "bytes", h.bytes)
		s.evictedClients.Add(1)
		h.conn.Kill("maxmemory-clients")
		sum -= h.bytes
	}
}
