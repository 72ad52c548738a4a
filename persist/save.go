package persist

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/snapshot"
)

// Save takes a snapshot and returns when it is durable.
func (k *Keeper) Save() error {
	k.saving.Add(1)
	defer k.saving.Add(-1)
	k.busy.Lock()
	defer k.busy.Unlock()
	return k.save()
}

// SaveLater has a snapshot taken in the background: at once, or after what is under
// way.
func (k *Keeper) SaveLater() {
	k.saving.Add(1)
	select {
	case k.wanted <- struct{}{}:
	default:
		k.saving.Add(-1)
	}
}

// Saving tells whether a snapshot is being taken or about to be.
func (k *Keeper) Saving() bool { return k.saving.Load() > 0 }

// saveWhenWanted is the goroutine behind SaveLater; Close ends it.
func (k *Keeper) saveWhenWanted() {
	for {
		select {
		case <-k.wanted:
		case <-k.ctx.Done():
			return
		}
		k.saveWanted()
	}
}

func (k *Keeper) saveWanted() {
	defer k.saving.Add(-1)
	k.busy.Lock()
	defer k.busy.Unlock()
	defer func() {
		if p := recover(); p != nil {
			k.o.Log.Error("a snapshot panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	_ = k.save() // it is in the log and in INFO
}

// save takes a snapshot; busy is held.
func (k *Keeper) save() error {
	if k.journal.lost.Load() {
		return errLost
	}
	t, header, changes, err := k.cut(k.position)
	if errors.Is(err, rmw.ErrBusy) { // nothing has failed: a long call keeps the gate open
		k.o.Log.Warn("a snapshot is put off: a long call does not let it begin")
		return err
	}
	if err != nil {
		return k.saved(header, changes, snapshot.Result{}, err)
	}
	if err := k.awaitLogged(header.LSN); err != nil {
		t.Abandon()
		return k.saved(header, changes, snapshot.Result{}, err)
	}
	return k.write(t, header, changes)
}

// position is where a snapshot's is. The gate is closed. A standby's is where memory
// is, in whatever segment: those begin where the leader's do.
func (k *Keeper) position() (uint64, error) {
	if s := k.journal.standby.Load(); s != nil {
		return s.applied.Load(), s.failure()
	}
	if l := k.journal.log.Load(); l != nil {
		return l.Rotate()
	}
	return k.journal.count.Load(), nil
}

// awaitLogged waits until a standby's log is durable up to a snapshot: the log must
// go on in its segment after a crash.
func (k *Keeper) awaitLogged(lsn uint64) error {
	l := k.journal.log.Load()
	if k.journal.standby.Load() == nil || l == nil || l.Durable() >= lsn {
		return nil
	}
	return l.Sync()
}

// cut closes the gate for the instant in which position and keyspace are those of
// the snapshot.
func (k *Keeper) cut(position func() (uint64, error)) (t *snapshot.Taking, h snapshot.Header, changes int64, err error) {
	gate := k.runner.Exclusive(0, func() {
		h = snapshot.Header{Epoch: k.epoch, Time: k.router.Now().UnixMilli()}
		if h.LSN, err = position(); err == nil {
			t, err = snapshot.Begin(k.ks, k.snapshots(), h)
		}
		changes = k.router.Counters().Changes.Load()
	})
	return t, h, changes, errors.Join(err, gate)
}

// write writes what was cut, and lets go of what is older.
func (k *Keeper) write(t *snapshot.Taking, h snapshot.Header, changes int64) error {
	k.begun.Store(time.Now().UnixNano())
	k.taking.Store(t)
	result, err := t.Run(k.job.Load().ctx)
	k.taking.Store(nil)
	if err = k.saved(h, changes, result, err); err != nil {
		return err
	}
	if err := k.clean(h.LSN); err != nil {
		k.o.Log.Warn("what is older than the snapshot was not removed", "error", err)
	}
	return nil
}

// saved notes how a snapshot ended.
func (k *Keeper) saved(h snapshot.Header, changes int64, r snapshot.Result, err error) error {
	now := time.Now()
	k.mu.Lock()
	k.state.LastTried, k.state.LastFailed = now, err != nil && !errors.Is(err, context.Canceled)
	if err == nil {
		k.state.Saves++
		k.state.LastSave, k.state.LastTook = now, r.Took
		k.state.SnapshotBytes, k.state.SnapshotLSN, k.state.Changes = r.Bytes, h.LSN, changes
	}
	k.mu.Unlock()
	switch {
	case err == nil:
		k.journal.stale.Store(false)
		k.o.Log.Info("snapshot is written", "file", r.Name, "keys", r.Keys, "bytes", r.Bytes, "seconds", fmt.Sprintf("%.3f", r.Took.Seconds()))
	case errors.Is(err, context.Canceled):
		k.o.Log.Info("snapshot is given up")
	default:
		k.o.Log.Error("snapshot failed", "error", err)
	}
	return err
}

// SetKeep gives what is asked, when a snapshot at lsn is durable, from where on the log
// is wanted all the same. It waits for nothing.
func (k *Keeper) SetKeep(from func(lsn uint64) uint64) { k.keep.Store(&from) }

// clean removes snapshots and segments that end before a snapshot.
func (k *Keeper) clean(lsn uint64) error {
	k.files.Lock()
	defer k.files.Unlock()
	if k.staging.Load() != nil {
		return nil // it may count on them; the next snapshot does it
	}
	err := errors.Join(snapshot.RemoveOlder(k.snapshots(), lsn), k.removeStaged())
	if l := k.journal.log.Load(); l != nil {
		if keep := k.keep.Load(); keep != nil {
			lsn = min(lsn, (*keep)(lsn))
		}
		return errors.Join(err, l.DropBefore(lsn))
	}
	return errors.Join(err, k.removeSegments(0)) // they are of the time before appendonly no
}

// Lost tells whether memory is not what the disk has, since loading has failed: it is
// not to be saved then, and writes are refused.
func (k *Keeper) Lost() bool { return k.journal.lost.Load() }

// State is how snapshots are doing.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// SetStale says whether writes are to be refused because the last snapshot failed.
func (k *Keeper) SetStale(on bool) { k.journal.stale.Store(on) }

// Taking tells how far the snapshot is that is being taken, and for how long it has
// been.
func (k *Keeper) Taking() (p snapshot.Progress, took time.Duration, on bool) {
	t := k.taking.Load()
	if t == nil {
		return p, 0, false
	}
	return t.Progress(), time.Duration(time.Now().UnixNano() - k.begun.Load()), true
}

// Log tells how the log is doing, if there is one.
func (k *Keeper) Log() (s aof.Stats, failed error, on bool) {
	l := k.journal.log.Load()
	if l == nil {
		return s, nil, false
	}
	return l.Stats(), l.Err(), true
}
