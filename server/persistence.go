package server

import (
	"errors"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/cluster"
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/router"
)

var policies = map[int64]aof.Policy{config.FsyncEverySec: aof.EverySec, config.FsyncAlways: aof.Always, config.FsyncNo: aof.No}

// openDir takes the data directory.
func (s *Server) openDir(fs vfs.FS) (err error) {
	c := s.cfg
	s.keeper, err = persist.Open(persist.Options{
		FS: fs, Dir: c.String(config.Dir), Log: s.log, Policy: policies[c.Int(config.AppendFsync)],
		SegmentBytes: c.Int(config.LogSegmentSize), BufferBytes: c.Int(config.LogBufferSize),
		TakeOver: c.String(config.DBFilename), RedisLogs: []string{c.String(config.AppendDirname), c.String(config.AppendFilename)}, Fail: s.fail,
	})
	return err
}

// sink is where the router tells its writes to.
func (s *Server) sink(given router.Sink) router.Sink {
	switch {
	case given != nil:
		return given
	case s.cfg.Clustered():
		s.nodeSink = cluster.NewSink(s.keeper.Journal())
		return s.nodeSink
	}
	return s.keeper.Journal()
}

// load puts the data into memory; clients are answered that it is being done. It
// gives up when stop is closed, or a client says SHUTDOWN.
func (s *Server) load(logging bool, stop <-chan struct{}) error {
	s.keeper.Attach(s.ks, s.router, s.runner)
	select {
	case <-stop:
		return ErrStopped
	default:
	}
	loaded := make(chan struct{})
	s.spawn("stop loading", func() {
		select {
		case <-stop:
			s.stop()
		case <-s.quit:
		case <-loaded:
		}
	})
	err := s.keeper.Load(logging, s.quit)
	close(loaded)
	if err != nil {
		return err // nobody is let in to what is there of the data
	}
	s.router.SetLoading(false)
	if !s.cfg.Bool(config.AppendOnly) && len(s.cfg.SavePoints()) == 0 {
		s.log.Warn("appendonly is no and save has no rule: what is written from now on is gone when this server ends")
	}
	return nil
}

// watchPersistence makes CONFIG SET take effect on disk.
func (s *Server) watchPersistence() {
	c := s.cfg
	c.OnChange(func() error { return s.keeper.SetPolicy(policies[c.Int(config.AppendFsync)]) }, config.AppendFsync)
	c.OnChange(func() error {
		if s.router.Loading() {
			return errors.New("the log cannot be switched while data is loaded")
		}
		if c.Clustered() && !c.Bool(config.AppendOnly) {
			return errors.New("a node of a cluster needs its log")
		}
		return s.keeper.SetLogging(c.Bool(config.AppendOnly))
	}, config.AppendOnly)
}

// Save writes a snapshot.
func (s *Server) Save() error {
	if err := s.keeper.Save(); err != nil {
		return command.Errorf("ERR %v", err)
	}
	return nil
}

// SaveLater starts one, on followers too.
func (s *Server) SaveLater() {
	s.keeper.SaveLater()
	if s.node != nil {
		s.node.SnapshotHint()
	}
}

// Saving tells whether one is being taken.
func (s *Server) Saving() bool {
	_, _, on := s.keeper.Taking()
	return on
}

// LastSave is when the last became durable.
func (s *Server) LastSave() int64 { return s.keeper.State().LastSave.Unix() }

// Logging tells whether there is a log.
func (s *Server) Logging() bool {
	_, _, on := s.keeper.Log()
	return on
}

// ReloadData replaces memory by what is on the disk.
func (s *Server) ReloadData(snapshot bool) error {
	if err := s.keeper.Reload(snapshot); err != nil {
		return command.Errorf("ERR %v", err)
	}
	return nil
}

// retrySave is how long after a failed snapshot the rules try again.
const retrySave = 5 * time.Second

// saveWhenDue starts a snapshot when a rule says so or the log has grown.
func (s *Server) saveWhenDue() {
	if s.keeper.Saving() {
		return
	}
	st := s.keeper.State()
	points := s.cfg.SavePoints()
	s.keeper.SetStale(st.LastFailed && len(points) > 0 && s.cfg.Bool(config.StopWritesOnBgsaveError))
	if st.LastFailed && time.Since(st.LastTried) < retrySave {
		return
	}
	changes := s.router.Counters().Changes.Load() - st.Changes
	for _, p := range points {
		if changes >= max(p.Changes, 1) && time.Since(st.LastSave) > time.Duration(p.Seconds)*time.Second {
			s.log.Info("snapshot by rule", "changes", changes, "seconds", p.Seconds)
			s.keeper.SaveLater()
			return
		}
	}
	if s.logHasGrown(st) {
		s.keeper.SaveLater()
	}
}

func (s *Server) logHasGrown(st persist.State) bool {
	percent := s.cfg.Int(config.AutoAOFRewritePercentage)
	l, failed, on := s.keeper.Log()
	if !on || failed != nil || percent == 0 {
		return false
	}
	grown := int64(l.End - st.SnapshotLSN)
	if grown < s.cfg.Int(config.AutoAOFRewriteMinSize) || grown/max(st.SnapshotBytes/100, 1) < percent {
		return false
	}
	s.log.Info("snapshot because the log has grown", "bytes", grown, "snapshot", st.SnapshotBytes)
	return true
}

// ErrStopped is the error of an Open that was told to give up loading.
var ErrStopped = persist.ErrStopped

// BeforeShutdown saves what only a snapshot keeps, while clients are still there to
// be told if that fails. how are bits of ShutdownOnSIGTERM.
func (s *Server) BeforeShutdown(how int64) error {
	if how&config.ShutdownNoSave != 0 || how&config.ShutdownSave == 0 && len(s.cfg.SavePoints()) == 0 {
		return nil
	}
	if s.router.Loading() { // what is being loaded is on the disk
		return nil
	}
	if s.keeper.Lost() { // and so is what the next start goes on from
		return nil
	}
	if err := s.keeper.Save(); err != nil && how&config.ShutdownForce == 0 {
		s.log.Error("no shutdown: what would be lost could not be saved", "error", err)
		return err
	}
	s.saveAtEnd.Store(true)
	return nil
}

// finalSave saves what has changed since BeforeShutdown, when nobody is left.
func (s *Server) finalSave() error {
	if !s.saveAtEnd.Load() || s.router.Counters().Changes.Load() == s.keeper.State().Changes {
		return nil
	}
	return s.keeper.Save()
}
