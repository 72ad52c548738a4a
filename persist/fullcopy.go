package persist

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// A Pinned is all data up to a position, as files: a snapshot and the log behind it.
// They can be read until Release, also when the server has removed them.
type Pinned struct {
	files   []FileInfo
	open    map[string]vfs.File
	base    uint64 // the position of the snapshot
	lsn     uint64
	epoch   uint64
	cluster string
	once    sync.Once
}

// Files lists them. The last segment is as long as it was.
func (p *Pinned) Files() []FileInfo { return slices.Clone(p.files) }

// LSN is where the log ends in them.
func (p *Pinned) LSN() uint64 { return p.lsn }

// Epoch is that of the log's end.
func (p *Pinned) Epoch() uint64 { return p.epoch }

// Cluster is whose they are, in hex.
func (p *Pinned) Cluster() string { return p.cluster }

// Open returns a reader of a file that is listed.
func (p *Pinned) Open(name string) (*io.SectionReader, error) {
	i := slices.IndexFunc(p.files, func(f FileInfo) bool { return f.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: %.100q", ErrName, name)
	}
	return io.NewSectionReader(p.open[name], 0, p.files[i].Size), nil
}

// Release lets the files go.
func (p *Pinned) Release() {
	p.once.Do(func() {
		for _, f := range p.open {
			f.Close()
		}
	})
}

// A full copy begins with a new snapshot when the log behind the last one is longer
// than a segment and than the snapshot.
const pinnedLog = 64 << 20

// Pin opens the data for a full copy.
func (k *Keeper) Pin() (*Pinned, error) {
	l := k.journal.log.Load()
	if l == nil {
		return nil, ErrNoLog
	}
	if st := k.State(); st.SnapshotBytes == 0 || int64(l.End()-st.SnapshotLSN) > max(pinnedLog, st.SnapshotBytes) {
		if err := k.Save(); err != nil {
			return nil, err
		}
	}
	p, err := k.openPinned(l)
	for err == nil && p.lsn < p.base { // the snapshot was faster than the log's writer
		p.Release()
		if err = l.Sync(); err == nil {
			p, err = k.openPinned(l)
		}
	}
	if err == nil {
		err = k.hashPinned(l, p)
	}
	if err != nil {
		p.Release()
		return nil, err
	}
	return p, nil
}

// openPinned opens the files, of which none goes meanwhile.
func (k *Keeper) openPinned(l *aof.Log) (*Pinned, error) {
	k.files.Lock()
	defer k.files.Unlock()
	p := &Pinned{open: map[string]vfs.File{}, cluster: k.Cluster(), epoch: l.Epoch()}
	from, err := begin(k.snapshots())
	if err != nil {
		return p, err
	}
	p.base = from.info.LSN
	if from.info.Name != "" {
		name := filepath.Base(from.info.Name)
		if err := p.add(k.o.FS, k.o.Dir, FileInfo{Name: name, Size: from.info.Bytes, Sealed: true}); err != nil {
			return p, err
		}
	}
	segments, written := l.Segments()
	p.lsn = written
	for i, s := range segments {
		f := FileInfo{Name: s.Name, Size: s.Size, Sealed: i+1 < len(segments)}
		if f.Sealed && segments[i+1].First <= from.info.LSN {
			continue
		}
		if err := p.add(k.o.FS, k.o.Dir, f); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *Pinned) add(fsys vfs.FS, dir string, info FileInfo) error {
	f, err := fsys.Open(filepath.Join(dir, info.Name))
	if err != nil {
		return err
	}
	p.open[info.Name] = f
	size, err := f.Size()
	if err == nil && (size < info.Size || info.Sealed && size != info.Size) {
		err = fmt.Errorf("%s has %d bytes and should have %d", info.Name, size, info.Size)
	}
	p.files = append(p.files, info)
	return err
}

// hashed keeps the hash of the newest snapshot: by its name alone another could be
// meant, that was taken at the same position.
type hashed struct {
	mu   sync.Mutex
	mark snapshot.Mark
	file FileInfo
}

// hashPinned hashes the files, with no lock held, but for what is known already:
// sealed segments are kept in the manifest.
func (k *Keeper) hashPinned(l *aof.Log, p *Pinned) error {
	known := k.dir.Manifest().Files
	var fresh []datadir.File
	for i := range p.files {
		f := &p.files[i]
		if j := slices.IndexFunc(known, func(x datadir.File) bool { return x.Name == f.Name && x.Size == f.Size }); f.Sealed && j >= 0 {
			f.SHA256 = known[j].SHA256
			continue
		}
		var err error
		if snapshot.GoodName(f.Name) {
			err = k.hashSnapshot(p, f)
		} else if f.SHA256, err = hashReader(p.open[f.Name], f.Size, k.ctx.Err); err == nil && f.Sealed {
			fresh = append(fresh, datadir.File{Name: f.Name, Size: f.Size, SHA256: f.SHA256})
		}
		if err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return k.keepHashes(l, fresh)
}

func (k *Keeper) hashSnapshot(p *Pinned, f *FileInfo) error {
	mark, err := snapshot.MarkOf(p.open[f.Name], f.Size)
	if err != nil {
		return err
	}
	k.hashed.mu.Lock()
	known, same := k.hashed.file, k.hashed.mark == mark
	k.hashed.mu.Unlock()
	if same && known.Name == f.Name && known.Size == f.Size {
		f.SHA256 = known.SHA256
		return nil
	}
	if f.SHA256, err = hashReader(p.open[f.Name], f.Size, k.ctx.Err); err != nil {
		return err
	}
	k.hashed.mu.Lock()
	defer k.hashed.mu.Unlock()
	k.hashed.mark, k.hashed.file = mark, *f
	return nil
}

// keepHashes notes hashes of sealed segments, and forgets those of removed ones. A
// log that was replaced meanwhile has other files of the same names.
func (k *Keeper) keepHashes(l *aof.Log, fresh []datadir.File) error {
	segments, _ := l.Segments()
	return k.dir.Update(func(m *datadir.Manifest) {
		if k.journal.log.Load() != l {
			return
		}
		m.Files = slices.DeleteFunc(append(m.Files, fresh...), func(f datadir.File) bool {
			return !slices.ContainsFunc(segments, func(s aof.Segment) bool { return s.Name == f.Name && s.Size == f.Size })
		})
	})
}
