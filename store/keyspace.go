package store

import (
	"math/bits"
	"sync/atomic"

	"github.com/ferricd/ferricd/internal/grace"
)

// Options are what a Keyspace is made of. The zero value serves.
type Options struct {
	Shards    int // a power of two; 0: 64
	Databases int // 0: 16
	Seed      [16]byte
	Slots     Slots // nil: no slot is ever closed

	// Grace tells when a block that was replaced can be used again: every Tx, and
	// whoever else looks at keys, is in a section of it from beginning to end, or has
	// the gate closed. nil: all are left to the collector.
	Grace *grace.Periods
}

// MaxShards leaves enough bits of the hash for the rest.
const MaxShards = 1 << 12

// A Keyspace is all keys of all databases.
//
// Databases have numbers as clients know them; SWAPDB changes which stored
// database a number means.
type Keyspace struct {
	shards []shard
	dirs   []atomic.Pointer[directory] // of all parts of stored databases, one database behind the other; see dir
	shift  uint8                       // a hash shifted right by it is the number of its shard
	seed   seed
	slots  Slots
	grace  *grace.Periods
	stored []atomic.Uint32 // by client's number
	cuts   atomic.Uint64   // flushes and swaps
	cut    atomic.Pointer[Cut]
	epoch  uint32 // of what is published; changes with the gate closed
	access access

	inline       int // bytes of a key and the elements of its collection that make a block
	listFill     atomic.Int64
	hashLimits   HashLimits
	setLimits    SetLimits
	zsetLimits   atomic.Uint64 // members, bytes of one
	streamLimits atomic.Pointer[StreamLimits]
}

type openSlots struct{}

func (openSlots) SeqOf(uint64) uint64 { return 0 }

// New returns an empty keyspace. It panics unless Shards is a power of two of at
// most MaxShards.
func New(o Options) *Keyspace {
	if o.Shards == 0 {
		o.Shards = 64
	}
	if o.Databases == 0 {
		o.Databases = 16
	}
	if o.Slots == nil {
		o.Slots = openSlots{}
	}
	if o.Shards < 0 || o.Shards > MaxShards || o.Shards&(o.Shards-1) != 0 {
		panic("store: the number of shards is not a power of two, or too large")
	}
	skip := uint8(bits.TrailingZeros(uint(o.Shards)))
	ks := &Keyspace{
		shards: make([]shard, o.Shards), shift: 64 - skip,
		seed: newSeed(o.Seed), slots: o.Slots, grace: o.Grace, stored: make([]atomic.Uint32, o.Databases), epoch: 1,
	}
	var groups *staleGroups
	if o.Grace != nil {
		groups = &staleGroups{grace: o.Grace}
	}
	ks.dirs = make([]atomic.Pointer[directory], o.Databases*o.Shards)
	for i := range ks.shards {
		ks.shards[i].dirs = ks.dirs[i:]
		ks.shards[i].spaces = make([]atomic.Pointer[space], o.Databases)
		ks.shards[i].skip, ks.shards[i].most, ks.shards[i].epoch = skip, maxGroups, ks.epoch
		ks.shards[i].groups = groups
	}
	for i := range ks.stored {
		ks.stored[i].Store(uint32(i))
	}
	ks.inline = inlineMax
	ks.SetAccess(false, 10, 1)
	ks.SetListFill(DefaultListFill)
	ks.SetHashLimits(DefaultHashFields, DefaultHashValue)
	ks.SetSetLimits(DefaultSetInts, DefaultSetMembers, DefaultSetValue)
	ks.SetZSetLimits(DefaultZSetLimits)
	return ks
}

// SetListFill says how large the chunks of new lists are; see NewList.
func (ks *Keyspace) SetListFill(fill int) { ks.listFill.Store(int64(fill)) }

// Hash is the hash of a key, from which shard and latch slot follow. It is the
// same in every database: keys of one name share a latch, and a hash that a
// call has taken before a SWAPDB is still right after it.
func (ks *Keyspace) Hash(_ int, key []byte) uint64 { return ks.seed.hash(key) }

func (ks *Keyspace) shard(hash uint64) *shard { return &ks.shards[hash>>ks.shift] }

// dir is the directory of the part of a stored database in which a hash lies, nil if that
// has no keys. It stands apart from shard and space: three places less that every look-up
// goes to one after the other.
func (ks *Keyspace) dir(db uint32, hash uint64) *directory {
	return ks.dirs[uint64(db)*uint64(len(ks.shards))+hash>>ks.shift].Load()
}

func (ks *Keyspace) find(db uint32, hash uint64, key []byte) *block {
	if d := ks.dir(db, hash); d != nil {
		return d.table(hash).find(hash, key)
	}
	return nil
}

// Touch loads what looking up the keys of a batch will need, so that the cache
// misses overlap. It changes no result.
func (ks *Keyspace) Touch(db int, hashes []uint64) {
	for len(hashes) > touchAtOnce {
		ks.touch(db, hashes[:touchAtOnce])
		hashes = hashes[touchAtOnce:]
	}
	ks.touch(db, hashes)
}

// touchAtOnce is for how many keys one kind of line is loaded before the next, which
// those lead to.
const touchAtOnce = 32

// touchMost is how long a block may be of which the end is loaded too.
const touchMost = 160

func (ks *Keyspace) touch(db int, hashes []uint64) {
	var groups [touchAtOnce]*group
	stored := ks.stored[db].Load()
	for i, h := range hashes {
		if d := ks.dir(stored, h); d != nil {
			t := d.table(h)
			g := &t.groups[t.home(h)]
			g.word.Load()
			groups[i%touchAtOnce] = g
		}
	}
	var blocks [touchAtOnce]*block
	n := 0
	for i, h := range hashes {
		g := groups[i%touchAtOnce]
		if g == nil {
			continue
		}
		if m := matches(g.word.Load(), tagOf(h)); m != 0 {
			if b := g.places[bits.TrailingZeros64(m)/8].Load(); b != nil {
				b.clock.Load()
				blocks[n%touchAtOnce] = b
				n++
			}
		}
	}
	for _, b := range blocks[:n] {
		b.touchEnd()
	}
}

// touchEnd loads the line in which the block ends, if it is short: its key may end there,
// and its value does.
func (b *block) touchEnd() {
	if b.meta&kindMask == kindObject {
		return
	}
	if end := b.keyOffset() + b.meta>>keyShift&lenMask + b.bodyLen(); end <= touchMost {
		(*atomic.Uint32)(b.at((end - 1) &^ 3)).Load() // which the compiler does not leave out
	}
}

// Databases is how many databases there are.
func (ks *Keyspace) Databases() int { return len(ks.stored) }

// Shards is how many shards there are.
func (ks *Keyspace) Shards() int { return len(ks.shards) }

// Len is the number of keys of a database, expired ones included that nobody
// has removed yet.
func (ks *Keyspace) Len(db int) int64 {
	return ks.sum(db, func(sp *space) int64 { return sp.keys.Load() })
}

// Expires is the number of keys with an expiry.
func (ks *Keyspace) Expires(db int) int64 {
	return ks.sum(db, func(sp *space) int64 { return sp.expires.Load() })
}

// PartExpires is the number of hashes of which fields have an expiry.
func (ks *Keyspace) PartExpires(db int) int64 {
	return ks.sum(db, func(sp *space) int64 { return sp.parts.Load() })
}

// AvgTTL is the mean time to live of the keys that have an expiry, in
// milliseconds and to the second.
func (ks *Keyspace) AvgTTL(db int, now int64) int64 {
	n := ks.Expires(db)
	if n <= 0 {
		return 0
	}
	sum := ks.sum(db, func(sp *space) int64 { return sp.ttl.Load() })
	return max(sum/n*1000-now, 0)
}

// sum adds up what fn says of every part of a database.
func (ks *Keyspace) sum(db int, fn func(*space) int64) (n int64) {
	stored := ks.stored[db].Load()
	for i := range ks.shards {
		if sp := ks.shards[i].space(stored); sp != nil {
			n += fn(sp)
		}
	}
	return n
}

// Bytes is about how much memory keys, values and index take.
func (ks *Keyspace) Bytes() (n int64) {
	for i := range ks.shards {
		n += ks.shards[i].bytes.Load()
	}
	return n
}

// FlushDB drops all keys of a database. The gate is closed; what was there is
// left to the collector, or first to a Cut.
func (ks *Keyspace) FlushDB(db int) {
	ks.cuts.Add(1)
	stored := ks.stored[db].Load()
	for i := range ks.shards {
		sh := &ks.shards[i]
		sh.mu.Lock()
		if sp := sh.spaces[stored].Swap(nil); sp != nil {
			sp.known.Store(nil)
			sh.bytes.Store(sh.bytes.Load() - sp.bytes)
			if sh.cut != nil {
				sh.cut.leaveSpace(stored, sp, len(sh.spaces))
			}
		}
		sh.mu.Unlock()
	}
}

// FlushAll drops all keys. The gate is closed.
func (ks *Keyspace) FlushAll() {
	for db := range ks.stored {
		ks.FlushDB(db)
	}
}

// Swap lets clients of database a see the keys of b, and the reverse. The gate
// is closed.
func (ks *Keyspace) Swap(a, b int) {
	ks.cuts.Add(1)
	x := ks.stored[a].Load()
	ks.stored[a].Store(ks.stored[b].Load())
	ks.stored[b].Store(x)
}

// client is the number by which clients know a stored database.
func (ks *Keyspace) client(stored uint32) int {
	for db := range ks.stored {
		if ks.stored[db].Load() == stored {
			return db
		}
	}
	return 0
}
