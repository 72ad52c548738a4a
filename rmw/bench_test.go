package rmw

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/ferricd/ferricd/latch"
)

type counter struct{ n int64 }

func (c *counter) Run(bool) Verdict { c.n++; return Done }
func (c *counter) BeforePark()      {}

// BenchmarkFast is a batch of calls that find their latches free.
func BenchmarkFast(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("latches=%d", n), func(b *testing.B) {
			r := start(b, Options{})
			c := newClient(r)
			k := &Call{Owner: c.o, Latches: []latch.ID{7, 300}[:n], Short: n == 1, Work: &counter{}}
			c.p.Enter()
			defer c.p.Leave()
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Run(c.p, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFastSpread is what several connections do on keys of their own.
func BenchmarkFastSpread(b *testing.B) {
	r := start(b, Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c := newClient(r)
		k := &Call{Owner: c.o, Latches: make([]latch.ID, 1), Short: true, Work: &counter{}}
		h := uint64(c.o) << 32
		c.p.Enter()
		defer c.p.Leave()
		for pb.Next() {
			h += 0x9e3779b97f4a7c15
			k.Latches[0] = r.table.ID(h)
			if err := r.Run(c.p, k); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHot is one key that everybody wants; every 16 calls a client takes a
// breath as a connection does between batches.
func BenchmarkHot(b *testing.B) {
	for _, always := range []bool{false, true} {
		for _, clients := range []int{1, 4, 16, 64} {
			b.Run(fmt.Sprintf("queued=%v/clients=%d", always, clients), func(b *testing.B) {
				r := start(b, Options{AlwaysQueue: always})
				w := &counter{}
				b.ReportAllocs()
				b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					c := newClient(r)
					k := &Call{Owner: c.o, Latches: []latch.ID{7}, Short: true, Work: w}
					for i := 1; pb.Next(); i++ {
						if i&15 == 1 {
							c.p.Enter()
						}
						if err := r.Run(c.p, k); err != nil {
							b.Fatal(err)
						}
						if i&15 == 0 {
							c.p.Leave()
							runtime.Gosched()
						}
					}
					c.p.Leave()
				})
				b.StopTimer()
				t := r.Total()
				b.ReportMetric(100*float64(t.Fast)/float64(w.n), "fast%")
				if t.Batches > 0 {
					b.ReportMetric(float64(t.ByCoordinator)/float64(t.Batches), "calls/batch")
				}
			})
		}
	}
}

// BenchmarkGate is what a batch of one pays for its pass.
func BenchmarkGate(b *testing.B) {
	r := start(b, Options{})
	c := newClient(r)
	for b.Loop() {
		c.p.Enter()
		c.p.Leave()
	}
}
