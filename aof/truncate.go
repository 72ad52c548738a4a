package aof

import (
	"fmt"
	"io"
	"path/filepath"
)

// Truncate ends a log that nobody has open at lsn, where a record ends: what follows
// is removed, the newest segment first, so that there is a log without a gap
// whenever it is interrupted. A segment that would be left without a record goes
// too, unless it is the oldest. All of it is durable when Truncate returns.
func Truncate(s Source, lsn uint64) error {
	s = s.withDefaults()
	list, keep, off, err := s.find(lsn)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i > keep; i-- {
		if err := s.FS.Remove(filepath.Join(s.Dir, list[i].Name)); err != nil {
			return err
		}
		if err := s.FS.SyncDir(s.Dir); err != nil {
			return err
		}
	}
	return s.cut(&Cut{File: filepath.Join(s.Dir, list[keep].Name), Offset: off})
}

// Boundary is the error that Truncate would answer for lsn, and changes nothing.
func Boundary(s Source, lsn uint64) error {
	_, _, _, err := s.withDefaults().find(lsn)
	return err
}

// find finds the segment, and the place in it, where the log is to end.
func (s Source) find(lsn uint64) (list []Segment, keep int, off int64, err error) {
	list, err = Segments(s.FS, s.Dir)
	if err != nil {
		return nil, 0, 0, err
	}
	keep = -1
	for i, seg := range list {
		if seg.First < lsn || i == 0 && seg.First == lsn {
			keep = i
		}
	}
	if keep < 0 {
		return nil, 0, 0, fmt.Errorf("%w: it is to be cut back to %d", ErrGone, lsn)
	}
	off, err = s.offset(list[keep], lsn)
	return list, keep, off, err
}

// offset finds where a record ends that ends at lsn.
func (s Source) offset(seg Segment, lsn uint64) (int64, error) {
	if seg.Size == 0 && seg.First == lsn {
		return 0, nil // it has only got its name
	}
	r, h, err := openSegment(s.FS, s.Dir, seg)
	if r == nil {
		return 0, err
	}
	defer r.close()
	if err == nil && h.cluster != s.Cluster {
		err = fmt.Errorf("%s belongs to another data directory", seg.Name)
	}
	var f Frame
	for err == nil && r.position() < lsn {
		err = r.next(&f)
	}
	switch {
	case err == io.EOF:
		return 0, fmt.Errorf("%w: it is to be cut back to %d and ends at %d", ErrPosition, lsn, r.position())
	case err != nil:
		return 0, fmt.Errorf("%s: offset %d: %w", seg.Name, r.off, err)
	case r.position() != lsn:
		return 0, fmt.Errorf("%w: %d", ErrBoundary, lsn)
	}
	return r.off, nil
}
