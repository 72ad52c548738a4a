package store

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/ferricd/ferricd/internal/grace"
)

// Groups of tables that have grown, split or shrunk are used again, too: else an index
// of many keys would leave as much to the collector as it is large. They are in a ring
// by the logarithm of their number, from mostStaleGroups on none.
type staleGroups struct {
	grace *grace.Periods
	mu    sync.Mutex // guards rings; held for less than a shard's, within it
	rings [staleSizes]staleRing[*group]
	n     int // groups
}

const (
	staleSizes      = 10 // up to maxGroups
	mostStaleGroups = 32 * maxGroups
)

// newTable returns a table with so many groups, old ones if there are.
func (sh *shard) newTable(groups int, prefix uint64, depth uint8) *table {
	if g := sh.groups.take(groups); g != nil {
		t := &table{groups: g, prefix: prefix, depth: depth}
		t.next.Store(never)
		return t
	}
	return newTable(groups, prefix, depth)
}

// take returns so many empty groups, or nil.
func (s *staleGroups) take(n int) []group {
	k := bits.TrailingZeros(uint(n))
	if s == nil || k >= staleSizes {
		return nil
	}
	s.mu.Lock()
	r := &s.rings[k]
	if !r.ripe(s.grace.Now()) {
		s.mu.Unlock()
		return nil
	}
	first := r.pop()
	s.n -= n
	s.mu.Unlock()
	groups := unsafe.Slice(first, n)
	clear(groups)
	return groups
}

// leave keeps the groups of a table that no directory points to.
func (s *staleGroups) leave(t *table) {
	n := len(t.groups)
	k := bits.TrailingZeros(uint(n))
	if s == nil || k >= staleSizes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n+n > mostStaleGroups {
		return
	}
	s.n += n
	s.rings[k].push(&t.groups[0], s.grace.Now())
	s.grace.Want()
}
