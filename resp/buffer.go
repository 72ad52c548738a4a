package resp

import (
	"sync"

	"github.com/ferricd/ferricd/internal/invariants"
)

// Buffers are borrowed while there is something to read or to send and given
// back when the client is waited for, so that an idle connection holds none.
// There are pools for a few sizes; what is smaller or much larger is left to
// the garbage collector.
const (
	minBuffer = 4 << 10
	maxBuffer = 1 << 20 // kept in a pool
	maxHint   = 64 << 10
)

type buffer struct{ b []byte }

var bufferPools [5]sync.Pool // 4 KiB, 16 KiB, 64 KiB, 256 KiB, 1 MiB

// getBuffer returns an empty buffer with room for at least n bytes.
func getBuffer(n int) *buffer {
	size := minBuffer
	for i := range bufferPools {
		if n <= size {
			if p, ok := bufferPools[i].Get().(*buffer); ok {
				return p
			}
			return &buffer{make([]byte, 0, size)}
		}
		size *= 4
	}
	return &buffer{make([]byte, 0, n)}
}

// free gives p back. Nobody may look at its bytes from then on.
func (p *buffer) free() {
	if cap(p.b) < minBuffer || cap(p.b) > 2*maxBuffer {
		return
	}
	if invariants.Enabled { // an argument that was kept without a copy shows
		for i := range p.b {
			p.b[i] = 0xDB
		}
	}
	p.b = p.b[:0]
	i := 0
	for size := 4 * minBuffer; i < len(bufferPools)-1 && cap(p.b) >= size; size *= 4 {
		i++
	}
	bufferPools[i].Put(p)
}

// A sizeHint remembers what a connection needs, to borrow the right size next
// time. It goes up at once and down slowly.
type sizeHint struct{ n int }

func (h *sizeHint) used(n int) {
	if n >= h.n {
		h.n = min(n, maxHint)
	} else {
		h.n -= (h.n - n) / 8
	}
}
