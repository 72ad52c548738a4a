package store

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// The index of a shard and database is a directory of hash tables. Which table
// a key belongs to is said by the directory bits of its hash; a table that is
// full splits alone, so that no writer waits for a long copy.
//
// Readers take no lock. What makes that safe:
//
//   - A group is one cache line: a word of tags and seven places. The word is
//     loaded and stored whole. A tag uses none of the bits that choose shard or
//     table.
//   - Insert: the pointer, then the tag. Delete: the tag, then the pointer. A
//     reader that finds nil or another key under a matching tag goes on.
//   - Replace: one pointer store in the same place. A key is in one place at
//     most.
//   - The eighth byte of the word counts the keys whose search passes the group
//     because it was full when they came. A search ends at a group that nobody
//     passes, so a delete leaves nothing behind and takes nothing from others.
//     Once the count has reached 255 it stays there until the table is copied.
//   - A table that grows, shrinks, splits or merges is copied under the shard's
//     mutex and swapped; the old one is never written again. Who has loaded it
//     and finds there what was true at the swap reads as of the swap.
//   - Readers and writers load directory and table anew for every look.
//   - Delete and then insert of a key may pass a reader who then finds nothing:
//     that was true between the two.
type group struct {
	word   atomic.Uint64
	places [groupPlaces]atomic.Pointer[block]
}

const (
	groupPlaces = 7
	maxGroups   = 512 // 3584 places: a table that is full splits
	tagBytes    = 0x0080808080808080
	passUnit    = 1 << 56
	passFull    = 255

	// Directory bits. Together with the shard's they fit into a SCAN cursor.
	maxDepth = 31 - 12
)

// A table holds the keys of one value of the directory bits. The shard's mutex
// guards its fields; next and expires are looked at without.
type table struct {
	groups  []group // a power of two
	prefix  uint64  // the directory bits, left-aligned behind the shard's
	depth   uint8   // how many
	live    int
	expires atomic.Int64 // keys with an expiry
	next    atomic.Int64 // no key expires before that
}

const never = 1<<63 - 1

func newTable(groups int, prefix uint64, depth uint8) *table {
	t := &table{groups: make([]group, groups), prefix: prefix, depth: depth}
	t.next.Store(never)
	return t
}

// matches returns bit 7 of every tag byte of w that equals tag, and perhaps of
// some above a true one.
func matches(w, tag uint64) uint64 {
	x := w ^ 0x0001010101010101*tag
	return (x - 0x0001010101010101) &^ x & tagBytes
}

// home is the group where the search for a hash begins.
func (t *table) home(hash uint64) int { return int(hash>>groupShift) & (len(t.groups) - 1) }

// find returns the block of key, or nil.
func (t *table) find(hash uint64, key []byte) *block {
	tag := tagOf(hash)
	mask := len(t.groups) - 1
	g := int(hash>>groupShift) & mask
	for range t.groups {
		w := t.groups[g&mask].word.Load()
		for m := matches(w, tag); m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(m) / 8
			if b := t.groups[g&mask].places[i].Load(); b != nil && b.is(key) {
				return b
			}
		}
		if w < passUnit {
			return nil
		}
		g++
	}
	return nil
}

// where is find for writers: it returns the place, or nil.
func (t *table) where(hash uint64, key []byte) (g, i int, b *block) {
	tag := tagOf(hash)
	mask := len(t.groups) - 1
	g = t.home(hash)
	for range t.groups {
		w := t.groups[g].word.Load()
		for m := matches(w, tag); m != 0; m &= m - 1 {
			i = bits.TrailingZeros64(m) / 8
			if b := t.groups[g].places[i].Load(); b != nil && b.is(key) {
				return g, i, b
			}
		}
		if w < passUnit {
			break
		}
		g = (g + 1) & mask
	}
	return 0, 0, nil
}

// insert adds a block whose key is not there; there is room.
func (t *table) insert(hash uint64, b *block) {
	mask := len(t.groups) - 1
	for g := t.home(hash); ; g = (g + 1) & mask {
		gr := &t.groups[g]
		w := gr.word.Load()
		free := ^w & tagBytes
		if free == 0 {
			if w>>56 < passFull {
				gr.word.Store(w + passUnit)
			}
			continue
		}
		i := bits.TrailingZeros64(free) / 8
		gr.places[i].Store(b)
		gr.word.Store(w | tagOf(hash)<<(8*i))
		break
	}
	t.live++
	if b.hasExpiry() {
		t.noteExpiry(0, b.expireAt())
	}
	t.notePart(b.partDue())
}

// remove takes out what where has found.
func (t *table) remove(hash uint64, g, i int, b *block) {
	gr := &t.groups[g]
	gr.word.Store(gr.word.Load() &^ (0xff << (8 * i)))
	gr.places[i].Store(nil)
	mask := len(t.groups) - 1
	for p := t.home(hash); p != g; p = (p + 1) & mask {
		if w := t.groups[p].word.Load(); w>>56 < passFull {
			t.groups[p].word.Store(w - passUnit)
		}
	}
	t.live--
	if b.hasExpiry() {
		t.noteExpiry(b.expireAt(), 0)
	}
}

// noteExpiry keeps count when the expiry of a key changes; 0 is none.
func (t *table) noteExpiry(old, at int64) {
	if old != 0 {
		t.expires.Add(-1)
	}
	if at != 0 {
		t.expires.Add(1)
		if at < t.next.Load() {
			t.next.Store(at)
		}
	}
}

// notePart lets ExpireDue look into the table when a part of an object expires.
func (t *table) notePart(at int64) {
	if at != 0 && at < t.next.Load() {
		t.next.Store(at)
	}
}

// each calls fn for every block of n groups from g on, until it returns false,
// and tells whether it did not.
func (t *table) each(g, n int, fn func(*block) bool) bool {
	for range n {
		gr := &t.groups[g&(len(t.groups)-1)]
		for m := gr.word.Load() & tagBytes; m != 0; m &= m - 1 {
			if b := gr.places[bits.TrailingZeros64(m)/8].Load(); b != nil && !fn(b) {
				return false
			}
		}
		g++
	}
	return true
}

type hashed struct {
	hash  uint64
	block *block
}

// hashedRoom is room for the keys of tables that are copied: of an index that grows it
// would be as much as the index again.
var hashedRoom = sync.Pool{New: func() any { return new([]hashed) }}

// hashed fills room with all blocks of the table and their hashes. The caller gives it
// back.
func (t *table) hashed(s seed) (room *[]hashed) {
	room = hashedRoom.Get().(*[]hashed)
	all := slices.Grow(*room, t.live)
	for g := range t.groups {
		from := len(all)
		t.each(g, 1, func(b *block) bool {
			b.clock.Load() // lets the cache misses of a group overlap
			all = append(all, hashed{block: b})
			return true
		})
		for i := from; i < len(all); i++ {
			all[i].hash = s.hash(all[i].block.key())
		}
	}
	*room = all
	return room
}

func giveBack(room *[]hashed) {
	clear(*room)
	*room = (*room)[:0]
	hashedRoom.Put(room)
}

// copyTo inserts all blocks into another table, which has room.
func (t *table) copyTo(n *table, s seed) {
	room := t.hashed(s)
	for _, e := range *room {
		n.insert(e.hash, e.block)
	}
	giveBack(room)
}

// full tells whether one more key would crowd the table.
func (t *table) full() bool { return (t.live+1)*8 > len(t.groups)*groupPlaces*7 }

// groupsFor is a size at which live keys fill a table by 5/8 at most.
func groupsFor(live int) int {
	n := 1
	for live*8 > n*groupPlaces*5 {
		n *= 2
	}
	return n
}

// A directory finds the table of a hash.
type directory struct {
	skip   uint8 // bits of the shard
	depth  uint8
	tables []atomic.Pointer[table] // 1<<depth
}

func (d *directory) index(hash uint64) uint64 { return hash << d.skip >> (64 - d.depth) }

func (d *directory) table(hash uint64) *table { return d.tables[d.index(hash)].Load() }

// set lets all entries of t's prefix point to t.
func (d *directory) set(t *table) {
	n := uint64(1) << (d.depth - t.depth)
	from := t.prefix >> (64 - d.depth)
	for i := from; i < from+n; i++ {
		d.tables[i].Store(t)
	}
}

// resized returns a directory with the same tables; none may be deeper.
func (d *directory) resized(depth uint8) *directory {
	n := &directory{skip: d.skip, depth: depth, tables: make([]atomic.Pointer[table], 1<<depth)}
	for i := range n.tables {
		n.tables[i].Store(d.tables[uint64(i)<<(64-depth)>>(64-d.depth)].Load())
	}
	return n
}
