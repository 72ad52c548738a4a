package command

import (
	"time"

	"github.com/ferricd/ferricd/store"
)

func nilArray(c *Context) { c.Reply.NullArray() }
func nilBulk(c *Context)  { c.Reply.Null() }

// waitFor parks the call until one of keys holds a value of type t, or, where
// nothing may wait, answers none at once. When time is over the answer is a null
// array, whatever the command.
func (c *Context) waitFor(keys [][]byte, t store.Type, until time.Time, none func(*Context)) error {
	if !c.MayWait() {
		none(c)
		return nil
	}
	return &Wait{Keys: keys, Type: t, Until: until, OnTimeout: nilArray}
}

// serveOrWait serves the call from the first key that serve can take something
// from, or parks it until one of them holds a value of type t.
func (c *Context) serveOrWait(keys [][]byte, t store.Type, until time.Time, serve func(key []byte) (served bool, err error)) (err error) {
	served := false
	c.EachWaited(keys, t, func(key []byte) bool {
		served, err = serve(key)
		return err == nil && !served
	})
	if err != nil || served {
		return err
	}
	return c.waitFor(keys, t, until, nilArray)
}

func blpop(c *Context) error { return blockingPop(c, left) }
func brpop(c *Context) error { return blockingPop(c, right) }

func blockingPop(c *Context, e end) error {
	until, err := c.BlockTimeout(len(c.Args) - 1)
	if err != nil {
		return err
	}
	return c.serveOrWait(c.Args[1:len(c.Args)-1], store.ListType, until, func(key []byte) (served bool, err error) {
		l, err := c.Tx.EditList(key, false)
		if err != nil || l == nil {
			return false, err
		}
		c.Reply.Array(2)
		c.Reply.Bulk(key)
		c.elem(e.pop(l))
		c.tookFrom(key, l, e.name("lpop", "rpop"))
		c.effectPop(e, key)
		return true, nil
	})
}

// effectPop logs a pop of one element.
func (c *Context) effectPop(e end, key []byte) {
	if e == left {
		c.Effect(argvLPop, key)
	} else {
		c.Effect(argvRPop, key)
	}
}

func blmove(c *Context) error {
	from, err := c.end(3)
	if err != nil {
		return err
	}
	to, err := c.end(4)
	if err != nil {
		return err
	}
	return blockingMove(c, from, to, 5)
}

func brpoplpush(c *Context) error { return blockingMove(c, right, left, 3) }

var (
	argvLMove           = []byte("LMOVE")
	argvLeft, argvRight = []byte("LEFT"), []byte("RIGHT")
)

func blockingMove(c *Context, from, to end, timeout int) error {
	until, err := c.BlockTimeout(timeout)
	if err != nil {
		return err
	}
	src := c.Args[1]
	if c.Woken == nil || c.Tx.Type(src) == store.ListType {
		l, err := c.Tx.List(src)
		if err != nil {
			return err
		}
		if l != nil {
			if err := moveElem(c, from, to); err != nil {
				return err
			}
			c.Effect(argvLMove, src, c.Args[2], from.word(), to.word())
			return nil
		}
	}
	return c.waitFor(c.Args[1:2], store.ListType, until, nilBulk)
}

// word is the end as LMOVE takes it.
func (e end) word() []byte {
	if e == left {
		return argvLeft
	}
	return argvRight
}

func blmpop(c *Context) error {
	keys, e, count, err := c.mpopArgs(2)
	if err != nil {
		return err
	}
	until, err := c.BlockTimeout(1)
	if err != nil {
		return err
	}
	return c.serveOrWait(keys, store.ListType, until, func(key []byte) (bool, error) { return c.mpop(key, e, count) })
}

var listBlockingCommands = []Spec{
	{
		Name: "BLPOP", Usage: "key... timeout:double", Arity: -3, Group: List, Since: "2.0.0", Complexity: "O(N) where N is the number of provided keys.",
		Flags: Write | NoScript | Blocking, Keys: []KeySpec{Keys(1, -2, 1, RW|Reads|Deletes)}, Run: blpop,
		History: []Change{{"6.0.0", "The timeout may have a fraction."}},
		Summary: "Takes the first element of the first list that has one, and waits for it if need be.",
	},
	{
		Name: "BRPOP", Usage: "key... timeout:double", Arity: -3, Group: List, Since: "2.0.0", Complexity: "O(N) where N is the number of provided keys.",
		Flags: Write | NoScript | Blocking, Keys: []KeySpec{Keys(1, -2, 1, RW|Reads|Deletes)}, Run: brpop,
		History: []Change{{"6.0.0", "The timeout may have a fraction."}},
		Summary: "Takes the last element of the first list that has one, and waits for it if need be.",
	},
	{
		Name: "BLMOVE", Usage: "source:key destination:key <LEFT | RIGHT> <LEFT | RIGHT> timeout:double", Arity: 6, Group: List, Since: "6.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | NoScript | Blocking, Keys: []KeySpec{Key(1, RW|Reads|Deletes), Key(2, RW|Inserts)}, Run: blmove,
		Summary: "Moves an element from one list to another, and waits for it if need be.",
	},
	{
		Name: "BRPOPLPUSH", Usage: "source:key destination:key timeout:double", Arity: 4, Group: List, Since: "2.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | NoScript | Blocking, Keys: []KeySpec{Key(1, RW|Reads|Deletes), Key(2, RW|Inserts)}, Run: brpoplpush,
		Deprecated: "6.2.0", ReplacedBy: "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
		History: []Change{{"6.0.0", "The timeout may have a fraction."}},
		Summary: "Moves the last element of a list to the front of another, and waits for it if need be.",
	},
	{
		Name: "BLMPOP", Usage: "timeout:double numkeys:integer key... <LEFT | RIGHT> [COUNT count:integer]", Arity: -5, Group: List, Since: "7.0.0",
		Complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
		Flags:      Write | Blocking, Keys: []KeySpec{CountedKeys(2, RW|Reads|Deletes)}, Run: blmpop,
		Summary: "Takes elements off the first list that has some, and waits for them if need be.",
	},
}
