package store

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A zmodel is a sorted set as a map.
type zmodel map[string]float64

type zpair struct {
	name  string
	score float64
}

func (m zmodel) sorted() []zpair {
	pairs := make([]zpair, 0, len(m))
	for name, score := range m {
		pairs = append(pairs, zpair{name, score})
	}
	slices.SortFunc(pairs, func(a, b zpair) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.name, b.name))
	})
	return pairs
}

func zpairs(z *ZSet, rank int, reverse bool) []zpair {
	pairs := []zpair{}
	z.Each(rank, reverse, func(e Elem, score float64) bool {
		pairs = append(pairs, zpair{e.String(), score})
		return true
	})
	return pairs
}

// checkZSet fails unless z holds what m does and all its parts agree.
func checkZSet(t require.TestingT, z *ZSet, m zmodel) {
	want := m.sorted()
	require.Equal(t, len(want), z.Len())
	requirePairs(t, want, zpairs(z, 0, false))
	back := zpairs(z, z.Len()-1, true)
	slices.Reverse(back)
	requirePairs(t, want, back)
	if z.large == nil {
		require.Equal(t, zsetOverhead+sizeClass(cap(z.compact.buf)), z.Bytes())
		return
	}
	size := zsetOverhead + zlargeOverhead
	for name := range m {
		size += sizeClass(zmemberBytes([]byte(name)))
	}
	tree, _ := checkZTree(t, z.large.tree.root, true)
	require.Equal(t, size+tree+checkZTable(t, &z.large.table), z.Bytes(), "the kept size is off")
}

// requirePairs is require.Equal without its price.
func requirePairs(t require.TestingT, want, have []zpair) {
	if !slices.Equal(want, have) {
		require.Equal(t, want, have)
	}
}

func checkZTree(t require.TestingT, n *znode, root bool) (size int64, height int) {
	size = n.bytes()
	if n.leaf() {
		require.True(t, root || len(n.elems) > 0, "an empty leaf")
		require.LessOrEqual(t, len(n.elems), zfan)
		return size, 1
	}
	require.Empty(t, n.elems)
	require.LessOrEqual(t, len(n.kids), zfan)
	require.GreaterOrEqual(t, len(n.kids), 2)
	for i := range n.kids {
		k := &n.kids[i]
		if k.node.size() != k.size || k.node.least() != k.least {
			require.Fail(t, "a node's parent does not know it")
		}
		s, h := checkZTree(t, k.node, false)
		require.True(t, i == 0 || h == height, "leaves of different depth")
		size, height = size+s, h
	}
	return size, height + 1
}

func checkZTable(t require.TestingT, tab *ztable) (size int64) {
	size = sizeClass(8 * len(tab.dir))
	require.Len(t, tab.dir, 1<<tab.depth)
	deep, n := 0, 0
	for i := 0; i < len(tab.dir); {
		b := tab.dir[i]
		width := 1 << (tab.depth - b.depth)
		for j := range width {
			require.True(t, tab.dir[i+j] == b, "a bucket must stand under all of its prefixes")
		}
		require.Equal(t, len(b.members), len(b.tags))
		for k, m := range b.members {
			h := hashMember(m.name())
			if b.tags[k] != byte(h) || tab.bucket(h) != b {
				require.Fail(t, "a member in a foreign bucket, or with a foreign tag", "%s", m.name())
			}
		}
		if b.depth == tab.depth {
			deep++
		}
		n += len(b.members)
		size += b.size()
		i += width
	}
	require.Equal(t, deep, tab.deep)
	require.Equal(t, n, tab.len)
	require.True(t, tab.depth == 0 || deep > 0, "the directory is deeper than its buckets")
	return size
}

// anyScore draws scores of which many are equal.
func anyScore() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-3, 3), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0.5, 1 << 53, -1 << 63, 1e300, 5e-324}),
		rapid.Float64Range(-10, 10),
	)
}

func anyMember(among int) *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, among), strconv.Itoa),
		rapid.Map(rapid.IntRange(0, among), func(n int) string { return fmt.Sprint("m", n) }),
		rapid.Map(rapid.IntRange(250, 260), func(n int) string { return string(bytes.Repeat([]byte("x"), n)) }),
		anyElem(),
	)
}

// TestZSetModel holds a sorted set against a map through everything that can be
// done to it, in both its forms, with enough members for several levels.
func TestZSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := ZSetLimits{uint32(rapid.SampledFrom([]int{0, 3, 128}).Draw(t, "members")), 64}
		among := rapid.SampledFrom([]int{5, 100, 20000}).Draw(t, "among")
		z, m, seq := NewZSet(limits), zmodel{}, 0
		rank := func() int { return rapid.IntRange(0, len(m)-1).Draw(t, "rank") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				checkZSet(t, z, m)
				fits := len(m) <= int(limits.Members)
				if z.large == nil {
					require.True(t, fits, "compact, but too large")
				}
			},
			"set": func(t *rapid.T) {
				name, score := anyMember(among).Draw(t, "name"), anyScore().Draw(t, "score")
				_, there := m[name]
				require.Equal(t, !there, z.Set([]byte(name), score))
				m[name] = score
			},
			"setMany": func(t *rapid.T) {
				r := rapid.IntRange(1, 3000).Draw(t, "n")
				step := rapid.SampledFrom([]float64{0, 1, -1, 0.25}).Draw(t, "step")
				for range r {
					seq++
					name := strconv.Itoa(seq * 7919 % (among + 1))
					m[name] = step * float64(seq)
					z.Set([]byte(name), m[name])
				}
			},
			"remove": func(t *rapid.T) {
				name := anyMember(among).Draw(t, "name")
				_, there := m[name]
				require.Equal(t, there, z.Remove([]byte(name)))
				delete(m, name)
			},
			"removeRange": func(t *rapid.T) {
				if len(m) == 0 {
					t.Skip()
				}
				from := rank()
				n := rapid.IntRange(0, len(m)-from).Draw(t, "n")
				for _, p := range m.sorted()[from : from+n] {
					delete(m, p.name)
				}
				z.RemoveRange(from, n)
			},
			"read": func(t *rapid.T) {
				name, score, incl := anyMember(among).Draw(t, "name"), anyScore().Draw(t, "score"), rapid.Bool().Draw(t, "inclusive")
				all := m.sorted()
				if len(m) > 0 && rapid.Bool().Draw(t, "there") {
					p := all[rank()]
					name, score = p.name, p.score
				}
				s, ok := z.Score([]byte(name))
				want, there := m[name]
				require.Equal(t, there, ok)
				require.Equal(t, want, s)
				at := slices.IndexFunc(all, func(p zpair) bool { return p.name == name })
				r, s, ok := z.Rank([]byte(name))
				require.Equal(t, there, ok)
				if ok {
					require.Equal(t, at, r)
					require.Equal(t, want, s)
				}
				require.Equal(t, countIf(all, func(p zpair) bool { return p.score < score || incl && p.score == score }),
					z.CountBelow(score, incl))
			},
			"each": func(t *rapid.T) {
				if len(m) == 0 {
					t.Skip()
				}
				from := rank()
				all := m.sorted()
				requirePairs(t, all[from:], zpairs(z, from, false))
				all = all[:from+1]
				slices.Reverse(all)
				requirePairs(t, all, zpairs(z, from, true))
			},
			"clone": func(t *rapid.T) {
				old := z
				z = z.Clone().(*ZSet)
				require.Equal(t, old.Encoding(), z.Encoding())
				old.Set([]byte("only in the old one"), 1)
				old.RemoveRange(0, old.Len())
			},
		})
	})
}

func countIf(all []zpair, fn func(zpair) bool) (n int) {
	for _, p := range all {
		if fn(p) {
			n++
		}
	}
	return n
}

// Names are counted in the order of their bytes, where all scores are equal.
func TestZSetCountBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z, m := NewZSet(DefaultZSetLimits), zmodel{}
		for _, name := range rapid.SliceOfN(anyMember(300), 0, 300).Draw(t, "names") {
			z.Set([]byte(name), 1)
			m[name] = 1
		}
		name, incl := anyMember(300).Draw(t, "name"), rapid.Bool().Draw(t, "inclusive")
		require.Equal(t, countIf(m.sorted(), func(p zpair) bool { return p.name < name || incl && p.name == name }),
			z.CountBefore([]byte(name), incl))
	})
}

// The form changes with the member that does not fit, and never back.
func TestZSetForms(t *testing.T) {
	z := NewZSet(ZSetLimits{2, 3})
	z.Set([]byte("a"), 1)
	z.Set([]byte("abc"), 2)
	z.Set([]byte("abc"), 3)
	require.Equal(t, "listpack", z.Encoding())
	z.Set([]byte("b"), 2)
	require.Equal(t, "skiplist", z.Encoding())
	require.Equal(t, "skiplist", z.Clone().Encoding())
	z.Remove([]byte("b"))
	require.Equal(t, "skiplist", z.Encoding())
	z = NewZSet(ZSetLimits{2, 3})
	z.Set([]byte("abcd"), 1)
	require.Equal(t, "skiplist", z.Encoding())
	z = NewZSet(ZSetLimits{2, 3})
	z.Set([]byte("abc"), 1)
	z.SetLimits(ZSetLimits{1, 1})
	z.Set([]byte("abc"), 2)
	require.Equal(t, "listpack", z.Encoding(), "what is there already does not change the form")
}

// A set that grows in order, from either end, has few nodes, and gives back what
// it took when it shrinks, also when all parts of it do so alike.
func TestZSetInOrder(t *testing.T) {
	const n = 100_000
	for _, step := range []float64{1, -1} {
		z := NewZSet(ZSetLimits{})
		for i := range n {
			z.Set(strconv.AppendInt(nil, int64(i), 10), step*float64(i))
		}
		_, height := checkZTree(t, z.large.tree.root, true)
		require.LessOrEqual(t, height, 4)
		require.Less(t, z.large.tree.bytes, int64(n*20), "nodes with room to spare")
		for i := range n {
			if i%4 != 0 {
				require.True(t, z.Remove(strconv.AppendInt(nil, int64(i), 10)))
			}
		}
		require.Less(t, z.large.tree.bytes, int64(n/4*36), "nodes with room to spare")
		require.Less(t, z.large.table.bytes, int64(n/4*24), "buckets with room to spare")
		z.RemoveRange(10, z.Len()-20)
		require.Less(t, z.Bytes(), int64(3000))
	}
}

// What is there from the first call to the last is passed, just once, while
// others come and go and the table grows and shrinks.
func TestZSetScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := NewZSet(ZSetLimits{})
		stays := map[string]int{}
		for i := range rapid.IntRange(1, 500).Draw(t, "stay") {
			name := fmt.Sprint("s", i)
			stays[name] = 0
			z.Set([]byte(name), float64(i))
		}
		others := 0
		count := rapid.IntRange(1, 100).Draw(t, "count")
		for cursor, calls := uint64(0), 0; ; calls++ {
			cursor = z.Scan(cursor, count, func(e Elem, score float64) {
				name := e.String()
				if _, ok := stays[name]; ok {
					stays[name]++
					require.Equal(t, name, fmt.Sprint("s", score))
				}
			})
			if cursor == 0 {
				break
			}
			if calls > 50 {
				continue
			}
			for range rapid.SampledFrom([]int{0, 10, 1000}).Draw(t, "come") {
				others++
				z.Set([]byte(fmt.Sprint("o", others)), 1)
			}
			for range rapid.SampledFrom([]int{0, 10, others}).Draw(t, "go") {
				if others > 0 {
					z.Remove([]byte(fmt.Sprint("o", others)))
					others--
				}
			}
		}
		for name, n := range stays {
			require.Equal(t, 1, n, name)
		}
	})
}

// A cursor that nobody has given out ends the scan.
func TestZSetScanForeignCursor(t *testing.T) {
	z := NewZSet(ZSetLimits{})
	for i := range 1000 {
		z.Set(strconv.AppendInt(nil, int64(i), 10), 1)
	}
	for _, cursor := range []uint64{1 << 32, math.MaxUint64, 1<<32 - 1, 1, 12345} {
		for calls := 0; ; calls++ {
			require.Less(t, calls, 1001)
			if cursor = z.Scan(cursor, 1, func(Elem, float64) {}); cursor == 0 {
				break
			}
		}
	}
}

// Members whose hashes are alike do not make the directory grow beyond measure.
func TestZTableAlikeHashes(t *testing.T) {
	var tab ztable
	tab.init()
	var names [][]byte
	for i := 0; len(names) < 200; i++ {
		name := strconv.AppendInt(nil, int64(i), 10)
		if hashMember(name)>>54 == 0 {
			names = append(names, name)
			tab.add(newZmember(name, 0))
		}
	}
	require.LessOrEqual(t, len(tab.dir), 2*len(names))
	checkZTable(t, &tab)
	for _, name := range names {
		require.NotNil(t, tab.find(name))
		tab.remove(name)
	}
	require.Len(t, tab.dir, 1)
	checkZTable(t, &tab)
}

// Reading and changing scores of a set that is there costs no allocation.
func TestZSetAllocatesNothing(t *testing.T) {
	for _, limits := range []ZSetLimits{{}, DefaultZSetLimits} {
		z := NewZSet(limits)
		var names [][]byte
		for i := range 100 {
			names = append(names, fmt.Appendf(nil, "member:%d", i))
			z.Set(names[i], float64(i))
		}
		i := 0
		sum := 0.0
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			i++
			z.Set(names[i%100], float64(i%100+i%3))
			z.Rank(names[i%100])
			z.CountBelow(50, true)
			z.CountBefore(names[i%100], true)
			z.Each(i%100, i%2 == 0, func(_ Elem, s float64) bool {
				sum += s
				return true
			})
		}))
	}
}

// A sorted set is accounted like everything else: made, edited, of another form
// and gone.
func TestZSetTx(t *testing.T) {
	ks := New(Options{})
	ks.SetZSetLimits(ZSetLimits{Members: 1, Value: 64})
	require.Equal(t, ZSetLimits{1, 64}, ks.ZSetLimits())
	var tx Tx
	key := []byte("z")
	refs := []Ref{{Key: key, Hash: ks.Hash(0, key)}}
	run := func(fn func()) {
		tx.Begin(ks, Claimed, 0, 1, refs)
		fn()
		tx.Publish()
		tx.End()
	}
	edit := func(create bool) (z *ZSet) {
		z, err := tx.EditZSet(key, create)
		require.NoError(t, err)
		return z
	}
	run(func() { tx.SetString(key, []byte("x"), NoExpiry) })
	run(func() { tx.Delete(key) })
	empty := ks.Bytes()
	run(func() { require.Nil(t, edit(false)) })
	run(func() { edit(true).Set([]byte("a"), 1) })
	small := ks.Bytes()
	require.Greater(t, small, empty)
	run(func() {
		z := edit(true)
		z.Set([]byte("b"), 1)
		require.Equal(t, "skiplist", z.Encoding())
	})
	require.Greater(t, ks.Bytes(), small)
	run(func() {
		_, err := tx.List(key)
		require.ErrorIs(t, err, ErrWrongType)
		z, err := tx.ZSet(key)
		require.NoError(t, err)
		require.Equal(t, 2, z.Len())
		fit := NewZSet(ZSetLimits{})
		fit.Set([]byte("a"), 1)
		tx.StoreZSet(key, fit)
		require.Equal(t, "listpack", fit.Encoding())
	})
	require.Equal(t, small, ks.Bytes())
	run(func() { edit(false).RemoveRange(0, 1) })
	require.Zero(t, ks.Len(0))
	require.Equal(t, empty, ks.Bytes())
}
