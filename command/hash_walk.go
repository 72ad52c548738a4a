package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

func hrandfield(c *Context) error {
	if len(c.Args) == 2 {
		return hrandOne(c)
	}
	count, err := c.IntIn(2, -math.MaxInt64, math.MaxInt64, "")
	if err != nil {
		return err
	}
	values := len(c.Args) == 4
	switch {
	case len(c.Args) > 4 || values && !c.Is(3, "WITHVALUES"):
		return ErrSyntax
	case values && (count < -math.MaxInt64/2 || count > math.MaxInt64/2), count < -randomMost:
		return ErrOutOfRange
	}
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	if h == nil || count == 0 {
		c.Reply.Array(0)
		return nil
	}
	n := h.Live(c.Now)
	if count > 0 {
		n = int(min(count, int64(n)))
	} else if n > 0 {
		n = int(-count)
	}
	reply := c.pairsHeader(n, values)
	if count > 0 {
		h.Sample(n, c.Now, reply)
		return nil
	}
	for range n {
		reply(h.Random(c.Now))
	}
	return nil
}

// pairsHeader announces n fields, with their values or without, and returns what
// replies with one of them.
func (c *Context) pairsHeader(n int, values bool) func(f, v store.Elem) {
	switch {
	case !values:
		c.Reply.Array(n)
		return func(f, _ store.Elem) { c.elem(f) }
	case c.Reply.Proto() == 3:
		c.Reply.Array(n)
		return func(f, v store.Elem) {
			c.Reply.Array(2)
			c.elem(f)
			c.elem(v)
		}
	}
	c.Reply.Array(2 * n)
	return func(f, v store.Elem) {
		c.elem(f)
		c.elem(v)
	}
}

func hrandOne(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	if h == nil || h.Live(c.Now) == 0 {
		c.Reply.Null()
		return nil
	}
	f, _ := h.Random(c.Now)
	c.elem(f)
	return nil
}

func hscan(c *Context) error {
	cursor, err := parseCursor(c.Args[2])
	if err != nil {
		return err
	}
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	if h == nil {
		c.replyScan(0, nil)
		return nil
	}
	o, err := c.readScanOptions(3, false, true)
	if err != nil {
		return err
	}
	var found []store.Elem
	var room [64]byte
	next := h.Scan(cursor, int(min(o.count, math.MaxInt32)), c.Now, func(f, v store.Elem) {
		if o.pattern != nil && !o.matches(f.Text(room[:0])) {
			return
		}
		found = append(found, f)
		if !o.noValues {
			found = append(found, v)
		}
	})
	c.replyScan(next, found)
	return nil
}

// replyScan replies with a cursor and elements of a collection.
func (c *Context) replyScan(next uint64, found []store.Elem) {
	c.Reply.Array(2)
	c.replyCursor(next)
	c.Reply.Array(len(found))
	for _, e := range found {
		c.elem(e)
	}
}

var hashWalkCommands = []Spec{
	{
		Name: "HRANDFIELD", Usage: "key [{count [WITHVALUES]}:options]", Arity: -2, Group: Hash, Since: "6.2.0",
		Complexity: "O(N) where N is the number of fields returned",
		Flags:      Readonly, Keys: readsField, Run: hrandfield, Tips: []string{"nondeterministic_output"},
		Summary: "Picks fields of a hash by chance.",
	},
	{
		Name: "HSCAN", Usage: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]", Arity: -3, Group: Hash, Since: "2.8.0",
		Complexity: "O(1) for a call, O(N) for a whole iteration",
		Flags:      Readonly, Keys: readsField, Run: hscan, Tips: []string{"nondeterministic_output"},
		History: []Change{{"7.4.0", "Added `NOVALUES`."}},
		Summary: "Goes through the fields of a hash in steps; those that are there all the time are all returned.",
	},
}
