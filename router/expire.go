package router

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/store"
)

// expiry is the active cycle: it deletes what has expired and nobody asks for.
type expiry struct {
	r    *Router
	off  atomic.Bool
	mu   sync.Mutex // held by the one cycle that runs
	rem  *remover
	next int // shard that the next cycle begins with
	due  []store.Ref
}

const (
	expireBatch = 64 // keys taken from a shard at a time
	// A cycle that finds much to do goes on for at most this percentage of the
	// time between two cycles, and for more with active-expire-effort, as Redis'
	// slow cycle does.
	expirePercent, expireMore = 25, 2
)

func (e *expiry) init(r *Router) { e.r = r }

// SetActiveExpire switches the cycle on and off (DEBUG SET-ACTIVE-EXPIRE).
func (r *Router) SetActiveExpire(on bool) { r.expiry.off.Store(!on) }

// ExpireCycle deletes expired keys, for at most a part of the period.
func (r *Router) ExpireCycle(period time.Duration) (deleted int) {
	e := &r.expiry
	if e.off.Load() || r.roles.mode.Load()&(following|holding) != 0 || !e.mu.TryLock() {
		return 0
	}
	defer e.mu.Unlock()
	start := r.nano()
	defer func() {
		took := r.nano() - start
		r.counters.ExpiryTime.Add(took)
		r.late("expire-cycle", took)
	}()
	if e.rem == nil {
		e.rem = newRemover(r)
	}
	effort := r.cfg.Int(config.ActiveExpireEffort) - 1
	deadline := start + int64(period)*(expirePercent+expireMore*effort)/100
	pass := e.rem.s.pass
	for range r.ks.Shards() {
		shard := e.next
		e.next = (e.next + 1) % r.ks.Shards()
		for {
			pass.Enter()
			n, found := e.sweep(shard)
			pass.Leave()
			deleted += n
			if found < expireBatch || r.nano() > deadline {
				break
			}
		}
		if r.nano() > deadline {
			r.counters.ExpiryCapped.Add(1)
			break
		}
	}
	return deleted
}

// sweep deletes up to a batch of due keys of a shard, and due fields of hashes;
// the pass is held.
func (e *expiry) sweep(shard int) (deleted, found int) {
	now := e.r.now().UnixMilli()
	e.due = e.due[:0]
	e.r.ks.ExpireDue(shard, now, expireBatch, func(ref store.Ref) { e.due = append(e.due, ref) })
	for _, ref := range e.due {
		if e.off.Load() {
			break
		}
		if e.rem.remove(ref, now, command.NotifyExpired, "expired", func(tx *store.Tx) bool {
			_, alive := tx.ExpireAt(ref.Key)
			return !alive && !e.off.Load() // which may have come since the cycle began
		}) {
			deleted++
			e.r.counters.Expired.Add(1)
			continue
		}
		fields, more := e.rem.takeFields(ref, now)
		e.r.counters.ExpiredFields.Add(int64(fields))
		if more {
			found = expireBatch // go on here
		}
	}
	return deleted, max(found, len(e.due))
}
