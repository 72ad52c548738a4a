package store

import "bytes"

// A packed is the compact form of small hashes, sets and sorted sets: elements
// one behind the other in one buffer, written as in a list. Where an element
// stands is an offset, good until the next edit; behind the last one it is
// end(). The zero value is empty. Elems that are put in may not point into the
// same buffer, those that are read do.
type packed struct {
	buf  []byte
	n    uint32 // elements
	mark uint8  // the owner's to use
	lent bool   // the buffer is a draft's: room to spare is not given back
}

// packedSmall is the size up to which a buffer is exactly of a size class, which
// grow by an eighth or so; larger ones keep a little to spare.
const packedSmall = maxSmall

func (p *packed) len() int     { return int(p.n) }
func (p *packed) bytes() int64 { return sizeClass(cap(p.buf)) }
func (p *packed) end() int     { return len(p.buf) }

// at reads the element at off and tells where the next one stands.
func (p *packed) at(off int) (e Elem, next int) { return elemAt(p.buf, off) }

// before is where the element stands that ends at off.
func (p *packed) before(off int) int { return elemBefore(p.buf, off) }

// skip passes n elements.
func (p *packed) skip(off, n int) int {
	for ; n > 0; n-- {
		off = elemEnd(p.buf, off)
	}
	return off
}

// seek is where the i-th element stands; for i = len() the end.
func (p *packed) seek(i int) int {
	if i <= int(p.n)/2 {
		return p.skip(0, i)
	}
	off := len(p.buf)
	for ; i < int(p.n); i++ {
		off = elemBefore(p.buf, off)
	}
	return off
}

// find looks from off on for e among every step-th element.
func (p *packed) find(e Elem, off, step int) (at int, ok bool) {
	var room [80]byte
	size := e.size()
	if size > len(room) {
		return p.findLong(e, off, step)
	}
	e.putBody(room[:size])
	for off < len(p.buf) {
		if p.buf[off] == room[0] && off+size <= len(p.buf) && bytes.Equal(p.buf[off:off+size], room[:size]) {
			return off, true
		}
		off = p.skip(off, step)
	}
	return 0, false
}

func (p *packed) findLong(e Elem, off, step int) (at int, ok bool) {
	for off < len(p.buf) {
		if x, _ := elemAt(p.buf, off); x.equal(e) {
			return off, true
		}
		off = p.skip(off, step)
	}
	return 0, false
}

// insert puts elements before the one at off, in order.
func (p *packed) insert(off int, es ...Elem) {
	size := 0
	for i := range es {
		n := es[i].size()
		size += n + tailSize(n)
	}
	p.splice(off, 0, size)
	p.n += uint32(len(es))
	for i := range es {
		n := es[i].size()
		n += tailSize(n)
		es[i].put(p.buf[off : off+n])
		off += n
	}
}

// reserve makes room for elements that are to come, if there are none yet.
func (p *packed) reserve(vs [][]byte) {
	if p.n > 0 {
		return
	}
	size := 0
	for _, v := range vs {
		n := elemOf(v).size()
		size += n + tailSize(n)
	}
	if size > cap(p.buf) && size <= packedSmall {
		p.buf = newBuffer(size)[:0]
	}
}

// replace puts e in the place of the element at off.
func (p *packed) replace(off int, e Elem) {
	size := e.size()
	size += tailSize(size)
	p.splice(off, elemEnd(p.buf, off)-off, size)
	e.put(p.buf[off : off+size])
}

// delete takes out n elements from off on.
func (p *packed) delete(off, n int) {
	p.splice(off, p.skip(off, n)-off, 0)
	p.n -= uint32(n)
	p.trim()
}

// trim gives back the room to spare when it is more than half.
func (p *packed) trim() {
	if used := len(p.buf); cap(p.buf) > 64 && used < cap(p.buf)/2 && !p.lent {
		b := newBuffer(used)
		p.buf = b[:copy(b, p.buf)]
	}
}

// splice replaces old bytes at off by room for size others.
func (p *packed) splice(off, old, size int) {
	used := len(p.buf)
	want := used + size - old
	if want > cap(p.buf) {
		if want > packedSmall {
			want += want / 16
		}
		b := newBuffer(want)
		copy(b, p.buf[:off])
		copy(b[off+size:], p.buf[off+old:])
		p.buf = b[:used+size-old]
		return
	}
	buf := p.buf[:max(used, want)]
	copy(buf[off+size:], buf[off+old:used])
	p.buf = buf[:want]
}

// clone returns a copy without the room to spare.
func (p *packed) clone() packed {
	b := newBuffer(len(p.buf))
	return packed{buf: b[:copy(b, p.buf)], n: p.n, mark: p.mark}
}
