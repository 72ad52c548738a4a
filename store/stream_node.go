package store

import (
	"encoding/binary"
	"math"
)

// A streamNode is some neighbouring entries of a stream in one buffer: first the
// names of the fields of the entry that it was made for, then entries. One that
// has just these fields does not repeat their names. An entry is
//
//	flags, milliseconds, number, fields, length of all that
//
// The milliseconds are counted from the first ID's, as is the number if they are
// the same. The fields are values, or their count and names and values in turn.
// The length is written so that it can be read backwards.
type streamNode struct {
	first, last StreamID // of the entries that were added first and last, be they deleted
	buf         []byte
	names       uint32 // how many there are in front
	body        uint32 // where entries begin
	lo          uint32 // where those begin that are left
	garbage     uint32 // bytes of deleted entries behind lo
	n           uint32 // entries
	deleted     uint32 // since it was made
	listpack    uint32 // bytes of the same node in Redis, by which it is full
}

func (nd *streamNode) id() StreamID { return nd.first }

// The flags of an entry.
const (
	entryDeleted = 1 << iota
	entrySame    // its fields are those in front
)

// A StreamEntry is one entry of a stream. It points into the stream and is valid
// until the next edit.
type StreamEntry struct {
	ID    StreamID
	n     int
	names []byte // nil: they stand before their values
	body  []byte
}

// Len is the number of fields.
func (e *StreamEntry) Len() int { return e.n }

// Each calls fn for every field.
func (e *StreamEntry) Each(fn func(field, value Elem)) {
	var f, v Elem
	body, name := 0, 0
	for range e.n {
		if e.names != nil {
			f, name = bodyAt(e.names, name)
		} else {
			f, body = bodyAt(e.body, body)
		}
		v, body = bodyAt(e.body, body)
		fn(f, v)
	}
}

// bodyAt reads an element that has no tail.
func bodyAt(b []byte, off int) (e Elem, next int) {
	e, _ = elemAt(b, off)
	return e, off + e.size()
}

// at reads the entry at off and returns where the next one begins.
func (nd *streamNode) at(off int, e *StreamEntry) (end int, live bool) {
	b, flags := nd.buf, nd.buf[off]
	end = off + 1
	ms, w := binary.Uvarint(b[end:])
	end += w
	seq, w := binary.Uvarint(b[end:])
	end += w
	if e.ID = (StreamID{nd.first.Ms + ms, seq}); ms == 0 {
		e.ID.Seq += nd.first.Seq
	}
	texts := 0
	if flags&entrySame != 0 {
		e.n, e.names = int(nd.names), b[:nd.body]
		texts = e.n
	} else {
		n, w := binary.Uvarint(b[end:])
		end += w
		e.n, e.names = int(n), nil
		texts = 2 * e.n
	}
	start := end
	for range texts {
		_, end = bodyAt(b, end)
	}
	e.body = b[start:end]
	return end + tailSize(end-off), flags&entryDeleted == 0
}

// before is where the entry begins that ends at end.
func (nd *streamNode) before(end int) int { return elemBefore(nd.buf, end) }

// find is where the entry with this ID stands.
func (nd *streamNode) find(id StreamID, e *StreamEntry) (off, end int, ok bool) {
	for off = int(nd.lo); off < len(nd.buf); off = end {
		live := false
		end, live = nd.at(off, e)
		if !e.ID.Less(id) {
			return off, end, live && e.ID == id
		}
	}
	return off, off, false
}

// same tells whether an entry has the fields that stand in front.
func (nd *streamNode) same(fields [][]byte) bool {
	if len(fields) != 2*int(nd.names) {
		return false
	}
	off := 0
	for i := 0; i < len(fields); i += 2 {
		var e Elem
		if e, off = bodyAt(nd.buf, off); !e.equal(elemOf(fields[i])) {
			return false
		}
	}
	return true
}

// newStreamNode is an empty node for an entry of these fields.
func newStreamNode(id StreamID, fields [][]byte) *streamNode {
	nd := &streamNode{first: id, names: uint32(len(fields) / 2), listpack: listpackFrame}
	nd.listpack += uint32(listpackInt(0) + listpackInt(0) + listpackInt(int64(nd.names)) + listpackInt(0))
	room := 0
	for i := 0; i < len(fields); i += 2 {
		room += elemOf(fields[i]).size() + entryRoom(2, fields[i+1])
	}
	nd.buf = newBuffer(room + maxEntryHead)[:0]
	for i := 0; i < len(fields); i += 2 {
		e := elemOf(fields[i])
		nd.listpack += listpackSize(e)
		nd.buf = appendBody(nd.buf, e)
	}
	nd.body, nd.lo = uint32(len(nd.buf)), uint32(len(nd.buf))
	return nd
}

// maxEntryHead is the most that an entry takes beyond its fields.
const maxEntryHead = 1 + 4*binary.MaxVarintLen64

// entryRoom is the size of a value, and of some more bytes.
func entryRoom(more int, v []byte) int { return more + elemOf(v).size() }

// append adds an entry; there is room for it.
func (nd *streamNode) append(id StreamID, fields [][]byte) {
	start := len(nd.buf)
	ms, seq := id.Ms-nd.first.Ms, id.Seq
	if ms == 0 {
		seq -= nd.first.Seq
	}
	flags, parts := 0, int64(len(fields)/2)
	if nd.same(fields) {
		flags = entrySame
	}
	b := append(nd.buf, byte(flags))
	b = binary.AppendUvarint(b, ms)
	b = binary.AppendUvarint(b, seq)
	size := listpackInt(int64(flags)) + listpackInt(int64(ms)) + listpackInt(int64(id.Seq-nd.first.Seq))
	if flags&entrySame == 0 {
		b = binary.AppendUvarint(b, uint64(parts))
		size += listpackInt(parts)
		parts += parts + 1
	}
	for i, v := range fields {
		if flags&entrySame == 0 || i%2 == 1 {
			e := elemOf(v)
			b = appendBody(b, e)
			size += int(listpackSize(e))
		}
	}
	size += listpackInt(parts + 3)
	b = appendTail(b, len(b)-start)
	nd.buf, nd.last = b, id
	nd.listpack += uint32(size)
	nd.count(1, 0)
}

// count notes that entries were added, or deleted.
func (nd *streamNode) count(added, deleted int) {
	before := listpackInt(int64(nd.n)) + listpackInt(int64(nd.deleted))
	nd.n += uint32(added - deleted)
	nd.deleted += uint32(deleted)
	nd.listpack += uint32(listpackInt(int64(nd.n)) + listpackInt(int64(nd.deleted)) - before)
}

// delete deletes the entry from off to end.
func (nd *streamNode) delete(off, end int) {
	nd.buf[off] |= entryDeleted
	nd.count(0, 1)
	if nd.garbage += uint32(end - off); off > int(nd.lo) {
		return
	}
	var e StreamEntry
	for off := int(nd.lo); off < len(nd.buf); off = int(nd.lo) {
		end, live := nd.at(off, &e)
		if live {
			return
		}
		nd.garbage -= uint32(end - off)
		nd.lo = uint32(end)
	}
}

// wasted is how many bytes deleted entries take.
func (nd *streamNode) wasted() int { return int(nd.lo-nd.body) + int(nd.garbage) }

// compact moves what is left into a buffer of that size.
func (nd *streamNode) compact() {
	b := newBuffer(len(nd.buf) - nd.wasted())
	b = append(b[:0], nd.buf[:nd.body]...)
	var e StreamEntry
	for off := int(nd.lo); off < len(nd.buf); {
		end, live := nd.at(off, &e)
		if live {
			b = append(b, nd.buf[off:end]...)
		}
		off = end
	}
	nd.buf, nd.lo, nd.garbage = b, nd.body, 0
}

func appendBody(b []byte, e Elem) []byte {
	n := len(b)
	b = append(b, make([]byte, e.size())...)
	e.putBody(b[n:])
	return b
}

// appendTail writes a size so that it can be read backwards.
func appendTail(b []byte, size int) []byte {
	n := tailSize(size)
	b = append(b, make([]byte, n)...)
	for i := len(b) - 1; i >= len(b)-n; i-- {
		b[i] = byte(size & 0x7f)
		if size >>= 7; size != 0 {
			b[i] |= 0x80
		}
	}
	return b
}

// How full a node is, and so what is trimmed with "~", is counted in the bytes
// that Redis would take for it: those of a listpack, whose frame is this large.
const listpackFrame = 7

// listpackInt is the size of an integer in a listpack.
func listpackInt(n int64) int {
	switch {
	case n >= 0 && n <= 127:
		return 1 + 1
	case n >= -1<<12 && n < 1<<12:
		return 2 + 1
	case n >= math.MinInt16 && n <= math.MaxInt16:
		return 3 + 1
	case n >= -1<<23 && n < 1<<23:
		return 4 + 1
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return 5 + 1
	}
	return 9 + 1
}

// listpackSize is the size of an element in a listpack.
func listpackSize(e Elem) uint32 {
	if e.IsInt() {
		return uint32(listpackInt(e.Int))
	}
	n := len(e.Str)
	switch {
	case n < 1<<6:
		n++
	case n < 1<<12:
		n += 2
	default:
		n += 5
	}
	tail := 1
	for limit := 1<<7 - 1; n > limit && tail < 5; limit = limit<<7 | 0x7f {
		tail++
	}
	return uint32(n + tail)
}
