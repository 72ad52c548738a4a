package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/metrics"
)

func latencyLatest(c *Context) error {
	events := c.Server.Stats().Latency.Latest()
	w := c.Reply
	w.Array(len(events))
	for _, e := range events {
		w.Array(4)
		w.BulkString(e.Name)
		w.Int(e.Latest.Time)
		w.Int(e.Latest.Ms)
		w.Int(e.MaxMs)
	}
	return nil
}

func latencyHistory(c *Context) error {
	samples, _ := c.Server.Stats().Latency.History(string(c.Args[2]))
	w := c.Reply
	w.Array(len(samples))
	for _, s := range samples {
		w.Array(2)
		w.Int(s.Time)
		w.Int(s.Ms)
	}
	return nil
}

func latencyReset(c *Context) error {
	var events []string
	for _, a := range c.Args[2:] {
		events = append(events, string(a))
	}
	c.Reply.Int(int64(c.Server.Stats().Latency.Reset(events...)))
	return nil
}

func latencyGraph(c *Context) error {
	event := string(c.Args[2])
	samples, most := c.Server.Stats().Latency.History(event)
	if len(samples) == 0 {
		return Errorf("ERR No samples available for event '%s'", event)
	}
	c.Reply.Verbatim("txt", graphText(event, samples, most, time.Now().Unix()))
	return nil
}

func latencyDoctor(c *Context) error {
	text := doctorOff
	if c.Server.Config().Int(config.LatencyMonitorThreshold) > 0 {
		text = doctorText(c.Server.Stats().Latency, time.Now())
	}
	c.Reply.Verbatim("txt", text)
	return nil
}

const doctorOff = "Latency monitoring is off: set latency-monitor-threshold to the number of milliseconds from which on an event counts as slow.\n"

// doctorText reports what was slow, and what helps.
func doctorText(m *metrics.LatencyMonitor, now time.Time) string {
	events := m.Latest()
	if len(events) == 0 {
		return "No event was slow since the start or the last LATENCY RESET.\n"
	}
	var b strings.Builder
	b.WriteString("These events were slow:\n\n")
	advice := false
	for i, e := range events {
		a := m.Analyze(e.Name, now)
		fmt.Fprintf(&b, "%d. %s: %d latency spikes (average %dms, mean deviation %dms, period %.2f sec). Worst all time event %dms.\n",
			i+1, e.Name, a.Samples, a.AvgMs, a.DeviationMs, float64(a.PeriodS), a.AllTimeMs)
		advice = advice || e.Name == "command" || e.Name == "fast-command"
	}
	if advice {
		b.WriteString("\nWhat may help:\n\n" +
			"- SLOWLOG GET names the slow commands, with their arguments.\n" +
			"- Commands over large values take long: fetch parts of them, and use SCAN instead of KEYS.\n" +
			"- INFO rmw tells how long calls waited for each other's keys: a large rmw_wait_usec_max speaks for hot keys.\n" +
			"- Commands that are fast by nature and were slow speak for a machine that is too busy or swaps.\n")
	}
	return b.String()
}

// latencyHistogram answers with the distribution of the durations of all
// commands, or of those named and their subcommands; unknown names are passed over.
func latencyHistogram(c *Context) error {
	var rows []*Spec
	if len(c.Args) == 2 {
		rows = table.Rows()
	}
	for _, name := range c.Args[2:] {
		if s := table.ByFullName(name); s != nil {
			rows = append(append(rows, s), s.Subcommands()...)
		}
	}
	type distribution struct {
		spec    *Spec
		calls   int64
		buckets []metrics.Bucket
	}
	var all []distribution
	for _, s := range rows {
		if h := c.Server.Stats().Commands.Latency(s.ID()); h != nil {
			all = append(all, distribution{s, h.Count(), h.Cumulative()})
		}
	}
	w := c.Reply
	w.Map(len(all))
	for _, d := range all {
		w.BulkString(d.spec.Lower())
		w.Map(2)
		w.BulkString("calls")
		w.Int(d.calls)
		w.BulkString("histogram_usec")
		w.Map(len(d.buckets))
		for _, b := range d.buckets {
			w.Int(b.LE)
			w.Int(b.Count)
		}
	}
	return nil
}

const latencyFlags = Admin | NoScript | Loading | Stale | AnyNode

var latencyTips = []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}

var latencyCommands = []Spec{
	{
		Name: "LATENCY", Arity: -2, Group: ServerGroup, Since: "2.8.13", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "What was slow, and when.",
	},
	{
		Name: "LATENCY|DOCTOR", Arity: 2, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: latencyFlags, Tips: latencyTips, Run: latencyDoctor,
		Summary: "Reports on slow events in words.",
	},
	{
		Name: "LATENCY|GRAPH", Usage: "event", Arity: 3, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: latencyFlags, Tips: latencyTips, Run: latencyGraph,
		Summary: "Draws the history of an event.",
	},
	{
		Name: "LATENCY|HISTOGRAM", Usage: "[command...]", Arity: -2, Group: ServerGroup, Since: "7.0.0",
		Complexity: "O(N) where N is the number of commands", Flags: latencyFlags, Tips: latencyTips, Run: latencyHistogram,
		Summary: "Shows how the durations of commands are distributed.",
	},
	{
		Name: "LATENCY|HISTORY", Usage: "event", Arity: 3, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: latencyFlags, Tips: latencyTips, Run: latencyHistory,
		Summary: "Shows when an event was slow, and how slow.",
	},
	{
		Name: "LATENCY|LATEST", Arity: 2, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: latencyFlags, Tips: latencyTips, Run: latencyLatest,
		Summary: "Shows for every event the last time that it was slow.",
	},
	{
		Name: "LATENCY|RESET", Usage: "[event...]", Arity: -2, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: latencyFlags, Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}, Run: latencyReset,
		Summary: "Forgets the history of events, or of all.",
	},
	{
		Name: "LATENCY|HELP", Arity: 2, Group: ServerGroup, Since: "2.8.13", Complexity: "O(1)",
		Flags: helpFlags, Run: help, Summary: "Prints this help.",
	},
}
