package grace

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// pass begins and ends sections until the period is n, and tells whether it became so.
func pass(p *Periods, n uint64) bool {
	for range 400 {
		if p.Now() >= n {
			return true
		}
		p.Want()
		p.Begin(0).End()
	}
	return false
}

func TestPeriodsPassWhenTheyAreWanted(t *testing.T) {
	for _, stripes := range []int{1, 2, 64} {
		p := New(stripes)
		for range 1000 {
			p.Begin(0).End()
		}
		require.Zero(t, p.Now(), "nobody wants another")
		require.True(t, pass(p, 10), "%d stripes", stripes)
	}
}

func TestASectionIsWaitedFor(t *testing.T) {
	for _, stripes := range []int{1, 2, 3} {
		p := New(stripes)
		require.True(t, pass(p, 5))
		s := p.Begin(stripes - 1)
		out := p.Now() // it may hold what was taken out now
		require.False(t, pass(p, out+Over))
		require.Less(t, p.Now(), out+Over)
		other := p.Begin(0)
		s.End()
		require.False(t, pass(p, p.Now()+Over), "of the other")
		other.End()
		require.True(t, pass(p, out+Over))
	}
}

// TestLateSections counts itself in the counter that its number says after others have
// moved on: it is waited for whatever the number.
func TestLateSections(t *testing.T) {
	for _, behind := range []uint64{0, 1, 2, 3} {
		p := New(2)
		require.True(t, pass(p, 8))
		s := Section{p, &p.stripes[0], uint8((p.Now() - behind) & 1)}
		s.s.in[s.parity].Add(1)
		out := p.Now()
		require.False(t, pass(p, out+Over), "%d periods behind", behind)
		s.End()
		require.True(t, pass(p, out+Over))
	}
}

// TestNobodySeesWhatIsUsedAgain has readers look at a cell, and writers replace it and
// use the old one again when its time has come. The race detector sees what the reader
// might not.
func TestNobodySeesWhatIsUsedAgain(t *testing.T) {
	type cell struct{ a, b int }
	type old struct {
		c     *cell
		since uint64
	}
	p := New(2)
	var place atomic.Pointer[cell]
	place.Store(&cell{})
	var reads, reused atomic.Int64
	var readers, wg sync.WaitGroup
	var over atomic.Bool
	for i := range 3 {
		readers.Go(func() {
			for !over.Load() {
				s := p.Begin(i)
				c := place.Load()
				a := c.a
				runtime.Gosched()
				if a != c.a || a != c.b {
					t.Error("a cell has changed under its reader")
					over.Store(true)
				}
				s.End()
				reads.Add(1)
			}
		})
	}
	wg.Go(func() {
		var stale []old
		for n := 1; n <= 20000 && !over.Load(); n++ {
			s := p.Begin(n)
			c := new(cell)
			if len(stale) > 0 && p.Now() >= stale[0].since+Over {
				c, stale = stale[0].c, stale[1:]
				reused.Add(1)
			} else {
				p.Want()
			}
			c.a, c.b = n, n
			stale = append(stale, old{place.Swap(c), 0})
			stale[len(stale)-1].since = p.Now()
			s.End()
			if n%8 == 0 {
				runtime.Gosched()
			}
		}
	})
	wg.Wait()
	over.Store(true)
	readers.Wait()
	require.Positive(t, reads.Load())
	require.Greater(t, reused.Load(), int64(100), "nothing was used again")
}

func BenchmarkSection(b *testing.B) {
	p := New(runtime.GOMAXPROCS(0))
	var n atomic.Int32
	b.RunParallel(func(pb *testing.PB) {
		i := int(n.Add(1))
		for pb.Next() {
			p.Begin(i).End()
		}
	})
}
