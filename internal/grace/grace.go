// Package grace tells when what was taken out of a shared structure can be used
// again, because whoever might still be looking at it has stopped.
//
// Readers wrap what they do in sections. Whoever takes something out notes the number
// of the period; Over periods later every section that had begun by then has ended:
// what is known as quiescence or epoch based reclamation. Nobody waits for anybody:
// while a section goes on, periods stand still and what was taken out stays.
//
// # Why it holds
//
// A section counts itself in one of two counters, that of the period's parity. The next
// period begins when the counter of the last one has been seen at zero, so there are
// two periods with sections at most, and those that begin do not keep the counter that
// is waited for from becoming zero.
//
// Let n be the number that was read after something was taken out. Whoever may hold it
// has counted itself in either counter by then. Period n+1 may have been found possible
// by a look that began before; that of n+2 and that of n+3 are looked for afterwards,
// and each sees another counter at zero. A section that has read the number long before
// it counts itself, and so counts itself in the wrong counter, is waited for all the
// same. testdata/grace.pml is this as a model.
package grace

import "sync/atomic"

// Over is how many periods later what was taken out is nobody's.
const Over = 3

// Periods are what the sections of one structure share.
type Periods struct {
	now     atomic.Uint64
	wanted  atomic.Bool
	every   uint32 // sections of a stripe from one look at all stripes to the next
	stripes []stripe
}

// A stripe is a pair of cache lines, which the processor fetches together.
type stripe struct {
	in    [2]atomic.Int64
	ended atomic.Uint32
	_     [128 - 20]byte
}

// stripesPerLook is how many stripes one ended section looks at, on average.
const stripesPerLook = 4

// New returns periods whose sections count themselves in so many stripes: about one
// per processor.
func New(stripes int) *Periods {
	return &Periods{every: uint32((stripes + stripesPerLook - 1) / stripesPerLook), stripes: make([]stripe, stripes)}
}

// A Section is one that has begun.
type Section struct {
	p      *Periods
	s      *stripe
	parity uint8
}

// Begin begins a section. It counts itself in that stripe: those that begin at the same
// time had better name different ones.
func (p *Periods) Begin(number int) Section {
	s := &p.stripes[number%len(p.stripes)]
	parity := uint8(p.now.Load() & 1)
	s.in[parity].Add(1)
	return Section{p, s, parity}
}

// End ends it, once.
func (c Section) End() {
	c.s.in[c.parity].Add(-1)
	if c.p.wanted.Load() && c.s.ended.Add(1)%c.p.every == 0 {
		c.p.advance()
	}
}

// Now is the number of the period.
func (p *Periods) Now() uint64 { return p.now.Load() }

// Want asks for another period, as soon as that is possible. Without it none begins.
func (p *Periods) Want() {
	if !p.wanted.Load() {
		p.wanted.Store(true)
	}
}

func (p *Periods) advance() {
	now := p.now.Load()
	last := (now + 1) & 1
	for i := range p.stripes {
		if p.stripes[i].in[last].Load() != 0 {
			return
		}
	}
	p.wanted.Store(false)
	p.now.CompareAndSwap(now, now+1)
}
