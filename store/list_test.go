package store

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func elems(l *List) []string {
	var all []string
	l.Each(0, false, func(i int, e Elem) bool {
		all = append(all, e.String())
		return true
	})
	return all
}

// checkList fails unless the chunks of l are as their comments say and hold the
// elements of want.
func checkList(t require.TestingT, l *List, want []string) {
	require.Equal(t, len(want), l.Len())
	bytes, n := int64(listOverhead), 0
	var prev *chunk
	for c := l.head; c != nil; prev, c = c, c.next {
		require.True(t, c.prev == prev, "chunk %d: prev", n)
		require.Positive(t, c.n, "an empty chunk stays in the list")
		require.True(t, l.holds(c.n), "%d elements in a chunk", c.n)
		require.True(t, c.n == 1 || c.used() <= int(l.maxBytes), "%d bytes in a chunk", c.used())
		bytes += chunkOverhead + int64(cap(c.buf))
		n += int(c.n)
	}
	require.True(t, l.tail == prev)
	require.Equal(t, n, l.len)
	if l.spare != nil {
		bytes += chunkOverhead + int64(cap(l.spare.buf))
	}
	require.Equal(t, bytes, l.Bytes(), "the kept size is off")
	require.Equal(t, want, elems(l))
	var back []string
	l.Each(l.Len()-1, true, func(i int, e Elem) bool {
		require.Equal(t, l.Len()-1-len(back), i)
		back = append(back, e.String())
		return true
	})
	slices.Reverse(back)
	require.Equal(t, want, back)
}

func TestElemRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buf []byte
		var want []string
		var offs []int
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			v := []byte(anyElem().Draw(t, "v"))
			e := elemOf(v)
			size := e.size() + tailSize(e.size())
			offs = append(offs, len(buf))
			buf = append(buf, make([]byte, size)...)
			e.put(buf[len(buf)-size:])
			want = append(want, string(v))
		}
		off := 0
		for i := range want {
			require.Equal(t, offs[i], off)
			var e Elem
			e, off = elemAt(buf, off)
			require.Equal(t, want[i], e.String())
		}
		require.Equal(t, len(buf), off)
		for i := len(want) - 1; i >= 0; i-- {
			off = elemBefore(buf, off)
			require.Equal(t, offs[i], off)
		}
	})
}

// anyElem draws what meets every form of an element.
func anyElem() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 9).Draw(t, "form") {
		case 0:
			return strconv.FormatInt(rapid.Int64().Draw(t, "int"), 10)
		case 1:
			return rapid.SampledFrom([]string{"", "0", "-0", "00", "+1", "-", "1 ", "127", "128", "-1", "-128",
				"-129", "32767", "32768", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
				"-9223372036854775809", "18446744073709551616", "99999999999999999999"}).Draw(t, "edge")
		case 2:
			n := rapid.SampledFrom([]int{61, 62, 63, 64, 65, 126, 127, 128, 8189, 8190, 8191, 8192, 16384, 70000}).Draw(t, "len")
			return strings.Repeat("x", n)
		case 3:
			return strings.Repeat("y", rapid.IntRange(0, 3000).Draw(t, "len"))
		default:
			return strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "small"))
		}
	})
}

func TestCanonicalInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, -10, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1} {
		got, ok := canonicalInt(strconv.AppendInt(nil, n, 10))
		require.True(t, ok, n)
		require.Equal(t, n, got)
	}
	for _, s := range []string{"", "-", "+1", "-0", "01", "-01", " 1", "1 ", "0x1", "1.", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "/", ":", "1/", "1:"} {
		_, ok := canonicalInt([]byte(s))
		require.False(t, ok, "%q", s)
	}
}

// TestListModel holds a list against a slice through everything that a client
// can do to it, with chunks small enough that every step may split or join.
func TestListModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewList(rapid.SampledFrom([]int{-2, -1, -5, 1, 2, 7, 0}).Draw(t, "fill"))
		if rapid.Bool().Draw(t, "narrow") {
			l.maxBytes = 64
		}
		var m []string
		index := func() int { return rapid.IntRange(0, len(m)-1).Draw(t, "i") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkList(t, l, m) },
			"push": func(t *rapid.T) {
				front := rapid.Bool().Draw(t, "front")
				for range rapid.SampledFrom([]int{1, 1, 5, 200}).Draw(t, "n") {
					v := anyElem().Draw(t, "v")
					if front {
						l.PushFront([]byte(v))
						m = slices.Insert(m, 0, v)
					} else {
						l.PushBack([]byte(v))
						m = append(m, v)
					}
				}
			},
			"pop": func(t *rapid.T) {
				front := rapid.Bool().Draw(t, "front")
				for range rapid.SampledFrom([]int{1, 1, 5, 200}).Draw(t, "n") {
					var e Elem
					var ok bool
					if front {
						e, ok = l.PopFront()
					} else {
						e, ok = l.PopBack()
					}
					require.Equal(t, len(m) > 0, ok)
					if !ok {
						return
					}
					if front {
						require.Equal(t, m[0], e.String())
						m = m[1:]
					} else {
						require.Equal(t, m[len(m)-1], e.String())
						m = m[:len(m)-1]
					}
					if len(m) == 0 {
						m = nil
					}
				}
			},
			"index": func(t *rapid.T) {
				i := rapid.IntRange(-1, len(m)).Draw(t, "i")
				e, ok := l.Index(i)
				require.Equal(t, i >= 0 && i < len(m), ok)
				if ok {
					require.Equal(t, m[i], e.String())
				}
			},
			"set": func(t *rapid.T) {
				if len(m) == 0 {
					require.False(t, l.Set(0, nil))
					return
				}
				i, v := index(), anyElem().Draw(t, "v")
				require.True(t, l.Set(i, []byte(v)))
				m[i] = v
			},
			"insert": func(t *rapid.T) {
				i, v := rapid.IntRange(0, len(m)).Draw(t, "i"), anyElem().Draw(t, "v")
				l.Insert(i, []byte(v))
				m = slices.Insert(m, i, v)
			},
			"remove": func(t *rapid.T) {
				if len(m) == 0 {
					require.Zero(t, l.Remove(0, []byte("1")))
					return
				}
				v := m[index()]
				count := rapid.SampledFrom([]int{0, 1, -1, 3, -3, 1000, -1000, math.MaxInt, math.MinInt}).Draw(t, "count")
				n := 0
				m, n = modelRemove(m, count, v)
				require.Equal(t, n, l.Remove(count, []byte(v)))
			},
			"find": func(t *rapid.T) {
				if len(m) == 0 {
					return
				}
				v, start, reverse := m[index()], index(), rapid.Bool().Draw(t, "reverse")
				most := rapid.SampledFrom([]int{0, 1, 3, len(m)}).Draw(t, "most")
				var got, want []int
				l.Find([]byte(v), start, reverse, most, func(i int) bool {
					got = append(got, i)
					return len(got) < 4
				})
				first, ok := l.First([]byte(v))
				require.True(t, ok)
				require.Equal(t, slices.Index(m, v), first)
				_, ok = l.First([]byte("not to be found"))
				require.False(t, ok)
				step := 1
				if reverse {
					step = -1
				}
				for i, seen := start, 0; i >= 0 && i < len(m) && len(want) < 4 && (most == 0 || seen < most); i += step {
					if m[i] == v {
						want = append(want, i)
					}
					seen++
				}
				require.Equal(t, want, got)
			},
			"range": func(t *rapid.T) {
				if len(m) == 0 {
					return
				}
				start, n, reverse := index(), rapid.IntRange(1, 5).Draw(t, "n"), rapid.Bool().Draw(t, "reverse")
				var got []string
				l.Each(start, reverse, func(i int, e Elem) bool {
					require.Equal(t, m[i], e.String())
					got = append(got, e.String())
					return len(got) < n
				})
				want := len(m) - start
				if reverse {
					want = start + 1
				}
				require.Len(t, got, min(n, want))
			},
			"trim": func(t *rapid.T) {
				if len(m) == 0 {
					return
				}
				start, stop := index(), index()
				l.Trim(start, stop)
				if start > stop {
					m = nil
				} else {
					m = slices.Clone(m[start : stop+1])
				}
			},
			"clone": func(t *rapid.T) {
				d := l.Clone().(*List)
				checkList(t, d, m)
				d.PushFront([]byte("other"))
				d.Remove(0, []byte("1"))
				d.Set(0, []byte("changed"))
			},
		})
	})
}

func modelRemove(m []string, count int, v string) ([]string, int) {
	limit := len(m)
	if count > 0 && count < limit {
		limit = count
	}
	if count < 0 && count > -limit {
		limit = -count
	}
	if count < 0 {
		slices.Reverse(m)
	}
	var kept []string
	n := 0
	for _, s := range m {
		if s == v && n < limit {
			n++
		} else {
			kept = append(kept, s)
		}
	}
	if count < 0 {
		slices.Reverse(kept)
	}
	return kept, n
}

// A popped element outlives the pop itself, so that it can go into a reply
// without a copy.
func TestListPopKeepsElement(t *testing.T) {
	l := NewList(DefaultListFill)
	for i := range 2000 {
		l.PushBack(fmt.Appendf(nil, "element %d", i))
	}
	for i := range 1000 {
		e, _ := l.PopFront()
		require.Equal(t, fmt.Sprintf("element %d", i), e.String())
		e, _ = l.PopBack()
		require.Equal(t, fmt.Sprintf("element %d", 1999-i), e.String())
	}
	checkList(t, l, nil)
}

func TestListQueueAllocatesNothing(t *testing.T) {
	v := []byte("sixteen bytes...")
	for _, n := range []int{1, 100, 100000} {
		l := NewList(DefaultListFill)
		for range n {
			l.PushBack(v)
		}
		require.Zero(t, testing.AllocsPerRun(2000, func() { l.PushBack(v); l.PopFront() }), n)
		require.Zero(t, testing.AllocsPerRun(2000, func() { l.PushFront(v); l.PopFront() }), n)
	}
}

func TestListPopAllocatesNothing(t *testing.T) {
	l := NewList(DefaultListFill)
	for range 100000 {
		l.PushBack([]byte("0123456789"))
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.PopFront(); l.PopBack() }))
	v := []byte("0123456789")
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Index(5000); l.Find(v, 0, false, 10, func(int) bool { return true }) }))
}

// A list that was long and is short must not keep what it had.
func TestListGivesMemoryBack(t *testing.T) {
	v := []byte("a string of twenty-four!")
	long := func() *List {
		l := NewList(DefaultListFill)
		for range 20000 {
			l.PushBack(v)
		}
		return l
	}
	for name, cut := range map[string]func(*List){
		"pop": func(l *List) {
			for l.Len() > 3 {
				l.PopFront()
			}
		},
		"trim": func(l *List) { l.Trim(10000, 10002) },
		"remove": func(l *List) {
			l.Set(100, []byte("x"))
			l.Set(15000, []byte("y"))
			l.Remove(0, v)
		},
	} {
		l := long()
		full := l.Bytes()
		require.Less(t, full, int64(20000*27), "more than listpack-like overhead")
		cut(l)
		require.Less(t, l.Bytes(), int64(1000), name)
	}
	// Random removals leave chunks that are joined, not a crumb each.
	l := NewList(DefaultListFill)
	for i := range 50000 {
		l.PushBack(fmt.Appendf(nil, "element of the kind %d", i%50))
	}
	for i := range 49 {
		l.Remove(0, fmt.Appendf(nil, "element of the kind %d", i))
	}
	require.Equal(t, 1000, l.Len())
	require.Less(t, l.Bytes(), int64(1000*28*11/10))
	// Chunks that elements do not fill evenly are no larger than those.
	l = NewList(DefaultListFill)
	for range 1000 {
		l.PushBack(make([]byte, 3000))
	}
	require.Less(t, l.Bytes(), int64(1000*3000*105/100))
}

// Small lists are many: what one costs beside its elements is kept in sight.
func TestListSmallOverhead(t *testing.T) {
	l := NewList(DefaultListFill)
	l.PushBack([]byte("hello"))
	require.LessOrEqual(t, l.Bytes(), int64(listOverhead+chunkOverhead+32))
	l.Set(0, []byte("world!"))
	require.LessOrEqual(t, l.Bytes(), int64(listOverhead+chunkOverhead+32))
	for range 9 {
		l.PushBack([]byte("hello"))
	}
	require.LessOrEqual(t, l.Bytes(), int64(listOverhead+chunkOverhead+112))
}

func benchSizes(b *testing.B, run func(b *testing.B, l *List, v []byte)) {
	v := []byte("sixteen bytes...")
	for _, n := range []int{1, 100, 1000000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l := NewList(DefaultListFill)
			for range n {
				l.PushBack(v)
			}
			b.ReportAllocs()
			b.ResetTimer()
			run(b, l, v)
		})
	}
}

func BenchmarkListQueue(b *testing.B) {
	benchSizes(b, func(b *testing.B, l *List, v []byte) {
		for b.Loop() {
			l.PushBack(v)
			l.PopFront()
		}
	})
}

func BenchmarkListStack(b *testing.B) {
	benchSizes(b, func(b *testing.B, l *List, v []byte) {
		for b.Loop() {
			l.PushFront(v)
			l.PopFront()
		}
	})
}

// BenchmarkListBothEnds is the worst for the free space, which is at one end.
func BenchmarkListBothEnds(b *testing.B) {
	benchSizes(b, func(b *testing.B, l *List, v []byte) {
		for b.Loop() {
			l.PushFront(v)
			l.PushBack(v)
			l.PopFront()
			l.PopBack()
		}
	})
}

func BenchmarkListIndex(b *testing.B) {
	benchSizes(b, func(b *testing.B, l *List, v []byte) {
		for b.Loop() {
			l.Index(l.Len() / 3)
		}
	})
}

func BenchmarkListInsertRemove(b *testing.B) {
	benchSizes(b, func(b *testing.B, l *List, v []byte) {
		other := bytes.Repeat([]byte("x"), 40)
		for b.Loop() {
			l.Insert(l.Len()/3, other)
			l.Remove(1, other)
		}
	})
}

func BenchmarkListFill(b *testing.B) {
	for _, size := range []int{4, 16, 100, 3000, 20000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			v := bytes.Repeat([]byte("x"), size)
			b.ReportAllocs()
			l := NewList(DefaultListFill)
			n := 0
			for b.Loop() {
				if n++; n == 10000 {
					b.ReportMetric(float64(l.Bytes())/float64(n-1)-float64(size), "overhead-B/elem")
					l, n = NewList(DefaultListFill), 0
				}
				l.PushBack(v)
			}
		})
	}
}

// A long list takes a chunk's room at once: what is pushed is never moved, and little of
// the list is empty.
func TestALongListGrowsByWholeChunks(t *testing.T) {
	for _, push := range []func(*List, []byte){(*List).PushFront, (*List).PushBack} {
		l := NewList(DefaultListFill)
		v := bytes.Repeat([]byte("v"), 64)
		for l.bytes < 2*manyChunks*int64(l.maxBytes) {
			push(l, v)
		}
		used := 0
		for c := l.head; c != nil; c = c.next {
			used += c.used()
		}
		require.LessOrEqual(t, l.Bytes(), int64(used+used/8))
		if raceEnabled {
			continue // what the compiler leaves out otherwise is allocated then
		}
		perChunk := float64(int(l.maxBytes) / (len(v) + 3))
		require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
			for range int(perChunk) {
				push(l, v)
			}
		}), 2.0, "a chunk and its buffer")
	}
}
