package command

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/metrics"
)

func TestGraphDrawsAColumnForEachSample(t *testing.T) {
	samples := []metrics.LatencySample{{Time: 60, Ms: 2}, {Time: 62, Ms: 30}, {Time: 64, Ms: 100}, {Time: 65, Ms: 11},
		{Time: 66, Ms: 50}, {Time: 67, Ms: 60}, {Time: 68, Ms: 70}, {Time: 69, Ms: 200}}
	// As redis-server drew the same samples.
	require.Equal(t, "command - high 200 ms, low 2 ms (all time high 300 ms)\n"+strings.Repeat("-", 80)+`
       #
       |
  #  _o|
_o|_#|||
        
18654321
0sssssss
s       
`, graphText("command", samples, 300, 70))

	flat := []metrics.LatencySample{{Time: 0, Ms: 7}}
	require.Contains(t, graphText("x", flat, 7, 3*3600), "\n \n \n \n_\n \n3\nh\n")
	require.Contains(t, graphText("x", flat, 7, 3*24*3600), "\n3\nd\n")
	require.Contains(t, graphText("x", flat, 7, 119), "\n1\nm\n")
}

func TestGraphHasSoManyColumnsInALine(t *testing.T) {
	var samples []metrics.LatencySample
	for i := range int64(160) {
		samples = append(samples, metrics.LatencySample{Time: i, Ms: i})
	}
	for _, line := range strings.Split(graphText("x", samples, 160, 160), "\n")[1:] {
		require.LessOrEqual(t, len(line), graphColumns)
	}
}

func TestLatencyDoctorNamesWhatWasSlow(t *testing.T) {
	m := metrics.NewLatencyMonitor()
	require.Contains(t, doctorText(m, time.Unix(0, 0)), "No event was slow")
	m.Add("expire-cycle", time.Unix(10, 0), 50)
	text := doctorText(m, time.Unix(20, 0))
	require.Contains(t, text, "1. expire-cycle: 1 latency spikes (average 50ms")
	require.NotContains(t, text, "SLOWLOG")
	m.Add("command", time.Unix(11, 0), 70)
	text = doctorText(m, time.Unix(20, 0))
	require.Contains(t, text, "1. command:")
	require.Contains(t, text, "2. expire-cycle:")
	require.Contains(t, text, "SLOWLOG")
}

func TestMemoryReportNamesWhatIsRemarkable(t *testing.T) {
	const mb = 1 << 20
	require.Contains(t, memoryReport(MemoryStats{Used: mb}), "too little data")
	require.Contains(t, memoryReport(MemoryStats{Used: 100 * mb, Peak: 110 * mb, Live: 150 * mb}), "Nothing is remarkable")
	text := memoryReport(MemoryStats{Used: 100 * mb, Peak: 300 * mb, Live: 400 * mb, Clients: 60 * mb})
	for _, word := range []string{"Peak: at some time there was 3.0", "Garbage: the heap holds 4.0", "Clients: buffers"} {
		require.Contains(t, text, word)
	}
}
