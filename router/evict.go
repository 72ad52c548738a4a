package router

import (
	"bytes"
	"sync"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/store"
)

// evictor makes room when maxmemory is reached. It runs at admission, in the
// goroutine of the client that wants room, one at a time.
type evictor struct {
	r    *Router
	mu   sync.Mutex // guards the fields below
	rem  *remover
	pool []store.Candidate
}

const (
	// Keys deleted per admission at most: one client does not pay for all.
	evictPerCall = 64
	// Rounds of sampling without a deletion after which there is nothing to evict.
	evictTries = 16
)

func (e *evictor) init(r *Router) { e.r = r }

// Used is the memory that counts against maxmemory.
func (r *Router) Used() int64 { return r.ks.Bytes() }

// admitMemory evicts if need be, and refuses what grows when that is not enough.
func (s *session) admitMemory(spec *command.Spec, limit int64) error {
	grows := spec.Has(command.DenyOOM) || spec.Name == "EXEC" && s.multi.grows()
	if s.r.Used() <= limit || spec.Flags&command.Write == 0 && !grows {
		return nil
	}
	s.pass.Leave() // others may be evicting, and they need a token themselves
	start := s.r.nano()
	made := s.r.evictor.run(limit)
	s.r.late("eviction-cycle", s.r.nano()-start)
	s.pass.Enter()
	if grows && !made {
		return command.ErrOOM
	}
	return nil
}

// policy is a maxmemory-policy taken apart.
type policy struct {
	volatile, lfu, lru, ttl, random bool
}

var policies = map[int64]policy{
	config.VolatileLRU:    {volatile: true, lru: true},
	config.VolatileLFU:    {volatile: true, lfu: true},
	config.VolatileRandom: {volatile: true, random: true},
	config.VolatileTTL:    {volatile: true, ttl: true},
	config.AllKeysLRU:     {lru: true},
	config.AllKeysLFU:     {lfu: true},
	config.AllKeysRandom:  {random: true},
}

// run evicts until the limit holds, nothing is left, or its share is done. It
// returns false if room was wanted and none could be made: that others have
// taken what it made meanwhile is no reason to refuse its client.
func (e *evictor) run(limit int64) (made bool) {
	p, ok := policies[e.r.cfg.Int(config.MaxMemoryPolicy)]
	if !ok {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rem == nil {
		e.rem = newRemover(e.r)
	}
	pass := e.rem.s.pass
	pass.Enter()
	defer pass.Leave()
	now := e.r.now().UnixMilli()
	for done, misses := 0, 0; e.r.Used() > limit && done < evictPerCall; {
		best, ok := e.pick(p, now)
		if ok && e.rem.remove(best.Ref, now, command.NotifyEvicted, "evicted", func(tx *store.Tx) bool {
			return tx.Exists(best.Ref.Key)
		}) {
			done++
			misses = 0
			e.r.counters.Evicted.Add(1)
			continue
		}
		if misses++; misses == evictTries {
			return done > 0
		}
	}
	return true
}

// pick samples the keyspace and returns what the policy would miss least. The
// best of earlier samples stay in a pool, as in Redis.
func (e *evictor) pick(p policy, now int64) (store.Candidate, bool) {
	const poolSize = 16
	n := int(e.r.cfg.Int(config.MaxMemorySamples))
	e.r.ks.Sample(p.volatile, n, now, func(c store.Candidate) {
		for _, x := range e.pool {
			if x.Ref.Hash == c.Ref.Hash {
				return
			}
		}
		c.Ref.Key = bytes.Clone(c.Ref.Key) // the pool outlives the pass
		e.pool = append(e.pool, c)
	})
	if len(e.pool) == 0 {
		return store.Candidate{}, false
	}
	best := 0
	for i := range e.pool {
		if better(p, &e.pool[i], &e.pool[best]) {
			best = i
		}
	}
	c := e.pool[best]
	e.pool = append(e.pool[:best], e.pool[best+1:]...)
	if p.random {
		e.pool = e.pool[:0]
	} else if len(e.pool) > poolSize {
		e.pool = append(e.pool[:0], e.pool[len(e.pool)-poolSize:]...)
	}
	return c, true
}

// better tells whether a should go before b.
func better(p policy, a, b *store.Candidate) bool {
	switch {
	case p.lru:
		return a.Idle > b.Idle
	case p.lfu:
		return a.Freq < b.Freq
	case p.ttl:
		return a.ExpireAt < b.ExpireAt
	}
	return false
}
