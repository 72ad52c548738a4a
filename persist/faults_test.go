package persist_test

import (
	"bytes"
	"math/rand/v2"
	"path"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/rdb"
)

func put(t *testing.T, fsys vfs.FS, dir, name string, b []byte) {
	require.NoError(t, fsys.MkdirAll(dir, vfs.DirPerm))
	require.NoError(t, fsys.SyncDir(path.Dir(dir)))
	require.NoError(t, vfs.WriteFile(fsys, dir, path.Join(dir, name), b))
}

func names(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// sound tells whether a server would start from a directory, and with one key.
func sound(t *testing.T, fsys vfs.FS, dir string) (ok, full bool) {
	text := ""
	ok, err := persist.Check(fsys, dir, func(line string) { text += line + "\n" })
	require.NoError(t, err)
	return ok, bytes.Contains([]byte(text), []byte("starts with the 1 keys"))
}

// counted are the operations that may not fail unnoticed. Files that were only
// read may fail to close, and a snapshot only asks whether there was one before it.
const counted = ^(vfs.OpClose | vfs.OpStat)

// everyFault lets each operation of a piece of work fail, and the machine crash
// there. after is told what the disk holds then, and whether the work was reported
// as done.
func everyFault(t *testing.T, before func(fsys vfs.FS), work func(fsys vfs.FS) error, after func(fsys vfs.FS, done, crashed bool)) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n, hit := 0, true; hit; n++ {
		require.Less(t, n, 1000)
		for _, crash := range []bool{false, true} {
			m := vfs.NewMem()
			before(m)
			left := m
			rule := vfs.Rule{Ops: counted, Skip: n, Times: 1, Err: syscall.EIO}
			if crash {
				rule = vfs.Rule{Ops: counted, Skip: n, Times: 1, Before: func(vfs.Call) { left = m.Crash(rng) }}
			}
			f := vfs.NewFaulty(m)
			f.Add(rule)
			err := work(f)
			hit = f.Count(counted) > n
			if err == nil {
				require.False(t, hit && !crash, "operation %d failed and nobody noticed", n)
				left = m.Crash(nil)
			}
			after(left, err == nil, crash)
		}
	}
}

func TestEveryFaultOfImport(t *testing.T) {
	b := file(t, func(w *rdb.Writer) { w.Key(key(0, "k")).String([]byte("v")) })
	everyFault(t,
		func(fsys vfs.FS) { put(t, fsys, "a", "x.rdb", b) },
		func(fsys vfs.FS) error {
			_, err := persist.ImportRDB(persist.ImportOptions{FS: fsys, Dir: "a/d", File: "a/x.rdb", Databases: 1})
			return err
		},
		func(fsys vfs.FS, done, crashed bool) {
			switch {
			case done || crashed && len(names(t, fsys, "a")) == 2:
				ok, full := sound(t, fsys, "a/d")
				require.True(t, ok)
				require.True(t, full || !done)
			case len(names(t, fsys, "a")) == 2: // taking the directory has failed, it is empty
				require.Subset(t, []string{"LOCK", "manifest.json.tmp", "manifest.json"}, names(t, fsys, "a/d"))
			}
		})
}

func TestEveryFaultOfBackup(t *testing.T) {
	b := file(t, func(w *rdb.Writer) { w.Key(key(0, "k")).String([]byte("v")) })
	everyFault(t,
		func(fsys vfs.FS) {
			put(t, fsys, "a", "x.rdb", b)
			_, err := persist.ImportRDB(persist.ImportOptions{FS: fsys, Dir: "a/d", File: "a/x.rdb", Databases: 1})
			require.NoError(t, err)
		},
		func(fsys vfs.FS) error {
			_, err := persist.Backup(fsys, "a/d", "a/to")
			return err
		},
		func(fsys vfs.FS, done, crashed bool) {
			ok, full := sound(t, fsys, "a/d")
			require.True(t, ok && full)
			switch {
			case done:
				ok, full = sound(t, fsys, "a/to")
				require.True(t, ok && full)
			case !crashed:
				require.Equal(t, []string{"d", "x.rdb"}, names(t, fsys, "a"))
			}
		})
}
