package store

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// The bits of a key's hash, from the top:
//
//	shard       as many as there are shards
//	directory   the next ones: which table of the shard
//	...
//	group       from bit 16 upwards: where in the table the search begins
//	tag         bits 8 to 14
//	latch slot  from bit 0 upwards
//
// Tables of one shard differ in their directory bits, so the bits of group and
// tag are even within each; only a table that outgrows the common size, because
// its keys collide, would use directory bits for its groups.
const (
	groupShift = 16
	tagShift   = 8
)

// tagOf is the byte that a table keeps of a hash: never 0, which means empty.
func tagOf(hash uint64) uint64 { return hash>>tagShift&0x7f | 0x80 }

// A seed keeps strangers from choosing keys that fall together.
type seed [2]uint64

func newSeed(b [16]byte) seed {
	return seed{binary.LittleEndian.Uint64(b[:8]) ^ 0xa0761d6478bd642f, binary.LittleEndian.Uint64(b[8:]) ^ 0xe7037ed1a0b428db}
}

// hash spreads with xxhash and folds in a product of the key's words with the
// seed: keys that collide under xxhash, which can be found without knowing any
// secret, do not collide here.
func (s seed) hash(key []byte) uint64 {
	return fold(fold(xxhash.Sum64(key)^s[0], s.words(key)^s[1])^s[0], 0x8ebc6af09c88c6e3)
}

func (s seed) words(key []byte) uint64 {
	x := s[1] ^ uint64(len(key))
	for len(key) > 16 {
		x = fold(binary.LittleEndian.Uint64(key)^s[0], binary.LittleEndian.Uint64(key[8:])^x)
		key = key[16:]
	}
	var a, b uint64
	switch n := len(key); {
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	case n > 0:
		a = uint64(key[0])<<16 | uint64(key[n/2])<<8 | uint64(key[n-1])
	}
	return fold(a^s[0], b^x)
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
