package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// Export writes what the data directory of this configuration holds into a new file
// that Redis loads, and returns how many keys that are; version is that of its
// format. It calls note for what a start would warn of. No server may be using the
// directory. After an error there is no file.
func Export(cfg *config.Config, file string, version int, note func(string)) (keys int64, err error) {
	if _, err := datadir.ReadManifest(vfs.OS, cfg.String(config.Dir)); err != nil {
		return 0, err // a directory without data is not to become one with data
	}
	err = offline(cfg, note, func(s *Server) error {
		keys, err = s.keeper.Export(persist.ExportOptions{
			FS: vfs.OS, File: file, Version: version, Server: RedisVersion, Now: time.Now(),
		})
		return err
	})
	return keys, err
}

// offline lets fn work with a server that has loaded its directory, keeps no log
// and serves nobody.
func offline(cfg *config.Config, note func(string), fn func(*Server) error) (err error) {
	s := &Server{cfg: cfg, quit: make(chan struct{}), level: new(slog.LevelVar), log: slog.New(noting{note})}
	defer func() {
		if e := s.Shutdown(context.Background()); err == nil {
			err = e
		}
	}()
	s.keeper, err = persist.Open(persist.Options{Dir: cfg.String(config.Dir), Log: s.log})
	if err != nil {
		return err
	}
	s.identify()
	s.openParts(s.keeper.Journal())
	s.keeper.Attach(s.ks, s.router, s.runner)
	if err := s.keeper.Load(false, nil); err != nil {
		return err
	}
	return fn(s)
}

// A noting handler hands on the texts of warnings.
type noting struct{ note func(string) }

func (n noting) Enabled(_ context.Context, l slog.Level) bool {
	return n.note != nil && l >= slog.LevelWarn
}
func (n noting) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n noting) WithGroup(string) slog.Handler      { return n }

func (n noting) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += ": " + a.Value.String()
		return true
	})
	n.note(text)
	return nil
}
