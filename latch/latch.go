package latch

import (
	"fmt"

	"github.com/ferricd/ferricd/internal/invariants"
)

const held, waited uint64 = 1 << 63, 1 << 62

// MaxOwner is the highest number an owner may have. 0 is nobody.
const MaxOwner = Owner(waited - 1)

// Owner is who holds a latch: a client, a coordinator, a background worker.
type Owner uint64

// TryClaim takes the latch if it is free and nobody waits for it.
func (t *Table) TryClaim(id ID, o Owner) bool {
	if !t.words[id].CompareAndSwap(0, held|uint64(o)) {
		return false
	}
	if invariants.Enabled {
		t.ledger.add(o, id)
	}
	return true
}

// ClaimOrMark takes the latch if it is free and nobody waits for it, and else
// marks it as waited for. Who marks must stand in line.
func (t *Table) ClaimOrMark(id ID, o Owner) bool {
	if invariants.Enabled {
		t.ledger.mayWait(o, id)
	}
	word := &t.words[id]
	for {
		switch w := word.Load(); {
		case w == 0:
			if t.TryClaim(id, o) {
				return true
			}
		case w&waited != 0 || word.CompareAndSwap(w, w|waited):
			return false
		}
	}
}

// Release frees the latch and tells whether it is waited for; if so the caller
// tells the line.
func (t *Table) Release(id ID, o Owner) (marked bool) {
	if invariants.Enabled {
		t.ledger.remove(o, id)
	}
	if t.words[id].CompareAndSwap(held|uint64(o), 0) {
		return false
	}
	return t.change(id, o, 0)
}

// HandOver gives the latch to another owner and keeps the mark. Only the
// coordinator hands over.
func (t *Table) HandOver(id ID, from, to Owner) {
	if invariants.Enabled {
		t.ledger.remove(from, id) // a blocked call may be handed one while it still lets go of others
		t.ledger.add(to, id)
	}
	t.change(id, from, held|uint64(to))
}

// change frees the latch (to = 0) or gives it to another, and keeps the mark.
func (t *Table) change(id ID, from Owner, to uint64) (marked bool) {
	word := &t.words[id]
	for {
		w := word.Load()
		if w&^waited != held|uint64(from) {
			panic(fmt.Sprintf("latch: %d changed by %d, who does not hold it (word %#x)", id, from, w))
		}
		if word.CompareAndSwap(w, w&waited|to) {
			return w&waited != 0
		}
	}
}

// Mark tells newcomers that there is a line. The coordinator marks when it puts
// a call into the line; so does who readies a blocked call, holding the latch.
func (t *Table) Mark(id ID) { t.words[id].Or(waited) }

// Unmark is for the coordinator, when the latch's line is empty.
func (t *Table) Unmark(id ID) { t.words[id].And(^waited) }

// TakeFromLine takes a latch that is free and waited for. Only the coordinator
// does that.
func (t *Table) TakeFromLine(id ID, o Owner) bool {
	if !t.words[id].CompareAndSwap(waited, held|waited|uint64(o)) {
		return false
	}
	if invariants.Enabled {
		t.ledger.add(o, id)
	}
	return true
}

// Holder tells who holds the latch and whether it is waited for, as of some
// moment during the call.
func (t *Table) Holder(id ID) (o Owner, isHeld, isWaited bool) {
	w := t.words[id].Load()
	return Owner(w &^ (held | waited)), w&held != 0, w&waited != 0
}

// Seq is the latch's sequence number; odd means closed. A reader without a latch
// may trust what it saw if the number was even before and the same after.
func (t *Table) Seq(id ID) uint64 { return t.seqs[id].Load() }

// SeqOf is Seq for who knows only the key's hash.
func (t *Table) SeqOf(hash uint64) uint64 { return t.seqs[t.ID(hash)].Load() }

// Close sends readers away from the latch until Open. The holder calls it before
// the first of several publications, and Open after the last.
func (t *Table) Close(id ID) {
	n := t.seqs[id].Add(1)
	if invariants.Enabled {
		invariants.Check(n&1 == 1, "latch: closed twice")
	}
}

// Open ends what Close began.
func (t *Table) Open(id ID) {
	n := t.seqs[id].Add(1)
	if invariants.Enabled {
		invariants.Check(n&1 == 0, "latch: opened, but not closed before")
	}
}
