package command

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/store"
)

// An end is one of the two ends of a list.
type end bool

const (
	left  end = true
	right end = false
)

// end reads argument i as LEFT or RIGHT.
func (c *Context) end(i int) (end, error) {
	switch {
	case c.Is(i, "LEFT"):
		return left, nil
	case c.Is(i, "RIGHT"):
		return right, nil
	}
	return right, ErrSyntax
}

func (e end) push(l *store.List, v []byte) {
	if e == left {
		l.PushFront(v)
	} else {
		l.PushBack(v)
	}
}

func (e end) pop(l *store.List) (v store.Elem) {
	if e == left {
		v, _ = l.PopFront()
	} else {
		v, _ = l.PopBack()
	}
	return v
}

// name is one of two words: that of the left end or of the right one.
func (e end) name(ofLeft, ofRight string) string {
	if e == left {
		return ofLeft
	}
	return ofRight
}

// elem replies with an element of a list.
func (c *Context) elem(e store.Elem) {
	if e.IsInt() {
		c.Reply.BulkInt(e.Int)
	} else {
		c.Reply.Bulk(e.Str)
	}
}

// tookFrom notifies that elements of a list have gone, and that the list has if
// they were the last.
func (c *Context) tookFrom(key []byte, l *store.List, event string) {
	c.Notify(NotifyList, event, key)
	if l.Len() == 0 {
		c.Notify(NotifyGeneric, "del", key)
	}
}

// shortWork is how many elements a call may handle while it holds up the lines
// of its shard.
const shortWork = 512

// yield makes a call of n elements leave the shard's coordinator, when that is
// who runs it. Nothing may have been changed yet.
func (c *Context) yield(n int) error {
	if n > shortWork && c.Tx.InLine() {
		return store.ErrLocked
	}
	return nil
}

func lpush(c *Context) error  { return pushTo(c, left, true) }
func rpush(c *Context) error  { return pushTo(c, right, true) }
func lpushx(c *Context) error { return pushTo(c, left, false) }
func rpushx(c *Context) error { return pushTo(c, right, false) }

func pushTo(c *Context, e end, create bool) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	key := c.Args[1]
	l, err := c.Tx.EditList(key, create)
	if err != nil {
		return err
	}
	if l == nil {
		c.Reply.Int(0)
		return nil
	}
	for _, v := range c.Args[2:] {
		e.push(l, v)
	}
	c.Notify(NotifyList, e.name("lpush", "rpush"), key)
	c.Reply.Int(int64(l.Len()))
	return nil
}

func lpop(c *Context) error { return popFrom(c, left) }
func rpop(c *Context) error { return popFrom(c, right) }

func popFrom(c *Context, e end) error {
	if len(c.Args) > 3 {
		return ErrArity(c.Spec)
	}
	if len(c.Args) == 3 {
		return popCounted(c, e)
	}
	key := c.Args[1]
	l, err := c.Tx.EditList(key, false)
	if err != nil {
		return err
	}
	if l == nil {
		c.Reply.Null()
		return nil
	}
	c.elem(e.pop(l))
	c.tookFrom(key, l, e.name("lpop", "rpop"))
	return nil
}

func popCounted(c *Context, e end) error {
	count, err := c.Positive(2)
	if err != nil {
		return err
	}
	key := c.Args[1]
	l, err := c.Tx.List(key)
	switch {
	case err != nil:
		return err
	case l == nil:
		c.Reply.NullArray()
		return nil
	case count == 0:
		c.Reply.Array(0)
		return nil
	}
	if err := c.yield(int(min(count, int64(l.Len())))); err != nil {
		return err
	}
	if l, err = c.Tx.EditList(key, false); err != nil {
		return err
	}
	c.popSome(key, l, e, count)
	return nil
}

// popSome takes up to count elements off a list and replies with them.
func (c *Context) popSome(key []byte, l *store.List, e end, count int64) (n int64) {
	n = min(count, int64(l.Len()))
	c.Reply.Array(int(n))
	for range n {
		c.elem(e.pop(l))
	}
	c.tookFrom(key, l, e.name("lpop", "rpop"))
	return n
}

func llen(c *Context) error {
	l, err := c.Tx.List(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if l != nil {
		n = l.Len()
	}
	c.Reply.Int(int64(n))
	return nil
}

func lmove(c *Context) error {
	from, err := c.end(3)
	if err != nil {
		return err
	}
	to, err := c.end(4)
	if err != nil {
		return err
	}
	return moveElem(c, from, to)
}

func rpoplpush(c *Context) error { return moveElem(c, right, left) }

func moveElem(c *Context, from, to end) error {
	srcKey, dstKey := c.Args[1], c.Args[2]
	src, err := c.Tx.List(srcKey)
	if err != nil {
		return err
	}
	if src == nil {
		c.Reply.Null()
		return nil
	}
	same := bytes.Equal(srcKey, dstKey)
	if _, err := c.Tx.List(dstKey); err != nil {
		return err
	}
	if src, err = c.Tx.EditList(srcKey, false); err != nil {
		return err
	}
	dst := src
	if !same {
		if dst, err = c.Tx.EditList(dstKey, true); err != nil {
			return err
		}
	}
	e := from.pop(src)
	c.elem(e)
	var small [64]byte
	to.push(dst, e.Append(small[:0])) // a copy: both may be one list
	c.Notify(NotifyList, to.name("lpush", "rpush"), dstKey)
	c.tookFrom(srcKey, src, from.name("lpop", "rpop"))
	return nil
}

var argvLPop, argvRPop = []byte("LPOP"), []byte("RPOP")

// lmpop is logged as the LPOP or RPOP that it was.
func lmpop(c *Context) error {
	keys, e, count, err := c.mpopArgs(1)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if served, err := c.mpop(key, e, count); served || err != nil {
			return err
		}
	}
	c.Reply.NullArray()
	return nil
}

// mpop is LMPOP for one of its keys.
func (c *Context) mpop(key []byte, e end, count int64) (served bool, err error) {
	l, err := c.Tx.List(key)
	if err != nil || l == nil {
		return false, err
	}
	if l, err = c.Tx.EditList(key, false); err != nil {
		return false, err
	}
	c.Reply.Array(2)
	c.Reply.Bulk(key)
	n := c.popSome(key, l, e, count)
	if e == left {
		c.Effect(argvLPop, key, c.Decimal(n))
	} else {
		c.Effect(argvRPop, key, c.Decimal(n))
	}
	return true, nil
}

// mpopArgs reads numkeys at argument i, the keys, the end and the count.
func (c *Context) mpopArgs(i int) (keys [][]byte, e end, count int64, err error) {
	n, err := c.IntIn(i, 1, math.MaxInt64, ErrNumKeysZero)
	if err != nil {
		return nil, e, 0, err
	}
	if n >= int64(len(c.Args)-i-1) {
		return nil, e, 0, ErrSyntax
	}
	where := i + 1 + int(n)
	if e, err = c.end(where); err != nil {
		return nil, e, 0, err
	}
	count = 1
	rest := len(c.Args) - where - 1
	if rest >= 2 && c.Is(where+1, "COUNT") { // a bad count is refused before what follows it
		count, err = c.IntIn(where+2, 1, math.MaxInt64, ErrCountZero)
		rest -= 2
	}
	if err == nil && rest != 0 {
		err = ErrSyntax
	}
	return c.Args[i+1 : where], e, count, err
}

var (
	pushesTo  = []KeySpec{Key(1, RW|Inserts)}
	popsFrom  = []KeySpec{Key(1, RW|Reads|Deletes)}
	movesElem = []KeySpec{Key(1, RW|Reads|Deletes), Key(2, RW|Inserts)}
)

const costPush = "O(N) where N is the number of elements pushed"

var listEndCommands = []Spec{
	{
		Name: "LPUSH", Usage: "key element...", Arity: -3, Group: List, Since: "1.0.0", Complexity: costPush,
		Flags: Write | DenyOOM | Fast, Keys: pushesTo, Run: lpush,
		History: []Change{{"2.4.0", "Accepts multiple `element` arguments."}},
		Summary: "Puts elements before the first one of a list, which is made if there is none.",
	},
	{
		Name: "RPUSH", Usage: "key element...", Arity: -3, Group: List, Since: "1.0.0", Complexity: costPush,
		Flags: Write | DenyOOM | Fast, Keys: pushesTo, Run: rpush,
		History: []Change{{"2.4.0", "Accepts multiple `element` arguments."}},
		Summary: "Puts elements behind the last one of a list, which is made if there is none.",
	},
	{
		Name: "LPUSHX", Usage: "key element...", Arity: -3, Group: List, Since: "2.2.0", Complexity: costPush,
		Flags: Write | DenyOOM | Fast, Keys: pushesTo, Run: lpushx,
		History: []Change{{"4.0.0", "Accepts multiple `element` arguments."}},
		Summary: "Puts elements before the first one of a list that exists.",
	},
	{
		Name: "RPUSHX", Usage: "key element...", Arity: -3, Group: List, Since: "2.2.0", Complexity: costPush,
		Flags: Write | DenyOOM | Fast, Keys: pushesTo, Run: rpushx,
		History: []Change{{"4.0.0", "Accepts multiple `element` arguments."}},
		Summary: "Puts elements behind the last one of a list that exists.",
	},
	{
		Name: "LPOP", Usage: "key [count]", Arity: -2, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the number of elements returned",
		Flags:      Write | Fast, Keys: popsFrom, Run: lpop,
		History: []Change{{"6.2.0", "Added the `count` argument."}},
		Summary: "Takes the first element, or several, off a list.",
	},
	{
		Name: "RPOP", Usage: "key [count]", Arity: -2, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the number of elements returned",
		Flags:      Write | Fast, Keys: popsFrom, Run: rpop,
		History: []Change{{"6.2.0", "Added the `count` argument."}},
		Summary: "Takes the last element, or several, off a list.",
	},
	{
		Name: "LLEN", Usage: "key", Arity: 2, Group: List, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: []KeySpec{Key(1, RO)}, Run: llen,
		Summary: "Tells how many elements a list has.",
	},
	{
		Name: "LMOVE", Usage: "source destination <LEFT | RIGHT>:wherefrom <LEFT | RIGHT>:whereto", Arity: 5,
		Group: List, Since: "6.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM, Keys: movesElem, Run: lmove,
		Summary: "Takes an element off one end of a list and puts it at an end of another, or of the same.",
	},
	{
		Name: "RPOPLPUSH", Usage: "source destination", Arity: 3,
		Group: List, Since: "1.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM, Keys: movesElem, Run: rpoplpush,
		Deprecated: "6.2.0", ReplacedBy: "`LMOVE` with the `RIGHT` and `LEFT` arguments",
		Summary: "Takes the last element off a list and puts it before the first one of another, or of the same.",
	},
	{
		Name: "LMPOP", Usage: "numkeys key... <LEFT | RIGHT>:where [COUNT count]", Arity: -4,
		Group: List, Since: "7.0.0",
		Complexity: "O(N+M) where N is the number of keys and M is the number of elements returned",
		Flags:      Write, Keys: []KeySpec{CountedKeys(1, RW|Reads|Deletes)}, Run: lmpop,
		Summary: "Takes elements off the first of several lists that has any.",
	},
}
