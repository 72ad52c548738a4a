package store

import (
	"slices"

	"github.com/ferricd/ferricd/internal/invariants"
)

// An undo is one publication that can be taken back.
type undo struct {
	ref   Ref
	db    uint32 // stored
	cuts  uint64 // flushes and swaps before it
	old   *block // what stood in the index
	block *block // what was changed in place, nil if the place was
	at    bool   // which of its fields: expiry or number
	value int64  // before
}

// Dirty tells whether Publish has anything to do, be it only the removal of a
// key that was found expired.
func (tx *Tx) Dirty() bool { return tx.any(flagsWork) }

// Changes tells whether the call itself has changed anything.
func (tx *Tx) Changes() bool { return tx.any(flagsTold) }

func (tx *Tx) any(flags uint32) bool {
	for _, i := range tx.seen {
		if tx.slots[i].flags&flags != 0 {
			return true
		}
	}
	return false
}

// EachExpired tells the keys that were found expired, each once: their deletion
// stands in the log before what the call does. Publish removes them.
func (tx *Tx) EachExpired(fn func(Ref)) {
	for _, i := range tx.expired {
		fn(tx.slots[i].ref)
	}
	tx.expired = tx.expired[:0]
}

// Changed is how many keys EachChanged would tell.
func (tx *Tx) Changed() int { return len(tx.changed) }

// EachChanged tells the keys that the call has created, changed or deleted so
// far, by all its Publishes, each once.
func (tx *Tx) EachChanged(fn func(Ref)) {
	for _, i := range tx.changed {
		fn(tx.slots[i].ref)
	}
}

// EachLoud tells those of the changed keys that have changed in a way that counts
// for WATCH.
func (tx *Tx) EachLoud(fn func(Ref)) {
	for _, i := range tx.changed {
		if tx.slots[i].flags&flagLoud != 0 {
			fn(tx.slots[i].ref)
		}
	}
}

// EachCreated tells the keys that the last Publish has created: those that were
// missing, or had expired.
func (tx *Tx) EachCreated(fn func(Ref)) {
	for _, i := range tx.created {
		fn(tx.slots[i].ref)
	}
}

// Missed tells whether the call has looked for key in vain before it changed it.
func (tx *Tx) Missed(key []byte) bool { return tx.slot(key).flags&flagMissed != 0 }

// EachEmptied tells those of the changed keys that Publish has removed because
// the call took the last element of their collection.
func (tx *Tx) EachEmptied(fn func(Ref)) {
	for _, i := range tx.changed {
		if tx.slots[i].flags&flagEmptied != 0 {
			fn(tx.slots[i].ref)
		}
	}
}

// Publish makes visible what was staged, removes expired keys and emptied
// collections, and accounts their memory. What follows looks everything up
// anew. A call that publishes more than once, or more than one key, has closed
// its slots.
func (tx *Tx) Publish() {
	tx.publishing = true
	tx.created = tx.created[:0]
	for _, i := range tx.seen {
		s := &tx.slots[i]
		if s.flags&flagsWork == 0 {
			continue
		}
		s.flags &^= flagEmptied
		if s.hollow() {
			if s.old != nil {
				s.flags |= flagEmptied
			}
			s.stage(nil)
		}
	}
	// Deletions first: RENAME gives an object to another key, and the memory
	// of an object may be accounted under one key only.
	if len(tx.seen) > 1 {
		// In one piece, where append would copy it again and again.
		tx.journal = slices.Grow(tx.journal, len(tx.seen))
		for _, i := range tx.seen {
			if s := &tx.slots[i]; s.cur == nil && s.flags&flagsWork != 0 {
				tx.publish(s)
			}
		}
	}
	for _, i := range tx.seen {
		if s := &tx.slots[i]; s.flags&flagsWork != 0 {
			tx.publish(s)
		}
	}
	for _, i := range tx.pending {
		e := &tx.editing[i]
		e.done, e.pending = e.done || e.pending, false
	}
	tx.pending = tx.pending[:0]
	tx.unsee()
	tx.publishing = false
}

// unsee lets everything be looked up anew.
func (tx *Tx) unsee() {
	for _, i := range tx.seen {
		s := &tx.slots[i]
		s.flags &= flagsStays
		s.cur, s.old, s.draft = nil, nil, nil
	}
	tx.seen = tx.seen[:0]
	tx.release()
}

// publish carries out what is staged for one key.
func (tx *Tx) publish(s *slot) {
	sh := tx.ks.shard(s.ref.Hash)
	u := undo{ref: s.ref, db: tx.stored(s), cuts: tx.ks.cuts.Load()}
	rebuilt := s.edited()
	if rebuilt {
		s.cur = tx.settled(s, s.ref.Key, s.expireAt(), s.cur.clock.Load(), true)
	} else if s.flags&(flagStaged|flagEdited) != 0 && s.cur != nil && s.cur.kind() == kindObject {
		h := s.cur.entry().holder
		if n := h.obj.Bytes(); s.flags&flagStaged == 0 || s.old.holds(h) {
			sh.resize(u.db, s.ref.Hash, h, n)
		} else {
			h.bytes.Store(n)
			h.due.Store(dueOf(h.obj))
		}
	}
	if s.flags&flagsTold != 0 {
		tx.checkOpen(s)
	}
	work, spare := s.flags&flagsWork, tx.spares()
	s.flags &^= flagsWork
	if work != flagRecast {
		if s.flags&flagChanged == 0 {
			tx.changed = append(tx.changed, s.first)
		}
		s.flags |= flagChanged
		if work != flagEdited || s.flags&flagAside == 0 {
			s.flags |= flagLoud
		}
	}
	switch {
	case work == flagRecast:
		u.old = sh.put(u.db, tx.ks.seed, s.ref.Hash, s.cur, spare)
	case rebuilt || work&flagStaged != 0 && s.cur != nil:
		if s.old == nil || work&flagExpired != 0 {
			tx.created = append(tx.created, s.first)
		}
		u.old = sh.put(u.db, tx.ks.seed, s.ref.Hash, s.cur, spare)
	case work&(flagStaged|flagExpired) != 0:
		u.old = sh.drop(u.db, tx.ks.seed, s.ref.Hash, s.ref.Key, spare)
	case work&(flagNum|flagAt) != 0 && tx.ks.cutHas(s.cur):
		u.old = sh.put(u.db, tx.ks.seed, s.ref.Hash, tx.renewed(s, u.db, work), spare)
	case work&flagNum != 0:
		u.block, u.value = s.cur, s.cur.num().Swap(s.num)
	case work&flagAt != 0:
		u.block, u.at, u.value = s.cur, true, sh.setExpiry(u.db, s.ref.Hash, s.cur, s.at)
	default:
		return // edited in place
	}
	tx.journal = append(tx.journal, u)
}

// checkOpen asserts that only the first publication of a call may happen with
// its slot open.
func (tx *Tx) checkOpen(s *slot) {
	tx.published++
	if invariants.Enabled && tx.mode != Alone && tx.published > 1 && tx.ks.slots != Slots(openSlots{}) {
		invariants.Check(tx.ks.slots.SeqOf(s.ref.Hash)&1 != 0, "a second publication with an open slot: "+string(s.ref.Key))
	}
}

// Undo takes back everything since Begin, after an error. Objects that are edited
// in place cannot be put back: an error means that none was edited yet, and one that differs is marked
// as damaged.
func (tx *Tx) Undo() { tx.undo(false) }

// Abort is Undo after a panic. Objects that were being edited in place are damaged:
// their keys answer ErrDamaged until they are deleted or overwritten.
func (tx *Tx) Abort() { tx.undo(true) }

// Drop forgets what was staged since the last Publish: one command of several
// has failed.
func (tx *Tx) Drop() {
	for _, i := range tx.pending {
		tx.editing[i].check(false)
	}
	tx.pending = tx.pending[:0]
	tx.unsee()
}

// check marks an object as damaged that has been, or may have been, edited.
func (e *edit) check(surely bool) {
	if surely || e.pending && (e.h.obj.Len() != e.len || e.h.obj.Bytes() != e.bytes) {
		e.h.damage()
	}
	e.pending = false
}

func (tx *Tx) undo(panicked bool) {
	tx.publishing = false
	for i := range tx.editing {
		e := &tx.editing[i]
		e.check(e.done || panicked && e.pending)
	}
	tx.pending = tx.pending[:0]
	for i := len(tx.journal) - 1; i >= 0; i-- {
		u := &tx.journal[i]
		if u.cuts != tx.ks.cuts.Load() {
			continue // the database it belonged to is gone
		}
		sh := tx.ks.shard(u.ref.Hash)
		switch {
		case u.block != nil && u.at:
			sh.setExpiry(u.db, u.ref.Hash, u.block, u.value)
		case u.block != nil:
			u.block.num().Store(u.value)
		case u.old != nil:
			sh.restore(u.old)
			sh.put(u.db, tx.ks.seed, u.ref.Hash, tx.ks.again(u.old, u.db), nil)
		default:
			sh.drop(u.db, tx.ks.seed, u.ref.Hash, u.ref.Key, nil)
		}
	}
	tx.forgive()
	tx.unsee()
	for _, i := range tx.changed {
		tx.slots[i].flags = 0
	}
	tx.changed, tx.expired, tx.created = tx.changed[:0], tx.expired[:0], tx.created[:0]
}

// End ends a call: it unlocks the objects and forgets everything. It may follow
// anything, also a read that panicked.
func (tx *Tx) End() {
	if tx.reading != nil {
		tx.reading.mu.RUnlock()
		tx.reading = nil
	}
	if tx.publishing {
		tx.Abort()
	}
	for i := range tx.editing {
		e := &tx.editing[i]
		e.check(e.pending)
		e.h.edit = 0
		e.h.mu.Unlock()
		*e = edit{}
	}
	tx.editing, tx.pending = tx.editing[:0], tx.pending[:0]
	tx.forgive()
	tx.forget()
}

// forgive empties the journal: what it holds can no longer be taken back.
func (tx *Tx) forgive() {
	for i := range tx.journal {
		u := &tx.journal[i]
		*u = undo{}
	}
	tx.journal = tx.journal[:0]
}

// A Tx keeps its room for the next call, but not more than this.
const (
	keepSlots   = 64
	keepScratch = 1 << 10
)

func (tx *Tx) forget() {
	tx.release()
	for i := range tx.slots { // nearly always one, for which clear is slow
		s := &tx.slots[i]
		*s = slot{}
	}
	tx.slots, tx.scratch = tx.slots[:0], tx.scratch[:0]
	tx.seen, tx.expired, tx.changed, tx.created = tx.seen[:0], tx.expired[:0], tx.changed[:0], tx.created[:0]
	if cap(tx.slots) > keepSlots {
		tx.slots, tx.index, tx.journal, tx.editing, tx.drafts = nil, nil, nil, nil, nil
		tx.seen, tx.expired, tx.changed, tx.created, tx.pending = nil, nil, nil, nil, nil
	}
	if cap(tx.journal) > keepSlots {
		tx.journal = nil // of a long EXEC on few keys
	}
	if cap(tx.scratch) > keepScratch {
		tx.scratch = nil
	}
}
