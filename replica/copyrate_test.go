package replica

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestCopyRate: over any time as much goes as the rate allows, but for one message
// and what is made up for; and who waits as told does not wait again.
func TestCopyRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 1<<32).Draw(t, "rate")
		var c copyRate
		start := time.Unix(1, 0)
		now, gone, last := start, int64(0), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "messages") {
			n := rapid.Int64Range(1, maxChunk).Draw(t, "bytes")
			for {
				wait := c.take(n, rate, now)
				if wait == 0 {
					break
				}
				now = now.Add(wait)
			}
			gone, last = gone+n, n
			allowed := now.Sub(start).Seconds() + copyLate.Seconds()
			require.LessOrEqual(t, float64(gone-last), allowed*float64(rate)*1.001+1)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
		}
	})
	// It is not much slower either, with timers that are late.
	var c copyRate
	now := time.Unix(1, 0)
	for gone := 0; gone < 1000; gone++ {
		for wait := c.take(1000, 1_000_000, now); wait > 0; wait = c.take(1000, 1_000_000, now) {
			now = now.Add(wait + 5*time.Millisecond)
		}
	}
	require.InDelta(t, 1, now.Sub(time.Unix(1, 0)).Seconds(), 0.1)
	require.Zero(t, c.take(1<<30, 0, now), "no bound")
	require.Zero(t, c.take(1, 1, now), "what went without a bound is not owed")
}

// TestACopyWaitsForItsRate: a copy that may not go on waits, takes up a new rate, and
// ends at once with the leadership.
func TestACopyWaitsForItsRate(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	var rate atomic.Int64
	rate.Store(1)
	h, addr := hub(t, a, 7, HubOptions{CopyRate: rate.Load})
	a.awaits(a.write(6000, 300))
	require.NoError(t, a.current().DropBefore(5000))
	begun := make(chan struct{}, 1<<10)
	o := options(b, addr)
	o.OnState = func(p Progress) {
		if p.CopyDone > 0 {
			begun <- struct{}{}
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- Follow(context.Background(), o) }()
	soon(t, begun, "the first bytes")
	require.Less(t, h.Followers()[0].CopyDone, h.Followers()[0].CopyTotal)
	h.Resign("maintenance", "")
	var bye *GoodbyeError
	require.ErrorAs(t, soon(t, ended, "the goodbye"), &bye)
	require.Zero(t, b.copies)

	h.Lead(7, a)
	_ = begins(t, options(b, addr))
	require.Eventually(t, func() bool {
		list := h.Followers()
		return len(list) == 1 && list[0].State == Copying
	}, patience, time.Millisecond)
	rate.Store(0)
	b.awaits(a.write(1, 1))
	require.Equal(t, 1, b.copies)
}
