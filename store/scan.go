package store

import (
	"math/bits"
	"math/rand/v2"
	"strconv"
)

// An Entry is a key that a walk over the keyspace has come by. What it shows is
// of one instant; walks take no latch.
type Entry struct {
	Key      []byte // stays as it is while the caller's section goes on
	Type     Type
	ExpireAt int64 // Unix ms, 0: never

	block *block
}

func entryOf(b *block) Entry {
	return Entry{Key: b.key(), Type: b.typ(), ExpireAt: b.expireAt(), block: b}
}

// Size is the approximate memory of key and value.
func (e Entry) Size() int64 { return e.block.size() }

// String appends the value of a string to dst.
func (e Entry) String(dst []byte) []byte {
	b := e.block
	switch b.kind() {
	case kindObject:
		h := b.entry().holder
		h.mu.RLock()
		defer h.mu.RUnlock()
		if s, ok := h.obj.(*Buffer); ok {
			dst = append(dst, s.View()...)
		}
		return dst
	case kindInt:
		return strconv.AppendInt(dst, b.num().Load(), 10)
	}
	return append(dst, b.str()...)
}

// Object lets fn read the object of a key, which is nil for most strings, until
// it returns. fn must be short and touch no other object.
func (e Entry) Object(fn func(Object)) {
	switch k := e.block.kind(); {
	case collection(k):
		d := view(nil, e.block)
		defer d.done()
		fn(d.obj)
		return
	case k != kindObject:
		fn(nil)
		return
	}
	h := e.block.entry().holder
	h.mu.RLock()
	defer h.mu.RUnlock()
	fn(h.obj)
}

// A walk passes the tables of a database in the order of hash prefixes. A
// position is a prefix, shard included, left-aligned; tables that split, merge
// or are copied meanwhile do not disturb it.

// tableAt returns the table at a position, nil if the shard is empty there, and
// the positions where it begins and where the next one does, which is 0 at the
// end.
func (ks *Keyspace) tableAt(stored uint32, pos uint64) (t *table, from, next uint64) {
	i := pos >> ks.shift
	sp := ks.shards[i].space(stored)
	if sp == nil {
		return nil, pos, (i + 1) << ks.shift
	}
	t = sp.dir.Load().table(pos)
	from = i<<ks.shift + t.prefix>>(64-ks.shift)
	return t, from, from + 1<<(ks.shift-t.depth)
}

// Each calls fn for every key that is there from start to end, exactly once,
// and perhaps for others, until fn returns false. It takes no latch, and is a section
// itself.
func (ks *Keyspace) Each(db int, now int64, fn func(e Entry) bool) {
	if ks.grace != nil {
		defer ks.grace.Begin(0).End()
	}
	stored := ks.stored[db].Load()
	for pos := uint64(0); ; {
		t, from, next := ks.tableAt(stored, pos)
		if t != nil && !t.each(0, len(t.groups), func(b *block) bool {
			// A table that was merged with one before it holds keys that were
			// told already.
			told := from < pos && ks.seed.hash(b.key()) < pos
			return told || b.expired(now) || fn(entryOf(b))
		}) {
			return
		}
		if pos = next; pos == 0 {
			return
		}
	}
}

// A cursor of SCAN is a position, of which 31 bits are enough, and how far the
// table there is done: a group number of 27 bits and, in 5 bits, the depth of the
// table that it was taken from. Group numbers count up from the top bit down, so
// that the groups that are done before a table grows, shrinks or splits are, in
// the new one, those whose numbers end alike. Of a table that has been merged
// the other half is not done: it begins anew.
const (
	posDropped = 33
	posShift   = 32
	depthShift = 27
	depthMask  = 1<<5 - 1
	doneMask   = 1<<depthShift - 1
)

// Scan calls fn for about count keys and returns the cursor to go on with, 0 at
// the end. Keys that are there from the first call to the last are told at
// least once, whatever else comes and goes.
func (ks *Keyspace) Scan(db int, cursor uint64, count int, now int64, fn func(e Entry)) (next uint64) {
	stored := ks.stored[db].Load()
	pos, v := cursor>>posShift<<posDropped, uint32(cursor&doneMask)
	depth := uint8(cursor >> depthShift & depthMask)
	count = min(max(count, 1), 1<<30)
	for found, looked := 0, 0; found < count && looked < 10*count; {
		t, _, after := ks.tableAt(stored, pos)
		if t != nil {
			if t.depth < depth {
				v = 0
			}
			depth = t.depth
			mask := uint32(len(t.groups) - 1)
			found += t.scan(ks.seed, int(v&mask), now, fn)
			looked++
			if v = nextGroup(v, mask); v != 0 {
				continue
			}
		}
		if pos, v, depth = after, 0, 0; pos == 0 {
			return 0
		}
	}
	return pos>>posDropped<<posShift | uint64(depth)<<depthShift | uint64(v)
}

// nextGroup is the group after v in an order in which all groups that end in
// the same bits follow each other.
func nextGroup(v, mask uint32) uint32 {
	return bits.Reverse32(bits.Reverse32(v|^mask) + 1)
}

// scan calls fn for the keys whose search begins at group home.
func (t *table) scan(s seed, home int, now int64, fn func(Entry)) (found int) {
	g := home
	for range t.groups {
		w := t.groups[g].word.Load()
		for m := w & tagBytes; m != 0; m &= m - 1 {
			b := t.groups[g].places[bits.TrailingZeros64(m)/8].Load()
			if b != nil && t.home(s.hash(b.key())) == home && !b.expired(now) {
				fn(entryOf(b))
				found++
			}
		}
		if w < passUnit {
			break
		}
		g = (g + 1) & (len(t.groups) - 1)
	}
	return found
}

// randomTries is how many expired keys RandomKey passes before it searches.
const randomTries = 100

// RandomKey returns a key by chance, nearly all alike likely. It stays as it is while
// the caller's section goes on.
func (ks *Keyspace) RandomKey(db int, now int64) (key []byte, ok bool) {
	stored := ks.stored[db].Load()
	for range randomTries {
		n := ks.Len(db)
		if n <= 0 {
			return nil, false
		}
		if b := ks.random(stored, rand.Int64N(n)); b != nil && !b.expired(now) {
			return b.key(), true
		}
	}
	ks.Each(db, now, func(e Entry) bool {
		key, ok = e.Key, true
		return false
	})
	return key, ok
}

// random returns a block of the shard that the n-th key lies in, or nil.
func (ks *Keyspace) random(stored uint32, n int64) *block {
	for i := range ks.shards {
		sp := ks.shards[i].space(stored)
		if sp == nil {
			continue
		}
		if n -= sp.keys.Load(); n >= 0 {
			continue
		}
		r := rand.Uint64()
		t := sp.dir.Load().table(r)
		for g := range t.groups {
			gr := &t.groups[(g+int(r>>32))&(len(t.groups)-1)]
			m := gr.word.Load() & tagBytes
			if m == 0 {
				continue
			}
			for range r % uint64(bits.OnesCount64(m)) {
				m &= m - 1
			}
			return gr.places[bits.TrailingZeros64(m)/8].Load()
		}
	}
	return nil
}
