package store

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory that a block takes over has been somebody else's: what of it the block does not fill
// must not show.
func TestALargeBlockShowsNothingOfOthers(t *testing.T) {
	for _, size := range []int{1 << 10, maxSmall, maxSmall + 1, 1 << 20} {
		dirt := bytes.Repeat([]byte{0xFF}, size)
		for range 8 {
			newBlock([]byte("before"), value{kind: kindStr, str: dirt}, 0)
		}
		runtime.GC()
		b := newBlock([]byte("key"), value{kind: kindRaw, str: []byte("start"), room: size, expireAt: 7}, 3)
		require.Equal(t, "key", string(b.key()))
		require.Equal(t, append([]byte("start"), make([]byte, size-5)...), b.str())
		require.EqualValues(t, 7, b.expiry().Load())
		require.EqualValues(t, 3, b.clock.Load())
		require.Zero(t, b.epoch)
	}
}
