package aof

import "slices"

// An EpochStart is where the records of an epoch begin in a log. A log's history is
// one for each epoch that it has, ascending; the first may have begun before, where
// the log no longer reaches back to.
type EpochStart struct{ Epoch, First uint64 }

// History is the log's. It rests on the headers of segments: every leadership begins
// with one.
func (l *Log) History() []EpochStart {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]SegmentStart, 0, len(l.segments)+len(l.rotateAt))
	for _, s := range l.segments {
		if s.unread || s.First < l.oldest {
			list = list[:0]
			continue
		}
		list = append(list, s.SegmentStart)
	}
	return History(append(list, l.rotateAt...))
}

// History is that of a log with these segments.
func History(segments []SegmentStart) []EpochStart {
	var h []EpochStart
	for _, s := range segments {
		// One that was begun anew counts as it is now.
		h = slices.DeleteFunc(h, func(e EpochStart) bool { return e.First == s.First })
		if len(h) == 0 || h[len(h)-1].Epoch != s.Epoch {
			h = append(h, EpochStart{s.Epoch, s.First})
		}
	}
	return h
}

// Segments lists the segments behind Oldest, and the position up to which they are
// written. The last one has the size that it has at that position.
func (l *Log) Segments() (list []Segment, written uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	written = l.written.Load()
	for i, s := range l.segments {
		end := written
		if i+1 < len(l.segments) {
			end = l.segments[i+1].First
		}
		if s.First >= l.oldest {
			list = append(list, Segment{First: s.First, Name: segmentName(s.First), Size: segmentHeader + int64(end-s.First)})
		}
	}
	return list, written
}

// Oldest is the position from which on the log can be read.
func (l *Log) Oldest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.oldest, l.segments[0].First)
}

// Diverge is the last position that two logs share, 0 if they share nothing. Only
// one leader writes in an epoch, and what it writes follows what it has: two logs
// that have records of one epoch are the same up to where the first of them leaves
// it.
func Diverge(leader, follower []EpochStart, leaderEnd, followerEnd uint64) uint64 {
	for i := len(leader) - 1; i >= 0; i-- {
		epoch := leader[i].Epoch
		j := slices.IndexFunc(follower, func(e EpochStart) bool { return e.Epoch == epoch })
		if j >= 0 {
			return min(leaves(leader, i, leaderEnd), leaves(follower, j, followerEnd))
		}
	}
	return 0
}

// leaves is where a log leaves an epoch of its history.
func leaves(h []EpochStart, i int, end uint64) uint64 {
	if i+1 < len(h) {
		return h[i+1].First
	}
	return end
}
