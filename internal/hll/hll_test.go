package hll

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// ranksOf reads a HyperLogLog by Merge.
func ranksOf(t require.TestingT, b []byte) *Ranks {
	var r Ranks
	require.NoError(t, r.Merge(b))
	return &r
}

// Whatever is added in whatever encoding, the registers are the highest ranks.
func TestRegisters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{0, 40, 300, 3000, 20000}).Draw(t, "max sparse")
		width := rapid.SampledFrom([]int{10, 300, registers}).Draw(t, "width")
		e := NewEditor(New(), limit)
		var want Ranks
		for range rapid.IntRange(0, 400).Draw(t, "n") {
			i := rapid.IntRange(0, width-1).Draw(t, "register")
			rank := uint8(rapid.IntRange(1, 3).Draw(t, "rank"))
			if rapid.IntRange(0, 200).Draw(t, "rare") == 0 {
				rank = uint8(rapid.IntRange(30, 51).Draw(t, "high rank"))
			}
			before := append([]byte{}, e.Bytes()...)
			changed, err := e.raise(i, rank)
			require.NoError(t, err)
			require.Equal(t, rank > want[i], changed)
			require.Equal(t, changed, string(before) != string(e.Bytes()) || before[atStale]&staleBit != 0 && changed)
			want[i] = max(want[i], rank)
		}
		require.True(t, Is(e.Bytes()))
		require.True(t, want == *ranksOf(t, e.Bytes()), "the registers are not as they were raised")
		if !Dense(e.Bytes()) {
			require.LessOrEqual(t, len(e.Bytes()), max(limit, header+2))
		}
		n, err := Count(e.Bytes())
		require.NoError(t, err)
		require.Equal(t, want.Count(), n)
		require.NoError(t, e.ToDense())
		require.True(t, Is(e.Bytes()))
		require.True(t, want == *ranksOf(t, e.Bytes()), "the registers are not as they were raised")
		for i, rank := range want {
			if got := Rank(e.Bytes(), i); got != rank {
				t.Fatalf("register %d is %d, not %d", i, got, rank)
			}
		}
	})
}

// An editor leaves alone what it was given.
func TestEditorCopies(t *testing.T) {
	b := New()
	kept := string(b)
	e := NewEditor(b, 3000)
	require.False(t, e.Changed())
	_, err := e.Add([]byte("a"))
	require.NoError(t, err)
	require.True(t, e.Changed())
	require.Equal(t, kept, string(b))
	again := NewEditor(e.Bytes(), 3000)
	changed, err := again.Add([]byte("a"))
	require.NoError(t, err)
	require.False(t, changed || again.Changed())
}

func TestRaise(t *testing.T) {
	e := NewEditor(New(), 0)
	require.NoError(t, e.ToDense())
	b := e.Bytes()
	for i := range 5000 {
		elem := fmt.Append(nil, i)
		has := Has(b, elem)
		require.Equal(t, !has, Raise(b, elem))
		require.True(t, Has(b, elem))
	}
	n, err := Count(b)
	require.NoError(t, err)
	require.InEpsilon(t, 5000, n, 0.03)
}

// The estimate is good all the way: a standard error of 1.04/sqrt(16384), of
// which five are allowed.
func TestEstimate(t *testing.T) {
	const allowed = 5 * 1.04 / 128
	e := NewEditor(New(), 3000)
	for i := 1; i <= 300_000; i++ {
		_, err := e.Add(fmt.Appendf(nil, "element:%d", i))
		require.NoError(t, err)
		if i < 1000 && i%37 == 0 || i%33_331 == 0 {
			n, err := Count(e.Bytes())
			require.NoError(t, err)
			require.LessOrEqual(t, math.Abs(float64(n)-float64(i)), math.Ceil(allowed*float64(i)), "after %d", i)
		}
	}
}

func TestCached(t *testing.T) {
	b := New()
	n, ok := Cached(b)
	require.True(t, ok)
	require.Zero(t, n)
	SetStale(b)
	_, ok = Cached(b)
	require.False(t, ok)
	SetCached(b, 1<<40+5)
	n, ok = Cached(b)
	require.True(t, ok)
	require.EqualValues(t, 1<<40+5, n)
}

func TestIs(t *testing.T) {
	dense := append([]byte("HYLL\x00"), make([]byte, denseSize-5)...)
	require.True(t, Is(dense))
	require.True(t, Is(New()))
	require.True(t, Is([]byte("HYLL\x01___________")))
	for _, no := range []string{
		"", "HYLL", "HYLL\x01__________", "hyll\x01___________", "HYLL\x02___________",
		string(dense[:denseSize-1]), string(dense) + "x",
	} {
		require.False(t, Is([]byte(no)), "%.20q", no)
	}
}

func TestDecode(t *testing.T) {
	require.Equal(t, "Z:16384", string(Decode(New())))
	e := NewEditor(New(), 3000)
	for _, i := range []int{0, 1, 2, 3, 70, 16383} {
		_, err := e.raise(i, 2)
		require.NoError(t, err)
	}
	require.Equal(t, "v:2,4 Z:66 v:2,1 Z:16312 v:2,1", string(Decode(e.Bytes())))
}

// Nothing that a client may store makes anything panic or run away, and what
// counts is what can be edited.
func FuzzDamaged(f *testing.F) {
	head := "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	f.Add([]byte(head+"\x7f\xff"), []byte("a"))
	f.Add([]byte(head+"\x7f"), []byte("a"))
	f.Add([]byte(head+"\x7f\xff\x80"), []byte("b"))
	f.Add([]byte(head+strings.Repeat("\xff", 4096)), []byte("c"))
	f.Add(append([]byte("HYLL\x00"), make([]byte, denseSize-5)...), []byte("d"))
	f.Fuzz(func(t *testing.T, b, elem []byte) {
		if !Is(b) {
			return
		}
		kept := string(b)
		n, err := Count(b)
		var r Ranks
		if merged := r.Merge(b); err == nil {
			require.NoError(t, merged)
			require.Equal(t, n, r.Count())
		}
		if !Dense(b) {
			Decode(b)
		}
		e := NewEditor(b, len(b)+2)
		if _, err := e.Add(elem); err == nil {
			_, err = e.Add(elem)
			require.NoError(t, err)
		}
		if err == nil {
			require.NoError(t, NewEditor(b, 0).ToDense())
		}
		require.Equal(t, kept, string(b))
	})
}

func BenchmarkAddDense(b *testing.B) {
	e := NewEditor(New(), 0)
	require.NoError(b, e.ToDense())
	elem := []byte("element:000000")
	for i := 0; b.Loop(); i++ {
		elem[13], elem[12], elem[11] = byte(i), byte(i>>8), byte(i>>16)
		Raise(e.Bytes(), elem)
	}
}

func BenchmarkCountDense(b *testing.B) {
	e := NewEditor(New(), 0)
	require.NoError(b, e.ToDense())
	for i := range 100_000 {
		Raise(e.Bytes(), fmt.Append(nil, i))
	}
	for b.Loop() {
		if _, err := Count(e.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMergeDense(b *testing.B) {
	e := NewEditor(New(), 0)
	require.NoError(b, e.ToDense())
	for i := range 100_000 {
		Raise(e.Bytes(), fmt.Append(nil, i))
	}
	var r Ranks
	for b.Loop() {
		if err := r.Merge(e.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSelfTest(t *testing.T) { require.NoError(t, SelfTest()) }
