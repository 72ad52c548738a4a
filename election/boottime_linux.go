package election

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// bootNanos is a clock that goes on while the machine is suspended, as the clock of
// the machine that etcd runs on does. Go's own monotonic clock stands still.
//
// It is read for each batch of replies, and asking the kernel for CLOCK_BOOTTIME may
// cost as much as sending one. What it differs by from the monotonic clock changes only
// when the machine was suspended; the kernel then moves the wall clock against the
// monotonic one by the same time. Both are read without a system call. So the
// kernel is asked again only when those two have moved against each other, by a
// suspension or by who has set the clock.
func bootNanos() int64 {
	now := time.Now()
	mono := int64(now.Sub(bootStart))
	if moved := now.UnixNano() - mono - bootApart.Load(); moved < -bootTolerance || moved > bootTolerance {
		return askBoot()
	}
	return mono + bootAhead.Load()
}

const bootTolerance = int64(time.Millisecond)

var (
	bootStart = time.Now()
	bootApart atomic.Int64 // wall clock less monotonic clock, when the kernel was asked
	bootAhead atomic.Int64 // CLOCK_BOOTTIME less monotonic clock
)

// askBoot measures anew. The measure whose two looks at the monotonic clock were
// closest together counts: it is off by no more than that.
func askBoot() int64 {
	best, ahead, apart := int64(maxNanos), int64(0), int64(0)
	for range 5 {
		before := time.Now()
		var ts unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
			return maxNanos // without a clock no deadline lies ahead
		}
		mono := int64(before.Sub(bootStart))
		if took := int64(time.Since(before)); took < best {
			best, ahead, apart = took, ts.Nano()-mono, before.UnixNano()-mono
		}
		if best < bootTolerance/10 {
			break
		}
	}
	// Who sees the new apart sees the new ahead.
	bootAhead.Store(ahead)
	bootApart.Store(apart)
	return int64(time.Since(bootStart)) + ahead
}
