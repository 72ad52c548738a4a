package command

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// lcsModel fills the whole table and walks it as Redis documents its choice.
func lcsModel(a, b []byte) (pairs [][2]int) {
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
		for j := 1; i > 0 && j <= len(b); j++ {
			if a[i-1] == b[j-1] {
				table[i][j] = table[i-1][j-1] + 1
			} else {
				table[i][j] = max(table[i-1][j], table[i][j-1])
			}
		}
	}
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			i, j = i-1, j-1
			pairs = append(pairs, [2]int{i, j})
		case table[i-1][j] > table[i][j-1]:
			i--
		default:
			j--
		}
	}
	return pairs
}

func TestLCSAgainstModel(t *testing.T) {
	text := func(most int) *rapid.Generator[[]byte] {
		return rapid.SliceOfN(rapid.SampledFrom([]byte("abc\x00\xff")), 0, most)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := text(200).Draw(t, "a"), text(200).Draw(t, "b")
		want := lcsModel(a, b)
		var got [][2]int
		require.Equal(t, len(want), lcsWalk(a, b, func(i, j int) { got = append(got, [2]int{i, j}) }))
		require.Equal(t, want, got)
		require.Equal(t, len(want), lcsLength(a, b))
	})
}

func TestLCSRanges(t *testing.T) {
	a, b := []byte("ohmytext"), []byte("mynewtext")
	ranges, total := lcsRanges(a, b, 0)
	require.Equal(t, []lcsRange{{4, 5, 4}, {2, 0, 2}}, ranges)
	require.Equal(t, 6, total)

	ranges, total = lcsRanges(a, b, 4)
	require.Equal(t, []lcsRange{{4, 5, 4}}, ranges)
	require.Equal(t, 6, total)
	require.Equal(t, "mytext", string(lcsString(a, b)))
}

// Rows cost at least eight bytes each, so the longer string must be the one that
// lies along them.
func TestLCSMemoryOfUnequalStrings(t *testing.T) {
	long := make([]byte, 1<<20)
	short := []byte{0}
	for _, pair := range [][2][]byte{{long, short}, {short, long}} {
		a, b := pair[0], pair[1]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		lcsWalk(a, b, func(int, int) {})
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
	}
}
