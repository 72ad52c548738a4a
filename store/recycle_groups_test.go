package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/grace"
)

// What splits and doublings leave is what the next ones take.
func TestGroupsAreUsedAgain(t *testing.T) {
	ks := recycling()
	var tx Tx
	seen := map[*group]bool{}
	again := 0
	last := map[*table]bool{}
	for i := range 40000 {
		ks.inSection(&tx, Claimed, fmt.Sprintf("key:%d", i), func(key []byte) { tx.SetString(key, []byte("v"), NoExpiry) })
		if i%50 != 0 {
			continue
		}
		now := map[*table]bool{}
		for i := range ks.shards[0].space(0).dir.Load().tables {
			tab := ks.shards[0].space(0).dir.Load().tables[i].Load()
			if now[tab] = true; !last[tab] && seen[&tab.groups[0]] {
				again++
			}
			seen[&tab.groups[0]] = true
		}
		last = now
	}
	checkSpaces(t, ks)
	require.GreaterOrEqual(t, again, 5)

	for i := range 40000 {
		ks.inSection(&tx, Claimed, fmt.Sprintf("key:%d", i), func(key []byte) { tx.Delete(key) })
	}
	require.Zero(t, checkSpaces(t, ks))
	require.LessOrEqual(t, ks.shards[0].groups.n, mostStaleGroups)
	n := 0
	for k := range ks.shards[0].groups.rings {
		n += int(ks.shards[0].groups.rings[k].n) << k
	}
	require.Equal(t, n, ks.shards[0].groups.n)
}

// A reader that has begun at a table finds there what was there then, though it was
// split long ago. Keys that stay are found at every moment.
func TestReadersBesideSplits(t *testing.T) {
	ks := New(Options{Shards: 1, Grace: grace.New(2), Seed: [16]byte{7}})
	for i := range ks.shards {
		ks.shards[i].most = 2
	}
	const stay = 20
	var tx Tx
	name := func(i int) string { return fmt.Sprintf("key:%d", i) }
	for i := range stay {
		ks.inSection(&tx, Claimed, name(i), func(key []byte) { tx.SetString(key, key, NoExpiry) })
	}
	var over atomic.Bool
	var found atomic.Int64
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			var tx Tx
			for i := 0; !over.Load(); i = (i + 1) % stay {
				section := ks.grace.Begin(w)
				tx.BeginRead(ks, 0, testNow, []Ref{ks.ref(name(i), 0)})
				val, _, _ := tx.String([]byte(name(i)))
				if string(val) != name(i) {
					t.Errorf("%s: %q", name(i), val)
					over.Store(true)
				}
				tx.EndRead()
				section.End()
				section = ks.grace.Begin(w)
				ks.Touch(0, []uint64{ks.Hash(0, []byte(name(i)))})
				section.End()
				found.Add(1)
			}
		})
	}
	for round := 0; !over.Load() && (round < 5 || found.Load() < 1000); round++ {
		for i := range 1000 {
			ks.inSection(&tx, Claimed, name(stay+i), func(key []byte) { tx.SetString(key, []byte("v"), NoExpiry) })
		}
		for i := range 1000 {
			ks.inSection(&tx, Claimed, name(stay+i), func(key []byte) { tx.Delete(key) })
		}
	}
	over.Store(true)
	wg.Wait()
	require.Equal(t, stay, checkSpaces(t, ks))
}
