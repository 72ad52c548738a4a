package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

// place turns an index that may count from the end into one that counts from
// the beginning; outside of the list it is negative or too large.
func place(i int64, l *store.List) int64 {
	if i < 0 {
		i += int64(l.Len())
	}
	return i
}

func lindex(c *Context) error {
	l, err := c.Tx.List(c.Args[1])
	if err != nil {
		return err
	}
	if l == nil {
		c.Reply.Null()
		return nil
	}
	i, err := c.Int64(2)
	if err != nil {
		return err
	}
	e, ok := l.Index(int(place(i, l)))
	if !ok {
		c.Reply.Null()
		return nil
	}
	c.elem(e)
	return nil
}

func lset(c *Context) error {
	key := c.Args[1]
	l, err := c.Tx.List(key)
	if err != nil {
		return err
	}
	if l == nil {
		return ErrNoKey
	}
	i, err := c.Int64(2)
	if err != nil {
		return err
	}
	if i = place(i, l); i < 0 || i >= int64(l.Len()) {
		return ErrIndex
	}
	if l, err = c.Tx.EditList(key, false); err != nil {
		return err
	}
	l.Set(int(i), c.Args[3])
	c.Notify(NotifyList, "lset", key)
	c.Reply.OK()
	return nil
}

func linsert(c *Context) error {
	after := 0
	switch {
	case c.Is(2, "AFTER"):
		after = 1
	case !c.Is(2, "BEFORE"):
		return ErrSyntax
	}
	key := c.Args[1]
	l, err := c.Tx.List(key)
	if err != nil {
		return err
	}
	if l == nil {
		c.Reply.Int(0)
		return nil
	}
	pivot, ok := l.First(c.Args[3])
	if !ok {
		c.Reply.Int(-1)
		return nil
	}
	if l, err = c.Tx.EditList(key, false); err != nil {
		return err
	}
	l.Insert(pivot+after, c.Args[4])
	c.Notify(NotifyList, "linsert", key)
	c.Reply.Int(int64(l.Len()))
	return nil
}

func lrem(c *Context) error {
	count, err := c.Int64(2)
	if err != nil {
		return err
	}
	key, v := c.Args[1], c.Args[3]
	l, err := c.Tx.List(key)
	if err != nil {
		return err
	}
	found := false
	if l != nil {
		_, found = l.First(v)
	}
	if !found {
		c.Reply.Int(0)
		return nil
	}
	if l, err = c.Tx.EditList(key, false); err != nil {
		return err
	}
	n := l.Remove(int(count), v)
	c.tookFrom(key, l, "lrem")
	c.Reply.Int(int64(n))
	return nil
}

// bounds reads arguments 2 and 3 as the first and the last index of a range.
func (c *Context) bounds() (start, stop int64, err error) {
	if start, err = c.Int64(2); err == nil {
		stop, err = c.Int64(3)
	}
	return start, stop, err
}

// clip cuts a range to what there is of l; start is greater than stop when that
// is nothing.
func clip(start, stop int64, l *store.List) (int, int) {
	start, stop = max(place(start, l), 0), min(place(stop, l), int64(l.Len()-1))
	if start > stop {
		return 1, 0
	}
	return int(start), int(stop)
}

// ltrim counts as a change even if everything is in the range, but is then not
// logged.
func ltrim(c *Context) error {
	start, stop, err := c.bounds()
	if err != nil {
		return err
	}
	key := c.Args[1]
	l, err := c.Tx.EditList(key, false)
	if err != nil {
		return err
	}
	if l != nil {
		from, to := clip(start, stop, l)
		if to-from+1 == l.Len() {
			c.NoEffect()
		} else {
			l.Trim(from, to)
		}
		c.tookFrom(key, l, "ltrim")
	}
	c.Reply.OK()
	return nil
}

func lrange(c *Context) error {
	start, stop, err := c.bounds()
	if err != nil {
		return err
	}
	l, err := c.Tx.List(c.Args[1])
	if err != nil {
		return err
	}
	if l == nil {
		c.Reply.Array(0)
		return nil
	}
	from, to := clip(start, stop, l)
	c.Reply.Array(to - from + 1)
	if from <= to {
		l.Each(from, false, func(i int, e store.Elem) bool {
			c.elem(e)
			return i < to
		})
	}
	return nil
}

// posOptions are what stands behind the element in LPOS.
type posOptions struct {
	rank   int64 // which of the equal ones, from the end when negative
	count  int64 // how many of them; 0: all
	array  bool  // COUNT was given
	maxLen int64 // how many elements are looked at; 0: all
}

func (c *Context) posOptions() (o posOptions, err error) {
	o.rank, o.count = 1, 1
	for i := 3; i < len(c.Args); i += 2 {
		switch {
		case i+1 == len(c.Args):
			return o, ErrSyntax
		case c.Is(i, "RANK"):
			if o.rank, err = c.Int64(i + 1); err == nil && o.rank == 0 {
				err = ErrRankZero
			}
		case c.Is(i, "COUNT"):
			o.array = true
			o.count, err = c.IntIn(i+1, 0, math.MaxInt64, ErrCountNegative)
		case c.Is(i, "MAXLEN"):
			o.maxLen, err = c.IntIn(i+1, 0, math.MaxInt64, ErrMaxLenNegative)
		default:
			return o, ErrSyntax
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func lpos(c *Context) error {
	o, err := c.posOptions()
	if err != nil {
		return err
	}
	l, err := c.Tx.List(c.Args[1])
	if err != nil {
		return err
	}
	var few [16]int
	found := few[:0]
	if l != nil {
		found = o.find(l, c.Args[2], found)
	}
	switch {
	case o.array:
		c.Reply.Array(len(found))
		for _, i := range found {
			c.Reply.Int(int64(i))
		}
	case len(found) > 0:
		c.Reply.Int(int64(found[0]))
	default:
		c.Reply.Null()
	}
	return nil
}

// find appends the places of v that the options ask for.
func (o *posOptions) find(l *store.List, v []byte, found []int) []int {
	start, reverse, skip := 0, o.rank < 0, o.rank
	if reverse {
		// The smallest rank has no opposite; redis-server takes it for -1.
		start, skip = l.Len()-1, max(-o.rank, 1)
	}
	l.Find(v, start, reverse, int(o.maxLen), func(i int) bool {
		if skip--; skip > 0 {
			return true
		}
		found = append(found, i)
		return o.count == 0 || int64(len(found)) < o.count
	})
	return found
}

var listIndexCommands = []Spec{
	{
		Name: "LINDEX", Usage: "key index", Arity: 3, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the number of chunks between the element and the nearer end",
		Flags:      Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: lindex,
		Summary: "Gets the element of a list at an index.",
	},
	{
		Name: "LSET", Usage: "key index element", Arity: 4, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the number of chunks between the element and the nearer end",
		Flags:      Write | DenyOOM, Keys: []KeySpec{Key(1, RW|Updates)}, Run: lset,
		Summary: "Overwrites the element of a list at an index.",
	},
	{
		Name: "LINSERT", Usage: "key <BEFORE | AFTER>:where pivot element", Arity: 5, Group: List, Since: "2.2.0",
		Complexity: "O(N) where N is the number of elements before the pivot",
		Flags:      Write | DenyOOM, Keys: []KeySpec{Key(1, RW|Inserts)}, Run: linsert,
		Summary: "Puts an element beside the first one that equals the pivot.",
	},
	{
		Name: "LREM", Usage: "key count element", Arity: 4, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the length of the list",
		Flags:      Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: lrem,
		Summary: "Takes elements that equal the given one out of a list.",
	},
	{
		Name: "LTRIM", Usage: "key start stop", Arity: 4, Group: List, Since: "1.0.0",
		Complexity: "O(N) where N is the number of elements that go",
		Flags:      Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: ltrim,
		Summary: "Keeps a range of a list and drops the rest.",
	},
	{
		Name: "LRANGE", Usage: "key start stop", Arity: 4, Group: List, Since: "1.0.0",
		Complexity: "O(S+N) where S is the number of chunks between start and the nearer end and N that of elements returned",
		Flags:      Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: lrange,
		Summary: "Gets a range of a list.",
	},
	{
		Name: "LPOS", Usage: "key element [RANK rank] [COUNT num-matches:integer] [MAXLEN len]", Arity: -3,
		Group: List, Since: "6.0.6",
		Complexity: "O(N) where N is the number of elements looked at",
		Flags:      Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: lpos,
		Summary: "Finds the index of elements of a list.",
	},
}
