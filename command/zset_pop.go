package command

import (
	"math"
	"math/rand/v2"

	"github.com/ferricd/ferricd/store"
)

// A zend is one of the two ends of a sorted set.
type zend bool

const (
	lowest  zend = false
	highest zend = true
)

// zend reads argument i as MIN or MAX.
func (c *Context) zend(i int) (zend, error) {
	switch {
	case c.Is(i, "MIN"):
		return lowest, nil
	case c.Is(i, "MAX"):
		return highest, nil
	}
	return lowest, ErrSyntax
}

func (e zend) event() string {
	if e == highest {
		return "zpopmax"
	}
	return "zpopmin"
}

var argvZPopMin, argvZPopMax = []byte("ZPOPMIN"), []byte("ZPOPMAX")

// effectZPop logs a pop of n members.
func (c *Context) effectZPop(e zend, key []byte, n int) {
	argv := argvZPopMin
	if e == highest {
		argv = argvZPopMax
	}
	c.Effect(argv, key, c.Decimal(int64(n)))
}

// zpopSome takes n members, which are there, off an end of z and calls fn for each
// of them before it goes.
func (c *Context) zpopSome(key []byte, z *store.ZSet, e zend, n int, fn func(e store.Elem, score float64)) {
	size := z.Len()
	r := zrange{reverse: bool(e)}
	r.each(z, 0, n, fn)
	if e == highest {
		z.RemoveRange(size-n, n)
	} else {
		z.RemoveRange(0, n)
	}
	c.Notify(NotifyZSet, e.event(), key)
	if z.Len() == 0 {
		c.Notify(NotifyGeneric, "del", key)
	}
}

func zpopmin(c *Context) error { return zpop(c, lowest) }
func zpopmax(c *Context) error { return zpop(c, highest) }

func zpop(c *Context, e zend) error {
	if len(c.Args) > 3 {
		return ErrSyntax
	}
	count, counted := int64(1), len(c.Args) == 3
	if counted {
		var err error
		if count, err = c.Positive(2); err != nil {
			return err
		}
	}
	key := c.Args[1]
	z, err := c.Tx.ZSet(key)
	if err != nil {
		return err
	}
	if z == nil || count == 0 {
		c.Reply.Array(0)
		return nil
	}
	n := int(min(count, int64(z.Len())))
	if err := c.yield(n); err != nil {
		return err
	}
	if z, err = c.Tx.EditZSet(key, false); err != nil {
		return err
	}
	if !counted {
		c.Reply.Array(2)
	} else {
		c.scoresHeader(n, true)
	}
	c.zpopSome(key, z, e, n, func(e store.Elem, score float64) {
		if counted {
			c.scored(e, score, true)
			return
		}
		c.elem(e)
		c.Reply.Double(score)
	})
	return nil
}

// zmpop is logged as the ZPOPMIN or ZPOPMAX that it was.
func zmpop(c *Context) error {
	keys, e, count, err := c.zmpopArgs(1)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if served, err := c.zmpopFrom(key, e, count); served || err != nil {
			return err
		}
	}
	c.Reply.NullArray()
	return nil
}

// zmpopArgs reads numkeys at argument i, the keys, the end and the count.
func (c *Context) zmpopArgs(i int) (keys [][]byte, e zend, count int64, err error) {
	n, err := c.IntIn(i, 1, math.MaxInt64, ErrNumKeysZero)
	if err != nil {
		return nil, e, 0, err
	}
	if n >= int64(len(c.Args)-i-1) {
		return nil, e, 0, ErrSyntax
	}
	where := i + 1 + int(n)
	if e, err = c.zend(where); err != nil {
		return nil, e, 0, err
	}
	count = 1
	for j := where + 1; j < len(c.Args); j += 2 {
		if j != where+1 || !c.Is(j, "COUNT") || j+1 == len(c.Args) {
			return nil, e, 0, ErrSyntax
		}
		if count, err = c.IntIn(j+1, 1, math.MaxInt64, ErrCountZero); err != nil {
			return nil, e, 0, err
		}
	}
	return c.Args[i+1 : where], e, count, nil
}

// zmpopFrom takes up to count members off an end of the set at key, replies with
// key and members, and tells whether there was a set.
func (c *Context) zmpopFrom(key []byte, e zend, count int64) (served bool, err error) {
	z, err := c.Tx.ZSet(key)
	if err != nil || z == nil {
		return false, err
	}
	n := int(min(count, int64(z.Len())))
	if err := c.yield(n); err != nil {
		return false, err
	}
	if z, err = c.Tx.EditZSet(key, false); err != nil {
		return false, err
	}
	c.Reply.Array(2)
	c.Reply.Bulk(key)
	c.Reply.Array(n)
	c.zpopSome(key, z, e, n, func(e store.Elem, score float64) {
		c.Reply.Array(2)
		c.elem(e)
		c.Reply.Double(score)
	})
	c.effectZPop(e, key, n)
	return true, nil
}

func zrandmember(c *Context) error {
	if len(c.Args) == 2 {
		z, err := c.Tx.ZSet(c.Args[1])
		if err != nil {
			return err
		}
		if z == nil {
			c.Reply.Null()
			return nil
		}
		z.Each(rand.IntN(z.Len()), false, func(e store.Elem, _ float64) bool {
			c.elem(e)
			return false
		})
		return nil
	}
	count, err := c.IntIn(2, -math.MaxInt64, math.MaxInt64, "")
	if err != nil {
		return err
	}
	scores := len(c.Args) == 4
	switch {
	case len(c.Args) > 4 || scores && !c.Is(3, "WITHSCORES"):
		return ErrSyntax
	case scores && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return ErrOutOfRange
	}
	z, err := c.Tx.ZSet(c.Args[1])
	if err != nil {
		return err
	}
	switch {
	case z == nil || count == 0:
		c.Reply.Array(0)
	case count < 0:
		return c.randomAgain(z, -count, scores)
	default:
		c.randomOnce(z, int(min(count, int64(z.Len()))), scores)
	}
	return nil
}

// randomMost is how many members ZRANDMEMBER gives out with repetitions: beyond
// it the reply alone would take the memory that keys are for.
const randomMost = 1 << 24

// randomAgain replies with n random members, of which some may be the same.
func (c *Context) randomAgain(z *store.ZSet, n int64, scores bool) error {
	if n > randomMost {
		return ErrOutOfRange
	}
	c.scoresHeader(int(n), scores)
	for range n {
		z.Each(rand.IntN(z.Len()), false, func(e store.Elem, score float64) bool {
			c.scored(e, score, scores)
			return false
		})
	}
	return nil
}

// randomOnce replies with n different members: it goes through them from the last
// to the first and takes each with the probability that leaves all choices alike,
// or, when they are few of many, draws their ranks.
func (c *Context) randomOnce(z *store.ZSet, n int, scores bool) {
	c.scoresHeader(n, scores)
	size := z.Len()
	if n < size/8 {
		drawn := make(map[int]struct{}, n)
		for len(drawn) < n {
			rank := rand.IntN(size)
			if _, ok := drawn[rank]; ok {
				continue
			}
			drawn[rank] = struct{}{}
			z.Each(rank, false, func(e store.Elem, score float64) bool {
				c.scored(e, score, scores)
				return false
			})
		}
		return
	}
	z.Each(size-1, true, func(e store.Elem, score float64) bool {
		if rand.IntN(size) < n {
			c.scored(e, score, scores)
			n--
		}
		size--
		return n > 0
	})
}

const costPop = "O(log(N)*M) where N is the number of members and M the number that go"

var zsetPopCommands = []Spec{
	{
		Name: "ZPOPMIN", Usage: "key [count]", Arity: -2, Group: SortedSet, Since: "5.0.0", Complexity: costPop,
		Flags: Write | Fast, Keys: popsFrom, Run: zpopmin,
		Summary: "Takes the members with the lowest scores off a sorted set.",
	},
	{
		Name: "ZPOPMAX", Usage: "key [count]", Arity: -2, Group: SortedSet, Since: "5.0.0", Complexity: costPop,
		Flags: Write | Fast, Keys: popsFrom, Run: zpopmax,
		Summary: "Takes the members with the highest scores off a sorted set.",
	},
	{
		Name: "ZMPOP", Usage: "numkeys key... <MIN | MAX>:where [COUNT count]", Arity: -4, Group: SortedSet, Since: "7.0.0",
		Complexity: "O(K)+O(log(N)*M) where K is the number of keys, N that of members and M the number that go",
		Flags:      Write, Keys: []KeySpec{CountedKeys(1, RW|Reads|Deletes)}, Run: zmpop,
		Summary: "Takes members off the first of several sorted sets that has any.",
	},
	{
		Name: "ZRANDMEMBER", Usage: "key [count [WITHSCORES]]:options", Arity: -2, Group: SortedSet, Since: "6.2.0",
		Complexity: "O(log(N)*M) where N is the number of members and M the number returned",
		Flags:      Readonly, Keys: readsZSet, Run: zrandmember, Tips: []string{"nondeterministic_output"},
		Summary: "Picks random members of a sorted set.",
	},
}
