package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/grace"
)

// recycling returns a keyspace of one shard whose blocks are used again.
func recycling() *Keyspace {
	return New(Options{Shards: 1, Grace: grace.New(1), Seed: [16]byte{7}})
}

// inSection is a call on key as a router makes it.
func (ks *Keyspace) inSection(tx *Tx, m Mode, key string, fn func(key []byte)) {
	section := ks.grace.Begin(0)
	defer section.End()
	fn(begin(ks, tx, m, key)[0])
	tx.Publish()
	tx.End()
}

func TestClassesAreNumbered(t *testing.T) {
	require.Less(t, recycleClasses, maxRecycleClasses)
	for size := 1; size <= recycleMost; size++ {
		k := recycleClass[(size+7)/8]
		require.Equal(t, recycleClass[sizeClass(size)/8], k, "%d", size)
		if size > 8 && sizeClass(size) != sizeClass(size-8) {
			require.Equal(t, recycleClass[(size-1)/8]+1, k, "%d", size)
		}
	}
}

func TestOverwritingUsesBlocksAgain(t *testing.T) {
	ks := recycling()
	var tx Tx
	seen := map[*block]int{}
	for i := range 1000 {
		val := bytes.Repeat([]byte{byte(i)}, 60+i%4)
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, val, NoExpiry) })
		require.Equal(t, val, ks.block("key").str())
		seen[ks.block("key")]++
	}
	require.LessOrEqual(t, len(seen), grace.Over+4)
	checkSpaces(t, ks)

	set := func(mode Mode) float64 {
		return testing.AllocsPerRun(100, func() {
			ks.inSection(&tx, mode, "key", func(key []byte) { tx.SetString(key, []byte("value"), NoExpiry) })
		})
	}
	require.Equal(t, set(Alone)-1, set(Claimed), "a block less")
}

// Deleted blocks are for new keys of that size.
func TestDeletingLeavesBlocksToNewKeys(t *testing.T) {
	ks := recycling()
	var tx Tx
	old := map[*block]bool{}
	for i := range 40 {
		key := fmt.Sprintf("key:%03d", i)
		ks.inSection(&tx, Claimed, key, func(key []byte) { tx.SetString(key, []byte("some value of it"), NoExpiry) })
		old[ks.block(key)] = true
	}
	for i := range 40 {
		ks.inSection(&tx, Claimed, fmt.Sprintf("key:%03d", i), func(key []byte) { tx.Delete(key) })
	}
	again := 0
	for i := range 40 {
		key := fmt.Sprintf("new:%03d", i)
		ks.inSection(&tx, Claimed, key, func(key []byte) { tx.SetString(key, []byte("another value of"), NoExpiry) })
		if old[ks.block(key)] {
			again++
		}
	}
	require.Greater(t, again, 30)
	checkSpaces(t, ks)
}

// Within one section nothing that it has replaced comes back to it.
func TestABlockIsNotUsedAgainWhileItIsLookedAt(t *testing.T) {
	ks := recycling()
	var tx Tx
	for range 20 {
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, []byte("the value before"), NoExpiry) })
	}
	reader := ks.grace.Begin(0)
	b := ks.block("key")
	for range 100 {
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, []byte("the value behind"), NoExpiry) })
		require.NotSame(t, b, ks.block("key"))
		require.Equal(t, "the value before", string(b.str()))
	}
	reader.End()
}

func TestWhatIsNotUsedAgain(t *testing.T) {
	set := func(ks *Keyspace, m Mode, val string) {
		var tx Tx
		ks.inSection(&tx, m, "key", func(key []byte) { tx.SetString(key, []byte(val), NoExpiry) })
	}
	for name, use := range map[string]func(ks *Keyspace){
		"alone": func(ks *Keyspace) { set(ks, Alone, "value") },
		"long":  func(ks *Keyspace) { set(ks, Claimed, string(make([]byte, recycleMost))) },
		"entries": func(ks *Keyspace) {
			var tx Tx
			ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.NewObject(key, NewBuffer([]byte("x")), NoExpiry) })
		},
	} {
		ks := recycling()
		for range 20 {
			use(ks)
		}
		if ks.shards[0].stale != nil {
			require.Zero(t, ks.shards[0].stale.bytes, name)
		}
	}
}

// What lies with the walk of a cut is left alone.
func TestNothingIsUsedAgainDuringACut(t *testing.T) {
	ks := recycling()
	var tx Tx
	set := func(i int, val string) {
		ks.inSection(&tx, Claimed, fmt.Sprintf("key:%03d", i), func(key []byte) { tx.SetString(key, []byte(val), NoExpiry) })
	}
	for i := range 100 {
		set(i, "the value before")
	}
	told := 0
	cut, err := ks.BeginCut(func(*CutKey) {})
	require.NoError(t, err)
	for done := false; !done; {
		done, err = cut.Next(func(k *CutKey) bool {
			require.Equal(t, "the value before", string(k.block.str()))
			told++
			for i := range 100 {
				set(i, "the value behind")
			}
			return true
		})
		require.NoError(t, err)
	}
	require.Equal(t, 100, told)
	require.Nil(t, ks.shards[0].stale)
}

// A shard's stale blocks are bounded, whatever becomes of their sections.
func TestStaleBlocksAreBounded(t *testing.T) {
	ks := recycling()
	var tx Tx
	section := ks.grace.Begin(0)
	for i := range 2000 {
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, make([]byte, 100+i%900), NoExpiry) })
	}
	section.End()
	require.LessOrEqual(t, ks.shards[0].stale.bytes, int64(staleBytes))
	require.Greater(t, ks.shards[0].stale.bytes, int64(staleBytes-recycleMost))
	sum := int64(0)
	for k := range ks.shards[0].stale.rings {
		for r := &ks.shards[0].stale.rings[k]; r.n > 0; {
			sum += r.pop().size()
		}
	}
	require.Equal(t, sum, ks.shards[0].stale.bytes)
}

// A shard whose stale blocks are of sizes that nobody writes any more goes on with
// others.
func TestStaleBlocksOfAnotherSizeGiveWay(t *testing.T) {
	ks := recycling()
	var tx Tx
	set := func(i, size int) {
		ks.inSection(&tx, Claimed, fmt.Sprintf("key:%03d", i), func(key []byte) { tx.SetString(key, make([]byte, size), NoExpiry) })
	}
	for i := range 1000 {
		set(i, 100)
	}
	for i := range 1000 {
		set(i, 200)
	}
	require.Greater(t, ks.shards[0].stale.bytes, int64(staleBytes-recycleMost))
	seen := map[*block]bool{}
	again := 0
	for range 1000 {
		set(0, 400)
		if b := ks.block("key:000"); seen[b] {
			again++
		} else {
			seen[b] = true
		}
	}
	require.Greater(t, again, 900)
	require.LessOrEqual(t, ks.shards[0].stale.bytes, int64(staleBytes))
}

// What is too much of one size serves the next smaller one, if that is not much smaller.
func TestASurplusServesSmallerBlocks(t *testing.T) {
	for _, c := range []struct {
		first, then int // bytes of values; key and header take 23
		again       bool
	}{{70, 50, true}, {38, 20, false}, {200, 50, false}, {50, 70, false}} {
		ks := recycling()
		var tx Tx
		set := func(i, size int) *block {
			key := fmt.Sprintf("key:%03d", i)
			ks.inSection(&tx, Claimed, key, func(key []byte) { tx.SetString(key, bytes.Repeat([]byte("v"), size), NoExpiry) })
			return ks.block(key)
		}
		old := map[*block]bool{}
		for i := range 400 {
			old[set(i, c.first)] = true
		}
		again := 0
		for i := range 400 {
			if old[set(i, c.then)] {
				again++
			}
		}
		require.Equal(t, c.again, again > 50, "%d bytes, then %d: %d", c.first, c.then, again)
		for i := range 400 {
			require.Equal(t, bytes.Repeat([]byte("w"), c.first), bytes.ReplaceAll(set(i, c.first).str(), []byte("v"), []byte("w")))
		}
		checkSpaces(t, ks)
	}
}

// What was undone is as it was, and stays.
// A long section leaves a shard with as many stale blocks as it may have, all of one
// period: that is over some calls after the section is.
func TestAFullShardGoesOn(t *testing.T) {
	ks := recycling()
	var tx Tx
	set := func() *block {
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, make([]byte, 900), NoExpiry) })
		return ks.block("key")
	}
	reader := ks.grace.Begin(0)
	for range 4 * staleBytes / 900 {
		set()
	}
	reader.End()
	seen := map[*block]bool{}
	for range 1000 {
		seen[set()] = true
	}
	require.Less(t, len(seen), 200)
}

func TestUndoKeepsBlocks(t *testing.T) {
	ks := recycling()
	var tx Tx
	for i := range 200 {
		val := fmt.Appendf(nil, "a value of number %03d", i)
		ks.inSection(&tx, Claimed, "key", func(key []byte) { tx.SetString(key, val, NoExpiry) })
		b := ks.block("key")
		section := ks.grace.Begin(0)
		key := begin(ks, &tx, Claimed, "key")[0]
		for range i % 4 {
			tx.SetString(key, []byte("something else, to be undone"), NoExpiry)
			tx.Publish()
		}
		tx.Undo()
		tx.End()
		section.End()
		require.Same(t, b, ks.block("key"))
		for range 10 {
			ks.inSection(&tx, Claimed, "other", func(key []byte) { tx.SetString(key, val, NoExpiry) })
		}
		require.Equal(t, val, ks.block("key").str())
	}
	checkSpaces(t, ks)
}

// Readers without a latch see one value or another, never what is between.
func TestReadersBesideRecycling(t *testing.T) {
	ks := New(Options{Shards: 2, Grace: grace.New(2), Seed: [16]byte{7}})
	const names = 8
	name := func(i int) string { return fmt.Sprintf("key:%d", i) }
	var latches [names]sync.Mutex
	var over atomic.Bool
	var reads, writes atomic.Int64
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			var tx Tx
			r := rand.New(rand.NewPCG(uint64(w), 5))
			for !over.Load() {
				i := r.IntN(names)
				section := ks.grace.Begin(w)
				latches[i].Lock()
				key := begin(ks, &tx, Claimed, name(i))[0]
				if r.IntN(10) == 0 {
					tx.Delete(key)
				} else {
					tx.SetString(key, bytes.Repeat([]byte{byte('a' + r.IntN(26))}, 20+r.IntN(100)), NoExpiry)
				}
				tx.Publish()
				if r.IntN(10) == 0 {
					tx.Undo()
				}
				tx.End()
				latches[i].Unlock()
				section.End()
				writes.Add(1)
			}
		})
	}
	for w := range 2 {
		wg.Go(func() {
			var tx Tx
			r := rand.New(rand.NewPCG(uint64(w), 6))
			for !over.Load() {
				section := ks.grace.Begin(w)
				k := name(r.IntN(names))
				tx.BeginRead(ks, 0, testNow, []Ref{ks.ref(k, 0)})
				val, ok, err := tx.String([]byte(k))
				if r.IntN(500) == 0 {
					runtime.Gosched()
				}
				if err != nil || ok && (len(val) < 20 || len(bytes.Trim(val, string(val[:1]))) > 0) {
					t.Errorf("%s: %q, %v", k, val, err)
					over.Store(true)
				}
				tx.EndRead()
				section.End()
				if reads.Add(1) > 20000 && writes.Load() > 20000 && ks.grace.Now() > 20 {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
	checkSpaces(t, ks)
}
