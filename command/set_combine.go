package command

import (
	"math"
	"slices"

	"github.com/ferricd/ferricd/store"
)

// sets are the sets at some keys; those that are missing are nil.
func (c *Context) sets(keys [][]byte) ([]*store.Set, error) {
	all := make([]*store.Set, 0, 8)
	for _, key := range keys {
		s, err := c.Tx.Set(key)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// A combiner calls fn for every member of a combination of sets, until it
// returns false. It may tell a member twice.
type combiner func(sets []*store.Set, fn func(store.Elem) bool)

// interMembers starts from the smallest set.
func interMembers(sets []*store.Set, fn func(store.Elem) bool) {
	if slices.Contains(sets, nil) {
		return
	}
	slices.SortStableFunc(sets, func(a, b *store.Set) int { return a.Len() - b.Len() })
	sets[0].Each(func(e store.Elem) bool {
		for _, s := range sets[1:] {
			if !s.HasElem(e) {
				return true
			}
		}
		return fn(e)
	})
}

func unionMembers(sets []*store.Set, fn func(store.Elem) bool) {
	for _, s := range sets {
		if s != nil {
			s.Each(fn)
		}
	}
}

func diffMembers(sets []*store.Set, fn func(store.Elem) bool) {
	if sets[0] == nil {
		return
	}
	sets[0].Each(func(e store.Elem) bool {
		for _, s := range sets[1:] {
			if s != nil && s.HasElem(e) {
				return true
			}
		}
		return fn(e)
	})
}

func sinter(c *Context) error { return replyMembers(c, interMembers) }
func sdiff(c *Context) error  { return replyMembers(c, diffMembers) }

// replyMembers replies with a combination in which no member comes twice.
func replyMembers(c *Context, members combiner) error {
	sets, err := c.sets(c.Args[1:])
	if err != nil {
		return err
	}
	var found []store.Elem
	members(sets, func(e store.Elem) bool {
		found = append(found, e)
		return true
	})
	c.Reply.Set(len(found))
	for _, e := range found {
		c.elem(e)
	}
	return nil
}

func sunion(c *Context) error {
	sets, err := c.sets(c.Args[1:])
	if err != nil {
		return err
	}
	if len(sets) == 1 {
		c.replySet(sets[0])
		return nil
	}
	c.replySet(c.combined(sets, unionMembers))
	return nil
}

// combined is a combination as a set of its own.
func (c *Context) combined(sets []*store.Set, members combiner) *store.Set {
	all := c.Tx.NewSet()
	members(sets, func(e store.Elem) bool {
		all.AddElem(e)
		return true
	})
	return all
}

func sinterstore(c *Context) error { return storeMembers(c, interMembers, "sinterstore") }
func sunionstore(c *Context) error { return storeMembers(c, unionMembers, "sunionstore") }
func sdiffstore(c *Context) error  { return storeMembers(c, diffMembers, "sdiffstore") }

func storeMembers(c *Context, members combiner, event string) error {
	sets, err := c.sets(c.Args[2:])
	if err != nil {
		return err
	}
	all, dst := c.combined(sets, members), c.Args[1]
	switch {
	case all.Len() > 0:
		c.Tx.NewObject(dst, all, store.NoExpiry)
		c.Notify(NotifySet, event, dst)
	case c.Tx.Delete(dst):
		c.Notify(NotifyGeneric, "del", dst)
	}
	c.Reply.Int(int64(all.Len()))
	return nil
}

func sintercard(c *Context) error {
	n, err := c.IntIn(1, 1, math.MaxInt64, ErrNumKeysZero)
	if err != nil {
		return err
	}
	if n > int64(len(c.Args)-2) {
		return ErrManyKeys
	}
	limit := int64(0)
	for i := int(n) + 2; i < len(c.Args); i += 2 {
		if !c.Is(i, "LIMIT") || i+1 == len(c.Args) {
			return ErrSyntax
		}
		if limit, err = c.IntIn(i+1, 0, math.MaxInt64, ErrLimitNegative); err != nil {
			return err
		}
	}
	sets, err := c.sets(c.Args[2 : n+2])
	if err != nil {
		return err
	}
	found := int64(0)
	interMembers(sets, func(store.Elem) bool {
		found++
		return found != limit
	})
	c.Reply.Int(found)
	return nil
}

const (
	costInterSets = "O(N*M) where N is the size of the smallest set and M is the number of sets"
	costUnionSets = "O(N) where N is the number of members of all sets"
	costDiffSets  = "O(N*M) where N is the size of the first set and M is the number of sets"
)

var manySets = []KeySpec{Keys(1, -1, 1, RO|Reads)}

var setCombineCommands = []Spec{
	{
		Name: "SINTER", Usage: "key...", Arity: -2, Group: SetGroup, Since: "1.0.0", Complexity: costInterSets,
		Flags: Readonly, Keys: manySets, Run: sinter, Tips: outOfOrder,
		Summary: "Gets the members that several sets have in common.",
	},
	{
		Name: "SINTERCARD", Usage: "numkeys key... [LIMIT limit:integer]", Arity: -3, Group: SetGroup, Since: "7.0.0",
		Complexity: costInterSets,
		Flags:      Readonly, Keys: []KeySpec{CountedKeys(1, RO|Reads)}, Run: sintercard,
		Summary: "Counts the members that several sets have in common, up to a limit.",
	},
	{
		Name: "SINTERSTORE", Usage: "destination key...", Arity: -3, Group: SetGroup, Since: "1.0.0", Complexity: costInterSets,
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, RW|Updates), Keys(2, -1, 1, RO|Reads)}, Run: sinterstore,
		Summary: "Makes a set of the members that several sets have in common.",
	},
	{
		Name: "SUNION", Usage: "key...", Arity: -2, Group: SetGroup, Since: "1.0.0", Complexity: costUnionSets,
		Flags: Readonly, Keys: manySets, Run: sunion, Tips: outOfOrder,
		Summary: "Gets the members of several sets.",
	},
	{
		Name: "SUNIONSTORE", Usage: "destination key...", Arity: -3, Group: SetGroup, Since: "1.0.0", Complexity: costUnionSets,
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, OW|Updates), Keys(2, -1, 1, RO|Reads)}, Run: sunionstore,
		Summary: "Makes a set of the members of several sets.",
	},
	{
		Name: "SDIFF", Usage: "key...", Arity: -2, Group: SetGroup, Since: "1.0.0", Complexity: costDiffSets,
		Flags: Readonly, Keys: manySets, Run: sdiff, Tips: outOfOrder,
		Summary: "Gets the members of a set that others have not.",
	},
	{
		Name: "SDIFFSTORE", Usage: "destination key...", Arity: -3, Group: SetGroup, Since: "1.0.0", Complexity: costDiffSets,
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, OW|Updates), Keys(2, -1, 1, RO|Reads)}, Run: sdiffstore,
		Summary: "Makes a set of the members of a set that others have not.",
	},
}
