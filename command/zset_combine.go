package command

import (
	"cmp"
	"math"
	"slices"

	"github.com/ferricd/ferricd/store"
)

// members is what a sorted set is combined from: another one, or a set, whose
// members all have the score 1. Without either it is empty.
type members struct {
	sorted *store.ZSet
	plain  *store.Set
	weight float64
}

func (m *members) len() int {
	switch {
	case m.sorted != nil:
		return m.sorted.Len()
	case m.plain != nil:
		return m.plain.Len()
	}
	return 0
}

func (m *members) score(name []byte) (float64, bool) {
	switch {
	case m.sorted != nil:
		return m.sorted.Score(name)
	case m.plain != nil:
		return 1, m.plain.Has(name)
	}
	return 0, false
}

// each calls fn for all members until it returns false. The name is valid during
// the call.
func (m *members) each(fn func(name []byte, score float64) bool) {
	var room []byte
	text := func(e store.Elem) []byte {
		if !e.IsInt() {
			return e.Str
		}
		room = e.Append(room[:0])
		return room
	}
	switch {
	case m.sorted != nil:
		m.sorted.Each(0, false, func(e store.Elem, score float64) bool { return fn(text(e), score) })
	case m.plain != nil:
		m.plain.Each(func(e store.Elem) bool { return fn(text(e), 1) })
	}
}

// membersAt is what key holds.
func (c *Context) membersAt(key []byte) (m members, err error) {
	m.weight = 1
	if c.Tx.Type(key) == store.SetType {
		m.plain, err = c.Tx.Set(key)
	} else {
		m.sorted, err = c.Tx.ZSet(key)
	}
	return m, err
}

// A combination is a ZUNION, ZINTER or ZDIFF with all that it asks for.
type combination struct {
	op        combineOp
	from      []members
	aggregate func(a, b float64) float64
	scores    bool
	limit     int64 // of ZINTERCARD, 0 is none
}

type combineOp uint8

const (
	union combineOp = iota
	inter
	interCard
	diff
)

// combination reads numkeys at argument i, the keys and the options.
func (c *Context) combination(op combineOp, i int, store bool) (m combination, err error) {
	m.op, m.aggregate = op, sumScores
	n, err := c.Int64(i)
	switch {
	case err != nil:
		return m, err
	case n < 1:
		return m, Errorf("ERR at least 1 input key is needed for '%s' command", c.Spec.Lower())
	case n > int64(len(c.Args)-i-1):
		return m, ErrSyntax
	}
	i++
	for _, key := range c.Args[i : i+int(n)] {
		from, err := c.membersAt(key)
		if err != nil {
			return m, err
		}
		m.from = append(m.from, from)
	}
	return m, m.options(c, i+int(n), store)
}

func (m *combination) options(c *Context, i int, store bool) (err error) {
	weighs := m.op == union || m.op == inter
	for ; i < len(c.Args); i++ {
		left := len(c.Args) - i - 1
		switch {
		case weighs && left >= len(m.from) && c.Is(i, "WEIGHTS"):
			for k := range m.from {
				i++
				var ok bool
				if m.from[k].weight, ok = ParseFloat(c.Args[i]); !ok {
					return ErrWeight
				}
			}
		case weighs && left >= 1 && c.Is(i, "AGGREGATE"):
			i++
			if m.aggregate = aggregateNamed(c, i); m.aggregate == nil {
				return ErrSyntax
			}
		case m.op != interCard && !store && c.Is(i, "WITHSCORES"):
			m.scores = true
		case m.op == interCard && left >= 1 && c.Is(i, "LIMIT"):
			i++
			if m.limit, err = c.IntIn(i, 0, math.MaxInt64, ErrLimitNegative); err != nil {
				return err
			}
		default:
			return ErrSyntax
		}
	}
	return nil
}

func aggregateNamed(c *Context, i int) func(a, b float64) float64 {
	switch {
	case c.Is(i, "SUM"):
		return sumScores
	case c.Is(i, "MIN"):
		return func(a, b float64) float64 {
			if b < a {
				return b
			}
			return a
		}
	case c.Is(i, "MAX"):
		return func(a, b float64) float64 {
			if b > a {
				return b
			}
			return a
		}
	}
	return nil
}

// sumScores adds scores; infinities that cancel out make 0.
func sumScores(a, b float64) float64 { return number(a + b) }

// number is f, or 0 for what is none.
func number(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// size is how many members there are to look at.
func (m *combination) size() (n int) {
	for i := range m.from {
		n += m.from[i].len()
	}
	return n
}

// into puts the result into z and returns the number of its members, which for
// interCard are only counted.
func (m *combination) into(z *store.ZSet) int {
	if m.op != diff {
		// Small ones first: scores are added in that order, too.
		slices.SortStableFunc(m.from, func(a, b members) int { return cmp.Compare(a.len(), b.len()) })
	}
	switch m.op {
	case union:
		m.union(z)
	case diff:
		m.diff(z)
	default:
		return m.inter(z)
	}
	return z.Len()
}

func (m *combination) union(z *store.ZSet) {
	for i := range m.from {
		weight := m.from[i].weight
		m.from[i].each(func(name []byte, score float64) bool {
			score = number(score * weight)
			if old, ok := z.Score(name); ok {
				score = m.aggregate(old, score)
			}
			z.Set(name, score)
			return true
		})
	}
}

func (m *combination) inter(z *store.ZSet) (n int) {
	first, others := m.from[0], m.from[1:]
	first.each(func(name []byte, score float64) bool {
		score = number(score * first.weight)
		for i := range others {
			s, ok := others[i].score(name)
			if !ok {
				return true
			}
			score = m.aggregate(score, s*others[i].weight)
		}
		n++
		if m.op == interCard {
			return m.limit == 0 || int64(n) < m.limit
		}
		z.Set(name, score)
		return true
	})
	return n
}

func (m *combination) diff(z *store.ZSet) {
	others := m.from[1:]
	m.from[0].each(func(name []byte, score float64) bool {
		for i := range others {
			if _, ok := others[i].score(name); ok {
				return true
			}
		}
		z.Set(name, score)
		return true
	})
}

func zunion(c *Context) error      { return replyCombined(c, union) }
func zinter(c *Context) error      { return replyCombined(c, inter) }
func zdiff(c *Context) error       { return replyCombined(c, diff) }
func zunionstore(c *Context) error { return storeCombined(c, union, "zunionstore") }
func zinterstore(c *Context) error { return storeCombined(c, inter, "zinterstore") }
func zdiffstore(c *Context) error  { return storeCombined(c, diff, "zdiffstore") }

func replyCombined(c *Context, op combineOp) error {
	m, err := c.combination(op, 1, false)
	if err != nil {
		return err
	}
	if err := c.yield(m.size()); err != nil {
		return err
	}
	z := store.NewZSet(store.ZSetLimits{})
	n := m.into(z)
	c.scoresHeader(n, m.scores)
	z.Each(0, false, func(e store.Elem, score float64) bool {
		c.scored(e, score, m.scores)
		return true
	})
	return nil
}

func storeCombined(c *Context, op combineOp, event string) error {
	m, err := c.combination(op, 2, true)
	if err != nil {
		return err
	}
	if err := c.yield(m.size()); err != nil {
		return err
	}
	z := store.NewZSet(store.ZSetLimits{})
	m.into(z)
	c.storeZSet(c.Args[1], z, event)
	return nil
}

func zintercard(c *Context) error {
	m, err := c.combination(interCard, 1, false)
	if err != nil {
		return err
	}
	if err := c.yield(m.size()); err != nil {
		return err
	}
	c.Reply.Int(int64(m.into(nil)))
	return nil
}

const (
	costUnion = "O(N)+O(M*log(M)) where N is the number of members of all sets and M that of the result"
	costInter = "O(N*K)+O(M*log(M)) where N is the size of the smallest set, K the number of sets and M that of the result"
	costDiff  = "O(N*K)+O(M*log(M)) where N is the size of the first set, K the number of sets and M that of the result"

	combineOptions = " [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>]"
)

var (
	combines      = []KeySpec{CountedKeys(1, RO|Reads)}
	combinesStore = []KeySpec{Key(1, OW|Updates), CountedKeys(2, RO|Reads)}
)

var zsetCombineCommands = []Spec{
	{
		Name: "ZUNION", Usage: "numkeys key..." + combineOptions + " [WITHSCORES]", Arity: -3,
		Group: SortedSet, Since: "6.2.0", Complexity: costUnion,
		Flags: Readonly, Keys: combines, Run: zunion,
		Summary: "Gets the members of any of several sorted sets, or sets.",
	},
	{
		Name: "ZUNIONSTORE", Usage: "destination numkeys key..." + combineOptions, Arity: -4,
		Group: SortedSet, Since: "2.0.0", Complexity: costUnion,
		Flags: Write | DenyOOM, Keys: combinesStore, Run: zunionstore,
		Summary: "Stores the members of any of several sorted sets in another key.",
	},
	{
		Name: "ZINTER", Usage: "numkeys key..." + combineOptions + " [WITHSCORES]", Arity: -3,
		Group: SortedSet, Since: "6.2.0", Complexity: costInter,
		Flags: Readonly, Keys: combines, Run: zinter,
		Summary: "Gets the members that several sorted sets have in common.",
	},
	{
		Name: "ZINTERSTORE", Usage: "destination numkeys key..." + combineOptions, Arity: -4,
		Group: SortedSet, Since: "2.0.0", Complexity: costInter,
		Flags: Write | DenyOOM, Keys: combinesStore, Run: zinterstore,
		Summary: "Stores the members that several sorted sets have in common in another key.",
	},
	{
		Name: "ZINTERCARD", Usage: "numkeys key... [LIMIT limit]", Arity: -3,
		Group: SortedSet, Since: "7.0.0", Complexity: "O(N*K) where N is the size of the smallest set and K the number of sets",
		Flags: Readonly, Keys: combines, Run: zintercard,
		Summary: "Counts the members that several sorted sets have in common.",
	},
	{
		Name: "ZDIFF", Usage: "numkeys key... [WITHSCORES]", Arity: -3,
		Group: SortedSet, Since: "6.2.0", Complexity: costDiff,
		Flags: Readonly, Keys: combines, Run: zdiff,
		Summary: "Gets the members of a sorted set that several others do not have.",
	},
	{
		Name: "ZDIFFSTORE", Usage: "destination numkeys key...", Arity: -4,
		Group: SortedSet, Since: "6.2.0", Complexity: costDiff,
		Flags: Write | DenyOOM, Keys: combinesStore, Run: zdiffstore,
		Summary: "Stores the members of a sorted set that several others do not have in another key.",
	},
}
