package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// together runs fn in n goroutines and waits for them.
func together(n int, fn func(id uint64)) {
	var all sync.WaitGroup
	for id := range n {
		all.Go(func() { fn(uint64(id)) })
	}
	all.Wait()
}

func TestCounterLosesNothing(t *testing.T) {
	c := NewCounter()
	together(9, func(id uint64) {
		for range 1000 {
			c.Inc(id)
			c.Add(math.MaxUint64-id, 2)
		}
	})
	require.EqualValues(t, 27000, c.Load())
	c.Reset()
	require.Zero(t, c.Load())
	c.Add(3, -5)
	require.EqualValues(t, -5, c.Load())
}

func TestStripesArePowersOfTwo(t *testing.T) {
	for _, most := range []int{1, 16, 64} {
		n := stripes(most)
		require.Equal(t, 0, n&(n-1))
		require.LessOrEqual(t, n, most)
		require.Positive(t, n)
	}
}

func TestEveryDurationHasItsBucket(t *testing.T) {
	require.Equal(t, buckets-1, bucketOf(1<<topBits-1))
	require.Equal(t, buckets-1, bucketOf(math.MaxInt64))
	require.Equal(t, 0, bucketOf(0))
	require.Equal(t, 0, bucketOf(math.MinInt64))
	require.EqualValues(t, 1<<topBits-1, ceiling(buckets-1))
	for b := range buckets - 1 {
		require.Equal(t, b, bucketOf(ceiling(b)))
		require.Equal(t, b+1, bucketOf(ceiling(b)+1))
	}
}

func TestPercentileIsWithinABucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 200).Draw(t, "ns")
		p := rapid.Float64Range(0, 100).Draw(t, "p")
		var h, a, b Histogram
		for i, v := range values {
			h.Record(v)
			[]*Histogram{&a, &b}[i%2].Record(v)
		}
		slices.Sort(values)
		rank := max(1, int(math.Ceil(float64(len(values))*p/100)))
		want := min(values[rank-1], 1<<topBits-1)
		got := h.Percentile(p)
		if got < want || float64(got) > float64(want)*(1+1./fine)+1 {
			t.Fatalf("p%v of %v: %d, want %d", p, values, got, want)
		}
		a.Merge(&b)
		if a.Percentile(p) != got || a.Count() != int64(len(values)) {
			t.Fatalf("merged: p%v %d, want %d", p, a.Percentile(p), got)
		}
	})
	require.Zero(t, new(Histogram).Percentile(99))
}

func TestCumulativeBuckets(t *testing.T) {
	var h Histogram
	require.Empty(t, h.Cumulative())
	for _, us := range []int64{0, 1, 3, 3, 20, 5000, 2000000} {
		h.Record(us * 1000)
	}
	require.Equal(t, []Bucket{{1, 2}, {4, 4}, {33, 5}, {8454, 6}, {2164260, 7}}, h.Cumulative())

	// The labels are those of redis-server.
	h = Histogram{}
	for i := range 16 {
		h.Record(1000 << i)
	}
	var labels []int64
	for i, b := range h.Cumulative() {
		require.EqualValues(t, i+1, b.Count)
		labels = append(labels, b.LE)
	}
	require.Equal(t, []int64{1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816}, labels)

	h.Record(math.MaxInt64)
	last := h.Cumulative()
	require.EqualValues(t, 17, last[len(last)-1].Count)
}

func TestCommandsCountByRow(t *testing.T) {
	c := NewCommands(3)
	require.Equal(t, 3, c.Rows())
	require.Nil(t, c.Latency(0))
	together(8, func(id uint64) {
		for i := range 1000 {
			c.Record(id, 1, 2500, i%10 == 0)
		}
		c.Reject(1)
		c.Reject(2)
	})
	require.Equal(t, CommandStats{Calls: 8000, Usec: 20000, Rejected: 8, Failed: 800}, c.Stats(1))
	require.Equal(t, CommandStats{Rejected: 8}, c.Stats(2))
	require.Equal(t, CommandStats{}, c.Stats(0))
	require.InDelta(t, 2.5, c.Stats(1).UsecPerCall(), 1e-9)
	require.Zero(t, c.Stats(2).UsecPerCall())
	require.EqualValues(t, 8000, c.Latency(1).Count())
	require.Nil(t, c.Latency(2))

	c.TrackLatency(false)
	c.Record(1, 1, 2500, false)
	c.Record(1, 2, 2500, false)
	require.EqualValues(t, 8001, c.Stats(1).Calls)
	require.EqualValues(t, 8000, c.Latency(1).Count())
	require.EqualValues(t, 1, c.Stats(2).Calls)
	require.Nil(t, c.Latency(2))

	c.TrackLatency(true)
	c.Reset()
	for row := range 3 {
		require.Equal(t, CommandStats{}, c.Stats(row))
	}
	c.Record(1, 1, 1000, false)
	require.Equal(t, CommandStats{Calls: 1, Usec: 1}, c.Stats(1))
}

// Calls that were timed together count as if each had taken its share.
func TestCommandsCountARun(t *testing.T) {
	c, each := NewCommands(2), NewCommands(2)
	for row := range 2 {
		c.TrackLatency(row == 0)
		each.TrackLatency(row == 0)
		c.RecordRun(1, row, 4, 10_000, 1)
		for i := range 4 {
			each.Record(1, row, 2500, i == 0)
		}
		require.Equal(t, each.Stats(row), c.Stats(row))
		require.Equal(t, each.Latency(row), c.Latency(row))
	}
}

func TestCommandsMayBeResetAndReadMeanwhile(t *testing.T) {
	c := NewCommands(2)
	together(4, func(id uint64) {
		for i := range 500 {
			c.Record(id, i%2, 100, true)
			if id == 0 {
				c.Reset()
			}
			if id == 1 {
				c.Latency(0)
				s := c.Stats(0)
				require.LessOrEqual(t, s.Calls, int64(1000))
			}
		}
	})
}

func TestRecordingAllocatesNothing(t *testing.T) {
	c, k, e := NewCommands(1), NewCounter(), NewErrors()
	c.Record(7, 0, 1, false)
	e.Add("ERR")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Record(7, 0, 12345, true)
		c.Reject(0)
		k.Inc(7)
		e.Add("ERR")
	}))
}

func TestErrorsAreToldApartUpToABound(t *testing.T) {
	e := NewErrors()
	require.Same(t, e.insert("ERR"), e.insert("ERR"), "two that found no count at the same time")
	together(4, func(id uint64) {
		for i := range 200 {
			e.Add("ERR")
			e.Add(fmt.Sprintf("CODE%03d", i))
		}
	})
	all := e.All()
	require.Len(t, all, MaxErrorCodes)
	require.True(t, slices.IsSortedFunc(all, func(a, b ErrorCount) int { return strings.Compare(a.Code, b.Code) }))
	require.Contains(t, all, ErrorCount{"ERR", 800})
	require.EqualValues(t, 1600, e.Total())
	var sum int64
	for _, c := range all {
		sum += c.Count
	}
	require.Equal(t, e.Total(), sum+e.Overflow())
	require.Positive(t, e.Overflow())

	e.Reset()
	require.Empty(t, e.All())
	require.Zero(t, e.Total()+e.Overflow())
	e.Add("OOM")
	require.Equal(t, []ErrorCount{{"OOM", 1}}, e.All())
}

func TestRateIsTheMeanOfSixteenSamples(t *testing.T) {
	var r Rate
	now := time.Unix(1000, 0)
	total := int64(5_000_000)
	r.Sample(now, total) // what was before is not a rate
	require.Zero(t, r.PerSecond())
	step := func(grow int64) {
		now, total = now.Add(100*time.Millisecond), total+grow
		r.Sample(now, total)
	}
	step(160)
	require.EqualValues(t, 100, r.PerSecond())
	for range 15 {
		step(160)
	}
	require.EqualValues(t, 1600, r.PerSecond())
	step(0)
	require.EqualValues(t, 1500, r.PerSecond())
	total = -10 // reset by CONFIG RESETSTAT
	step(0)
	require.EqualValues(t, 1400, r.PerSecond())
	r.Sample(now, total+1000) // no time has gone by
	require.EqualValues(t, 1300, r.PerSecond())
	r.Reset()
	require.Zero(t, r.PerSecond())
	step(1000)
	require.Zero(t, r.PerSecond())
}

func TestLatencyMonitorKeepsTheLongestOfEachSecond(t *testing.T) {
	m := NewLatencyMonitor()
	at := func(s int64) time.Time { return time.Unix(s, 999) }
	m.Add("fork", at(10), 5)
	m.Add("command", at(10), 100)
	m.Add("command", at(10), 300)
	m.Add("command", at(10), 200)
	m.Add("command", at(12), 50)
	require.Equal(t, []LatencyEvent{
		{"command", LatencySample{12, 50}, 300},
		{"fork", LatencySample{10, 5}, 5},
	}, m.Latest())
	samples, most := m.History("command")
	require.Equal(t, []LatencySample{{10, 300}, {12, 50}}, samples)
	require.EqualValues(t, 300, most)
	require.Equal(t, LatencyAnalysis{Samples: 2, MinMs: 50, MaxMs: 300, AllTimeMs: 300, AvgMs: 175, DeviationMs: 125, PeriodS: 5},
		m.Analyze("command", at(20)))
	require.Equal(t, LatencyAnalysis{}, m.Analyze("none", at(20)))
	samples, _ = m.History("none")
	require.Empty(t, samples)

	require.Equal(t, 1, m.Reset("command", "none"))
	samples, most = m.History("command")
	require.Empty(t, samples)
	require.Zero(t, most)
	require.Equal(t, 1, m.Reset())
	require.Empty(t, m.Latest())
}

func TestLatencyMonitorIsBounded(t *testing.T) {
	m := NewLatencyMonitor()
	for i := range int64(500) {
		m.Add("command", time.Unix(i, 0), 1000-i)
		m.Add("command", time.Unix(i, 0), 1) // the same second
		samples, most := m.History("command")
		require.LessOrEqual(t, len(samples), latencySamples)
		require.Equal(t, LatencySample{i, 1000 - i}, samples[len(samples)-1])
		require.EqualValues(t, 1000, most)
		require.Equal(t, samples[len(samples)-1], m.Latest()[0].Latest)
	}
	samples, _ := m.History("command")
	require.Len(t, samples, latencySamples)
	for i, s := range samples {
		require.EqualValues(t, 340+i, s.Time)
	}
}

func TestSlowLogShortensArguments(t *testing.T) {
	l := NewSlowLog(10)
	long := []byte(strings.Repeat("x", 200))
	args := [][]byte{[]byte("SET"), long, long[:128], long[:129], nil}
	l.Add(time.Unix(5, 0), 77, args, "127.0.0.1:1", "me")
	args[0][0] = '!' // the caller's buffer is used again
	x := strings.Repeat("x", 128)
	require.Equal(t, []SlowEntry{{
		ID: 0, Time: 5, Usec: 77, Addr: "127.0.0.1:1", Name: "me",
		Args: []string{"SET", x + "... (72 more bytes)", x, x + "... (1 more bytes)", ""},
	}}, l.Get(-1))

	for n, want := range map[int]string{32: "x", 33: "... (2 more arguments)", 100: "... (69 more arguments)"} {
		many := make([][]byte, n)
		for i := range many {
			many[i] = []byte("x")
		}
		l.Add(time.Unix(5, 0), 1, many, "", "")
		got := l.Get(1)[0].Args
		require.Len(t, got, 32)
		require.Equal(t, want, got[31])
		require.Equal(t, "x", got[30])
	}
}

func TestSlowLogKeepsTheLatest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, 40).Draw(t, "most")
		l := NewSlowLog(most)
		var model []int64 // newest first
		next := int64(0)
		trim := func() { model = model[:min(len(model), most)] }
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					l.Add(time.Unix(0, 0), next, nil, "", "")
					model = append([]int64{next}, model...)
					next++
				}
				trim()
			},
			"max": func(t *rapid.T) {
				most = rapid.IntRange(-1, 40).Draw(t, "most")
				l.SetMaxLen(most)
				most = max(most, 0)
				trim()
			},
			"reset": func(t *rapid.T) {
				l.Reset()
				model = nil
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), l.Len())
				count := rapid.IntRange(-1, 45).Draw(t, "count")
				want := model
				if count >= 0 {
					want = model[:min(count, len(model))]
				}
				got := l.Get(count)
				require.Len(t, got, len(want))
				for i, e := range got {
					require.Equal(t, want[i], e.ID)
					require.Equal(t, want[i], e.Usec)
				}
			},
		})
	})
}

func TestSlowLogAndMonitorAreForMany(t *testing.T) {
	l, m, r := NewSlowLog(16), NewLatencyMonitor(), new(Rate)
	together(4, func(id uint64) {
		for i := range int64(200) {
			l.Add(time.Unix(i, 0), i, [][]byte{[]byte("PING")}, "", "")
			l.Get(5)
			l.SetMaxLen(int(8 + id*4))
			m.Add("command", time.Unix(i, 0), i)
			m.Latest()
			r.Sample(time.Unix(i, 0), i)
			r.PerSecond()
		}
	})
	require.EqualValues(t, 799, l.Get(1)[0].ID)
}

func BenchmarkRecord(b *testing.B) {
	c := NewCommands(2)
	var ids atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		id := ids.Add(1)
		for ns := int64(0); pb.Next(); ns++ {
			c.Record(id, 1, ns&0xfff, false)
		}
	})
}

func BenchmarkCounter(b *testing.B) {
	c := NewCounter()
	var ids atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		id := ids.Add(1)
		for pb.Next() {
			c.Inc(id)
		}
	})
}
