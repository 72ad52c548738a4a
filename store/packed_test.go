package store

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// checkPacked fails unless p holds just the elements of want and is walked alike
// from both ends.
func checkPacked(t require.TestingT, p *packed, want []string) {
	require.Equal(t, len(want), p.len())
	off := 0
	for i, w := range want {
		require.Equal(t, off, p.seek(i))
		e, next := p.at(off)
		require.Equal(t, w, e.String())
		require.Equal(t, next, p.skip(off, 1))
		require.Equal(t, off, p.before(next))
		off = next
	}
	require.Equal(t, p.end(), off)
	require.Equal(t, p.end(), p.seek(p.len()))
	require.Equal(t, int64(cap(p.buf)), p.bytes(), "a buffer fills its size class")
}

func TestPackedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p packed
		var m []string
		draw := func() string { return anyElem().Draw(t, "v") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkPacked(t, &p, m) },
			"insert": func(t *rapid.T) {
				i := rapid.IntRange(0, len(m)).Draw(t, "i")
				a, b := draw(), draw()
				if rapid.Bool().Draw(t, "pair") {
					p.insert(p.seek(i), elemOf([]byte(a)), elemOf([]byte(b)))
					m = slices.Insert(m, i, a, b)
				} else {
					p.insert(p.seek(i), elemOf([]byte(a)))
					m = slices.Insert(m, i, a)
				}
			},
			"replace": func(t *rapid.T) {
				if len(m) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(m)-1).Draw(t, "i")
				m[i] = draw()
				p.replace(p.seek(i), elemOf([]byte(m[i])))
			},
			"delete": func(t *rapid.T) {
				i := rapid.IntRange(0, len(m)).Draw(t, "i")
				n := rapid.IntRange(0, len(m)-i).Draw(t, "n")
				p.delete(p.seek(i), n)
				m = slices.Delete(m, i, i+n)
			},
			"find": func(t *rapid.T) {
				v := draw()
				if len(m) > 0 && rapid.Bool().Draw(t, "there") {
					v = rapid.SampledFrom(m).Draw(t, "v")
				}
				step := rapid.IntRange(1, 2).Draw(t, "step")
				want := -1
				for i := 0; i < len(m) && want < 0; i += step {
					if m[i] == v {
						want = i
					}
				}
				if step == 2 && len(m)%2 == 1 {
					t.Skip() // pairs come in pairs
				}
				off, ok := p.find(elemOf([]byte(v)), 0, step)
				require.Equal(t, want >= 0, ok)
				if ok {
					require.Equal(t, p.seek(want), off)
				}
			},
			"clone": func(t *rapid.T) {
				c := p.clone()
				checkPacked(t, &c, m)
				c.insert(0, Elem{Int: 1})
			},
		})
	})
}

// What is deleted gives its memory back.
func TestPackedShrinks(t *testing.T) {
	var p packed
	for range 1000 {
		p.insert(p.end(), Elem{Str: []byte("some element")})
	}
	p.delete(0, 990)
	require.LessOrEqual(t, p.bytes(), int64(300))
}
