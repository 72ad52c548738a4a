package aof

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/ferricd/ferricd/internal/vfs"
)

// ErrGone is the error of a position that the log no longer has.
var ErrGone = errors.New("the log no longer reaches back to this position")

// ErrBoundary is the error of a position at which no record begins.
var ErrBoundary = errors.New("no record begins at this position")

// A Chunk is what a Tail has read: whole frames, or that a segment begins at First.
type Chunk struct {
	First, End uint64
	Frames     []byte // valid until the next call of Next
	Segment    *SegmentStart
}

// A Tail reads a log while it is written, from a position on: everything up to
// Written, frame by frame as it stands in the files. What DropBefore removes it
// still reads to the end of the segment that it is in. It is for one goroutine.
type Tail struct {
	l      *Log
	pos    uint64
	first  uint64   // where the segment begins that file is
	epoch  uint64   // of that segment
	file   vfs.File // nil: not opened yet
	begins bool     // that the segment begins here is not told yet
	buf    []byte
	closed bool
}

// OpenTail opens a tail that begins at from, where a record begins or the log ends.
// The error is ErrGone, ErrBoundary, or ErrPosition when the log ends before. Close
// must follow.
func OpenTail(l *Log, from uint64) (*Tail, error) {
	if end := l.End(); from > end {
		return nil, fmt.Errorf("%w: it is to be read from %d and ends at %d", ErrPosition, from, end)
	}
	l.tails.Add(1)
	t := &Tail{l: l, pos: from}
	if from <= l.Written() {
		if err := t.open(); err != nil {
			_ = t.Close()
			return nil, err
		}
	}
	return t, nil
}

// Close ends the tail. A Next that waits is not ended by it, but by its context.
func (t *Tail) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	t.l.tails.Add(-1)
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// Next waits until there is something behind what it has returned before. A chunk
// has at most max bytes of frames, or one frame that is longer. The error is the
// context's, ErrGone, ErrClosed or the log's failure.
func (t *Tail) Next(ctx context.Context, max int) (Chunk, error) {
	for {
		moved, over := t.state()
		if t.file == nil && t.pos <= t.l.Written() {
			if err := t.open(); err != nil {
				return Chunk{}, err
			}
		}
		if t.file != nil {
			c, err := t.take(max)
			if err != nil || c.End != 0 || c.Segment != nil {
				return c, err
			}
		}
		if over != nil {
			return Chunk{}, over
		}
		select {
		case <-moved:
		case <-t.l.over:
		case <-ctx.Done():
			return Chunk{}, ctx.Err()
		}
	}
}

// state is what is closed when something follows, or why nothing will. It is asked
// before the files are looked at: what comes later closes it.
func (t *Tail) state() (moved <-chan struct{}, over error) {
	l := t.l
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
		return nil, l.reason()
	default:
	}
	if l.moved == nil {
		l.moved = make(chan struct{})
	}
	return l.moved, nil
}

// take reads what is there; a Chunk without End and Segment is nothing.
func (t *Tail) take(max int) (Chunk, error) {
	for {
		if t.begins {
			t.begins = false
			return Chunk{First: t.first, End: t.first, Segment: &SegmentStart{t.first, t.epoch}}, nil
		}
		limit, last, err := t.limit()
		switch {
		case err != nil:
			return Chunk{}, err
		case t.pos < limit:
			return t.read(max, limit)
		case last:
			return Chunk{}, nil
		}
		_ = t.file.Close()
		t.file = nil
		if err := t.open(); err != nil {
			return Chunk{}, err
		}
	}
}

// limit is the position up to which the segment can be read, and whether it is the
// last one. A segment that is sealed ends where its file does.
func (t *Tail) limit() (end uint64, last bool, err error) {
	l := t.l
	l.mu.Lock()
	last = l.segments[len(l.segments)-1].First == t.first
	end = l.written.Load() // while mu is held no segment begins
	l.mu.Unlock()
	if last {
		return end, true, nil
	}
	size, err := t.file.Size()
	return t.first + uint64(size) - segmentHeader, false, err
}

// open opens the segment that pos is in; one that ends there is passed over.
func (t *Tail) open() error {
	l := t.l
	l.mu.Lock()
	oldest := max(l.oldest, l.segments[0].First)
	var s segment
	for _, x := range l.segments {
		if x.First <= t.pos {
			s = x
		}
	}
	l.mu.Unlock()
	if t.pos < oldest {
		return fmt.Errorf("%w: it is to be read from %d, the oldest is %d", ErrGone, t.pos, oldest)
	}
	f, err := l.o.FS.Open(filepath.Join(l.o.Dir, segmentName(s.First)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the segment that begins at %d was removed", ErrGone, s.First)
	}
	if err != nil {
		return err
	}
	t.file, t.first, t.epoch, t.begins = f, s.First, s.Epoch, s.First == t.pos
	return t.boundary()
}

// boundary tells whether a record begins at pos.
func (t *Tail) boundary() error {
	limit, _, err := t.limit()
	switch {
	case err != nil:
		return err
	case t.pos == t.first || t.pos == limit:
		return nil
	case t.pos > limit: // there is a gap in the log
		return fmt.Errorf("%w: the segment of %d ends at %d", ErrGone, t.pos, limit)
	}
	b, err := t.frame(limit)
	if errors.Is(err, errCutShort) {
		return fmt.Errorf("%w: %d", ErrBoundary, t.pos)
	}
	if err == nil && binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[crcFrom:], castagnoli) {
		return fmt.Errorf("%w: %d", ErrBoundary, t.pos)
	}
	return err
}

// frame reads the frame at pos, however long it is; errCutShort says that what
// stands there is none.
func (t *Tail) frame(limit uint64) ([]byte, error) {
	if limit-t.pos < frameHeader {
		return nil, errCutShort
	}
	b, err := t.at(frameHeader)
	if err != nil {
		return nil, err
	}
	size := frameHeader + uint64(binary.LittleEndian.Uint32(b))
	if size > limit-t.pos || binary.LittleEndian.Uint64(b[16:]) != t.pos+size {
		return nil, errCutShort
	}
	return t.at(int(size))
}

// at reads n bytes at pos, which the file has.
func (t *Tail) at(n int) ([]byte, error) {
	if cap(t.buf) < n || cap(t.buf) > keepBuffer && n <= keepBuffer {
		t.buf = make([]byte, n)
	}
	b := t.buf[:n]
	_, err := t.file.ReadAt(b, segmentHeader+int64(t.pos-t.first))
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s is shorter than it was: %w", t.file.Name(), io.ErrUnexpectedEOF)
	}
	return b, err
}

// read returns the whole frames among the next max bytes, or one that is longer.
func (t *Tail) read(max int, limit uint64) (Chunk, error) {
	b, err := t.at(int(min(uint64(max), limit-t.pos)))
	if err != nil {
		return Chunk{}, err
	}
	whole, at := 0, t.pos
	for len(b)-whole >= frameHeader {
		size, err := frameSize(b[whole:])
		if err != nil {
			break // it goes on behind b
		}
		at += uint64(size)
		if binary.LittleEndian.Uint64(b[whole+16:]) != at {
			return Chunk{}, t.broken(at - uint64(size))
		}
		whole += size
	}
	if b = b[:whole]; whole == 0 {
		if b, err = t.frame(limit); errors.Is(err, errCutShort) {
			err = t.broken(t.pos)
		}
		if err != nil {
			return Chunk{}, err
		}
	}
	c := Chunk{First: t.pos, End: t.pos + uint64(len(b)), Frames: b}
	t.pos = c.End
	return c, nil
}

func (t *Tail) broken(at uint64) error {
	return &BrokenError{Dir: t.l.o.Dir, File: t.file.Name(), Offset: segmentHeader + int64(at-t.first), Reason: errCutShort}
}
