package store

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func setLimits(ints, members, value int64) *SetLimits {
	l := new(SetLimits)
	l.Set(ints, members, value)
	return l
}

func checkSet(t *rapid.T, s *Set, m map[string]bool) {
	require.Equal(t, len(m), s.Len())
	have := map[string]bool{}
	bytes, last := setOverhead+int64(cap(s.small.buf)), int64(math.MinInt64)
	s.Each(func(e Elem) bool {
		have[e.String()] = true
		if s.isInts() {
			require.True(t, e.Int > last || len(have) == 1, "an intset is in order")
			last = e.Int
		}
		if s.large != nil {
			bytes += cellSize(len(e.Str), 0)
		}
		return true
	})
	require.Equal(t, m, have)
	clear(have)
	for cursor := uint64(0); ; {
		cursor = s.Scan(cursor, 3, func(e Elem) { have[e.String()] = true })
		if cursor == 0 {
			break
		}
	}
	require.Equal(t, m, have)
	if s.large != nil {
		bytes += dictOverhead + s.large.size
	}
	require.Equal(t, bytes, s.Bytes(), "the kept size is off")
}

func TestSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(name string, of ...int64) int64 { return rapid.SampledFrom(of).Draw(t, name) }
		limits := setLimits(pick("ints", 0, 3, 20, 512), pick("members", 0, 3, 128), pick("value", 0, 64, 10000))
		s := NewSet(limits)
		m := map[string]bool{}
		if rapid.Bool().Draw(t, "reserve") {
			s.Reserve([][]byte{[]byte("word"), []byte("1")})
		}
		member := func() string {
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				return anyElem().Draw(t, "member")
			case 1:
				return strconv.FormatInt(rapid.Int64().Draw(t, "member"), 10)
			case 2:
				return fmt.Sprint("m", rapid.IntRange(0, 9).Draw(t, "member"))
			}
			return fmt.Sprint(rapid.IntRange(-20, 40).Draw(t, "member"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkSet(t, s, m) },
			"add": func(t *rapid.T) {
				v := member()
				require.Equal(t, !m[v], s.Add([]byte(v)))
				m[v] = true
			},
			"remove": func(t *rapid.T) {
				v := member()
				require.Equal(t, m[v], s.Remove([]byte(v)))
				delete(m, v)
			},
			"has": func(t *rapid.T) {
				v := member()
				require.Equal(t, m[v], s.Has([]byte(v)))
				require.Equal(t, m[v], s.HasElem(elemOf([]byte(v))))
			},
			"random": func(t *rapid.T) {
				if len(m) == 0 {
					t.Skip()
				}
				require.True(t, m[s.Random().String()])
				n := rapid.IntRange(0, 60).Draw(t, "n")
				seen := map[string]bool{}
				s.Sample(n, func(e Elem) {
					require.True(t, m[e.String()] && !seen[e.String()])
					seen[e.String()] = true
				})
				require.Len(t, seen, min(n, len(m)))
			},
			"clone": func(t *rapid.T) {
				old := s
				s = s.Clone().(*Set)
				for v := range m {
					require.True(t, old.Remove([]byte(v)))
				}
			},
			"compact": func(t *rapid.T) { s.Compact() },
		})
	})
}

// OBJECT ENCODING is intset as long as all members have been integers and not too
// many.
func TestSetEncoding(t *testing.T) {
	s := NewSet(setLimits(3, 2, 5))
	for _, v := range []string{"1", "-300", "9223372036854775807"} {
		s.Add([]byte(v))
		require.Equal(t, "intset", s.Encoding())
	}
	c := s.Clone().(*Set)
	s.Add([]byte("4"))
	require.Equal(t, "hashtable", s.Encoding())
	s.Remove([]byte("4"))
	require.Equal(t, "hashtable", s.Encoding())
	require.Equal(t, "intset", c.Encoding())
	c.Add([]byte("01"))
	require.Equal(t, "hashtable", c.Encoding())
	c.Compact()
	require.Equal(t, "hashtable", c.Encoding())
	c.Remove([]byte("01"))
	c.Compact()
	require.Equal(t, "intset", c.Encoding())
}

func TestIntsetWidths(t *testing.T) {
	edges := []int64{0, -1, math.MaxInt16, math.MinInt16, math.MaxInt16 + 1, math.MinInt16 - 1,
		math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64}
	rapid.Check(t, func(t *rapid.T) {
		p := packed{mark: 2}
		s := intset{&p}
		var want []int64
		for _, n := range rapid.SliceOf(rapid.SampledFrom(edges)).Draw(t, "ints") {
			i, there := slices.BinarySearch(want, n)
			require.Equal(t, !there, s.add(n))
			if !there {
				want = slices.Insert(want, i, n)
			}
			for i, n := range want {
				require.Equal(t, n, s.at(i))
			}
			require.Equal(t, len(want), s.len())
		}
	})
}

func TestSetSampleIsUniform(t *testing.T) {
	for _, size := range []int{10, 100, 2000} {
		s := NewSet(setLimits(50, 128, 64))
		for i := range size {
			s.Add([]byte(strconv.Itoa(i)))
		}
		for _, n := range []int{1, size / 10, size / 2} {
			counts := map[string]int{}
			const each = 300
			for range size * each / n {
				s.Sample(n, func(e Elem) { counts[e.String()]++ })
			}
			for v, c := range counts {
				require.InDelta(t, each, c, 110, "%s of %d, %d at a time", v, size, n)
			}
			require.Len(t, counts, size)
		}
	}
}
