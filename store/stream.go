package store

import "unsafe"

// A Stream is a log of entries in the order of their IDs, each of some fields,
// and the groups of consumers that read it. Entries lie in nodes of about a
// hundred. A stream may be empty without being gone.
//
// What its methods return points into the stream and is valid until the next
// edit. No argument may point into the same stream. Methods that only read may
// run at the same time as each other.
type Stream struct {
	nodes      ordered[*streamNode]
	len        int
	last       StreamID // the greatest ID that was ever added, or set
	newest     StreamID // the last that was added
	maxDeleted StreamID
	added      int64 // how many entries were ever added
	groups     []*Group
	bytes      int64
	limits     StreamLimits
}

// StreamLimits say when a node of a stream is full; 0 is no limit.
type StreamLimits struct {
	NodeBytes   int64
	NodeEntries int64
}

// DefaultStreamLimits are the defaults of stream-node-max-bytes and
// stream-node-max-entries.
var DefaultStreamLimits = StreamLimits{4096, 100}

// maxNodeBytes is the limit where there is none, and the size that no entry may
// have.
const maxNodeBytes = 1 << 30

const streamOverhead = int64(unsafe.Sizeof(Stream{}))

// NewStream returns an empty stream.
func NewStream(l StreamLimits) *Stream {
	s := &Stream{limits: l, bytes: streamOverhead}
	s.nodes.total = &s.bytes
	return s
}

// Type is StreamType.
func (s *Stream) Type() Type { return StreamType }

// Len is the number of entries.
func (s *Stream) Len() int { return s.len }

// Bytes is the memory that the stream takes.
func (s *Stream) Bytes() int64 { return s.bytes }

// Encoding is "stream".
func (s *Stream) Encoding() string { return "stream" }

// Clone returns a copy.
func (s *Stream) Clone() Object {
	d := NewStream(s.limits)
	d.len, d.last, d.newest, d.maxDeleted, d.added = s.len, s.last, s.newest, s.maxDeleted, s.added
	d.nodes = s.nodes.copy(&d.bytes, func(nd *streamNode) *streamNode {
		c := *nd
		c.compact()
		d.bytes += c.bytes()
		return &c
	})
	for _, g := range s.groups {
		g.copyTo(d)
	}
	return d
}

func (nd *streamNode) bytes() int64 {
	return sizeClass(int(unsafe.Sizeof(*nd))) + sizeClass(cap(nd.buf))
}

// LastID is the greatest ID that was ever added, or what SetLast has set.
func (s *Stream) LastID() StreamID { return s.last }

// Newest is the last ID that was added, be it deleted since.
func (s *Stream) Newest() StreamID { return s.newest }

// MaxDeleted is the greatest ID that was deleted by itself.
func (s *Stream) MaxDeleted() StreamID { return s.maxDeleted }

// Added is how many entries were ever added.
func (s *Stream) Added() int64 { return s.added }

// Nodes is the number of nodes.
func (s *Stream) Nodes() int { return s.nodes.len() }

// FitsStream tells whether an entry of these fields is not too large.
func FitsStream(fields [][]byte) bool {
	total := 0
	for _, v := range fields {
		total += len(v)
	}
	return total <= maxNodeBytes
}

// Append adds an entry, whose ID is greater than LastID; fields are names and
// values in turn.
func (s *Stream) Append(id StreamID, fields [][]byte) {
	nd := s.tail()
	if nd == nil || s.full(nd, fields) {
		if nd != nil {
			s.resize(nd, len(nd.buf))
		}
		nd = newStreamNode(id, fields)
		s.bytes += nd.bytes()
		s.nodes.insert(spot{len(s.nodes.blocks), 0}, nd)
	}
	room := len(nd.buf) + maxEntryHead
	for _, v := range fields {
		room += entryRoom(0, v)
	}
	if room > cap(nd.buf) {
		s.resize(nd, max(room, min(2*cap(nd.buf), cap(nd.buf)+maxSmall)))
	}
	nd.append(id, fields)
	s.len++
	s.added++
	s.last, s.newest = id, id
}

func (s *Stream) tail() *streamNode {
	if p := s.nodes.last(); p != nil {
		return *p
	}
	return nil
}

// full tells whether a node takes no more entries. Deleted ones count, too.
func (s *Stream) full(nd *streamNode, fields [][]byte) bool {
	limit := s.limits.NodeBytes
	if limit == 0 || limit > maxNodeBytes {
		limit = maxNodeBytes
	}
	size := int64(nd.listpack)
	for _, v := range fields {
		size += int64(len(v))
	}
	return size >= limit || s.limits.NodeEntries > 0 && int64(nd.n)+int64(nd.deleted) >= s.limits.NodeEntries
}

// resize gives a node a buffer of so many bytes, if that is another one.
func (s *Stream) resize(nd *streamNode, size int) {
	if sizeClass(size) == sizeClass(cap(nd.buf)) {
		return
	}
	s.bytes -= nd.bytes()
	b := newBuffer(size)
	nd.buf = b[:copy(b, nd.buf)]
	s.bytes += nd.bytes()
}

// home is the spot of the node in which an ID is, if it is anywhere.
func (s *Stream) home(id StreamID) spot {
	nd, p := s.nodes.find(id)
	if nd != nil {
		return p
	}
	return s.nodes.prev(p)
}

// Entry is the entry with this ID.
func (s *Stream) Entry(id StreamID) (e StreamEntry, ok bool) {
	if p := s.nodes.at(s.home(id)); p != nil {
		_, _, ok = (*p).find(id, &e)
	}
	return e, ok
}

// Has tells whether there is an entry with this ID.
func (s *Stream) Has(id StreamID) bool {
	_, ok := s.Entry(id)
	return ok
}

// Each calls fn for the entries from one ID to another, both included, until it
// returns false.
func (s *Stream) Each(from, to StreamID, fn func(*StreamEntry) bool) {
	p := s.home(from)
	if p.b < 0 {
		p = spot{}
	}
	var e StreamEntry
	for ; p.b < len(s.nodes.blocks); p = s.nodes.next(p) {
		nd := *s.nodes.at(p)
		for off := int(nd.lo); off < len(nd.buf); {
			end, live := nd.at(off, &e)
			if to.Less(e.ID) || live && !e.ID.Less(from) && !fn(&e) {
				return
			}
			off = end
		}
	}
}

// EachBack is Each from the last entry to the first.
func (s *Stream) EachBack(from, to StreamID, fn func(*StreamEntry) bool) {
	var e StreamEntry
	for p := s.home(to); p.b >= 0; p = s.nodes.prev(p) {
		nd := *s.nodes.at(p)
		for end := len(nd.buf); end > int(nd.lo); {
			off := nd.before(end)
			_, live := nd.at(off, &e)
			if e.ID.Less(from) || live && !to.Less(e.ID) && !fn(&e) {
				return
			}
			end = off
		}
	}
}

// First is the first entry.
func (s *Stream) First() (e StreamEntry, ok bool) {
	s.Each(StreamID{}, MaxStreamID, func(f *StreamEntry) bool {
		e, ok = *f, true
		return false
	})
	return e, ok
}

// Last is the last entry.
func (s *Stream) Last() (e StreamEntry, ok bool) {
	s.EachBack(StreamID{}, MaxStreamID, func(f *StreamEntry) bool {
		e, ok = *f, true
		return false
	})
	return e, ok
}

// Delete deletes an entry and tells whether it was there.
func (s *Stream) Delete(id StreamID) bool {
	at := s.home(id)
	p := s.nodes.at(at)
	if p == nil {
		return false
	}
	nd := *p
	var e StreamEntry
	off, end, ok := nd.find(id, &e)
	if !ok {
		return false
	}
	s.deleteFrom(nd, off, end)
	if nd.n == 0 {
		s.dropNode(at)
	}
	if s.maxDeleted.Less(id) {
		s.maxDeleted = id
	}
	return true
}

func (s *Stream) deleteFrom(nd *streamNode, off, end int) {
	s.len--
	nd.delete(off, end)
	if w := nd.wasted(); w > 64 && w > (len(nd.buf)-int(nd.body))/2 {
		s.bytes -= nd.bytes()
		nd.compact()
		s.bytes += nd.bytes()
	}
}

func (s *Stream) dropNode(at spot) {
	s.bytes -= (*s.nodes.at(at)).bytes()
	s.nodes.remove(at)
}

// SetLast sets the ID that the next one must be greater than.
func (s *Stream) SetLast(id StreamID) { s.last = id }

// SetAdded sets how many entries were ever added.
func (s *Stream) SetAdded(n int64) { s.added = n }

// SetMaxDeleted sets the greatest ID that was deleted.
func (s *Stream) SetMaxDeleted(id StreamID) { s.maxDeleted = id }
