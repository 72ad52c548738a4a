package metrics

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

// cacheLines is what two counters must lie apart so that neither slows the
// other: two lines, since processors fetch them in pairs.
const cacheLines = 128

// A Counter is a sum that many add to and few read.
type Counter struct {
	cells []cell
}

type cell struct {
	n atomic.Int64
	_ [cacheLines - 8]byte
}

// NewCounter returns a counter at 0.
func NewCounter() *Counter { return &Counter{cells: make([]cell, stripes(64))} }

// stripes is how many cells keep the cores out of each other's way.
func stripes(most int) int {
	return min(most, 1<<bits.Len(uint(2*runtime.GOMAXPROCS(0)-1)))
}

// Inc adds 1 for the caller with this id.
func (c *Counter) Inc(id uint64) { c.Add(id, 1) }

// Add adds n for the caller with this id.
func (c *Counter) Add(id uint64, n int64) { c.cells[id&uint64(len(c.cells)-1)].n.Add(n) }

// AddSome is Add for who nearly always adds nothing, which then costs next to nothing.
func (c *Counter) AddSome(id uint64, n int64) {
	if n != 0 {
		c.Add(id, n)
	}
}

// Load returns the sum.
func (c *Counter) Load() int64 {
	var sum int64
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}

// Reset sets the sum to 0; what is added meanwhile may count or not.
func (c *Counter) Reset() {
	for i := range c.cells {
		c.cells[i].n.Store(0)
	}
}
