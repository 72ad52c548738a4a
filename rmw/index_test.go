package rmw

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// A small keyspace for the stress test: a growing open-addressing table that
// readers walk without a lock while holders of latches change it.

const (
	tagEmpty   = 0
	tagDeleted = 1
	tagGroup   = 8
)

type block struct {
	key string
	val int64
	num atomic.Int64 // changed in place
	obj *list
}

type list struct {
	mu    sync.RWMutex
	items []int64
}

type indexTable struct {
	tags []atomic.Uint64
	ptrs []atomic.Pointer[block]
	mask uint64 // groups-1
}

type index struct {
	mu   sync.Mutex
	tab  atomic.Pointer[indexTable]
	used int // full and deleted
	live int
}

func newIndexTable(groups int) *indexTable {
	return &indexTable{make([]atomic.Uint64, groups), make([]atomic.Pointer[block], groups*tagGroup), uint64(groups - 1)}
}

func newIndex() *index {
	x := &index{}
	x.tab.Store(newIndexTable(1))
	return x
}

func hashOf(k string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(k) {
		h = (h ^ uint64(k[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func tagOf(h uint64) uint8 { return uint8(h>>48) | 2 }

// matchTag returns bit 7 of each byte of w that equals b, and perhaps of some
// above a true one.
func matchTag(w uint64, b uint8) uint64 {
	x := w ^ (0x0101010101010101 * uint64(b))
	return (x - 0x0101010101010101) &^ x & 0x8080808080808080
}

func (t *indexTable) find(h uint64, k string) (slot int, b *block) {
	tag := tagOf(h)
	for g, n := h>>8&t.mask, uint64(0); n <= t.mask; g, n = (g+1)&t.mask, n+1 {
		w := t.tags[g].Load()
		yields("")
		for m := matchTag(w, tag); m != 0; m &= m - 1 {
			i := int(g)*tagGroup + bits.TrailingZeros64(m)/8
			if b := t.ptrs[i].Load(); b != nil && b.key == k {
				return i, b
			}
		}
		if matchTag(w, tagEmpty) != 0 {
			break
		}
	}
	return -1, nil
}

func (x *index) get(h uint64, k string) *block { _, b := x.tab.Load().find(h, k); return b }

func (t *indexTable) setTag(i int, tag uint8) {
	g, shift := i/tagGroup, uint(i%tagGroup)*8
	w := t.tags[g].Load()
	t.tags[g].Store(w&^(0xff<<shift) | uint64(tag)<<shift)
}

func (t *indexTable) add(h uint64, b *block) (fresh bool) {
	for g := h >> 8 & t.mask; ; g = (g + 1) & t.mask {
		w := t.tags[g].Load()
		for j := range tagGroup {
			if tag := uint8(w >> (8 * j)); tag == tagEmpty || tag == tagDeleted {
				i := int(g)*tagGroup + j
				t.ptrs[i].Store(b) // the pointer first,
				yields("")
				t.setTag(i, tagOf(h)) // then the tag
				return tag == tagEmpty
			}
		}
	}
}

// put publishes b in the place of what is there; the key's latch is held.
func (x *index) put(h uint64, b *block) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tab.Load()
	if i, _ := t.find(h, b.key); i >= 0 {
		t.ptrs[i].Store(b)
		return
	}
	if (x.used+1)*8 > len(t.ptrs)*7 {
		t = x.grown(t)
		x.tab.Store(t)
	}
	if t.add(h, b) {
		x.used++
	}
	x.live++
}

func (x *index) grown(t *indexTable) *indexTable {
	n := len(t.tags)
	if x.live*2 > len(t.ptrs) {
		n *= 2
	}
	nt := newIndexTable(n)
	for i := range t.ptrs {
		if b := t.ptrs[i].Load(); b != nil {
			nt.add(hashOf(b.key), b)
		}
	}
	x.used = x.live
	return nt
}

func (x *index) del(h uint64, k string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tab.Load()
	i, _ := t.find(h, k)
	if i < 0 {
		return
	}
	t.setTag(i, tagDeleted) // the tag first,
	yields("")
	t.ptrs[i].Store(nil) // then the pointer
	x.live--
}
