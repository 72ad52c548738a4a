package command

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/store"
)

func sadd(c *Context) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	key := c.Args[1]
	s, err := c.Tx.EditSet(key, true)
	if err != nil {
		return err
	}
	if s.Len() == 0 {
		s.Reserve(c.Args[2:])
	}
	added := int64(0)
	for _, v := range c.Args[2:] {
		if s.Add(v) {
			added++
		}
	}
	if added > 0 {
		c.Notify(NotifySet, "sadd", key)
	} else {
		c.Tx.Unedited(key)
	}
	c.Reply.Int(added)
	return nil
}

func srem(c *Context) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	key := c.Args[1]
	s, err := c.Tx.EditSet(key, false)
	if err != nil {
		return err
	}
	if s == nil {
		c.Reply.Int(0)
		return nil
	}
	removed := int64(0)
	for _, v := range c.Args[2:] {
		if s.Remove(v) {
			removed++
		}
	}
	if removed > 0 {
		c.tookMembers(key, s, "srem")
	} else {
		c.Tx.Unedited(key)
	}
	c.Reply.Int(removed)
	return nil
}

// tookMembers notifies that members of a set have gone, and that the set has if
// they were the last.
func (c *Context) tookMembers(key []byte, s *store.Set, event string) {
	c.Notify(NotifySet, event, key)
	if s.Len() == 0 {
		c.Notify(NotifyGeneric, "del", key)
	}
}

func sismember(c *Context) error {
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	c.replyOne(s != nil && s.Has(c.Args[2]))
	return nil
}

func smismember(c *Context) error {
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, v := range c.Args[2:] {
		c.replyOne(s != nil && s.Has(v))
	}
	return nil
}

func scard(c *Context) error {
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	n := 0
	if s != nil {
		n = s.Len()
	}
	c.Reply.Int(int64(n))
	return nil
}

// replySet replies with all members of a set that may be missing.
func (c *Context) replySet(s *store.Set) {
	if s == nil {
		c.Reply.Set(0)
		return
	}
	c.Reply.Set(s.Len())
	s.Each(func(e store.Elem) bool {
		c.elem(e)
		return true
	})
}

func smembers(c *Context) error {
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	c.replySet(s)
	return nil
}

func smove(c *Context) error {
	srcKey, dstKey, v := c.Args[1], c.Args[2], c.Args[3]
	src, err := c.Tx.Set(srcKey)
	if err != nil {
		return err
	}
	if src == nil {
		c.Reply.Int(0)
		return nil
	}
	if _, err := c.Tx.Set(dstKey); err != nil {
		return err
	}
	has := src.Has(v)
	if !has || bytes.Equal(srcKey, dstKey) {
		c.replyOne(has)
		return nil
	}
	if src, err = c.Tx.EditSet(srcKey, false); err != nil {
		return err
	}
	dst, err := c.Tx.EditSet(dstKey, true)
	if err != nil {
		return err
	}
	src.Remove(v)
	c.tookMembers(srcKey, src, "srem")
	if dst.Add(v) {
		c.Notify(NotifySet, "sadd", dstKey)
	} else {
		c.Tx.Unedited(dstKey)
	}
	c.Reply.Int(1)
	return nil
}

func sscan(c *Context) error {
	cursor, err := parseCursor(c.Args[2])
	if err != nil {
		return err
	}
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	if s == nil {
		c.replyScan(0, nil)
		return nil
	}
	o, err := c.scanOptions(3, false)
	if err != nil {
		return err
	}
	var found []store.Elem
	var room [64]byte
	next := s.Scan(cursor, int(min(o.count, math.MaxInt32)), func(e store.Elem) {
		if o.pattern == nil || o.matches(e.Text(room[:0])) {
			found = append(found, e)
		}
	})
	c.replyScan(next, found)
	return nil
}

var (
	readsMembers = []KeySpec{Key(1, RO|Reads)}
	looksAtSet   = []KeySpec{Key(1, RO)}
)

const costMembers = "O(N) where N is the number of members given"

var setCommands = []Spec{
	{
		Name: "SADD", Usage: "key member...", Arity: -3, Group: SetGroup, Since: "1.0.0", Complexity: costMembers,
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Inserts)}, Run: sadd,
		History: []Change{{"2.4.0", "Accepts multiple `member` arguments."}},
		Summary: "Adds members to a set, which is made if there is none.",
	},
	{
		Name: "SREM", Usage: "key member...", Arity: -3, Group: SetGroup, Since: "1.0.0", Complexity: costMembers,
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: srem,
		History: []Change{{"2.4.0", "Accepts multiple `member` arguments."}},
		Summary: "Takes members out of a set.",
	},
	{
		Name: "SISMEMBER", Usage: "key member", Arity: 3, Group: SetGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: looksAtSet, Run: sismember,
		Summary: "Tells whether a set has a member.",
	},
	{
		Name: "SMISMEMBER", Usage: "key member...", Arity: -3, Group: SetGroup, Since: "6.2.0", Complexity: costMembers,
		Flags: Readonly | Fast, Keys: readsMembers, Run: smismember,
		Summary: "Tells of several members whether a set has them.",
	},
	{
		Name: "SCARD", Usage: "key", Arity: 2, Group: SetGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: looksAtSet, Run: scard,
		Summary: "Tells how many members a set has.",
	},
	{
		Name: "SMEMBERS", Usage: "key", Arity: 2, Group: SetGroup, Since: "1.0.0", Complexity: "O(N) where N is the size of the set",
		Flags: Readonly, Keys: readsMembers, Run: smembers, Tips: outOfOrder,
		Summary: "Gets all members of a set.",
	},
	{
		Name: "SMOVE", Usage: "source destination member", Arity: 4, Group: SetGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Deletes), Key(2, RW|Inserts)}, Run: smove,
		Summary: "Takes a member out of one set and adds it to another.",
	},
	{
		Name: "SSCAN", Usage: "key cursor [MATCH pattern] [COUNT count]", Arity: -3, Group: SetGroup, Since: "2.8.0",
		Complexity: "O(1) for a call, O(N) for a whole iteration",
		Flags:      Readonly, Keys: readsMembers, Run: sscan, Tips: []string{"nondeterministic_output"},
		Summary: "Goes through the members of a set in steps; those that are there all the time are all returned.",
	},
}
