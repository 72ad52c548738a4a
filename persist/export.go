package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

// ExportOptions are what Export needs.
type ExportOptions struct {
	FS      vfs.FS
	File    string // must not be there
	Version int    // of the format
	Server  string // the version of Redis that the file says it is of
	Now     time.Time
}

// Export writes all keys that have not expired into a file that Redis loads, and
// returns how many they are. The file gets its name when it is whole and durable.
// Nobody may be served.
func (k *Keeper) Export(o ExportOptions) (keys int64, err error) {
	if _, err := o.FS.Stat(o.File); err == nil {
		return 0, &fs.PathError{Op: "write", Path: o.File, Err: fs.ErrExist}
	}
	k.busy.Lock()
	defer k.busy.Unlock()
	temp := o.File + ".tmp"
	f, err := o.FS.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, vfs.FilePerm)
	if err != nil {
		return 0, err
	}
	keys, err = exportKeys(k.ks, rdb.NewWriter(f, o.Version), o)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = o.FS.Rename(temp, o.File)
	}
	if err != nil {
		return 0, errors.Join(err, o.FS.Remove(temp))
	}
	return keys, o.FS.SyncDir(filepath.Dir(o.File))
}

// exportKeys writes what ks holds.
func exportKeys(ks *store.Keyspace, w *rdb.Writer, o ExportOptions) (keys int64, err error) {
	cut, err := ks.BeginCut(func(*store.CutKey) {})
	if err != nil {
		return 0, err
	}
	defer cut.Abandon()
	w.Aux("redis-ver", o.Server)
	w.Aux("redis-bits", "64")
	w.Aux("ctime", strconv.FormatInt(o.Now.Unix(), 10))
	announced := make([]bool, ks.Databases())
	var failed error
	for done := false; !done; {
		done, err = cut.Next(func(c *store.CutKey) bool {
			if c.ExpireAt != 0 && c.ExpireAt <= o.Now.UnixMilli() {
				return true
			}
			if !announced[c.DB] {
				announced[c.DB] = true
				w.Select(c.DB, ks.Len(c.DB), 0)
			}
			c.Visit(w.Key(rdb.Key{DB: c.DB, Name: c.Key, ExpireAt: c.ExpireAt, Idle: -1, Freq: -1}))
			keys++
			failed = keyFailed(c, w.Err())
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return 0, err
		}
	}
	return keys, w.Close()
}

func keyFailed(c *store.CutKey, err error) error {
	switch {
	case errors.Is(err, rdb.ErrTimes):
		return fmt.Errorf("key %q of database %d: fields of this hash expire, which Redis has known since 7.4: --rdb-version %d writes a file for it",
			shortened(c.Key), c.DB, rdb.TimesVersion)
	case err != nil:
		return fmt.Errorf("key %q of database %d: %w", shortened(c.Key), c.DB, err)
	}
	return nil
}
