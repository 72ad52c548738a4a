package store

import (
	"bytes"
	"unsafe"
)

// A ZSet is a sorted set: members in the order of their scores, and of their
// names where scores are equal. It begins compact, and from the first member on
// that its limits do not let into such a form it is a tree and a table.
//
// What its methods return points into the set and is valid until the next edit.
// No argument may point into the same set. A score is never NaN. Methods that
// only read may run at the same time as each other.
type ZSet struct {
	compact zcompact
	large   *zlarge // nil: it is compact
	limits  ZSetLimits
}

// ZSetLimits are up to where a set is compact: zset-max-listpack-entries and
// zset-max-listpack-value.
type ZSetLimits struct {
	Members uint32
	Value   uint32 // bytes of a member
}

// DefaultZSetLimits are the defaults of the parameters.
var DefaultZSetLimits = ZSetLimits{Members: 128, Value: 64}

// zlarge is a set that is not compact. Both parts hold the same members.
type zlarge struct {
	table   ztable
	tree    ztree
	members int64 // bytes of them
}

var (
	zsetOverhead   = sizeClass(int(unsafe.Sizeof(ZSet{})))
	zlargeOverhead = sizeClass(int(unsafe.Sizeof(zlarge{})))
)

// NewZSet returns an empty set. Without limits it has the large form from the
// first member on.
func NewZSet(limits ZSetLimits) *ZSet { return &ZSet{limits: limits} }

// Type is ZSetType.
func (z *ZSet) Type() Type { return ZSetType }

// Len is the number of members.
func (z *ZSet) Len() int {
	if z.large != nil {
		return z.large.table.len
	}
	return z.compact.len()
}

// Bytes is the memory that the set takes.
func (z *ZSet) Bytes() int64 {
	if l := z.large; l != nil {
		return zsetOverhead + zlargeOverhead + l.table.bytes + l.tree.bytes + l.members
	}
	return zsetOverhead + z.compact.bytes()
}

// Encoding is what OBJECT ENCODING calls it.
func (z *ZSet) Encoding() string {
	if z.large != nil {
		return "skiplist"
	}
	return packedEncoding
}

// Compact tells whether the set has the compact form.
func (z *ZSet) Compact() bool { return z.large == nil }

// Clone returns a copy of the same form.
func (z *ZSet) Clone() Object {
	c := &ZSet{limits: z.limits}
	if z.large == nil {
		c.compact.packed = z.compact.clone()
		return c
	}
	n, i := z.large.tree.at(0)
	c.grow(z.Len(), func() zelem {
		if i == len(n.elems) {
			n, i = n.next, 0
		}
		e := n.elems[i]
		i++
		return zelem{e.score, newZmember(e.m.name(), e.score)}
	})
	return c
}

// grow makes a large set of n members that come in order.
func (z *ZSet) grow(n int, next func() zelem) {
	l := new(zlarge)
	l.table.init()
	add := func() zelem {
		e := next()
		l.table.add(e.m)
		l.members += e.m.size()
		return e
	}
	if n > 0 {
		l.tree.adopt(n, add)
	} else {
		l.tree.init()
	}
	z.large, z.compact = l, zcompact{}
}

func (m *zmember) size() int64 { return sizeClass(zmemberBytes(m.name())) }

// leaveCompact makes the set a large one.
func (z *ZSet) leaveCompact() {
	old, off := z.compact, 0
	z.grow(old.len(), func() zelem {
		e, score, next := old.pair(off)
		off = next
		var room [intText]byte
		return zelem{score, newZmember(e.text(&room), score)}
	})
}

// Fit gives a set its limits and, if it is within them, the compact form. It is
// for a set that was made in the large form because nobody knew how it would end.
func (z *ZSet) Fit(limits ZSetLimits) {
	z.limits = limits
	if z.large == nil || z.Len() > int(limits.Members) {
		return
	}
	fits := true
	z.large.tree.each(0, false, func(e zelem) bool {
		fits = len(e.m.name()) <= int(limits.Value)
		return fits
	})
	if !fits {
		return
	}
	l := z.large
	z.large = nil
	l.tree.each(0, false, func(e zelem) bool {
		z.compact.append(e.m.name(), e.score)
		return true
	})
}

// SetLimits says what limits hold from now on. A large set stays one.
func (z *ZSet) SetLimits(limits ZSetLimits) { z.limits = limits }

// Score is the score of a member.
func (z *ZSet) Score(name []byte) (score float64, ok bool) {
	if z.large != nil {
		if m := z.large.table.find(name); m != nil {
			return m.score, true
		}
		return 0, false
	}
	off, ok := z.compact.find(elemOf(name))
	if !ok {
		return 0, false
	}
	_, score, _ = z.compact.pair(off)
	return score, true
}

// Set gives a member a score and tells whether the member is new.
func (z *ZSet) Set(name []byte, score float64) (added bool) {
	if z.large == nil {
		off, there := z.compact.find(elemOf(name))
		if there || z.compact.len() < int(z.limits.Members) && len(name) <= int(z.limits.Value) {
			if there {
				z.compact.delete(off, 2)
			}
			z.compact.put(name, score)
			return !there
		}
		z.leaveCompact()
	}
	return z.large.set(name, score)
}

func (l *zlarge) set(name []byte, score float64) (added bool) {
	m := l.table.find(name)
	if m == nil {
		m = newZmember(name, score)
		l.members += m.size()
		l.table.add(m)
		l.tree.insert(zelem{score, m})
		return true
	}
	if rank := l.tree.rank(zelem{m.score, m}); !l.tree.move(rank, score) {
		l.tree.remove(rank)
		l.tree.insert(zelem{score, m})
	}
	m.score = score
	return false
}

// Remove takes a member out and tells whether it was there.
func (z *ZSet) Remove(name []byte) bool {
	if z.large == nil {
		off, ok := z.compact.find(elemOf(name))
		if ok {
			z.compact.delete(off, 2)
		}
		return ok
	}
	m := z.large.table.find(name)
	if m == nil {
		return false
	}
	z.large.remove(z.large.tree.rank(zelem{m.score, m}))
	return true
}

func (l *zlarge) remove(rank int) {
	m := l.tree.remove(rank).m
	l.table.remove(m.name())
	l.members -= m.size()
}

// RemoveRange takes out n members from a rank on; they are there.
func (z *ZSet) RemoveRange(rank, n int) {
	if z.large == nil {
		z.compact.delete(z.compact.seek(2*rank), 2*n)
		return
	}
	for range n {
		z.large.remove(rank)
	}
}

// Rank is how many members come before this one, and its score.
func (z *ZSet) Rank(name []byte) (rank int, score float64, ok bool) {
	if z.large == nil {
		off, ok := z.compact.find(elemOf(name))
		if !ok {
			return 0, 0, false
		}
		_, score, _ = z.compact.pair(off)
		return z.compact.rankOf(off), score, true
	}
	m := z.large.table.find(name)
	if m == nil {
		return 0, 0, false
	}
	return z.large.tree.rank(zelem{m.score, m}), m.score, true
}

// CountBelow is how many members have a lower score, or that score too if
// inclusive is set.
func (z *ZSet) CountBelow(score float64, inclusive bool) int {
	if z.large == nil {
		return z.compact.countBelow(score, inclusive)
	}
	return z.large.tree.count(func(e zelem) bool { return e.score < score || inclusive && e.score == score })
}

// CountBefore is how many members have a lesser name, or that name if inclusive
// is set. It means something only while all have the same score.
func (z *ZSet) CountBefore(name []byte, inclusive bool) int {
	before := func(other []byte) bool {
		c := bytes.Compare(other, name)
		return c < 0 || inclusive && c == 0
	}
	if z.large == nil {
		return z.compact.count(func(e Elem, _ float64) bool {
			var room [intText]byte
			return before(e.text(&room))
		})
	}
	return z.large.tree.count(func(e zelem) bool { return before(e.m.name()) })
}

// Each calls fn for the members from a rank on, to the last or, in reverse, to the
// first, until it returns false.
func (z *ZSet) Each(rank int, reverse bool, fn func(e Elem, score float64) bool) {
	if rank < 0 || rank >= z.Len() {
		return
	}
	if z.large == nil {
		z.compact.each(rank, reverse, fn)
		return
	}
	z.large.tree.each(rank, reverse, func(e zelem) bool { return fn(Elem{Str: e.m.name()}, e.score) })
}

// Scan calls fn for members from the cursor on, for at least count of them if
// there are so many, and returns the cursor that goes on, 0 at the end. Whatever
// is edited between the calls, members that stay are passed.
func (z *ZSet) Scan(cursor uint64, count int, fn func(e Elem, score float64)) (next uint64) {
	if z.large == nil {
		z.Each(0, false, func(e Elem, score float64) bool {
			fn(e, score)
			return true
		})
		return 0
	}
	return z.large.table.scan(cursor, count, func(m *zmember) { fn(Elem{Str: m.name()}, m.score) })
}
