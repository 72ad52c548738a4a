package compare

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// figures of one server in one scenario, by what they tell.
type figures map[string]float64

const (
	cpu       = "cpu µs"
	rate      = "ops/s"
	p50       = "p50 µs"
	p99       = "p99 µs"
	p999      = "p99.9 µs"
	clientCPU = "client µs"
	size      = "bytes"
)

// A result is what a scenario, or a kind of data, has shown of each server.
type result struct {
	name string
	of   map[string]figures
}

// ratio is ferricd's figure by redis-server's.
func (r result) ratio(of, figure string) float64 {
	return r.of[of][figure] / r.of[oracle][figure]
}

// A goal bounds the worst ratio to redis-server among the results that it is about.
type goal struct {
	text    string
	about   *regexp.Regexp
	figure  string
	bound   float64
	atLeast bool
}

var goals = []goal{
	{"CPU per GET, SET, INCR, 1 in flight, 50 and 512 connections", regexp.MustCompile(`^(GET|SET|INCR) c(50|512) P1 random 64B$`), cpu, 0.85, false},
	{"CPU per GET, SET, random keys, 16 in flight", regexp.MustCompile(`^(GET|SET) c50 P16 random 64B$`), cpu, 0.45, false},
	{"CPU per GET, SET, random keys, 64 in flight", regexp.MustCompile(`^(GET|SET) c50 P64 random 64B$`), cpu, 0.36, false},
	{"CPU per INCR, random keys, 16 in flight", regexp.MustCompile(`^INCR c50 P16 random 64B$`), cpu, 0.70, false},
	{"CPU per INCR, random keys, 64 in flight", regexp.MustCompile(`^INCR c50 P64 random 64B$`), cpu, 0.60, false},
	{"CPU per LPUSH, HSET, ZADD, SADD at 16, random keys", regexp.MustCompile(`^(LPUSH|HSET|ZADD|SADD) c50 P16 random 64B$`), cpu, 0.70, false},
	{"CPU per LPUSH, HSET, ZADD, SADD at 16, one key", regexp.MustCompile(`^(LPUSH|HSET|ZADD|SADD) c50 P16 hot 64B$`), cpu, 0.85, false},
	{"CPU per hot INCR, 50 connections × 16", regexp.MustCompile(`^INCR c50 P16 hot 64B$`), cpu, 0.80, false},
	{"CPU per hot INCR, 512 connections × 64", regexp.MustCompile(`^INCR c512 P64 hot 64B$`), cpu, 0.50, false},
	{"throughput, one core, GET and SET at 1", regexp.MustCompile(`^(GET|SET) c50 P1 random 64B$`), rate, 1.15, true},
	{"throughput, one core, GET and SET at 16", regexp.MustCompile(`^(GET|SET) c50 P16 random 64B$`), rate, 2.2, true},
	{"throughput, one core, GET and SET at 64", regexp.MustCompile(`^(GET|SET) c50 P64 random 64B$`), rate, 2.8, true},
	{"bytes per key, 16 B + 64 B, filled", regexp.MustCompile(`^strings, key 16, value 64$`), size, 0.72, false},
	{"bytes per key after 5 overwrites of each, of mixed size", regexp.MustCompile(`^strings, overwritten$`), size, 0.95, false},
	{"bytes per small hash, list, set, sorted set", regexp.MustCompile(`^small `), size, 1.0, false},
	{"p99.9 at saturation on one core", regexp.MustCompile(`^(GET|SET|INCR) c50 P(1|16|64) random 64B$`), p999, 1.0, false},
	{"p99.9 of GET with 5 M keys under write load", regexp.MustCompile(`^GET\+SET .* 5x keys$`), p999, 1.0, false},
	{"RSS per idle connection", regexp.MustCompile(`^idle connections$`), size, 0.15, false},
}

// worst is the worst ratio of ferricd among the results that g is about.
func (g goal) worst(results []result) (ratio float64, where string) {
	for _, r := range results {
		if !g.about.MatchString(r.name) || r.of[oracle][g.figure] <= 0 || r.of["ferricd"][g.figure] <= 0 {
			continue // nothing, in a round too short for the kernel's account, is no figure
		}
		is := r.ratio("ferricd", g.figure)
		if where == "" || g.atLeast && is < ratio || !g.atLeast && is > ratio {
			ratio, where = is, r.name
		}
	}
	return ratio, where
}

func (g goal) reached(ratio float64) bool {
	if g.atLeast {
		return ratio >= g.bound
	}
	return ratio <= g.bound
}

// charted are the results for whose processor time there is a goal.
func charted(results []result) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool {
		return !slices.ContainsFunc(goals, func(g goal) bool { return g.figure == cpu && g.about.MatchString(r.name) })
	})
}

// printGoals prints what was to be reached, and what was.
func printGoals(w io.Writer, results []result) {
	fmt.Fprintln(w, "| ferricd by redis-server | goal | measured, the worst | in | reached |")
	fmt.Fprintln(w, "|---|--:|--:|---|---|")
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
		answer := "no"
		if g.reached(ratio) {
			answer = "yes"
		}
		fmt.Fprintf(w, "| %s | %s %.2f | %.2f | %s | %s |\n", g.text, sign, g.bound, ratio, where, answer)
	}
}

// printHead and printResult print a table, a line for each server.
func printHead(w io.Writer, what string, columns []string) {
	fmt.Fprintf(w, "\n| %s | server |", what)
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c)
	}
	fmt.Fprint(w, "\n|---|---|")
	for range columns {
		fmt.Fprint(w, "--:|")
	}
	fmt.Fprintln(w)
}

func printResult(w io.Writer, r result, servers, columns []string) {
	for _, s := range servers {
		fmt.Fprintf(w, "| %s | %s |", r.name, s)
		for _, c := range columns {
			is := r.of[s][c]
			if is < 100 {
				fmt.Fprintf(w, " %.2f", is)
			} else {
				fmt.Fprintf(w, " %.0f", is)
			}
			if c != clientCPU && r.of[oracle][c] > 0 {
				fmt.Fprintf(w, " (%.2f)", r.ratio(s, c))
			}
			fmt.Fprint(w, " |")
		}
		fmt.Fprintln(w)
	}
}

// median is that of a list that is not empty, which it sorts.
func median[T cmp.Ordered](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}
