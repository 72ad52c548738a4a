package snapshot

import (
	"slices"

	"github.com/ferricd/ferricd/store"
)

// A stream is what Commands remembers of the stream that it is told.
//
// XCLAIM makes an entry pending only while the stream has it. One that is pending
// and was deleted is therefore added in its place, a ghost, claimed, and deleted
// again.
type stream struct {
	first   store.StreamID
	entries int
	pending []store.StreamID // of all groups, ascending; those not passed by entries yet
	ghosts  []store.StreamID
	state   store.StreamState
	group   []byte

	// Consecutive pending entries that agree in all but the ID are one XCLAIM.
	claim store.PendingEntry
	ids   []store.StreamID
}

// Stream begins a stream.
func (c *Commands) Stream(int) {
	c.name = "XADD"
	if c.again != nil {
		var p pendingIDs
		c.again(&p)
		slices.SortFunc(p.ids, store.StreamID.Compare)
		c.s.pending = slices.Compact(p.ids)
	}
}

// Entry is an entry of the stream.
func (c *Commands) Entry(id store.StreamID, fields [][]byte) {
	c.ghostsBefore(id)
	if len(c.s.pending) > 0 && c.s.pending[0] == id {
		c.s.pending = c.s.pending[1:]
	}
	if c.s.entries == 0 {
		c.s.first = id
	}
	c.s.entries++
	c.begin("XADD", 1+len(fields))
	c.id(id)
	for _, f := range fields {
		c.bytes(f)
	}
	c.whole()
}

// ghostsBefore adds the pending entries before id that the stream does not have.
func (c *Commands) ghostsBefore(id store.StreamID) {
	for len(c.s.pending) > 0 && c.s.pending[0].Less(id) {
		c.ghost(c.s.pending[0])
		c.s.pending = c.s.pending[1:]
	}
}

func (c *Commands) ghost(id store.StreamID) {
	c.s.ghosts = append(c.s.ghosts, id)
	c.begin("XADD", 3)
	c.id(id)
	c.text("x")
	c.text("y")
	c.whole()
}

// State is what the stream is besides entries and groups.
func (c *Commands) State(s store.StreamState) {
	c.s.state = s
	for _, id := range c.s.pending {
		c.ghost(id)
	}
	c.s.pending = nil
	if c.s.entries > 0 || len(c.s.ghosts) > 0 {
		return
	}
	id := s.Last
	if id.IsZero() {
		id.Seq = 1 // no entry may be 0-0; XSETID puts it right
	}
	c.begin("XADD", 5)
	c.text("MAXLEN")
	c.text("0")
	c.id(id)
	c.text("x")
	c.text("y")
	c.whole()
}

// Group is a group of consumers.
func (c *Commands) Group(g store.GroupHead) {
	c.flushClaim()
	c.s.group = append(c.s.group[:0], g.Name...)
	c.head(7)
	c.text("XGROUP")
	c.text("CREATE")
	c.bytes(c.key)
	c.bytes(g.Name)
	c.id(g.Last)
	c.text("ENTRIESREAD")
	c.integer(g.Read)
	c.whole()
}

// Consumer is a consumer of the group.
func (c *Commands) Consumer(k store.ConsumerHead) {
	c.head(5)
	c.text("XGROUP")
	c.text("CREATECONSUMER")
	c.bytes(c.key)
	c.bytes(c.s.group)
	c.bytes(k.Name)
	c.whole()
}

// Pending is an entry that is pending in the group.
func (c *Commands) Pending(p store.PendingEntry) {
	q := &c.s.claim
	if len(c.s.ids) > 0 && (len(c.s.ids) == commandElements || p.At != q.At || p.Count != q.Count ||
		string(p.Consumer) != string(q.Consumer)) {
		c.flushClaim()
	}
	if len(c.s.ids) == 0 {
		q.At, q.Count = p.At, p.Count
		q.Consumer = append(q.Consumer[:0], p.Consumer...)
	}
	c.s.ids = append(c.s.ids, p.ID)
}

func (c *Commands) flushClaim() {
	if len(c.s.ids) == 0 {
		return
	}
	c.begin("XCLAIM", 3+len(c.s.ids)+6)
	c.bytes(c.s.group)
	c.bytes(c.s.claim.Consumer)
	c.text("0")
	for _, id := range c.s.ids {
		c.id(id)
	}
	c.text("TIME")
	c.integer(c.s.claim.At)
	c.text("RETRYCOUNT")
	c.integer(c.s.claim.Count)
	c.text("JUSTID")
	c.text("FORCE")
	c.whole()
	c.s.ids = c.s.ids[:0]
}

// endStream deletes the ghosts and sets what that and the additions have moved.
// Those before the first entry are trimmed, which unlike XDEL leaves no trace in
// the greatest ID that was deleted.
func (c *Commands) endStream() {
	s := &c.s
	ghosts := s.ghosts
	if len(ghosts) > 0 && (s.entries == 0 || ghosts[0].Less(s.first)) {
		if c.begin("XTRIM", 2); s.entries == 0 {
			c.text("MAXLEN")
			c.text("0")
			ghosts = nil
		} else {
			c.text("MINID")
			c.id(s.first)
			n, _ := slices.BinarySearchFunc(ghosts, s.first, store.StreamID.Compare)
			ghosts = ghosts[n:]
		}
		c.whole()
	}
	for ids := range slices.Chunk(ghosts, commandElements) {
		c.begin("XDEL", len(ids))
		for _, id := range ids {
			c.id(id)
		}
		c.whole()
	}
	c.begin("XSETID", 5)
	c.id(s.state.Last)
	c.text("ENTRIESADDED")
	c.integer(s.state.Added)
	c.text("MAXDELETEDID")
	c.id(s.state.MaxDeleted)
	c.whole()
}

// pendingIDs notes the IDs of all pending entries.
type pendingIDs struct {
	store.Contents // nil: a stream has no other parts
	ids            []store.StreamID
}

func (p *pendingIDs) Stream(int)                     {}
func (p *pendingIDs) Entry(store.StreamID, [][]byte) {}
func (p *pendingIDs) State(store.StreamState)        {}
func (p *pendingIDs) Group(store.GroupHead)          {}
func (p *pendingIDs) Consumer(store.ConsumerHead)    {}
func (p *pendingIDs) Pending(e store.PendingEntry)   { p.ids = append(p.ids, e.ID) }
