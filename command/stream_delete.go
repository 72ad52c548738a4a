package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

// A refPolicy says what deleting an entry does about groups for which it is
// pending.
type refPolicy uint8

const (
	keepRefs   refPolicy = iota // nothing
	deleteRefs                  // it is no longer pending
	onlyAcked                   // what a group has not read and acknowledged is not deleted
)

// The outcome for one ID of XDELEX and XACKDEL.
const (
	outcomeMissing = -1
	outcomeDeleted = 1
	outcomeKept    = 2
)

// deleteArgs reads the policy and the IDs, which stand from argument first to
// the last, from argument i on.
func (c *Context) deleteArgs(i int) (policy refPolicy, first, last int, err error) {
	for ; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "KEEPREF"):
			policy = keepRefs
		case c.Is(i, "DELREF"):
			policy = deleteRefs
		case c.Is(i, "ACKED"):
			policy = onlyAcked
		case c.Is(i, "IDS") && first == 0 && i+1 < len(c.Args):
			n, err := c.IntIn(i+1, 1, math.MaxInt32, ErrNumIDs)
			if err != nil {
				return policy, 0, 0, err
			}
			if n > int64(len(c.Args)-i-2) {
				return policy, 0, 0, ErrNumIDsMatch
			}
			first, last = i+2, i+2+int(n)
			i = last - 1
		default:
			return policy, 0, 0, ErrSyntax
		}
	}
	if first == 0 {
		return policy, 0, 0, ErrSyntax
	}
	for i := first; i < last; i++ {
		if _, err := c.streamID(i); err != nil {
			return policy, 0, 0, err
		}
	}
	return policy, first, last, nil
}

func xdelex(c *Context) error { return deleteEntries(c, 2, nil) }

func xackdel(c *Context) error { return deleteEntries(c, 3, c.Args[2]) }

// deleteEntries deletes entries or, if a group is named, those of them that are
// pending for it, which it acknowledges.
func deleteEntries(c *Context, options int, group []byte) error {
	policy, first, last, err := c.deleteArgs(options)
	if err != nil {
		return err
	}
	key := c.Args[1]
	s, err := c.Tx.Stream(key)
	if err != nil {
		return err
	}
	c.Reply.Array(last - first)
	if s == nil || group != nil && s.Group(group) == nil {
		for range last - first {
			c.Reply.Int(outcomeMissing)
		}
		return nil
	}
	if err := c.yield((last - first) * max(1, len(s.Groups()))); err != nil {
		return err
	}
	if s, err = c.Tx.EditStream(key, false); err != nil {
		return err
	}
	deleted, changed := false, false
	for i := first; i < last; i++ {
		id, _ := c.streamID(i)
		there := s.Has(id)
		if group != nil {
			there = s.Group(group).Ack(id)
			changed = changed || there
		}
		if policy == deleteRefs {
			for _, g := range s.Groups() {
				changed = g.Ack(id) || changed
			}
		}
		switch {
		case !there:
			c.Reply.Int(outcomeMissing)
		case policy == onlyAcked && wanted(s, id):
			c.Reply.Int(outcomeKept)
		default:
			deleted = s.Delete(id) || deleted
			c.Reply.Int(outcomeDeleted)
		}
	}
	switch {
	case deleted:
		c.Notify(NotifyStream, "xdel", key)
	case !changed:
		c.Tx.Unedited(key)
	}
	return nil
}

// wanted tells whether a group has not read an entry, or not acknowledged it.
func wanted(s *store.Stream, id store.StreamID) bool {
	for _, g := range s.Groups() {
		if g.LastID().Less(id) || g.Find(id) != nil {
			return true
		}
	}
	return false
}

const usageRefs = "[KEEPREF | DELREF | ACKED]:condition IDS {numids:integer id...}:ids"

var streamDeleteCommands = []Spec{
	{
		Name: "XDELEX", Usage: "key " + usageRefs, Arity: -5, Group: Stream, Since: "8.2.0", Complexity: costStreamDelete,
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes)}, Run: xdelex,
		Summary: "Deletes entries of a stream and says what becomes of those that are pending.",
	},
	{
		Name: "XACKDEL", Usage: "key group " + usageRefs, Arity: -6, Group: Stream, Since: "8.2.0",
		Complexity: "O(1) for each entry ID processed.",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Updates|Deletes)}, Run: xackdel,
		Summary: "Acknowledges entries that are pending for a group, and deletes them.",
	},
}
