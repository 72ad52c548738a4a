package differ

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of how often and how long a plan is played to shorten it.
const (
	mostPlays = 1500
	mostTime  = 30 * time.Second
)

// Shrink shortens a plan as long as it shows a difference in a call of the same
// row, and returns the difference that it shows at the end.
func (m *Match) Shrink(p *Plan, d *Difference) (*Plan, *Difference) {
	s := &shrinker{m: m, plan: *p, diff: d, left: mostPlays, until: time.Now().Add(mostTime)}
	s.try(func(p *Plan) { p.Batch = 1 })
	s.try(func(p *Plan) { p.Mode = 0 })
	s.try(func(p *Plan) { p.RESP3 = false })
	for i := len(s.plan.Config) - 1; i >= 0; i-- {
		s.try(func(p *Plan) { p.Config = slices.Delete(slices.Clone(p.Config), i, i+1) })
	}
	s.calls()
	s.words()
	s.calls()
	return &s.plan, s.diff
}

type shrinker struct {
	m     *Match
	plan  Plan
	diff  *Difference
	left  int
	until time.Time
}

// try keeps a change if the difference stays.
func (s *shrinker) try(change func(p *Plan)) bool {
	if s.left--; s.left < 0 || time.Now().After(s.until) {
		return false
	}
	p := s.plan
	change(&p)
	d, err := s.m.Play(&p)
	if err != nil || d == nil || d.Row != s.diff.Row {
		return false
	}
	s.plan, s.diff = p, d
	return true
}

// calls drops calls: half of them, quarters, and so on down to one by one.
func (s *shrinker) calls() {
	for n := len(s.plan.Calls); n > 0; n /= 2 {
		for i := len(s.plan.Calls) - n; i > -n; i -= n {
			from, to := max(i, 0), min(i+n, len(s.plan.Calls))
			if from < to {
				s.try(func(p *Plan) { p.Calls = slices.Delete(slices.Clone(p.Calls), from, to) })
			}
		}
	}
}

// words drops words of calls and replaces long ones.
func (s *shrinker) words() {
	for i := range s.plan.Calls {
		for j := len(s.plan.Calls[i].Argv) - 1; j > 0; j-- {
			if s.word(i, func(argv []string) []string { return slices.Delete(argv, j, j+1) }) {
				continue
			}
			if len(s.plan.Calls[i].Argv[j]) > 4 {
				s.word(i, func(argv []string) []string { argv[j] = "x"; return argv })
			}
		}
	}
}

func (s *shrinker) word(i int, change func(argv []string) []string) bool {
	return s.try(func(p *Plan) {
		p.Calls = slices.Clone(p.Calls)
		p.Calls[i].Argv = change(slices.Clone(p.Calls[i].Argv))
	})
}

// Report prints a plan that shows a difference as a transcript.
func Report(p *Plan, d *Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# seed %d, mode %d, %d at a time\n", p.Seed, p.Mode, p.Batch)
	if p.RESP3 {
		b.WriteString("#! resp3\n")
	}
	for _, c := range p.Config {
		fmt.Fprintf(&b, "#! config %s %s\n", c[0], c[1])
	}
	for i, c := range p.Calls {
		if i == len(p.Calls)-1 && d.Client <= 1 && slices.Equal(c.Argv, d.Argv) {
			break
		}
		b.WriteString(clientName(c.Client) + "> " + Line(c.Argv) + "\n")
	}
	if d.Client > 1 {
		fmt.Fprintf(&b, "%d:\n", d.Client)
	} else {
		b.WriteString("> " + Line(d.Argv) + "\n")
	}
	fmt.Fprintf(&b, "%s\n--- ferricd:\n%s\n", clip(d.Want), clip(d.Got))
	return b.String()
}

func clip(s string) string {
	const most = 1500
	if len(s) > most {
		return s[:most] + " …"
	}
	return s
}

// Line prints a call as a transcript has it.
func Line(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = quoted(w)
	}
	return strings.Join(words, " ")
}

func quoted(w string) string {
	plain := w != ""
	var b strings.Builder
	for _, c := range []byte(w) {
		switch {
		case c == '"' || c == '\\' || c == '\'':
			plain = false
			b.WriteByte('\\')
			b.WriteByte(c)
		case c <= ' ' || c > '~':
			plain = false
			if c == ' ' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteByte(c)
		}
	}
	if plain {
		return w
	}
	return `"` + b.String() + `"`
}
