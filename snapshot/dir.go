package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A File is a snapshot in a directory, by its name.
type File struct {
	Name string
	LSN  uint64
	Size int64
}

// List lists the snapshots of a directory, the newest first. A directory that is
// not there has none.
func List(o Options) ([]File, error) {
	entries, err := o.FS.ReadDir(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if lsn, ok := parseName(e.Name()); ok {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			files = append(files, File{Name: e.Name(), LSN: lsn, Size: info.Size()})
		}
	}
	slices.Reverse(files) // ReadDir sorts by name, and names have leading zeros
	return files, nil
}

// Newest finds the snapshot to begin with, whose name is "" if there is none.
// It looks at the header and the end of files, not at what is between. A broken
// one is an error, unless there is an older one that is not and covered says that
// the log has everything from its position on: then that one is it, and broken
// says what is wrong with the newer ones.
func Newest(o Options, covered func(lsn uint64) bool) (info Info, broken []error, err error) {
	files, err := List(o)
	if err != nil {
		return Info{}, nil, err
	}
	for i, f := range files {
		info, err := inspect(o, f)
		var b *BrokenError
		switch {
		case errors.As(err, &b):
			broken = append(broken, err)
			continue
		case err != nil:
			return Info{}, nil, err
		case i > 0 && !covered(f.LSN):
			return Info{}, nil, fmt.Errorf("%w; the log does not reach back to %s", broken[0], f.Name)
		}
		return info, broken, nil
	}
	if len(broken) > 0 {
		if covered(0) {
			return Info{}, broken, nil
		}
		return Info{}, nil, broken[0]
	}
	return Info{}, nil, nil
}

// inspect reads header and end of a file.
func inspect(o Options, file File) (Info, error) {
	name := o.path(file.Name)
	f, err := o.FS.Open(name)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	broken := func(at int64, reason string) (Info, error) {
		return Info{}, &BrokenError{File: name, Offset: at, Reason: reason}
	}
	size, err := f.Size()
	if err != nil {
		return Info{}, err
	}
	if size < headerSize+headSize+endSize {
		return broken(size, "it ends in the middle")
	}
	var b [headerSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return Info{}, err
	}
	h, reason := decodeHeader(b[:])
	if reason != "" {
		return broken(0, reason)
	}
	if h.LSN != file.LSN {
		return broken(0, fmt.Sprintf("its header says position %d", h.LSN))
	}
	at := size - headSize - endSize
	end := make([]byte, headSize+endSize)
	if _, err := f.ReadAt(end, at); err != nil {
		return Info{}, err
	}
	e := decodeHead(end)
	if e.kind != kindEnd || e.length != endSize || !e.checks(end[:headSize], end[headSize:]) {
		return broken(at, "its end is missing")
	}
	n, _ := decodeCounts(end[headSize:])
	if n.Bytes != size {
		return broken(at, fmt.Sprintf("it has %d bytes, its end says %d", size, n.Bytes))
	}
	return Info{Name: name, Header: h, Counts: n}, nil
}

// RemoveOlder removes the snapshots before a position, and what unfinished ones
// have left. None may be under way.
func RemoveOlder(o Options, lsn uint64) error {
	entries, err := o.FS.ReadDir(o.Dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		name, unfinished := strings.CutSuffix(e.Name(), temp)
		at, ok := parseName(name)
		if !ok || !unfinished && at >= lsn {
			continue
		}
		o.at("remove")
		if err := o.FS.Remove(o.path(e.Name())); err != nil {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	o.at("syncdir")
	return o.FS.SyncDir(o.Dir)
}
