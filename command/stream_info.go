package command

import "github.com/ferricd/ferricd/store"

// streamOf is the stream that an XINFO subcommand is about.
func (c *Context) streamOf() (*store.Stream, error) {
	s, err := c.Tx.Stream(c.Args[2])
	if err == nil && s == nil {
		err = ErrNoKey
	}
	return s, err
}

func xinfoStream(c *Context) error {
	s, err := c.streamOf()
	if err != nil {
		return err
	}
	if len(c.Args) == 3 {
		c.Reply.Map(10)
		streamTotals(c, s)
		c.Reply.BulkString("groups")
		c.Reply.Int(int64(len(s.Groups())))
		c.Reply.BulkString("first-entry")
		c.entryOrNull(s.First())
		c.Reply.BulkString("last-entry")
		c.entryOrNull(s.Last())
		return nil
	}
	count := int64(10)
	switch {
	case !c.Is(3, "FULL"), len(c.Args) != 4 && len(c.Args) != 6, len(c.Args) == 6 && !c.Is(4, "COUNT"):
		return ErrSubSyntax(c)
	case len(c.Args) == 6:
		n, err := c.Int64(5)
		if err != nil {
			return err
		}
		if n >= 0 {
			count = n
		}
	}
	c.Reply.Map(9)
	streamTotals(c, s)
	c.Reply.BulkString("entries")
	c.replyEntries(s, store.StreamID{}, store.MaxStreamID, count, (*store.Stream).Each)
	c.Reply.BulkString("groups")
	c.Reply.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		groupInFull(c, g, count)
	}
	return nil
}

// streamTotals replies with the first seven fields of XINFO STREAM.
func streamTotals(c *Context, s *store.Stream) {
	var first store.StreamID
	if e, ok := s.First(); ok {
		first = e.ID
	}
	c.intField("length", int64(s.Len()))
	c.intField("radix-tree-keys", int64(s.Nodes()))
	c.intField("radix-tree-nodes", int64(s.RadixNodes()))
	c.idField("last-generated-id", s.LastID())
	c.idField("max-deleted-entry-id", s.MaxDeleted())
	c.intField("entries-added", s.Added())
	c.idField("recorded-first-entry-id", first)
}

func (c *Context) intField(name string, n int64) {
	c.Reply.BulkString(name)
	c.Reply.Int(n)
}

func (c *Context) idField(name string, id store.StreamID) {
	c.Reply.BulkString(name)
	c.replyID(id)
}

func (c *Context) textField(name, text string) {
	c.Reply.BulkString(name)
	c.Reply.BulkString(text)
}

func (c *Context) entryOrNull(e store.StreamEntry, ok bool) {
	if ok {
		c.replyEntry(&e)
	} else {
		c.Reply.Null()
	}
}

// groupCounts replies with how many entries a group has read, and how many it
// has not, or with null where that cannot be said.
func groupCounts(c *Context, g *store.Group) {
	c.Reply.BulkString("entries-read")
	if g.Read() == store.ReadUnknown {
		c.Reply.Null()
	} else {
		c.Reply.Int(g.Read())
	}
	c.Reply.BulkString("lag")
	if lag, ok := g.Lag(); ok {
		c.Reply.Int(lag)
	} else {
		c.Reply.Null()
	}
}

func groupInFull(c *Context, g *store.Group, count int64) {
	c.Reply.Map(7)
	c.textField("name", g.Name())
	c.idField("last-delivered-id", g.LastID())
	groupCounts(c, g)
	c.intField("pel-count", int64(g.Pending()))
	c.Reply.BulkString("pending")
	n := upTo(count, g.Pending())
	c.Reply.Array(n)
	if n > 0 {
		g.Each(store.StreamID{}, func(p *store.Pending) bool {
			c.Reply.Array(4)
			c.replyID(p.ID)
			c.Reply.BulkString(p.Consumer.Name())
			c.Reply.Int(p.At)
			c.Reply.Int(p.Count)
			n--
			return n > 0
		})
	}
	c.Reply.BulkString("consumers")
	c.Reply.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		consumerInFull(c, g, consumer, count)
	}
}

// upTo is how many of n things are shown; a count of 0 shows all.
func upTo(count int64, n int) int {
	if count == 0 {
		return n
	}
	return int(min(count, int64(n)))
}

func consumerInFull(c *Context, g *store.Group, consumer *store.Consumer, count int64) {
	c.Reply.Map(4)
	c.textField("name", consumer.Name())
	c.intField("seen-time", consumer.Seen())
	c.intField("pel-count", int64(consumer.Pending()))
	c.Reply.BulkString("pending")
	n := upTo(count, consumer.Pending())
	c.Reply.Array(n)
	if n > 0 {
		consumer.Each(store.StreamID{}, func(id store.StreamID) bool {
			p := g.Find(id)
			c.Reply.Array(3)
			c.replyID(id)
			c.Reply.Int(p.At)
			c.Reply.Int(p.Count)
			n--
			return n > 0
		})
	}
}

func xinfoGroups(c *Context) error {
	s, err := c.streamOf()
	if err != nil {
		return err
	}
	c.Reply.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		c.Reply.Map(6)
		c.textField("name", g.Name())
		c.intField("consumers", int64(len(g.Consumers())))
		c.intField("pending", int64(g.Pending()))
		c.idField("last-delivered-id", g.LastID())
		groupCounts(c, g)
	}
	return nil
}

func xinfoConsumers(c *Context) error {
	s, err := c.streamOf()
	if err != nil {
		return err
	}
	g := s.Group(c.Args[3])
	if g == nil {
		return errNoGroup(c.Args[2], c.Args[3])
	}
	c.Reply.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		c.Reply.Map(3)
		c.textField("name", consumer.Name())
		c.intField("pending", int64(consumer.Pending()))
		c.intField("idle", max(c.Now-consumer.Seen(), 0))
	}
	return nil
}

var streamInfoKeys = []KeySpec{Key(2, RO|Reads)}

var streamInfoCommands = []Spec{
	{
		Name: "XINFO", Arity: -2, Group: Stream, Since: "5.0.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "Tells about streams, their groups and consumers.",
	},
	{
		Name: "XINFO|CONSUMERS", Usage: "key groupname", Arity: 4, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Readonly, Keys: streamInfoKeys, Run: xinfoConsumers, Tips: tipsRandom,
		Summary: "Tells about the consumers of a group.",
	},
	{
		Name: "XINFO|GROUPS", Usage: "key", Arity: 3, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Readonly, Keys: streamInfoKeys, Run: xinfoGroups,
		History: []Change{{"7.0.0", "Added the `entries-read` and `lag` fields"}},
		Summary: "Tells about the groups of a stream.",
	},
	{
		Name: "XINFO|HELP", Arity: 2, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help,
		Summary: "Prints this help.",
	},
	{
		Name: "XINFO|STREAM", Usage: "key [FULL [COUNT count]]", Arity: -3, Group: Stream, Since: "5.0.0", Complexity: "O(1)",
		Flags: Readonly, Keys: streamInfoKeys, Run: xinfoStream,
		History: []Change{
			{"6.0.0", "Added the `FULL` modifier."},
			{"7.0.0", "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields"},
		},
		Summary: "Tells about a stream, and in full also what is in it and pending.",
	},
}
