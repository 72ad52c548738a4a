package store

import (
	"encoding/binary"
	"unsafe"
)

// A cell is a member of a set or a field of a hash with what belongs to it, in
// one allocation that holds no pointer: the length of the key, the key, the
// rest. A hash keeps the value there in the same way, its length first. Only the
// rest is ever changed.
type cell struct{ first byte }

func newCell(key []byte, rest int) *cell {
	b := make([]byte, uvarintLen(len(key))+len(key)+rest)
	n := binary.PutUvarint(b, uint64(len(key)))
	copy(b[n:], key)
	return (*cell)(unsafe.Pointer(unsafe.SliceData(b)))
}

func newFieldCell(key, value []byte) *cell {
	c := newCell(key, uvarintLen(len(value))+len(value))
	c.setValue(value)
	return c
}

func uvarintLen(n int) int { return tailSize(n) }

// empty is what a pointer to no bytes behind the end of a cell would be.
var empty = []byte{}

// text reads the length at off and returns the bytes behind it, and where they
// end.
func (c *cell) text(off int) (b []byte, end int) {
	n, shift := 0, 0
	for {
		x := *(*byte)(unsafe.Add(unsafe.Pointer(c), off))
		off++
		n |= int(x&0x7f) << shift
		if x < 0x80 {
			break
		}
		shift += 7
	}
	if n == 0 {
		return empty, off
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), off)), n)[:n:n], off + n
}

func (c *cell) key() []byte {
	b, _ := c.text(0)
	return b
}

// value is what newFieldCell has put behind the key.
func (c *cell) value() []byte {
	_, off := c.text(0)
	b, _ := c.text(off)
	return b
}

func (c *cell) setValue(v []byte) {
	_, off := c.text(0)
	head := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), off)), uvarintLen(len(v)))
	n := binary.PutUvarint(head, uint64(len(v)))
	if len(v) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), off+n)), len(v)), v)
	}
}

// rest is n bytes behind the key.
func (c *cell) rest(n int) []byte {
	_, off := c.text(0)
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), off)), n)
}

// cellSize is the memory of a cell.
func cellSize(key, rest int) int64 { return sizeClass(uvarintLen(key) + key + rest) }

func fieldCellSize(key, value int) int64 { return cellSize(key, uvarintLen(value)+value) }
