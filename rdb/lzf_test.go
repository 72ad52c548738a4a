package rdb

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChecksum(t *testing.T) {
	require.Equal(t, uint64(0xe9c6d914c4b8d9ca), checksum(0, []byte("123456789")))
	require.Equal(t, uint64(0xe9c6d914c4b8d9ca), checksum(checksum(0, []byte("1234")), []byte("56789")))
}

// The tail of an element of a listpack grows where Redis lets it grow.
func TestListpackTails(t *testing.T) {
	for _, x := range []struct{ size, want int }{
		{1, 1}, {127, 1}, {128, 2}, {16382, 2}, {16383, 3}, {2097150, 3}, {2097151, 4}, {268435454, 4}, {268435455, 5}, {1 << 31, 5},
	} {
		require.Len(t, appendTail(nil, x.size), x.want, x.size)
	}
}

// FuzzLZF: what is uncompressed has the size that was told, or there is an error.
func FuzzLZF(f *testing.F) {
	f.Add([]byte("\x00a\xe0\x00\x00"), 10)
	f.Add([]byte("\x02abc\x40\x02"), 7)
	f.Add([]byte("\x1f"), 32)
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		out, err := lzf(bytes.Repeat([]byte{'?'}, 9), src, uint64(n))
		if err == nil && len(out) != n {
			t.Fatalf("%d bytes, not %d", len(out), n)
		}
		if err == nil && n > lzfMost*len(src) {
			t.Fatalf("%d bytes of %d", n, len(src))
		}
	})
}
