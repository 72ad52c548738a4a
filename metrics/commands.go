package metrics

import "sync/atomic"

// Commands counts the calls of every command, by its row in the table.
type Commands struct {
	untracked atomic.Bool // latency-tracking no
	rejected  []atomic.Int64
	cells     [][]atomic.Pointer[calls] // by stripe and row; nil until the first call
}

// calls is what one stripe knows of one command. How often it was called is the
// histogram's count and plain together, which saves an addition per call.
type calls struct {
	nanos  atomic.Int64
	failed atomic.Int64
	plain  atomic.Int64 // calls that the histogram does not have
	took   Histogram
}

// CommandStats are the numbers of one command.
type CommandStats struct {
	Calls    int64
	Usec     int64 // all calls together
	Rejected int64 // refused before they ran
	Failed   int64 // ran and answered an error
}

// UsecPerCall is the average duration.
func (s CommandStats) UsecPerCall() float64 {
	if s.Calls == 0 {
		return 0
	}
	return float64(s.Usec) / float64(s.Calls)
}

// NewCommands counts for that many rows.
func NewCommands(rows int) *Commands {
	c := &Commands{rejected: make([]atomic.Int64, rows), cells: make([][]atomic.Pointer[calls], stripes(16))}
	for i := range c.cells {
		c.cells[i] = make([]atomic.Pointer[calls], rows)
	}
	return c
}

// Record counts a call by the client with this id, which took so many
// nanoseconds.
func (c *Commands) Record(id uint64, row int, took int64, failed bool) {
	p := &c.cells[id&uint64(len(c.cells)-1)][row]
	k := p.Load()
	if k == nil {
		k = first(p)
	}
	k.nanos.Add(took)
	if failed {
		k.failed.Add(1)
	}
	if c.untracked.Load() {
		k.plain.Add(1)
		return
	}
	k.took.Record(took)
}

// RecordRun counts n calls of which failed answered an error, and which together took
// so many nanoseconds: each counts for its share.
func (c *Commands) RecordRun(id uint64, row, n int, took int64, failed int) {
	p := &c.cells[id&uint64(len(c.cells)-1)][row]
	k := p.Load()
	if k == nil {
		k = first(p)
	}
	k.nanos.Add(took)
	if failed > 0 {
		k.failed.Add(int64(failed))
	}
	if c.untracked.Load() {
		k.plain.Add(int64(n))
		return
	}
	k.took.recordMany(took/int64(n), n)
}

// first makes a row's cell, or finds the one that somebody else has just made.
func first(p *atomic.Pointer[calls]) *calls {
	fresh := new(calls)
	if p.CompareAndSwap(nil, fresh) {
		return fresh
	}
	if k := p.Load(); k != nil {
		return k
	}
	return fresh // a reset came between: this call counts for the time before it
}

// Reject counts a call that was refused before it ran.
func (c *Commands) Reject(row int) { c.rejected[row].Add(1) }

// TrackLatency says whether calls are entered in the histograms, as they are at
// first.
func (c *Commands) TrackLatency(on bool) { c.untracked.Store(!on) }

// Rows is how many rows there are.
func (c *Commands) Rows() int { return len(c.rejected) }

// Stats returns the numbers of a row.
func (c *Commands) Stats(row int) CommandStats {
	s := CommandStats{Rejected: c.rejected[row].Load()}
	for i := range c.cells {
		if k := c.cells[i][row].Load(); k != nil {
			s.Calls += k.plain.Load() + k.took.Count()
			s.Usec += k.nanos.Load()
			s.Failed += k.failed.Load()
		}
	}
	s.Usec /= 1000
	return s
}

// Latency returns the histogram of a row, or nil when it has no calls.
func (c *Commands) Latency(row int) *Histogram {
	var sum *Histogram
	for i := range c.cells {
		if k := c.cells[i][row].Load(); k != nil {
			if sum == nil {
				sum = new(Histogram)
			}
			sum.Merge(&k.took)
		}
	}
	if sum == nil || sum.Count() == 0 {
		return nil
	}
	return sum
}

// Reset forgets all calls; those that are being recorded may be forgotten too.
func (c *Commands) Reset() {
	for row := range c.rejected {
		c.rejected[row].Store(0)
		for i := range c.cells {
			c.cells[i][row].Store(nil)
		}
	}
}
