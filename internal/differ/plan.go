package differ

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/transcript"
)

// small are settings under which values change their encoding soon.
var small = map[string][]string{
	"list-max-listpack-size": {"3", "-1", "1"}, "hash-max-listpack-entries": {"3"}, "hash-max-listpack-value": {"4"},
	"set-max-intset-entries": {"3"}, "zset-max-listpack-entries": {"3", "0"}, "zset-max-listpack-value": {"4"},
	"stream-node-max-entries": {"2"}, "hll-sparse-max-bytes": {"0"}, "maxmemory-policy": {"allkeys-lfu"},
}

// NewPlan draws a plan. A seed always makes the same plan of the same grammar.
func (m *Match) NewPlan(g *Grammar, seed uint64) *Plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &Plan{Seed: seed, RESP3: r.IntN(3) == 0, Batch: 1, Mode: r.IntN(len(m.Ours))}
	if r.IntN(3) > 0 {
		p.Batch = 2 + r.IntN(50)
	}
	for _, c := range Params {
		if values := small[c[0]]; r.IntN(4) == 0 {
			p.Config = append(p.Config, [2]string{c[0], values[r.IntN(len(values))]})
		}
	}
	if waiters := r.IntN(4) == 0; waiters {
		p.Batch = 1
		g.fill(p, r, 12)
	} else {
		g.fill(p, r, 0)
	}
	return p
}

// fill draws the calls of a plan; so many in a hundred are of clients that may
// wait.
func (g *Grammar) fill(p *Plan, r *rand.Rand, waits int) {
	theme := g.theme(r)
	if waits > 0 {
		theme = g.waitTheme(r)
	}
	draw := func() {
		if r.IntN(100) < waits {
			p.Calls = append(p.Calls, Call{2 + r.IntN(3), g.drawWait(r, theme)})
			return
		}
		argv := g.draw(r, theme)
		if i := slices.Index(argv, "*"); waits > 0 && i > 0 && strings.EqualFold(argv[0], "XADD") {
			argv[i] = "60-1" // those who wait are told the ID, which the clock would make
		}
		if s := rowOf(argv); waits > 0 && s != nil && s.Name == "XGROUP|DESTROY" {
			return // redis-server 7.0 then answers also those who wait without a group, with nothing
		}
		p.Calls = append(p.Calls, Call{1, argv})
	}
	for n := 20 + r.IntN(200); n > 0; n-- {
		draw()
		if len(p.Calls) == 0 {
			continue
		}
		if last := p.Calls[len(p.Calls)-1]; last.Client == 1 && strings.EqualFold(last.Argv[0], "MULTI") {
			for range r.IntN(6) {
				draw()
			}
			p.Calls = append(p.Calls, Call{1, []string{[]string{"EXEC", "EXEC", "EXEC", "DISCARD"}[r.IntN(4)]}})
		}
	}
}

// Asked finds out from a server what it knows of a command. Its options are those
// of its documentation and those that this leaves out, but for some that are not
// wanted.
func Asked(server *transcript.Client, unsaid, unwanted map[string][]string) func(*command.Spec) Known {
	return func(s *command.Spec) Known {
		name := strings.ToLower(s.Name)
		info, err := server.Do("COMMAND", "INFO", name)
		if err != nil || len(info.Elems) != 1 || info.Elems[0].Null {
			return Known{}
		}
		arity, err := strconv.Atoi(info.Elems[0].Elems[1].Str)
		if err != nil {
			panic(fmt.Sprintf("differ: arity of %s: %v", name, err))
		}
		docs, err := server.Do("COMMAND", "DOCS", name)
		if err != nil {
			panic(fmt.Sprintf("differ: COMMAND DOCS %s: %v", name, err))
		}
		tokens := map[string]bool{}
		collect(docs, tokens)
		for _, t := range unsaid[s.Name] {
			tokens[t] = true
		}
		for _, t := range unwanted[s.Name] {
			delete(tokens, t)
		}
		return Known{arity, tokens}
	}
}

// collect notes every token of an argument tree.
func collect(v transcript.Value, tokens map[string]bool) {
	for i, e := range v.Elems {
		if e.Str == "token" && i+1 < len(v.Elems) {
			tokens[strings.ToUpper(v.Elems[i+1].Str)] = true
		}
		collect(e, tokens)
	}
}
