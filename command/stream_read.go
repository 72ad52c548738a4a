package command

import (
	"bytes"
	"slices"
	"time"

	"github.com/ferricd/ferricd/store"
)

// A streamRead is a call of XREAD or XREADGROUP.
type streamRead struct {
	group, consumer []byte // nil: XREAD
	noAck           bool
	count           int64
	blocks          bool
	until           time.Time
	keys            [][]byte
	*streamMarks
}

// streamMarks are what a waiting call has already seen of each key.
type streamMarks struct {
	after  []store.StreamID // or newEntries: what the group has not got yet
	newest []store.StreamID // what was added last when the call began to wait; nil before
}

// newEntries stands for ">": no entry is behind it, so nobody means it.
var newEntries = store.MaxStreamID

func xread(c *Context) error {
	var r streamRead
	streams, err := r.options(c)
	if err != nil {
		return err
	}
	n := (len(c.Args) - streams) / 2
	r.keys = c.Args[streams : streams+n]
	if c.Woken != nil {
		r.streamMarks = c.Kept.(*streamMarks)
		return r.again(c)
	}
	if err := r.ids(c, streams+n); err != nil {
		return err
	}
	if served, err := r.serve(c, 0, len(r.keys)); served || err != nil {
		return err
	}
	return r.wait(c)
}

// options reads what stands before the keys and returns where they begin.
func (r *streamRead) options(c *Context) (streams int, err error) {
	grouped := c.Spec.Name == "XREADGROUP"
	for i := 1; i < len(c.Args) && streams == 0; i++ {
		more := len(c.Args) - i - 1
		switch {
		case c.Is(i, "BLOCK") && more > 0:
			i++
			r.blocks = true
			r.until, err = c.BlockMillis(i)
		case c.Is(i, "COUNT") && more > 0:
			i++
			r.count, err = c.Int64(i)
			r.count = max(r.count, 0)
		case c.Is(i, "STREAMS") && more > 0:
			streams = i + 1
			if more%2 != 0 {
				err = ErrReadUnbalanced
			}
		case c.Is(i, "GROUP") && more >= 2:
			if !grouped {
				return 0, ErrReadGroup
			}
			r.group, r.consumer = c.Args[i+1], c.Args[i+2]
			i += 2
		case c.Is(i, "NOACK"):
			if !grouped {
				return 0, ErrReadNoAck
			}
			r.noAck = true
		default:
			err = ErrSyntax
		}
		if err != nil {
			return 0, err
		}
	}
	switch {
	case streams == 0:
		return 0, ErrSyntax
	case grouped && r.group == nil:
		return 0, ErrGroupMissing
	}
	return streams, nil
}

// ids reads the IDs from argument i on, one for each key, and checks the keys.
func (r *streamRead) ids(c *Context, i int) error {
	r.streamMarks = &streamMarks{after: make([]store.StreamID, len(r.keys))}
	for n, key := range r.keys {
		s, err := c.Tx.Stream(key)
		if err != nil {
			return err
		}
		if r.group != nil && (s == nil || s.Group(r.group) == nil) {
			return Errorf("NOGROUP No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option", key, r.group)
		}
		arg := c.Args[i+n]
		switch {
		case string(arg) == "$" && r.group != nil:
			return ErrReadLast
		case string(arg) == "$":
			if s != nil {
				r.after[n] = s.LastID()
			}
		case string(arg) == ">" && r.group == nil:
			return ErrReadNew
		case string(arg) == ">":
			r.after[n] = newEntries
		default:
			if r.after[n], err = c.streamID(i + n); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait parks the call, which knows then what it has already seen.
func (r *streamRead) wait(c *Context) error {
	if !r.blocks || !c.MayWait() {
		c.Reply.NullArray()
		return nil
	}
	if r.newest == nil {
		r.newest = make([]store.StreamID, len(r.keys))
		for i, key := range r.keys {
			if s, err := c.Tx.Stream(key); err == nil && s != nil {
				r.newest[i] = s.Newest()
			}
			if r.group == nil && slices.ContainsFunc(r.keys[:i], func(k []byte) bool { return bytes.Equal(k, key) }) {
				r.after[i] = store.MaxStreamID // as in Redis, it waits for what it named first
			}
		}
	}
	w := &Wait{Keys: r.keys, Type: store.StreamType, Until: r.until, OnTimeout: nilArray, Kept: r.streamMarks, Looks: r.looks()}
	if r.group == nil {
		w.All = true
	} else {
		w.Gone, w.Turn = true, "group "+string(r.group)
	}
	return w
}

// looks tells of a key whether it has what the call waits for, or the call has to
// be told that its group is gone.
func (r *streamRead) looks() func(tx *store.Tx, key []byte) bool {
	keys := make([]string, len(r.keys)) // those of the call do not stay
	for i, k := range r.keys {
		keys[i] = string(k)
	}
	group, grouped, marks := string(r.group), r.group != nil, r.streamMarks
	return func(tx *store.Tx, key []byte) bool {
		s, err := tx.Stream(key)
		if err != nil || s == nil {
			return true
		}
		var g *store.Group
		if grouped {
			if g = s.Group([]byte(group)); g == nil {
				return true
			}
		}
		for i, k := range keys {
			if k == string(key) && marks.behind(i, s, g) {
				return true
			}
		}
		return false
	}
}

// behind tells whether a stream has entries behind what was seen of the i-th key
// or, if there is one, behind what a group has got. To a call that waits an entry
// counts that was added meanwhile, even if it is no longer there: Redis answers
// with nothing then.
func (m *streamMarks) behind(i int, s *store.Stream, g *store.Group) bool {
	after := m.after[i]
	if g != nil {
		after = g.LastID()
	}
	if last, ok := s.Last(); ok && after.Less(last.ID) {
		return true
	}
	return m.newest != nil && m.newest[i].Less(s.Newest()) && after.Less(s.Newest())
}

// again is what a woken call does: it serves the key that woke it or, if others
// were quicker there, any other. Who reads for a group is told when that is gone.
func (r *streamRead) again(c *Context) error {
	for _, key := range r.keys {
		if r.group == nil {
			break
		}
		if c.Tx.Type(key) != store.StreamType {
			return ErrReadKeyGone
		}
		if s, err := c.Tx.Stream(key); err != nil {
			return err
		} else if s.Group(r.group) == nil {
			return ErrReadGroupGone
		}
	}
	for i, key := range r.keys {
		if string(key) == string(c.Woken) {
			if served, err := r.serve(c, i, i+1); served || err != nil {
				return err
			}
		}
	}
	if served, err := r.serve(c, 0, len(r.keys)); served || err != nil {
		return err
	}
	return r.wait(c)
}

// serve replies with what there is at the keys from one to another, if there is
// anything. One key may stand there twice, and what was read at the first is
// read.
func (r *streamRead) serve(c *Context, from, to int) (served bool, err error) {
	mark, n := c.Reply.Len(), 0
	maps := c.Reply.Proto() >= 3
	for i := from; i < to; i++ {
		key := r.keys[i]
		has, err := r.has(c, i)
		if err != nil {
			return false, err
		}
		if !has {
			continue
		}
		n++
		if !maps {
			c.Reply.Array(2)
		}
		c.Reply.Bulk(key)
		if err := r.read(c, key, r.after[i]); err != nil {
			return false, err
		}
	}
	if n == 0 {
		return false, nil
	}
	c.putBefore(mark, func() {
		if maps {
			c.Reply.Map(n)
		} else {
			c.Reply.Array(n)
		}
	})
	return true, nil
}

// has tells whether there is something to be read at the i-th key. The history of
// a consumer always is, though it may be empty. To a woken call a key of another
// type is as one that is not there.
func (r *streamRead) has(c *Context, i int) (bool, error) {
	key := r.keys[i]
	if c.Woken != nil && c.Tx.Type(key) != store.StreamType {
		return false, nil
	}
	s, err := c.Tx.Stream(key)
	if err != nil || s == nil {
		return false, err
	}
	if r.group == nil {
		return r.behind(i, s, nil), nil
	}
	return r.after[i] != newEntries || r.behind(i, s, s.Group(r.group)), nil
}

func (r *streamRead) read(c *Context, key []byte, after store.StreamID) error {
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if r.group != nil {
		return r.readGroup(c, key, s, after)
	}
	from, _ := after.Next()
	c.replyEntries(s, from, store.MaxStreamID, r.count, (*store.Stream).Each)
	return nil
}

// readGroup reads for a consumer, which is made if there is none of its name.
func (r *streamRead) readGroup(c *Context, key []byte, s *store.Stream, after store.StreamID) error {
	history := after != newEntries
	known := s.Group(r.group).Consumer(r.consumer)
	if history && known != nil && known.Pending() == 0 {
		known.Saw(c.Now)
		c.Reply.Array(0)
		return nil
	}
	s, err := c.Tx.EditAside(key, false)
	if err != nil {
		return err
	}
	g := s.Group(r.group)
	consumer := known
	if known == nil {
		consumer = c.newConsumer(key, g, r.consumer)
		c.effectConsumer(key, r.group, r.consumer)
	}
	consumer.Saw(c.Now)
	given := false
	if history {
		given = r.replyHistory(c, key, s, g, consumer, after)
	} else {
		given = r.replyNew(c, key, s, g, consumer)
	}
	if !given && known != nil {
		c.Tx.Unedited(key)
	}
	return nil
}

// replyNew replies with what the group has not got yet, and gives it to a
// consumer. It tells whether there was anything.
func (r *streamRead) replyNew(c *Context, key []byte, s *store.Stream, g *store.Group, consumer *store.Consumer) (given bool) {
	rec := claimRecord{c: c, key: key, group: r.group, consumer: r.consumer}
	from, _ := g.LastID().Next()
	c.replyCounted(func() int {
		n := 0
		s.Each(from, store.MaxStreamID, func(e *store.StreamEntry) bool {
			c.replyEntry(e)
			g.Deliver(e.ID)
			if !r.noAck {
				g.Give(e.ID, consumer, c.Now, 1)
				rec.add(e.ID, c.Now, 1)
			}
			given = true
			n++
			return int64(n) != r.count
		})
		return n
	})
	rec.close()
	if given {
		c.effectGroupID(key, g)
	}
	return given
}

// replyHistory replies with what is pending for a consumer behind an ID: once
// more it was given out, but for what has been deleted meanwhile. It tells
// whether anything was.
func (r *streamRead) replyHistory(c *Context, key []byte, s *store.Stream, g *store.Group, consumer *store.Consumer, after store.StreamID) (given bool) {
	rec := claimRecord{c: c, key: key, group: r.group, consumer: r.consumer}
	from, more := after.Next()
	c.replyCounted(func() int {
		n := 0
		if !more {
			return n
		}
		consumer.Each(from, func(id store.StreamID) bool {
			if e, ok := s.Entry(id); ok {
				p := g.Find(id)
				p.At, p.Count = c.Now, p.Count+1
				rec.add(id, p.At, p.Count)
				c.replyEntry(&e)
				given = true
			} else {
				c.Reply.Array(2)
				c.replyID(id)
				c.Reply.NullArray()
			}
			n++
			return int64(n) != r.count
		})
		return n
	})
	rec.close()
	return given
}

// groupStreams finds the keys of XREADGROUP. A group or consumer may be called
// STREAMS, too.
func groupStreams(args [][]byte) (keys []int) {
	for i := 1; i < len(args); i++ {
		switch {
		case foldEqual(args[i], "BLOCK"), foldEqual(args[i], "COUNT"):
			i++
		case foldEqual(args[i], "GROUP"):
			i += 2
		case foldEqual(args[i], "STREAMS"):
			n := (len(args) - i - 1) / 2
			for k := range n {
				keys = append(keys, i+1+k)
			}
			return keys
		}
	}
	return nil
}

const (
	costRead      = "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data."
	costReadGroup = "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data."
)

var streamReadCommands = []Spec{
	{
		Name: "XREAD", Usage: "[COUNT count] [BLOCK milliseconds] STREAMS key... id...", Arity: -4,
		Group: Stream, Since: "5.0.0", Complexity: costRead,
		Flags: Readonly | Blocking, Keys: []KeySpec{After("STREAMS", Keys(1, -1, 1, RO|Reads).Half())}, Run: xread,
		Summary: "Shows the entries of several streams that come after given ones, and waits for them if need be.",
	},
	{
		Name: "XREADGROUP", Usage: "GROUP {group consumer}:group_consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...", Arity: -7,
		Group: Stream, Since: "5.0.0", Complexity: costReadGroup,
		Flags: Write | Blocking, Keys: []KeySpec{After("STREAMS", Keys(1, -1, 1, RO|Reads).Half()).From(4).By(groupStreams)}, Run: xread,
		Summary: "Gives a consumer of a group entries of several streams, new ones or those that it has not acknowledged, and waits for them if need be.",
	},
}
