package persist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// installName is the file that says that a full copy is to take the place of what is
// there. As long as it lies there the directory is neither: a start finishes it.
const (
	installName = "staging.json"
	maxInstall  = 64 << 20
)

// errInstalling is what is left to say of a directory in that state.
var errInstalling = errors.New("a full copy of another node's data is being put in place here; the server finishes that when it starts")

// An installation is what the directory is to be.
type installation struct {
	Cluster datadir.ID     `json:"cluster"`
	Epoch   uint64         `json:"epoch"`
	Files   []datadir.File `json:"files"` // all of snapshots and log
	Sealed  []string       `json:"sealed"`
}

// Install puts the copy in the place of all data, on disk and in memory, and lets the
// standby go on at lsn, where it must end. All its files are there and verified.
// From the moment on at which it is durable that the copy counts, it does: when the
// process ends meanwhile, the next start finishes it. An error before that has
// changed nothing.
func (t *Staging) Install(lsn uint64, cluster string, epoch uint64) error {
	in, err := t.installation(cluster, epoch)
	if err != nil {
		return err
	}
	k, s := t.k, t.s
	k.role.Lock()
	defer k.role.Unlock()
	s.appending.Lock()
	defer s.appending.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := errors.Join(t.usable(), t.complete()); err != nil {
		return err
	}
	if err := t.verify(lsn, in.Cluster); err != nil {
		return err
	}
	k.interrupt()
	defer k.busy.Unlock()
	gate := k.runner.Exclusive(-1, func() { err = k.install(in, lsn) })
	if err = errors.Join(gate, err); err != nil {
		s.fail(err)
		return err
	}
	t.over = true
	k.staging.CompareAndSwap(t, nil)
	return nil
}

func (t *Staging) installation(cluster string, epoch uint64) (in installation, err error) {
	in.Epoch = epoch
	if err := in.Cluster.UnmarshalText([]byte(cluster)); err != nil {
		return in, fmt.Errorf("the name of the cluster: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range t.order {
		f := t.files[name]
		in.Files = append(in.Files, datadir.File{Name: name, Size: f.Size, SHA256: f.SHA256})
		if f.Sealed && aof.GoodName(name) {
			in.Sealed = append(in.Sealed, name)
		}
	}
	return in, nil
}

func (t *Staging) complete() error {
	for _, f := range t.files {
		if !f.done {
			return fmt.Errorf("%w: %s is not there", ErrStaging, f.Name)
		}
	}
	if len(t.files) == 0 {
		return fmt.Errorf("%w: it has no files", ErrStaging)
	}
	return nil
}

// verify reads the copy as a start would: what is there is not given up for what
// cannot be loaded.
func (t *Staging) verify(lsn uint64, cluster datadir.ID) error {
	fsys, dir := copied{t.k.o.FS, t}, t.k.o.Dir
	from, err := begin(snapshot.Options{FS: fsys, Dir: dir})
	if err != nil {
		return err
	}
	if from.info.Name != "" {
		if _, err := snapshot.Verify(fsys, from.info.Name, nil); err != nil {
			return err
		}
	}
	found, err := aof.Read(aof.Source{FS: fsys, Dir: dir, Cluster: cluster, From: from.info.LSN}, func(*aof.Frame) error { return t.s.ctx.Err() })
	switch {
	case err != nil:
		return err
	case found.Cut != nil:
		return fmt.Errorf("the full copy's log is cut short: %s", found.Cut)
	case found.End != lsn:
		return fmt.Errorf("the full copy ends at %d and should at %d", found.End, lsn)
	}
	return nil
}

// copied shows the files of a full copy under the names that they will have.
type copied struct {
	vfs.FS
	t *Staging
}

func (c copied) real(name string) (string, error) {
	f := c.t.files[path.Base(filepath.ToSlash(name))]
	switch {
	case f == nil:
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case f.kept:
		return c.t.k.path(f.Name), nil
	}
	return c.t.k.path(stagePrefix + f.Name), nil
}

func (c copied) Open(name string) (vfs.File, error) {
	real, err := c.real(name)
	if err != nil {
		return nil, err
	}
	return c.FS.Open(real)
}

func (c copied) Stat(name string) (fs.FileInfo, error) {
	real, err := c.real(name)
	if err != nil {
		return nil, err
	}
	return c.FS.Stat(real)
}

func (c copied) ReadDir(string) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	for _, name := range slices.Sorted(slices.Values(c.t.order)) {
		list = append(list, fs.FileInfoToDirEntry(&pinnedFile{name: name, size: c.t.files[name].Size}))
	}
	return list, nil
}

// install does it with the gate closed.
func (k *Keeper) install(in installation, lsn uint64) error {
	text, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(k.o.FS, k.o.Dir, k.path(installName), text); err != nil {
		return err
	}
	if err := k.journal.log.Load().Close(); err != nil {
		k.o.Log.Warn("the log that a full copy replaces had failed", "error", err)
	}
	if err := in.finish(k.o.FS, k.o.Dir, k.dir); err != nil {
		return err
	}
	return k.rebuild(lsn)
}

// finishInstall finishes an installation that a process has left.
func finishInstall(fsys vfs.FS, dir string, d *datadir.Dir) error {
	text, err := vfs.ReadFile(fsys, filepath.Join(dir, installName), maxInstall)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var in installation
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err == nil {
		err = in.finish(fsys, dir, d)
	}
	if err != nil {
		return fmt.Errorf("a full copy of another node's data could not be put in place: %w", err)
	}
	return nil
}

// finish makes the directory what it is to be, whatever was done of that before.
func (in installation) finish(fsys vfs.FS, dir string, d *datadir.Dir) error {
	if err := in.removeOthers(fsys, dir); err != nil {
		return err
	}
	for _, f := range in.Files {
		if err := in.place(fsys, dir, f); err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	if err := d.Update(func(m *datadir.Manifest) {
		m.Cluster, m.Member, m.Epoch, m.PendingLog = in.Cluster, true, max(m.Epoch, in.Epoch), 0
		m.Files = slices.DeleteFunc(slices.Clone(in.Files), func(f datadir.File) bool { return !slices.Contains(in.Sealed, f.Name) })
	}); err != nil {
		return err
	}
	if err := fsys.Remove(filepath.Join(dir, installName)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// removeOthers removes all data that is not the copy's.
func (in installation) removeOthers(fsys vfs.FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, staged := strings.CutPrefix(e.Name(), stagePrefix)
		ours := slices.ContainsFunc(in.Files, func(f datadir.File) bool { return f.Name == name })
		if (staged || isData(name)) && !ours {
			if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in installation) place(fsys vfs.FS, dir string, f datadir.File) error {
	name := filepath.Join(dir, f.Name)
	err := fsys.Rename(filepath.Join(dir, stagePrefix+f.Name), name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err := fsys.Stat(name) // it was there before, or a try before this one has placed it
	if err == nil && info.Size() != f.Size {
		err = fmt.Errorf("%s has %d bytes and should have %d", name, info.Size(), f.Size)
	}
	return err
}
