package persist

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/snapshot"
)

// Load puts what the directory holds into memory, and opens the log if there is to
// be one. Nobody else touches a key meanwhile. It gives up when stop is closed. After
// an error memory is not what the disk has, and only Close may follow: all else that
// would write to the directory is refused.
func (k *Keeper) Load(logging bool, stop <-chan struct{}) (err error) {
	k.busy.Lock()
	defer k.busy.Unlock()
	defer func() {
		if err != nil {
			k.journal.lost.Store(true)
			k.cancel()
		}
	}()
	if err := k.dropPending(); err != nil {
		return err
	}
	start := time.Now()
	k.loading.stop = stop
	end, err := k.first()
	k.loading.stop = nil
	if err != nil {
		return err
	}
	k.journal.count.Store(end)
	if logging {
		l, err := k.openLog(end)
		if err != nil {
			return err
		}
		if err := k.runner.Exclusive(-1, func() { k.attachLog(l) }); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	keys := int64(0)
	for db := range k.ks.Databases() {
		keys += k.ks.Len(db)
	}
	if keys > 0 {
		k.o.Log.Info("data is loaded", "keys", keys, "seconds", fmt.Sprintf("%.3f", time.Since(start).Seconds()))
	}
	k.work.Go(k.saveWhenWanted)
	return nil
}

// first loads what is there at the start.
func (k *Keeper) first() (end uint64, err error) {
	if err := k.refuseRedisLog(); err != nil {
		return 0, errors.Join(err, k.dir.Unmake())
	}
	if err := k.takeOver(k.ks.Databases()); err != nil {
		return 0, err
	}
	return k.load(true)
}

// load reads the newest snapshot and the log behind it. With recover a torn end of
// the log is cut off.
func (k *Keeper) load(recover bool) (end uint64, err error) {
	from, err := begin(k.snapshots())
	if err != nil {
		return 0, err
	}
	info := from.info
	for _, b := range from.broken {
		k.o.Log.Warn("a broken snapshot is not used: the log covers what it holds", "error", b)
	}
	k.loading.begin(info.Bytes, from.segments, info.LSN)
	defer k.loading.end()
	l := k.router.NewLoader()
	defer l.Close()
	if info.Name != "" {
		if err := k.loadSnapshot(l, info); err != nil {
			return 0, err
		}
	}
	found, err := k.loadLog(l, info.LSN, recover)
	if err != nil {
		return 0, err
	}
	k.epoch = max(k.epoch, info.Epoch, found.Epoch)
	return found.End, nil
}

func (k *Keeper) loadSnapshot(l *router.Loader, info snapshot.Info) error {
	unit := make([]router.Record, 1)
	_, err := snapshot.Read(k.o.FS, info.Name, func(db int, args [][]byte) error {
		unit[0] = args
		if err := k.loading.goOn(); err != nil {
			return err
		}
		return l.Load(db, info.Time, unit)
	}, func(read, size int64) { k.progress("snapshot", read, size) })
	var broken *snapshot.BrokenError
	if err != nil && !errors.As(err, &broken) {
		err = fmt.Errorf("%s: %w", info.Name, err)
	}
	if err == nil {
		k.mu.Lock()
		k.state.SnapshotBytes, k.state.SnapshotLSN = info.Bytes, info.LSN
		k.mu.Unlock()
	}
	return err
}

func (k *Keeper) loadLog(l *router.Loader, from uint64, recover bool) (aof.Found, error) {
	read := aof.Read
	if recover {
		read = aof.Recover
	}
	found, err := read(aof.Source{
		FS: k.o.FS, Dir: k.o.Dir, Cluster: k.dir.Manifest().Cluster, From: from,
		Progress: func(read, total int64) { k.progress("log", read, total) },
	}, func(f *aof.Frame) error {
		if err := k.loading.goOn(); err != nil {
			return err
		}
		if err := l.Load(f.DB, f.Now, f.Records); err != nil {
			return fmt.Errorf("the log's record that ends at position %d cannot be run again: %w", f.LSN, err)
		}
		return nil
	})
	if err == nil && found.Cut != nil {
		k.o.Log.Warn("the end of the log was torn and is cut off", "what", found.Cut.String())
	}
	return found, err
}

// dropPending takes away the log of a switch to appendonly yes that was not
// finished: what it goes on from is in no snapshot.
func (k *Keeper) dropPending() error {
	from := k.dir.Manifest().PendingLog
	if from == 0 {
		return nil
	}
	if err := k.removeSegments(from); err != nil {
		return err
	}
	return k.setPending(0)
}

func (k *Keeper) setPending(lsn uint64) error {
	return k.dir.Update(func(m *datadir.Manifest) { m.PendingLog = lsn })
}

// removeSegments removes all segments that begin at from or later, the newest first.
func (k *Keeper) removeSegments(from uint64) error {
	segments, err := aof.Segments(k.o.FS, k.o.Dir)
	if err != nil {
		return err
	}
	for i := len(segments) - 1; i >= 0 && segments[i].First >= from; i-- {
		if err := k.o.FS.Remove(filepath.Join(k.o.Dir, segments[i].Name)); err != nil {
			return err
		}
	}
	return k.o.FS.SyncDir(k.o.Dir)
}

// progress is how far loading is.
type progress struct {
	on                  atomic.Bool
	start               atomic.Int64 // Unix s
	done, total, before atomic.Int64 // bytes; before: of the files that are done
	told                atomic.Int64 // Unix ns of the last line
	stop                <-chan struct{}
}

// ErrStopped is the error of a Load that was told to give up.
var ErrStopped = errors.New("stopped while loading")

func (p *progress) goOn() error {
	select {
	case <-p.stop:
		return ErrStopped
	default:
		return nil
	}
}

func (p *progress) begin(snapshot int64, segments []aof.Segment, from uint64) {
	total := snapshot
	for i, s := range segments {
		if i+1 == len(segments) || segments[i+1].First > from {
			total += s.Size
		}
	}
	p.start.Store(time.Now().Unix())
	p.total.Store(total)
	p.done.Store(0)
	p.before.Store(0)
	p.told.Store(time.Now().UnixNano())
	p.on.Store(true)
}

func (p *progress) end() { p.on.Store(false) }

// tellEvery is how often loading writes a line.
const tellEvery = 2 * time.Second

func (k *Keeper) progress(what string, read, size int64) {
	p := &k.loading
	p.done.Store(p.before.Load() + read)
	if read == size {
		p.before.Store(p.done.Load())
	}
	if now := time.Now().UnixNano(); now-p.told.Load() > int64(tellEvery) {
		p.told.Store(now)
		k.o.Log.Info("loading the "+what, "done", fmt.Sprintf("%d%%", read*100/max(size, 1)), "bytes", read, "of", size)
	}
}

// Loading tells since when data is being loaded (Unix seconds), and how many bytes
// of how many are; on is false when nothing is loaded.
func (k *Keeper) Loading() (start, done, total int64, on bool) {
	p := &k.loading
	return p.start.Load(), p.done.Load(), p.total.Load(), p.on.Load()
}
