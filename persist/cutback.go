package persist

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/snapshot"
)

// ErrCannotCut is the error of a CutBack to before what snapshot and log reach back
// to. Only a full copy helps.
var ErrCannotCut = errors.New("neither snapshot nor log reach back to this position")

// CutBack takes back everything behind lsn, where a record ends: on disk, durable,
// and in memory, which is built anew. Nobody reads meanwhile. When it is interrupted
// the log is as it was, or shorter. An error that is not ErrCannotCut,
// aof.ErrPosition or aof.ErrBoundary leaves a standby that needs a full copy.
func (s *Standby) CutBack(lsn uint64) error {
	k := s.k
	k.role.Lock()
	defer k.role.Unlock()
	s.appending.Lock()
	defer s.appending.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	k.endStaging()
	l := s.log()
	if lsn > l.End() {
		return fmt.Errorf("%w: it is to be cut back to %d and ends at %d", aof.ErrPosition, lsn, l.End())
	}
	if lsn == l.End() && l.Stats().SegmentFirst < lsn {
		return nil
	}
	k.interrupt()
	defer k.busy.Unlock()
	newer, err := k.cuttable(lsn, l.Oldest())
	if err != nil {
		return err
	}
	if err := l.Sync(); err != nil {
		return err
	}
	source := aof.Source{FS: k.o.FS, Dir: k.o.Dir, Cluster: k.dir.Manifest().Cluster}
	if err := aof.Boundary(source, lsn); err != nil {
		return err
	}
	gate := k.runner.Exclusive(-1, func() {
		if err = k.cutBack(l, source, newer, lsn); err == nil {
			err = k.rebuild(lsn)
		}
		if err == nil && len(k.dir.Manifest().Files) > 0 { // noted meanwhile, of the log before
			err = k.forgetHashes()
		}
	})
	if err = errors.Join(gate, err); err != nil {
		s.fail(err)
	}
	return err
}

// cuttable lists the snapshots behind lsn, if the node can go back there without.
func (k *Keeper) cuttable(lsn, oldest uint64) (newer []snapshot.File, err error) {
	list, err := snapshot.List(k.snapshots())
	if err != nil {
		return nil, err
	}
	base := uint64(0)
	for i, f := range list {
		if f.LSN <= lsn {
			base, list = f.LSN, list[:i]
			break
		}
	}
	if base < oldest {
		return nil, fmt.Errorf("%w: %d, the log begins at %d", ErrCannotCut, lsn, oldest)
	}
	return list, nil
}

// cutBack does so on disk. Snapshots go first: while there is one the log has what
// it holds.
func (k *Keeper) cutBack(l *aof.Log, source aof.Source, newer []snapshot.File, lsn uint64) error {
	if err := l.Close(); err != nil {
		return err
	}
	if err := k.forgetHashes(); err != nil {
		return err
	}
	for _, f := range newer {
		if err := k.o.FS.Remove(filepath.Join(k.o.Dir, f.Name)); err != nil {
			return err
		}
	}
	if err := k.o.FS.SyncDir(k.o.Dir); err != nil {
		return err
	}
	return aof.Truncate(source, lsn)
}

// forgetHashes forgets those of sealed segments, which are about to change.
func (k *Keeper) forgetHashes() error {
	return k.dir.Update(func(m *datadir.Manifest) { m.Files = nil })
}

// rebuild puts into memory what is on the disk, which must end at lsn, and goes on
// with the log there. The gate is closed and the log is too.
func (k *Keeper) rebuild(lsn uint64) error {
	k.ks.FlushAll()
	k.router.Replaced()
	k.journal.stream.dropAll()
	k.epoch = 1
	end, err := k.load(true)
	if err == nil && end != lsn {
		err = fmt.Errorf("the log ends at %d and should at %d", end, lsn)
	}
	if err != nil {
		return err
	}
	if err := k.reopen(end); err != nil {
		return err
	}
	k.journal.lost.Store(false)
	if s := k.journal.standby.Load(); s != nil {
		s.begin(end)
	}
	return nil
}
