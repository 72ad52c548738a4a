package store

import "math/rand/v2"

// eachSmall is Each for a set that has no table.
func (s *Set) eachSmall(fn func(Elem) bool) {
	if s.isInts() {
		for i := range s.small.len() {
			if !fn(Elem{Int: intset{&s.small}.at(i)}) {
				return
			}
		}
		return
	}
	for off := 0; off < s.small.end(); {
		var e Elem
		if e, off = s.small.at(off); !fn(e) {
			return
		}
	}
}

// Each calls fn for every member, until it returns false.
func (s *Set) Each(fn func(Elem) bool) {
	if s.large == nil {
		s.eachSmall(fn)
		return
	}
	s.large.each(func(c *cell) bool { return fn(Elem{Str: c.key()}) })
}

// Scan calls fn for about count members and returns the cursor to go on with, 0
// at the end. Members that are there from the first call to the last are told.
func (s *Set) Scan(cursor uint64, count int, fn func(Elem)) (next uint64) {
	if s.large == nil {
		s.eachSmall(func(e Elem) bool {
			fn(e)
			return true
		})
		return 0
	}
	return s.large.scan(cursor, count, func(c *cell) { fn(Elem{Str: c.key()}) })
}

// Random is any member, all alike likely. There must be one.
func (s *Set) Random() Elem {
	if s.large != nil {
		return Elem{Str: s.large.random().key()}
	}
	i := rand.IntN(s.small.len())
	if s.isInts() {
		return Elem{Int: intset{&s.small}.at(i)}
	}
	e, _ := s.small.at(s.small.seek(i))
	return e
}

// Sample calls fn for up to n different members by chance, all alike likely.
func (s *Set) Sample(n int, fn func(Elem)) {
	all := s.Len()
	n = min(n, all)
	if s.large != nil {
		s.large.sample(n, all, func(*cell) bool { return true }, func(c *cell) { fn(Elem{Str: c.key()}) })
		return
	}
	some := sample{n, all}
	s.eachSmall(func(e Elem) bool {
		if some.pick() {
			fn(e)
		}
		return some.n > 0
	})
}
