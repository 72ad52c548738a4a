package compare

import (
	"fmt"
	"io"
	"regexp"
	"slices"
)

// figures of one server in one scenario, by what they tell.
type figures map[string]float64

const (
	cpu       = "cpu µs"
	least     = "least"
	most      = "most"
	rate      = "ops/s"
	p50       = "p50 µs"
	p99       = "p99 µs"
	p999      = "p99.9 µs"
	clientCPU = "client µs"
	others    = "others"
	size      = "bytes"
)

// A result is what a scenario, or a kind of data, has shown of each server.
type result struct {
	Name    string
	Servers []string // in the order of the table
	Of      map[string]figures
}

// ratio is a server's figure by that of its peer.
func (r result) ratio(of, figure string) float64 { return r.by(of, peer(of), figure) }

// by is one server's figure by another's, or 0 where either has none: in a round too
// short for the kernel's account there is nothing to tell.
func (r result) by(of, by, figure string) float64 {
	is, other := r.Of[of][figure], r.Of[by][figure]
	if is <= 0 || other <= 0 {
		return 0
	}
	return is / other
}

// A goal bounds the worst ratio among the results that it is about: of ferricd to
// redis-server, if nothing else is said.
type goal struct {
	text    string
	about   *regexp.Regexp
	figure  string
	bound   float64
	atLeast bool
	of, by  string
}

var goals = []goal{
	{"CPU per GET, SET, INCR, 1 in flight, 50 and 512 connections", regexp.MustCompile(`^(GET|SET|INCR) c(50|512) P1 random 64B$`), cpu, 0.85, false, ours, oracle},
	{"CPU per GET, SET, random keys, 16 in flight", regexp.MustCompile(`^(GET|SET) c50 P16 random 64B$`), cpu, 0.45, false, ours, oracle},
	{"CPU per GET, SET, random keys, 64 in flight", regexp.MustCompile(`^(GET|SET) c50 P64 random 64B$`), cpu, 0.36, false, ours, oracle},
	{"CPU per INCR, random keys, 16 in flight", regexp.MustCompile(`^INCR c50 P16 random 64B$`), cpu, 0.70, false, ours, oracle},
	{"CPU per INCR, random keys, 64 in flight", regexp.MustCompile(`^INCR c50 P64 random 64B$`), cpu, 0.60, false, ours, oracle},
	{"CPU per LPUSH, HSET, ZADD, SADD at 16, random keys", regexp.MustCompile(`^(LPUSH|HSET|ZADD|SADD) c50 P16 random 64B$`), cpu, 0.70, false, ours, oracle},
	{"CPU per LPUSH, HSET, ZADD, SADD at 16, one key", regexp.MustCompile(`^(LPUSH|HSET|ZADD|SADD) c50 P16 hot 64B$`), cpu, 0.85, false, ours, oracle},
	{"CPU per hot INCR, 50 connections × 16", regexp.MustCompile(`^INCR c50 P16 hot 64B$`), cpu, 0.80, false, ours, oracle},
	{"CPU per hot INCR, 512 connections × 64", regexp.MustCompile(`^INCR c512 P64 hot 64B$`), cpu, 0.50, false, ours, oracle},
	{"throughput, one core, GET and SET at 1", regexp.MustCompile(`^(GET|SET) c50 P1 random 64B$`), rate, 1.15, true, ours, oracle},
	{"throughput, one core, GET and SET at 16", regexp.MustCompile(`^(GET|SET) c50 P16 random 64B$`), rate, 2.2, true, ours, oracle},
	{"throughput, one core, GET and SET at 64", regexp.MustCompile(`^(GET|SET) c50 P64 random 64B$`), rate, 2.8, true, ours, oracle},
	{"bytes per key, 16 B + 64 B, filled", regexp.MustCompile(`^strings, key 16, value 64$`), size, 0.72, false, ours, oracle},
	{"bytes per key after 5 overwrites of each, of mixed size", regexp.MustCompile(`^strings, overwritten$`), size, 0.95, false, ours, oracle},
	{"bytes per small hash, list, set, sorted set", regexp.MustCompile(`^small `), size, 1.0, false, ours, oracle},
	{"p99.9 at saturation on one core", regexp.MustCompile(`^(GET|SET|INCR) c50 P(1|16|64) random 64B$`), p999, 1.0, false, ours, oracle},
	{"p99.9 of GET with 5 M keys under write load", regexp.MustCompile(`^GET\+SET .* 5x keys$`), p999, 1.0, false, ours, oracle},
	{"RSS per idle connection", regexp.MustCompile(`^idle connections$`), size, 0.15, false, ours, oracle},
	{"throughput with everysec, by that without a log", regexp.MustCompile(`^(SET|INCR) .* logged$`), rate, 0.75, true, logged(ours, "everysec"), ours},
}

// worst is the worst ratio among the results that g is about.
func (g goal) worst(results []result) (ratio float64, where string) {
	for _, r := range results {
		is := r.by(g.of, g.by, g.figure)
		if is == 0 || !g.about.MatchString(r.Name) {
			continue
		}
		if where == "" || g.atLeast && is < ratio || !g.atLeast && is > ratio {
			ratio, where = is, r.Name
		}
	}
	return ratio, where
}

func (g goal) met(ratio float64) bool {
	if g.atLeast {
		return ratio >= g.bound
	}
	return ratio <= g.bound
}

// word says whether ratio meets the goal.
func (g goal) word(ratio float64) string {
	if g.met(ratio) {
		return "met"
	}
	return "missed"
}

// goalFor is the goal that a result's figure has.
func goalFor(name, figure string) (goal, bool) {
	i := slices.IndexFunc(goals, func(g goal) bool {
		return g.figure == figure && g.by == oracle && g.about.MatchString(name)
	})
	if i < 0 {
		return goal{}, false
	}
	return goals[i], true
}

// printGoals prints what was to be reached, and what was.
func printGoals(w io.Writer, results []result) {
	fmt.Fprintln(w, "| ferricd by redis-server | goal | measured, the worst | in | |")
	fmt.Fprintln(w, "|---|--:|--:|---|---|")
	met, judged := 0, 0
	for _, g := range goals {
		sign := "≤"
		if g.atLeast {
			sign = "≥"
		}
		ratio, where := g.worst(results)
		if where == "" {
			fmt.Fprintf(w, "| %s | %s %.2f | – | not measured | – |\n", g.text, sign, g.bound)
			continue
		}
		judged++
		if g.met(ratio) {
			met++
		}
		fmt.Fprintf(w, "| %s | %s %.2f | %.3f | %s | %s |\n", g.text, sign, g.bound, ratio, where, g.word(ratio))
	}
	fmt.Fprintf(w, "\n%d of %d goals that were measured are met.\n", met, judged)
}
