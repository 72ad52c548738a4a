package persist

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/vfs"
)

// cpuTime is what the process has used, which other processes do not change as much
// as they do the time on the wall.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkStandby applies a stream of small SETs on the machine's disk: one operation
// is one record, from a tail's chunk to memory.
func BenchmarkStandby(b *testing.B) {
	for _, policy := range []aof.Policy{aof.EverySec, aof.Always} {
		b.Run([]string{"always", "everysec", "no"}[policy], func(b *testing.B) {
			large := func(o *Options) { o.SegmentBytes, o.Policy, o.FS, o.Dir = 64<<20, policy, vfs.OS, b.TempDir() }
			a, s := newNode(b, nil, large), newNode(b, nil, large)
			_, err := a.k.Lead(5)
			require.NoError(b, err)
			for i := range b.N {
				_, err := a.do.Do(0, []byte("SET"), fmt.Appendf(nil, "key:%012d", i%1000000), []byte("a-value-of-32-bytes-0123456789ab"))
				require.NoError(b, err)
			}
			a.sync()
			s.follow(a)
			tail, err := a.k.Tail(0)
			require.NoError(b, err)
			defer tail.Close()
			b.ResetTimer()
			before := cpuTime(b)
			for at := uint64(0); at < a.end(); {
				c, err := tail.Next(context.Background(), 64<<10)
				require.NoError(b, err)
				if c.Segment != nil {
					err = s.s.Segment(c.Segment.First, c.Segment.Epoch)
				} else {
					err = s.s.Append(c.Frames)
				}
				require.NoError(b, err)
				at = c.End
			}
			require.NoError(b, s.settle(a.end()))
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/record")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
