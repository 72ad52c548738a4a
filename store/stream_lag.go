package store

import "math/bits"

// ReadUpTo is how many entries a group has been given whose last is id, or
// ReadUnknown: deleted entries between may have been given or not.
func (s *Stream) ReadUpTo(id StreamID) int64 {
	switch {
	case s.added == 0:
		return 0
	case s.len == 0 && !s.last.Less(id), id == s.last:
		return s.added
	case s.last.Less(id):
		return ReadUnknown
	}
	e, _ := s.First()
	if s.maxDeleted.IsZero() || s.maxDeleted.Less(e.ID) {
		switch id.Compare(e.ID) {
		case -1:
			return s.added - int64(s.len)
		case 0:
			return s.added - int64(s.len) + 1
		}
	}
	return ReadUnknown
}

// HasHoles tells whether an entry was deleted by itself, from id on, of which
// there are some left, so that a count of entries behind it would miss it.
func (s *Stream) HasHoles(from StreamID) bool {
	e, ok := s.First()
	return ok && !s.maxDeleted.IsZero() && !s.maxDeleted.Less(e.ID) && !s.maxDeleted.Less(from)
}

// Lag is how many entries a group has still to read; ok tells whether that can
// be said.
func (g *Group) Lag() (lag int64, ok bool) {
	s, read := g.s, g.read
	if s.added == 0 {
		return 0, true
	}
	if read == ReadUnknown || s.HasHoles(g.last) {
		read = s.ReadUpTo(g.last)
	}
	if read == ReadUnknown {
		return 0, false
	}
	return s.added - read, true
}

// Deliver notes that an entry was given to the group as a new one.
func (g *Group) Deliver(id StreamID) {
	if g.read != ReadUnknown && !g.s.HasHoles(id) {
		g.read++
	} else if g.s.added > 0 {
		g.read = g.s.ReadUpTo(id)
	}
	g.last = id
}

// RadixNodes is how many nodes the radix tree would have in which Redis keeps
// the nodes of the stream, by their first IDs: XINFO STREAM tells it. A node is
// each end, each branching, and what lies between two of them in one.
func (s *Stream) RadixNodes() (total int) {
	var open []int // depths of the branchings on the way to the last key
	depth := func() int {
		if len(open) == 0 {
			return -1
		}
		return open[len(open)-1]
	}
	// close ends the last key, and the branchings that the next one, which has
	// common bytes with it, does not go through.
	close := func(common int) {
		below := radixKey
		total++
		for depth() > common {
			if below > depth()+1 {
				total++
			}
			below = depth()
			open = open[:len(open)-1]
			total++
		}
		if below > common+1 {
			total++
		}
		if depth() < common {
			open = append(open, common)
		}
	}
	var prev *streamNode
	s.nodes.each(StreamID{}, func(nd **streamNode) bool {
		if prev != nil {
			close(commonBytes(prev.first, (*nd).first))
		}
		prev = *nd
		return true
	})
	if prev == nil {
		return 1
	}
	close(-1)
	return total
}

// radixKey is the length of an ID as a key of the tree, most significant byte
// first.
const radixKey = 16

// commonBytes is how many bytes two IDs have in common from the front.
func commonBytes(a, b StreamID) int {
	if x := a.Ms ^ b.Ms; x != 0 {
		return bits.LeadingZeros64(x) / 8
	}
	return 8 + bits.LeadingZeros64(a.Seq^b.Seq)/8
}
