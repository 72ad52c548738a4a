package command

import "github.com/ferricd/ferricd/store"

// groupOptions are the options of XGROUP CREATE and SETID.
type groupOptions struct {
	make bool
	read int64
}

func (c *Context) groupOptions() (o groupOptions, err error) {
	o.read = store.ReadUnknown
	creates := c.Spec.Name == "XGROUP|CREATE"
	for i := 5; i < len(c.Args); i++ {
		switch {
		case creates && c.Is(i, "MKSTREAM"):
			o.make = true
		case c.Is(i, "ENTRIESREAD") && i+1 < len(c.Args):
			i++
			if o.read, err = c.Int64(i); err != nil {
				return o, err
			}
			// What the log says has been: a count that has gone past its end.
			if o.read < 0 && o.read != store.ReadUnknown && !c.Tx.Follows {
				return o, ErrEntriesRead
			}
		default:
			return o, ErrSubSyntax(c)
		}
	}
	return o, nil
}

// groupStream is the stream that an XGROUP subcommand is about.
func (c *Context) groupStream() (*store.Stream, error) {
	s, err := c.Tx.Stream(c.Args[2])
	if err == nil && s == nil {
		err = ErrGroupKey
	}
	return s, err
}

// groupOf is the group that an XGROUP subcommand is about, which must exist.
func (c *Context) groupOf() (*store.Group, error) {
	s, err := c.groupStream()
	if err != nil {
		return nil, err
	}
	g := s.Group(c.Args[3])
	if g == nil {
		return nil, errNoGroup(c.Args[2], c.Args[3])
	}
	return g, nil
}

func errNoGroup(key, group []byte) WireError {
	return Errorf("NOGROUP No such consumer group '%s' for key name '%s'", group, key)
}

func errNoKeyOrGroup(key, group []byte) WireError {
	return Errorf("NOGROUP No such key '%s' or consumer group '%s'", key, group)
}

// editGroup is the group of a stream that is there, for editing.
func (c *Context) editGroup(key, group []byte) (*store.Group, error) {
	s, err := c.Tx.EditAside(key, false)
	if err != nil {
		return nil, err
	}
	return s.Group(group), nil
}

// groupID reads argument 4: where a group begins to read.
func (c *Context) groupID(s *store.Stream) (store.StreamID, error) {
	if string(c.Args[4]) != "$" {
		return c.streamID(4)
	}
	if s == nil {
		return store.StreamID{}, nil
	}
	return s.LastID(), nil
}

func xgroupCreate(c *Context) error {
	o, err := c.groupOptions()
	if err != nil {
		return err
	}
	key, name := c.Args[2], c.Args[3]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if s == nil && !o.make {
		return ErrGroupKey
	}
	if len(c.Args) > 8 {
		return ErrSubSyntax(c)
	}
	id, err := c.groupID(s)
	if err != nil {
		return err
	}
	if s != nil && s.Group(name) != nil {
		return ErrGroupExists
	}
	if s, err = c.Tx.EditAside(key, true); err != nil {
		return err
	}
	s.CreateGroup(name, id, o.read)
	c.Notify(NotifyStream, "xgroup-create", key)
	c.Reply.OK()
	return nil
}

func xgroupSetID(c *Context) error {
	o, err := c.groupOptions()
	if err != nil {
		return err
	}
	if _, err = c.groupOf(); err != nil {
		return err
	}
	if len(c.Args) > 7 {
		return ErrSubSyntax(c)
	}
	s, err := c.Tx.Stream(c.Args[2])
	if err != nil {
		return err
	}
	var id store.StreamID
	switch string(c.Args[4]) {
	case "-": // which XGROUP CREATE refuses, as it does "+"
	case "+":
		id = store.MaxStreamID
	default:
		if id, err = c.groupID(s); err != nil {
			return err
		}
	}
	g, err := c.editGroup(c.Args[2], c.Args[3])
	if err != nil {
		return err
	}
	g.Set(id, o.read)
	c.Notify(NotifyStream, "xgroup-setid", c.Args[2])
	c.Reply.OK()
	return nil
}

func xgroupDestroy(c *Context) error {
	key, name := c.Args[2], c.Args[3]
	s, err := c.groupStream()
	if err != nil {
		return err
	}
	if s.Group(name) == nil {
		c.Reply.Int(0)
		return nil
	}
	if s, err = c.Tx.EditAside(key, false); err != nil {
		return err
	}
	s.DestroyGroup(name)
	c.Notify(NotifyStream, "xgroup-destroy", key)
	c.Reply.Int(1)
	return nil
}

func xgroupCreateConsumer(c *Context) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	if g.Consumer(c.Args[4]) != nil {
		c.Reply.Int(0)
		return nil
	}
	if g, err = c.editGroup(c.Args[2], c.Args[3]); err != nil {
		return err
	}
	c.newConsumer(c.Args[2], g, c.Args[4])
	c.Reply.Int(1)
	return nil
}

func xgroupDelConsumer(c *Context) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	if g.Consumer(c.Args[4]) == nil {
		c.Reply.Int(0)
		return nil
	}
	if g, err = c.editGroup(c.Args[2], c.Args[3]); err != nil {
		return err
	}
	n := g.DeleteConsumer(g.Consumer(c.Args[4]))
	c.Notify(NotifyStream, "xgroup-delconsumer", c.Args[2])
	c.Reply.Int(int64(n))
	return nil
}

func xack(c *Context) error {
	key, group := c.Args[1], c.Args[2]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	if s == nil || s.Group(group) == nil {
		c.Reply.Int(0)
		return nil
	}
	if err := c.streamIDs(3); err != nil {
		return err
	}
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	g, err := c.editGroup(key, group)
	if err != nil {
		return err
	}
	n := int64(0)
	for i := 3; i < len(c.Args); i++ {
		if id, _ := c.streamID(i); g.Ack(id) {
			n++
		}
	}
	c.Reply.Int(n)
	if n == 0 {
		c.Tx.Unedited(key)
	}
	return nil
}

// pendingArgs are the arguments of XPENDING beyond the group.
type pendingArgs struct {
	idle     int64
	from, to store.StreamID
	count    int64
	consumer []byte
}

func (c *Context) pendingArgs() (p pendingArgs, err error) {
	if len(c.Args) < 6 || len(c.Args) > 9 {
		return p, ErrSyntax
	}
	i := 3
	if c.Is(i, "IDLE") {
		if p.idle, err = c.Int64(4); err != nil {
			return p, err
		}
		if len(c.Args) < 8 {
			return p, ErrSyntax
		}
		i += 2
	}
	if p.count, err = c.Int64(i + 2); err != nil {
		return p, err
	}
	if p.from, err = c.rangeStart(i); err != nil {
		return p, err
	}
	if p.to, err = c.rangeEnd(i + 1); err != nil {
		return p, err
	}
	if i+3 < len(c.Args) {
		p.consumer = c.Args[i+3]
	}
	return p, nil
}

func xpending(c *Context) error {
	var p pendingArgs
	if len(c.Args) > 3 {
		var err error
		if p, err = c.pendingArgs(); err != nil {
			return err
		}
	}
	s, err := c.Tx.Stream(c.Args[1])
	if err != nil {
		return err
	}
	if s == nil || s.Group(c.Args[2]) == nil {
		return errNoKeyOrGroup(c.Args[1], c.Args[2])
	}
	g := s.Group(c.Args[2])
	if len(c.Args) == 3 {
		pendingSummary(c, g)
		return nil
	}
	pendingList(c, g, p)
	return nil
}

func pendingSummary(c *Context, g *store.Group) {
	c.Reply.Array(4)
	c.Reply.Int(int64(g.Pending()))
	if g.Pending() == 0 {
		c.Reply.Null()
		c.Reply.Null()
		c.Reply.NullArray()
		return
	}
	c.replyID(g.From(store.StreamID{}).ID)
	c.replyID(g.LastPending().ID)
	c.replyCounted(func() int {
		n := 0
		for _, consumer := range g.Consumers() {
			if consumer.Pending() == 0 {
				continue
			}
			n++
			c.Reply.Array(2)
			c.Reply.BulkString(consumer.Name())
			c.Reply.BulkInt(int64(consumer.Pending()))
		}
		return n
	})
}

func pendingList(c *Context, g *store.Group, p pendingArgs) {
	n := int64(0)
	list := func(e *store.Pending) bool {
		if n >= p.count || p.to.Less(e.ID) {
			return false
		}
		if p.idle > 0 && c.Now-e.At < p.idle {
			return true
		}
		n++
		c.Reply.Array(4)
		c.replyID(e.ID)
		c.Reply.BulkString(e.Consumer.Name())
		c.Reply.Int(max(c.Now-e.At, 0))
		c.Reply.Int(e.Count)
		return true
	}
	c.replyCounted(func() int {
		if p.consumer == nil {
			g.Each(p.from, list)
		} else if consumer := g.Consumer(p.consumer); consumer != nil {
			consumer.Each(p.from, func(id store.StreamID) bool { return list(g.Find(id)) })
		}
		return int(n)
	})
}

var groupKey = func(a Access) []KeySpec { return []KeySpec{Key(2, RW|a)} }

const costPending = "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer."

var streamGroupCommands = []Spec{
	{
		Name: "XGROUP", Arity: -2, Group: Stream, Since: "5.0.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "Makes and changes groups of consumers.",
	},
	{
		Name: "XGROUP|CREATE", Usage: "key groupname <id | {$}:new_id>:id [MKSTREAM] [ENTRIESREAD entries_read:integer]", Arity: -5,
		Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM, Keys: groupKey(Inserts), Run: xgroupCreate,
		History: []Change{{"7.0.0", "Added the `entries_read` named argument."}},
		Summary: "Makes a group that reads a stream from behind an ID, or from behind its last one.",
	},
	{
		Name: "XGROUP|CREATECONSUMER", Usage: "key groupname consumername", Arity: 5,
		Group: Stream, Since: "6.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM, Keys: groupKey(Inserts), Run: xgroupCreateConsumer,
		Summary: "Makes a consumer of a group.",
	},
	{
		Name: "XGROUP|DELCONSUMER", Usage: "key groupname consumername", Arity: 5,
		Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Write, Keys: groupKey(Deletes), Run: xgroupDelConsumer,
		Summary: "Deletes a consumer of a group, and what is pending for it.",
	},
	{
		Name: "XGROUP|DESTROY", Usage: "key groupname", Arity: 4, Group: Stream, Since: "5.0.0",
		Complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
		Flags:      Write, Keys: groupKey(Deletes), Run: xgroupDestroy,
		Summary: "Deletes a group, with its consumers and all that is pending.",
	},
	{
		Name: "XGROUP|HELP", Arity: 2, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help,
		Summary: "Prints this help.",
	},
	{
		Name: "XGROUP|SETID", Usage: "key groupname <id | {$}:new_id>:id [ENTRIESREAD entries_read:integer]", Arity: -5,
		Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Write, Keys: groupKey(Updates), Run: xgroupSetID,
		History: []Change{{"7.0.0", "Added the optional `entries_read` argument."}},
		Summary: "Sets from behind which ID a group reads on.",
	},
	{
		Name: "XACK", Usage: "key group id...", Arity: -4, Group: Stream, Since: "5.0.0",
		Complexity: "O(1) for each message ID processed.",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Updates)}, Run: xack,
		Summary: "Acknowledges entries that are pending for a group.",
	},
	{
		Name: "XPENDING", Usage: "key group [{[IDLE min-idle-time] start:string end:string count [consumer]}:filters]", Arity: -3,
		Group: Stream, Since: "5.0.0", Complexity: costPending,
		Flags: Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: xpending, Tips: tipsRandom,
		History: []Change{{"6.2.0", "Added the `IDLE` option and exclusive range intervals."}},
		Summary: "Tells what is pending for a group: how much and for whom, or each entry.",
	},
}
