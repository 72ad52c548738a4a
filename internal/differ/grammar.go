package differ

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/command"
)

// A Grammar is what calls are drawn from: the rows that both servers know, with
// the options that both know.
type Grammar struct {
	all    pool
	themes []pool // the calls of each group
	byName map[string]*call
}

// A pool is calls to draw from.
type pool struct {
	group  command.Group
	calls  []*call
	weight int // the sum of theirs
}

func (p *pool) add(c *call) {
	p.calls = append(p.calls, c)
	p.weight += c.weight
}

func (p *pool) draw(r *rand.Rand) *call {
	n := r.IntN(p.weight)
	i := 0
	for ; n >= p.calls[i].weight; i++ {
		n -= p.calls[i].weight
	}
	return p.calls[i]
}

type call struct {
	spec   *command.Spec
	name   []string // the words of the name
	args   []command.Argument
	tokens []string
	weight int
	most   int // words, where the other server allows no more; 0: any number
}

// Known is what the other server knows of a command: its arity, 0 if it does not
// know the command at all, and the tokens of its options.
type Known struct {
	Arity  int
	Tokens map[string]bool
}

// NewGrammar makes a grammar of the rows that have a handler, are not left out
// and which the other server knows. Foreign are the options that it does not
// know, and which are never drawn.
func NewGrammar(rows []*command.Spec, leftOut map[string]string, ask func(s *command.Spec) Known) (g *Grammar, foreign []string) {
	g = &Grammar{byName: map[string]*call{}}
	for _, s := range rows {
		if s.Run == nil || leftOut[s.Name] != "" {
			continue
		}
		known := ask(s)
		if known.Arity == 0 {
			continue
		}
		p := pruner{tokens: known.Tokens}
		c := &call{spec: s, name: strings.Split(s.Name, "|"), weight: weightOf(s)}
		c.args = p.all(s.Arguments())
		if known.Arity > 0 && s.Arity < 0 {
			c.most = known.Arity
		}
		c.tokens = p.kept
		for _, t := range p.dropped {
			foreign = append(foreign, s.Name+" "+t)
		}
		g.byName[s.Name] = c
		g.all.add(c)
		i := slices.IndexFunc(g.themes, func(p pool) bool { return p.group == s.Group })
		if i < 0 {
			i = len(g.themes)
			g.themes = append(g.themes, pool{group: s.Group})
		}
		g.themes[i].add(c)
	}
	return g, foreign
}

// weightOf makes calls that change something frequent, so that there is
// something to read, and those rare that leave nothing.
func weightOf(s *command.Spec) int {
	switch {
	case s.Has(command.Exclusive) && s.Group == command.ServerGroup:
		return 1
	case s.Name == "MULTI":
		return 40
	case s.Has(command.Blocking):
		return 10
	case s.Has(command.Write) && s.Has(command.DenyOOM):
		return 40
	case s.Has(command.Write):
		return 20
	case s.Has(command.Readonly):
		return 16
	}
	return 3
}

// A pruner takes from an argument tree what stands behind unknown tokens.
type pruner struct {
	tokens        map[string]bool
	kept, dropped []string
}

func (p *pruner) all(args []command.Argument) []command.Argument {
	var out []command.Argument
	for _, a := range args {
		if t := strings.ToUpper(a.Token); t != "" && !p.tokens[t] {
			p.dropped = append(p.dropped, a.Token)
			continue
		} else if t != "" {
			p.kept = append(p.kept, a.Token)
		}
		if len(a.Args) > 0 {
			a.Args = p.all(a.Args)
			if len(a.Args) == 0 {
				continue
			}
		}
		out = append(out, a)
	}
	return out
}

// A drawer draws one call.
type drawer struct {
	*rand.Rand
	g     *Grammar
	call  *call
	words []string
	count int // how often what repeats next is repeated, if a numkeys has told; else -1
}

// theme is a pool that most calls of a plan are drawn from, so that some keys see
// much: that of a group or of all.
func (g *Grammar) theme(r *rand.Rand) *pool {
	if r.IntN(3) == 0 {
		return &g.all
	}
	return &g.themes[r.IntN(len(g.themes))]
}

// waitTheme is the theme of a plan in which clients wait.
func (g *Grammar) waitTheme(r *rand.Rand) *pool {
	var themes []*pool
	for i := range g.themes {
		if g.themes[i].waits() {
			themes = append(themes, &g.themes[i])
		}
	}
	if len(themes) == 0 {
		return &g.all
	}
	return themes[r.IntN(len(themes))]
}

func (p *pool) waits() bool {
	return slices.ContainsFunc(p.calls, func(c *call) bool { return c.spec.Has(command.Blocking) })
}

// drawWait draws a call that may wait, for as long as it takes.
func (g *Grammar) drawWait(r *rand.Rand, theme *pool) []string {
	for theme.waits() {
		d := &drawer{Rand: r, g: g, call: theme.draw(r), count: -1}
		if !d.call.spec.Has(command.Blocking) {
			continue
		}
		d.words = slices.Clone(d.call.name)
		d.all(d.call.args)
		argv := g.tame(d.call, d.words)
		if name := d.call.spec.Name; len(argv) > 2 && (name == "BLMOVE" || name == "BRPOPLPUSH") {
			argv[2] = "d1" // for which nobody waits: in which order one wakes another through it is not promised
		}
		for i, w := range argv {
			if w == soonSeconds || i > 0 && w == soonMillis && strings.EqualFold(argv[i-1], "BLOCK") {
				argv[i] = "0"
			}
		}
		return argv
	}
	return g.draw(r, theme)
}

// draw draws a call, name and all.
func (g *Grammar) draw(r *rand.Rand, theme *pool) []string {
	if r.IntN(4) == 0 {
		theme = &g.all
	}
	if r.IntN(150) == 0 {
		return g.stranger(r)
	}
	d := &drawer{Rand: r, g: g, call: theme.draw(r), count: -1}
	if d.call.spec.Name == "ZADD" && d.chance(20) {
		return d.lexAdd()
	}
	d.words = slices.Clone(d.call.name)
	d.all(d.call.args)
	if d.chance(12) {
		d.spoil()
	}
	if d.chance(5) {
		d.words[0] = d.oddCase(d.words[0])
	}
	argv := g.tame(d.call, d.words)
	if d.chance(3) && g.byName["COMMAND|GETKEYS"] != nil {
		return append([]string{"COMMAND", d.pick("GETKEYS", "GETKEYSANDFLAGS")}, argv...)
	}
	return argv
}

// stranger draws a call that nobody knows.
func (g *Grammar) stranger(r *rand.Rand) []string {
	d := &drawer{Rand: r, g: g, call: g.all.draw(r)}
	argv := []string{d.pick(nasty...)}
	if d.chance(50) {
		argv = append(slices.Clone(d.call.name[:1]), argv...)
	}
	for d.chance(70) {
		argv = append(argv, d.pick(nasty...))
	}
	if c := g.byName[strings.ToUpper(argv[0])]; c != nil {
		return g.tame(c, argv)
	}
	return argv
}

func (d *drawer) chance(percent int) bool { return d.IntN(100) < percent }

func (d *drawer) pick(from ...string) string { return from[d.IntN(len(from))] }

// all draws what the arguments of a sequence allow. Now and then the options at
// its end come in another order, as all commands but a few let them.
func (d *drawer) all(args []command.Argument) {
	args = slices.Clone(args)
	first := len(args)
	for first > 0 && args[first-1].Optional {
		first--
	}
	if d.chance(30) {
		options := args[first:]
		d.Shuffle(len(options), func(i, j int) { options[i], options[j] = options[j], options[i] })
	}
	for i := range args {
		d.one(&args[i])
	}
}

func (d *drawer) one(a *command.Argument) {
	if a.Optional && !d.chance(35) {
		return
	}
	n := 1
	if a.Multiple {
		n = d.times()
	}
	for i := range n {
		if a.Token != "" && (i == 0 || a.MultipleToken) {
			d.token(a.Token)
		}
		d.value(a)
	}
}

func (d *drawer) times() int {
	if n := d.count; n >= 0 {
		d.count = -1
		return n
	}
	switch {
	case d.chance(2):
		return 5 + d.IntN(40)
	case d.chance(30):
		return 2 + d.IntN(4)
	}
	return 1
}

func (d *drawer) token(t string) {
	if d.chance(10) {
		t = d.oddCase(t)
	}
	d.words = append(d.words, t)
}

func (d *drawer) value(a *command.Argument) {
	switch {
	case len(a.Args) > 0 && a.Type == "oneof":
		d.one(&a.Args[d.IntN(len(a.Args))])
	case len(a.Args) > 0:
		d.all(a.Args)
	case a.Type == "pure-token":
		if a.Token == "" {
			d.words = append(d.words, "")
		}
	case a.Name == "numkeys" && !d.chance(5):
		d.count = 1 + d.IntN(3)
		d.words = append(d.words, []string{"0", "1", "2", "3"}[d.count])
	case d.chance(4):
		d.words = append(d.words, d.pick(nasty...))
	default:
		d.words = append(d.words, d.named(a))
	}
}

func (d *drawer) oddCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if letter := c | 0x20; 'a' <= letter && letter <= 'z' && d.chance(50) {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// spoil makes a call worse.
func (d *drawer) spoil() {
	for range 1 + d.IntN(2) {
		first := len(d.call.name)
		n := len(d.words) - first
		switch i := first + d.IntN(n+1); {
		case d.chance(25) || n == 0:
			d.words = slices.Insert(d.words, i, d.anything())
		case i == len(d.words):
			d.words = d.words[:i-1]
		case d.chance(30):
			d.words = slices.Delete(d.words, i, i+1)
		case d.chance(30):
			d.words = slices.Insert(d.words, i, d.words[i])
		case d.chance(30):
			j := first + d.IntN(n)
			d.words[i], d.words[j] = d.words[j], d.words[i]
		default:
			d.words[i] = d.anything()
		}
	}
}

// anything is a word that may mean something to this command.
func (d *drawer) anything() string {
	if len(d.call.tokens) > 0 && d.chance(50) {
		return d.oddCase(d.pick(d.call.tokens...))
	}
	if d.chance(20) {
		return d.key()
	}
	return d.pick(nasty...)
}
