package election

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func kernelNanos(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	return ts.Nano()
}

// Between two looks at the kernel's clock ours shows a time between.
func requireBootTime(t *testing.T) {
	t.Helper()
	const slack = int64(10 * time.Millisecond)
	before := kernelNanos(t)
	now := bootNanos()
	require.GreaterOrEqual(t, now, before-slack)
	require.LessOrEqual(t, now, kernelNanos(t)+slack)
}

func TestBootTime(t *testing.T) {
	for range 1000 {
		requireBootTime(t)
	}
	// A suspension moves the wall clock against the monotonic one, and what was known
	// of the difference is old then.
	bootApart.Add(-int64(time.Hour))
	bootAhead.Add(-int64(time.Hour))
	requireBootTime(t)
	bootApart.Add(int64(time.Second)) // somebody has set the clock back
	requireBootTime(t)
	// Now it is known again, and the kernel is not asked, unless this goroutine was kept
	// waiting in the midst of reading the clocks.
	defer askBoot()
	for range 1000 {
		bootAhead.Add(int64(time.Hour))
		if bootNanos() > kernelNanos(t)+int64(time.Minute) {
			return
		}
		askBoot()
	}
	require.FailNow(t, "the kernel is asked each time")
}
