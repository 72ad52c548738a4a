package command

import (
	"fmt"
	"strings"

	"github.com/ferricd/ferricd/metrics"
)

const (
	graphColumns = 80
	graphRows    = 4
	graphShades  = "_o#" // a cell's lowest, middle and highest level; a full one is |
)

// graphText draws a history as LATENCY GRAPH shows it: a column for each sample,
// with its age written downwards below.
func graphText(event string, samples []metrics.LatencySample, most, now int64) string {
	low, high := samples[0].Ms, samples[0].Ms
	for _, s := range samples {
		low, high = min(low, s.Ms), max(high, s.Ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n", event, high, low, most)
	b.WriteString(strings.Repeat("-", graphColumns) + "\n")
	for len(samples) > 0 {
		n := min(len(samples), graphColumns)
		graphBand(&b, samples[:n], low, max(1, high-low), now)
		if samples = samples[n:]; len(samples) > 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// graphBand draws one line of columns, between low and low+span.
func graphBand(b *strings.Builder, samples []metrics.LatencySample, low, span, now int64) {
	const steps = int64(graphRows * len(graphShades))
	line := make([]byte, len(samples))
	for row := range graphRows {
		below := (graphRows - 1 - row) * len(graphShades)
		for i, s := range samples {
			switch level := int(min((s.Ms-low)*steps/span, steps-1)) - below; {
			case level < 0:
				line[i] = ' '
			case level < len(graphShades):
				line[i] = graphShades[level]
			default:
				line[i] = '|'
			}
		}
		fmt.Fprintf(b, "%s\n", line)
	}
	longest := 0
	ages := make([]string, len(samples))
	for i, s := range samples {
		ages[i] = age(now - s.Time)
		longest = max(longest, len(ages[i]))
	}
	fmt.Fprintf(b, "%*s\n", len(samples), "")
	for at := range longest {
		for i, a := range ages {
			line[i] = ' '
			if at < len(a) {
				line[i] = a[at]
			}
		}
		fmt.Fprintf(b, "%s\n", line)
	}
}

// age names a number of seconds by its largest unit.
func age(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm", seconds/60)
	case seconds < 24*3600:
		return fmt.Sprintf("%dh", seconds/3600)
	}
	return fmt.Sprintf("%dd", seconds/(24*3600))
}
