package rdb

import (
	"encoding/binary"
	"math"

	"github.com/ferricd/ferricd/store"
)

// nodeEntries is how many entries an encoder puts into a node of a stream. It must
// be the same for all, since the number of nodes comes first.
const nodeEntries = 100

// streamNodes are the entries of a stream on their way into nodes.
type streamNodes struct {
	left  int // entries to come
	first store.StreamID
	some  bool // first is known
	total int  // entries of the stream

	base  store.StreamID
	n     int // entries of the node
	names [][]byte
	room  []byte // names as bytes
	items int
	body  []byte // elements of the node behind its head
}

// streamGroups are the consumers and what is pending of the group that is told.
type streamGroups struct {
	consumers, pending int // to come
	names              map[string]int
	heads              []store.ConsumerHead
	owned              [][]store.StreamID
}

// Stream begins a stream.
func (e *Encoder) Stream(n int) {
	if n < 0 {
		e.begin(typeStream2, n)
		return
	}
	e.begin(typeStream2, (n+nodeEntries-1)/nodeEntries)
	e.nodes = streamNodes{left: n, total: n}
}

// Entry writes an entry of a stream.
func (e *Encoder) Entry(id store.StreamID, fields [][]byte) {
	n := &e.nodes
	if n.left--; n.left < 0 {
		e.out.fail(ErrCount)
		return
	}
	if !n.some {
		n.first, n.some = id, true
	}
	if n.n == 0 {
		n.open(id, fields)
	}
	n.add(id, fields)
	if n.n == nodeEntries || n.left == 0 {
		e.node()
	}
}

// open begins a node with the names of its first entry.
func (n *streamNodes) open(id store.StreamID, fields [][]byte) {
	n.base, n.names, n.room, n.body, n.items = id, n.names[:0], n.room[:0], n.body[:0], 0
	for i := 0; i < len(fields); i += 2 {
		from := len(n.room)
		n.room = append(n.room, fields[i]...)
		n.names = append(n.names, n.room[from:len(n.room):len(n.room)])
	}
}

func (n *streamNodes) add(id store.StreamID, fields [][]byte) {
	same := n.same(fields)
	flags, parts := int64(0), int64(len(fields)+4)
	if same {
		flags, parts = entrySame, int64(len(fields)/2+3)
	}
	b := appendInt(n.body, flags)
	b = appendInt(b, int64(id.Ms-n.base.Ms))
	b = appendInt(b, int64(id.Seq-n.base.Seq))
	if !same {
		b = appendInt(b, int64(len(fields)/2))
	}
	for i, v := range fields {
		if !same || i%2 == 1 {
			b = appendPart(b, v)
		}
	}
	n.body = appendInt(b, parts)
	n.items += int(parts) + 1
	n.n++
}

func (n *streamNodes) same(fields [][]byte) bool {
	if len(fields) != 2*len(n.names) {
		return false
	}
	for i, name := range n.names {
		if string(fields[2*i]) != string(name) {
			return false
		}
	}
	return true
}

// node writes the node that is done.
func (e *Encoder) node() {
	n := &e.nodes
	head := appendInt(appendInt(nil, int64(n.n)), 0)
	head = appendInt(head, int64(len(n.names)))
	for _, name := range n.names {
		head = appendPart(head, name)
	}
	head = appendInt(head, 0)
	n.items += 4 + len(n.names)
	size := uint64(listpackHead + len(head) + len(n.body) + 1)
	if size > math.MaxUint32 {
		e.out.fail(bad("%d entries of a stream are larger than 4 GB", n.n))
		return
	}
	o := &e.out
	o.number(16)
	o.rawID(n.base)
	o.number(size)
	o.buf = binary.LittleEndian.AppendUint32(o.buf, uint32(size))
	o.buf = binary.LittleEndian.AppendUint16(o.buf, uint16(min(n.items, packMany)))
	o.buf = append(append(append(o.buf, head...), n.body...), packEnd)
	o.wrote()
	if n.n = 0; cap(n.body) > inputKeep {
		n.body, n.room = nil, nil
	}
}

func (o *output) rawID(id store.StreamID) {
	o.buf = binary.BigEndian.AppendUint64(o.buf, id.Ms)
	o.buf = binary.BigEndian.AppendUint64(o.buf, id.Seq)
}

func (o *output) id(id store.StreamID) {
	o.number(id.Ms)
	o.number(id.Seq)
}

// State writes what stands behind the entries of a stream.
func (e *Encoder) State(s store.StreamState) {
	if e.nodes.left != 0 || s.Groups < 0 {
		e.out.fail(ErrCount)
		return
	}
	o := &e.out
	o.number(uint64(e.nodes.total))
	o.id(s.Last)
	o.id(e.nodes.first)
	o.id(s.MaxDeleted)
	o.number(uint64(s.Added))
	o.number(uint64(s.Groups))
	e.nodes = streamNodes{}
}

// Group writes the head of a group.
func (e *Encoder) Group(g store.GroupHead) {
	if g.Consumers < 0 || g.Pending < 0 {
		e.out.fail(ErrCount)
		return
	}
	o := &e.out
	o.text(g.Name)
	o.id(g.Last)
	o.number(uint64(g.Read))
	e.groups = streamGroups{consumers: g.Consumers, pending: g.Pending, names: map[string]int{}}
	o.number(uint64(g.Pending))
	e.groupDone()
}

// Consumer takes in a consumer, which is written behind what is pending.
func (e *Encoder) Consumer(c store.ConsumerHead) {
	g := &e.groups
	g.consumers--
	g.names[string(c.Name)] = len(g.heads)
	g.heads = append(g.heads, store.ConsumerHead{Name: append([]byte{}, c.Name...), Seen: c.Seen})
	g.owned = append(g.owned, nil)
	e.groupDone()
}

// Pending writes a pending entry and notes whose it is.
func (e *Encoder) Pending(p store.PendingEntry) {
	g := &e.groups
	g.pending--
	e.out.rawID(p.ID)
	e.out.uint64(uint64(p.At))
	e.out.number(uint64(p.Count))
	e.out.wrote()
	i, ok := g.names[string(p.Consumer)]
	if !ok {
		e.out.fail(bad("an entry of a stream is pending for nobody"))
		return
	}
	g.owned[i] = append(g.owned[i], p.ID)
	e.groupDone()
}

// groupDone writes the consumers of a group when all of it has been told.
func (e *Encoder) groupDone() {
	g := &e.groups
	if g.consumers != 0 || g.pending != 0 {
		return
	}
	o := &e.out
	o.number(uint64(len(g.heads)))
	for i, c := range g.heads {
		o.text(c.Name)
		o.uint64(uint64(c.Seen))
		o.number(uint64(len(g.owned[i])))
		for _, id := range g.owned[i] {
			o.rawID(id)
		}
		o.wrote()
	}
	e.groups = streamGroups{}
}

// appendPart appends a text as an element of a listpack, as an integer if it reads
// as one.
func appendPart(b, v []byte) []byte {
	if n, ok := wholeInt(v); ok {
		return appendInt(b, n)
	}
	from := len(b)
	switch n := len(v); {
	case n < 1<<6:
		b = append(b, 0x80|byte(n))
	case n < 1<<12:
		b = append(b, 0xe0|byte(n>>8), byte(n))
	default:
		b = binary.LittleEndian.AppendUint32(append(b, 0xf0), uint32(n))
	}
	b = append(b, v...)
	return appendTail(b, len(b)-from)
}

// appendInt appends an integer as an element of a listpack.
func appendInt(b []byte, n int64) []byte {
	from := len(b)
	switch {
	case n >= 0 && n < 1<<7:
		b = append(b, byte(n))
	case n >= -1<<12 && n < 1<<12:
		b = append(b, 0xc0|byte(n>>8)&0x1f, byte(n))
	case n == int64(int16(n)):
		b = binary.LittleEndian.AppendUint16(append(b, 0xf1), uint16(n))
	case n >= -1<<23 && n < 1<<23:
		b = append(b, 0xf2, byte(n), byte(n>>8), byte(n>>16))
	case n == int64(int32(n)):
		b = binary.LittleEndian.AppendUint32(append(b, 0xf3), uint32(n))
	default:
		b = binary.LittleEndian.AppendUint64(append(b, 0xf4), uint64(n))
	}
	return appendTail(b, len(b)-from)
}
