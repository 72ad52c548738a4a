package rdb

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/ferricd/ferricd/store"
)

// stream reads a stream: nodes of entries, its state, its groups. The second form
// has more of a state, the third more of a consumer.
func (d *decoder) stream(kind byte) {
	nodes := d.count()
	if d.err != nil {
		return
	}
	d.c.Stream(-1)
	n := streamNode{decoder: d}
	for ; nodes > 0 && d.err == nil; nodes-- {
		id := d.streamKey()
		if v := d.text(); d.err == nil {
			n.read(id, v)
		}
	}
	d.number() // of entries: some versions counted wrongly, and Redis has never minded
	s := store.StreamState{Last: d.id(), Added: int64(n.total)}
	if kind != typeStream {
		d.id() // of the first entry
		s.MaxDeleted, s.Added = d.id(), d.signed()
	}
	s.Groups = d.count()
	if d.err != nil {
		return
	}
	d.c.State(s)
	g := streamGroup{decoder: d, kind: kind, stream: s, entries: n.total, oldest: n.oldest}
	for range s.Groups {
		if g.read(); d.err != nil {
			return
		}
	}
}

// id reads an ID as two numbers.
func (d *decoder) id() store.StreamID {
	ms := d.number()
	return store.StreamID{Ms: ms, Seq: d.number()}
}

// rawID reads an ID as 16 bytes.
func (d *decoder) rawID() store.StreamID { return idOf(d.take(16)) }

func idOf(b []byte) (id store.StreamID) {
	if len(b) == 16 {
		id = store.StreamID{Ms: binary.BigEndian.Uint64(b), Seq: binary.BigEndian.Uint64(b[8:])}
	}
	return id
}

// streamKey reads the ID that a node's entries are counted from.
func (d *decoder) streamKey() store.StreamID {
	b := d.text()
	if d.err == nil && len(b) != 16 {
		d.fail(bad("the ID of a node of a stream has %d bytes", len(b)))
	}
	return idOf(b)
}

// signed reads a number that is not negative, or -1 written without a sign.
func (d *decoder) signed() int64 {
	n := int64(d.number())
	if n < -1 {
		d.fail(bad("a count of %d", n))
	}
	return n
}

// A streamNode reads the nodes of a stream, which are listpacks: how many entries
// there are, how many that were deleted, the number of names and they, 0; then for
// each entry flags, milliseconds and number counted from the node's ID, values — or
// their number and names and values in turn — and the number of elements of all
// that.
type streamNode struct {
	*decoder
	total  uint64 // entries that were told
	oldest store.StreamID
	names  [][]byte
	fields [][]byte
	digits []byte // what both have of integers
	told   int    // bytes of names that entries of this node have not repeated
}

// Names that stand in a node once are told with every entry. Where that makes a
// multitude of a few bytes, someone has made the node for that purpose.
const (
	namesFree  = 1 << 20
	namesTimes = 128
)

func (n *streamNode) read(id store.StreamID, v []byte) {
	p := newListpack(v)
	live, deleted, names := p.mustInt(), p.mustInt(), p.mustInt()
	n.names, n.digits, n.told = n.names[:0], n.digits[:0], 0
	for ; names > 0 && p.err == nil; names-- {
		n.names = append(n.names, n.word(p.must()))
	}
	head := len(n.digits)
	if p.mustInt() != 0 {
		p.fail("the head of a stream's node is broken")
	}
	for p.err == nil {
		flags, ok := p.next()
		if !ok {
			break
		}
		n.digits = n.digits[:head]
		if n.entry(p, id, flags); flags.num&entryDeleted != 0 {
			deleted--
		} else {
			live--
		}
		if n.told > namesFree+namesTimes*len(v) {
			p.fail("a stream's node repeats its names too often")
		}
	}
	if live != 0 || deleted != 0 {
		p.fail("a stream's node has another number of entries")
	}
	n.check(p.err)
}

func (n *streamNode) entry(p *pack, base store.StreamID, flags part) {
	id := store.StreamID{Ms: base.Ms + uint64(p.mustInt()), Seq: base.Seq + uint64(p.mustInt())}
	same := flags.num&entrySame != 0
	fields, head := int64(len(n.names)), int64(3)
	if !same {
		fields, head = p.mustInt(), 4
	}
	if flags.text != nil || flags.num&^(entryDeleted|entrySame) != 0 || fields < 1 {
		p.fail("an entry of a stream is broken")
		return
	}
	n.fields = n.fields[:0]
	for i := int64(0); i < fields && p.err == nil; i++ {
		if same {
			n.fields = append(n.fields, n.names[i])
			n.told += len(n.names[i])
		} else {
			n.fields = append(n.fields, n.word(p.must()))
			head++
		}
		n.fields = append(n.fields, n.word(p.must()))
		head++
	}
	if p.mustInt() != head {
		p.fail("an entry of a stream has another number of elements")
	}
	if p.err != nil || flags.num&entryDeleted != 0 {
		return
	}
	if n.total == 0 {
		n.oldest = id
	}
	n.total++
	n.c.Entry(id, n.fields)
}

// word is a part as a text. Those of an entry and of the head are valid together.
func (n *streamNode) word(e part) []byte {
	if e.text != nil {
		return e.text
	}
	from := len(n.digits)
	n.digits = strconv.AppendInt(n.digits, e.num, 10)
	return n.digits[from:len(n.digits):len(n.digits)]
}

// A streamGroup reads the groups of a stream. What is pending stands before the
// consumers, each of which has the IDs of what is its own, so it is kept until
// they were read.
type streamGroup struct {
	*decoder
	kind    byte
	stream  store.StreamState
	entries uint64
	oldest  store.StreamID

	pending   []pendingEntry
	consumers []store.ConsumerHead
}

type pendingEntry struct {
	id        store.StreamID
	at, count int64
	consumer  int // -1: not known yet
}

func (g *streamGroup) read() {
	head := store.GroupHead{Name: bytes.Clone(g.text()), Last: g.id()}
	if g.kind == typeStream {
		head.Read = g.guessRead(head.Last)
	} else {
		head.Read = g.signed()
	}
	g.readPending()
	g.readConsumers()
	if g.err != nil {
		return
	}
	head.Consumers, head.Pending = len(g.consumers), len(g.pending)
	g.c.Group(head)
	for _, c := range g.consumers {
		g.c.Consumer(c)
	}
	for _, p := range g.pending {
		g.c.Pending(store.PendingEntry{ID: p.id, Consumer: g.consumers[p.consumer].Name, At: p.at, Count: p.count})
	}
}

// guessRead is how many entries a group has read, as far as that can be said of a
// stream in its first form, which does not keep it.
func (g *streamGroup) guessRead(last store.StreamID) int64 {
	switch {
	case g.entries == 0:
		return 0
	case last == g.stream.Last:
		return g.stream.Added
	case last.Less(g.oldest):
		return 0
	case last == g.oldest:
		return 1
	}
	return store.ReadUnknown
}

func (g *streamGroup) readPending() {
	g.pending = g.pending[:0]
	var last store.StreamID
	for n := g.number(); n > 0 && g.err == nil; n-- {
		p := pendingEntry{id: g.rawID(), at: int64(g.uint64()), count: int64(g.number()), consumer: -1}
		if g.err == nil && (p.count < 0 || len(g.pending) > 0 && !last.Less(p.id)) {
			g.fail(bad("what is pending of a stream is not in order"))
		}
		last = p.id
		g.pending = append(g.pending, p)
	}
}

func (g *streamGroup) readConsumers() {
	g.consumers = g.consumers[:0]
	for n := g.number(); n > 0 && g.err == nil; n-- {
		c := store.ConsumerHead{Name: bytes.Clone(g.text()), Seen: int64(g.uint64())}
		if g.kind == typeStream3 {
			g.uint64() // when it last got something
		}
		g.consumers = append(g.consumers, c)
		for n := g.number(); n > 0 && g.err == nil; n-- {
			g.give(g.rawID(), len(g.consumers)-1)
		}
	}
	for i := range g.pending {
		if g.err == nil && g.pending[i].consumer < 0 {
			g.fail(bad("an entry of a stream is pending for nobody"))
		}
	}
}

// give lets what is pending be a consumer's.
func (g *streamGroup) give(id store.StreamID, consumer int) {
	i, ok := slices.BinarySearchFunc(g.pending, id, func(p pendingEntry, id store.StreamID) int { return p.id.Compare(id) })
	switch {
	case g.err != nil:
	case !ok || g.pending[i].consumer >= 0:
		g.fail(bad("a consumer has what is not pending, or another one has it"))
	default:
		g.pending[i].consumer = consumer
	}
}
