package store

// Set replaces the i-th element by a copy of v and tells whether there was one.
func (l *List) Set(i int, v []byte) bool {
	if i < 0 || i >= l.len {
		return false
	}
	p := l.seek(i)
	c := p.c
	_, next := elemAt(c.buf, p.off)
	e, old := elemOf(v), next-p.off
	size := e.size()
	size += tailSize(size)
	switch {
	case size == old || c.n > 1 && c.used()-old+size <= int(l.maxBytes):
		off := l.splice(c, p.off, old, size)
		e.put(c.buf[off : off+size])
	case c.n == 1:
		l.replaceOnly(c, e, size)
	default:
		l.splice(c, p.off, old, 0)
		c.n--
		l.insert(p, e, size)
	}
	return true
}

// replaceOnly puts e in the place of c's only element.
func (l *List) replaceOnly(c *chunk, e Elem, size int) {
	if size > cap(c.buf) || size < cap(c.buf)/2 {
		l.bytes -= int64(cap(c.buf))
		c.buf = newBuffer(size)
		l.bytes += int64(cap(c.buf))
	}
	c.buf, c.lo = c.buf[:size], 0
	e.put(c.buf)
}

// Insert copies v in so that it becomes the i-th element, 0 ≤ i ≤ Len.
func (l *List) Insert(i int, v []byte) {
	switch {
	case i <= 0:
		l.PushFront(v)
		return
	case i >= l.len:
		l.PushBack(v)
		return
	}
	e := elemOf(v)
	size := e.size()
	size += tailSize(size)
	l.insert(l.seek(i), e, size)
	l.len++
}

// insert puts e before the element at p, which may be the end of its chunk.
func (l *List) insert(p place, e Elem, size int) {
	c := p.c
	switch {
	case l.fits(c, size):
		off := l.splice(c, p.off, 0, size)
		e.put(c.buf[off : off+size])
		c.n++
	case p.k == 0 && c.prev != nil && l.fits(c.prev, size):
		c = c.prev
		l.insert(place{c, int(c.n), len(c.buf)}, e, size)
	case p.k == 0:
		l.addChunk(e, size, c.prev, false)
	case p.k == int(c.n) && c.next != nil && l.fits(c.next, size):
		l.insert(place{c.next, 0, int(c.next.lo)}, e, size)
	case p.k == int(c.n):
		l.addChunk(e, size, c, false)
	default:
		l.split(c, p.k, p.off)
		d := c.next
		l.insert(place{c, int(c.n), len(c.buf)}, e, size)
		l.join(d)
		l.join(c.prev)
	}
}

// Remove takes out elements equal to v and says how many: the first count of
// them, the last -count when count is negative, all when it is 0.
func (l *List) Remove(count int, v []byte) (removed int) {
	want, limit, back := elemOf(v), l.len, count < 0
	if count > 0 && count < limit {
		limit = count
	} else if back && count > -limit {
		limit = -count
	}
	c := l.head
	if back {
		c = l.tail
	}
	for c != nil && removed < limit {
		next := c.next
		if back {
			next = c.prev
		}
		n := 0
		if back {
			n = c.removeBack(want, limit-removed)
		} else {
			n = c.removeFront(want, limit-removed)
		}
		if n > 0 {
			removed += n
			l.len -= n
			l.tidy(c, back)
		}
		c = next
	}
	return removed
}

// tidy follows the removal of elements from c. It leaves those chunks alone
// that the removal has still to see.
func (l *List) tidy(c *chunk, back bool) {
	prev := c.prev
	if c.n == 0 {
		l.unlink(c)
		return
	}
	l.shrink(c)
	if back {
		l.join(c)
	} else {
		l.join(prev)
	}
}

// removeFront takes out up to limit elements equal to want, from the first on,
// and closes the gaps towards the front.
func (c *chunk) removeFront(want Elem, limit int) (removed int) {
	to := int(c.lo)
	for off := to; off < len(c.buf); {
		if removed == limit {
			to += copy(c.buf[to:], c.buf[off:])
			break
		}
		e, next := elemAt(c.buf, off)
		if e.equal(want) {
			removed++
		} else {
			if removed == 0 {
				to = next
			} else {
				to += copy(c.buf[to:], c.buf[off:next])
			}
		}
		off = next
	}
	if removed > 0 {
		c.buf = c.buf[:to]
		c.n -= uint32(removed)
	}
	return removed
}

// removeBack is removeFront from the last element on; the gaps close towards
// the end.
func (c *chunk) removeBack(want Elem, limit int) (removed int) {
	to, lo := len(c.buf), int(c.lo)
	for end := to; end > lo; {
		if removed == limit {
			to -= end - lo
			copy(c.buf[to:], c.buf[lo:end])
			break
		}
		off := elemBefore(c.buf, end)
		e, _ := elemAt(c.buf, off)
		if e.equal(want) {
			removed++
		} else {
			to -= end - off
			if removed > 0 {
				copy(c.buf[to:], c.buf[off:end])
			}
		}
		end = off
	}
	if removed > 0 && int(c.n) > removed {
		c.lo = uint32(to)
	}
	c.n -= uint32(removed)
	return removed
}

// Trim keeps the elements from start to stop, both included; none when start is
// greater. 0 ≤ start, stop < Len.
func (l *List) Trim(start, stop int) {
	if start > stop {
		*l = List{bytes: listOverhead, maxBytes: l.maxBytes, maxCount: l.maxCount}
		return
	}
	back := l.len - 1 - stop
	l.len = stop - start + 1
	for start > 0 && start >= int(l.head.n) {
		start -= int(l.head.n)
		l.unlink(l.head)
	}
	for back > 0 && back >= int(l.tail.n) {
		back -= int(l.tail.n)
		l.unlink(l.tail)
	}
	if start > 0 {
		c := l.head
		c.lo = uint32(c.seek(start))
		c.n -= uint32(start)
		l.shrink(c)
	}
	if back > 0 {
		c := l.tail
		c.buf = c.buf[:c.seek(int(c.n)-back)]
		c.n -= uint32(back)
		l.shrink(c)
	}
}
