package router

import (
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/store"
)

// A Record is one command of the log, in a form that can be replayed.
type Record = [][]byte

// A Sink keeps the log of every finished write. A position is 0 at most where
// nothing was ever appended.
type Sink interface {
	// Append puts the records of one call, of database db, into the log as one
	// unit, and returns its position. It is called with the latches of all keys
	// held and before anyone can see the change: the order of Append is the
	// order in which conflicting calls take effect. It waits for nothing and
	// copies what it keeps.
	Append(db int, now int64, records []Record) (lsn uint64)
	// End is the last position given out, Durable the last that a crash leaves.
	End() uint64
	Durable() uint64
	// Room tells whether a write may run at once.
	Room() bool
	// AwaitRoom waits until one may, or returns what it is refused with.
	AwaitRoom(gone <-chan struct{}) error
	// Err is what every write is refused with from now on, or nil.
	Err() error
	// AwaitDurable waits until everything up to lsn is durable. After an error it
	// will never be known to be.
	AwaitDurable(lsn uint64, gone <-chan struct{}) error
}

// NoSink counts positions and keeps nothing.
type NoSink struct{ lsn atomic.Uint64 }

// Append counts one position.
func (n *NoSink) Append(int, int64, []Record) uint64 { return n.lsn.Add(1) }

// End is the last position given out.
func (n *NoSink) End() uint64 { return n.lsn.Load() }

// Durable is End: there is nothing to wait for.
func (n *NoSink) Durable() uint64 { return n.lsn.Load() }

// Room is always there.
func (n *NoSink) Room() bool { return true }

// AwaitRoom returns at once.
func (n *NoSink) AwaitRoom(<-chan struct{}) error { return nil }

// Err is always nil.
func (n *NoSink) Err() error { return nil }

// AwaitDurable returns at once.
func (n *NoSink) AwaitDurable(uint64, <-chan struct{}) error { return nil }

var delWord = []byte("DEL")

// commit ends a call that changed something: append, publish, tell. The latches
// are held; a call that changed nothing appends nothing.
func (s *session) commit() error {
	if !s.tx.Dirty() {
		s.sendEvents(s.events(s.misses()))
		return nil
	}
	misses := s.misses()
	s.tx.EachExpired(s.expired)
	if s.tx.Changes() {
		s.record()
	}
	s.tx.Publish()
	s.published(s.events(misses))
	return nil
}

// published tells, with the latches still held, what a call has changed: those
// who watch, those who wait, those who may have cached it, those who listen.
func (s *session) published(events []command.Event) {
	r := s.r
	if n := s.tx.Changed(); n > 0 {
		if s.together.batch != nil {
			s.together.changes += n
		} else {
			r.counters.Changes.Add(s.client.ID, int64(n))
		}
		s.touchWatched()
		if waited := r.blocked.n.Load() > 0; waited || r.tracking.Active() {
			s.changed = s.changed[:0]
			s.tx.EachChanged(s.noteChanged)
			if waited {
				s.wakeWaiters()
			}
			s.invalidate(s.changed)
		}
	}
	s.sendEvents(events)
}

func (s *session) sendEvents(events []command.Event) {
	for i := range events {
		s.sendEvent(&events[i])
	}
}

// wakeWaiters readies who waits for a key that has been changed.
func (s *session) wakeWaiters() {
	s.tx.NoTouch = true
	db := s.tx.DB()
	for i := range s.changed {
		ref := &s.changed[i]
		s.tx.In(ref.DB)
		s.r.blocked.ready(s.r, &s.tx, ref)
	}
	s.tx.In(db)
}

// recordExpired logs the deletion of a key that the call found expired: it
// stands before the call's own record.
func (s *session) recordExpired(ref store.Ref) {
	s.records = append(s.records[:0], Record{delWord, ref.Key})
	s.append(ref.DB, s.ctx.Now, s.records)
	s.r.counters.Expired.Add(1)
	s.notify(command.NotifyExpired, "expired", ref)
}

// record appends what the call in hand did: its own effects, or itself.
func (s *session) record() {
	records, own := s.ctx.Effects()
	if !own {
		if s.ctx.Spec.Flags&(command.Write|command.MayReplicate) == 0 {
			return
		}
		s.records = append(s.records[:0], s.ctx.Args)
		records = s.records
	}
	if len(records) > 0 {
		s.append(s.ctx.DB, s.ctx.Now, records)
	}
}
