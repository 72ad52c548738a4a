package store

import "math/bits"

// A shardCut is what a shard knows of a cut that is under way; the shard's mutex
// guards it.
type shardCut struct {
	cut     *Cut
	first   uint64 // hash of the shard
	db      uint32 // the position: stored database
	pos     uint64 // and hash
	left    *leftovers
	flushed []*space // by stored database: what a flush has dropped
}

// A leftBlock is a block that has left the index before the walk came by.
type leftBlock struct {
	block *block
	db    uint32
	size  int64
}

// leftovers come in pieces, so that none is copied while the mutex is held.
type leftovers struct {
	next   *leftovers
	n      int
	blocks [64]leftBlock
}

func (l *leftovers) pop() leftBlock {
	l.n--
	b := l.blocks[l.n]
	l.blocks[l.n] = leftBlock{}
	return b
}

// leave leaves a block to the walk that has been replaced or removed, unless it
// is newer than the cut or the walk has passed.
func (sc *shardCut) leave(db uint32, hash uint64, b *block) {
	if !sc.cut.older(b) || db < sc.db || db == sc.db && hash < sc.pos {
		return
	}
	l := sc.left
	if l == nil || l.n == len(l.blocks) {
		l = &leftovers{next: l}
		sc.left = l
	}
	size := b.size()
	l.blocks[l.n] = leftBlock{b, db, size}
	l.n++
	sc.cut.kept.Add(size)
}

// leaveSpace leaves the keys of a database to the walk that have been flushed. Of
// a second flush there are only newer ones.
func (sc *shardCut) leaveSpace(db uint32, sp *space, databases int) {
	if db < sc.db {
		return
	}
	if sc.flushed == nil {
		sc.flushed = make([]*space, databases)
	}
	if sc.flushed[db] == nil {
		sc.flushed[db] = sp
		sc.cut.kept.Add(sp.bytes)
	}
}

// space is the part of a database that the walk passes.
func (sc *shardCut) space(sh *shard) *space {
	if sc.flushed != nil && sc.flushed[sc.db] != nil {
		return sc.flushed[sc.db]
	}
	return sh.spaces[sc.db].Load()
}

// nextSpace moves the position to the next database.
func (sc *shardCut) nextSpace() {
	if sc.flushed != nil && sc.flushed[sc.db] != nil {
		sc.cut.kept.Add(-sc.flushed[sc.db].bytes)
		sc.flushed[sc.db] = nil
	}
	sc.db++
	sc.pos = sc.first
}

// takeLeft moves what was left to the walk to the front of to.
func (sh *shard) takeLeft(to **leftovers) {
	sh.mu.Lock()
	l := sh.cut.left
	sh.cut.left = nil
	sh.mu.Unlock()
	for l != nil {
		next := l.next
		l.next, *to = *to, l
		l = next
	}
}

// takeTable takes the pointers of the table at the position, which it moves
// behind it. It returns false at the end of the shard. It looks into no block:
// that would wait for memory with the mutex held.
func (sh *shard) takeTable(c *Cut) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sc := sh.cut
	for int(sc.db) < len(sh.spaces) {
		sp := sc.space(sh)
		if sp == nil {
			sc.nextSpace()
			continue
		}
		t := sp.dir.Load().table(sc.pos)
		begin := sc.first | t.prefix>>sh.skip
		c.db, c.from = sc.db, 0
		if begin < sc.pos {
			c.from = sc.pos // it was merged with one that was passed
		}
		c.blocks = t.appendTo(c.blocks[:0])
		end := begin + 1<<(64-sh.skip-t.depth) // 0 after the last table of the last shard
		if last := sc.first + 1<<(64-sh.skip); end == last {
			sc.nextSpace()
		} else {
			sc.pos = end
		}
		return true
	}
	return false
}

// appendTo appends all blocks of the table.
func (t *table) appendTo(to []*block) []*block {
	for g := range t.groups {
		gr := &t.groups[g]
		for m := gr.word.Load() & tagBytes; m != 0; m &= m - 1 {
			to = append(to, gr.places[bits.TrailingZeros64(m)/8].Load())
		}
	}
	return to
}

// cutHas tells whether a published block belongs to a cut that is under way, and
// so must not be changed in place.
func (ks *Keyspace) cutHas(b *block) bool {
	c := ks.cut.Load()
	return c != nil && c.older(b)
}

// again returns what may be put back into the index in the place of b, which has
// left it: b, or a copy if the walk of a cut may have b.
func (ks *Keyspace) again(b *block, db uint32) *block {
	c := ks.cut.Load()
	if c == nil || !c.older(b) {
		return b
	}
	if b.kind() == kindObject {
		c.keepName(b, db)
	}
	return b.copied(b.expireAt())
}

// renewed returns a copy of the published block of s with the number or the expiry
// that is to be stored into it.
func (tx *Tx) renewed(s *slot, db uint32, work uint32) *block {
	if work&flagNum != 0 {
		b := s.cur.copied(s.cur.expireAt())
		b.num().Store(s.num)
		return b
	}
	if c := tx.ks.cut.Load(); c != nil && s.cur.kind() == kindObject {
		c.keepName(s.cur, db)
	}
	return s.cur.copied(s.at)
}
