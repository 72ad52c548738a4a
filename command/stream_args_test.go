package command

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/store"
)

func TestStreamNumbers(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "18446744073709551615": math.MaxUint64, "007": 7, " 5": 5, "\n+5": 5, "-05": math.MaxUint64 - 4, "+0": 0,
	} {
		n, ok := streamNumber([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "-", "+", " ", "-5", "5 ", "0x5", "18446744073709551616", "99999999999999999999", "5a", "+-5"} {
		_, ok := streamNumber([]byte(text))
		require.False(t, ok, text)
	}
}

// Whatever is read as an ID reads the same when it is written as Redis writes it.
func FuzzStreamID(f *testing.F) {
	for _, text := range []string{"1-1", "5", "0-*", "*", "-", "+", "(1-2", "18446744073709551615-18446744073709551615", "007--05", "1\x00-"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, ok := parseStreamID(text, 0)
		if ok {
			again, ok := parseStreamID(id.Append(nil), 9)
			require.True(t, ok)
			require.Equal(t, id, again)
		}
		given, whole, ok := newStreamID(text)
		if ok && !whole {
			require.Zero(t, given.Seq)
		}
		from, _, err := rangeID(text, 0)
		to, _, err2 := rangeID(text, math.MaxUint64)
		require.Equal(t, err, err2)
		if err == nil {
			require.False(t, to.Less(from))
		}
	})
}

// The next ID is always greater than the last, whatever the clock says.
func TestNextStreamID(t *testing.T) {
	for _, last := range []store.StreamID{{}, {Ms: 5, Seq: math.MaxUint64}, {Ms: math.MaxUint64, Seq: 7}, {Ms: 100}} {
		for _, now := range []int64{-1, 0, 5, 6, 1e12} {
			id, err := nextStreamID(last, store.StreamID{}, true, false, now)
			require.NoError(t, err)
			require.True(t, last.Less(id), "%v %v", last, id)
		}
	}
	_, err := nextStreamID(store.MaxStreamID, store.StreamID{}, true, false, 1)
	require.Equal(t, ErrStreamFull, err)
}
