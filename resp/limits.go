package resp

import (
	"sync/atomic"
	"time"
)

// Limits bound what a client can make the server hold or wait for. They are
// read whenever they are needed and may be changed at any time. Durations are
// kept as nanoseconds; a limit that is 0 does not apply unless it says so.
type Limits struct {
	// MaxClients is how many connections may be open, Reserved how many more
	// when they come from this machine, so that an administrator gets in.
	MaxClients, Reserved atomic.Int64
	// MaxBulk is the longest argument (proto-max-bulk-len).
	MaxBulk atomic.Int64
	// QueryBuffer is how much of unexecuted input is kept; a client that sends
	// more is cut off (client-query-buffer-limit).
	QueryBuffer atomic.Int64
	// IdleTimeout closes a client that has sent nothing for so long and is
	// neither parked nor a subscriber or replica (timeout).
	IdleTimeout atomic.Int64
	// TCPKeepalive is the time of silence after which the kernel probes the
	// peer; it applies to connections accepted from then on (tcp-keepalive).
	TCPKeepalive atomic.Int64
	// HandshakeTimeout bounds a TLS handshake.
	HandshakeTimeout atomic.Int64
	// WriteTimeout bounds one write to a client that does not read. Without it
	// such a client waits for ever, holding ReplyChunk and one reply.
	WriteTimeout atomic.Int64
	// ReplyChunk is the size at which collected replies are sent although the
	// batch is not over. It always applies.
	ReplyChunk atomic.Int64
	// Normal and PubSub bound what waits to be sent
	// (client-output-buffer-limit): Normal the replies of a client that is not
	// a subscriber, PubSub a subscriber's, and every client's pushes.
	Normal, PubSub OutputLimit
	// Replica bounds what waits to be sent to a replica.
	Replica OutputLimit
}

// An OutputLimit closes a client at once above Hard bytes, or when it stayed
// above Soft bytes for SoftFor (nanoseconds).
type OutputLimit struct {
	Hard, Soft, SoftFor atomic.Int64
}

// NewLimits returns redis-server's defaults.
func NewLimits() *Limits {
	l := new(Limits)
	l.MaxClients.Store(10000)
	l.Reserved.Store(3)
	l.MaxBulk.Store(512 << 20)
	l.QueryBuffer.Store(1 << 30)
	l.TCPKeepalive.Store(int64(300 * time.Second))
	l.HandshakeTimeout.Store(int64(10 * time.Second))
	l.ReplyChunk.Store(64 << 10)
	l.PubSub.Hard.Store(32 << 20)
	l.PubSub.Soft.Store(8 << 20)
	l.PubSub.SoftFor.Store(int64(60 * time.Second))
	l.Replica.Hard.Store(256 << 20)
	l.Replica.Soft.Store(64 << 20)
	l.Replica.SoftFor.Store(int64(60 * time.Second))
	return l
}

// exceeded tells whether pending bytes are too many. since is when they first
// passed the soft limit (0: they have not); its new value is returned.
func (o *OutputLimit) exceeded(pending, since int64, now func() int64) (over bool, newSince int64) {
	if hard := o.Hard.Load(); hard > 0 && pending > hard {
		return true, since
	}
	soft := o.Soft.Load()
	if soft <= 0 || pending <= soft {
		return false, 0
	}
	if t := now(); since == 0 {
		since = max(t, 1)
	} else if t-since > o.SoftFor.Load() {
		return true, since
	}
	return false, since
}
