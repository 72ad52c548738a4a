package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// Durations below 1<<fineBits ns have a bucket each; from there every power of
// two is cut into 1<<fineBits buckets, so that a bucket's bounds are within
// 3.2 % of each other. What is longer than the last bucket counts in it.
const (
	fineBits = 5
	fine     = 1 << fineBits
	topBits  = 37 // the last bucket ends at 1<<topBits ns, about 137 s
	buckets  = (topBits - fineBits + 1) * fine
)

// A Histogram counts durations. The zero value is ready; many may record and
// read at once.
type Histogram struct {
	counts [buckets]atomic.Int64
}

// Record counts one duration in nanoseconds; a negative one counts as 0.
func (h *Histogram) Record(ns int64) { h.counts[bucketOf(ns)].Add(1) }

// recordMany counts n durations, all the same.
func (h *Histogram) recordMany(ns int64, n int) { h.counts[bucketOf(ns)].Add(int64(n)) }

// bucketOf is the bucket that ns falls into.
func bucketOf(ns int64) int {
	if ns < fine {
		return int(max(ns, 0))
	}
	if ns >= 1<<topBits {
		return buckets - 1
	}
	shift := bits.Len64(uint64(ns)) - fineBits - 1
	return shift<<fineBits + int(ns>>shift)
}

// ceiling is the longest duration of a bucket.
func ceiling(bucket int) int64 {
	if bucket < fine {
		return int64(bucket)
	}
	shift := bucket>>fineBits - 1
	return (int64(bucket&(fine-1))+fine+1)<<shift - 1
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() int64 {
	var n int64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Merge adds what the other has recorded.
func (h *Histogram) Merge(other *Histogram) {
	for i := range h.counts {
		if n := other.counts[i].Load(); n != 0 {
			h.counts[i].Add(n)
		}
	}
}

// Percentile returns the duration that p percent of those recorded do not
// exceed, rounded up to its bucket's end; 0 when nothing was recorded.
func (h *Histogram) Percentile(p float64) int64 {
	total := h.Count()
	rank := max(1, int64(math.Ceil(float64(total)*min(p, 100)/100)))
	var seen int64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank {
			return ceiling(i)
		}
	}
	return 0
}

// A Bucket is one line of LATENCY HISTOGRAM: how many durations were at most
// LE microseconds long.
type Bucket struct {
	LE    int64
	Count int64
}

// Cumulative returns the buckets at the powers of two of 1.024 µs, without
// those that add nothing to the one before. LE is the label that Redis gives
// the power: it ends its buckets up to 0.8 % later than we do.
func (h *Histogram) Cumulative() []Bucket {
	var list []Bucket
	var seen, shown int64
	next := 0
	for end := int64(1024); next < buckets; end *= 2 {
		for next < buckets && ceiling(next) < end {
			seen += h.counts[next].Load()
			next++
		}
		if seen > shown {
			list = append(list, Bucket{LE: (end + end/128 - 1) / 1000, Count: seen})
			shown = seen
		}
	}
	return list
}
