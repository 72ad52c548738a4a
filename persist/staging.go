package persist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// A FileInfo is what one node tells another of a file of a full copy.
type FileInfo struct {
	Name   string
	Size   int64
	SHA256 string // in hex
	Sealed bool   // it does not change as long as it is there
}

// A Missing file is to be fetched, from an offset on.
type Missing struct {
	FileInfo
	Offset int64
}

// ErrName is the error of a file name that no segment and no snapshot has.
var ErrName = errors.New("this is not the name of a segment or a snapshot")

// ErrStaging is the error of a step of a full copy that does not follow the others.
var ErrStaging = errors.New("the full copy is not at this step")

// ErrHash is the error of a file that is not the one that was announced. It was
// removed and is to be fetched from its beginning.
var ErrHash = errors.New("the file is not what was announced")

const (
	stagePrefix = "staging-"
	// maxStaged bounds how many files a full copy has.
	maxStaged = 1 << 16
	// maxStagedSize bounds a file, and all of them.
	maxStagedSize = 1 << 46
)

// A Staging is a full copy that is being fetched, beside the data, under names of its
// own: staging-<name>. What is there outlives the Staging and the process; the next
// one goes on from it. It ends when another begins, when the standby appends again,
// or with Close.
type Staging struct {
	k *Keeper
	s *Standby

	mu    sync.Mutex // held over what is done with files
	over  bool
	files map[string]*staged
	order []string
	open  vfs.File  // of the file that is being written
	name  string    // its name
	hash  hash.Hash // of all its bytes so far; nil if it was not written from its beginning
	dirty int       // bytes of it that were not made durable
}

// A staged file is one of the copy.
type staged struct {
	FileInfo
	have int64 // bytes that are there
	done bool  // and verified
	kept bool  // it is in the directory already, under its own name
}

// Stage begins a full copy, or goes on with one that was interrupted.
func (s *Standby) Stage() (*Staging, error) {
	k := s.k
	k.role.Lock()
	defer k.role.Unlock()
	if s.ended() || k.journal.standby.Load() != s {
		return nil, ErrOver
	}
	k.endStaging()
	t := &Staging{k: k, s: s, files: map[string]*staged{}}
	k.files.Lock()
	defer k.files.Unlock()
	k.staging.Store(t)
	return t, nil
}

// endStaging ends the full copy that is under way, if there is one.
func (k *Keeper) endStaging() {
	if t := k.staging.Load(); t != nil {
		t.Close()
	}
}

// Close ends the full copy. What was fetched stays.
func (t *Staging) Close() {
	t.mu.Lock()
	t.over = true
	t.closeFile()
	t.mu.Unlock()
	t.k.staging.CompareAndSwap(t, nil)
}

func (t *Staging) closeFile() {
	if t.open != nil {
		_ = t.open.Close() // Done syncs
		t.open, t.name, t.hash, t.dirty = nil, "", nil, 0
	}
}

func (t *Staging) usable() error {
	if t.over || t.s.ctx.Err() != nil {
		return ErrOver
	}
	return nil
}

// checkList holds a list of files from another node against what a data directory
// can have.
func checkList(files []FileInfo) error {
	if len(files) > maxStaged {
		return fmt.Errorf("%d files, at most %d can be", len(files), maxStaged)
	}
	seen := map[string]bool{}
	total := int64(0)
	for _, f := range files {
		sum, err := hex.DecodeString(f.SHA256)
		switch {
		case !goodName(f.Name):
			return fmt.Errorf("%w: %.100q", ErrName, f.Name)
		case seen[f.Name]:
			return fmt.Errorf("%s is there twice", f.Name)
		case f.Size < 0 || f.Size > maxStagedSize-total:
			return fmt.Errorf("%s: a size of %d bytes", f.Name, f.Size)
		case err != nil || len(sum) != sha256.Size || strings.ToLower(f.SHA256) != f.SHA256:
			return fmt.Errorf("%s: %.100q is no hash", f.Name, f.SHA256)
		}
		seen[f.Name] = true
		total += f.Size
	}
	return nil
}

// goodName tells whether a name is exactly one that log or snapshots give a file.
func goodName(name string) bool { return aof.GoodName(name) || snapshot.GoodName(name) }

func (k *Keeper) path(name string) string { return filepath.Join(k.o.Dir, name) }

// Want says which files the copy has, and returns those that are to be fetched. What
// the directory or an earlier copy has with the same size and hash is not.
func (t *Staging) Want(files []FileInfo) ([]Missing, error) {
	if err := checkList(files); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	t.closeFile()
	clear(t.files)
	t.order = nil
	for _, f := range files {
		t.files[f.Name] = &staged{FileInfo: f}
		t.order = append(t.order, f.Name)
	}
	if err := t.sweep(); err != nil {
		return nil, err
	}
	last, err := lastSegment(t.k.o.FS, t.k.o.Dir)
	if err != nil {
		return nil, err
	}
	var missing []Missing
	for _, name := range t.order {
		f := t.files[name]
		if err := t.look(f, name == last); err != nil {
			return nil, err
		}
		if !f.done {
			missing = append(missing, Missing{f.FileInfo, f.have})
		}
	}
	return missing, nil
}

// sweep removes what an earlier copy has left and this one has not.
func (t *Staging) sweep() error {
	entries, err := t.k.o.FS.ReadDir(t.k.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), stagePrefix)
		if ok && t.files[name] == nil {
			if err := t.k.o.FS.Remove(t.k.path(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeStaged removes what a full copy has left that nobody goes on with: the node
// has data of its own to save.
func (k *Keeper) removeStaged() error {
	entries, err := k.o.FS.ReadDir(k.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePrefix) {
			err = errors.Join(err, k.o.FS.Remove(k.path(e.Name())))
		}
	}
	return err
}

func lastSegment(fsys vfs.FS, dir string) (string, error) {
	list, err := aof.Segments(fsys, dir)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[len(list)-1].Name, nil
}

// look finds out what is there of a file. The last segment of the log is never
// counted on: it is open.
func (t *Staging) look(f *staged, last bool) error {
	fsys, name := t.k.o.FS, t.k.path(stagePrefix+f.Name)
	info, err := fsys.Stat(name)
	switch {
	case err == nil && info.Size() < f.Size:
		f.have = info.Size()
		return nil
	case err == nil && info.Size() == f.Size:
		if f.done, err = t.same(name, f); err != nil || f.done {
			f.have = f.Size
			return errors.Join(err, t.sync(f))
		}
	}
	if err == nil {
		err = fsys.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if last {
		return nil
	}
	info, err = fsys.Stat(t.k.path(f.Name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != f.Size {
		return nil
	}
	if err == nil {
		f.kept, err = t.same(t.k.path(f.Name), f)
		f.done = f.kept
	}
	return err
}

// same tells whether a file has the hash that was announced.
func (t *Staging) same(name string, f *staged) (bool, error) {
	sum, err := hashFile(t.k.o.FS, name, f.Size, t.s.ctx.Err)
	return sum == f.SHA256, err
}

// sync makes durable what an earlier copy has fetched.
func (t *Staging) sync(f *staged) error {
	if !f.done {
		return nil
	}
	file, err := t.k.o.FS.OpenFile(t.k.path(stagePrefix+f.Name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = file.Sync()
	return errors.Join(err, file.Close())
}

// hashFile hashes the first size bytes of a file. goOn is asked now and then.
func hashFile(fsys vfs.FS, name string, size int64, goOn func() error) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return hashReader(f, size, goOn)
}

const hashPiece = 256 << 10

func hashReader(r io.ReaderAt, size int64, goOn func() error) (string, error) {
	h := sha256.New()
	buf := make([]byte, min(hashPiece, max(size, 1)))
	for at := int64(0); at < size; {
		if err := goOn(); err != nil {
			return "", err
		}
		n, err := r.ReadAt(buf[:min(hashPiece, size-at)], at)
		h.Write(buf[:n])
		at += int64(n)
		if err != nil && at < size {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// stageSync is how much is written before it is made durable: an fsync of the log that
// this disk has, too, would otherwise wait behind all of a copy. Who sends waits.
const stageSync = 8 << 20

// Write puts a piece of a file where its bytes so far end.
func (t *Staging) Write(name string, offset int64, p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := t.file(name)
	switch {
	case err != nil:
		return err
	case f.done || offset != f.have || int64(len(p)) > f.Size-offset:
		return fmt.Errorf("%w: %s: %d bytes at %d of %d, %d are there", ErrStaging, name, len(p), offset, f.Size, f.have)
	}
	if err := t.openFile(f); err != nil {
		return err
	}
	n, err := t.open.Write(p)
	f.have += int64(n)
	if t.hash != nil {
		t.hash.Write(p[:n])
	}
	if t.dirty += n; err == nil && t.dirty >= stageSync {
		t.dirty = 0
		err = t.open.Sync()
	}
	return err
}

func (t *Staging) file(name string) (*staged, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	f := t.files[name]
	if f == nil {
		return nil, fmt.Errorf("%w: %.100q", ErrName, name)
	}
	return f, nil
}

func (t *Staging) openFile(f *staged) (err error) {
	if t.name == f.Name {
		return nil
	}
	t.closeFile()
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if f.have == 0 {
		flags |= os.O_TRUNC
		t.hash = sha256.New()
	}
	t.open, err = t.k.o.FS.OpenFile(t.k.path(stagePrefix+f.Name), flags, vfs.FilePerm)
	if err != nil {
		t.open, t.hash = nil, nil
		return err
	}
	t.name = f.Name
	return nil
}

// Done says that all of a file is written. It is made durable; the error is ErrHash if
// it is not what was announced. Install reads it once more.
func (t *Staging) Done(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := t.file(name)
	switch {
	case err != nil:
		return err
	case f.done:
		return nil
	case f.have != f.Size:
		return fmt.Errorf("%w: %s has %d of %d bytes", ErrStaging, name, f.have, f.Size)
	}
	if err := t.openFile(f); err != nil {
		return err
	}
	err = t.open.Sync()
	sum := t.hash
	t.closeFile()
	if err != nil {
		return err
	}
	path := t.k.path(stagePrefix + name)
	if sum != nil {
		f.done = hex.EncodeToString(sum.Sum(nil)) == f.SHA256
	} else {
		f.done, err = t.same(path, f)
	}
	if err != nil || f.done {
		return err
	}
	f.have = 0
	return errors.Join(fmt.Errorf("%w: %s", ErrHash, name), t.k.o.FS.Remove(path))
}
