package aof

import "time"

// ages are the times, Unix ms, of the oldest record in each stage between Append
// and durable; 0 when there is none. mu guards them.
type ages struct {
	buffered, writing, unsynced, syncing int64
}

// written moves what was being written on; a sync may have overtaken it.
func (a *ages) written(unsynced bool) {
	if unsynced && a.unsynced == 0 {
		a.unsynced = a.writing
	}
	a.writing = 0
}

// sync begins for all that is written. A batch that is only partly written counts
// as being written until its end.
func (a *ages) sync() { a.syncing, a.unsynced = a.unsynced, 0 }

func (a *ages) oldest() int64 {
	for _, at := range []int64{a.syncing, a.unsynced, a.writing, a.buffered} {
		if at != 0 {
			return at
		}
	}
	return 0
}

type syncStats struct {
	n                int64
	last, max, total time.Duration
}

func (s *syncStats) add(took time.Duration) {
	s.n++
	s.last, s.max, s.total = took, max(s.max, took), s.total+took
}

// Stats is what the log tells about itself.
type Stats struct {
	End, Written, Durable uint64
	// OldestUnsynced is the time, Unix ms, of the oldest call that is not durable; 0: none.
	OldestUnsynced int64
	// BytesWritten is what was written since Open.
	BytesWritten int64
	// BufferBytes is the memory of what is not yet written.
	BufferBytes int64
	// RoomWaiters is how many wait in AwaitRoom.
	RoomWaiters int

	Syncs                       int64
	SyncLast, SyncMax, SyncTime time.Duration // SyncTime: of all
	Syncing                     bool          // one is under way

	Segments     int
	SegmentFirst uint64 // the position where the last segment begins
	DiskBytes    int64  // of all segments
}

// Stats tells how the log is doing.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		End: l.end.Load(), Written: l.written.Load(), Durable: l.durable.Load(),
		BytesWritten: int64(l.written.Load() - l.o.From),
		BufferBytes:  l.held,
		RoomWaiters:  l.waits.rooms,
		Syncs:        l.syncs.n, SyncLast: l.syncs.last, SyncMax: l.syncs.max, SyncTime: l.syncs.total,
		Syncing:      l.ages.syncing != 0,
		Segments:     len(l.segments),
		SegmentFirst: l.segments[len(l.segments)-1].First,
	}
	if s.Durable < s.End {
		s.OldestUnsynced = l.ages.oldest()
	}
	s.DiskBytes = int64(s.Written-l.segments[0].First) + int64(s.Segments)*segmentHeader
	return s
}
