package server

import (
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// Import makes of a file of Redis, an .rdb or a log, the data directory of this
// configuration, which holds nothing yet. It calls note for what is left out. After
// an error the directory is as it was.
func Import(cfg *config.Config, file string, note func(string)) (done persist.Imported, err error) {
	o := persist.ImportOptions{
		FS: vfs.OS, Dir: cfg.String(config.Dir), File: file, Databases: int(cfg.Int(config.Databases)), Note: note,
	}
	commands, err := persist.IsRedisLog(o.FS, file)
	switch {
	case err != nil:
		return done, err
	case !commands:
		return persist.ImportRDB(o)
	}
	if err := persist.Vacant(o.FS, o.Dir); err != nil {
		return done, err
	}
	err = offline(cfg, note, func(s *Server) error {
		done, err = s.keeper.ImportLog(file, note)
		return err
	})
	return done, err
}
