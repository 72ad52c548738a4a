package store

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func hashLimits(fields, value int64) *HashLimits {
	l := new(HashLimits)
	l.Set(fields, value)
	return l
}

// A hashModel is what a Hash is to clients.
type hashModel struct {
	values map[string]string
	times  map[string]int64
}

func (m *hashModel) live(f string, now int64) bool {
	_, ok := m.values[f]
	return ok && (m.times[f] == 0 || now <= m.times[f])
}

func (m *hashModel) delete(f string) {
	delete(m.values, f)
	delete(m.times, f)
}

func checkHash(t *rapid.T, h *Hash, m *hashModel, now int64) {
	require.Equal(t, len(m.values), h.Len())
	want := map[string]string{}
	first := int64(0)
	for f, v := range m.values {
		if at := m.times[f]; at != 0 && (first == 0 || at < first) {
			first = at
		}
		if m.live(f, now) {
			want[f] = v
		}
	}
	require.Equal(t, first, h.Due())
	require.Equal(t, len(want), h.Live(now))
	have := map[string]string{}
	h.Each(now, func(f, v Elem) bool {
		have[f.String()] = v.String()
		return true
	})
	require.Equal(t, want, have)
	clear(have)
	for cursor := uint64(0); ; {
		cursor = h.Scan(cursor, 7, now, func(f, v Elem) { have[f.String()] = v.String() })
		if cursor == 0 {
			break
		}
	}
	require.Equal(t, want, have)
	require.Equal(t, hashBytes(h), h.Bytes(), "the kept size is off")
}

// hashBytes is Bytes, counted anew.
func hashBytes(h *Hash) int64 {
	n := hashOverhead + int64(cap(h.small.buf))
	if h.more == nil {
		return n
	}
	n += moreOverhead
	if d := h.large(); d != nil {
		n += d.size
		d.each(func(c *cell) bool {
			n += fieldCellSize(len(c.key()), len(c.value()))
			return true
		})
	}
	if x := h.more.times; x != nil {
		n += fieldTimesOverhead + x.fields.size + sizeClass(cap(x.heap)*fieldTimeSize)
		x.fields.each(func(c *cell) bool {
			n += cellSize(len(c.key()), fieldTimeRest)
			return true
		})
	}
	return n
}

func TestHashModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := hashLimits(rapid.SampledFrom([]int64{0, 4, 20, 512}).Draw(t, "fields"), rapid.SampledFrom([]int64{0, 64, 10000}).Draw(t, "value"))
		h := NewHash(limits)
		m := &hashModel{map[string]string{}, map[string]int64{}}
		now := int64(1000)
		if rapid.Bool().Draw(t, "reserve") {
			h.Reserve([][]byte{[]byte("a"), []byte("some value"), []byte("b"), []byte("3")})
		}
		field := func() string {
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				return anyElem().Draw(t, "field")
			}
			return fmt.Sprint("f", rapid.IntRange(0, 40).Draw(t, "field"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkHash(t, h, m, now) },
			"set": func(t *rapid.T) {
				f, v := field(), anyElem().Draw(t, "v")
				require.Equal(t, !m.live(f, now), h.Set([]byte(f), []byte(v), now))
				m.values[f] = v
				delete(m.times, f)
			},
			"update": func(t *rapid.T) {
				f, v := field(), anyElem().Draw(t, "v")
				live := m.live(f, now)
				require.Equal(t, !live, h.Update([]byte(f), []byte(v), now))
				m.values[f] = v
				if !live {
					delete(m.times, f)
				}
			},
			"get": func(t *rapid.T) {
				f := field()
				v, ok := h.Get([]byte(f), now)
				require.Equal(t, m.live(f, now), ok)
				at, ok := h.ExpireAt([]byte(f), now)
				require.Equal(t, m.live(f, now), ok)
				if ok {
					require.Equal(t, m.values[f], v.String())
					require.Equal(t, m.times[f], at)
				}
			},
			"delete": func(t *rapid.T) {
				f := field()
				require.Equal(t, m.live(f, now), h.Delete([]byte(f), now))
				m.delete(f)
			},
			"expire": func(t *rapid.T) {
				f, at := field(), now+rapid.Int64Range(-5, 50).Draw(t, "in")
				if rapid.IntRange(0, 4).Draw(t, "persist") == 0 {
					at = 0
				}
				if m.live(f, now) {
					h.SetExpiry([]byte(f), at)
					m.times[f] = at
					if at == 0 {
						delete(m.times, f)
					}
				}
			},
			"time": func(t *rapid.T) { now += rapid.Int64Range(0, 20).Draw(t, "passes") },
			"take": func(t *rapid.T) {
				due := 0
				for f := range m.values {
					if !m.live(f, now) {
						due++
					}
				}
				limit := rapid.IntRange(0, 5).Draw(t, "limit")
				taken := h.TakeExpired(now, limit)
				require.Len(t, taken, min(due, limit))
				for _, f := range taken {
					require.Contains(t, m.values, string(f))
					require.False(t, m.live(string(f), now))
					m.delete(string(f))
				}
			},
			"sample": func(t *rapid.T) {
				n := rapid.IntRange(0, 60).Draw(t, "n")
				seen := map[string]bool{}
				h.Sample(n, now, func(f, v Elem) {
					require.False(t, seen[f.String()], "twice")
					seen[f.String()] = true
					require.True(t, m.live(f.String(), now))
					require.Equal(t, m.values[f.String()], v.String())
				})
				require.Len(t, seen, min(n, h.Live(now)))
			},
			"clone": func(t *rapid.T) {
				old := h
				h = h.Clone().(*Hash)
				old.Set([]byte("f1"), []byte("another"), now)
				for f := range maps.Clone(m.values) {
					old.Delete([]byte(f), now)
				}
			},
		})
	})
}

// OBJECT ENCODING: what is too long, or one field too many, makes a table, and
// nothing makes it small again.
func TestHashEncoding(t *testing.T) {
	h := NewHash(hashLimits(3, 5))
	set := func(f, v string) { h.Set([]byte(f), []byte(v), 0) }
	for _, f := range []string{"a", "b", "c", "a"} {
		set(f, "12345")
		require.Equal(t, "listpack", h.Encoding())
	}
	c := h.Clone().(*Hash)
	set("d", "")
	require.Equal(t, "hashtable", h.Encoding())
	for _, f := range []string{"a", "b", "c"} {
		require.True(t, h.Delete([]byte(f), 0))
	}
	require.Equal(t, "hashtable", h.Encoding())
	require.Equal(t, "listpack", c.Encoding())
	c.Set([]byte("a"), []byte("123456"), 0)
	require.Equal(t, "hashtable", c.Encoding())
	long := NewHash(hashLimits(3, 5))
	long.Set([]byte("123456"), nil, 0)
	require.Equal(t, "hashtable", long.Encoding())
	timed := NewHash(hashLimits(3, 5))
	timed.Set([]byte("a"), nil, 0)
	timed.SetExpiry([]byte("a"), 9)
	require.Equal(t, "listpackex", timed.Encoding())
}

// Hashes with many fields, of which many expire, keep their order of expiry.
func TestHashTakesTheEarliestFirst(t *testing.T) {
	h := NewHash(hashLimits(512, 64))
	const n = 20000
	for i := range n {
		f := []byte(fmt.Sprint("field", i))
		h.Set(f, f, 0)
		h.SetExpiry(f, int64(1+i*7919%n))
	}
	for at := int64(1); at <= n; at += 1000 {
		require.Equal(t, at, h.Due())
		require.Equal(t, 1000, h.Len()-h.Live(at+1000)-0)
		require.Len(t, h.TakeExpired(at+1000, n), 1000)
	}
	require.Zero(t, h.Len())
	require.Zero(t, h.Due())
	require.Less(t, h.Bytes(), int64(4000), "what has gone gives its memory back")
}

// Fields are drawn alike often, small or large, few or many at a time.
func TestHashSampleIsUniform(t *testing.T) {
	for _, size := range []int{10, 2000} {
		h := NewHash(hashLimits(512, 64))
		for i := range size {
			h.Set([]byte(fmt.Sprint(i)), nil, 0)
		}
		for _, n := range []int{size / 10, size / 2, size - 1} {
			counts := map[string]int{}
			const each = 300
			for range size * each / n {
				h.Sample(n, 0, func(f, _ Elem) { counts[f.String()]++ })
			}
			require.Len(t, counts, size)
			for f, c := range counts {
				require.InDelta(t, each, c, 110, "%s of %d, %d at a time", f, size, n)
			}
		}
	}
}

func TestHashLongValues(t *testing.T) {
	h := NewHash(hashLimits(512, 64))
	v := []byte(strings.Repeat("x", 1<<20))
	require.True(t, h.Set([]byte("f"), v, 0))
	got, ok := h.Get([]byte("f"), 0)
	require.True(t, ok)
	require.Equal(t, v, got.Str)
	h.Set([]byte("f"), nil, 0)
	got, _ = h.Get([]byte("f"), 0)
	require.Empty(t, got.Str)
	require.False(t, got.IsInt())
}
