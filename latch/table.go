package latch

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// DefaultSlots is how many latches a shard has unless told otherwise. With 64
// shards the words take 128 KiB and stay in a core's second-level cache.
const DefaultSlots = 256

// ID is a latch's place in the table: shard*slots + slot, so ascending over
// shards. It is the order in which latches are waited for.
type ID uint32

// Table is all latches of a keyspace.
type Table struct {
	words []atomic.Uint64
	seqs  []atomic.Uint64 // apart from the words: hot writers leave readers' cache lines alone

	slotMask   uint64
	slotBits   uint
	shardShift uint // 64 with one shard: a shift by it gives 0
	shards     int

	ledger ledger
}

// NewTable makes a table of free latches. Both numbers are powers of two.
func NewTable(shards, slots int) *Table {
	if shards < 1 || shards&(shards-1) != 0 || slots < 1 || slots&(slots-1) != 0 || uint64(shards)*uint64(slots) > 1<<32 {
		panic(fmt.Sprintf("latch: %d shards of %d slots: both must be powers of two, and the product fit 32 bits", shards, slots))
	}
	shardBits := uint(bits.TrailingZeros(uint(shards)))
	return &Table{
		words:      make([]atomic.Uint64, shards*slots),
		seqs:       make([]atomic.Uint64, shards*slots),
		slotMask:   uint64(slots - 1),
		slotBits:   uint(bits.TrailingZeros(uint(slots))),
		shardShift: 64 - shardBits,
		shards:     shards,
	}
}

// ID finds the latch of a key by the key's hash: the shard from the high bits,
// the slot from the low ones.
func (t *Table) ID(hash uint64) ID {
	return ID(hash>>t.shardShift<<t.slotBits | hash&t.slotMask)
}

// Shards is the number of shards.
func (t *Table) Shards() int { return t.shards }

// Slots is the number of latches in each shard.
func (t *Table) Slots() int { return int(t.slotMask) + 1 }

// Shard is the shard a latch lies in.
func (t *Table) Shard(id ID) int { return int(id >> t.slotBits) }

// Slot is a latch's place in its shard.
func (t *Table) Slot(id ID) int { return int(uint64(id) & t.slotMask) }

// At is the latch at a slot of a shard.
func (t *Table) At(shard, slot int) ID { return ID(shard<<t.slotBits | slot) }

// Touch loads what calls for keys of these hashes will look at, so that the cache misses
// overlap. It changes nothing.
func (t *Table) Touch(hashes []uint64) {
	for _, h := range hashes {
		id := t.ID(h)
		t.seqs[id].Load()
		t.words[id].Load()
	}
}
