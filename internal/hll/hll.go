package hll

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// The string begins with a header of 16 bytes: the magic, the encoding, three
// bytes of nothing, and the last count in little endian, the highest bit of which
// says that it is out of date.
const (
	precision = 14
	registers = 1 << precision
	ranks     = 64 - precision // the highest rank but one

	header    = 16
	magic     = "HYLL"
	atCount   = 8
	atStale   = header - 1
	staleBit  = 0x80
	denseSize = header + registers*6/8

	denseEncoding  = 0
	sparseEncoding = 1
)

// ErrCorrupt says that the registers of a sparse HyperLogLog are not 16384.
var ErrCorrupt = errors.New("hll: corrupt")

// Is tells whether b looks like a HyperLogLog: of a sparse one only the header is
// looked at.
func Is(b []byte) bool {
	if len(b) < header || string(b[:len(magic)]) != magic {
		return false
	}
	switch b[len(magic)] {
	case denseEncoding:
		return len(b) == denseSize
	case sparseEncoding:
		return true
	}
	return false
}

// Dense tells whether the HyperLogLog b has the dense encoding.
func Dense(b []byte) bool { return b[len(magic)] == denseEncoding }

// New returns an empty HyperLogLog.
func New() []byte {
	b := make([]byte, header, 4*header)
	copy(b, magic)
	b[len(magic)] = sparseEncoding
	return appendZeros(b, registers)
}

// Cached is the count that the header remembers, if it is up to date.
func Cached(b []byte) (n uint64, ok bool) {
	return binary.LittleEndian.Uint64(b[atCount:]), b[atStale]&staleBit == 0
}

// SetCached lets the header remember a count.
func SetCached(b []byte, n uint64) { binary.LittleEndian.PutUint64(b[atCount:], n) }

// SetStale says that the count in the header is out of date.
func SetStale(b []byte) { b[atStale] |= staleBit }

// Place is the register that an element belongs to, and its rank there: one more
// than the zeros at the end of what is left of its hash.
func Place(elem []byte) (register int, rank uint8) {
	h := murmur64a(elem, seed)
	return int(h & (registers - 1)), uint8(bits.TrailingZeros64(h>>precision|1<<ranks)) + 1
}

// Rank is a register of a dense HyperLogLog.
func Rank(b []byte, register int) uint8 {
	at := header + register*6/8
	shift := register * 6 % 8
	v := uint(b[at]) >> shift
	if shift > 2 {
		v |= uint(b[at+1]) << (8 - shift)
	}
	return uint8(v & 63)
}

// setRank sets a register of a dense HyperLogLog.
func setRank(b []byte, register int, rank uint8) {
	at := header + register*6/8
	shift := register * 6 % 8
	b[at] = b[at]&^(63<<shift) | rank<<shift
	if shift > 2 {
		b[at+1] = b[at+1]&^(63>>(8-shift)) | rank>>(8-shift)
	}
}

// Raise adds an element to a dense HyperLogLog and tells whether that changed a
// register. It leaves the header alone.
func Raise(b, elem []byte) bool {
	register, rank := Place(elem)
	if Rank(b, register) >= rank {
		return false
	}
	setRank(b, register, rank)
	return true
}

// Has tells whether adding an element to a dense HyperLogLog would change nothing.
func Has(b, elem []byte) bool {
	register, rank := Place(elem)
	return Rank(b, register) >= rank
}

// Ranks are all registers, one byte each.
type Ranks [registers]uint8

// Merge raises r to the registers of the HyperLogLog b.
func (r *Ranks) Merge(b []byte) error {
	if Dense(b) {
		r.mergeDense(b[header:denseSize])
		return nil
	}
	at := 0
	for p := header; p < len(b); {
		run := runAt(b, p)
		if at+run.len > registers {
			return ErrCorrupt
		}
		if run.rank > 0 {
			for i := range run.len {
				r[at+i] = max(r[at+i], run.rank)
			}
		}
		at += run.len
		p += run.size
	}
	if at != registers {
		return ErrCorrupt
	}
	return nil
}

// mergeDense reads the registers four at a time: three bytes.
func (r *Ranks) mergeDense(b []byte) {
	for i := 0; i < registers && len(b) >= 3; i, b = i+4, b[3:] {
		v := uint(b[0]) | uint(b[1])<<8 | uint(b[2])<<16
		four := r[i : i+4 : i+4]
		four[0] = max(four[0], uint8(v&63))
		four[1] = max(four[1], uint8(v>>6&63))
		four[2] = max(four[2], uint8(v>>12&63))
		four[3] = max(four[3], uint8(v>>18))
	}
}

// seed is Redis' own.
const seed = 0xadc83b19

// murmur64a is the hash function MurmurHash2 in its variant for 64 bits, as a
// little endian machine computes it.
func murmur64a(b []byte, seed uint64) uint64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> r
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		for i, c := range b {
			h ^= uint64(c) << (8 * i)
		}
		h *= m
	}
	h ^= h >> r
	h *= m
	return h ^ h>>r
}
