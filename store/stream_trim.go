package store

// A StreamTrim says which entries XADD and XTRIM take off the front.
type StreamTrim struct {
	ByID   bool
	MaxLen int64    // so many are left, or
	MinID  StreamID // those from here on
	Approx bool     // only whole nodes
	Limit  int64    // and at most so many entries; 0: no limit
}

// Trim takes entries off the front and tells how many.
func (s *Stream) Trim(t StreamTrim) (trimmed int64) {
	for s.nodes.len() > 0 {
		nd := *s.nodes.first()
		n := int64(nd.n)
		if !t.ByID && int64(s.len) <= t.MaxLen || t.Limit > 0 && trimmed+n > t.Limit {
			break
		}
		if t.ByID && nd.last.Less(t.MinID) || !t.ByID && int64(s.len)-n >= t.MaxLen {
			s.len -= int(n)
			trimmed += n
			s.dropNode(spot{})
			continue
		}
		if !t.Approx {
			trimmed += s.trimNode(nd, t)
		}
		break
	}
	return trimmed
}

func (s *Stream) trimNode(nd *streamNode, t StreamTrim) (trimmed int64) {
	var e StreamEntry
	for off := int(nd.lo); off < len(nd.buf); off = int(nd.lo) {
		if !t.ByID && int64(s.len) <= t.MaxLen {
			break
		}
		end, _ := nd.at(off, &e) // what stands at lo is live
		if t.ByID && !e.ID.Less(t.MinID) {
			break
		}
		s.deleteFrom(nd, off, end)
		trimmed++
	}
	return trimmed
}

// Trims estimates how many entries Trim would take off. It does not count beyond
// most.
func (s *Stream) Trims(t StreamTrim, most int) (n int) {
	if !t.ByID {
		return max(s.len-int(min(t.MaxLen, int64(s.len))), 0)
	}
	for p := (spot{}); p.b < len(s.nodes.blocks) && n <= most; p = s.nodes.next(p) {
		nd := *s.nodes.at(p)
		if !nd.first.Less(t.MinID) {
			break
		}
		n += int(nd.n)
	}
	return n
}
