package aof

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A SegmentStart is where a segment begins, and the epoch that its header names.
type SegmentStart struct{ First, Epoch uint64 }

// A segment is one that the log knows of.
type segment struct {
	SegmentStart
	unread bool // its header does not check; it is left over, or recovery had complained
}

// ErrPosition is the error of what would begin elsewhere than where the log ends.
var ErrPosition = errors.New("the log does not end there")

// ErrEpoch is the error of an epoch that lies before one that the log has seen.
var ErrEpoch = errors.New("the epoch is older than the log's")

// inspect reads the epoch in the header of a segment that was found.
func (l *Log) inspect(s Segment) segment {
	r, h, err := openSegment(l.o.FS, l.o.Dir, s)
	if r != nil {
		r.close()
	}
	return segment{SegmentStart{First: s.First, Epoch: h.epoch}, err != nil}
}

// contiguous tells from which position on segments follow each other up to end
// without a gap, which a snapshot that reached further than the log leaves.
func contiguous(list []Segment, end uint64) uint64 {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].First+uint64(max(0, list[i].Size-segmentHeader)) != end {
			return end
		}
		end = list[i].First
	}
	return end
}

// lastStart is where the last segment begins or will begin; the caller holds mu.
func (l *Log) lastStart() SegmentStart {
	if n := len(l.rotateAt); n > 0 {
		return l.rotateAt[n-1]
	}
	return l.segments[len(l.segments)-1].SegmentStart
}

// beginSegment asks the writer for a segment at the log's end; the caller holds mu.
func (l *Log) beginSegment(s SegmentStart) {
	if n := len(l.rotateAt); n > 0 && l.rotateAt[n-1].First == s.First {
		l.rotateAt[n-1] = s
	} else {
		l.rotateAt = append(l.rotateAt, s)
	}
	l.rouse()
}

// begun strikes off a segment that is there now. One that was asked for at the same
// position since stays asked for. The caller holds mu.
func (l *Log) begun(s SegmentStart) {
	if len(l.rotateAt) > 0 && l.rotateAt[0] == s {
		l.rotateAt = slices.Delete(l.rotateAt, 0, 1)
	}
}

// RotateAt lets a segment of an epoch begin at first, which must be the log's end.
// One that begins there already and holds nothing gets that epoch. It waits for
// nothing.
func (l *Log) RotateAt(first, epoch uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch end := l.end.Load(); {
	case l.stopped:
		return l.reason()
	case first != end:
		return fmt.Errorf("%w: a segment is to begin at %d, the log ends at %d", ErrPosition, first, end)
	case epoch < l.frames:
		return fmt.Errorf("%w: a segment of epoch %d is to follow a record of %d", ErrEpoch, epoch, l.frames)
	}
	l.epoch = epoch
	if s := (SegmentStart{first, epoch}); l.lastStart() != s {
		l.beginSegment(s)
	}
	return nil
}

// AppendEpoch begins a leadership: a segment of its epoch, and in it a unit without
// records, so that every epoch that the log has seen has a place in it. It returns
// the position behind that unit.
func (l *Log) AppendEpoch(epoch uint64, now int64) (lsn uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped:
		return 0, l.reason()
	case epoch <= l.frames:
		return 0, fmt.Errorf("%w: %d is to follow %d", ErrEpoch, epoch, l.frames)
	}
	l.epoch, l.frames = epoch, epoch
	l.beginSegment(SegmentStart{First: l.end.Load(), Epoch: epoch})
	lsn = l.end.Load() + frameHeader
	putHeader(l.reserve(frameHeader), epoch, lsn, now, 0)
	l.end.Store(lsn)
	l.appended(time.Now().UnixMilli())
	return lsn, nil
}

// relabel gives the segment that is written, and holds no frame, another epoch. A
// crash on the way leaves one that recovery begins anew.
func (l *Log) relabel(s SegmentStart) error {
	l.mu.Lock()
	last := l.segments[len(l.segments)-1].SegmentStart
	if last == s {
		l.begun(s)
	}
	l.mu.Unlock()
	if s.Epoch == 0 || last == s {
		return nil
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	if _, err := l.file.Write(l.header(s).encode()); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.mu.Lock()
	l.segments[len(l.segments)-1] = segment{SegmentStart: s}
	l.begun(s)
	l.mu.Unlock()
	l.tell()
	return nil
}

// framesEpoch is the epoch of the last segment that holds a record; an empty one may
// be of a leadership that came to nothing. It is called while the log is opened.
func (l *Log) framesEpoch() uint64 {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := l.segments[i]; s.First < l.o.From && !s.unread {
			return s.Epoch
		}
	}
	return 0
}

// SetFollowing says whether segments begin where another log's do: by RotateAt, and
// not where they have grown too long. Everything that is appended must be written.
func (l *Log) SetFollowing(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.following.Store(on)
	if l.lastStart().First < l.end.Load() {
		l.frames = max(l.frames, l.epoch)
	}
}

// Epoch is that of the last record, or of a segment that was begun since.
func (l *Log) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Watch has fn called by the log's goroutines whenever Written or Durable has moved,
// a segment has begun, or the log has ended. It waits for nothing. Nil ends that.
func (l *Log) Watch(fn func()) {
	if fn == nil {
		l.watch.Store(nil)
		return
	}
	l.watch.Store(&fn)
}

// tell tells who watches, and wakes tails.
func (l *Log) tell() {
	if fn := l.watch.Load(); fn != nil {
		(*fn)()
	}
	if l.tails.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}
