package store

import (
	"sync/atomic"
	"unsafe"
)

// A Set holds members, each once. It begins compact: as an intset while all its
// members are integers and not too many, else as a run of members; then it
// becomes a table. OBJECT ENCODING knows, as in Redis 7.0, only intset and
// hashtable, and says hashtable from the moment on at which Redis does.
//
// What its methods return points into the set and is valid until the next edit.
// No argument may point into the same set. Methods that only read may run at the
// same time as each other.
type Set struct {
	small  packed // its mark: the width of an intset, 0 for a run of members
	large  *dict  // nil: it is small
	limits *SetLimits
}

// SetLimits are up to where a set is compact: set-max-intset-entries, and for
// sets of other members than integers set-max-listpack-entries and -value.
type SetLimits struct {
	Ints, Members, Value atomic.Int64
}

// Set sets all of them.
func (l *SetLimits) Set(ints, members, value int64) {
	l.Ints.Store(ints)
	l.Members.Store(members)
	l.Value.Store(value)
}

// The defaults of the parameters.
const (
	DefaultSetInts    = 512
	DefaultSetMembers = 128
	DefaultSetValue   = 64
)

var (
	setOverhead  = sizeClass(int(unsafe.Sizeof(Set{})))
	dictOverhead = sizeClass(int(unsafe.Sizeof(dict{})))
)

// NewSet returns an empty set, which is an intset.
func NewSet(limits *SetLimits) *Set { return &Set{small: packed{mark: 2}, limits: limits} }

// Type is SetType.
func (s *Set) Type() Type { return SetType }

// Len is the number of members.
func (s *Set) Len() int {
	if s.large != nil {
		return s.large.live
	}
	return s.small.len()
}

// Bytes is the memory that the set takes.
func (s *Set) Bytes() int64 {
	n := setOverhead + s.small.bytes()
	if s.large != nil {
		n += dictOverhead + s.large.bytes()
	}
	return n
}

// What OBJECT ENCODING says.
const (
	intsetEncoding = "intset"
	setEncoding    = "hashtable"
	packedEncoding = "listpack" // of hashes and sorted sets
)

// Encoding is what OBJECT ENCODING says.
func (s *Set) Encoding() string {
	if s.isInts() {
		return intsetEncoding
	}
	return setEncoding
}

func (s *Set) isInts() bool { return s.large == nil && s.small.mark != 0 }

// Clone returns a copy.
func (s *Set) Clone() Object {
	c := &Set{small: s.small.clone(), limits: s.limits}
	if s.large != nil {
		d := s.large.clone(func(x *cell) *cell { return newCell(x.key(), 0) })
		c.large = &d
	}
	return c
}

// Has tells whether v is a member.
func (s *Set) Has(v []byte) bool { return s.HasElem(textElem(v)) }

// textElem is v as a table keeps it.
func textElem(v []byte) Elem {
	if v == nil {
		v = empty
	}
	return Elem{Str: v}
}

// packable is e as a small set keeps it: a table keeps integers as text.
func (e Elem) packable() Elem {
	if e.Str != nil {
		return elemOf(e.Str)
	}
	return e
}

// HasElem is Has for an element of another collection.
func (s *Set) HasElem(e Elem) bool {
	if s.large != nil {
		var room [intText]byte
		return s.large.get(e.text(&room)) != nil
	}
	e = e.packable()
	switch {
	case s.isInts():
		if !e.IsInt() {
			return false
		}
		_, ok := intset{&s.small}.find(e.Int)
		return ok
	}
	_, ok := s.small.find(e, 0, 1)
	return ok
}

// Add makes v a member and tells whether it was none.
func (s *Set) Add(v []byte) bool { return s.AddElem(textElem(v)) }

// Reserve makes room for members that Add is to be called with, if they are not
// integers.
func (s *Set) Reserve(members [][]byte) {
	if s.large != nil || s.Len() > 0 || int64(len(members)) > s.limits.Members.Load() || len(members) == 0 {
		return
	}
	if elemOf(members[0]).IsInt() {
		return
	}
	s.small.mark = 0
	s.small.reserve(members)
}

// AddElem is Add for an element of another collection.
func (s *Set) AddElem(e Elem) bool {
	if s.large == nil {
		e = e.packable()
	}
	if s.isInts() {
		if e.IsInt() {
			return s.addInt(e.Int)
		}
		s.spread()
	}
	if s.large == nil {
		if int64(len(e.Str)) <= s.limits.Value.Load() {
			return s.addSmall(e)
		}
		s.enlarge()
	}
	var room [intText]byte
	return s.addLarge(e.text(&room))
}

func (s *Set) addInt(n int64) bool {
	if !(intset{&s.small}).add(n) {
		return false
	}
	if int64(s.small.len()) > s.limits.Ints.Load() {
		s.spread()
	}
	return true
}

func (s *Set) addSmall(e Elem) bool {
	if _, ok := s.small.find(e, 0, 1); ok {
		return false
	}
	s.small.insert(s.small.end(), e)
	if int64(s.small.len()) > s.limits.Members.Load() {
		s.enlarge()
	}
	return true
}

func (s *Set) addLarge(v []byte) bool {
	hash := s.large.hash(v)
	if s.large.find(hash, v).c != nil {
		return false
	}
	s.large.add(hash, newCell(v, 0), cellSize(len(v), 0))
	return true
}

// spread makes of an intset a set that is none.
func (s *Set) spread() {
	if int64(s.small.len()) > s.limits.Members.Load() {
		s.enlarge()
		return
	}
	var run packed
	for i := range s.small.len() {
		run.insert(run.end(), Elem{Int: intset{&s.small}.at(i)})
	}
	s.small = run
}

// enlarge makes a table of a small set.
func (s *Set) enlarge() {
	d := new(dict)
	d.init(s.small.len() + 1)
	var room [intText]byte
	s.eachSmall(func(e Elem) bool {
		v := e.text(&room)
		d.add(d.hash(v), newCell(v, 0), cellSize(len(v), 0))
		return true
	})
	s.small, s.large = packed{}, d
}

// Remove takes v out and tells whether it was a member.
func (s *Set) Remove(v []byte) bool {
	if s.large == nil {
		return s.removeSmall(elemOf(v))
	}
	hash := s.large.hash(v)
	p := s.large.find(hash, v)
	if p.c == nil {
		return false
	}
	s.large.remove(hash, p, cellSize(len(v), 0))
	return true
}

func (s *Set) removeSmall(e Elem) bool {
	if s.isInts() {
		return e.IsInt() && intset{&s.small}.remove(e.Int)
	}
	off, ok := s.small.find(e, 0, 1)
	if ok {
		s.small.delete(off, 1)
	}
	return ok
}

// Compact lets a set that has lost most of its members be an intset again if
// they allow it.
func (s *Set) Compact() {
	if s.isInts() || int64(s.Len()) > s.limits.Ints.Load() {
		return
	}
	ints := NewSet(s.limits)
	all := true
	s.Each(func(e Elem) bool {
		e = e.packable()
		if all = e.IsInt(); all {
			ints.addInt(e.Int)
		}
		return all
	})
	if all {
		*s = *ints
	}
}
