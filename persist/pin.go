package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// A pinned is the data of a directory as it was at one instant, for reading. All
// its files are open: what a server that runs on the directory removes can still
// be read. It is the FS by which aof and snapshot read them.
//
// The manifest and the names must be the same before and after all files are
// opened; else it is tried again. A segment of which there is a next one is whole,
// so only the last one, which has the length that it had then, may end in the
// middle of a record.
type pinned struct {
	vfs.FS
	files map[string]*pinnedFile
	names []string // in order
}

// A pinnedFile tells of itself what it was when it was pinned.
type pinnedFile struct {
	f    vfs.File
	name string
	size int64
}

func (p *pinnedFile) Name() string       { return p.name }
func (p *pinnedFile) Size() int64        { return p.size }
func (p *pinnedFile) Mode() fs.FileMode  { return vfs.FilePerm }
func (p *pinnedFile) ModTime() time.Time { return time.Time{} }
func (p *pinnedFile) IsDir() bool        { return false }
func (p *pinnedFile) Sys() any           { return nil }

// pinTries bounds how often a directory that changes is looked at. A server
// changes it a few times a second at most, and to look takes less than a
// millisecond.
const pinTries = 100

// pin opens the data in a directory; the caller ends it with close.
func pin(fsys vfs.FS, dir string) (*pinned, error) {
	for range pinTries {
		p := &pinned{FS: fsys, files: map[string]*pinnedFile{}}
		same, err := p.open(dir)
		if err == nil && same {
			return p, nil
		}
		p.close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: its files come and go faster than they can be opened", dir)
}

// open opens everything, and tells whether it was all there at one instant.
func (p *pinned) open(dir string) (same bool, err error) {
	manifest, err := readManifest(p.FS, dir)
	if err != nil {
		return false, err
	}
	if _, err := p.FS.Stat(filepath.Join(dir, installName)); err == nil {
		return false, errInstalling
	}
	if p.names, err = dataNames(p.FS, dir); err != nil {
		return false, err
	}
	p.names = append(p.names, datadir.ManifestName)
	for _, name := range p.names {
		if err := p.add(dir, name); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	after, err := readManifest(p.FS, dir)
	if err != nil {
		return false, err
	}
	names, err := dataNames(p.FS, dir)
	return bytes.Equal(manifest, after) && slices.Equal(names, p.names[:len(p.names)-1]), err
}

func (p *pinned) add(dir, name string) error {
	f, err := p.FS.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	file := &pinnedFile{f: f, name: name}
	p.files[name] = file
	file.size, err = f.Size()
	return err
}

func (p *pinned) close() {
	for _, f := range p.files {
		f.f.Close()
	}
}

// dropPending leaves out segments that do not count, because the snapshot of their
// beginning is not durable.
func (p *pinned) dropPending(dir string, from uint64) error {
	if from == 0 {
		return nil
	}
	segments, err := aof.Segments(p, dir)
	for _, s := range segments {
		if s.First >= from {
			p.names = slices.DeleteFunc(p.names, func(name string) bool { return name == s.Name })
		}
	}
	return err
}

func readManifest(fsys vfs.FS, dir string) ([]byte, error) {
	return vfs.ReadFile(fsys, filepath.Join(dir, datadir.ManifestName), datadir.MaxManifest)
}

// dataNames lists snapshots and segments.
func dataNames(fsys vfs.FS, dir string) ([]string, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isData(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isData(name string) bool { return aof.IsSegment(name) || isSnapshot(name) }

func isSnapshot(name string) bool {
	return strings.HasPrefix(name, "snapshot-") && strings.HasSuffix(name, ".fer")
}

// ReadDir lists what was pinned.
func (p *pinned) ReadDir(string) ([]fs.DirEntry, error) {
	entries := make([]fs.DirEntry, 0, len(p.names))
	for _, name := range p.names {
		entries = append(entries, fs.FileInfoToDirEntry(p.files[name]))
	}
	return entries, nil
}

// Stat tells the length that a file had.
func (p *pinned) Stat(name string) (fs.FileInfo, error) {
	f, err := p.file(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open gives a view of a file; to close it does nothing.
func (p *pinned) Open(name string) (vfs.File, error) {
	f, err := p.file(name)
	if err != nil {
		return nil, err
	}
	section := io.NewSectionReader(f.f, 0, f.size)
	return view{Reader: section, ReaderAt: section, file: f, name: name}, nil
}

func (p *pinned) file(name string) (*pinnedFile, error) {
	f := p.files[path.Base(filepath.ToSlash(name))]
	if f == nil || !slices.Contains(p.names, f.name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

// A view reads a pinned file from its beginning.
type view struct {
	io.Reader
	io.ReaderAt
	file *pinnedFile
	name string
}

var errReadOnly = errors.New("the file was opened for reading")

func (v view) Name() string              { return v.name }
func (v view) Size() (int64, error)      { return v.file.size, nil }
func (v view) Close() error              { return nil }
func (v view) Sync() error               { return nil }
func (v view) Write([]byte) (int, error) { return 0, errReadOnly }
func (v view) Truncate(int64) error      { return errReadOnly }

// A beginning is where loading begins.
type beginning struct {
	info     snapshot.Info // Name is "" if there is no snapshot
	broken   []error       // snapshots that are newer and not used
	segments []aof.Segment
}

// begin finds the snapshot to begin with, and the log.
func begin(o snapshot.Options) (b beginning, err error) {
	if b.segments, err = aof.Segments(o.FS, o.Dir); err != nil {
		return b, err
	}
	b.info, b.broken, err = snapshot.Newest(o, func(lsn uint64) bool { return covered(b.segments, lsn) })
	return b, err
}

// covered tells whether the log has everything from a position on.
func covered(segments []aof.Segment, lsn uint64) bool {
	return len(segments) > 0 && segments[0].First <= lsn
}
