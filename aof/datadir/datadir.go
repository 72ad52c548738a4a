package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ferricd/ferricd/internal/vfs"
)

const (
	lockName     = "LOCK"
	manifestName = "manifest.json"
)

// A Dir is a data directory that this process holds.
type Dir struct {
	fs   vfs.FS
	path string
	lock vfs.File
	born bool // the manifest is new
	made bool // the directory is

	mu       sync.Mutex
	manifest Manifest
}

// Open takes a data directory for this process; one that is missing or empty is
// made. Close gives it back.
func Open(fsys vfs.FS, path string) (*Dir, error) {
	made, err := makeDir(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	lock, err := takeLock(fsys, path)
	if err != nil {
		return nil, err
	}
	d := &Dir{fs: fsys, path: path, lock: lock, made: made}
	d.manifest, err = ReadManifest(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.bear()
	}
	if err == nil && d.manifest.Node == (ID{}) { // it was made by a version without clusters
		err = d.Update((*Manifest).NewNode)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// makeDir makes the directory, if need be, and those above it, and their names
// durable. It tells whether there was need.
func makeDir(fsys vfs.FS, path string) (made bool, err error) {
	var missing []string
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		_, err := fsys.Stat(p)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		missing = append(missing, p)
	}
	if err := fsys.MkdirAll(path, vfs.DirPerm); err != nil {
		return false, err
	}
	for _, p := range missing {
		if err := fsys.SyncDir(filepath.Dir(p)); err != nil {
			return false, err
		}
	}
	return len(missing) > 0, nil
}

func takeLock(fsys vfs.FS, path string) (vfs.File, error) {
	name := filepath.Join(path, lockName)
	lock, err := fsys.Lock(name)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("the data directory %s is in use by %s: %w", path, holder(fsys, name), vfs.ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
	}
	err = lock.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
	}
	return lock, nil
}

// holder names the process that a lock file names.
func holder(fsys vfs.FS, name string) string {
	text, err := vfs.ReadFile(fsys, name, 64)
	if err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return fmt.Sprintf("process %d", pid)
		}
	}
	return "another process"
}

// bear gives a directory its manifest.
func (d *Dir) bear() error {
	list, err := d.fs.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("the data directory cannot be read: %w", err)
	}
	if i := slices.IndexFunc(list, func(e fs.DirEntry) bool { return isData(e.Name()) }); i >= 0 {
		return fmt.Errorf("%s: the data directory has %s but no %s, so nobody can tell whose it is; put the manifest back or use another directory",
			d.path, list[i].Name(), manifestName)
	}
	d.born = true
	d.manifest = newManifest()
	return d.write(d.manifest)
}

func isData(name string) bool {
	return strings.HasSuffix(name, ".fer") && (strings.HasPrefix(name, "log-") || strings.HasPrefix(name, "snapshot-"))
}

func (d *Dir) write(m Manifest) error {
	text, err := m.encode()
	if err == nil {
		err = vfs.WriteFile(d.fs, d.path, filepath.Join(d.path, manifestName), text)
	}
	if err != nil {
		return fmt.Errorf("the manifest cannot be written: %w", err)
	}
	return nil
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Manifest is what the directory says of itself.
func (d *Dir) Manifest() Manifest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.manifest.clone()
}

// Update changes the manifest. It is durable when Update returns nil; after an
// error the old one counts.
func (d *Dir) Update(change func(*Manifest)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.manifest.clone()
	change(&m)
	if err := d.write(m); err != nil {
		return err
	}
	d.manifest = m
	return nil
}

// Close gives the directory back.
func (d *Dir) Close() error { return d.lock.Close() }
