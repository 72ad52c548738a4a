package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A tape is a Contents that notes what it is told.
type tape []string

func (t *tape) add(format string, args ...any) { *t = append(*t, fmt.Sprintf(format, args...)) }

func (t *tape) String(v []byte)                { t.add("string %q", v) }
func (t *tape) List(n int)                     { t.add("list %d", n) }
func (t *tape) Element(v []byte)               { t.add("%q", v) }
func (t *tape) Set(n int)                      { t.add("set %d", n) }
func (t *tape) Member(v []byte)                { t.add("%q", v) }
func (t *tape) ZSet(n int)                     { t.add("zset %d", n) }
func (t *tape) Scored(v []byte, score float64) { t.add("%q %v", v, score) }
func (t *tape) Hash(n int, times bool)         { t.add("hash %d %v", n, times) }
func (t *tape) Field(name, v []byte, at int64) { t.add("%q %q %d", name, v, at) }
func (t *tape) Stream(n int)                   { t.add("stream %d", n) }
func (t *tape) Entry(id StreamID, v [][]byte)  { t.add("%v %q", id, v) }
func (t *tape) State(s StreamState)            { t.add("state %v", s) }
func (t *tape) Group(g GroupHead)              { t.add("group %q %v", g.Name, g) }
func (t *tape) Consumer(c ConsumerHead)        { t.add("consumer %q %v", c.Name, c.Seen) }
func (t *tape) Pending(p PendingEntry)         { t.add("pending %v %q %d %d", p.ID, p.Consumer, p.At, p.Count) }
func (t *tape) sorted(o Object) (lines []string) {
	lines = slices.Clone(*t)
	if o != nil && (o.Type() == SetType || o.Type() == HashType) {
		slices.Sort(lines)
	}
	return lines
}

// words are texts of which some are integers, some long.
var words = rapid.OneOf(
	rapid.StringN(0, 8, 12),
	rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
	rapid.Map(rapid.IntRange(60, 400), func(n int) string { return strings.Repeat("x", n) }),
)

// tell tells c and a tape the same drawn value.
func tell(rt *rapid.T, want *tape, b *Builder) {
	both := func(fn func(Contents)) {
		fn(want)
		fn(b)
	}
	n := rapid.SampledFrom([]int{1, 3, 20, 200}).Draw(rt, "n")
	some := rapid.SliceOfNDistinct(words, n, n, rapid.ID).Draw(rt, "parts")
	n = len(some)
	kind := rapid.IntRange(0, 5).Draw(rt, "type")
	if kind == 5 {
		tellStream(rt, both, some)
		return
	}
	both(func(c Contents) {
		head := []func(int){func(int) {}, c.List, c.Set, c.ZSet, func(n int) { c.Hash(n, n > 1) }}
		head[kind](n)
	})
	for i, w := range some {
		at := int64(i % 3 * 1000)
		both(func(c Contents) {
			switch kind {
			case 0:
				if i == 0 {
					c.String([]byte(w))
				}
			case 1:
				c.Element([]byte(w))
			case 2:
				c.Member([]byte(w))
			case 3:
				c.Scored([]byte(w), float64(i)/2-3)
			case 4:
				c.Field([]byte(w), []byte(some[n-1-i]), at)
			}
		})
	}
}

func tellStream(rt *rapid.T, both func(func(Contents)), some []string) {
	n := len(some)
	both(func(c Contents) { c.Stream(n) })
	for i, w := range some {
		both(func(c Contents) {
			c.Entry(StreamID{uint64(i), uint64(i%3 + 1)}, [][]byte{[]byte("name"), []byte(w), []byte(w), []byte("7")})
		})
	}
	groups := rapid.IntRange(0, 3).Draw(rt, "groups")
	both(func(c Contents) {
		c.State(StreamState{Last: StreamID{uint64(n), 9}, MaxDeleted: StreamID{0, 4}, Added: int64(n) + 3, Groups: groups})
	})
	for g := range groups {
		both(func(c Contents) {
			c.Group(GroupHead{Name: []byte{'g', byte('0' + g)}, Last: StreamID{2, 2}, Read: int64(g) - 1, Consumers: g, Pending: g * 5})
			for i := range g {
				c.Consumer(ConsumerHead{Name: []byte{'c', byte('0' + i)}, Seen: int64(100 + i)})
			}
			for i := range g * 5 {
				c.Pending(PendingEntry{ID: StreamID{uint64(i), 1}, Consumer: []byte{'c', byte('0' + i%g)}, At: int64(i), Count: int64(i)})
			}
		})
	}
}

// What a Builder is told, Visit tells of what it has made.
func TestBuilderAndVisitAreInverse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ks := small(1, 1)
		key := []byte("k")
		var want, got tape
		b := ks.NewBuilder()
		tell(rt, &want, b)
		require.NoError(rt, b.Finish())
		obj := b.obj
		do(ks, testNow, func(tx *Tx) { require.NoError(rt, tx.SetBuilt(key, b, testNow+5)) })
		do(ks, 1, func(tx *Tx) { // before any field expires
			ok, err := tx.Visit(key, &got)
			require.True(rt, ok)
			require.NoError(rt, err)
			info, _ := tx.Peek(key)
			require.Equal(rt, int64(testNow+5), info.ExpireAt)
		})
		require.Equal(rt, want.sorted(obj), got.sorted(obj))
	})
}

// Values take the form that commands would have given them.
func TestBuilderObeysTheLimits(t *testing.T) {
	ks := New(Options{Shards: 1})
	for _, c := range []struct {
		want string
		tell func(b *Builder)
	}{
		{"int", func(b *Builder) { b.String([]byte("12")) }},
		{"embstr", func(b *Builder) { b.String([]byte("012")) }},
		{"intset", func(b *Builder) { b.Set(1); b.Member([]byte("12")) }},
		{"hashtable", func(b *Builder) { b.Set(1); b.Member([]byte("x")) }},
		{"listpack", func(b *Builder) { b.ZSet(1); b.Scored([]byte("x"), 1) }},
		{"skiplist", func(b *Builder) { b.ZSet(1); b.Scored(make([]byte, 65), 1) }},
		{"listpack", func(b *Builder) { b.Hash(1, true); b.Field([]byte("x"), nil, 0) }},
		{"listpackex", func(b *Builder) { b.Hash(1, true); b.Field([]byte("x"), nil, 5) }},
		{"hashtable", func(b *Builder) { b.Hash(1, true); b.Field([]byte("x"), make([]byte, 65), 0) }},
	} {
		b := ks.NewBuilder()
		c.tell(b)
		do(ks, testNow, func(tx *Tx) {
			require.NoError(t, tx.SetBuilt([]byte("k"), b, NoExpiry))
			info, ok := tx.Peek([]byte("k"))
			require.True(t, ok)
			require.Equal(t, c.want, info.Encoding)
		})
	}
}

func TestBuilderRefusesNonsense(t *testing.T) {
	id := func(ms uint64) StreamID { return StreamID{Ms: ms} }
	fields := [][]byte{[]byte("f"), []byte("v")}
	stream := func(b *Builder) {
		b.Stream(-1)
		b.Entry(id(5), fields)
		b.State(StreamState{Last: id(5), Added: 1})
	}
	group := func(b *Builder) {
		stream(b)
		b.Group(GroupHead{Name: []byte("g")})
		b.Consumer(ConsumerHead{Name: []byte("c")})
	}
	c := []byte("c")
	for i, x := range []struct {
		err  error
		tell func(b *Builder)
	}{
		{errNoValue, func(*Builder) {}},
		{ErrEmpty, func(b *Builder) { b.List(0) }},
		{ErrEmpty, func(b *Builder) { b.Hash(1<<40, true) }},
		{errTwoValues, func(b *Builder) { b.String(nil); b.String(nil) }},
		{errTwoValues, func(b *Builder) { b.String(nil); b.List(1) }},
		{errTwoValues, func(b *Builder) { b.Set(1); b.String(nil) }},
		{errMisplaced, func(b *Builder) { b.Element(nil) }},
		{errMisplaced, func(b *Builder) { b.List(1); b.Member(nil) }},
		{errMisplaced, func(b *Builder) { b.Hash(1, true); b.Scored(nil, 1) }},
		{errMisplaced, func(b *Builder) { b.ZSet(1); b.Field(nil, nil, 0) }},
		{errTwice, func(b *Builder) { b.Set(2); b.Member(c); b.Member(c) }},
		{errTwice, func(b *Builder) { b.ZSet(2); b.Scored(c, 1); b.Scored(c, 2) }},
		{errTwice, func(b *Builder) { b.Hash(2, true); b.Field(c, c, 0); b.Field(c, c, 0) }},
		{errNaN, func(b *Builder) { b.ZSet(1); b.Scored(c, math.NaN()) }},
		{errFieldTime, func(b *Builder) { b.Hash(1, true); b.Field(c, c, -1) }},
		{errState, func(b *Builder) { b.Stream(0) }},
		{errEntry, func(b *Builder) { b.Stream(1); b.Entry(id(1), nil) }},
		{errEntry, func(b *Builder) { b.Stream(1); b.Entry(id(1), fields[:1]) }},
		{errOrder, func(b *Builder) { b.Stream(1); b.Entry(id(0), fields) }},
		{errOrder, func(b *Builder) { b.Stream(2); b.Entry(id(2), fields); b.Entry(id(2), fields) }},
		{errState, func(b *Builder) { b.Stream(1); b.Entry(id(2), fields); b.State(StreamState{Last: id(1), Added: 1}) }},
		{errState, func(b *Builder) { b.Stream(1); b.Entry(id(2), fields); b.State(StreamState{Last: id(2)}) }},
		{errMisplaced, func(b *Builder) { stream(b); b.Entry(id(6), fields) }},
		{errMisplaced, func(b *Builder) { stream(b); b.State(StreamState{Last: id(9), Added: 9}) }},
		{errMisplaced, func(b *Builder) { b.Stream(0); b.Group(GroupHead{}) }},
		{errMisplaced, func(b *Builder) { stream(b); b.Consumer(ConsumerHead{}) }},
		{errMisplaced, func(b *Builder) { stream(b); b.Pending(PendingEntry{}) }},
		{errState, func(b *Builder) { stream(b); b.Group(GroupHead{Read: -2}) }},
		{errTwice, func(b *Builder) { group(b); b.Group(GroupHead{Name: []byte("g")}) }},
		{errTwice, func(b *Builder) { group(b); b.Consumer(ConsumerHead{Name: c}) }},
		{errPending, func(b *Builder) { group(b); b.Pending(PendingEntry{Consumer: []byte("d")}) }},
		{errOrder, func(b *Builder) { group(b); b.Pending(PendingEntry{Consumer: c, Count: -1}) }},
		{errOrder, func(b *Builder) {
			group(b)
			b.Pending(PendingEntry{ID: id(2), Consumer: c})
			b.Pending(PendingEntry{ID: id(2), Consumer: c})
		}},
		{errMisplaced, func(b *Builder) {
			group(b)
			b.Pending(PendingEntry{ID: id(2), Consumer: c})
			b.Consumer(ConsumerHead{Name: []byte("d")})
		}},
	} {
		b := small(1, 1).NewBuilder()
		x.tell(b)
		require.Equal(t, x.err, b.Finish(), "case %d", i)
	}
	b := small(1, 1).NewBuilder()
	b.Element(c)
	b.Reset()
	group(b)
	b.Pending(PendingEntry{Consumer: c})
	require.NoError(t, b.Finish(), "a builder is used again")
}

func TestSetAccess(t *testing.T) {
	for _, lfu := range []bool{false, true} {
		ks := New(Options{Shards: 1})
		ks.SetAccess(lfu, 10, 1)
		do(ks, testNow, func(tx *Tx) {
			tx.SetString([]byte("k"), []byte("v"), NoExpiry)
			tx.SetAccess([]byte("k"), 77, 200)
			tx.SetAccess([]byte("k"), -1, -1)
			tx.SetAccess([]byte("missing"), 1, 1)
		})
		do(ks, testNow, func(tx *Tx) {
			info, _ := tx.Peek([]byte("k"))
			if lfu {
				require.Equal(t, 200, info.Freq)
			} else {
				require.Equal(t, int64(77), info.Idle)
			}
		})
	}
}

// Entries that share their names take little more than their values, however
// large the names are.
func TestBuilderKeepsLargeNamesOnce(t *testing.T) {
	b := small(1, 1).NewBuilder()
	b.Stream(-1)
	name := make([]byte, 1<<20)
	for i := range 10000 {
		b.Entry(StreamID{1, uint64(i)}, [][]byte{name, []byte("v")})
	}
	b.State(StreamState{Last: StreamID{2, 0}, Added: 10000})
	require.NoError(t, b.Finish())
	require.Less(t, b.obj.Bytes(), int64(3<<20))
	require.Equal(t, 10000, b.obj.Len())
}
