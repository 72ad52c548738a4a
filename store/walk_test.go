package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// churn lets keys come and go until the returned func is called: in waves, so
// that tables grow, split, shrink and merge.
func churn(ks *Keyspace, writers, keys int) (stop func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for !done.Load() {
				for i := 0; i < keys && !done.Load(); i++ {
					ks.testPut(fmt.Sprint("come", w, "-", i), "and go", int64(i%2))
				}
				for i := 0; i < keys && !done.Load(); i++ {
					ks.testDrop(fmt.Sprint("come", w, "-", i))
				}
			}
		})
	}
	return func() {
		done.Store(true)
		wg.Wait()
	}
}

// §12.20: keys that are never deleted are found by every reader while others
// come and go and make the index grow, shrink, split and merge.
func TestKeysThatStayAreAlwaysFound(t *testing.T) {
	ks := small(2, 4)
	const stay = 300
	for i := range stay {
		ks.testPut(fmt.Sprint("stay", i), "0", 0)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { // replaced, but never away
		for n := 0; !stop.Load(); n++ {
			ks.testPut(fmt.Sprint("stay", n%stay), fmt.Sprint(n), int64(n%3))
		}
	})
	end := churn(ks, 2, 1500)
	for range 60000 {
		k := fmt.Sprint("stay", rand.IntN(stay))
		if _, ok := ks.testGet(k); !ok {
			t.Fatalf("%s is not found", k)
		}
	}
	stop.Store(true)
	end()
	wg.Wait()
	checkSpaces(t, ks)
}

// A million keys come while readers look for those that are there.
func TestGrowthUnderReaders(t *testing.T) {
	n := 1 << 20
	if testing.Short() || raceEnabled {
		n = 1 << 17
	}
	ks := New(Options{Shards: 4})
	var there atomic.Int64
	ks.testPut("0", "v", 0)
	there.Store(1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			m := there.Load()
			if m == int64(n) {
				return
			}
			for range 100 {
				k := fmt.Sprint(rand.Int64N(m))
				if _, ok := ks.testGet(k); !ok {
					t.Errorf("%s is not found", k)
					return
				}
			}
		}
	})
	for i := 1; i < n; i++ {
		ks.testPut(fmt.Sprint(i), "v", 0)
		there.Store(int64(i + 1))
	}
	wg.Wait()
	require.Equal(t, n, checkSpaces(t, ks))
}

func scanAll(ks *Keyspace, count int, between func()) map[string]int {
	seen := map[string]int{}
	for cursor := uint64(0); ; {
		cursor = ks.Scan(0, cursor, count, testNow, func(e Entry) { seen[string(e.Key)]++ })
		if cursor == 0 {
			return seen
		}
		if cursor > math.MaxInt64 {
			panic("a cursor is negative to clients that take it as signed")
		}
		between()
	}
}

// What is there from the first call of SCAN to the last is returned, while
// tables grow and shrink between the calls.
func TestScanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ks := small(1<<rapid.IntRange(0, 2).Draw(t, "shards"), 1<<rapid.IntRange(0, 4).Draw(t, "groups"))
		stay := rapid.IntRange(0, 200).Draw(t, "stay")
		for i := range stay {
			ks.testPut(fmt.Sprint("stay", i), "v", 0)
		}
		there := rapid.IntRange(0, 800).Draw(t, "others")
		for i := range there {
			ks.testPut(fmt.Sprint(i), "v", 0)
		}
		calls := 0
		seen := scanAll(ks, rapid.IntRange(1, 40).Draw(t, "count"), func() {
			if calls++; calls > 40 {
				return // the waves must end, or the scan might not
			}
			n := rapid.IntRange(0, 800).Draw(t, "others")
			for ; there < n; there++ {
				ks.testPut(fmt.Sprint(there), "v", 0)
			}
			for ; there > n; there-- {
				ks.testDrop(fmt.Sprint(there - 1))
			}
		})
		for i := range stay {
			require.Contains(t, seen, fmt.Sprint("stay", i))
		}
	})
}

func TestScanOfAQuietDatabaseReturnsEachKeyOnce(t *testing.T) {
	for _, n := range []int{0, 1, 10, 5000} {
		ks := small(4, 4)
		for i := range n {
			ks.testPut(fmt.Sprint(i), "v", int64(i%7)*testNow)
		}
		ks.testPut("expired", "v", 1)
		calls := 1
		seen := scanAll(ks, 50, func() { calls++ })
		require.Len(t, seen, n)
		for k, times := range seen {
			require.Equal(t, 1, times, k)
		}
		require.LessOrEqual(t, calls, 1+n/40)
	}
}

func TestScanTakesAnyCursor(t *testing.T) {
	ks := small(4, 4)
	for i := range 500 {
		ks.testPut(fmt.Sprint(i), "v", 0)
	}
	for range 10000 {
		ks.Scan(0, rand.Uint64()>>rand.IntN(64), rand.IntN(5)-1, testNow, func(Entry) {})
	}
	require.Zero(t, ks.Scan(0, 0, math.MaxInt, testNow, func(Entry) {}))
}

func TestScanUnderConcurrentWriters(t *testing.T) {
	ks := small(2, 4)
	const stay = 400
	for i := range stay {
		ks.testPut(fmt.Sprint("stay", i), "v", 0)
	}
	end := churn(ks, 1, 2000)
	defer end()
	for range 20 {
		seen := scanAll(ks, 20, func() {})
		for i := range stay {
			require.Contains(t, seen, fmt.Sprint("stay", i))
		}
	}
}

func TestEachTellsEachKeyOnce(t *testing.T) {
	ks := small(2, 4)
	const stay = 400
	for i := range stay {
		ks.testPut(fmt.Sprint("stay", i), "v", 0)
	}
	end := churn(ks, 1, 2000)
	defer end()
	for range 50 {
		seen := map[string]int{}
		ks.Each(0, 0, func(e Entry) bool {
			seen[string(e.Key)]++
			return true
		})
		for i := range stay {
			require.Equal(t, 1, seen[fmt.Sprint("stay", i)])
		}
	}
	n := 0
	ks.Each(0, 0, func(Entry) bool { n++; return n < 10 })
	require.Equal(t, 10, n)
}

func TestEntries(t *testing.T) {
	ks := New(Options{})
	do(ks, testNow, func(tx *Tx) {
		tx.SetString([]byte("s"), []byte("text"), testNow+5)
		tx.SetInt([]byte("n"), -12)
		_, _ = tx.WriteRange([]byte("b"), 1000, []byte("x"))
		l, _ := tx.EditList([]byte("l"), true)
		l.PushBack([]byte("a"))
	})
	ks.Each(0, testNow, func(e Entry) bool {
		require.Positive(t, e.Size())
		v := string(e.String(nil))
		switch string(e.Key) {
		case "s":
			require.Equal(t, "text", v)
			require.Equal(t, testNow+5, e.ExpireAt)
			e.Object(func(o Object) { require.Nil(t, o) })
		case "n":
			require.Equal(t, "-12", v)
		case "b":
			require.Len(t, v, 1001)
			require.Equal(t, StringType, e.Type)
		case "l":
			require.Equal(t, ListType, e.Type)
			e.Object(func(o Object) { require.Equal(t, 1, o.Len()) })
		}
		return true
	})
}

func TestRandomKey(t *testing.T) {
	ks := small(4, 4)
	_, ok := ks.RandomKey(0, testNow)
	require.False(t, ok)
	const n = 50
	for i := range n {
		ks.testPut(fmt.Sprint(i), "v", 0)
		ks.testPut(fmt.Sprint("expired", i), "v", 1)
	}
	seen := map[string]int{}
	for range 100 * n {
		k, ok := ks.RandomKey(0, testNow)
		require.True(t, ok)
		seen[string(k)]++
	}
	require.Len(t, seen, n)
	for k, times := range seen {
		require.Greater(t, times, 10, k)
	}
	for i := range n - 1 {
		ks.testDrop(fmt.Sprint(i))
	}
	k, ok := ks.RandomKey(0, testNow)
	require.True(t, ok)
	require.Equal(t, "49", string(k), "the only one that has not expired")
	ks.testDrop("49")
	_, ok = ks.RandomKey(0, testNow)
	require.False(t, ok)
}

func (ks *Keyspace) testDue(now int64, limit int) (keys []string) {
	for i := range ks.shards {
		ks.ExpireDue(i, now, limit, func(r Ref) { keys = append(keys, string(r.Key)) })
	}
	return keys
}

func TestExpireDueFindsAll(t *testing.T) {
	ks := small(2, 4)
	for i := range 1000 {
		ks.testPut(fmt.Sprint(i), "v", int64(i))
		ks.testPut(fmt.Sprint("never", i), "v", 0)
	}
	require.Empty(t, ks.testDue(1, 100))
	gone := 0
	for now := int64(100); now <= 1100; now += 250 {
		for empty := 0; empty < 3; { // a call looks at some of the tables only
			due := ks.testDue(now, 16)
			for _, k := range due {
				require.True(t, ks.testDrop(k))
				gone++
			}
			if len(due) == 0 {
				empty++
			} else {
				require.LessOrEqual(t, len(due), 32)
				empty = 0
			}
		}
		require.EqualValues(t, min(now, 1000)-1, gone, "all that is due and nothing else")
	}
	require.Zero(t, ks.Expires(0))
	checkSpaces(t, ks)
}

// A cycle that finds nothing looks at no key: the bounds of the tables say that
// nothing is due.
func TestExpireDueKnowsWhenNothingIs(t *testing.T) {
	ks := small(1, 4)
	for i := range 500 {
		ks.testPut(fmt.Sprint(i), "v", 5000)
	}
	for ks.testDue(5001, 1000) != nil && ks.Expires(0) > 0 {
		ks.Each(0, 0, func(e Entry) bool { return ks.testDrop(string(e.Key)) && false })
		for _, k := range ks.testDue(5001, 1000) {
			ks.testDrop(k)
		}
	}
	ks.testPut("later", "v", 9000)
	for range 50 {
		require.Empty(t, ks.testDue(6000, 10))
	}
	d := ks.shards[0].space(0).dir.Load()
	for i := range d.tables {
		require.GreaterOrEqual(t, d.tables[i].Load().next.Load(), int64(9000), "a table still thinks it has something due")
	}
	// An earlier expiry set in place counts at once.
	h := ks.Hash(0, []byte("later"))
	ks.shard(h).setExpiry(0, h, ks.find(0, h, []byte("later")), 6500)
	require.Equal(t, []string{"later"}, ks.testDue(6501, 10))
}

func TestExpireDueTellsTheClientsDatabase(t *testing.T) {
	ks := New(Options{Shards: 1})
	do(ks, testNow, func(tx *Tx) { tx.SetString([]byte("k"), nil, testNow+1) })
	ks.Swap(0, 3)
	var refs []Ref
	ks.ExpireDue(0, testNow+2, 10, func(r Ref) { refs = append(refs, r) })
	require.Len(t, refs, 1)
	require.Equal(t, 3, refs[0].DB)
	require.Equal(t, ks.Hash(3, []byte("k")), refs[0].Hash)
}

func TestSample(t *testing.T) {
	ks := small(8, 8)
	sample := func(volatile bool, n int) (got []Candidate) {
		ks.Sample(volatile, n, testNow, func(c Candidate) { got = append(got, c) })
		return got
	}
	require.Empty(t, sample(false, 5))
	ks.testPut("lonely", "v", 0)
	require.NotEmpty(t, sample(false, 5), "the only key")
	require.Empty(t, sample(true, 5))
	for i := range 5000 {
		ks.testPut(fmt.Sprint(i), "v", 0)
	}
	ks.testPut("expired", "v", 1)
	require.Empty(t, sample(true, 5))
	ks.testPut("volatile", "v", testNow+5)
	got := sample(true, 5)
	require.NotEmpty(t, got, "the only one that may go")
	require.Equal(t, "volatile", string(got[0].Ref.Key))
	require.Equal(t, testNow+5, got[0].ExpireAt)
	seen := map[string]bool{}
	for range 5000 {
		got := sample(false, 5)
		require.Len(t, got, 5)
		for _, c := range got {
			seen[string(c.Ref.Key)] = true
			require.Equal(t, ks.Hash(0, c.Ref.Key), c.Ref.Hash)
		}
	}
	require.Greater(t, len(seen), 4000, "nearly every key has its chance")
}

func TestAccessClocks(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	peek := func(now int64) (info Info) {
		do(ks, now, func(tx *Tx) { info, _ = tx.Peek(k) })
		return info
	}
	do(ks, 10_000, func(tx *Tx) { tx.SetString(k, []byte("v"), NoExpiry) })
	require.EqualValues(t, 7, peek(17_500).Idle, "peeking is no access")
	do(ks, 18_000, func(tx *Tx) { tx.NoTouch = true; tx.Exists(k) })
	require.EqualValues(t, 9, peek(19_000).Idle)
	do(ks, 18_000, func(tx *Tx) { tx.Exists(k) })
	require.EqualValues(t, 1, peek(19_000).Idle)

	ks.SetAccess(true, 0, 1) // every use counts
	do(ks, 60_000, func(tx *Tx) { tx.Delete(k); tx.Publish(); tx.SetString(k, []byte("v"), NoExpiry) })
	require.Equal(t, lfuInit, peek(60_000).Freq)
	for range 10 {
		do(ks, 60_000, func(tx *Tx) { tx.Exists(k) })
	}
	require.Equal(t, lfuInit+10, peek(60_000).Freq)
	do(ks, 60_000, func(tx *Tx) { tx.SetString(k, []byte("other"), NoExpiry) })
	require.Equal(t, lfuInit+11, peek(60_000).Freq, "it outlives the value")
	require.Equal(t, lfuInit+11-4, peek(5*60_000).Freq, "one less for every minute")
	require.Equal(t, 0, peek(500*60_000).Freq)
	ks.SetAccess(true, 0, 0)
	require.Equal(t, lfuInit+11, peek(500*60_000).Freq, "never less")

	ks.SetAccess(true, 10, 0)
	for range 1000 {
		do(ks, 60_000, func(tx *Tx) { tx.Exists(k) })
	}
	require.InDelta(t, 24, peek(60_000).Freq, 12, "about the root of a fifth of the uses, plus 5")
}

func TestHitsAndMisses(t *testing.T) {
	ks := New(Options{})
	do(ks, testNow, func(tx *Tx) { tx.SetInt([]byte("k"), 1) })
	do(ks, testNow, func(tx *Tx) {
		tx.Peek([]byte("k"))
		require.Zero(t, tx.Hits+tx.Misses)
		tx.Exists([]byte("k"))
		tx.Exists([]byte("k"))
		tx.Exists([]byte("x"))
		require.Equal(t, [2]int{1, 1}, [2]int{tx.Hits, tx.Misses})
	})
}

func TestTouchChangesNothing(t *testing.T) {
	ks := small(2, 2)
	var hashes []uint64
	for i := range 200 {
		k := fmt.Sprint(i)
		if i%2 == 0 {
			ks.testPut(k, "v", 0)
		}
		hashes = append(hashes, ks.Hash(0, []byte(k)))
	}
	ks.Touch(0, hashes)
	ks.Touch(1, hashes)
	require.Equal(t, 100, checkSpaces(t, ks))
}

// Accounted memory is what the heap holds, to a few percent.
func TestSizeClasses(t *testing.T) {
	for _, n := range []int{1, 8, 9, 16, 17, 48, 49, 95, 96, 97, 513, 1025, 5000, 20000, 32767, 32768} {
		require.EqualValues(t, cap(append([]byte(nil), make([]byte, n)...)), sizeClass(n), "%d bytes", n)
	}
	require.Zero(t, sizeClass(0))
	require.EqualValues(t, 40960, sizeClass(32769))
}
