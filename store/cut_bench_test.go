package store

import (
	"testing"
	"time"
)

func BenchmarkPush(b *testing.B) {
	ks := New(Options{})
	var c caller
	key, val := []byte("list"), []byte("element")
	b.ReportAllocs()
	for b.Loop() {
		c.Begin(ks, Claimed, 0, 1e12, c.of(ks, key))
		l, _ := c.EditList(key, true)
		if l.PushBack(val); l.Len() > 100 {
			l.Trim(50, -1)
		}
		c.Publish()
		c.End()
	}
}

// BenchmarkCut is one walk over a million strings; hold is how long a shard's
// mutex was held for a table, at most and on average.
func BenchmarkCut(b *testing.B) {
	ks, keys := loaded(1000000)
	for b.Loop() {
		cut, err := ks.BeginCut(func(*CutKey) {})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := cut.Next(func(*CutKey) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/key")
	cut, err := ks.BeginCut(func(*CutKey) {})
	if err != nil {
		b.Fatal(err)
	}
	defer cut.Abandon()
	var most, sum time.Duration
	tables := 0
	for i := range ks.shards {
		for more := true; more; tables++ {
			start := time.Now()
			more = ks.shards[i].takeTable(cut)
			took := time.Since(start)
			most, sum = max(most, took), sum+took
		}
	}
	b.ReportMetric(float64(most.Nanoseconds()), "max-hold-ns")
	b.ReportMetric(float64(sum.Nanoseconds())/float64(tables), "hold-ns")
}

// BenchmarkBeginCut is how long the gate stays closed for a cut.
func BenchmarkBeginCut(b *testing.B) {
	ks, _ := loaded(100000)
	for b.Loop() {
		cut, err := ks.BeginCut(func(*CutKey) {})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		cut.Abandon()
		b.StartTimer()
	}
}
