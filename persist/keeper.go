package persist

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/snapshot"
	"github.com/ferricd/ferricd/store"
)

// Options are what Open needs. FS, Log and Fail may be nil.
type Options struct {
	FS           vfs.FS // nil: the machine's
	Dir          string
	Log          *slog.Logger
	Policy       aof.Policy
	SegmentBytes int64
	BufferBytes  int64
	// TakeOver, if not empty, is the name of a file of Redis in Dir that Load imports
	// if the directory holds no data.
	TakeOver string
	// RedisLogs are the names in Dir of a log of Redis. If one is there, and the
	// directory holds no data, Load refuses: less would be served than there is.
	RedisLogs []string
	// Fail, for tests, is called at the failpoints of log and snapshots.
	Fail func(point string)
}

// A Keeper keeps the data of one server in its directory, which it has locked.
type Keeper struct {
	o       Options
	dir     *datadir.Dir
	journal Journal
	ks      *store.Keyspace
	router  *router.Router
	runner  *rmw.Runner

	// role is held over a change of what the node is to its cluster, and of all data
	// by another node's. It is taken before a standby's mutexes, and those before busy.
	role      sync.Mutex
	clustered atomic.Bool // it has led or followed
	forced    atomic.Bool // the policy is Always, whatever SetPolicy has said
	// files is held while files of the directory go, or are opened by name to be kept,
	// and while staging begins.
	files   sync.Mutex
	staging atomic.Pointer[Staging] // keeps what it has found in the directory from being removed
	hashed  hashed

	// busy is held over a snapshot, a switch of the log and a reload.
	busy   sync.Mutex
	job    atomic.Pointer[job]
	epoch  uint64        // of what is in memory; it changes with the gate closed
	wanted chan struct{} // a snapshot is, as soon as busy is free
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	keep    atomic.Pointer[func(lsn uint64) uint64] // see SetKeep
	taking  atomic.Pointer[snapshot.Taking]
	begun   atomic.Int64 // Unix ns of the taking
	saving  atomic.Int32 // snapshots that are wanted or being taken
	policy  atomic.Int32
	loading progress

	mu    sync.Mutex // guards state
	state State
}

// State is what INFO shows of snapshots.
type State struct {
	Saves         int64     // durable ones since the start
	LastSave      time.Time // when the last became durable; at first the start
	LastFailed    bool
	LastTook      time.Duration // -1 before the first
	LastTried     time.Time
	SnapshotBytes int64  // size of the newest
	SnapshotLSN   uint64 // its position
	Changes       int64  // router's count of changes when it began
}

// Open locks the directory, makes it if need be, and reads who it is. Load comes
// next, or Close.
func Open(o Options) (*Keeper, error) {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := datadir.Open(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if err := finishInstall(o.FS, o.Dir, dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	k := &Keeper{o: o, dir: dir, wanted: make(chan struct{}, 1), epoch: 1}
	k.policy.Store(int32(o.Policy))
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.job.Store(newJob(k.ctx))
	k.state = State{LastSave: time.Now(), LastTook: -1}
	return k, nil
}

// Seed is the secret that keys are hashed with; it is the directory's.
func (k *Keeper) Seed() [16]byte { return k.dir.Manifest().HashSeed }

// Journal is the router's Sink.
func (k *Keeper) Journal() *Journal { return &k.journal }

// Attach says what is kept. It comes before Load.
func (k *Keeper) Attach(ks *store.Keyspace, r *router.Router, run *rmw.Runner) {
	k.ks, k.router, k.runner = ks, r, run
}

// Close ends the log, durable to its last record, and unlocks the directory. Nobody
// writes any more. A snapshot that is being taken is given up.
func (k *Keeper) Close() error {
	if s := k.journal.standby.Load(); s != nil {
		_ = s.Close() // its error was told to who appends
	}
	k.cancel()
	k.work.Wait()
	k.busy.Lock()
	defer k.busy.Unlock()
	var err error
	if l := k.journal.log.Load(); l != nil {
		err = l.Close()
	}
	if k.dir != nil {
		if closed := k.dir.Close(); err == nil {
			err = closed
		}
	}
	return err
}

func (k *Keeper) snapshots() snapshot.Options {
	return snapshot.Options{FS: k.o.FS, Dir: k.o.Dir, Fail: k.o.Fail}
}

func (k *Keeper) openLog(from uint64) (*aof.Log, error) {
	return aof.Open(aof.Options{
		FS: k.o.FS, Dir: k.o.Dir, Cluster: k.dir.Manifest().Cluster, Epoch: k.epoch, From: from,
		Policy: k.effective(), SegmentBytes: k.o.SegmentBytes, BufferBytes: k.o.BufferBytes,
		Fail: k.o.Fail,
		OnFail: func(err error) {
			k.o.Log.Error("the log has failed: writes are refused from now on, reads go on", "error", err)
		},
	})
}

// attachLog lets the journal go on in l. The gate is closed.
func (k *Keeper) attachLog(l *aof.Log) {
	if l == nil {
		k.journal.count.Store(k.journal.End())
	} else {
		l.SetPolicy(k.effective()) // which may have changed since it was opened
	}
	k.journal.log.Store(l)
	k.router.SetStrict(l != nil && k.effective() == aof.Always)
}

// SetPolicy changes appendfsync.
func (k *Keeper) SetPolicy(p aof.Policy) error {
	return k.runner.Exclusive(0, func() {
		k.policy.Store(int32(p))
		k.applyPolicy()
	})
}

// SetForceAlways has the log made durable as under Always, whatever SetPolicy has
// said or says, for as long as it is on.
func (k *Keeper) SetForceAlways(on bool) error {
	return k.runner.Exclusive(-1, func() {
		k.forced.Store(on)
		k.applyPolicy()
	})
}

// effective is the policy that holds.
func (k *Keeper) effective() aof.Policy {
	if k.forced.Load() {
		return aof.Always
	}
	return aof.Policy(k.policy.Load())
}

// applyPolicy tells it to log and router. The gate is closed.
func (k *Keeper) applyPolicy() {
	l := k.journal.log.Load()
	if l != nil {
		l.SetPolicy(k.effective())
	}
	k.router.SetStrict(l != nil && k.effective() == aof.Always)
}
