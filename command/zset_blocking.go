package command

import "github.com/ferricd/ferricd/store"

func bzpopmin(c *Context) error { return blockingZPop(c, lowest) }
func bzpopmax(c *Context) error { return blockingZPop(c, highest) }

func blockingZPop(c *Context, e zend) error {
	until, err := c.BlockTimeout(len(c.Args) - 1)
	if err != nil {
		return err
	}
	return c.serveOrWait(c.Args[1:len(c.Args)-1], store.ZSetType, until, func(key []byte) (served bool, err error) {
		z, err := c.Tx.EditZSet(key, false)
		if err != nil || z == nil {
			return false, err
		}
		c.Reply.Array(3)
		c.Reply.Bulk(key)
		c.zpopSome(key, z, e, 1, func(m store.Elem, score float64) {
			c.elem(m)
			c.Reply.Double(score)
		})
		c.effectZPop(e, key, 1)
		return true, nil
	})
}

func bzmpop(c *Context) error {
	keys, e, count, err := c.zmpopArgs(2)
	if err != nil {
		return err
	}
	until, err := c.BlockTimeout(1)
	if err != nil {
		return err
	}
	return c.serveOrWait(keys, store.ZSetType, until, func(key []byte) (bool, error) { return c.zmpopFrom(key, e, count) })
}

var zsetBlockingCommands = []Spec{
	{
		Name: "BZPOPMIN", Usage: "key... timeout:double", Arity: -3, Group: SortedSet, Since: "5.0.0", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
		Flags: Write | NoScript | Blocking | Fast, Keys: []KeySpec{Keys(1, -2, 1, RW|Reads|Deletes)}, Run: bzpopmin,
		History: []Change{{"6.0.0", "The timeout may have a fraction."}},
		Summary: "Takes the member of the lowest score off the first sorted set that has one, and waits for it if need be.",
	},
	{
		Name: "BZPOPMAX", Usage: "key... timeout:double", Arity: -3, Group: SortedSet, Since: "5.0.0", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
		Flags: Write | NoScript | Blocking | Fast, Keys: []KeySpec{Keys(1, -2, 1, RW|Reads|Deletes)}, Run: bzpopmax,
		History: []Change{{"6.0.0", "The timeout may have a fraction."}},
		Summary: "Takes the member of the highest score off the first sorted set that has one, and waits for it if need be.",
	},
	{
		Name: "BZMPOP", Usage: "timeout:double numkeys:integer key... <MIN | MAX> [COUNT count:integer]", Arity: -5, Group: SortedSet, Since: "7.0.0",
		Complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
		Flags:      Write | Blocking, Keys: []KeySpec{CountedKeys(2, RW|Reads|Deletes)}, Run: bzmpop,
		Summary: "Takes members off the first sorted set that has some, and waits for them if need be.",
	},
}
