package bench

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ferricd/ferricd/metrics"
)

// The default of a second each would be more than go test's ten minutes.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.benchtime" })
	if !chosen {
		_ = flag.Set("test.benchtime", "200ms")
	}
	os.Exit(m.Run())
}

func BenchmarkINCR(b *testing.B)   { contend(b, "INCR") }
func BenchmarkAPPEND(b *testing.B) { contend(b, "APPEND") }
func BenchmarkGETSET(b *testing.B) { contend(b, "GETSET") }
func BenchmarkLPUSH(b *testing.B)  { contend(b, "LPUSH") }
func BenchmarkLMOVE(b *testing.B)  { contend(b, "LMOVE") }

func contend(b *testing.B, name string) {
	op := &operations[slices.IndexFunc(operations, func(o operation) bool { return o.name == name })]
	for _, kind := range []string{"hot", "zipf", "uniform"} {
		sequence := order(kind)
		for _, clients := range []int{1, 4, 16, 64} {
			for _, sys := range systems {
				b.Run(fmt.Sprintf("%s/clients=%d/%s", kind, clients, sys.name), func(b *testing.B) {
					s := sys.open()
					defer s.stop()
					measure(b, s, op, sequence, clients)
				})
			}
		}
	}
}

// result is what one client has come to.
type result struct {
	calls int64
	hist  metrics.Histogram
	err   error
	_     [64]byte
}

func measure(b *testing.B, s system, op *operation, sequence []int32, clients int) {
	all := names(keys)
	if err := fill(s, op, all); err != nil {
		b.Fatal(err)
	}
	before := s.stats()
	results := make([]result, clients)
	var taken atomic.Int64 // calls given out, a batch at a time
	var ready, ended sync.WaitGroup
	start := make(chan struct{})
	for i := range results {
		ready.Add(1)
		ended.Go(func() {
			c, src := s.client(), newSource(op, all, sequence, i)
			defer c.close()
			c.breathe()
			ready.Done()
			<-start
			for results[i].err == nil {
				n := min(int64(b.N)-taken.Add(batch)+batch, batch)
				if n <= 0 {
					return
				}
				results[i].run(c, src, n)
			}
		})
	}
	ready.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	used := cpuTime()
	close(start)
	ended.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
	report(b, results)
	after := s.stats()
	if total := float64(b.N); after.Fast+after.Slow+after.ProbeWon > 0 {
		b.ReportMetric(100*float64(after.Fast-before.Fast)/total, "fast%")
		b.ReportMetric(100*float64(after.Slow-before.Slow)/total, "line%")
	}
}

// cpuTime is what this process has used of the processors: unlike ns/op it does
// not tell what else the machine was doing.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill makes the keys that the operation needs.
func fill(s system, op *operation, all [][]byte) error {
	c := s.client()
	defer c.close()
	for _, k := range all {
		args := argv([]string{"DEL"}, k)
		if op.before != nil {
			args = argv(op.before, k)
		}
		if _, err := c.do(args); err != nil {
			return err
		}
	}
	return nil
}

// run makes n calls and takes a breath.
func (r *result) run(c client, src *source, n int64) {
	for range n {
		args := src.next()
		if r.calls++; r.calls%7 != 0 {
			if _, err := c.do(args); err != nil {
				r.err = err
				return
			}
			continue
		}
		start := time.Now()
		_, err := c.do(args)
		r.hist.Record(int64(time.Since(start)))
		if err != nil {
			r.err = err
			return
		}
	}
	c.breathe()
}

func report(b *testing.B, results []result) {
	var hist metrics.Histogram
	slowest, fastest := results[0].calls, results[0].calls
	for i := range results {
		if results[i].err != nil {
			b.Fatal(results[i].err)
		}
		hist.Merge(&results[i].hist)
		slowest, fastest = min(slowest, results[i].calls), max(fastest, results[i].calls)
	}
	b.ReportMetric(float64(hist.Percentile(99)), "p99-ns")
	b.ReportMetric(float64(hist.Percentile(99.9)), "p99.9-ns")
	if fastest > 0 {
		b.ReportMetric(float64(slowest)/float64(fastest), "fair")
	}
}
