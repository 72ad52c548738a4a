package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

// A claim gives pending entries to a consumer. The stream is edited, and the
// consumer made, only when the first thing has to be changed.
type claim struct {
	c          *Context
	key        []byte
	s          *store.Stream
	g          *store.Group
	consumer   *store.Consumer
	rec        claimRecord
	minIdle    int64
	at         int64 // when they count as given
	retryCount int64 // how often, -1: once more than before
	force      bool
	justID     bool
	edits      bool
}

// find looks the group up that XCLAIM and XAUTOCLAIM are about.
func (k *claim) find(c *Context) (err error) {
	k.c, k.key, k.at, k.retryCount = c, c.Args[1], c.Now, -1
	k.rec = claimRecord{c: c, key: k.key, group: c.Args[2], consumer: c.Args[3]}
	if k.s, err = c.Tx.Stream(k.key); err != nil {
		return err
	}
	if k.s == nil || k.s.Group(c.Args[2]) == nil {
		return errNoKeyOrGroup(k.key, c.Args[2])
	}
	k.g = k.s.Group(c.Args[2])
	return nil
}

// edit makes ready for the first change.
func (k *claim) edit() error {
	if k.edits {
		return nil
	}
	s, err := k.c.Tx.EditAside(k.key, false)
	if err != nil {
		return err
	}
	k.edits = true
	k.s, k.g = s, s.Group(k.c.Args[2])
	return nil
}

// forget takes an entry that has been deleted out of what is pending.
func (k *claim) forget(id store.StreamID) error {
	if err := k.edit(); err != nil {
		return err
	}
	k.g.Ack(id)
	k.c.effectAck(k.key, k.c.Args[2], id)
	return nil
}

// take gives an entry to the consumer and replies with it; count is how often it
// was given out before.
func (k *claim) take(id store.StreamID, count int64) error {
	if err := k.edit(); err != nil {
		return err
	}
	if k.consumer == nil {
		name := k.c.Args[3]
		if k.consumer = k.g.Consumer(name); k.consumer == nil {
			k.consumer = k.c.newConsumer(k.key, k.g, name)
		}
		k.consumer.Saw(k.c.Now)
	}
	switch {
	case k.retryCount >= 0:
		count = k.retryCount
	case !k.justID:
		count++
	}
	k.g.Give(id, k.consumer, k.at, count)
	k.rec.add(id, k.at, count)
	if k.justID {
		k.c.replyID(id)
	} else if e, ok := k.s.Entry(id); ok {
		k.c.replyEntry(&e)
	}
	return nil
}

// idle tells whether an entry has been pending long enough to be claimed.
func (k *claim) idle(p *store.Pending) bool { return k.minIdle <= 0 || k.c.Now-p.At >= k.minIdle }

func xclaim(c *Context) error {
	var k claim
	if err := k.find(c); err != nil {
		return err
	}
	var err error
	if k.minIdle, err = c.IntIn(4, math.MinInt64, math.MaxInt64, "ERR Invalid min-idle-time argument for XCLAIM"); err != nil {
		return err
	}
	last := 5
	for last < len(c.Args) {
		if _, err := c.streamID(last); err != nil {
			break
		}
		last++
	}
	group, err := k.options(last)
	if err != nil {
		return err
	}
	if err := c.yield(last - 5); err != nil {
		return err
	}
	moves := k.g.LastID().Less(group)
	if moves {
		if err := k.edit(); err != nil {
			return err
		}
		k.g.Set(group, k.g.Read())
	}
	c.replyCounted(func() (n int) {
		for i := 5; i < last && err == nil; i++ {
			id, _ := c.streamID(i)
			var took bool
			if took, err = k.one(id); took {
				n++
			}
		}
		return n
	})
	k.rec.close()
	if moves {
		c.effectGroupID(k.key, k.g)
	}
	return err
}

// options reads what stands behind the IDs of XCLAIM. It returns how far the
// group has read, if that is said.
func (k *claim) options(i int) (group store.StreamID, err error) {
	c, at := k.c, int64(-1)
	for ; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		number := func(name string) (n int64) {
			i++
			n, err = c.IntIn(i, math.MinInt64, math.MaxInt64, WireError("ERR Invalid "+name+" option argument for XCLAIM"))
			return n
		}
		switch {
		case c.Is(i, "FORCE"):
			k.force = true
		case c.Is(i, "JUSTID"):
			k.justID = true
		case more && c.Is(i, "IDLE"):
			at = c.Now - number("IDLE")
		case more && c.Is(i, "TIME"):
			at = number("TIME")
		case more && c.Is(i, "RETRYCOUNT"):
			k.retryCount = number("RETRYCOUNT")
		case more && c.Is(i, "LASTID"):
			i++
			group, err = c.streamID(i)
		default:
			err = Errorf("ERR Unrecognized XCLAIM option '%s'", c.Args[i])
		}
		if err != nil {
			return group, err
		}
	}
	if at >= 0 && at <= c.Now {
		k.at = at
	}
	return group, nil
}

// one claims one entry for XCLAIM.
func (k *claim) one(id store.StreamID) (took bool, err error) {
	p := k.g.Find(id)
	if !k.s.Has(id) {
		if p != nil {
			err = k.forget(id)
		}
		return false, err
	}
	count := int64(1)
	switch {
	case p == nil && !k.force:
		return false, nil
	case p != nil && !k.idle(p):
		return false, nil
	case p != nil:
		count = p.Count
	}
	return true, k.take(id, count)
}

func xautoclaim(c *Context) error {
	var k claim
	minIdle, err := c.IntIn(4, math.MinInt64, math.MaxInt64, "ERR Invalid min-idle-time argument for XAUTOCLAIM")
	if err != nil {
		return err
	}
	from, err := c.rangeStart(5)
	if err != nil {
		return err
	}
	count := int64(100)
	for i := 6; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "COUNT") && i+1 < len(c.Args):
			i++
			if count, err = c.IntIn(i, 1, math.MaxInt64/16, ErrAutoClaimCount); err != nil {
				return err
			}
		case c.Is(i, "JUSTID"):
			k.justID = true
		default:
			return ErrSyntax
		}
	}
	if err := k.find(c); err != nil {
		return err
	}
	k.minIdle = minIdle
	if err := c.yield(int(min(count*autoAttempts, int64(k.g.Pending())))); err != nil {
		return err
	}
	return k.auto(from, count)
}

// autoAttempts is how many pending entries XAUTOCLAIM looks at for each one that
// it may claim.
const autoAttempts = 10

// auto claims up to count entries, from an ID on, and replies with where to go
// on, what was claimed, and what was found deleted.
func (k *claim) auto(from store.StreamID, count int64) (err error) {
	c, mark := k.c, k.c.Reply.Len()
	var deleted []store.StreamID
	p := k.g.From(from)
	c.replyCounted(func() (n int) {
		for tries := count * autoAttempts; tries > 0 && count > 0 && p != nil && err == nil; tries-- {
			id := p.ID
			switch {
			case !k.s.Has(id):
				err = k.forget(id)
				deleted = append(deleted, id)
				count--
			case k.idle(p):
				err = k.take(id, p.Count)
				n++
				count--
			}
			p = nil
			if next, ok := id.Next(); ok {
				p = k.g.From(next)
			}
		}
		return n
	})
	if err != nil {
		return err
	}
	k.rec.close()
	var cursor store.StreamID
	if p != nil {
		cursor = p.ID
	}
	c.putBefore(mark, func() {
		c.Reply.Array(3)
		c.replyID(cursor)
	})
	c.Reply.Array(len(deleted))
	for _, id := range deleted {
		c.replyID(id)
	}
	return nil
}

var streamClaimCommands = []Spec{
	{
		Name: "XCLAIM", Usage: "key group consumer min-idle-time:string id... [IDLE ms:integer] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
		Arity: -6, Group: Stream, Since: "5.0.0",
		Complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Updates)}, Run: xclaim, Tips: tipsRandom,
		Summary: "Gives a consumer entries that are pending for others.",
	},
	{
		Name: "XAUTOCLAIM", Usage: "key group consumer min-idle-time:string start:string [COUNT count] [JUSTID]",
		Arity: -6, Group: Stream, Since: "6.2.0", Complexity: "O(1) if COUNT is small.",
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: xautoclaim, Tips: tipsRandom,
		History: []Change{{"7.0.0", "Added an element to the reply array, containing deleted entries the command cleared from the PEL"}},
		Summary: "Gives a consumer what has been pending for long, for whomever, from an ID on.",
	},
}
