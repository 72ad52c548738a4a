package store

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBufferModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "first")
		b, m := NewBuffer(first), bytes.Clone(first)
		clear(first) // the buffer has its own copy
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.Equal(t, m, b.View())
				require.Equal(t, len(m), b.Len())
				require.Equal(t, int64(bufferOverhead+cap(b.b)), b.Bytes())
			},
			"append": func(t *rapid.T) {
				data := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "data")
				b.Append(data)
				m = append(m, data...)
			},
			"write": func(t *rapid.T) {
				off := rapid.IntRange(0, len(m)+3000).Draw(t, "off")
				data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
				b.WriteAt(off, data)
				if grow := off + len(data) - len(m); grow > 0 && len(data) > 0 {
					m = append(m, make([]byte, grow)...)
				}
				if len(data) > 0 {
					copy(m[off:], data)
				}
			},
			"clone": func(t *rapid.T) {
				c := b.Clone().(*Buffer)
				require.Equal(t, m, c.View())
				c.WriteAt(0, []byte("another"))
			},
		})
	})
}

// A buffer that grows by a byte at a time is copied seldom and wastes little.
func TestBufferGrowth(t *testing.T) {
	b := NewBuffer(make([]byte, 1000))
	moves, last := 0, cap(b.b)
	for b.Len() < 4<<20 {
		b.Append([]byte("0123456789"))
		if cap(b.b) != last {
			moves, last = moves+1, cap(b.b)
			part := b.Len() / 4
			if b.Len() > bufferSmall {
				part = b.Len() / 8
			}
			// The allocator rounds up, beyond 32 KB to pages of 8 KB.
			if cap(b.b) > 32<<10 {
				part += 8192
			} else {
				part += b.Len() / 4
			}
			require.LessOrEqual(t, cap(b.b)-b.Len(), part)
		}
	}
	require.Less(t, moves, 70)
}

func BenchmarkBufferAppend(b *testing.B) {
	v := []byte("sixteen bytes...")
	b.ReportAllocs()
	buf := NewBuffer(v)
	for b.Loop() {
		if buf.Len() > 16<<20 {
			buf = NewBuffer(v)
		}
		buf.Append(v)
	}
}
