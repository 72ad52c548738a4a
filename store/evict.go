package store

import "math/rand/v2"

// A Candidate is a key that might be evicted.
type Candidate struct {
	Ref      Ref   // its key stays as it is while the caller's section goes on
	Idle     int64 // seconds since the last access, unless the policy is LFU
	Freq     int   // the access counter, if it is
	ExpireAt int64 // 0: never
	Bytes    int64 // approximate memory of key and value
}

const (
	sampleJumps  = 16 // places where Sample looks before it searches
	sampleGroups = 16 // groups it looks at in each
)

// Sample calls fn for up to n keys by chance, of all databases, none of them
// expired; volatileOnly leaves out those without an expiry. It finds at least
// one if there is one.
func (ks *Keyspace) Sample(volatileOnly bool, n int, now int64, fn func(Candidate)) {
	take := func(b *block, stored uint32) bool {
		at := b.expireAt()
		if volatileOnly && at == 0 || at != 0 && now > at {
			return n > 0
		}
		fn(ks.candidate(b, stored, now))
		n--
		return n > 0
	}
	found := n
	for range sampleJumps {
		if !ks.sampleAt(rand.Uint64(), sampleGroups, volatileOnly, take) {
			return
		}
	}
	if n < found {
		return
	}
	start := rand.Uint64N(uint64(len(ks.shards)))
	for i := range uint64(len(ks.shards)) {
		shard := (start + i) % uint64(len(ks.shards))
		if !ks.sampleShard(shard, volatileOnly, take) || n < found {
			return
		}
	}
}

func (ks *Keyspace) candidate(b *block, stored uint32, now int64) Candidate {
	c := Candidate{
		Ref:      Ref{Key: b.key(), DB: ks.client(stored), Hash: ks.seed.hash(b.key())},
		ExpireAt: b.expireAt(),
		Bytes:    b.size(),
	}
	c.Idle, c.Freq = ks.access.show(b.clock.Load(), now)
	return c
}

// holds tells whether a space has keys that Sample is asked for.
func (sp *space) holds(volatileOnly bool) bool {
	return sp != nil && sp.keys.Load() > 0 && (!volatileOnly || sp.expires.Load() > 0)
}

// sampleAt takes keys from a few groups of the table that r falls into. It
// returns false when take did.
func (ks *Keyspace) sampleAt(r uint64, groups int, volatileOnly bool, take func(*block, uint32) bool) bool {
	sh := ks.shard(r)
	first := rand.IntN(len(sh.spaces))
	for i := range sh.spaces {
		db := (first + i) % len(sh.spaces)
		sp := sh.spaces[db].Load()
		if !sp.holds(volatileOnly) {
			continue
		}
		t := sp.dir.Load().table(r)
		return t.each(int(r>>groupShift)&(len(t.groups)-1), min(groups, len(t.groups)), func(b *block) bool { return take(b, uint32(db)) })
	}
	return true
}

// sampleShard takes all that is asked for of the first table that has some.
func (ks *Keyspace) sampleShard(shard uint64, volatileOnly bool, take func(*block, uint32) bool) bool {
	sh := &ks.shards[shard]
	for db := range sh.spaces {
		sp := sh.spaces[db].Load()
		if !sp.holds(volatileOnly) {
			continue
		}
		d := sp.dir.Load()
		for i := range d.tables {
			t := d.tables[i].Load()
			if volatileOnly && t.expires.Load() == 0 {
				continue
			}
			if !t.each(rand.IntN(len(t.groups)), len(t.groups), func(b *block) bool { return take(b, uint32(db)) }) {
				return false
			}
		}
	}
	return true
}
