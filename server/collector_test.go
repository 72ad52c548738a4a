package server

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

const mb = 1 << 20

func TestCollectionFollowsTheHeap(t *testing.T) {
	for _, c := range []struct {
		name             string
		group, maxmemory int64
		heap             heap
		want             collection
	}{
		{"empty", 0, 0, heap{}, collection{gcPercent, math.MaxInt64, byNobody}},
		{"small heaps may waste", 0, 0, heap{live: 4 * mb}, collection{mostPercent, math.MaxInt64, byNobody}},
		{"less so the larger they are", 0, 0, heap{live: 16 * mb}, collection{200, math.MaxInt64, byNobody}},
		{"large ones not", 0, 0, heap{live: 1 << 40}, collection{gcPercent, math.MaxInt64, byNobody}},
		{"control group", 1000 * mb, 0, heap{live: 1 << 40}, collection{gcPercent, 900 * mb, byGroup}},
		{"a large one keeps a fixed reserve", 64 << 30, 0, heap{live: 1 << 40}, collection{gcPercent, 63 << 30, byGroup}},
		{"maxmemory, with room", 0, 400 * mb, heap{live: 100 * mb, other: 10 * mb}, collection{gcPercent, 574 * mb, byMax}},
		{"more is alive than maxmemory", 0, 400 * mb, heap{live: 800 * mb, other: 10 * mb}, collection{gcPercent, 1074 * mb, byMax}},
		{"the lesser of both", 500 * mb, 400 * mb, heap{live: 100 * mb}, collection{gcPercent, 450 * mb, byGroup}},
		{"likewise", 5000 * mb, 400 * mb, heap{live: 100 * mb}, collection{gcPercent, 564 * mb, byMax}},
		{"no limit at all", 0, math.MaxInt64, heap{live: 1 << 40}, collection{gcPercent, math.MaxInt64, byNobody}},
	} {
		require.Equal(t, c.want, (&collector{group: c.group}).decide(c.heap, c.maxmemory), c.name)
	}
}

// Whatever is alive, a limit that we set for maxmemory's sake leaves room for garbage: the
// collector ends, and the next collection is not due at once.
func TestMaxMemoryLeavesTheCollectorRoom(t *testing.T) {
	for live := int64(mb); live < 1<<40; live *= 2 {
		for maxmemory := int64(1); maxmemory < 1<<40; maxmemory *= 4 {
			h := heap{live: live, other: live / 10}
			to := new(collector).decide(h, maxmemory)
			require.GreaterOrEqual(t, to.limit, h.live+h.other+h.live/roomShare, "%d alive, maxmemory %d", live, maxmemory)
			require.GreaterOrEqual(t, to.limit, maxmemory+maxmemory/roomShare, "%d alive, maxmemory %d", live, maxmemory)
		}
	}
}
