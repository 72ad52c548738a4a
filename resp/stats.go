package resp

import (
	"math"
	"sync/atomic"
	"time"
)

// connStats is written by the connection's goroutine and read by any.
type connStats struct {
	active atomic.Int64  // when something was last received, on the server's clock
	query  atomic.Uint64 // bytes received and not run, and room behind them: 32 bits each
	out    atomic.Int64  // bytes of replies that are waited with
}

func (s *connStats) setQuery(in *input) {
	if in.buf == nil {
		s.query.Store(0)
		return
	}
	s.query.Store(min(uint64(in.unread()), math.MaxUint32)<<32 | min(uint64(cap(in.buf.b)), math.MaxUint32))
}

func (s *connStats) queryLen() (length, room int) {
	n := s.query.Load()
	return int(n >> 32), int(n & math.MaxUint32)
}

// traffic is what has gone over the sockets of some connections: those of a loop, or
// some of those without one.
type traffic struct {
	in, out       atomic.Uint64 // bytes
	reads, writes atomic.Uint64 // calls of the system
	_             [32]byte      // the next one's cache line is its own
}

// stripes is how many the connections without a loop share, so that they do not wait
// for each other's counting.
const stripes = 16

func (c *Conn) traffic() *traffic {
	if c.loop != nil {
		return &c.loop.traffic
	}
	return &c.srv.traffic[c.ID%stripes]
}

func (t *traffic) read(calls, bytes uint64) {
	t.reads.Add(calls)
	t.in.Add(bytes)
}

func (t *traffic) wrote(calls, bytes uint64) {
	t.writes.Add(calls)
	t.out.Add(bytes)
}

func (t *traffic) addTo(sum *Totals) {
	sum.NetIn += t.in.Load()
	sum.NetOut += t.out.Load()
	sum.Reads += t.reads.Load()
	sum.Writes += t.writes.Load()
}

// Stats is what a connection holds and has done.
type Stats struct {
	QueryLen, QueryFree int           // received and not run; room behind it
	Replies             int           // bytes of replies being sent
	Pending             int           // messages and replies in the outbox
	PendingBytes        int           // their bytes
	Memory              int           // all of this, about
	Idle                time.Duration // since something was received
	Parked              bool          // within a command that waits
}

// Stats may be called from any goroutine.
func (c *Conn) Stats() Stats {
	queryLen, queryCap := c.stats.queryLen()
	s := Stats{
		QueryLen:  queryLen,
		QueryFree: max(0, queryCap-queryLen),
		Replies:   int(c.stats.out.Load()),
		Idle:      time.Duration(max(0, c.srv.now()-c.stats.active.Load())),
		Parked:    c.state.Load() == parked,
	}
	if o := c.usedOutbox(); o != nil {
		o.mu.Lock()
		if s.Pending = len(o.msgs); len(o.owed) > 0 || o.writing && o.bytes > 0 {
			s.Pending++
		}
		s.PendingBytes = int(o.bytes)
		o.mu.Unlock()
	}
	s.Memory = connSize + max(queryCap, queryLen) + s.Replies + s.PendingBytes
	return s
}

// connSize is about what an idle connection costs.
const connSize = 2 << 10
