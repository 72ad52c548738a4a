package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

func xadd(c *Context) error {
	t, at, err := c.trimOptions(2)
	if err != nil {
		return err
	}
	fields := c.Args[min(at+1, len(c.Args)):]
	if len(fields) < 2 || len(fields)%2 != 0 {
		return ErrArity(c.Spec)
	}
	var id store.StreamID
	auto, whole := t.auto(c.Args[at]), false
	if !auto {
		id, whole, _ = newStreamID(c.Args[at])
		if whole && id.IsZero() {
			return ErrStreamZero
		}
	}
	key := c.Args[1]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	var last store.StreamID
	if s != nil {
		last = s.LastID()
	} else if t.noMake {
		c.Reply.Null()
		return nil
	}
	if id, err = nextStreamID(last, id, auto, whole, c.Now); err != nil {
		return err
	}
	if !store.FitsStream(fields) {
		return ErrStreamTooLarge
	}
	work := len(fields)
	if s != nil && t.trims {
		work = max(work, s.Trims(t.StreamTrim, shortWork))
	}
	if err := c.yield(work); err != nil {
		return err
	}
	if s, err = c.Tx.EditStream(key, true); err != nil {
		return err
	}
	s.Append(id, fields)
	c.Notify(NotifyStream, "xadd", key)
	trimmed := int64(0)
	if t.trims {
		if trimmed = s.Trim(t.StreamTrim); trimmed > 0 {
			c.Notify(NotifyStream, "xtrim", key)
		}
	}
	c.replyID(id)
	if !whole || t.trims || t.noMake {
		c.effectAdd(id, fields, s.Len(), trimmed > 0)
	}
	return nil
}

// nextStreamID is the ID that a new entry gets behind the last one: as given, or
// made of the time, or only its second half made.
func nextStreamID(last, id store.StreamID, auto, whole bool, now int64) (store.StreamID, error) {
	if last == store.MaxStreamID {
		return id, ErrStreamFull
	}
	switch {
	case auto:
		if ms := uint64(max(now, 0)); ms > last.Ms {
			return store.StreamID{Ms: ms}, nil
		}
		next, _ := last.Next()
		return next, nil
	case !whole && id.Ms == last.Ms:
		if last.Seq == math.MaxUint64 {
			return id, ErrStreamTooLarge // which is not what is wrong, but what Redis says
		}
		id.Seq = last.Seq + 1
	}
	if !last.Less(id) {
		return id, ErrStreamSmaller
	}
	return id, nil
}

var (
	argvXAdd, argvXTrim   = []byte("XADD"), []byte("XTRIM")
	argvMaxLen, argvExact = []byte("MAXLEN"), []byte("=")
)

// effectAdd logs an entry with the ID that it got, and with how many were left.
func (c *Context) effectAdd(id store.StreamID, fields [][]byte, length int, trimmed bool) {
	var room [32][]byte
	argv := append(room[:0], argvXAdd, c.Args[1])
	if trimmed {
		argv = append(argv, argvMaxLen, argvExact, c.Decimal(int64(length)))
	}
	argv = append(argv, c.idWord(id))
	c.Effect(append(argv, fields...)...)
}

func xtrim(c *Context) error {
	t, _, err := c.trimOptions(2)
	if err != nil {
		return err
	}
	key := c.Args[1]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if s == nil || s.Trims(t.StreamTrim, 0) == 0 {
		c.Reply.Int(0)
		return nil
	}
	if s, err = c.Tx.EditStream(key, false); err != nil {
		return err
	}
	n := s.Trim(t.StreamTrim)
	c.Reply.Int(n)
	if n == 0 {
		c.Tx.Unedited(key)
		return nil
	}
	c.Notify(NotifyStream, "xtrim", key)
	c.Effect(argvXTrim, key, argvMaxLen, argvExact, c.Decimal(int64(s.Len())))
	return nil
}

func xlen(c *Context) error {
	s, err := c.Tx.Stream(c.Args[1])
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

func xrange(c *Context) error {
	from, err := c.rangeStart(2)
	if err != nil {
		return err
	}
	to, err := c.rangeEnd(3)
	if err != nil {
		return err
	}
	return replyStreamRange(c, from, to, (*store.Stream).Each)
}

func xrevrange(c *Context) error {
	from, err := c.rangeStart(3)
	if err != nil {
		return err
	}
	to, err := c.rangeEnd(2)
	if err != nil {
		return err
	}
	return replyStreamRange(c, from, to, (*store.Stream).EachBack)
}

// A streamWalk visits entries of a stream in one of the two directions.
type streamWalk func(s *store.Stream, from, to store.StreamID, fn func(*store.StreamEntry) bool)

func replyStreamRange(c *Context, from, to store.StreamID, walk streamWalk) error {
	count := int64(-1)
	for i := 4; i < len(c.Args); i++ {
		if !c.Is(i, "COUNT") || i+1 == len(c.Args) {
			return ErrSyntax
		}
		i++
		n, err := c.Int64(i)
		if err != nil {
			return err
		}
		count = max(n, 0)
	}
	s, err := c.Tx.Stream(c.Args[1])
	switch {
	case err != nil:
		return err
	case s == nil:
		c.Reply.Array(0)
	case count == 0:
		c.Reply.NullArray()
	default:
		c.replyEntries(s, from, to, count, walk)
	}
	return nil
}

// replyEntries replies with up to count entries, all if that is not positive.
func (c *Context) replyEntries(s *store.Stream, from, to store.StreamID, count int64, walk streamWalk) {
	c.replyCounted(func() int {
		n := 0
		if to.Less(from) {
			return n
		}
		walk(s, from, to, func(e *store.StreamEntry) bool {
			c.replyEntry(e)
			n++
			return int64(n) != count
		})
		return n
	})
}

func xdel(c *Context) error {
	key := c.Args[1]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if s == nil {
		c.Reply.Int(0)
		return nil
	}
	if err := c.streamIDs(2); err != nil {
		return err
	}
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	if s, err = c.Tx.EditStream(key, false); err != nil {
		return err
	}
	n := int64(0)
	for i := 2; i < len(c.Args); i++ {
		if id, _ := c.streamID(i); s.Delete(id) {
			n++
		}
	}
	c.Reply.Int(n)
	if n == 0 {
		c.Tx.Unedited(key)
		return nil
	}
	c.Notify(NotifyStream, "xdel", key)
	return nil
}

// xsetid checks what a client asks for. What log and snapshots say has been, and
// is taken as it is: a count that has gone past its end, a last ID that was set
// back behind the greatest one deleted.
func xsetid(c *Context) error {
	id, err := c.streamID(2)
	if err != nil {
		return err
	}
	var added *int64
	var deleted store.StreamID
	for i := 3; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "ENTRIESADDED"):
			i++
			var n int64
			if n, err = c.Int64(i); err == nil && n < 0 && !c.Tx.Follows {
				err = ErrSetIDAdded
			}
			added = &n
		case more && c.Is(i, "MAXDELETEDID"):
			i++
			if deleted, err = c.streamID(i); err == nil && id.Less(deleted) && !c.Tx.Follows {
				err = ErrSetIDGiven
			}
		default:
			err = ErrSyntax
		}
		if err != nil {
			return err
		}
	}
	return setStreamID(c, id, added, deleted)
}

// setStreamID leaves what is nil or zero as it is.
func setStreamID(c *Context, id store.StreamID, added *int64, deleted store.StreamID) error {
	key := c.Args[1]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if s == nil {
		return ErrNoKey
	}
	if top, ok := s.Last(); ok {
		switch {
		case id.Less(top.ID):
			return ErrSetIDTop
		case added != nil && int64(s.Len()) > *added && !c.Tx.Follows:
			return ErrSetIDLength
		}
	}
	if s, err = c.Tx.EditAside(key, false); err != nil {
		return err
	}
	s.SetLast(id)
	if added != nil {
		s.SetAdded(*added)
	}
	if !deleted.IsZero() {
		s.SetMaxDeleted(deleted)
	}
	c.Notify(NotifyStream, "xsetid", key)
	c.Reply.OK()
	return nil
}

const (
	usageTrim        = "<MAXLEN | MINID>:strategy [{=}:equal | {~}:approximately]:operator threshold [LIMIT count]"
	costStreamRange  = "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1)."
	costStreamDelete = "O(1) for each single item to delete in the stream, regardless of the stream size."
)

var tipsRandom = []string{"nondeterministic_output"}

var streamCommands = []Spec{
	{
		Name: "XADD", Usage: "key [NOMKSTREAM] [" + usageTrim + "]:trim <{*}:auto_id | id>:id_or_auto {field value}:field_value...",
		Arity: -5, Group: Stream, Since: "5.0.0",
		Complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
		Flags:      Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Updates)}, Run: xadd, Tips: tipsRandom,
		History: []Change{
			{"6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."},
			{"7.0.0", "Added support for the `<ms>-*` explicit ID form."},
		},
		Summary: "Adds an entry at the end of a stream, which is made if there is none, and may trim it.",
	},
	{
		Name: "XTRIM", Usage: "key {" + usageTrim + "}:trim", Arity: -4, Group: Stream, Since: "5.0.0",
		Complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
		Flags:      Write, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: xtrim, Tips: tipsRandom,
		History: []Change{{"6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."}},
		Summary: "Takes the oldest entries off a stream.",
	},
	{
		Name: "XLEN", Usage: "key", Arity: 2, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: []KeySpec{Key(1, RO)}, Run: xlen,
		Summary: "Tells how many entries a stream has.",
	},
	{
		Name: "XRANGE", Usage: "key start:string end:string [COUNT count]", Arity: -4, Group: Stream, Since: "5.0.0",
		Complexity: costStreamRange,
		Flags:      Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: xrange,
		History: []Change{{"6.2.0", "Added exclusive ranges."}},
		Summary: "Shows the entries of a stream from one ID to another.",
	},
	{
		Name: "XREVRANGE", Usage: "key end:string start:string [COUNT count]", Arity: -4, Group: Stream, Since: "5.0.0",
		Complexity: costStreamRange,
		Flags:      Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: xrevrange,
		History: []Change{{"6.2.0", "Added exclusive ranges."}},
		Summary: "Shows the entries of a stream from one ID back to another.",
	},
	{
		Name: "XDEL", Usage: "key id...", Arity: -3, Group: Stream, Since: "5.0.0", Complexity: costStreamDelete,
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: xdel,
		Summary: "Deletes entries of a stream.",
	},
	{
		Name: "XSETID", Usage: "key last-id [ENTRIESADDED entries_added:integer] [MAXDELETEDID max_deleted_entry_id]",
		Arity: -3, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Updates)}, Run: xsetid,
		History: []Change{{"7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments."}},
		Summary: "Sets the ID behind which a stream goes on, and what it counts.",
	},
}
