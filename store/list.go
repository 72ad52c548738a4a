package store

// A List is a deque of chunks: doubly linked, each a buffer of some kilobytes
// with its elements packed one behind the other. Both ends cost O(1); an index
// is sought from the nearer end, whole chunks at a time. An element larger than
// a chunk may be has one to itself.
//
// What its methods return points into the list and is valid until the next
// edit; popping an element does not overwrite it, the edit after that may. No
// argument may point into the same list. Methods that only read may run at the
// same time as each other.
type List struct {
	head, tail *chunk
	spare      *chunk // emptied by a pop, for the next push that needs one
	len        int
	bytes      int64
	maxBytes   uint32 // in a chunk, unless it is one element
	maxCount   uint16 // 0: any number
	lent       bool   // of a draft: room to spare is not given back
}

// DefaultListFill is the default of list-max-listpack-size.
const DefaultListFill = -2

const (
	listOverhead   = 48
	listEncoding   = "quicklist"
	fillSafetySize = 8192 // bytes in a chunk when the fill is a count
)

// NewList returns an empty list. fill is list-max-listpack-size: -1 to -5 let a
// chunk hold 4, 8, 16, 32 or 64 KB, a positive number so many elements.
func NewList(fill int) *List {
	l := &List{bytes: listOverhead}
	l.setFill(fill)
	return l
}

func (l *List) setFill(fill int) {
	if fill < 0 {
		l.maxBytes, l.maxCount = 2048<<min(-fill, 5), 0
	} else {
		l.maxBytes, l.maxCount = fillSafetySize, uint16(min(max(fill, 1), 1<<15))
	}
}

// Type is ListType.
func (l *List) Type() Type { return ListType }

// Len is the number of elements.
func (l *List) Len() int { return l.len }

// Bytes is the memory that the list takes.
func (l *List) Bytes() int64 { return l.bytes }

// Encoding is what OBJECT ENCODING calls every list, however short.
func (l *List) Encoding() string { return listEncoding }

// Clone returns a copy without the free space.
func (l *List) Clone() Object {
	d := &List{len: l.len, bytes: listOverhead, maxBytes: l.maxBytes, maxCount: l.maxCount}
	for c := l.head; c != nil; c = c.next {
		buf := newBuffer(c.used())
		d.link(&chunk{buf: buf[:copy(buf, c.buf[c.lo:])], n: c.n}, d.tail)
	}
	return d
}

// PushFront copies v in as the first element.
func (l *List) PushFront(v []byte) {
	e := elemOf(v)
	size := e.size()
	size += tailSize(size)
	l.len++
	c := l.head
	if c == nil || !l.fits(c, size) {
		l.addChunk(e, size, nil, true)
		return
	}
	l.room(c, size, true)
	c.lo -= uint32(size)
	c.n++
	e.put(c.buf[c.lo : int(c.lo)+size])
}

// PushBack copies v in as the last element.
func (l *List) PushBack(v []byte) {
	e := elemOf(v)
	size := e.size()
	size += tailSize(size)
	l.len++
	c := l.tail
	if c == nil || !l.fits(c, size) {
		l.addChunk(e, size, c, false)
		return
	}
	l.room(c, size, false)
	end := len(c.buf)
	c.buf = c.buf[:end+size]
	c.n++
	e.put(c.buf[end:])
}

// PopFront takes the first element out.
func (l *List) PopFront() (Elem, bool) {
	c := l.head
	if c == nil {
		return Elem{}, false
	}
	e, next := elemAt(c.buf, int(c.lo))
	l.len--
	if c.n--; c.n == 0 {
		l.retire(c)
		return e, true
	}
	c.lo = uint32(next)
	if l.head == l.tail {
		l.shrink(c)
	}
	return e, true
}

// PopBack takes the last element out.
func (l *List) PopBack() (Elem, bool) {
	c := l.tail
	if c == nil {
		return Elem{}, false
	}
	off := elemBefore(c.buf, len(c.buf))
	e, _ := elemAt(c.buf, off)
	l.len--
	if c.n--; c.n == 0 {
		l.retire(c)
		return e, true
	}
	c.buf = c.buf[:off]
	if l.head == l.tail {
		l.shrink(c)
	}
	return e, true
}

// place is where an element stands: the k-th of its chunk, at off.
type place struct {
	c      *chunk
	k, off int
}

// seek finds the i-th element; there is one.
func (l *List) seek(i int) place {
	var c *chunk
	if i < l.len/2 {
		for c = l.head; i >= int(c.n); c = c.next {
			i -= int(c.n)
		}
	} else {
		left := l.len - i // elements from i to the end
		for c = l.tail; left > int(c.n); c = c.prev {
			left -= int(c.n)
		}
		i = int(c.n) - left
	}
	return place{c, i, c.seek(i)}
}

// seek returns where the k-th element of c begins; for k = n the end.
func (c *chunk) seek(k int) (off int) {
	if k <= int(c.n)/2 {
		off = int(c.lo)
		for ; k > 0; k-- {
			_, off = elemAt(c.buf, off)
		}
		return off
	}
	off = len(c.buf)
	for ; k < int(c.n); k++ {
		off = elemBefore(c.buf, off)
	}
	return off
}

// Index returns the i-th element, counted from 0.
func (l *List) Index(i int) (Elem, bool) {
	if i < 0 || i >= l.len {
		return Elem{}, false
	}
	p := l.seek(i)
	e, _ := elemAt(p.c.buf, p.off)
	return e, true
}

// Each calls fn for the elements from start on, to the end or, in reverse, to
// the beginning, until it returns false.
func (l *List) Each(start int, reverse bool, fn func(i int, e Elem) bool) {
	if start < 0 || start >= l.len {
		return
	}
	p := l.seek(start)
	if reverse {
		l.eachBack(p, start, fn)
		return
	}
	for c, off := p.c, p.off; ; off = int(c.lo) {
		for off < len(c.buf) {
			var e Elem
			e, off = elemAt(c.buf, off)
			if !fn(start, e) {
				return
			}
			start++
		}
		if c = c.next; c == nil {
			return
		}
	}
}

func (l *List) eachBack(p place, i int, fn func(i int, e Elem) bool) {
	for c, off := p.c, p.off; ; off = elemBefore(c.buf, len(c.buf)) {
		for {
			e, _ := elemAt(c.buf, off)
			if !fn(i, e) {
				return
			}
			i--
			if off == int(c.lo) {
				break
			}
			off = elemBefore(c.buf, off)
		}
		if c = c.prev; c == nil {
			return
		}
	}
}

// Find calls fn with the index of every element equal to v, from start on as
// Each does, looking at most elements at most (0: all), until fn returns false.
func (l *List) Find(v []byte, start int, reverse bool, most int, fn func(i int) bool) {
	want := elemOf(v)
	if most == 0 {
		most = l.len
	}
	l.Each(start, reverse, func(i int, e Elem) bool {
		most--
		return (!e.equal(want) || fn(i)) && most > 0
	})
}

// First returns the index of the first element equal to v.
func (l *List) First(v []byte) (i int, ok bool) {
	l.Find(v, 0, false, 0, func(at int) bool {
		i, ok = at, true
		return false
	})
	return i, ok
}
