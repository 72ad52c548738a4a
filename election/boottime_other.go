//go:build !linux

package election

import "time"

var bootStart = time.Now()

// bootNanos is the process' monotonic clock. Where it stands still while the machine
// is suspended, a leader that wakes up may answer reads until its first renewal fails.
func bootNanos() int64 { return int64(time.Since(bootStart)) }
