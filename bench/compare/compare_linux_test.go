package compare

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	rounds  = flag.Int("rounds", 0, "measure ferricd beside redis-server, so many rounds of each scenario")
	seconds = flag.Float64("seconds", 1, "length of a round")
	keys    = flag.Int("keys", 1_000_000, "keys that the servers hold")
	only    = flag.String("only", "", "measure the scenarios and kinds of data whose name matches this regexp")
	also    = flag.String("also", "", "measure ferricd with these options too")
	chart   = flag.String("svg", "", "file for a chart of processor time per command")
)

// TestCompare measures what the flags say and prints it as tables.
func TestCompare(t *testing.T) {
	if *rounds == 0 {
		t.Skip("-rounds is not set")
	}
	wanted, err := regexp.Compile(*only)
	require.NoError(t, err)
	c := &comparison{out: os.Stdout, makers: makers(t), rounds: *rounds, each: time.Duration(*seconds * float64(time.Second)), keys: *keys}
	if c.serverCore, c.clientCore = cores(t); c.serverCore < 0 {
		fmt.Fprintln(c.out, "There is one core only: servers and client share it, nothing is pinned.")
	}
	results := c.scenarios(t, slices.DeleteFunc(scenarios(), func(s scenario) bool { return !wanted.MatchString(s.String()) }))
	weighed := c.memory(t, wanted)
	fmt.Fprintln(c.out)
	printGoals(c.out, append(slices.Clone(results), weighed...))
	if *chart != "" {
		var svg bytes.Buffer
		require.NoError(t, drawChart(&svg, cpu, charted(results), c.names()))
		require.NoError(t, os.WriteFile(*chart, svg.Bytes(), 0o644))
	}
}

// A comparison is one run of everything.
type comparison struct {
	out                    io.Writer
	makers                 []maker
	rounds                 int
	each                   time.Duration
	keys                   int
	serverCore, clientCore int // -1: not pinned
}

func (c *comparison) names() []string {
	var names []string
	for _, m := range c.makers {
		names = append(names, m.name)
	}
	return names
}

var loadColumns = []string{cpu, rate, p50, p99, p999, clientCPU}

// scenarios measures all and prints each when it is done. Those that follow each other
// with the same settings of the log share their servers.
func (c *comparison) scenarios(t *testing.T, all []scenario) []result {
	var results []result
	var servers []*server
	if len(all) > 0 {
		printHead(c.out, "scenario", loadColumns)
	}
	for i, s := range all {
		if i == 0 || s.log != all[i-1].log {
			stop(servers)
			servers = nil
			for _, m := range c.makers {
				servers = append(servers, m.start(t, c.serverCore, s.log))
			}
		}
		r := c.measure(t, s, servers)
		printResult(c.out, r, c.names(), loadColumns)
		results = append(results, r)
	}
	stop(servers)
	return results
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
	seen := map[string]map[string][]float64{}
	for _, v := range servers {
		if v.holds != dataset {
			v.load(t, func(p *Pipeline) { s.fill(p, n) })
		}
		if v.holds = dataset; grows {
			v.holds = ""
		}
		c.round(t, s, v, built, 0, c.each/4)
		seen[v.name] = map[string][]float64{}
	}
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
	r := result{name: s.String(), of: map[string]figures{}}
	for name, by := range seen {
		r.of[name] = figures{}
		for figure, all := range by {
			r.of[name][figure] = median(all)
		}
	}
	return r
}

// round loads one server once. All servers are sent the same in the same round.
func (c *comparison) round(t *testing.T, s scenario, v *server, built *requests, i int, d time.Duration) figures {
	conns, err := connect(v.addr, s.conns)
	require.NoError(t, err, v.name)
	defer conns.close()
	before, err := cpuTime(v.pid)
	require.NoError(t, err)
	r, err := conns.run(built, s.depth, i*len(built.ends)/7, d, c.clientCore)
	require.NoError(t, err, "%s: %s", v.name, s)
	after, err := cpuTime(v.pid)
	require.NoError(t, err)
	ops := float64(r.ops)
	µs := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return figures{
		cpu: µs(after-before) / ops, rate: ops / r.elapsed.Seconds(), clientCPU: µs(r.client) / ops,
		p50: µs(r.latency.quantile(0.5)), p99: µs(r.latency.quantile(0.99)), p999: µs(r.latency.quantile(0.999)),
	}
}
