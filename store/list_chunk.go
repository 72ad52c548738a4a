package store

import "slices"

// A chunk is a run of elements in one buffer, with room to grow at either end.
// The elements are buf[lo:]; a chunk in a list holds at least one.
type chunk struct {
	prev, next *chunk
	buf        []byte
	lo         uint32 // 0 in a chunk of one oversized element
	n          uint32
}

const chunkOverhead = 48

// manyChunks is how many full chunks make a list long: it can have an empty one too.
const manyChunks = 8

func (c *chunk) used() int { return len(c.buf) - int(c.lo) }

// newBuffer returns a buffer of at least n bytes that fills its size class, so
// that its capacity is what it costs.
func newBuffer(n int) []byte {
	b := slices.Grow([]byte(nil), n)
	return b[:cap(b)]
}

// fits tells whether size more bytes in one more element may join c.
func (l *List) fits(c *chunk, size int) bool {
	return l.holds(c.n+1) && c.used()+size <= int(l.maxBytes)
}

// holds tells whether a chunk may have n elements.
func (l *List) holds(n uint32) bool {
	return l.maxCount == 0 || n <= uint32(l.maxCount)
}

// link puts c behind prev, or first when prev is nil.
func (l *List) link(c, prev *chunk) {
	c.prev, c.next = prev, l.head
	if prev != nil {
		c.next = prev.next
		prev.next = c
	} else {
		l.head = c
	}
	if c.next != nil {
		c.next.prev = c
	} else {
		l.tail = c
	}
	l.bytes += chunkOverhead + int64(cap(c.buf))
}

func (l *List) unlink(c *chunk) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.tail = c.prev
	}
	l.bytes -= chunkOverhead + int64(cap(c.buf))
}

// retire unlinks c, which a pop has emptied, and keeps it for a push to come:
// a queue then needs no new memory, nor does a stack whose top goes to and fro
// between two chunks.
func (l *List) retire(c *chunk) {
	l.unlink(c)
	useful := l.head != nil && cap(c.buf) >= int(l.maxBytes)/4 && cap(c.buf) <= int(l.maxBytes)
	if l.spare == nil && (useful || l.lent) {
		c.prev, c.next = nil, nil
		l.spare = c
		l.bytes += chunkOverhead + int64(cap(c.buf))
	}
}

func (l *List) dropSpare() {
	if l.spare != nil {
		l.bytes -= chunkOverhead + int64(cap(l.spare.buf))
		l.spare = nil
	}
}

// move copies c's elements to one end of buf, which becomes its buffer and may
// be the one it has.
func (l *List) move(c *chunk, buf []byte, toEnd bool) {
	used := c.used()
	lo := 0
	if toEnd {
		lo = len(buf) - used
	}
	copy(buf[lo:], c.buf[c.lo:])
	l.bytes += int64(cap(buf)) - int64(cap(c.buf))
	c.buf, c.lo = buf[:lo+used], uint32(lo)
}

// room sees that there are need free bytes before or behind c's elements. When
// it has to copy, it gives all the free space to that end, and there is so much
// of it that the copying does not add up.
func (l *List) room(c *chunk, need int, front bool) {
	used, have := c.used(), cap(c.buf)
	if front && int(c.lo) >= need || !front && have-len(c.buf) >= need {
		return
	}
	want := used + need
	if want <= have && (have-want >= used/8 || have >= int(l.maxBytes)) {
		l.move(c, c.buf[:have], front)
		return
	}
	extra := max(16, want/4)
	if l.head != l.tail {
		extra = want
	}
	l.move(c, newBuffer(max(want, min(want+extra, int(l.maxBytes)))), front)
}

// addChunk makes a chunk of e alone behind prev. A chunk at the end of a long
// list gets room for what comes, and the one that was the end gives up its own.
func (l *List) addChunk(e Elem, size int, prev *chunk, front bool) {
	n := size
	if l.head != nil && (prev == nil || prev == l.tail) {
		n = max(n, int(l.maxBytes)/4)
		if l.bytes >= manyChunks*int64(l.maxBytes) {
			n = max(n, int(l.maxBytes)) // an eighth more at most, and never moved
		}
		if prev == nil {
			l.clip(l.head)
		} else {
			l.clip(l.tail)
		}
	}
	c := l.spare
	if c != nil && n <= cap(c.buf) && (n >= cap(c.buf)/4 || l.lent) {
		l.dropSpare()
	} else {
		c = &chunk{buf: newBuffer(n)}
	}
	lo, have := 0, cap(c.buf)
	if front && size <= int(l.maxBytes) {
		lo = have - size
	}
	c.buf, c.lo, c.n = c.buf[:lo+size], uint32(lo), 1
	e.put(c.buf[lo:])
	l.link(c, prev)
}

// clip gives up c's free space when it is more than a little.
func (l *List) clip(c *chunk) {
	if used := c.used(); cap(c.buf)-used > used/8+32 {
		l.move(c, newBuffer(used), false)
	}
}

// shrink gives up most of c's free space when it is more than half, and the
// spare chunk too.
func (l *List) shrink(c *chunk) {
	if used := c.used(); cap(c.buf) > 128 && used < cap(c.buf)/2 && !l.lent {
		l.dropSpare()
		l.move(c, newBuffer(used+used/4), false)
	}
}

// splice replaces old bytes at off by room for size others, moving what stands
// behind, and returns where that room begins. c may hold that much.
func (l *List) splice(c *chunk, off, old, size int) int {
	if grow := size - old; grow > 0 {
		rel := off - int(c.lo)
		l.room(c, grow, false)
		off = int(c.lo) + rel
	}
	end := len(c.buf)
	buf := c.buf[:max(end, end+size-old)]
	copy(buf[off+size:], buf[off+old:end])
	c.buf = buf[:end+size-old]
	return off
}

// split moves the elements of c from the k-th on, which begins at off, into a
// chunk of their own. Neither may be left empty.
func (l *List) split(c *chunk, k, off int) {
	d := &chunk{n: c.n - uint32(k)}
	d.buf = newBuffer(len(c.buf) - off)
	d.buf = d.buf[:copy(d.buf, c.buf[off:])]
	c.buf, c.n = c.buf[:off], uint32(k)
	l.link(d, c)
	l.clip(c)
}

// join makes one chunk of c and the next when that leaves it some room.
func (l *List) join(c *chunk) {
	if c == nil || c.next == nil {
		return
	}
	d := c.next
	if !l.holds(c.n+d.n) || c.used()+d.used() > int(l.maxBytes)*3/4 {
		return
	}
	if want := c.used() + d.used(); cap(c.buf)-len(c.buf) < d.used() {
		l.move(c, newBuffer(want+want/8), false)
	}
	c.buf = append(c.buf, d.buf[d.lo:]...)
	c.n += d.n
	l.unlink(d)
}
