package command

import (
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// zaddOptions are what stands before the scores of ZADD.
type zaddOptions struct {
	nx, xx, gt, lt, ch, incr bool
	pairs                    int // where the first score stands
}

func (c *Context) zaddOptions(incr bool) (o zaddOptions, err error) {
	o.incr = incr
	for o.pairs = 2; o.pairs < len(c.Args); o.pairs++ {
		switch i := o.pairs; {
		case c.Is(i, "NX"):
			o.nx = true
		case c.Is(i, "XX"):
			o.xx = true
		case c.Is(i, "GT"):
			o.gt = true
		case c.Is(i, "LT"):
			o.lt = true
		case c.Is(i, "CH"):
			o.ch = true
		case c.Is(i, "INCR"):
			o.incr = true
		default:
			return o, o.check(len(c.Args) - i)
		}
	}
	return o, ErrSyntax
}

// check says which options do not go together, or with so many words behind them.
func (o *zaddOptions) check(words int) error {
	switch {
	case words%2 != 0:
		return ErrSyntax
	case o.nx && o.xx:
		return ErrZAddNXXX
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		return ErrZAddGTLT
	case o.incr && words > 2:
		return ErrZAddIncr
	}
	return nil
}

func zadd(c *Context) error    { return zaddBy(c, false) }
func zincrby(c *Context) error { return zaddBy(c, true) }

func zaddBy(c *Context, incr bool) error {
	o, err := c.zaddOptions(incr)
	if err != nil {
		return err
	}
	for i := o.pairs; i < len(c.Args); i += 2 {
		if _, ok := ParseFloat(c.Args[i]); !ok {
			return ErrNotFloat
		}
	}
	if err := c.yield(len(c.Args) / 2); err != nil {
		return err
	}
	z, err := c.Tx.EditZSet(c.Args[1], !o.xx)
	if err != nil {
		return err
	}
	if o.incr {
		return c.zaddIncr(z, o)
	}
	c.zaddPairs(z, o, (len(c.Args)-o.pairs)/2, func(i int) (float64, []byte) {
		score, _ := ParseFloat(c.Args[o.pairs+2*i])
		return score, c.Args[o.pairs+2*i+1]
	})
	return nil
}

// allows tells whether the options let a member that has a score, if there is
// true, have another one.
func (o *zaddOptions) allows(there bool, old, score float64) bool {
	if !there {
		return !o.xx
	}
	return !o.nx && !(o.gt && score <= old) && !(o.lt && score >= old)
}

// zaddPairs gives n members their scores and replies with how many were added; z
// is nil if it may not be made.
func (c *Context) zaddPairs(z *store.ZSet, o zaddOptions, n int, pair func(i int) (float64, []byte)) {
	added, updated := 0, 0
	if z != nil {
		for i := range n {
			score, name := pair(i)
			old, there := z.Score(name)
			switch {
			case !o.allows(there, old, score) || there && score == old:
			case z.Set(name, score):
				added++
			default:
				updated++
			}
		}
		c.zsetEdited(z, "zadd", added+updated)
	}
	if o.ch {
		added += updated
	}
	c.Reply.Int(int64(added))
}

// zaddIncr is ZADD INCR; z is nil if it may not be made.
func (c *Context) zaddIncr(z *store.ZSet, o zaddOptions) error {
	if z == nil {
		c.Reply.Null()
		return nil
	}
	name := c.Args[o.pairs+1]
	score, _ := ParseFloat(c.Args[o.pairs])
	old, there := z.Score(name)
	if there && !o.nx {
		score += old
	}
	if score != score {
		c.Tx.Unedited(c.Args[1])
		return ErrScoreNaN
	}
	if !o.allows(there, old, score) {
		c.Tx.Unedited(c.Args[1])
		c.Reply.Null()
		return nil
	}
	changed := 0
	if !there || score != old {
		z.Set(name, score)
		changed = 1
	}
	c.zsetEdited(z, "zincr", changed)
	c.Reply.Double(score)
	return nil
}

// zsetEdited tells what was done with n members of the set at argument 1.
func (c *Context) zsetEdited(z *store.ZSet, event string, n int) {
	key := c.Args[1]
	if n == 0 {
		c.Tx.Unedited(key)
		return
	}
	c.Notify(NotifyZSet, event, key)
	if z.Len() == 0 {
		c.Notify(NotifyGeneric, "del", key)
	}
}

func zrem(c *Context) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	z, err := c.Tx.EditZSet(c.Args[1], false)
	if err != nil {
		return err
	}
	n := 0
	if z != nil {
		for _, name := range c.Args[2:] {
			if z.Remove(name) {
				n++
			}
		}
		c.zsetEdited(z, "zrem", n)
	}
	c.Reply.Int(int64(n))
	return nil
}

func zscore(c *Context) error {
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	c.replyScore(z, c.Args[2])
	return nil
}

// replyScore replies with a member's score; z is nil if there is no set.
func (c *Context) replyScore(z *store.ZSet, name []byte) {
	if z != nil {
		if score, ok := z.Score(name); ok {
			c.Reply.Double(score)
			return
		}
	}
	c.Reply.Null()
}

func zmscore(c *Context) error {
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		c.replyScore(z, name)
	}
	return nil
}

func zcard(c *Context) error {
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if z != nil {
		n = z.Len()
	}
	c.Reply.Int(int64(n))
	return nil
}

func zrank(c *Context) error    { return rankIn(c, false) }
func zrevrank(c *Context) error { return rankIn(c, true) }

func rankIn(c *Context, reverse bool) error {
	scores := len(c.Args) > 3
	switch {
	case len(c.Args) > 4:
		return ErrArity(c.Spec)
	case scores && !c.Is(3, "WITHSCORE"):
		return ErrSyntax
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	if z != nil {
		if rank, score, ok := z.Rank(c.Args[2]); ok {
			if reverse {
				rank = z.Len() - 1 - rank
			}
			if scores {
				c.Reply.Array(2)
			}
			c.Reply.Int(int64(rank))
			if scores {
				c.Reply.Double(score)
			}
			return nil
		}
	}
	if scores {
		c.Reply.NullArray()
	} else {
		c.Reply.Null()
	}
	return nil
}

func zscan(c *Context) error {
	cursor, err := parseCursor(c.Args[2])
	if err != nil {
		return err
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	if z == nil {
		c.Reply.Array(2)
		c.replyCursor(0)
		c.Reply.Array(0)
		return nil
	}
	o, err := c.scanOptions(3, false)
	if err != nil {
		return err
	}
	var found []scored
	var room [20]byte
	next := z.Scan(cursor, int(min(o.count, int64(z.Len()))), func(e store.Elem, score float64) {
		if o.pattern == nil || o.matches(e.Append(room[:0])) {
			found = append(found, scored{e, score})
		}
	})
	c.Reply.Array(2)
	c.replyCursor(next)
	c.Reply.Array(2 * len(found))
	for _, f := range found {
		c.elem(f.elem)
		c.scannedScore(z, f.score)
	}
	return nil
}

// scannedScore replies with a score as ZSCAN does: as text in either protocol, and
// in a compact set as an integer's if it is one of up to 62 bits.
func (c *Context) scannedScore(z *store.ZSet, score float64) {
	const most = 1 << 62
	if n := int64(score); z.Compact() && -most <= score && score <= most && float64(n) == score {
		c.Reply.BulkInt(n)
		return
	}
	var room [40]byte
	c.Reply.Bulk(resp.AppendDouble(room[:0], score))
}

// scored is a member with its score.
type scored struct {
	elem  store.Elem
	score float64
}

const costLog = "O(log(N)) where N is the number of members"

var zsetCommands = []Spec{
	{
		Name: "ZADD", Usage: "key [NX | XX]:condition [GT | LT]:comparison [CH]:change [INCR]:increment {score member}:score-member...", Arity: -4,
		Group: SortedSet, Since: "1.2.0", Complexity: "O(log(N)) for each member, where N is the number of members",
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Updates)}, Run: zadd,
		History: []Change{
			{"2.4.0", "Accepts multiple members."}, {"3.0.2", "Added `XX`, `NX`, `CH` and `INCR`."}, {"6.2.0", "Added `GT` and `LT`."},
		},
		Summary: "Gives members of a sorted set their scores, adding those that are missing.",
	},
	{
		Name: "ZINCRBY", Usage: "key increment member", Arity: 4, Group: SortedSet, Since: "1.2.0", Complexity: costLog,
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Reads|Updates)}, Run: zincrby,
		Summary: "Adds to the score of a member of a sorted set, starting from 0.",
	},
	{
		Name: "ZREM", Usage: "key member...", Arity: -3, Group: SortedSet, Since: "1.2.0",
		Complexity: "O(M*log(N)) where N is the number of members and M the number that go",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: zrem,
		History: []Change{{"2.4.0", "Accepts multiple members."}},
		Summary: "Takes members out of a sorted set.",
	},
	{
		Name: "ZSCORE", Usage: "key member", Arity: 3, Group: SortedSet, Since: "1.2.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: readsZSet, Run: zscore,
		Summary: "Gets the score of a member of a sorted set.",
	},
	{
		Name: "ZMSCORE", Usage: "key member...", Arity: -3, Group: SortedSet, Since: "6.2.0",
		Complexity: "O(N) where N is the number of members asked for",
		Flags:      Readonly | Fast, Keys: readsZSet, Run: zmscore,
		Summary: "Gets the scores of members of a sorted set.",
	},
	{
		Name: "ZCARD", Usage: "key", Arity: 2, Group: SortedSet, Since: "1.2.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: []KeySpec{Key(1, RO)}, Run: zcard,
		Summary: "Tells how many members a sorted set has.",
	},
	{
		Name: "ZRANK", Usage: "key member [WITHSCORE]", Arity: -3, Group: SortedSet, Since: "2.0.0", Complexity: costLog,
		Flags: Readonly | Fast, Keys: readsZSet, Run: zrank,
		History: []Change{{"7.2.0", "Added `WITHSCORE`."}},
		Summary: "Tells how many members of a sorted set come before one.",
	},
	{
		Name: "ZREVRANK", Usage: "key member [WITHSCORE]", Arity: -3, Group: SortedSet, Since: "2.0.0", Complexity: costLog,
		Flags: Readonly | Fast, Keys: readsZSet, Run: zrevrank,
		History: []Change{{"7.2.0", "Added `WITHSCORE`."}},
		Summary: "Tells how many members of a sorted set come after one.",
	},
	{
		Name: "ZSCAN", Usage: "key cursor [MATCH pattern] [COUNT count]", Arity: -3, Group: SortedSet, Since: "2.8.0",
		Complexity: "O(1) for a call, O(N) for a whole iteration",
		Flags:      Readonly, Keys: readsZSet, Run: zscan, Tips: []string{"nondeterministic_output"},
		Summary: "Goes through the members of a sorted set in steps; those that are there all the time are all returned.",
	},
}
