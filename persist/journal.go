package persist

import (
	"errors"
	"sync/atomic"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/router"
)

// A Journal is the router's Sink: the log, or with appendonly no a count of what
// would stand in it, so that snapshots are in order.
type Journal struct {
	// ending is the last log, from before it is no longer log: until it is closed, or
	// for good if it has failed, replies to what stands in it wait for it still.
	ending atomic.Pointer[aof.Log]

	standby atomic.Pointer[Standby] // if there is one, nothing is written here
	log     atomic.Pointer[aof.Log] // nil: appendonly no, or not loaded yet
	count   atomic.Uint64           // the position without a log
	stale   atomic.Bool             // the last snapshot by a save rule has failed, and writes stop
	lost    atomic.Bool             // memory is not what the disk has, and must never get there

	stream stream // what followers are told
}

var _ router.Sink = (*Journal)(nil)

// errLost is what is left to say after a reload has failed half way.
var errLost = errors.New("what is on the disk could not be loaded again; restart the server")

// Append puts one unit into the log, and tells those who follow.
func (j *Journal) Append(db int, now int64, records []router.Record) uint64 {
	if s := j.standby.Load(); s != nil {
		s.fail(errLocalWrite)
		return j.End()
	}
	if j.stream.n.Load() > 0 {
		j.stream.append(db, records)
	}
	if l := j.log.Load(); l != nil {
		return l.Append(db, now, records)
	}
	return j.count.Add(1)
}

// End is the last position given out.
func (j *Journal) End() uint64 {
	if l := j.log.Load(); l != nil {
		return l.End()
	}
	return j.count.Load()
}

// Durable is the position that a crash leaves. Without a log nothing is waited
// for: no reply promises anything.
func (j *Journal) Durable() uint64 {
	if l := j.log.Load(); l != nil {
		return l.Durable()
	}
	if l := j.ending.Load(); l != nil && l.Durable() < l.End() {
		return l.Durable()
	}
	return j.count.Load()
}

// Room tells whether a write may run at once.
func (j *Journal) Room() bool {
	l := j.log.Load()
	return (l == nil || l.Room()) && !j.stale.Load() && !j.lost.Load()
}

// AwaitRoom waits until one may.
func (j *Journal) AwaitRoom(gone <-chan struct{}) error {
	if err := j.Err(); err != nil {
		return err
	}
	l := j.log.Load()
	if l == nil {
		return nil
	}
	switch err := l.AwaitRoom(gone); {
	case err == nil, errors.Is(err, aof.ErrClosed) && j.log.Load() != l: // appendonly was switched off
		return nil
	case errors.Is(err, aof.ErrCanceled):
		return command.ErrCanceled
	case errors.Is(err, aof.ErrClosed):
		return command.ErrShutdown
	default:
		return command.ErrLogFailed(err)
	}
}

// Err is what writes are refused with after a failure.
func (j *Journal) Err() error {
	if j.lost.Load() {
		return command.ErrLogFailed(errLost)
	}
	if j.stale.Load() {
		return command.ErrSaveFailed
	}
	if l := j.log.Load(); l != nil && l.Err() != nil {
		return command.ErrLogFailed(l.Err())
	}
	return nil
}

// AwaitDurable waits until everything up to lsn is on the disk.
func (j *Journal) AwaitDurable(lsn uint64, gone <-chan struct{}) error {
	if l := j.log.Load(); l != nil {
		return l.AwaitDurable(lsn, gone)
	}
	if l := j.ending.Load(); l != nil {
		return l.AwaitDurable(min(lsn, l.End()), gone)
	}
	return nil
}
