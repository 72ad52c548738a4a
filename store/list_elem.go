package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// An Elem is one element of a List: a string, or an integer that was pushed in
// its canonical decimal form and is kept as a number.
type Elem struct {
	Str []byte // nil: the element is Int
	Int int64
}

// elemOf is v as a list keeps it.
func elemOf(v []byte) Elem {
	if n, ok := canonicalInt(v); ok {
		return Elem{Int: n}
	}
	if v == nil {
		v = []byte{}
	}
	return Elem{Str: v}
}

// IsInt tells whether the element is kept as a number.
func (e Elem) IsInt() bool { return e.Str == nil }

// Append appends the element as the client sent it.
func (e Elem) Append(dst []byte) []byte {
	if e.Str == nil {
		return strconv.AppendInt(dst, e.Int, 10)
	}
	return append(dst, e.Str...)
}

// Text is the element as the client sent it, in place or appended to room.
func (e Elem) Text(room []byte) []byte {
	if e.Str == nil {
		return strconv.AppendInt(room, e.Int, 10)
	}
	return e.Str
}

// Len is how long the element was as the client sent it.
func (e Elem) Len() int {
	if e.Str == nil {
		return intLen(e.Int)
	}
	return len(e.Str)
}

// String is the element as the client sent it.
func (e Elem) String() string { return string(e.Append(nil)) }

// equal compares two elements. An integer is always kept as one, so elements of
// different kinds are never the same.
func (e Elem) equal(f Elem) bool {
	if e.Str == nil || f.Str == nil {
		return e.Str == nil && f.Str == nil && e.Int == f.Int
	}
	return bytes.Equal(e.Str, f.Str)
}

// canonicalInt parses what strconv.AppendInt prints and nothing else.
func canonicalInt(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 20 {
		return 0, false
	}
	digits, neg := v, v[0] == '-'
	if neg {
		digits = v[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(v) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	switch {
	case neg && n <= -math.MinInt64:
		return -int64(n), true
	case !neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// In a chunk an element is head, payload and tail. The tail is the size of the
// other two, written so that it can be read backwards; thus a chunk is walked
// from either end. The head says what the payload is:
//
//	0xxxxxxx            the integer x, no payload
//	10xxxxxx            a string of x bytes
//	110xxxxx xxxxxxxx   a string of x bytes
//	11100000 uvarint    a string of that many bytes
//	11101xxx            an integer of x+1 bytes, little endian
const (
	headStr6  = 0x80
	headStr13 = 0xc0
	headStr   = 0xe0
	headInt   = 0xe8
	maxStr6   = 1<<6 - 1
	maxStr13  = 1<<13 - 1
)

// intBytes is how many bytes hold n, sign included.
func intBytes(n int64) int {
	x := 1
	for x < 8 && n != n<<(64-8*x)>>(64-8*x) {
		x++
	}
	return x
}

// size is the length of head and payload.
func (e Elem) size() int {
	if e.Str == nil {
		if e.Int >= 0 && e.Int <= math.MaxInt8 {
			return 1
		}
		return 1 + intBytes(e.Int)
	}
	switch n := len(e.Str); {
	case n <= maxStr6:
		return 1 + n
	case n <= maxStr13:
		return 2 + n
	default:
		var tmp [binary.MaxVarintLen64]byte
		return 1 + binary.PutUvarint(tmp[:], uint64(n)) + n
	}
}

// tailSize is the length of the tail behind size bytes.
func tailSize(size int) int {
	n := 1
	for size >>= 7; size != 0; size >>= 7 {
		n++
	}
	return n
}

// put writes head, payload and tail into dst, which is exactly as long.
func (e Elem) put(dst []byte) {
	size := e.putBody(dst)
	for i, rest := len(dst)-1, size; i >= size; i-- {
		dst[i] = byte(rest & 0x7f)
		if rest >>= 7; rest != 0 {
			dst[i] |= 0x80
		}
	}
}

func (e Elem) putBody(dst []byte) (size int) {
	if e.Str == nil {
		if e.Int >= 0 && e.Int <= math.MaxInt8 {
			dst[0] = byte(e.Int)
			return 1
		}
		x := intBytes(e.Int)
		dst[0] = headInt | byte(x-1)
		for i := range x {
			dst[1+i] = byte(e.Int >> (8 * i))
		}
		return 1 + x
	}
	n, head := len(e.Str), 1
	switch {
	case n <= maxStr6:
		dst[0] = headStr6 | byte(n)
	case n <= maxStr13:
		dst[0], dst[1] = headStr13|byte(n>>8), byte(n)
		head = 2
	default:
		dst[0] = headStr
		head += binary.PutUvarint(dst[1:], uint64(n))
	}
	return head + copy(dst[head:], e.Str)
}

// elemAt reads the element at b[off:] and returns where the next one begins.
// Its Str points into b.
func elemAt(b []byte, off int) (e Elem, next int) {
	switch h := b[off]; {
	case h < headStr6:
		return Elem{Int: int64(h)}, off + 2
	case h < headStr13:
		end := off + 1 + int(h&maxStr6)
		return Elem{Str: b[off+1 : end : end]}, end + tailSize(end-off)
	case h < headStr:
		end := off + 2 + int(h&0x1f)<<8 + int(b[off+1])
		return Elem{Str: b[off+2 : end : end]}, end + tailSize(end-off)
	case h < headInt:
		n, w := binary.Uvarint(b[off+1:])
		start := off + 1 + w
		end := start + int(n)
		return Elem{Str: b[start:end:end]}, end + tailSize(end-off)
	default:
		x := int(h&7) + 1
		var n uint64
		for i := range x {
			n |= uint64(b[off+1+i]) << (8 * i)
		}
		shift := 64 - 8*x
		return Elem{Int: int64(n<<shift) >> shift}, off + 1 + x + 1
	}
}

// elemEnd returns where the element at b[off:] ends and the next one begins.
func elemEnd(b []byte, off int) int {
	size := 0
	switch h := b[off]; {
	case h < headStr6:
		return off + 2
	case h < headStr13:
		size = 1 + int(h&maxStr6)
	case h < headStr:
		size = 2 + int(h&0x1f)<<8 + int(b[off+1])
	case h < headInt:
		n, w := binary.Uvarint(b[off+1:])
		size = 1 + w + int(n)
	default:
		size = 2 + int(h&7)
	}
	return off + size + tailSize(size)
}

// elemBefore returns where the element begins that ends at b[end].
func elemBefore(b []byte, end int) (off int) {
	size, shift := 0, 0
	for {
		end--
		c := b[end]
		size |= int(c&0x7f) << shift
		if c < 0x80 {
			return end - size
		}
		shift += 7
	}
}
