package aof

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ferricd/ferricd/internal/vfs"
)

// A Source is a log to be read.
type Source struct {
	FS      vfs.FS // nil: the machine's
	Dir     string
	Cluster [16]byte // whose log it must be
	From    uint64   // the position of the snapshot that what is read is put on; 0: none

	// Progress, if there is one, is told from time to time how many bytes of how
	// many are read.
	Progress func(read, total int64)
}

// progressEvery is how many bytes lie between two calls of Progress.
const progressEvery = 4 << 20

// A Cut is the torn end of a log.
type Cut struct {
	File   string // with its directory
	Offset int64  // in the file
	Bytes  int64  // from there to the end
	Reason error
}

func (c *Cut) String() string {
	return fmt.Sprintf("%s: offset %d: %v and no whole record follows; %d bytes were not completely written and are no part of the log",
		c.File, c.Offset, c.Reason, c.Bytes)
}

// A BrokenError says where a log is damaged otherwise than by a crash.
type BrokenError struct {
	Dir    string
	File   string // with its directory
	Offset int64  // in the file
	Reason error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the log is broken: %s: offset %d: %v; nothing was changed; %q ends the log there and sets aside what follows",
		e.File, e.Offset, e.Reason, "ferricd check --fix "+e.Dir)
}

func (e *BrokenError) Unwrap() error { return e.Reason }

// Found is what a log holds.
type Found struct {
	End      uint64 // where the log goes on, at least From; of a broken one, where a repair ends it
	Epoch    uint64 // of the last record, or of the last segment if that has none
	Records  int64  // units after From
	Bytes    int64  // of them
	Segments int
	Cut      *Cut // the torn end, or nil
}

// Recover calls fn for every unit after From, in order, and cuts off a torn end, so
// that Open can go on at Found.End. An error of fn ends it and is returned as it is;
// with an error nothing is cut. The caller holds the directory's lock.
func Recover(s Source, fn func(*Frame) error) (Found, error) {
	found, err := Read(s, fn)
	if err != nil || found.Cut == nil {
		return found, err
	}
	return found, s.withDefaults().cut(found.Cut)
}

// Read is Recover without the cutting: it changes nothing.
func Read(s Source, fn func(*Frame) error) (Found, error) {
	s = s.withDefaults()
	w := walk{Source: s, found: Found{End: s.From}, fn: fn}
	list, err := s.needed()
	if err != nil || len(list) == 0 {
		return w.found, err
	}
	w.found.Segments = len(list)
	for _, seg := range list {
		w.total += seg.Size
	}
	if first := list[0]; first.First > s.From {
		return w.found, s.broken(first, 0, fmt.Errorf("the log begins with position %d, but is needed from %d on: a segment is missing", first.First, s.From))
	}
	for i, seg := range list {
		next := (*Segment)(nil)
		if i+1 < len(list) {
			next = &list[i+1]
		}
		if err := w.segment(seg, next); err != nil {
			return w.found, err
		}
	}
	if s.Progress != nil {
		s.Progress(w.total, w.total)
	}
	return w.found, nil
}

func (s Source) withDefaults() Source {
	s.FS = cmp.Or(s.FS, vfs.OS)
	return s
}

// needed lists the segments that hold something after From. What lies before is
// left over from a snapshot that was interrupted when it removed them.
func (s Source) needed() ([]Segment, error) {
	list, err := Segments(s.FS, s.Dir)
	if err != nil {
		return nil, err
	}
	for len(list) > 1 && list[1].First <= s.From {
		list = list[1:]
	}
	return list, nil
}

func (s Source) broken(seg Segment, off int64, reason error) error {
	return &BrokenError{Dir: s.Dir, File: filepath.Join(s.Dir, seg.Name), Offset: off, Reason: reason}
}

// cut makes a torn end go. Of a segment without a header an empty file remains,
// which Open begins anew.
func (s Source) cut(c *Cut) error {
	f, err := s.FS.OpenFile(c.File, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(c.Offset)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// A walk goes through segments one after the other.
type walk struct {
	Source
	fn    func(*Frame) error
	found Found
	frame Frame

	done, total, told int64 // bytes, for Progress
}

// segment reads one segment; next is nil for the last one.
func (w *walk) segment(seg Segment, next *Segment) error {
	r, h, err := openSegment(w.FS, w.Dir, seg)
	if r == nil {
		return err
	}
	defer r.close()
	switch {
	case errors.Is(err, errNoHeader) && next == nil:
		return w.torn(r, seg, 0, err)
	case errors.Is(err, errNoHeader):
		return w.broken(seg, 0, err)
	case err != nil:
		return fmt.Errorf("%s: %w", filepath.Join(w.Dir, seg.Name), err)
	case h.cluster != w.Cluster:
		return fmt.Errorf("%s belongs to another data directory: its cluster is %x, this one's is %x", filepath.Join(w.Dir, seg.Name), h.cluster, w.Cluster)
	case h.first != seg.First:
		return w.broken(seg, 0, fmt.Errorf("the segment begins at %d and should have the name %s", h.first, segmentName(h.first)))
	case h.epoch < w.found.Epoch:
		return w.broken(seg, 0, fmt.Errorf("the segment is of epoch %d, the record before it of %d", h.epoch, w.found.Epoch))
	}
	r.epoch = h.epoch
	err = w.frames(r, seg, next == nil)
	w.found.Epoch = r.epoch
	w.found.End = max(w.found.End, r.position())
	if err != nil {
		return err
	}
	w.done += seg.Size
	if next != nil && r.position() != next.First {
		return w.broken(seg, r.off, fmt.Errorf("the segment ends at position %d, but the next one, %s, begins at %d", r.position(), next.Name, next.First))
	}
	return nil
}

// frames reads the frames of a segment up to its end or to where it is torn.
func (w *walk) frames(r *segmentReader, seg Segment, last bool) error {
	for {
		begin, off := r.position(), r.off
		if err := r.next(&w.frame); err == io.EOF {
			return nil
		} else if err != nil {
			return w.bad(r, seg, last, err)
		}
		w.progress(r.off)
		if w.frame.LSN <= w.From {
			continue
		}
		if begin < w.From {
			r.off, r.buf = off, nil
			return w.broken(seg, off, fmt.Errorf("no record begins at %d, where the snapshot ends", w.From))
		}
		w.found.Records++
		w.found.Bytes += r.off - off
		if err := w.fn(&w.frame); err != nil {
			return err
		}
	}
}

// bad sorts out why there is no frame where one should be.
func (w *walk) bad(r *segmentReader, seg Segment, last bool, err error) error {
	var bad *frameError
	if !errors.As(err, &bad) {
		return err
	}
	if last && !bad.whole {
		return w.torn(r, seg, r.off, bad.reason)
	}
	return w.broken(seg, r.off, bad.reason)
}

// torn decides about a bad place in the last segment.
func (w *walk) torn(r *segmentReader, seg Segment, off int64, reason error) error {
	begin, _, err := r.wholeAfter(max(off+1, segmentHeader))
	if err != nil {
		return err
	}
	if begin != 0 {
		return w.broken(seg, off, fmt.Errorf("%w, and a whole record follows at offset %d", reason, begin))
	}
	if seg.Size == 0 {
		return nil // it has only got its name
	}
	w.found.Cut = &Cut{File: filepath.Join(w.Dir, seg.Name), Offset: off, Bytes: seg.Size - off, Reason: reason}
	return nil
}

func (w *walk) progress(off int64) {
	if w.Progress != nil && w.done+off >= w.told+progressEvery {
		w.told = w.done + off
		w.Progress(w.told, w.total)
	}
}
