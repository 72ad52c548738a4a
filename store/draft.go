package store

import (
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/internal/invariants"
)

// A draft is a collection that is, or may come to be, in a block, as an object
// for one call.
//
// It begins as a view: its elements are the block's own bytes, and nobody writes
// to them. What an edit needs is a copy of them, in room that the draft keeps for
// that. Publish makes a new block of the copy, or an object of its own if it does
// not fit into one any more; who forgets the draft instead has changed nothing.
//
// Drafts go from call to call. After Publish, Undo, Drop and the end of the call
// neither the object nor what its methods have returned may be used.
type draft struct {
	head   draftHead
	obj    Object
	own    bool // it may be edited
	given  bool // obj came from outside, and does not go back
	room   []byte
	chunk  *chunk // of a list
	packed *packed
}

// A draftHead is what the slot of a new collection has for a block; it is never
// published.
type draftHead struct {
	block
	expire atomic.Int64 // where blocks have it
}

// draftRoom is how much room a draft keeps; more of it goes to the collector.
const draftRoom = 2 * inlineMax

// drafts are those in nobody's hands, by kind.
var drafts [kindHash - kindList + 1]sync.Pool

func takeDraft(kind int) *draft {
	if d, _ := drafts[kind-kindList].Get().(*draft); d != nil {
		return d
	}
	d := new(draft)
	switch kind {
	case kindList:
		d.obj, d.chunk = new(List), new(chunk)
	case kindSet:
		s := new(Set)
		d.obj, d.packed = s, &s.small
	case kindZSet:
		z := new(ZSet)
		d.obj, d.packed = z, &z.compact.packed
	case kindHash:
		h := new(Hash)
		d.obj, d.packed = h, &h.small
	}
	return d
}

// view is a draft that shows the collection in b. Without ks it is for reading
// only.
func view(ks *Keyspace, b *block) *draft {
	d := takeDraft(b.kind())
	d.fill(ks, packed{buf: b.body(), n: b.count(), mark: b.mark()})
	return d
}

// fresh is a draft of a collection that is empty.
func fresh(ks *Keyspace, t Type) *draft {
	d := takeDraft(kindOf(t))
	var p packed
	if t == SetType {
		p.mark = 2 // an intset
	}
	d.fill(ks, p)
	d.edit()
	return d
}

// fill lets the object have these elements.
func (d *draft) fill(ks *Keyspace, p packed) {
	switch o := d.obj.(type) {
	case *List:
		*o = List{bytes: listOverhead}
		if ks != nil {
			o.setFill(int(ks.listFill.Load()))
		}
		*d.chunk = chunk{buf: p.buf, n: p.n}
		if p.n > 0 {
			o.len = int(p.n)
			o.link(d.chunk, nil)
		}
	case *Set:
		*o = Set{small: p}
		if ks != nil {
			o.limits = &ks.setLimits
		}
	case *ZSet:
		*o = ZSet{compact: zcompact{p}}
		if ks != nil {
			o.limits = ks.ZSetLimits()
		}
	case *Hash:
		*o = Hash{small: p}
		if ks != nil {
			o.limits = &ks.hashLimits
		}
	}
}

// edit makes an own copy of what a view shows.
func (d *draft) edit() {
	if d.own {
		return
	}
	d.own = true
	if d.room == nil {
		d.room = make([]byte, draftRoom)
	}
	if d.packed != nil {
		d.packed.buf = append(d.room[:0], d.packed.buf...)
		d.packed.lent = true
		return
	}
	l := d.obj.(*List)
	l.lent = true
	d.chunk.buf = append(d.room[:0], d.chunk.buf...)
	if l.head == nil {
		l.spare = d.chunk
	}
	l.bytes = listOverhead + chunkOverhead + int64(cap(d.chunk.buf))
}

// value is the collection as a block has it; ok is false if it cannot be in a
// block that takes most bytes beside its head.
func (d *draft) value(most int) (v value, ok bool) {
	var p packed
	switch o := d.obj.(type) {
	case *List:
		if o.head == nil || o.head != o.tail {
			return v, false
		}
		p = packed{buf: o.head.buf[o.head.lo:], n: o.head.n}
	case *Set:
		if o.large != nil {
			return v, false
		}
		p = o.small
	case *ZSet:
		if o.large != nil {
			return v, false
		}
		p = o.compact.packed
	case *Hash:
		if o.more != nil {
			return v, false
		}
		p = o.small
	}
	if len(p.buf) > most {
		return v, false
	}
	return value{kind: kindOf(d.obj.Type()), str: p.buf, count: p.n, mark: p.mark}, true
}

// object is the collection for a holder, which the draft is done with.
func (d *draft) object() Object {
	if d.given {
		return d.obj
	}
	switch o := d.obj.(type) {
	case *List:
		l := *o
		l.keep(d.chunk)
		return &l
	case *Set:
		s := *o
		s.small.keep()
		return &s
	case *ZSet:
		z := *o
		z.compact.keep()
		return &z
	case *Hash:
		h := *o
		h.small.keep()
		return &h
	}
	return d.obj
}

// keep lets p have a buffer of its own instead of one that was lent.
func (p *packed) keep() {
	if p.lent {
		p.lent = false
		*p = p.clone()
	}
}

// keep gives l, which is a copy of a draft's list, another chunk in the place of
// the draft's.
func (l *List) keep(lent *chunk) {
	l.lent = false
	if l.spare == lent {
		l.dropSpare()
		return
	}
	for c := l.head; c != nil; c = c.next {
		if c != lent {
			continue
		}
		prev := c.prev
		l.unlink(c)
		own := newBuffer(c.used() + c.used()/4)
		l.link(&chunk{buf: own[:copy(own, c.buf[c.lo:])], n: c.n}, prev)
		return
	}
}

// done gives the draft back. A block that it has shown stays alive until its
// next use.
func (d *draft) done() {
	if d.given {
		return
	}
	if invariants.Enabled {
		d.fill(nil, packed{}) // whoever still has the object finds it empty,
		for i := range d.room {
			d.room[i] = 0xee // and elements nonsense
		}
	}
	d.own = false
	drafts[kindOf(d.obj.Type())-kindList].Put(d)
}

// draft is the draft of s, whose value is a collection in a block or a new one.
func (tx *Tx) draft(s *slot) *draft {
	if s.draft == nil {
		tx.lend(s, view(tx.ks, s.cur))
	}
	return s.draft
}

func (tx *Tx) lend(s *slot, d *draft) {
	s.draft = d
	tx.drafts = append(tx.drafts, d)
}

// stageDraft lets s hold a new collection.
func (tx *Tx) stageDraft(s *slot, d *draft, expireAt int64) {
	clock := tx.clock(s)
	d.head.meta = uint64(kindOf(d.obj.Type())) | expiryBit
	d.head.clock.Store(clock)
	d.head.expire.Store(expireAt)
	s.stage(&d.head.block)
	tx.lend(s, d)
}

// given is a draft of a collection that a handler has made.
func given(o Object) *draft { return &draft{obj: o, own: true, given: true} }

// edited tells whether the value of s is what its draft says, and not its block.
// So it is with an expiry alone: the block may have no word for one.
func (s *slot) edited() bool {
	return s.draft != nil && s.draft.own && s.cur != nil && s.flags&(flagStaged|flagEdited|flagAt) != 0
}

// settled is a block with the value that the call sees at s, which has a draft,
// for a key. The draft is not needed any more if final is set.
func (tx *Tx) settled(s *slot, key []byte, expireAt int64, clock uint32, final bool) *block {
	if v, ok := s.draft.value(tx.ks.inline - len(key)); ok {
		v.expireAt = expireAt
		return tx.newBlock(key, v, clock)
	}
	var h *holder
	if final {
		h = &holder{obj: s.draft.object()}
	} else {
		h = &holder{obj: s.draft.obj.Clone()}
	}
	h.bytes.Store(h.obj.Bytes())
	h.due.Store(dueOf(h.obj))
	return newEntry(key, h, expireAt, clock)
}

// release gives the drafts back.
func (tx *Tx) release() {
	for i, d := range tx.drafts {
		d.done()
		tx.drafts[i] = nil
	}
	tx.drafts = tx.drafts[:0]
}
