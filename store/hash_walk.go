package store

import "math/rand/v2"

// passes returns a func that tells whether a field has not expired. Where none
// can have it asks nothing.
func (h *Hash) passes(now int64) func(field []byte) bool {
	if !h.due(now) {
		return func([]byte) bool { return true }
	}
	return func(field []byte) bool { return !h.expired(field, now) }
}

// eachSmall calls fn for the fields of a small hash that have not expired.
func (h *Hash) eachSmall(now int64, fn func(field, value Elem) bool) {
	due := h.due(now)
	var room [80]byte
	for off := 0; off < h.small.end(); {
		var f, v Elem
		f, off = h.small.at(off)
		v, off = h.small.at(off)
		if due && h.expired(f.Append(room[:0]), now) {
			continue
		}
		if !fn(f, v) {
			return
		}
	}
}

// Each calls fn for every field, until it returns false.
func (h *Hash) Each(now int64, fn func(field, value Elem) bool) {
	d := h.large()
	if d == nil {
		h.eachSmall(now, fn)
		return
	}
	passes := h.passes(now)
	d.each(func(c *cell) bool {
		return !passes(c.key()) || fn(Elem{Str: c.key()}, Elem{Str: c.value()})
	})
}

// Scan calls fn for about count fields and returns the cursor to go on with, 0
// at the end. Fields that are there from the first call to the last are told.
func (h *Hash) Scan(cursor uint64, count int, now int64, fn func(field, value Elem)) (next uint64) {
	d := h.large()
	if d == nil {
		h.eachSmall(now, func(f, v Elem) bool {
			fn(f, v)
			return true
		})
		return 0
	}
	passes := h.passes(now)
	return d.scan(cursor, count, func(c *cell) {
		if passes(c.key()) {
			fn(Elem{Str: c.key()}, Elem{Str: c.value()})
		}
	})
}

// Random returns any field, all alike likely. There must be one that has not
// expired.
func (h *Hash) Random(now int64) (field, value Elem) {
	if h.due(now) {
		h.Sample(1, now, func(f, v Elem) { field, value = f, v })
		return field, value
	}
	if d := h.large(); d != nil {
		c := d.random()
		return Elem{Str: c.key()}, Elem{Str: c.value()}
	}
	field, off := h.small.at(h.small.seek(2 * rand.IntN(h.Len())))
	value, _ = h.small.at(off)
	return field, value
}

// Sample calls fn for up to n different fields by chance, all alike likely.
func (h *Hash) Sample(n int, now int64, fn func(field, value Elem)) {
	all := h.Live(now)
	n = min(n, all)
	if d := h.large(); d != nil {
		passes := h.passes(now)
		d.sample(n, all, func(c *cell) bool { return passes(c.key()) }, func(c *cell) {
			fn(Elem{Str: c.key()}, Elem{Str: c.value()})
		})
		return
	}
	s := sample{n, all}
	h.eachSmall(now, func(f, v Elem) bool {
		if s.pick() {
			fn(f, v)
		}
		return s.n > 0
	})
}
