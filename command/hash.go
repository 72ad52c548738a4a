package command

import "github.com/ferricd/ferricd/store"

func hset(c *Context) error {
	created, err := hsetFields(c)
	if err != nil {
		return err
	}
	c.Reply.Int(created)
	return nil
}

func hmset(c *Context) error {
	if _, err := hsetFields(c); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

func hsetFields(c *Context) (created int64, err error) {
	if len(c.Args)%2 != 0 {
		return 0, ErrArity(c.Spec)
	}
	if err := c.yield(len(c.Args) / 2); err != nil {
		return 0, err
	}
	key := c.Args[1]
	h, err := c.Tx.EditHash(key, true)
	if err != nil {
		return 0, err
	}
	if h.Len() == 0 {
		h.Reserve(c.Args[2:])
	}
	for i := 2; i < len(c.Args); i += 2 {
		if h.Set(c.Args[i], c.Args[i+1], c.Now) {
			created++
		}
	}
	c.Notify(NotifyHash, "hset", key)
	return created, nil
}

func hsetnx(c *Context) error {
	key, field := c.Args[1], c.Args[2]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	if h != nil {
		if _, ok := h.Get(field, c.Now); ok {
			c.Reply.Int(0)
			return nil
		}
	}
	if h, err = c.Tx.EditHash(key, true); err != nil {
		return err
	}
	h.Set(field, c.Args[3], c.Now)
	c.Notify(NotifyHash, "hset", key)
	c.Reply.Int(1)
	return nil
}

// fieldOf is the value of a field of a hash that may be missing.
func (c *Context) fieldOf(h *store.Hash, field []byte) (store.Elem, bool) {
	if h == nil {
		return store.Elem{}, false
	}
	return h.Get(field, c.Now)
}

// fieldValue replies with the value of a field, or null.
func (c *Context) fieldValue(h *store.Hash, field []byte) (ok bool) {
	v, ok := c.fieldOf(h, field)
	if ok {
		c.elem(v)
	} else {
		c.Reply.Null()
	}
	return ok
}

func hget(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	c.fieldValue(h, c.Args[2])
	return nil
}

func hmget(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, field := range c.Args[2:] {
		c.fieldValue(h, field)
	}
	return nil
}

func hexists(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	_, ok := c.fieldOf(h, c.Args[2])
	c.replyOne(ok)
	return nil
}

// replyOne replies with 1 or 0.
func (c *Context) replyOne(yes bool) {
	n := int64(0)
	if yes {
		n = 1
	}
	c.Reply.Int(n)
}

func hstrlen(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if v, ok := c.fieldOf(h, c.Args[2]); ok {
		n = v.Len()
	}
	c.Reply.Int(int64(n))
	return nil
}

// hlen counts expired fields too that nobody has removed yet, as Redis does.
func hlen(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if h != nil {
		n = h.Len()
	}
	c.Reply.Int(int64(n))
	return nil
}

func hgetall(c *Context) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	if h == nil {
		c.Reply.Map(0)
		return nil
	}
	c.Reply.Map(h.Live(c.Now))
	h.Each(c.Now, func(f, v store.Elem) bool {
		c.elem(f)
		c.elem(v)
		return true
	})
	return nil
}

func hkeys(c *Context) error {
	return c.eachField(func(f, _ store.Elem) { c.elem(f) })
}

func hvals(c *Context) error {
	return c.eachField(func(_, v store.Elem) { c.elem(v) })
}

// eachField replies with an array of what fn replies for every field.
func (c *Context) eachField(fn func(f, v store.Elem)) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	if h == nil {
		c.Reply.Array(0)
		return nil
	}
	c.Reply.Array(h.Live(c.Now))
	h.Each(c.Now, func(f, v store.Elem) bool {
		fn(f, v)
		return true
	})
	return nil
}

func hdel(c *Context) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	key := c.Args[1]
	h, err := c.Tx.EditHash(key, false)
	if err != nil {
		return err
	}
	if h == nil {
		c.Reply.Int(0)
		return nil
	}
	deleted, before := 0, h.Len()
	for _, field := range c.Args[2:] {
		if h.Delete(field, c.Now) {
			deleted++
		}
	}
	if h.Len() == before {
		c.Tx.Unedited(key)
	} else {
		c.deletedFields(key, h)
	}
	c.Reply.Int(int64(deleted))
	return nil
}

// deletedFields notifies that fields of a hash have gone, and that the hash has
// if they were the last.
func (c *Context) deletedFields(key []byte, h *store.Hash) {
	c.Notify(NotifyHash, "hdel", key)
	if h.Len() == 0 {
		c.Notify(NotifyGeneric, "del", key)
	}
}

var (
	readsField  = []KeySpec{Key(1, RO|Reads)}
	looksAtHash = []KeySpec{Key(1, RO)}
	setsFields  = []KeySpec{Key(1, RW|Updates)}
	outOfOrder  = []string{"nondeterministic_output_order"}
)

const costFields = "O(N) where N is the number of fields given"

var hashCommands = []Spec{
	{
		Name: "HSET", Usage: "key {field value}:field-value...", Arity: -4, Group: Hash, Since: "2.0.0", Complexity: costFields,
		Flags: Write | DenyOOM | Fast, Keys: setsFields, Run: hset,
		History: []Change{{"4.0.0", "Accepts multiple `field` and `value` arguments."}},
		Summary: "Gives fields of a hash their values and tells how many of them are new.",
	},
	{
		Name: "HSETNX", Usage: "key field value", Arity: 4, Group: Hash, Since: "2.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Inserts)}, Run: hsetnx,
		Summary: "Gives a field of a hash a value if there is no such field.",
	},
	{
		Name: "HMSET", Usage: "key {field value}:field-value...", Arity: -4, Group: Hash, Since: "2.0.0", Complexity: costFields,
		Flags: Write | DenyOOM | Fast, Keys: setsFields, Run: hmset,
		Deprecated: "4.0.0", ReplacedBy: "`HSET` with multiple field-value pairs",
		Summary: "Gives fields of a hash their values.",
	},
	{
		Name: "HGET", Usage: "key field", Arity: 3, Group: Hash, Since: "2.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: readsField, Run: hget,
		Summary: "Gets the value of a field of a hash.",
	},
	{
		Name: "HMGET", Usage: "key field...", Arity: -3, Group: Hash, Since: "2.0.0", Complexity: costFields,
		Flags: Readonly | Fast, Keys: readsField, Run: hmget,
		Summary: "Gets the values of fields of a hash.",
	},
	{
		Name: "HGETALL", Usage: "key", Arity: 2, Group: Hash, Since: "2.0.0", Complexity: "O(N) where N is the size of the hash",
		Flags: Readonly, Keys: readsField, Run: hgetall, Tips: outOfOrder,
		Summary: "Gets all fields of a hash with their values.",
	},
	{
		Name: "HKEYS", Usage: "key", Arity: 2, Group: Hash, Since: "2.0.0", Complexity: "O(N) where N is the size of the hash",
		Flags: Readonly, Keys: readsField, Run: hkeys, Tips: outOfOrder,
		Summary: "Gets all fields of a hash.",
	},
	{
		Name: "HVALS", Usage: "key", Arity: 2, Group: Hash, Since: "2.0.0", Complexity: "O(N) where N is the size of the hash",
		Flags: Readonly, Keys: readsField, Run: hvals, Tips: outOfOrder,
		Summary: "Gets all values of a hash.",
	},
	{
		Name: "HDEL", Usage: "key field...", Arity: -3, Group: Hash, Since: "2.0.0", Complexity: costFields,
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: hdel,
		History: []Change{{"2.4.0", "Accepts multiple `field` arguments."}},
		Summary: "Deletes fields of a hash.",
	},
	{
		Name: "HEXISTS", Usage: "key field", Arity: 3, Group: Hash, Since: "2.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: looksAtHash, Run: hexists,
		Summary: "Tells whether a hash has a field.",
	},
	{
		Name: "HLEN", Usage: "key", Arity: 2, Group: Hash, Since: "2.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: looksAtHash, Run: hlen,
		Summary: "Tells how many fields a hash has.",
	},
	{
		Name: "HSTRLEN", Usage: "key field", Arity: 3, Group: Hash, Since: "3.2.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: looksAtHash, Run: hstrlen,
		Summary: "Tells how long the value of a field of a hash is.",
	},
}
