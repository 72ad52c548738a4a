package aof

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ferricd/ferricd/internal/vfs"
)

// A Loss is a part of the log that Repair takes out of it.
type Loss struct {
	File    string // with its directory
	Offset  int64  // in the file; 0: all of it
	Bytes   int64
	Records int64  // whole units among these bytes
	Kept    string // the file that has them now; "" from Check, and where there is nothing to keep
}

func (l Loss) String() string {
	text := fmt.Sprintf("%s: offset %d: %d bytes with %d whole records", l.File, l.Offset, l.Bytes, l.Records)
	if l.Kept != "" {
		text += ", kept in " + l.Kept
	}
	return text
}

// A Report is what Check and Repair find.
type Report struct {
	Found
	Broken *BrokenError // nil: the log is whole, but for a torn end perhaps
	Losses []Loss       // what a repair takes out of the log, a torn end not included
}

// Check reads the whole log and changes nothing. The error is of the file system, or
// says that the log is not one of this directory and version, which no repair changes.
func Check(s Source) (Report, error) {
	s = s.withDefaults()
	found, err := Read(s, func(*Frame) error { return nil })
	report := Report{Found: found}
	if !errors.As(err, &report.Broken) {
		return report, err
	}
	list, err := s.needed()
	if err != nil {
		return report, err
	}
	report.Losses, err = s.losses(list, report.Broken)
	return report, err
}

// Repair ends the log at its first broken record: what follows is moved into files
// whose names end in BrokenSuffix. A torn end is cut as Recover does. The caller
// holds the directory's lock.
func Repair(s Source) (Report, error) {
	s = s.withDefaults()
	report, err := Check(s)
	switch {
	case err != nil:
		return report, err
	case report.Cut != nil:
		return report, s.cut(report.Cut)
	}
	// The newest first: until the broken record goes the log stays as broken as it was.
	for i := len(report.Losses) - 1; i >= 0; i-- {
		if err := s.setAside(&report.Losses[i]); err != nil {
			return report, err
		}
	}
	return report, nil
}

// losses lists what is behind a broken place.
func (s Source) losses(list []Segment, broken *BrokenError) ([]Loss, error) {
	var losses []Loss
	for _, seg := range list {
		loss := Loss{File: filepath.Join(s.Dir, seg.Name)}
		switch {
		case loss.File == broken.File:
			loss.Offset = broken.Offset
		case losses == nil:
			continue
		}
		loss.Bytes = seg.Size - loss.Offset
		var err error
		if loss.Records, err = s.countWhole(seg, loss.Offset); err != nil {
			return nil, err
		}
		losses = append(losses, loss)
	}
	return losses, nil
}

func (s Source) countWhole(seg Segment, off int64) (n int64, err error) {
	r, _, err := openSegment(s.FS, s.Dir, seg)
	if r == nil {
		return 0, err
	}
	defer r.close()
	for off = max(off, segmentHeader); ; n++ {
		begin, end, err := r.wholeAfter(off)
		if err != nil || begin == 0 {
			return n, err
		}
		off = end
	}
}

func (s Source) setAside(loss *Loss) (err error) {
	if loss.Bytes == 0 && loss.Offset > 0 {
		return nil // the log ends there already
	}
	if loss.Offset == 0 {
		if loss.Kept, err = s.freeName(loss.File); err == nil {
			err = s.FS.Rename(loss.File, loss.Kept)
		}
		if err == nil {
			err = s.FS.SyncDir(s.Dir)
		}
		return err
	}
	if loss.Kept, err = s.freeName(fmt.Sprintf("%s.%d", loss.File, loss.Offset)); err != nil {
		return err
	}
	if err = s.copyTail(loss); err != nil {
		return err
	}
	return s.cut(&Cut{File: loss.File, Offset: loss.Offset})
}

// freeName finds a name that no earlier repair has used.
func (s Source) freeName(name string) (string, error) {
	for i := 1; ; i++ {
		free := name + BrokenSuffix
		if i > 1 {
			free = fmt.Sprintf("%s.%d%s", name, i, BrokenSuffix)
		}
		if _, err := s.FS.Stat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
	}
}

// copyTail puts what will be cut off into a file of its own, durable before it is.
func (s Source) copyTail(loss *Loss) error {
	from, err := s.FS.Open(loss.File)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.FS.OpenFile(loss.Kept, os.O_WRONLY|os.O_CREATE|os.O_EXCL, vfs.FilePerm)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, loss.Offset, loss.Bytes))
	if err == nil {
		err = to.Sync()
	}
	if closed := to.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = s.FS.SyncDir(s.Dir)
	}
	return err
}
