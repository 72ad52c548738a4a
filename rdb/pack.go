package rdb

import (
	"encoding/binary"
	"strconv"
)

// A part is an element of a compact form: a text, or an integer.
type part struct {
	text []byte // nil: it is num
	num  int64
}

// digits is room for an integer's text.
type digits [20]byte

// in is the part as a text; an integer's is written into room.
func (p part) in(room *digits) []byte {
	if p.text == nil {
		return strconv.AppendInt(room[:0], p.num, 10)
	}
	return p.text
}

// empty is a text that is not nil.
var empty = []byte{}

// cut is b[from:from+n], not nil; ok is false if there are not so many bytes.
func cut(b []byte, from, n int) (text []byte, ok bool) {
	switch {
	case n < 0 || n > len(b)-from:
		return nil, false
	case n == 0:
		return empty, true
	}
	return b[from : from+n : from+n], true
}

// little is an integer of len(b) bytes, with its sign, the least byte first.
func little(b []byte) int64 {
	var n uint64
	for i, x := range b {
		n |= uint64(x) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(n<<shift) >> shift
}

// A pack reads the elements of a listpack or of a ziplist in order.
//
// A listpack is its length in 4 bytes, the number of elements in 2, the elements,
// 0xff. An element is followed by its length, written so that it is read backwards.
//
// A ziplist is its length and where the last element begins, each in 4 bytes, the
// number of elements in 2, the elements, 0xff. An element is preceded by the length
// of the one before.
type pack struct {
	b    []byte // elements and the 0xff
	zip  bool
	off  int
	n    int // elements that were read
	want int // elements as the head tells, packMany if they are too many for it
	size int // of the last element of a ziplist
	tail int // where it begins, as the head of a ziplist tells
	at   int // and as it is
	err  error
}

const (
	packMany     = 1<<16 - 1
	packEnd      = 0xff
	listpackHead = 6
	ziplistHead  = 10
)

func newListpack(b []byte) *pack {
	p := new(pack)
	if len(b) < listpackHead+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) {
		p.fail("the length is wrong")
		return p
	}
	p.b, p.want = b[listpackHead:], int(binary.LittleEndian.Uint16(b[4:]))
	return p
}

func newZiplist(b []byte) *pack {
	p := &pack{zip: true}
	if len(b) < ziplistHead+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) {
		p.fail("the length is wrong")
		return p
	}
	p.tail = int(binary.LittleEndian.Uint32(b[4:])) - ziplistHead
	p.b, p.want = b[ziplistHead:], int(binary.LittleEndian.Uint16(b[8:]))
	return p
}

func (p *pack) fail(why string) {
	if p.err == nil {
		name := "listpack"
		if p.zip {
			name = "ziplist"
		}
		p.err = bad("a %s: %s", name, why)
	}
}

// next reads the next element. There is none after the last one, and after an
// error.
func (p *pack) next() (e part, ok bool) {
	switch {
	case p.err != nil:
		return e, false
	case p.off >= len(p.b):
		p.fail("it does not end")
		return e, false
	case p.b[p.off] == packEnd:
		p.end()
		return e, false
	}
	from := p.off
	if p.zip {
		e, ok = p.zipped()
	} else {
		e, ok = p.listed()
	}
	if !ok {
		p.fail("an element is broken")
		return part{}, false
	}
	p.at, p.size = from, p.off-from
	p.n++
	return e, true
}

// must is next for an element that must be there.
func (p *pack) must() part {
	e, ok := p.next()
	if !ok {
		p.fail("an element is missing")
	}
	return e
}

// mustInt is must for an integer.
func (p *pack) mustInt() int64 {
	e := p.must()
	if e.text != nil {
		p.fail("a text where a number belongs")
	}
	return e.num
}

func (p *pack) end() {
	switch {
	case p.off != len(p.b)-1:
		p.fail("it ends too early")
	case p.want != packMany && p.want != p.n:
		p.fail("the number of elements is wrong")
	case p.zip && p.tail != p.at:
		p.fail("the last element is elsewhere")
	}
}

// listed reads an element of a listpack.
func (p *pack) listed() (e part, ok bool) {
	b := p.b[p.off:]
	head, n := 1, 0 // bytes before the text, bytes of it or of an integer
	switch h := b[0]; {
	case h < 0x80:
		e.num = int64(h)
	case h < 0xc0:
		n = int(h & 0x3f)
	case h < 0xe0:
		if len(b) < 2 {
			return e, false
		}
		e.num, head = int64(h&0x1f)<<8|int64(b[1]), 2
		e.num = e.num << 51 >> 51 // 13 bits with a sign
	case h < 0xf0:
		if len(b) < 2 {
			return e, false
		}
		head, n = 2, int(h&0xf)<<8|int(b[1])
	case h == 0xf0:
		if len(b) < 5 {
			return e, false
		}
		head, n = 5, int(binary.LittleEndian.Uint32(b[1:]))
	case h <= 0xf4:
		n = [...]int{2, 3, 4, 8}[h-0xf1]
	default:
		return e, false
	}
	text, ok := cut(b, head, n)
	switch h := b[0]; {
	case !ok:
		return e, false
	case h > 0xf0:
		e.num = little(text)
	case h >= 0x80 && h < 0xc0, h >= 0xe0:
		e.text = text
	}
	return e, p.listedTail(head + n)
}

// listedTail reads the length behind an element.
func (p *pack) listedTail(size int) bool {
	p.off += size
	var room [5]byte
	tail := appendTail(room[:0], size)
	got, ok := cut(p.b, p.off, len(tail))
	p.off += len(tail)
	return ok && string(got) == string(tail)
}

// appendTail appends the length of an element of a listpack, 7 bits a byte, the
// least ones last; each byte but the first has its upper bit set.
func appendTail(b []byte, size int) []byte {
	n := 1
	for limit := 1 << 7; n < 5 && size >= limit-min(n-1, 1); limit <<= 7 {
		n++
	}
	for i := n - 1; i >= 0; i-- {
		x := byte(size >> (7 * i) & 0x7f)
		if i < n-1 {
			x |= 0x80
		}
		b = append(b, x)
	}
	return b
}

// zipped reads an element of a ziplist.
func (p *pack) zipped() (e part, ok bool) {
	if !p.zippedFront() || p.off >= len(p.b) {
		return e, false
	}
	b := p.b[p.off:]
	head, n, isInt := 1, 0, true
	switch h := b[0]; {
	case h < 0x40:
		n, isInt = int(h), false
	case h < 0x80:
		if len(b) < 2 {
			return e, false
		}
		head, n, isInt = 2, int(h&0x3f)<<8|int(b[1]), false
	case h == 0x80:
		if len(b) < 5 {
			return e, false
		}
		head, n, isInt = 5, int(binary.BigEndian.Uint32(b[1:])), false
	case h == 0xc0:
		n = 2
	case h == 0xd0:
		n = 4
	case h == 0xe0:
		n = 8
	case h == 0xf0:
		n = 3
	case h == 0xfe:
		n = 1
	case h > 0xf0 && h <= 0xfd:
		e.num = int64(h&0xf) - 1
	default:
		return e, false
	}
	text, ok := cut(b, head, n)
	switch {
	case !ok:
	case !isInt:
		e.text = text
	case n > 0:
		e.num = little(text)
	}
	p.off += head + n
	return e, ok
}

// zippedFront reads the length before an element: a byte, or 0xfe and 4 bytes.
func (p *pack) zippedFront() bool {
	size := int(p.b[p.off])
	p.off++
	if size == 0xfe {
		if len(p.b)-p.off < 4 {
			return false
		}
		size = int(binary.LittleEndian.Uint32(p.b[p.off:]))
		p.off += 4
	}
	return size == p.size
}

// each tells fn every element; what it is told is valid until after the next one.
func (p *pack) each(fn func(v []byte)) error {
	var room [2]digits
	for {
		e, ok := p.next()
		if !ok {
			return p.err
		}
		fn(e.in(&room[p.n%2]))
	}
}

// pairs tells fn elements two by two.
func (p *pack) pairs(fn func(a, b []byte)) error {
	var first []byte
	err := p.each(func(v []byte) {
		if p.n%2 == 1 {
			first = v
		} else {
			fn(first, v)
		}
	})
	if err == nil && p.n%2 != 0 {
		p.fail("an element has no partner")
	}
	return p.err
}

// eachInt tells fn the members of a set of integers: their width and their number
// in 4 bytes each, then they in ascending order.
func eachInt(b []byte, fn func(v []byte)) error {
	if len(b) < 8 {
		return bad("a set of integers is cut short")
	}
	width, n := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	if b = b[8:]; width != 2 && width != 4 && width != 8 || n*width != uint64(len(b)) {
		return bad("a set of %d integers of %d bytes in %d", n, width, len(b))
	}
	var room digits
	var last int64
	for i := range int(n) {
		num := little(b[i*int(width):][:width])
		if i > 0 && num <= last {
			return bad("a set of integers is not in order")
		}
		last = num
		fn(part{num: num}.in(&room))
	}
	return nil
}

// zipmapPairs tells fn what a zipmap maps: a byte for the number of pairs, or 254
// or more if they are too many for it, then for each the length of the name, the name, the
// length of the value, the number of bytes left over behind it, the value and they;
// 0xff. A length is a byte, or 0xfe and 4 bytes.
func zipmapPairs(b []byte, fn func(name, value []byte)) error {
	if len(b) < 2 {
		return bad("a zipmap is cut short")
	}
	want, off, n := int(b[0]), 1, 0
	text := func(spare bool) (v []byte, ok bool) {
		if off >= len(b) || b[off] == packEnd {
			return nil, false
		}
		size, free := int(b[off]), 0
		if off++; size == 0xfe {
			if len(b)-off < 4 {
				return nil, false
			}
			size = int(binary.LittleEndian.Uint32(b[off:]))
			off += 4
		}
		if spare {
			if off >= len(b) {
				return nil, false
			}
			free = int(b[off])
			off++
		}
		v, ok = cut(b, off, size)
		off += size + free
		return v, ok && off < len(b)
	}
	for ; off < len(b) && b[off] != packEnd; n++ {
		name, ok := text(false)
		if !ok {
			return bad("a zipmap: a name is broken")
		}
		value, ok := text(true)
		if !ok {
			return bad("a zipmap: a value is broken")
		}
		fn(name, value)
	}
	if off != len(b)-1 || want < 0xfe && want != n {
		return bad("a zipmap: the end or the number of pairs is wrong")
	}
	return nil
}
