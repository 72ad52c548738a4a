package replica

import (
	"context"
	"sync"
	"time"
)

// A copyRate bounds what the full copies of all followers together take of the
// leader in a second: its clients need processor and disk more than a newcomer does.
// What is not used is lost, but for copyLate.
type copyRate struct {
	mu   sync.Mutex
	debt float64 // bytes that have gone ahead of their time
	at   time.Time
}

const (
	// copyLook is how long who waits goes without asking for the rate anew: it may
	// have been changed.
	copyLook = time.Second
	// copyLate is what is made up for: timers come late by milliseconds.
	copyLate = 20 * time.Millisecond
)

// take is how long to wait, and then to ask again, before n bytes may go; 0: they may,
// and count as gone. A rate of 0 is no bound.
func (c *copyRate) take(n, rate int64, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rate <= 0 {
		c.debt = 0
		return 0
	}
	perSecond := float64(rate)
	c.debt = max(c.debt-now.Sub(c.at).Seconds()*perSecond, -copyLate.Seconds()*perSecond)
	c.at = now
	if c.debt > 0 {
		seconds := min(c.debt/perSecond, copyLook.Seconds())
		return max(time.Duration(seconds*float64(time.Second)), 1)
	}
	c.debt += float64(n)
	return 0
}

// await returns when n bytes may go, or ctx ends.
func (c *copyRate) await(ctx context.Context, n int64, rate func() int64) error {
	for {
		wait := c.take(n, rate(), time.Now())
		if wait == 0 {
			return context.Cause(ctx)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}
