package cluster

import (
	"sync/atomic"

	"github.com/ferricd/ferricd/router"
)

// A Sink is the router's: what is durable is so here and, with ack-policy insync, on
// every member of the in-sync set.
type Sink struct {
	router.Sink                        // the node's own log
	quorum      atomic.Pointer[quorum] // of the term; nil: not the leader
	async       atomic.Bool            // followers are not waited for
}

// NewSink returns a Sink over the node's own log.
func NewSink(log router.Sink) *Sink { return &Sink{Sink: log} }

// Durable is the position that no crash and no fail-over takes back.
func (s *Sink) Durable() uint64 {
	local := s.Sink.Durable()
	if q := s.waitsFor(); q != nil {
		return min(local, q.floor.Load())
	}
	return local
}

// AwaitDurable waits until everything up to lsn is that. Both disks are waited for
// at the same time: followers are sent what is written, not what is synced.
func (s *Sink) AwaitDurable(lsn uint64, gone <-chan struct{}) error {
	if err := s.Sink.AwaitDurable(lsn, gone); err != nil {
		return err
	}
	if q := s.waitsFor(); q != nil {
		return q.await(lsn, gone)
	}
	return nil
}

func (s *Sink) waitsFor() *quorum {
	if s.async.Load() {
		return nil
	}
	return s.quorum.Load()
}
