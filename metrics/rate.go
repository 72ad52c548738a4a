package metrics

import (
	"sync"
	"time"
)

const rateSamples = 16

// A Rate tells how fast a total grows at present: the mean of its last 16
// samples. Whoever samples it decides how long that is; at one every 100 ms it
// is 1.6 s, as in Redis.
type Rate struct {
	mu      sync.Mutex
	last    int64
	at      time.Time
	samples [rateSamples]int64 // per second
	next    int
}

// Sample notes what the total is now. The first sample only gives the start.
func (r *Rate) Sample(now time.Time, total int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	grown, took := total-r.last, now.Sub(r.at)
	begun := !r.at.IsZero()
	r.last, r.at = total, now
	if !begun {
		return
	}
	perSecond := int64(0)
	if grown > 0 && took > 0 { // the total may have been reset
		perSecond = int64(float64(grown) / took.Seconds())
	}
	r.samples[r.next] = perSecond
	r.next = (r.next + 1) % rateSamples
}

// PerSecond is the present rate.
func (r *Rate) PerSecond() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum int64
	for _, s := range r.samples {
		sum += s
	}
	return sum / rateSamples
}

// Reset forgets the samples.
func (r *Rate) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at, r.samples = 0, time.Time{}, [rateSamples]int64{}
}
