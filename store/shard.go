package store

import (
	"sync"
	"sync/atomic"
)

// A shard is one hash partition of all databases. Its mutex is held for the
// instant of publishing, never while a call runs.
type shard struct {
	mu     sync.Mutex
	spaces []atomic.Pointer[space]     // by stored database number; nil: no keys yet
	skip   uint8                       // bits of a hash that choose the shard
	most   int                         // groups of a table that does not split yet: maxGroups
	cut    *shardCut                   // nil: none is under way
	stale  *stale                      // blocks to be used again; nil: there was none yet
	groups *staleGroups                // of all shards; nil: none are used again
	dirs   []atomic.Pointer[directory] // the keyspace's, from this shard's first one on
	epoch  uint32                      // of what is published; see Cut
	_      [4]byte
	bytes  atomic.Int64 // of blocks, objects and index; read at every admission
	_      [16]byte
}

// A space is the part of one database that lies in one shard. The shard's mutex
// guards it, and who loads a counter sees it as it was a moment ago.
type space struct {
	dir     atomic.Pointer[directory]
	known   *atomic.Pointer[directory] // among Keyspace.dirs: the same, for as long as the space is in its shard
	keys    atomic.Int64
	expires atomic.Int64
	ttl     atomic.Int64 // sum of the expiries, in ttlUnits
	parts   atomic.Int64 // objects of which parts expire
	bytes   int64        // what FLUSHDB gives back
	depths  [maxDepth + 1]int32
	resume  atomic.Uint64 // prefix at which the search for expired keys goes on
}

// ttlUnits is an expiry as the mean time to live counts it: in seconds, and no
// later than the year 2242, so that the sum cannot overflow.
func ttlUnits(at int64) int64 { return min(max(at/1000, 0), 1<<33) }

func (sh *shard) space(db uint32) *space { return sh.spaces[db].Load() }

// open returns the space of a database, made if need be. The mutex is held.
func (sh *shard) open(db uint32) *space {
	sp := sh.spaces[db].Load()
	if sp == nil {
		sp = &space{known: sh.known(db)}
		d := &directory{skip: sh.skip, tables: make([]atomic.Pointer[table], 1)}
		t := sh.newTable(1, 0, 0)
		d.tables[0].Store(t)
		sp.setDir(d)
		sp.depths[0] = 1
		sh.account(sp, t.memory())
		sh.spaces[db].Store(sp)
	}
	return sp
}

// known is where Keyspace.find looks for the directory of a database's part.
func (sh *shard) known(db uint32) *atomic.Pointer[directory] { return &sh.dirs[uint(db)<<sh.skip] }

// setDir lets look-ups use another directory. The mutex is held.
func (sp *space) setDir(d *directory) {
	sp.dir.Store(d)
	sp.known.Store(d)
}

func (t *table) memory() int64 { return tableSize + int64(len(t.groups))*groupSize }

func (sh *shard) account(sp *space, delta int64) {
	sp.bytes += delta
	sh.bytes.Store(sh.bytes.Load() + delta)
}

// put publishes b as the block of its key and returns the one it replaces. A
// block that is put back keeps its epoch. With spares the old one is used again when
// nobody looks at it any more, and the next call of the Tx gets one like b; without
// them it is the collector's.
func (sh *shard) put(db uint32, s seed, hash uint64, b *block, spare *spares) (old *block) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sp := sh.open(db)
	t := sp.dir.Load().table(hash)
	if b.epoch == 0 {
		b.epoch = sh.epoch
		if b.kind() == kindObject {
			b.entry().holder.born(sh.epoch)
		}
	}
	delta := b.size()
	g, i, old := t.where(hash, b.key())
	if old != nil {
		size := old.size()
		t.groups[g].places[i].Store(b)
		sh.leave(db, hash, old, size, spare)
		sh.noteExpiry(sp, t, old.expireAt(), b.expireAt())
		sp.noteParts(t, old.partDue(), b.partDue())
		sh.account(sp, delta-size)
		sh.refill(spare, b, delta)
		return old
	}
	if t.full() {
		sh.grow(sp, s, t)
		t = sp.dir.Load().table(hash)
	}
	t.insert(hash, b)
	sp.keys.Store(sp.keys.Load() + 1)
	sh.noteTTL(sp, 0, b.expireAt())
	sp.noteParts(t, 0, b.partDue())
	sh.account(sp, delta)
	sh.refill(spare, b, delta)
	return nil
}

// leave parts with a block that has left the index: a cut may want it, and nothing is
// used again that a cut may have come by.
func (sh *shard) leave(db uint32, hash uint64, old *block, size int64, spare *spares) {
	switch {
	case sh.cut != nil:
		sh.cut.leave(db, hash, old)
	case spare != nil:
		sh.retire(old, size, spare)
	}
}

// drop unlinks key and returns its block, for which put's word counts too.
func (sh *shard) drop(db uint32, s seed, hash uint64, key []byte, spare *spares) (old *block) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sp := sh.space(db)
	if sp == nil {
		return nil
	}
	t := sp.dir.Load().table(hash)
	g, i, old := t.where(hash, key)
	if old == nil {
		return nil
	}
	size := old.size()
	sh.noteTTL(sp, old.expireAt(), 0)
	sp.noteParts(t, old.partDue(), 0)
	t.remove(hash, g, i, old)
	sh.leave(db, hash, old, size, spare)
	sp.keys.Store(sp.keys.Load() - 1)
	sh.account(sp, -size)
	if t.sparse() {
		sh.shrink(sp, s, t)
	}
	return old
}

// setExpiry changes the expiry of a published block that has the word for it.
func (sh *shard) setExpiry(db uint32, hash uint64, b *block, at int64) (old int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old = b.expireAt()
	if sp := sh.space(db); sp != nil {
		sh.noteExpiry(sp, sp.dir.Load().table(hash), old, at)
	}
	b.expiry().Store(at)
	return old
}

// resize accounts what an edit has changed in a published object.
func (sh *shard) resize(db uint32, hash uint64, h *holder, n int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sp := sh.space(db); sp != nil {
		sh.account(sp, n-h.bytes.Load())
		h.bytes.Store(n)
		if due := dueOf(h.obj); due != h.due.Load() {
			sp.noteParts(sp.dir.Load().table(hash), h.due.Swap(due), due)
		}
	}
}

// noteParts keeps count when it changes at what time the first part of an object
// expires; 0 is never.
func (sp *space) noteParts(t *table, old, at int64) {
	if (old != 0) != (at != 0) {
		if at != 0 {
			sp.parts.Add(1)
		} else {
			sp.parts.Add(-1)
		}
	}
	t.notePart(at)
}

func (sh *shard) noteExpiry(sp *space, t *table, old, at int64) {
	t.noteExpiry(old, at)
	sh.noteTTL(sp, old, at)
}

func (sh *shard) noteTTL(sp *space, old, at int64) {
	if old == at {
		return
	}
	n, sum := sp.expires.Load(), sp.ttl.Load()
	if old != 0 {
		n--
		sum -= ttlUnits(old)
	}
	if at != 0 {
		n++
		sum += ttlUnits(at)
	}
	sp.expires.Store(n)
	sp.ttl.Store(sum)
}

// grow makes room in the table t, which is full: it becomes larger, or two.
func (sh *shard) grow(sp *space, s seed, t *table) {
	if len(t.groups) >= sh.most && t.depth < maxDepth && sh.split(sp, s, t) {
		return
	}
	n := sh.newTable(2*len(t.groups), t.prefix, t.depth)
	t.copyTo(n, s)
	sh.swap(sp, n, t)
	sh.groups.leave(t)
}

// split replaces t by two tables one directory bit deeper. It refuses when the
// keys agree in that bit too: they collide, and the table has to hold them.
func (sh *shard) split(sp *space, s seed, t *table) bool {
	bit := uint64(1) << (63 - t.depth)
	room := t.hashed(s)
	defer giveBack(room)
	all := *room
	ones := 0
	for i := range all {
		if all[i].hash<<sh.skip&bit != 0 {
			ones++
		}
	}
	if min(ones, len(all)-ones) < len(all)/16 {
		return false
	}
	lo := sh.newTable(groupsFor(len(all)-ones), t.prefix, t.depth+1)
	hi := sh.newTable(groupsFor(ones), t.prefix|bit, t.depth+1)
	for i := range all {
		n := lo
		if all[i].hash<<sh.skip&bit != 0 {
			n = hi
		}
		n.insert(all[i].hash, all[i].block)
	}
	if d := sp.dir.Load(); d.depth < lo.depth {
		sp.setDir(d.resized(lo.depth))
	}
	sh.swap(sp, lo, t)
	sh.swap(sp, hi, nil)
	sh.groups.leave(t) // not before: until now half of the directory has pointed to it
	return true
}

// swap lets the directory point to n where it pointed to the old tables.
func (sh *shard) swap(sp *space, n *table, old ...*table) {
	sp.depths[n.depth]++
	delta := n.memory()
	for _, t := range old {
		if t != nil {
			sp.depths[t.depth]--
			delta -= t.memory()
		}
	}
	sp.dir.Load().set(n)
	sh.account(sp, delta)
}

// keepGroups is the size below which a table is not worth making smaller.
const keepGroups = 8

// sparse tells whether a table holds an eighth of what it could.
func (t *table) sparse() bool {
	return len(t.groups) > keepGroups && t.live*8 < len(t.groups)*groupPlaces
}

// shrink gives back what a sparse table does not need, and joins it with its
// neighbour when both have become small.
func (sh *shard) shrink(sp *space, s seed, t *table) {
	n := sh.newTable(max(groupsFor(t.live), keepGroups), t.prefix, t.depth)
	t.copyTo(n, s)
	sh.swap(sp, n, t)
	sh.groups.leave(t)
	for n.depth > 0 {
		bit := uint64(1) << (64 - n.depth)
		other := sp.dir.Load().at(n.prefix ^ bit)
		if other.depth != n.depth || (n.live+other.live)*4 > sh.most*groupPlaces {
			break
		}
		both := sh.newTable(max(groupsFor(n.live+other.live), keepGroups), n.prefix&^bit, n.depth-1)
		n.copyTo(both, s)
		other.copyTo(both, s)
		sh.swap(sp, both, n, other)
		sh.groups.leave(n)
		sh.groups.leave(other)
		n = both
	}
	depth := sp.dir.Load().depth
	for depth > 0 && sp.depths[depth] == 0 {
		depth--
	}
	if d := sp.dir.Load(); depth < d.depth {
		sp.setDir(d.resized(depth))
	}
}

// at returns the table of a left-aligned prefix behind the shard's.
func (d *directory) at(prefix uint64) *table { return d.tables[prefix>>(64-d.depth)].Load() }
