package command

import (
	"github.com/ferricd/ferricd/store"
)

// scoresHeader announces n members, with their scores if scores is set: in pairs
// of their own in RESP3.
func (c *Context) scoresHeader(n int, scores bool) {
	if scores && c.Reply.Proto() == 2 {
		n *= 2
	}
	c.Reply.Array(n)
}

// scored replies with a member that scoresHeader has announced.
func (c *Context) scored(e store.Elem, score float64, scores bool) {
	if scores && c.Reply.Proto() == 3 {
		c.Reply.Array(2)
	}
	c.elem(e)
	if scores {
		c.Reply.Double(score)
	}
}

func zrangeAny(c *Context) error     { return replyRange(c, zrange{}, true) }
func zrevrange(c *Context) error     { return replyRange(c, zrange{by: byRank, reverse: true}, false) }
func zrangeByScore(c *Context) error { return replyRange(c, zrange{by: byScore}, false) }
func zrevrangeByScore(c *Context) error {
	return replyRange(c, zrange{by: byScore, reverse: true}, false)
}
func zrangeByLex(c *Context) error      { return replyRange(c, zrange{by: byName}, false) }
func zrevrangeByLex(c *Context) error   { return replyRange(c, zrange{by: byName, reverse: true}, false) }
func zremrangeByRank(c *Context) error  { return removeRange(c, byRank, "zremrangebyrank") }
func zremrangeByScore(c *Context) error { return removeRange(c, byScore, "zremrangebyscore") }
func zremrangeByLex(c *Context) error   { return removeRange(c, byName, "zremrangebylex") }

// replyRange answers with a range. With auto, options say which kind it is.
func replyRange(c *Context, r zrange, auto bool) error {
	if err := r.options(c, 4, auto, false); err != nil {
		return err
	}
	if err := r.ends(c, 2); err != nil {
		return err
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	if z == nil {
		c.Reply.Array(0)
		return nil
	}
	rank, n := r.clip(z)
	c.scoresHeader(n, r.scores)
	r.each(z, rank, n, func(e store.Elem, score float64) { c.scored(e, score, r.scores) })
	return nil
}

func zrangestore(c *Context) error {
	var r zrange
	if err := r.options(c, 5, true, true); err != nil {
		return err
	}
	if err := r.ends(c, 3); err != nil {
		return err
	}
	z, err := c.Tx.ZSet(c.Args[2])
	if err != nil {
		return err
	}
	// It grows as redis-server's does: what is put into a compact one has no -0.
	dst := c.Tx.NewZSet()
	if z != nil {
		rank, n := r.clip(z)
		if err := c.yield(n); err != nil {
			return err
		}
		var room []byte
		r.each(z, rank, n, func(e store.Elem, score float64) {
			room = e.Append(room[:0])
			dst.Set(room, score)
		})
	}
	c.storeZSet(c.Args[1], dst, "zrangestore")
	return nil
}

// storeZSet lets key hold z, or deletes it if z is empty, and replies with z's
// length.
func (c *Context) storeZSet(key []byte, z *store.ZSet, event string) {
	if z.Len() > 0 {
		c.Tx.StoreZSet(key, z)
		c.Notify(NotifyZSet, event, key)
	} else if c.Tx.Delete(key) {
		c.Notify(NotifyGeneric, "del", key)
	}
	c.Reply.Int(int64(z.Len()))
}

func zcount(c *Context) error    { return countRange(c, byScore) }
func zlexcount(c *Context) error { return countRange(c, byName) }

func countRange(c *Context, by rangeBy) error {
	r := zrange{by: by}
	if err := r.ends(c, 2); err != nil {
		return err
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if z != nil {
		_, n = r.of(z)
	}
	c.Reply.Int(int64(n))
	return nil
}

func removeRange(c *Context, by rangeBy, event string) error {
	r := zrange{by: by}
	if err := r.ends(c, 2); err != nil {
		return err
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	rank, n := 0, 0
	if z != nil {
		rank, n = r.of(z)
	}
	if n > 0 {
		if err := c.yield(n); err != nil {
			return err
		}
		if z, err = c.Tx.EditZSet(c.Args[1], false); err != nil {
			return err
		}
		z.RemoveRange(rank, n)
		c.zsetEdited(z, event, n)
	}
	c.Reply.Int(int64(n))
	return nil
}

const (
	costRange  = "O(log(N)+M) where N is the number of members and M the number returned"
	costRemove = "O(log(N)*M) where N is the number of members and M the number that go"
	costCount  = "O(log(N)) where N is the number of members"
	useZRange  = "`ZRANGE` with the "
)

var readsZSet = []KeySpec{Key(1, RO|Reads)}

var zsetRangeCommands = []Spec{
	{
		Name: "ZRANGE", Usage: "key start:string stop:string [BYSCORE | BYLEX]:sortby [REV] [LIMIT offset count] [WITHSCORES]",
		Arity: -4, Group: SortedSet, Since: "1.2.0", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrangeAny,
		History: []Change{{"6.2.0", "Added `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."}},
		Summary: "Gets a range of a sorted set, by rank, score or name.",
	},
	{
		Name: "ZRANGESTORE", Usage: "dst:key src:key min:string max:string [BYSCORE | BYLEX]:sortby [REV] [LIMIT offset count]",
		Arity: -5, Group: SortedSet, Since: "6.2.0",
		Complexity: "O(log(N)+M*log(M)) where N is the number of members and M the number stored",
		Flags:      Write | DenyOOM, Keys: []KeySpec{Key(1, OW|Updates), Key(2, RO|Reads)}, Run: zrangestore,
		Summary: "Stores a range of a sorted set in another key.",
	},
	{
		Name: "ZREVRANGE", Usage: "key start stop [WITHSCORES]", Arity: -4, Group: SortedSet, Since: "1.2.0", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrevrange,
		Deprecated: "6.2.0", ReplacedBy: useZRange + "`REV` argument",
		Summary: "Gets a range of a sorted set by rank, the highest score first.",
	},
	{
		Name: "ZRANGEBYSCORE", Usage: "key min max [WITHSCORES] [LIMIT offset count]", Arity: -4, Group: SortedSet, Since: "1.0.5", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrangeByScore,
		Deprecated: "6.2.0", ReplacedBy: useZRange + "`BYSCORE` argument",
		History: []Change{{"2.0.0", "Added `WITHSCORES`."}},
		Summary: "Gets the members of a sorted set with scores in a range.",
	},
	{
		Name: "ZREVRANGEBYSCORE", Usage: "key max min [WITHSCORES] [LIMIT offset count]", Arity: -4, Group: SortedSet, Since: "2.2.0", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrevrangeByScore,
		Deprecated: "6.2.0", ReplacedBy: useZRange + "`REV` and `BYSCORE` arguments",
		History: []Change{{"2.1.6", "`min` and `max` may be exclusive."}},
		Summary: "Gets the members of a sorted set with scores in a range, the highest score first.",
	},
	{
		Name: "ZRANGEBYLEX", Usage: "key min:string max:string [LIMIT offset count]", Arity: -4, Group: SortedSet, Since: "2.8.9", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrangeByLex,
		Deprecated: "6.2.0", ReplacedBy: useZRange + "`BYLEX` argument",
		Summary: "Gets the members of a sorted set with names in a range, where all scores are equal.",
	},
	{
		Name: "ZREVRANGEBYLEX", Usage: "key max:string min:string [LIMIT offset count]", Arity: -4, Group: SortedSet, Since: "2.8.9", Complexity: costRange,
		Flags: Readonly, Keys: readsZSet, Run: zrevrangeByLex,
		Deprecated: "6.2.0", ReplacedBy: useZRange + "`REV` and `BYLEX` arguments",
		Summary: "Gets the members of a sorted set with names in a range, the last name first, where all scores are equal.",
	},
	{
		Name: "ZCOUNT", Usage: "key min max", Arity: 4, Group: SortedSet, Since: "2.0.0", Complexity: costCount,
		Flags: Readonly | Fast, Keys: readsZSet, Run: zcount,
		Summary: "Counts the members of a sorted set with scores in a range.",
	},
	{
		Name: "ZLEXCOUNT", Usage: "key min:string max:string", Arity: 4, Group: SortedSet, Since: "2.8.9", Complexity: costCount,
		Flags: Readonly | Fast, Keys: readsZSet, Run: zlexcount,
		Summary: "Counts the members of a sorted set with names in a range, where all scores are equal.",
	},
	{
		Name: "ZREMRANGEBYRANK", Usage: "key start stop", Arity: 4, Group: SortedSet, Since: "2.0.0", Complexity: costRemove,
		Flags: Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: zremrangeByRank,
		Summary: "Takes a range of ranks out of a sorted set.",
	},
	{
		Name: "ZREMRANGEBYSCORE", Usage: "key min max", Arity: 4, Group: SortedSet, Since: "1.2.0", Complexity: costRemove,
		Flags: Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: zremrangeByScore,
		Summary: "Takes the members with scores in a range out of a sorted set.",
	},
	{
		Name: "ZREMRANGEBYLEX", Usage: "key min:string max:string", Arity: 4, Group: SortedSet, Since: "2.8.9", Complexity: costRemove,
		Flags: Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: zremrangeByLex,
		Summary: "Takes the members with names in a range out of a sorted set, where all scores are equal.",
	},
}
