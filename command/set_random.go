package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

var argvSRem = []byte("SREM")

// spop is logged as the SREM, or the DEL, that it came to.
func spop(c *Context) error {
	if len(c.Args) > 3 {
		return ErrSyntax
	}
	if len(c.Args) == 3 {
		return spopCounted(c)
	}
	key := c.Args[1]
	s, err := c.Tx.EditSet(key, false)
	if err != nil {
		return err
	}
	if s == nil {
		c.Reply.Null()
		return nil
	}
	v := s.Random().Append(nil)
	s.Remove(v)
	c.Reply.Bulk(v)
	c.Effect(argvSRem, key, v)
	c.tookMembers(key, s, "spop")
	return nil
}

func spopCounted(c *Context) error {
	count, err := c.Positive(2)
	if err != nil {
		return err
	}
	key := c.Args[1]
	s, err := c.Tx.Set(key)
	if err != nil {
		return err
	}
	if s == nil || count == 0 {
		c.Reply.Set(0)
		return nil
	}
	n := int(min(count, int64(s.Len())))
	if err := c.yield(n); err != nil {
		return err
	}
	if n == s.Len() {
		c.replySet(s)
		c.Tx.Delete(key)
		c.Effect(argvDel, key)
		c.Notify(NotifySet, "spop", key)
		c.Notify(NotifyGeneric, "del", key)
		return nil
	}
	if s, err = c.Tx.EditSet(key, false); err != nil {
		return err
	}
	c.popMembers(key, s, n)
	return nil
}

// popMost is how many members one record of the log takes out at most.
const popMost = 1024

// popMembers takes n members by chance, but not all, out of a set and replies
// with them.
func (c *Context) popMembers(key []byte, s *store.Set, n int) {
	taken := make([][]byte, 0, n)
	var text []byte
	s.Sample(n, func(e store.Elem) {
		from := len(text)
		text = e.Append(text)
		taken = append(taken, text[from:len(text):len(text)])
	})
	c.Reply.Set(n)
	for _, v := range taken {
		s.Remove(v)
		c.Reply.Bulk(v)
	}
	// Redis makes a new set of those that stay when they are few.
	const few = 5
	if s.Len()*few <= n {
		s.Compact()
	}
	c.Notify(NotifySet, "spop", key)
	for len(taken) > 0 {
		part := taken[:min(len(taken), popMost)]
		c.effectFields(part, argvSRem, key)
		taken = taken[len(part):]
	}
}

func srandmember(c *Context) error {
	if len(c.Args) > 3 {
		return ErrSyntax
	}
	if len(c.Args) == 3 {
		return srandCounted(c)
	}
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	if s == nil {
		c.Reply.Null()
		return nil
	}
	c.elem(s.Random())
	return nil
}

func srandCounted(c *Context) error {
	count, err := c.IntIn(2, -math.MaxInt64, math.MaxInt64, "")
	if err != nil {
		return err
	}
	if count < -randomMost {
		return ErrOutOfRange
	}
	s, err := c.Tx.Set(c.Args[1])
	if err != nil {
		return err
	}
	switch {
	case s == nil || count == 0:
		c.Reply.Array(0)
	case count < 0:
		c.Reply.Array(int(-count))
		for range -count {
			c.elem(s.Random())
		}
	default:
		n := int(min(count, int64(s.Len())))
		c.Reply.Array(n)
		s.Sample(n, c.elem)
	}
	return nil
}

var setRandomCommands = []Spec{
	{
		Name: "SPOP", Usage: "key [count]", Arity: -2, Group: SetGroup, Since: "1.0.0",
		Complexity: "O(N) where N is the number of members returned",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Deletes)}, Run: spop, Tips: []string{"nondeterministic_output"},
		History: []Change{{"3.2.0", "Added the `count` argument."}},
		Summary: "Takes members by chance out of a set.",
	},
	{
		Name: "SRANDMEMBER", Usage: "key [count]", Arity: -2, Group: SetGroup, Since: "1.0.0",
		Complexity: "O(N) where N is the number of members returned",
		Flags:      Readonly, Keys: readsMembers, Run: srandmember, Tips: []string{"nondeterministic_output"},
		History: []Change{{"2.6.0", "Added the optional `count` argument."}},
		Summary: "Picks members of a set by chance.",
	},
}
