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
	maxBuffer = 1<<20 + minBuffer // kept in a pool: a value of 1 MiB and what is around it
	maxHint   = 64 << 10
)

type buffer struct{ b []byte }

var bufferSizes = [...]int{minBuffer, 16 << 10, 64 << 10, 256 << 10, maxBuffer}

var bufferPools [len(bufferSizes)]sync.Pool

// getBuffer returns an empty buffer with room for at least n bytes.
func getBuffer(n int) *buffer {
	for i, size := range bufferSizes {
		if n <= size {
			if p, ok := bufferPools[i].Get().(*buffer); ok {
				return p
			}
			return &buffer{make([]byte, 0, size)}
		}
	}
	return &buffer{make([]byte, 0, n)}
}

// free gives p back. Nobody may look at its bytes from then on.
func (p *buffer) free() {
	if cap(p.b) < minBuffer || cap(p.b) > 2*maxBuffer {
		return
	}
	p.clear()
	i := len(bufferSizes) - 1
	for cap(p.b) < bufferSizes[i] {
		i--
	}
	bufferPools[i].Put(p)
}

func (p *buffer) clear() {
	if invariants.Enabled { // an argument that was kept without a copy shows
		for i := range p.b {
			p.b[i] = 0xDB
		}
	}
	p.b = p.b[:0]
}

// A sizeHint remembers what a connection needs, to borrow the right size next
// time. It goes up at once and down slowly.
type sizeHint struct{ n int32 }

func (h *sizeHint) used(used int) {
	if n := int32(min(used, maxHint)); n >= h.n {
		h.n = n
	} else {
		h.n -= (h.n - n) / 8
	}
}
