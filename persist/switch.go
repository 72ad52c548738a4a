package persist

import (
	"errors"
	"fmt"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/snapshot"
)

// aside is how far behind the position without a log a new one begins: further than
// that position can move until the log is in place.
const aside = 1 << 32

// SetLogging switches the log on, and returns when a snapshot of its beginning is
// durable, or off, when all of it is.
func (k *Keeper) SetLogging(on bool) error {
	k.busy.Lock()
	defer k.busy.Unlock()
	switch l := k.journal.log.Load(); {
	case on == (l != nil):
		return nil
	case k.journal.lost.Load(): // the snapshot of a new log's beginning would take the place of the data
		return errLost
	case k.clustered.Load():
		return ErrClustered
	case on:
		return k.logOn()
	default:
		return k.logOff(l)
	}
}

func (k *Keeper) logOn() error {
	from := k.journal.count.Load() + aside
	if err := k.setPending(from); err != nil {
		return err
	}
	l, err := k.openLog(from)
	if err != nil {
		return errors.Join(err, k.dropPending())
	}
	t, h, changes, err := k.cut(func() (uint64, error) {
		if n := k.journal.count.Load(); n > from {
			return 0, fmt.Errorf("the position has moved to %d, behind the new log", n)
		}
		k.attachLog(l)
		return from, nil
	})
	if err == nil {
		err = k.write(t, h, changes)
	}
	if err == nil {
		err = k.setPending(0)
	}
	if err == nil {
		return nil
	}
	// However long it takes: the log that is closed next must not be the journal's.
	off := k.runner.Exclusive(-1, func() { k.attachLog(nil) })
	return errors.Join(err, off, l.Close(), k.dropPending())
}

// logOff takes the log away even when it has failed: what it could not write is
// then kept by a snapshot, if the disk takes one.
func (k *Keeper) logOff(l *aof.Log) error {
	k.journal.ending.Store(l)
	if err := k.runner.Exclusive(0, func() { k.attachLog(nil) }); err != nil {
		k.journal.ending.Store(nil)
		return err
	}
	if err := l.Close(); err != nil {
		k.o.Log.Warn("the log that was switched off had failed: only a snapshot keeps the last writes", "error", err)
		k.SaveLater()
		return nil
	}
	k.journal.ending.Store(nil)
	return nil
}

// Reload replaces what is in memory by what is on the disk, with the gate closed
// all the time: by a snapshot that it takes before, or by the last one and the log.
func (k *Keeper) Reload(fromSnapshot bool) error {
	k.busy.Lock()
	defer k.busy.Unlock()
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if fromSnapshot && k.journal.lost.Load() {
		return errLost
	}
	if k.journal.standby.Load() != nil {
		return ErrClustered
	}
	var err error
	gate := k.runner.Exclusive(0, func() { err = k.reload(fromSnapshot) })
	return errors.Join(gate, err)
}

func (k *Keeper) reload(fromSnapshot bool) error {
	l := k.journal.log.Load()
	if fromSnapshot {
		h := snapshot.Header{LSN: k.journal.count.Load(), Epoch: k.epoch}
		if l != nil {
			first, err := l.Rotate()
			if err != nil {
				return err
			}
			h.LSN = first
		}
		h.Time = k.router.Now().UnixMilli()
		t, err := snapshot.Begin(k.ks, k.snapshots(), h)
		if err != nil {
			return err
		}
		if err := k.write(t, h, k.router.Counters().Changes.Load()); err != nil {
			return err
		}
	}
	if l != nil {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	k.ks.FlushAll()
	k.router.Replaced()
	k.journal.stream.dropAll() // they follow what is no more
	_, err := k.load(false)
	k.journal.lost.Store(err != nil)
	return err
}
