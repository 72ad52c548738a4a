package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/snapshot"
)

// ErrClustered refuses what would part a node of a cluster from the others' data.
var ErrClustered = errors.New("this node is part of a cluster: its log and its data are the leader's")

// ErrNoLog is the error of a part in a cluster without a log.
var ErrNoLog = errors.New("there is no log to replicate: appendonly is no")

// ErrForeign is the error of Adopt where there is data already.
var ErrForeign = errors.New("the directory has data that is not this cluster's")

// ErrOver is the error of what has ended: a standby that leads, was closed, or was
// replaced by another.
var ErrOver = errors.New("this is no longer the standby")

// A job is the work of which CutBack and Install wait for the end: snapshots, copies.
type job struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newJob(under context.Context) *job {
	ctx, cancel := context.WithCancel(under)
	return &job{ctx, cancel}
}

// interrupt ends a snapshot that is being taken and locks busy: what it has cut is
// about to be no more.
func (k *Keeper) interrupt() {
	k.job.Load().cancel()
	k.busy.Lock()
	k.job.Store(newJob(k.ctx))
}

// Node is which copy of the log this directory has, in hex: another one than before
// whenever a repair has taken something away.
func (k *Keeper) Node() string { return k.dir.Manifest().Node.String() }

// Cluster is whose log this is, in hex.
func (k *Keeper) Cluster() string { return k.dir.Manifest().Cluster.String() }

// Member tells whether the directory has been in a cluster, and the highest epoch
// that it has heard of.
func (k *Keeper) Member() (member bool, epoch uint64) {
	m := k.dir.Manifest()
	return m.Member, m.Epoch
}

// NoteMember notes, durable, that the directory is in a cluster, and an epoch.
func (k *Keeper) NoteMember(epoch uint64) error {
	if m := k.dir.Manifest(); m.Member && m.Epoch >= epoch {
		return nil
	}
	return k.dir.Update(func(m *datadir.Manifest) { m.Member, m.Epoch = true, max(m.Epoch, epoch) })
}

// Empty tells whether there is no data: no snapshot, and nothing in the log.
func (k *Keeper) Empty() bool {
	list, err := snapshot.List(k.snapshots())
	return err == nil && len(list) == 0 && k.journal.End() == 0
}

// Adopt makes an empty directory one of a cluster, which is given in hex. The error
// is ErrForeign if it has data of another.
func (k *Keeper) Adopt(cluster string) error {
	var id datadir.ID
	if err := id.UnmarshalText([]byte(cluster)); err != nil {
		return fmt.Errorf("the name of the cluster: %w", err)
	}
	k.role.Lock()
	defer k.role.Unlock()
	if id == k.dir.Manifest().Cluster {
		return nil
	}
	if s := k.journal.standby.Load(); s != nil {
		s.appending.Lock()
		defer s.appending.Unlock()
	}
	k.interrupt()
	defer k.busy.Unlock()
	var err error
	gate := k.runner.Exclusive(-1, func() {
		if !k.Empty() {
			err = ErrForeign
			return
		}
		err = k.adopt(id)
	})
	return errors.Join(gate, err)
}

// adopt gives manifest and segment another cluster, in an order that a start can
// follow: there is no segment while the manifest changes.
func (k *Keeper) adopt(id datadir.ID) (err error) {
	rename := func() error {
		return k.dir.Update(func(m *datadir.Manifest) { m.Cluster, m.Files = id, nil })
	}
	l := k.journal.log.Load()
	if l == nil {
		return rename()
	}
	defer func() { k.journal.lost.Store(err != nil) }()
	if err := l.Close(); err != nil {
		return err
	}
	if err := k.removeSegments(0); err != nil {
		return err
	}
	if err := rename(); err != nil {
		return err
	}
	return k.reopen(0)
}

// reopen goes on with the log at end. The gate is closed, the old log is too.
func (k *Keeper) reopen(end uint64) error {
	l, err := k.openLog(end)
	if err != nil {
		return err
	}
	k.attachLog(l)
	if s := k.journal.standby.Load(); s != nil {
		s.follow(l)
	}
	return nil
}

// Tail reads the log from a position on while it is written.
func (k *Keeper) Tail(from uint64) (*aof.Tail, error) {
	l := k.journal.log.Load()
	if l == nil {
		return nil, ErrNoLog
	}
	return aof.OpenTail(l, from)
}

// History is that of the log.
func (k *Keeper) History() []aof.EpochStart {
	if l := k.journal.log.Load(); l != nil {
		return l.History()
	}
	return nil
}

// OldestLSN is the position from which on the log can be read.
func (k *Keeper) OldestLSN() uint64 {
	if l := k.journal.log.Load(); l != nil {
		return l.Oldest()
	}
	return 0
}

// Standby lets the node follow: what comes from the leader is logged and put into
// memory. Nobody writes any more when it is called. There is one at a time, until
// Lead or its Close.
func (k *Keeper) Standby() (*Standby, error) {
	k.role.Lock()
	defer k.role.Unlock()
	l := k.journal.log.Load()
	switch old := k.journal.standby.Load(); {
	case l == nil:
		return nil, ErrNoLog
	case k.journal.lost.Load():
		return nil, errLost
	case old != nil && !old.ended():
		return nil, errors.New("there is a standby already")
	}
	s := newStandby(k)
	if err := k.runner.Exclusive(-1, func() {
		s.applied.Store(l.End())
		k.journal.standby.Store(s)
		k.journal.stream.dropAll() // what follows is not told to them
	}); err != nil {
		return nil, err
	}
	k.clustered.Store(true)
	err := l.Sync() // segments may still begin by their size up to here
	if err != nil {
		s.cancel()
		close(s.done)
		return nil, err
	}
	s.follow(l)
	k.work.Go(s.apply)
	return s, nil
}

// Lead begins a leadership: what was received as standby is applied first, and then
// the log has a segment of the new epoch. It returns the position behind the unit
// that begins it. From then on calls may write.
func (k *Keeper) Lead(epoch uint64) (lsn uint64, err error) {
	k.role.Lock()
	defer k.role.Unlock()
	l := k.journal.log.Load()
	switch _, seen := k.Member(); {
	case l == nil:
		return 0, ErrNoLog
	case epoch < seen:
		return 0, fmt.Errorf("%w: %d is to follow %d", aof.ErrEpoch, epoch, seen)
	case k.journal.lost.Load():
		return 0, errLost
	}
	if err := k.NoteMember(epoch); err != nil {
		return 0, err
	}
	if s := k.journal.standby.Load(); s != nil {
		if err := s.Close(); err != nil {
			return 0, err
		}
	}
	if err := l.Sync(); err != nil {
		return 0, err
	}
	gate := k.runner.Exclusive(-1, func() {
		lsn, err = l.AppendEpoch(epoch, time.Now().UnixMilli())
		if err != nil {
			return
		}
		k.epoch = epoch
		l.Watch(nil)
		l.SetFollowing(false)
		k.journal.standby.Store(nil)
		k.applyPolicy() // and whoever reads waits for what was there before
	})
	k.clustered.Store(true)
	return lsn, errors.Join(gate, err)
}
