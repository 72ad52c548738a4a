package compare

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	rounds  = flag.Int("rounds", 0, "measure ferricd beside redis-server, so many rounds of each scenario")
	seconds = flag.Float64("seconds", 0.6, "length of a round")
	keys    = flag.Int("keys", 1_000_000, "keys that the servers hold")
	only    = flag.String("only", "", "measure the scenarios and kinds of data whose name matches this regexp")
	every   = flag.Bool("every", false, "measure every combination of command, keys, connections, depth and size")
	also    = flag.String("also", "", "measure ferricd with these options too")
	out     = flag.String("out", "", "directory for compare.md, compare.svg and compare.json, written after each result")
	resume  = flag.Bool("continue", false, "measure what compare.json does not have yet")
)

// TestCompare measures what the flags say and prints it as tables.
func TestCompare(t *testing.T) {
	if *rounds == 0 {
		t.Skip("-rounds is not set")
	}
	wanted, err := regexp.Compile(*only)
	require.NoError(t, err)
	c := &comparison{
		out: os.Stdout, makers: makers(t), rounds: *rounds, each: time.Duration(*seconds * float64(time.Second)), keys: *keys,
		report: newReport(*out, fmt.Sprintf("rounds of %[2]v s: %[1]d; %[3]d keys; servers on one core, client on another", *rounds, *seconds, *keys)),
	}
	if c.serverCore, c.clientCore = cores(t); c.serverCore < 0 {
		c.report.Settings = fmt.Sprintf("rounds of %[2]v s: %[1]d; %[3]d keys; one core for all, nothing is pinned", *rounds, *seconds, *keys)
	}
	if *resume {
		require.NotEmpty(t, *out, "-continue goes on with what is in -out")
		require.NoError(t, c.report.resume())
	}
	require.NoError(t, c.report.write(), "now, not after the first row")
	// Who interrupts has the goals for what was measured; a second time ends at once.
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	wants := func(name string) bool {
		return ctx.Err() == nil && wanted.MatchString(name) && !c.report.has(name)
	}
	c.scenarios(t, scenarios(*every), wants)
	c.memory(t, kinds(c.keys, *every), wants)
	fmt.Fprintln(c.out)
	printGoals(c.out, c.report.Results)
	printLimits(c.out, c.report.Results)
}

// A comparison is one run of everything.
type comparison struct {
	out                    io.Writer
	makers                 []maker
	rounds                 int
	each                   time.Duration
	keys                   int
	serverCore, clientCore int // -1: not pinned
	report                 *report
}

// keep prints a result when it is there, not at the end, and keeps it.
func (c *comparison) keep(t *testing.T, r result, columns []string) {
	printResult(c.out, r, columns)
	require.NoError(t, c.report.add(r))
}

var loadColumns = []string{cpu, rate, p50, p99, p999, clientCPU, others}

// scenarios measures what is wanted. Those that follow each other with the same settings
// share their servers.
func (c *comparison) scenarios(t *testing.T, all []scenario, wanted func(string) bool) {
	var servers []*server
	var kept []string // logs, by those servers
	for _, s := range all {
		if !wanted(s.String()) {
			continue
		}
		if servers == nil {
			printHead(c.out, "scenario", loadColumns)
		}
		if !slices.Equal(kept, s.logs()) {
			stop(servers)
			servers, kept = nil, s.logs()
			for _, l := range kept {
				for _, m := range c.makers {
					servers = append(servers, m.start(t, c.serverCore, l))
				}
			}
		}
		c.keep(t, c.measure(t, s, servers), loadColumns)
	}
	stop(servers)
}

func stop(servers []*server) {
	for _, s := range servers {
		s.stop()
	}
}

// measure runs the rounds of one scenario, after one that is not counted.
func (c *comparison) measure(t *testing.T, s scenario, servers []*server) result {
	n := s.size(c.keys)
	built := s.requests(n)
	dataset, grows := s.dataset(n)
	r := result{Name: s.String(), Of: map[string]figures{}}
	seen := map[string]map[string][]float64{}
	for _, v := range servers {
		v.signal(t, syscall.SIGCONT)
		if v.holds != dataset {
			v.load(t, func(p *Pipeline) { s.fill(p, n) })
		}
		if v.holds = dataset; grows {
			v.holds = ""
		}
		c.round(t, s, v, built, 0, c.each/4)
		seen[v.name] = map[string][]float64{}
		r.Servers = append(r.Servers, v.name)
	}
	runtime.GC() // what was built and is garbage now is collected before anybody is measured
	for i := range c.rounds {
		order := slices.Clone(servers)
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, v := range order {
			for figure, is := range c.round(t, s, v, built, i, c.each) {
				seen[v.name][figure] = append(seen[v.name][figure], is)
			}
		}
	}
	for name, by := range seen {
		of := figures{}
		var ratios []float64
		for i, is := range by[cpu] {
			if other := seen[peer(name)][cpu]; other != nil {
				ratios = append(ratios, is/other[i])
			}
		}
		if len(ratios) > 0 {
			of[least], of[most] = slices.Min(ratios), slices.Max(ratios)
		}
		r.Of[name] = of
	}
	for name, by := range seen {
		for figure, all := range by {
			r.Of[name][figure] = median(all)
		}
	}
	return r
}

// round loads one server once. All servers are sent the same in the same round. From its
// end to the next one the server is stopped: what it still has to do is not to be found in
// the figures of the others, and not to be missing in its own.
func (c *comparison) round(t *testing.T, s scenario, v *server, built *requests, i int, d time.Duration) figures {
	v.signal(t, syscall.SIGCONT)
	defer v.signal(t, syscall.SIGSTOP)
	conns, err := connect(v.addr, s.conns)
	require.NoError(t, err, v.name)
	defer conns.close()
	busy, err := busyTime()
	require.NoError(t, err)
	before, err := cpuTime(v.pid)
	require.NoError(t, err)
	r, err := conns.run(built, s.depth, i*len(built.ends)/7, d, c.clientCore)
	require.NoError(t, err, "%s: %s", v.name, s)
	after, err := cpuTime(v.pid)
	require.NoError(t, err)
	busyAfter, err := busyTime()
	require.NoError(t, err)
	elsewhere := busyAfter - busy - (after - before) - r.client
	ops := float64(r.ops)
	µs := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return figures{
		cpu: µs(after-before) / ops, rate: ops / r.elapsed.Seconds(), clientCPU: µs(r.client) / ops,
		others: max(0, float64(elsewhere)/float64(r.elapsed)),
		p50:    µs(r.latency.quantile(0.5)), p99: µs(r.latency.quantile(0.99)), p999: µs(r.latency.quantile(0.999)),
	}
}
