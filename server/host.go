package server

import (
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/store"
)

// What commands ask of the process.

var _ command.Server = host{}

// Config returns the parameters.
func (s *Server) Config() *config.Config { return s.cfg }

// Keyspace returns the data.
func (s *Server) Keyspace() *store.Keyspace { return s.ks }

// Stats returns the counters that commands show.
func (s *Server) Stats() *command.Stats { return s.stats }

// Identity tells who this server is.
func (s *Server) Identity() command.Identity { return s.id }

// Do runs a command as the server itself.
func (s *Server) Do(db int, args ...[]byte) error {
	if s.router.Loading() {
		return command.ErrLoading
	}
	s.internal.Lock()
	defer s.internal.Unlock()
	_, err := s.do.Do(db, args...)
	return err
}

// NewCaller returns a client of the server's own.
func (s *Server) NewCaller() command.Caller { return s.router.NewInternal() }

// Apply runs a record of the log as it was run at the time now, in Unix
// milliseconds.
func (s *Server) Apply(db int, now int64, args ...[]byte) error {
	s.internal.Lock()
	defer s.internal.Unlock()
	return s.do.Apply(db, now, args...)
}

// Clients calls fn for every client, in the order in which they came.
func (s *Server) Clients(fn func(*command.Client) bool) {
	for c := range s.wire.Conns() {
		if cl := s.router.Client(c.ID); cl != nil && !fn(cl) {
			return
		}
	}
}

// ClientByID returns a connected client, or nil.
func (s *Server) ClientByID(id uint64) *command.Client { return s.router.Client(id) }

// Pause holds back commands until a time.
func (s *Server) Pause(writesOnly bool, until time.Time) { s.router.Pause(writesOnly, until) }

// Unpause ends a Pause.
func (s *Server) Unpause() { s.router.Unpause() }

// PubSub returns who listens to which channels.
func (s *Server) PubSub() *pubsub.Hub { return s.router.PubSub() }

// Monitor makes c a monitor.
func (s *Server) Monitor(c *command.Client) { s.router.Monitor(c) }

// Unmonitor ends Monitor.
func (s *Server) Unmonitor(c *command.Client) { s.router.Unmonitor(c) }

// AuthFailed counts and logs a wrong password.
func (s *Server) AuthFailed(c *command.Client) {
	s.router.Counters().AuthFailures.Add(1)
	s.log.Warn("wrong password", "client", c.ID)
}

// SweepLatches frees latches whose owners are gone, in one shard or (-1) in all.
func (s *Server) SweepLatches(shard int) (int, error) {
	if shard < -1 || shard >= s.ks.Shards() {
		return 0, command.Errorf("ERR shard must be between 0 and %d", s.ks.Shards()-1)
	}
	return s.runner.Sweep(shard), nil
}

// SetActiveExpire switches the active expiry cycle.
func (s *Server) SetActiveExpire(on bool) { s.router.SetActiveExpire(on) }

// PauseCron stops what the server does several times a second.
func (s *Server) PauseCron(on bool) { s.cronPaused.Store(on) }

// Log writes a line of a client's.
func (s *Server) Log(text string) { s.log.Warn(text) }

// RewriteConfig writes the configuration file.
func (s *Server) RewriteConfig() error { return s.cfg.Rewrite() }

// host is the Server as commands see it: their Shutdown asks for the end, the
// Server's own is the end.
type host struct{ *Server }

// Shutdown tells the process to end, once what has to be saved is.
func (h host) Shutdown(opt command.ShutdownOptions) error {
	h.Announce("User requested shutdown...")
	if h.BeforeShutdown(shutdownBits(opt)) != nil {
		return command.WireError("ERR Errors trying to SHUTDOWN. Check logs.")
	}
	h.stop()
	return nil
}

func shutdownBits(opt command.ShutdownOptions) (bits int64) {
	for _, b := range []struct {
		on  bool
		bit int64
	}{{opt.Save, config.ShutdownSave}, {opt.NoSave, config.ShutdownNoSave}, {opt.Now, config.ShutdownNow}, {opt.Force, config.ShutdownForce}} {
		if b.on {
			bits |= b.bit
		}
	}
	return bits
}

// AbortShutdown calls off a shutdown that waits for replicas: there are none.
func (s *Server) AbortShutdown() bool { return false }
