package command

import (
	"encoding/binary"
	"math/bits"
)

// Bit 0 of a string is the highest one of its first byte. The functions of this
// file look at whole words where they can.

// countBits counts the bits that are set in b from one position up to another.
func countBits(b []byte, from, to int) int {
	if from >= to {
		return 0
	}
	first, last := from>>3, (to-1)>>3
	head, tail := byte(0xff)>>(from&7), byte(0xff)<<(7-(to-1)&7)
	if first == last {
		return bits.OnesCount8(b[first] & head & tail)
	}
	return bits.OnesCount8(b[first]&head) + onesCount(b[first+1:last]) + bits.OnesCount8(b[last]&tail)
}

func onesCount(b []byte) int {
	n := 0
	for ; len(b) >= 32; b = b[32:] {
		n += bits.OnesCount64(binary.NativeEndian.Uint64(b)) +
			bits.OnesCount64(binary.NativeEndian.Uint64(b[8:])) +
			bits.OnesCount64(binary.NativeEndian.Uint64(b[16:])) +
			bits.OnesCount64(binary.NativeEndian.Uint64(b[24:]))
	}
	for _, c := range b {
		n += bits.OnesCount8(c)
	}
	return n
}

// findBit is the position of the first bit of b that is on, or off, from one
// position up to another, or -1.
func findBit(b []byte, from, to int, on bool) int {
	if from >= to {
		return -1
	}
	var skip byte
	if !on {
		skip = 0xff
	}
	first, end := from>>3, (to+7)>>3
	// What is looked for is 1 in the bytes so turned around.
	if head := (b[first] ^ skip) & (0xff >> (from & 7)); head != 0 {
		return within(first*8+bits.LeadingZeros8(head), to)
	}
	i := first + 1
	word := uint64(skip) * 0x0101010101010101
	for ; i+8 <= end; i += 8 {
		if w := binary.BigEndian.Uint64(b[i:]) ^ word; w != 0 {
			return within(i*8+bits.LeadingZeros64(w), to)
		}
	}
	for ; i < end; i++ {
		if c := b[i] ^ skip; c != 0 {
			return within(i*8+bits.LeadingZeros8(c), to)
		}
	}
	return -1
}

func within(pos, to int) int {
	if pos < to {
		return pos
	}
	return -1
}

// A bitOp is an operation of BITOP.
type bitOp uint8

const (
	bitAnd bitOp = iota
	bitOr
	bitXor
	bitNot
	bitDiff
	bitDiff1
	bitAndOr
	bitOne
)

// combine writes the outcome of op over all of src, the shorter ones filled up
// with zeros, into dst, which has the length of the longest.
func (op bitOp) combine(dst []byte, src [][]byte) {
	if op == bitNot {
		invert(dst, src[0])
		return
	}
	copy(dst, src[0])
	switch op {
	case bitAnd:
		for _, s := range src[1:] {
			op.fold(dst[:len(s)], s)
			clear(dst[len(s):])
		}
	case bitOr, bitXor:
		for _, s := range src[1:] {
			op.fold(dst[:len(s)], s)
		}
	case bitDiff, bitDiff1, bitAndOr:
		rest := make([]byte, len(dst))
		for _, s := range src[1:] {
			bitOr.fold(rest[:len(s)], s)
		}
		op.fold(dst, rest)
	case bitOne:
		more := make([]byte, len(dst)) // the bits that more than one has
		for _, s := range src[1:] {
			countTwice(dst[:len(s)], more, s)
		}
		bitDiff.fold(dst, more)
	}
}

// invert writes src upside down into dst.
func invert(dst, src []byte) {
	i := 0
	for ; i+8 <= len(src); i += 8 {
		binary.NativeEndian.PutUint64(dst[i:], ^binary.NativeEndian.Uint64(src[i:]))
	}
	for ; i < len(src); i++ {
		dst[i] = ^src[i]
	}
}

// fold replaces dst by dst op s, which are of one length. For the operations on
// the first source and all others, s is what any of the others has.
func (op bitOp) fold(dst, s []byte) {
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		a, b := binary.NativeEndian.Uint64(dst[i:]), binary.NativeEndian.Uint64(s[i:])
		binary.NativeEndian.PutUint64(dst[i:], op.word(a, b))
	}
	for ; i < len(dst); i++ {
		dst[i] = byte(op.word(uint64(dst[i]), uint64(s[i])))
	}
}

func (op bitOp) word(a, b uint64) uint64 {
	switch op {
	case bitAnd, bitAndOr:
		return a & b
	case bitOr:
		return a | b
	case bitXor:
		return a ^ b
	case bitDiff:
		return a &^ b
	default: // bitDiff1
		return b &^ a
	}
}

// countTwice adds the bits of s to those that one source has, and those that it
// had already to those that more have.
func countTwice(one, more, s []byte) {
	i := 0
	for ; i+8 <= len(one); i += 8 {
		a, b := binary.NativeEndian.Uint64(one[i:]), binary.NativeEndian.Uint64(s[i:])
		binary.NativeEndian.PutUint64(more[i:], binary.NativeEndian.Uint64(more[i:])|a&b)
		binary.NativeEndian.PutUint64(one[i:], a|b)
	}
	for ; i < len(one); i++ {
		more[i] |= one[i] & s[i]
		one[i] |= s[i]
	}
}
