package rdb_test

import (
	"fmt"
	"math"
	"strings"

	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/store"
)

// A tape is a Contents that notes what it is told.
type tape []string

func (t *tape) add(format string, args ...any) { *t = append(*t, fmt.Sprintf(format, args...)) }

func (t *tape) String(v []byte)                     { t.add("string %q", v) }
func (t *tape) List(int)                            { t.add("list") }
func (t *tape) Element(v []byte)                    { t.add("%q", v) }
func (t *tape) Set(int)                             { t.add("set") }
func (t *tape) Member(v []byte)                     { t.add("%q", v) }
func (t *tape) ZSet(int)                            { t.add("zset") }
func (t *tape) Scored(v []byte, score float64)      { t.add("%q %v", v, score) }
func (t *tape) Hash(_ int, times bool)              { t.add("hash %v", times) }
func (t *tape) Field(name, v []byte, at int64)      { t.add("%q %q %d", name, v, at) }
func (t *tape) Stream(int)                          { t.add("stream") }
func (t *tape) Entry(id store.StreamID, v [][]byte) { t.add("%v %q", id, v) }
func (t *tape) State(s store.StreamState)           { t.add("state %v", s) }
func (t *tape) Group(g store.GroupHead)             { t.add("group %q %v", g.Name, g) }
func (t *tape) Consumer(c store.ConsumerHead)       { t.add("consumer %q %v", c.Name, c.Seen) }
func (t *tape) Pending(p store.PendingEntry) {
	t.add("pending %v %q %d %d", p.ID, p.Consumer, p.At, p.Count)
}

// words are texts of which some are integers, some long.
var words = rapid.OneOf(
	rapid.StringN(0, 8, 12),
	rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
	rapid.Map(rapid.Int32Range(-200, 200), func(n int32) string { return fmt.Sprint(n) }),
	rapid.Map(rapid.SampledFrom([]int{63, 64, 125, 126, 4095, 4096, 16377, 16378, 16379, 70000}), func(n int) string { return strings.Repeat("x", n) }),
)

// A told is a value, told to whoever wants to know it.
type told func(store.Contents)

// values are values of every type.
func values(rt *rapid.T, times bool) told {
	some := rapid.SliceOfNDistinct(words, 1, 20, rapid.ID).Draw(rt, "parts")
	for i := range rapid.SampledFrom([]int{0, 0, 95, 300}).Draw(rt, "more") {
		some = append(some, fmt.Sprint("word ", i))
	}
	kind := rapid.IntRange(0, 5).Draw(rt, "type")
	if kind == 5 {
		return streams(rt, some)
	}
	scores := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), 0, 1, 7})), 1, 9).Draw(rt, "scores")
	return func(c store.Contents) {
		n := len(some)
		switch kind {
		case 0:
			c.String([]byte(some[0]))
			return
		case 1:
			c.List(n)
		case 2:
			c.Set(n)
		case 3:
			c.ZSet(n)
		case 4:
			c.Hash(n, times)
		}
		for i, w := range some {
			switch kind {
			case 1:
				c.Element([]byte(w))
			case 2:
				c.Member([]byte(w))
			case 3:
				c.Scored([]byte(w), scores[i%len(scores)])
			case 4:
				at := int64(0)
				if times {
					at = int64(i%3) * 1234567890123
				}
				c.Field([]byte(w), []byte(some[n-1-i]), at)
			}
		}
	}
}

// streams are streams of as many entries as some has words.
func streams(rt *rapid.T, some []string) told {
	fewer := rapid.SampledFrom([]int{1, 7, 1000}).Draw(rt, "names change every so often")
	groups := rapid.IntRange(0, 3).Draw(rt, "groups")
	return func(c store.Contents) {
		n := len(some)
		c.Stream(n)
		for i, w := range some {
			c.Entry(store.StreamID{Ms: uint64(i / 3), Seq: uint64(i%3 + 1)},
				[][]byte{[]byte("n"), []byte(w), []byte(some[i/fewer]), []byte("7")})
		}
		c.State(store.StreamState{Last: store.StreamID{Ms: uint64(n), Seq: math.MaxUint64}, MaxDeleted: store.StreamID{Seq: 4}, Added: int64(n) + 3, Groups: groups})
		for g := range groups {
			c.Group(store.GroupHead{Name: []byte{'g', byte('0' + g)}, Last: store.StreamID{Ms: 2, Seq: 2}, Read: int64(g) - 1, Consumers: g, Pending: g * 5})
			for i := range g {
				c.Consumer(store.ConsumerHead{Name: []byte{'1', byte('0' + i)}, Seen: int64(100 + i)})
			}
			for i := range g * 5 {
				c.Pending(store.PendingEntry{ID: store.StreamID{Ms: uint64(i), Seq: 1}, Consumer: []byte{'1', byte('0' + i%g)}, At: int64(i), Count: int64(i)})
			}
		}
	}
}
