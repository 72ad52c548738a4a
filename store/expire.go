package store

// expired tells whether the time of a key is over.
func (b *block) expired(now int64) bool {
	at := b.expireAt()
	return at != 0 && now > at
}

// firstDue is when the key or the first part of its value expires, 0 for never.
func (b *block) firstDue() int64 {
	at := b.expireAt()
	if part := b.partDue(); part != 0 && (at == 0 || part < at) {
		return part
	}
	return at
}

// expireTables is how many tables ExpireDue searches in one call.
const expireTables = 8

// ExpireDue calls fn for up to limit keys of a shard that have expired, or of
// whose hash a field has (Tx.TakeExpired). It
// begins where the last call stopped, and costs next to nothing while no table
// holds such a key: each knows a time before which none of its keys expires.
// One goroutine at a time may call it for a shard.
func (ks *Keyspace) ExpireDue(shard int, now int64, limit int, fn func(Ref)) {
	sh := &ks.shards[shard]
	tables := expireTables
	for db := range sh.spaces {
		sp := sh.spaces[db].Load()
		if sp == nil || sp.expires.Load()+sp.parts.Load() == 0 {
			continue
		}
		client := ks.client(uint32(db))
		tell := func(b *block) { fn(Ref{Key: b.key(), DB: client, Hash: ks.seed.hash(b.key())}) }
		if sh.expireSpace(sp, now, &limit, &tables, tell); limit <= 0 || tables <= 0 {
			return
		}
	}
}

// expireSpace goes once round the tables of a space, as far as limit and tables
// allow.
func (sh *shard) expireSpace(sp *space, now int64, limit, tables *int, fn func(*block)) {
	pos := sp.resume.Load()
	for passed := uint64(0); ; {
		t := sp.dir.Load().table(pos >> sh.skip)
		if t.next.Load() < now {
			if t.expire(sh, now, limit, fn); *limit <= 0 {
				sp.resume.Store(pos)
				return
			}
			*tables--
		}
		size := uint64(1) << (64 - t.depth)
		pos = t.prefix + size
		if passed += size; passed == 0 || passed < size || *tables <= 0 {
			break // all of them, or enough
		}
	}
	sp.resume.Store(pos)
}

// expire calls fn for up to limit expired keys, and finds out when the next
// one expires. Who gives a key an earlier time meanwhile says so itself.
func (t *table) expire(sh *shard, now int64, limit *int, fn func(*block)) {
	sh.mu.Lock()
	t.next.Store(never)
	sh.mu.Unlock()
	next := int64(never)
	t.each(0, len(t.groups), func(b *block) bool {
		at := b.firstDue()
		if at == 0 {
			return true
		}
		next = min(next, at)
		if now > at {
			fn(b)
			*limit--
		}
		return *limit > 0
	})
	sh.mu.Lock()
	if next < t.next.Load() {
		t.next.Store(next)
	}
	sh.mu.Unlock()
}
