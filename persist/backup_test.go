package persist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

// list is a whole list.
func list(t *testing.T, c *transcript.Client, key string) (elems []string) {
	v, err := c.Do("LRANGE", key, "0", "-1")
	require.NoError(t, err)
	for _, e := range v.Elems {
		elems = append(elems, e.Str)
	}
	return elems
}

// Copies that are made while a server writes, rotates its log, takes snapshots and
// drops segments are each a prefix of its history, and have all that was
// acknowledged before.
func TestBackupsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "--appendfsync", "always")
	var acked atomic.Int64
	stop := make(chan struct{})
	var work sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		work.Wait()
	})
	defer end()
	loop := func(fn func(do func(argv ...string), i int)) {
		c := dial(t, s.Addr())
		work.Go(func() {
			for i := 0; !t.Failed(); i++ {
				select {
				case <-stop:
					return
				default:
					fn(func(argv ...string) {
						if v, err := c.Do(argv...); err != nil || v.IsError() {
							t.Error(argv[0], v.String(), err)
						}
					}, i)
				}
			}
		})
	}
	for w := range 3 {
		loop(func(do func(...string), i int) {
			do("MULTI")
			do("RPUSH", "all", fmt.Sprintf("%d/%d/%s", w, i, strings.Repeat("x", 500)))
			do("INCR", "count")
			do("EXEC")
			acked.Add(1)
		})
	}
	loop(func(do func(...string), _ int) { do("SAVE") })
	type copied struct {
		dir   string
		least int64
		persist.Backed
	}
	var copies []copied
	positions := map[uint64]bool{}
	for len(positions) < 5 || acked.Load() < 500 {
		require.False(t, t.Failed())
		c := copied{dir: filepath.Join(t.TempDir(), "new", "copy"), least: acked.Load()}
		var err error
		c.Backed, err = persist.Backup(vfs.OS, dir, c.dir)
		require.NoError(t, err)
		positions[c.Snapshot] = true
		copies = append(copies, c)
	}
	end()
	all := list(t, s.c, "all")
	require.EqualValues(t, acked.Load(), len(all))
	for _, c := range copies[max(0, len(copies)-10):] {
		to := serve(t, c.dir)
		have := list(t, to.c, "all")
		require.GreaterOrEqual(t, len(have), int(c.least))
		require.Equal(t, all[:len(have)], have)
		if len(have) > 0 {
			require.Equal(t, fmt.Sprintf("%q", fmt.Sprint(len(have))), to.do("GET", "count"))
		}
		to.end()
	}
}

func TestBackups(t *testing.T) {
	dir := long(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte("x"), 0o600))
	to := t.TempDir()
	b, err := persist.Backup(vfs.OS, dir, to)
	require.NoError(t, err)
	require.Equal(t, 5, b.Files)
	require.Len(t, contents(t, to), 5)
	_, text := check(t, to)
	require.Contains(t, text, fmt.Sprintf("up to position %d\n", b.End))
	require.Equal(t, "(integer) 400", size(t, to))
	_, err = persist.Backup(vfs.OS, dir, to)
	require.ErrorContains(t, err, "is not empty")
	_, err = persist.Backup(vfs.OS, t.TempDir(), filepath.Join(t.TempDir(), "to"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What is broken is not copied as if it were whole.
func TestBackupsOfBrokenFiles(t *testing.T) {
	for _, prefix := range []string{"snapshot-", "log-"} {
		dir, to := long(t), filepath.Join(t.TempDir(), "to")
		flip(t, filepath.Join(dir, named(t, dir, prefix)[0]), 1000)
		_, err := persist.Backup(vfs.OS, dir, to)
		require.Error(t, err)
		require.NoDirExists(t, to)
	}
}

// The directory changes between the list of its files and the manifest: appendonly
// has been switched on when the copy has the log, but not yet its snapshot.
func TestBackupsSeeOneInstant(t *testing.T) {
	dir := long(t)
	whole := contents(t, dir)
	snapshot, log := named(t, dir, "snapshot-")[0], named(t, dir, "log-")
	from := strings.TrimLeft(strings.TrimSuffix(strings.TrimPrefix(log[0], "log-"), ".fer"), "0")
	set := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Remove(filepath.Join(dir, snapshot)))
	set("manifest.json", strings.Replace(whole["manifest.json"], "{", `{"pending_log": `+from+`,`, 1))

	changed := false
	f := vfs.NewFaulty(vfs.OS)
	f.Add(vfs.Rule{Ops: vfs.OpOpen, Name: "manifest.json", Skip: 1, Times: 1, Before: func(vfs.Call) {
		changed = true
		set(snapshot, whole[snapshot])
		set("manifest.json", whole["manifest.json"])
	}})
	to := filepath.Join(t.TempDir(), "to")
	b, err := persist.Backup(f, dir, to)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, 5, b.Files)
	require.Equal(t, "(integer) 400", size(t, to))
}

// A directory that never stands still is given up.
func TestRestlessDirectories(t *testing.T) {
	dir := long(t)
	f := vfs.NewFaulty(vfs.OS)
	n := 0
	f.Add(vfs.Rule{Ops: vfs.OpReadDir, Before: func(vfs.Call) {
		n++
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("snapshot-%020d.fer", n)), nil, 0o600))
	}})
	_, err := persist.Backup(f, dir, filepath.Join(t.TempDir(), "to"))
	require.ErrorContains(t, err, "faster than they can be opened")
	require.Less(t, n, 1000)
}
