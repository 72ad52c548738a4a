package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// Backed tells what a backup holds.
type Backed struct {
	Snapshot uint64 // the position of its snapshot, 0 if there is none
	End      uint64 // of its log
	Files    int
	Bytes    int64
}

// Backup copies what a server would load from a directory, also one that a server
// is using, into one that is new or empty, and reads the copy to see that it is
// whole. It is the data as of one instant between the call and its return. The
// manifest comes last: without it no server starts from what is not finished.
func Backup(fsys vfs.FS, dir, to string) (b Backed, err error) {
	p, err := pin(fsys, dir)
	if err != nil {
		return b, err
	}
	defer p.close()
	m, err := datadir.ReadManifest(p, dir)
	if err != nil {
		return b, err
	}
	if err := p.dropPending(dir, m.PendingLog); err != nil {
		return b, err
	}
	from, err := begin(snapshot.Options{FS: p, Dir: dir})
	if err != nil {
		return b, err
	}
	names := needed(from)
	made, err := emptyDir(fsys, to)
	if err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(fsys, to, names, made))
		}
	}()
	m.NewNode() // what a cluster knows of the original does not hold for a copy
	m.Member = false
	for _, name := range names {
		n, err := int64(0), error(nil)
		if name == datadir.ManifestName {
			n, err = copyManifest(m, fsys, filepath.Join(to, name))
		} else {
			n, err = copyFile(p, filepath.Join(dir, name), fsys, filepath.Join(to, name))
		}
		if err != nil {
			return b, err
		}
		b.Files, b.Bytes = b.Files+1, b.Bytes+n
	}
	b.Snapshot = from.info.LSN
	b.End, err = verify(fsys, to, from.info, m)
	return b, errors.Join(err, fsys.SyncDir(to), fsys.SyncDir(filepath.Dir(filepath.Clean(to))))
}

// needed lists what is read at a start, the manifest last.
func needed(from beginning) (names []string) {
	if from.info.Name != "" {
		names = append(names, filepath.Base(from.info.Name))
	}
	for i, s := range from.segments {
		if i+1 == len(from.segments) || from.segments[i+1].First > from.info.LSN {
			names = append(names, s.Name)
		}
	}
	return append(names, datadir.ManifestName)
}

// emptyDir makes a directory, or sees to it that it is empty.
func emptyDir(fsys vfs.FS, dir string) (made bool, err error) {
	entries, err := fsys.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, fsys.MkdirAll(dir, vfs.DirPerm)
	case err == nil && len(entries) > 0:
		err = fmt.Errorf("%s is not empty, it has %s", dir, entries[0].Name())
	}
	return false, err
}

func copyManifest(m datadir.Manifest, to vfs.FS, target string) (n int64, err error) {
	text, err := m.Encode()
	if err != nil {
		return 0, err
	}
	return writeFile(bytes.NewReader(text), to, target)
}

func copyFile(from vfs.FS, source string, to vfs.FS, target string) (n int64, err error) {
	in, err := from.Open(source)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return writeFile(in, to, target)
}

// writeFile makes a new file, durable but for its name.
func writeFile(in io.Reader, to vfs.FS, target string) (n int64, err error) {
	out, err := to.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, vfs.FilePerm)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return n, err
}

// verify reads a copy, and tells up to where its log goes.
func verify(fsys vfs.FS, dir string, info snapshot.Info, m datadir.Manifest) (end uint64, err error) {
	if info.Name != "" {
		if _, err := snapshot.Verify(fsys, filepath.Join(dir, filepath.Base(info.Name)), nil); err != nil {
			return 0, err
		}
	}
	found, err := aof.Read(aof.Source{FS: fsys, Dir: dir, Cluster: m.Cluster, From: info.LSN}, func(*aof.Frame) error { return nil })
	return found.End, err
}

// discard removes a copy that was not finished, the manifest first.
func discard(fsys vfs.FS, dir string, names []string, made bool) (err error) {
	for _, name := range slices.Backward(names) {
		if e := fsys.Remove(filepath.Join(dir, name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if made {
		err = errors.Join(err, fsys.Remove(dir))
	}
	return err
}
