package server_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/server"
)

// A keepingFS keeps what is removed in another directory.
type keepingFS struct {
	vfs.FS
	kept string
}

func (k keepingFS) Remove(name string) error {
	if err := os.Link(name, filepath.Join(k.kept, filepath.Base(name))); err != nil {
		return err
	}
	return k.FS.Remove(name)
}

// A snapshot that is taken while many clients write holds what the log makes from
// its beginning up to the snapshot's position, and nothing else.
func TestASnapshotUnderLoadIsTheLogUpToIt(t *testing.T) {
	for _, mode := range []struct {
		name string
		args []string
	}{{"one shard", []string{"--shards", "1"}}, {"64 shards", nil}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			dir, kept := t.TempDir(), t.TempDir()
			s := testserver.StartWith(t, server.Options{FS: keepingFS{vfs.OS, kept}},
				append([]string{"--dir", dir, "--appendonly", "yes", "--appendfsync", "no"}, mode.args...)...)
			snapshotsUnderLoad(t, s, 8)
			require.NoError(t, s.Shutdown(t.Context()))

			files := map[string]string{}
			for _, d := range []string{dir, kept} {
				all, err := filepath.Glob(filepath.Join(d, "*.fer"))
				require.NoError(t, err)
				for _, path := range all {
					files[filepath.Base(path)] = path
				}
			}
			compared, last := 0, ""
			for name := range files {
				lsn, ok := strings.CutPrefix(name, "snapshot-")
				if !ok {
					continue
				}
				alone := map[string]string{name: files[name]}
				log := map[string]string{}
				for segment, path := range files { // names have leading zeros, and a segment begins where a snapshot was taken
					if first, ok := strings.CutPrefix(segment, "log-"); ok && first < lsn {
						log[segment] = path
					}
				}
				got := settledDigest(t, dir, alone)
				require.Equal(t, settledDigest(t, dir, log), got, name)
				require.NotEqual(t, last, got, "nothing was written meanwhile")
				last = got
				compared++
			}
			require.GreaterOrEqual(t, compared, 7)
		})
	}
}

const many = 10000

// wipes tells whether one of these commands empties or swaps databases.
func wipes(argvs [][]string) bool {
	return slices.ContainsFunc(argvs, func(argv []string) bool {
		return slices.Contains([]string{"FLUSHALL", "FLUSHDB", "SWAPDB"}, argv[0])
	})
}

// snapshotsUnderLoad lets clients write until n snapshots are taken.
func snapshotsUnderLoad(t *testing.T, s *server.Server, n int) {
	t.Helper()
	fill := []string{"MSET"}
	for i := range many {
		fill = append(fill, fmt.Sprint("many", i), "0")
	}
	first := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	if v, err := first.Do(fill...); err != nil || v.IsError() {
		t.Fatal(v, err)
	}
	var enough atomic.Bool
	var load sync.WaitGroup
	for id := range 8 {
		c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
		load.Go(func() {
			r := rand.New(rand.NewPCG(uint64(id), 5))
			if _, err := c.Do("SELECT", fmt.Sprint(id%2)); err != nil {
				t.Error(err)
			}
			for i := 0; !enough.Load(); i++ {
				calls := something(r)
				switch {
				case i%3 == 0: // one that the walk has not come to, perhaps
					calls = [][]string{{"INCR", fmt.Sprint("many", r.IntN(many))}}
				case i%3 == 1:
					calls = [][]string{{"HSET", fmt.Sprint("hash", r.IntN(many)), fmt.Sprint("f", r.IntN(3)), fmt.Sprint(i)}}
				case wipes(calls) && r.IntN(100) > 0: // else the walk never has far to go
					continue
				}
				for _, argv := range calls {
					if v, err := c.Do(argv...); err != nil {
						t.Error(err, v)
						return
					}
				}
			}
		})
	}
	c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	r := rand.New(rand.NewPCG(9, 9))
	for range n {
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond) // the load goes on meanwhile
		v, err := c.Do("SAVE")
		require.NoError(t, err)
		require.Equal(t, "OK", v.String())
	}
	enough.Store(true)
	load.Wait()
}

// settledDigest is what a server makes of some files of a directory when all that
// was to expire has.
func settledDigest(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.Link(filepath.Join(dir, "manifest.json"), filepath.Join(to, "manifest.json")))
	for name, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), text, 0o600))
	}
	s := testserver.Start(t, "--dir", to)
	c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	require.Eventually(t, func() bool {
		v, err := c.Do("INFO", "keyspace")
		require.NoError(t, err)
		return !expiring.MatchString(v.String())
	}, 20*time.Second, 5*time.Millisecond)
	return digest(t, s)
}
