package store

import (
	"unsafe"

	"github.com/ferricd/ferricd/internal/grace"
	"github.com/ferricd/ferricd/internal/invariants"
)

// Blocks are used again: who overwrites a value takes memory that another overwriting
// has left, and leaves some in turn. So neither is new memory touched for it, which the
// processor does not have at hand, nor has the collector to go through all keys every
// few hundred thousand writes.
//
// A block that was replaced or deleted goes to its shard's stale ones, with the number
// of the period in which that was. When its period is over it goes to a Tx that has just
// published one of the same size, and is filled by that Tx' next call. What is in the
// way of that, and is left to the collector:
//
//   - With a cut under way a block may lie with its walk. Nothing becomes stale then.
//   - With the gate closed nobody is in a section, and a call does several things, one
//     after the other: Alone, a Tx neither leaves nor takes.
//   - What Undo puts back is stale no more: until its call is over it cannot have gone
//     to anybody.
//   - Entries have pointers, and long strings are as well served by the collector.
const (
	recycleMost = 2 << 10  // bytes of a block
	staleBytes  = 64 << 10 // of a shard's stale blocks
	staleRoom   = 8        // of them, of one size, to begin with

	// staleSurplus are bytes of one size that are more than who writes that size needs.
	staleSurplus = staleBytes / 4
)

// recycleClass is the number of a size class that blocks are recycled in, by size in
// units of 8 bytes rounded up.
var recycleClass, recycleClasses = numberClasses()

func numberClasses() (number [recycleMost/8 + 1]uint8, n int) {
	last := int64(0)
	for i := 1; i < len(number); i++ {
		if size := sizeClass(8 * i); size != last {
			last = size
			n++
		}
		number[i] = uint8(n - 1)
	}
	return number, n
}

// maxRecycleClasses is more than recycleClasses, which only the runtime knows.
const maxRecycleClasses = 48

// stale are a shard's blocks that have left the index; its mutex guards them.
type stale struct {
	rings [maxRecycleClasses]staleRing[*block]
	bytes int64

	victim int // class that was made room of last
}

// A staleRing holds what was taken out, of one size, in the order in which that was.
type staleRing[T comparable] struct {
	at      []staleThing[T] // a power of two
	head, n uint32
}

type staleThing[T comparable] struct {
	of    T
	since uint64 // period
}

func (r *staleRing[T]) push(of T, since uint64) {
	if int(r.n) == len(r.at) {
		at := make([]staleThing[T], max(staleRoom, 2*len(r.at)))
		for i := range r.n {
			at[i] = r.at[(r.head+i)&uint32(len(r.at)-1)]
		}
		r.at, r.head = at, 0
	}
	r.at[(r.head+r.n)&uint32(len(r.at)-1)] = staleThing[T]{of, since}
	r.n++
}

// ripe tells whether the oldest is nobody's.
func (r *staleRing[T]) ripe(now uint64) bool {
	return r.n > 0 && r.at[r.head].since+grace.Over <= now
}

func (r *staleRing[T]) pop() T {
	s := &r.at[r.head]
	of := s.of
	*s = staleThing[T]{}
	r.head = (r.head + 1) & uint32(len(r.at)-1)
	r.n--
	return of
}

// remove takes out a thing, should it be there: one that came late.
func (r *staleRing[T]) remove(of T) (found bool) {
	mask := uint32(len(r.at) - 1)
	for i := r.n; i > 0; i-- {
		if r.at[(r.head+i-1)&mask].of != of {
			continue
		}
		for ; i < r.n; i++ {
			r.at[(r.head+i-1)&mask] = r.at[(r.head+i)&mask]
		}
		r.n--
		r.at[(r.head+r.n)&mask] = staleThing[T]{}
		return true
	}
	return false
}

// spares are blocks of which a Tx may make others, by class.
type spares struct {
	grace *grace.Periods
	of    [maxRecycleClasses]*block
}

// spares are those of the Tx, nil if it may not have any.
func (tx *Tx) spares() *spares {
	if tx.ks.grace == nil || tx.mode == Alone {
		return nil
	}
	tx.spare.grace = tx.ks.grace
	return &tx.spare
}

func (tx *Tx) newBlock(key []byte, v value, clock uint32) *block {
	return tx.spares().newBlock(key, v, clock)
}

// take returns memory for a block of size bytes, or nil. Its header is still that of
// the block it was.
func (sp *spares) take(size int) *block {
	if sp == nil || size > recycleMost {
		return nil
	}
	p := &sp.of[recycleClass[(size+7)/8]]
	b := *p
	if b != nil {
		*p = nil
		b.epoch = 0
		if invariants.Enabled { // whoever still looks at it is to notice
			body := unsafe.Slice((*byte)(b.at(headSize)), sizeClass(size)-headSize)
			for i := range body {
				body[i] = 0xee
			}
		}
	}
	return b
}

// retire keeps a block that nobody finds any more. The mutex is held.
func (sh *shard) retire(b *block, size int64, sp *spares) {
	if b.meta&kindMask == kindObject || size > recycleMost {
		return
	}
	st := sh.stale
	if st == nil {
		st = new(stale)
		sh.stale = st
	}
	sp.grace.Want() // now, not when one is missing: few are stale then, and still in the processor's cache
	k := int(recycleClass[size/8])
	if st.bytes+size > staleBytes && !st.makeRoom(k, size) {
		return
	}
	st.bytes += size
	st.rings[k].push(b, sp.grace.Now())
}

// makeRoom lets go blocks of other sizes than class k, which nobody may want any more.
func (st *stale) makeRoom(k int, size int64) bool {
	for empty := 0; st.bytes+size > staleBytes; empty++ {
		if empty == len(st.rings) {
			return false
		}
		st.victim = (st.victim + 1) % len(st.rings)
		if r := &st.rings[st.victim]; r.n > 0 && st.victim != k {
			st.bytes -= r.pop().size()
			empty = -1
		}
	}
	return true
}

// restore lets a block be stale no more, which is to be put back.
func (sh *shard) restore(b *block) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	size := b.size()
	if sh.stale == nil || size > recycleMost || b.meta&kindMask == kindObject {
		return
	}
	if sh.stale.rings[recycleClass[size/8]].remove(b) {
		sh.stale.bytes -= size
	}
}

// refill gets the Tx that has published b, of that size, a spare one like it. The mutex
// is held.
func (sh *shard) refill(sp *spares, b *block, size int64) {
	if sp == nil || sh.stale == nil || size > recycleMost || b.meta&kindMask == kindObject {
		return
	}
	k := recycleClass[size/8]
	if sp.of[k] != nil {
		return
	}
	r, now := &sh.stale.rings[k], sp.grace.Now()
	if !r.ripe(now) {
		// Of the next size there may be too many: a block in one a little too large, which
		// is forgotten, takes less than one more beside one that nobody needs.
		larger := sizeClass(int(size) + 1)
		r = &sh.stale.rings[k+1]
		if int64(r.n)*larger < staleSurplus || larger-size > size/4 || !r.ripe(now) {
			return
		}
		size = larger
	}
	sp.of[k] = r.pop()
	sh.stale.bytes -= size
}
