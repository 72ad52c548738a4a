package resp

import (
	"sync/atomic"
	"time"
)

// connStats is written by the connection's goroutine, but for sent, and read by
// any.
type connStats struct {
	in, sent, commands atomic.Uint64
	reads, writes      atomic.Uint64 // calls of the system
	active             atomic.Int64  // when something was last received, on the server's clock
	query, queryCap    atomic.Int64
	out                atomic.Int64
}

// Stats is what a connection holds and has done.
type Stats struct {
	QueryLen, QueryFree int           // received and not run; room behind it
	Replies             int           // bytes of replies being sent
	Pending             int           // messages and replies in the outbox
	PendingBytes        int           // their bytes
	Memory              int           // all of this, about
	NetIn, NetOut       uint64        // bytes since the connection was accepted
	Commands            uint64        // commands taken from the wire
	Idle                time.Duration // since something was received
	Parked              bool          // within a command that waits
}

// Stats may be called from any goroutine.
func (c *Conn) Stats() Stats {
	s := Stats{
		QueryLen: int(c.stats.query.Load()),
		Replies:  int(c.stats.out.Load()),
		NetIn:    c.stats.in.Load(),
		NetOut:   c.stats.sent.Load(),
		Commands: c.stats.commands.Load(),
		Idle:     time.Duration(max(0, c.srv.now()-c.stats.active.Load())),
		Parked:   c.state.Load() == parked,
	}
	queryCap := int(c.stats.queryCap.Load())
	s.QueryFree = max(0, queryCap-s.QueryLen)
	if o := c.usedOutbox(); o != nil {
		o.mu.Lock()
		if s.Pending = len(o.msgs); len(o.owed) > 0 || o.writing && o.bytes > 0 {
			s.Pending++
		}
		s.PendingBytes = int(o.bytes)
		o.mu.Unlock()
	}
	s.Memory = connSize + max(queryCap, s.QueryLen) + s.Replies + s.PendingBytes
	return s
}

// connSize is about what an idle connection costs.
const connSize = 2 << 10
