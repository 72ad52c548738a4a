package store

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// checkSpaces fails unless every table, counter and sum of ks is as the
// comments say, and returns the number of keys found.
func checkSpaces(t require.TestingT, ks *Keyspace) (keys int) {
	for i := range ks.shards {
		sh := &ks.shards[i]
		bytes := int64(0)
		for db := range sh.spaces {
			sp, known := sh.spaces[db].Load(), ks.dirs[db*len(ks.shards)+i].Load()
			if sp == nil {
				require.Nil(t, known, "look-ups find what was flushed")
			} else {
				require.Same(t, sp.dir.Load(), known, "look-ups go elsewhere")
				keys += checkSpace(t, ks, uint64(i), sp)
				bytes += sp.bytes
			}
		}
		require.Equal(t, bytes, sh.bytes.Load(), "memory of a shard")
	}
	return keys
}

func checkSpace(t require.TestingT, ks *Keyspace, shard uint64, sp *space) (keys int) {
	d := sp.dir.Load()
	require.Len(t, d.tables, 1<<d.depth)
	var expires, ttl, bytes int64
	var depths [maxDepth + 1]int32
	seen := map[string]bool{}
	for i := uint64(0); i < uint64(len(d.tables)); {
		tab := d.tables[i].Load()
		n := uint64(1) << (d.depth - tab.depth)
		require.Equal(t, tab.prefix>>(64-d.depth), i, "a table stands where its prefix says")
		for j := i; j < i+n; j++ {
			require.Same(t, tab, d.tables[j].Load())
		}
		i += n
		depths[tab.depth]++
		bytes += tab.memory()
		live := checkTable(t, ks.seed, tab, func(hash uint64, b *block) {
			require.Equal(t, shard, hash>>ks.shift, "key in the wrong shard")
			require.Same(t, tab, d.table(hash), "key in the wrong table")
			require.False(t, seen[string(b.key())], "%q twice", b.key())
			seen[string(b.key())] = true
			bytes += b.size()
			if collection(b.kind()) {
				require.LessOrEqual(t, len(b.key())+len(b.body()), ks.inline, "%q should have a holder", b.key())
				require.Positive(t, b.len(), "%q is empty", b.key())
			}
			if at := b.expireAt(); at != 0 {
				expires++
				ttl += ttlUnits(at)
			}
		})
		keys += live
	}
	require.Equal(t, depths, sp.depths)
	require.EqualValues(t, keys, sp.keys.Load())
	require.Equal(t, expires, sp.expires.Load())
	require.Equal(t, ttl, sp.ttl.Load())
	require.Equal(t, bytes, sp.bytes, "memory of a space")
	return keys
}

func checkTable(t require.TestingT, s seed, tab *table, fn func(hash uint64, b *block)) (live int) {
	passed := make([]uint64, len(tab.groups))
	expires := int64(0)
	for g := range tab.groups {
		w := tab.groups[g].word.Load()
		for i := range groupPlaces {
			b, tag := tab.groups[g].places[i].Load(), w>>(8*i)&0xff
			if b == nil {
				require.Zero(t, tag, "a tag without a block")
				continue
			}
			hash := s.hash(b.key())
			require.Equal(t, tagOf(hash), tag)
			for p := tab.home(hash); p != g; p = (p + 1) & (len(tab.groups) - 1) {
				passed[p]++
			}
			live++
			if at := b.expireAt(); at != 0 {
				expires++
				require.LessOrEqual(t, tab.next.Load(), at, "a key expires before its table knows")
			}
			fn(hash, b)
		}
	}
	for g := range passed {
		n := tab.groups[g].word.Load() >> 56
		require.True(t, n == passed[g] || n == passFull, "group %d: %d keys pass, not %d", g, passed[g], n)
	}
	require.Equal(t, live, tab.live)
	require.Equal(t, expires, tab.expires.Load())
	return live
}

// small returns a keyspace whose tables split at most groups, so that few keys
// make many tables.
// inHolders lets no collection be in a block.
func (ks *Keyspace) inHolders() *Keyspace {
	ks.inline = -1
	return ks
}

func small(shards, most int) *Keyspace {
	ks := New(Options{Shards: shards, Seed: [16]byte{7}})
	for i := range ks.shards {
		ks.shards[i].most = most
	}
	return ks
}

func strBlock(key, val string, at int64) *block {
	return newBlock([]byte(key), value{kind: kindStr, str: []byte(val), expireAt: at}, 0)
}

func (ks *Keyspace) testPut(key, val string, at int64) {
	h := ks.Hash(0, []byte(key))
	ks.shard(h).put(0, ks.seed, h, strBlock(key, val, at), nil)
}

func (ks *Keyspace) testDrop(key string) bool {
	h := ks.Hash(0, []byte(key))
	return ks.shard(h).drop(0, ks.seed, h, []byte(key), nil) != nil
}

func (ks *Keyspace) testGet(key string) (string, bool) {
	b := ks.find(0, ks.Hash(0, []byte(key)), []byte(key))
	if b == nil {
		return "", false
	}
	return string(b.str()), true
}

// The index against a map, with tables that split and merge all the time.
func TestIndexModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ks := small(1<<rapid.IntRange(0, 2).Draw(t, "shards"), 1<<rapid.IntRange(0, 3).Draw(t, "groups"))
		model := map[string]string{}
		key := func() string { return fmt.Sprint(rapid.IntRange(0, 600).Draw(t, "key")) }
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0, 1:
				from, n := rapid.IntRange(0, 600).Draw(t, "from"), rapid.IntRange(0, 300).Draw(t, "n")
				at := rapid.SampledFrom([]int64{0, 0, 5000, 7000}).Draw(t, "at")
				for i := from; i < from+n; i++ {
					k, v := fmt.Sprint(i), fmt.Sprint(i, at)
					ks.testPut(k, v, at)
					model[k] = v
				}
			case 2:
				from, n := rapid.IntRange(0, 600).Draw(t, "from"), rapid.IntRange(0, 900).Draw(t, "n")
				for i := from; i < from+n; i++ {
					k := fmt.Sprint(i)
					_, had := model[k]
					require.Equal(t, had, ks.testDrop(k))
					delete(model, k)
				}
			case 3:
				k := key()
				if b := ks.find(0, ks.Hash(0, []byte(k)), []byte(k)); b != nil && b.hasExpiry() {
					h := ks.Hash(0, []byte(k))
					ks.shard(h).setExpiry(0, h, b, rapid.Int64Range(0, 9000).Draw(t, "at"))
				}
			case 4:
				k := key()
				v, ok := ks.testGet(k)
				want, has := model[k]
				require.Equal(t, has, ok)
				require.Equal(t, want, v)
			case 5:
				if rapid.IntRange(0, 9).Draw(t, "flush") == 0 {
					ks.FlushDB(0)
					clear(model)
				}
			}
			require.Equal(t, len(model), checkSpaces(t, ks))
		}
		for k, v := range model {
			got, ok := ks.testGet(k)
			require.True(t, ok)
			require.Equal(t, v, got)
		}
		require.EqualValues(t, len(model), ks.Len(0))
	})
}

// A tag uses none of the bits that choose shard, table or group.
func TestTagBitsAreTheirOwn(t *testing.T) {
	for shards := 1; shards <= MaxShards; shards *= 2 {
		used := uint64(shards-1)<<(64-bits.TrailingZeros(uint(shards))) | uint64(maxGroups-1)<<groupShift
		if shards == 1 {
			used = uint64(maxGroups-1) << groupShift
		}
		require.Zero(t, used&(0x7f<<tagShift))
		require.Zero(t, used&0xff, "latch slots")
	}
	for h := uint64(0); h < 1<<16; h++ {
		require.NotZero(t, tagOf(h)&0x80, "an empty place has tag 0")
	}
}

// matches finds every equal tag; whatever else it finds is above a true one.
func TestMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, tag := rapid.Uint64().Draw(t, "word"), rapid.Uint64Range(0x80, 0xff).Draw(t, "tag")
		m := matches(w, tag)
		require.Zero(t, m&^tagBytes)
		found := false
		for i := range groupPlaces {
			bit := m>>(8*i+7)&1 == 1
			if w>>(8*i)&0xff == tag {
				require.True(t, bit)
				found = true
			} else if bit {
				require.True(t, found, "a false match below the first true one")
			}
		}
	})
}

// A deleted place is used again, and deleting leaves no trace that would make
// searches longer.
func TestDeletedPlacesAreReused(t *testing.T) {
	ks := small(1, 8)
	for i := range 40 {
		ks.testPut(fmt.Sprint(i), "v", 0)
	}
	sp := ks.shards[0].space(0)
	tab := sp.dir.Load().tables[0].Load()
	for i := range 10000 {
		require.True(t, ks.testDrop(fmt.Sprint(i)))
		ks.testPut(fmt.Sprint(i+40), "v", 0)
	}
	require.Same(t, tab, sp.dir.Load().tables[0].Load(), "coming and going has made the table grow")
	checkSpaces(t, ks)
}

// Replacing stores into the same place.
func TestReplaceKeepsThePlace(t *testing.T) {
	ks := small(1, 8)
	for i := range 40 {
		ks.testPut(fmt.Sprint(i), "v", 0)
	}
	key := []byte("17")
	h := ks.Hash(0, key)
	tab := ks.shards[0].space(0).dir.Load().table(h)
	g, i, _ := tab.where(h, key)
	ks.testPut("17", "a longer value than before", 9)
	g2, i2, b := tab.where(h, key)
	require.Equal(t, [2]int{g, i}, [2]int{g2, i2})
	require.Equal(t, "a longer value than before", string(b.str()))
	checkSpaces(t, ks)
}

// A table that is swapped out stays as it was: who has loaded it reads as of the
// swap.
func TestOldTablesAreNotWritten(t *testing.T) {
	ks := small(1, 2)
	for i := range 6 {
		ks.testPut(fmt.Sprint(i), "old", 0)
	}
	old := ks.shards[0].space(0).dir.Load().tables[0].Load()
	for i := range 500 {
		ks.testPut(fmt.Sprint(500-i), "new", 0)
	}
	ks.testDrop("3")
	for i := range 6 {
		k := []byte(fmt.Sprint(i))
		b := old.find(ks.Hash(0, k), k)
		require.NotNil(t, b)
		require.Equal(t, "old", string(b.str()))
	}
	checkSpaces(t, ks)
}

// Keys that agree in the directory bits stay in one table, which outgrows the
// common size, instead of making the directory huge.
func TestCollidingKeysGrowTheirTable(t *testing.T) {
	ks := small(1, 2)
	var keys []string
	for i := 0; len(keys) < 300; i++ {
		k := fmt.Sprint(i)
		if ks.Hash(0, []byte(k))>>52 == 0x5a5 {
			keys = append(keys, k)
			ks.testPut(k, k, 0)
		}
	}
	checkSpaces(t, ks)
	d := ks.shards[0].space(0).dir.Load()
	require.LessOrEqual(t, d.depth, uint8(8), "the directory has grown for keys that collide")
	for _, k := range keys {
		v, _ := ks.testGet(k)
		require.Equal(t, k, v)
	}
}

// A directory never has more bits than a cursor can hold.
func TestDirectoryIsBounded(t *testing.T) {
	require.LessOrEqual(t, bits.TrailingZeros(uint(MaxShards))+maxDepth, 64-posDropped)
}

// A database that has become small gives back nearly all it had.
func TestShrinkGivesSpaceBack(t *testing.T) {
	ks := small(2, 64)
	for i := range 20000 {
		ks.testPut(fmt.Sprint(i), "v", 0)
	}
	full := ks.Bytes()
	for i := 20; i < 20000; i++ {
		ks.testDrop(fmt.Sprint(i))
	}
	require.Equal(t, 20, checkSpaces(t, ks))
	require.Less(t, ks.Bytes(), full/50)
	for i := range 20 {
		_, ok := ks.testGet(fmt.Sprint(i))
		require.True(t, ok)
	}
}

func TestHashDependsOnSeedAndEveryByte(t *testing.T) {
	a, b := newSeed([16]byte{1}), newSeed([16]byte{2})
	for n := range 70 {
		key := make([]byte, n)
		h := a.hash(key)
		require.NotEqual(t, h, b.hash(key))
		require.NotEqual(t, h, a.hash(make([]byte, n+1)))
		for i := range key {
			key[i] ^= 0x10
			require.NotEqual(t, h, a.hash(key), "byte %d of %d", i, n)
			require.NotEqual(t, a.words(make([]byte, n)), a.words(key), "byte %d of %d is not mixed with the seed", i, n)
			key[i] ^= 0x10
		}
	}
}

// All parts of the hash are even: shards, directory, groups, tags and latches.
func TestHashIsEven(t *testing.T) {
	s := newSeed([16]byte{3})
	const n = 1 << 16
	for _, shift := range []int{0, 8, 16, 24, 40, 48, 56} {
		var count [256]int
		for i := range n {
			count[s.hash([]byte(fmt.Sprint("key:", i)))>>shift&255]++
		}
		for v, c := range count {
			require.InDelta(t, n/256, c, 110, "bits from %d: value %d", shift, v)
		}
	}
}

func FuzzBlock(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), int64(0), uint8(0))
	f.Add([]byte(""), []byte(""), int64(-1), uint8(2))
	f.Fuzz(func(t *testing.T, key, val []byte, at int64, kind uint8) {
		v := value{kind: int(kind % 3), str: val, expireAt: at}
		if v.kind == kindInt {
			v.str, v.num = nil, at^int64(len(val))
		}
		b := newBlock(key, v, 77)
		require.Equal(t, string(key), string(b.key()))
		require.Equal(t, string(v.str), string(b.str()))
		require.Equal(t, at, b.expireAt())
		require.Equal(t, v.kind, b.kind())
		require.EqualValues(t, 77, b.clock.Load())
		if v.kind == kindInt {
			require.Equal(t, v.num, b.num().Load())
		}
	})
}
