package server

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
)

// openAt starts a server on a directory that outlives it; end stops it in order.
func openAt(t *testing.T, dir string, args ...string) (s *Server, end func()) {
	t.Helper()
	c := config.New()
	require.NoError(t, c.Load(append([]string{"--dir", dir, "--enable-debug-command", "yes"}, args...), nil))
	s, err := Open(Options{Config: c, Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	var once sync.Once
	end = func() {
		once.Do(func() {
			require.NoError(t, s.BeforeShutdown(0))
			require.NoError(t, s.Shutdown(t.Context()))
		})
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, end
}

func digestOf(t *testing.T, s *Server) string { return do(t, dial(t, s), "DEBUG", "DIGEST") }

// One value of every type, with whatever can be about it.
var everyType = [][]string{
	{"SET", "string", "x"}, {"SET", "int", "5", "EX", "1000"}, {"APPEND", "long", "abc"}, {"SETRANGE", "long", "50", "x"},
	{"RPUSH", "list", "1", "two", "3"}, {"SADD", "set", "1", "2"}, {"SADD", "words", "a", "b"},
	{"ZADD", "zset", "1.5", "a", "-inf", "b"}, {"HSET", "hash", "f", "1", "g", "2"}, {"HPEXPIRE", "hash", "1000000", "FIELDS", "1", "f"},
	{"XADD", "stream", "1-1", "f", "v"}, {"XADD", "stream", "2-1", "f", "v"}, {"XGROUP", "CREATE", "stream", "g", "0"},
	{"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "stream", ">"}, {"XDEL", "stream", "2-1"}, {"PFADD", "hll", "a", "b"},
	{"SELECT", "3"}, {"SET", "elsewhere", "1"}, {"MSET", "p", "1", "q", "2"},
}

func TestDataOutlivesTheServer(t *testing.T) {
	for _, args := range [][]string{
		{"--appendfsync", "always"}, {"--appendfsync", "everysec"}, {"--appendfsync", "no"},
		{"--appendonly", "no", "--save", "3600 1"}, {"--appendfsync", "no", "--log-segment-size", "64kb", "--shards", "1"},
	} {
		dir := t.TempDir()
		s, end := openAt(t, dir, args...)
		c := dial(t, s)
		for _, cmd := range everyType {
			require.NotContains(t, do(t, c, cmd...), "(error)", cmd)
		}
		want := digestOf(t, s)
		end()
		for _, next := range [][]string{args, nil, {"--shards", "4"}, {"--appendonly", "no"}} {
			s, end = openAt(t, dir, next...)
			require.Equal(t, want, digestOf(t, s), "%q, then %q", args, next)
			end()
		}
	}
}

// Without a log and without a rule to save, SHUTDOWN keeps what SAVE has kept.
func TestOnlySnapshots(t *testing.T) {
	dir := t.TempDir()
	s, end := openAt(t, dir, "--appendonly", "no")
	c := dial(t, s)
	require.Equal(t, "OK", do(t, c, "SET", "k", "saved"))
	require.Equal(t, "OK", do(t, c, "SAVE"))
	require.Equal(t, "OK", do(t, c, "SET", "k", "not saved"))
	end()
	s, _ = openAt(t, dir, "--appendonly", "no")
	c = dial(t, s)
	require.Equal(t, `"saved"`, do(t, c, "GET", "k"))
	require.Equal(t, "OK", do(t, c, "SET", "k", "saved at the end"))
	require.NoError(t, s.BeforeShutdown(config.ShutdownSave))
	require.Equal(t, "OK", do(t, c, "SET", "k", "after the save, before the end"))
	require.NoError(t, s.Shutdown(t.Context()))
	s, _ = openAt(t, dir, "--appendonly", "no")
	require.Equal(t, `"after the save, before the end"`, do(t, dial(t, s), "GET", "k"))
}

func TestARuleSaves(t *testing.T) {
	s, _ := openAt(t, t.TempDir(), "--appendonly", "no", "--save", "1 3")
	c := dial(t, s)
	for range 3 {
		require.NotContains(t, do(t, c, "INCR", "n"), "(error)")
	}
	require.Eventually(t, func() bool { return s.keeper.State().Saves == 1 }, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, s.Info([]string{"persistence"}), "rdb_changes_since_last_save:0\r\n")
}

func TestALogThatGrowsLeadsToASnapshot(t *testing.T) {
	dir := t.TempDir()
	s, end := openAt(t, dir, "--auto-aof-rewrite-min-size", "10kb", "--appendfsync", "no")
	c := dial(t, s)
	for i := 0; s.keeper.State().Saves < 2; i++ {
		require.NotContains(t, do(t, c, "SET", "k", fmt.Sprintf("%0100d", i)), "(error)")
	}
	want := digestOf(t, s)
	end()
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshot-*"))
	require.NoError(t, err)
	require.Len(t, snapshots, 1)
	s, _ = openAt(t, dir)
	require.Equal(t, want, digestOf(t, s))
}

// The log is switched off and on while clients write. What was acknowledged while
// it was on is there after an end that saves nothing.
func TestTheLogIsSwitchedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s, _ := openAt(t, dir, "--appendfsync", "always")
	admin := dial(t, s)
	var stop atomic.Bool
	var load sync.WaitGroup
	var counts [4]int
	for i := range counts {
		c := dial(t, s)
		load.Go(func() {
			for !stop.Load() {
				do(t, c, "INCR", fmt.Sprint("n", i))
				do(t, c, "RPUSH", fmt.Sprint("l", i), "x")
				counts[i]++
			}
		})
	}
	for range 5 {
		require.Equal(t, "OK", do(t, admin, "CONFIG", "SET", "appendonly", "no"))
		require.Equal(t, "OK", do(t, admin, "CONFIG", "SET", "appendonly", "yes"))
		require.Equal(t, "OK", do(t, admin, "CONFIG", "SET", "appendfsync", "everysec"))
		require.Equal(t, "OK", do(t, admin, "CONFIG", "SET", "appendfsync", "always"))
	}
	stop.Store(true)
	load.Wait()
	want := digestOf(t, s)
	copied := filepath.Join(t.TempDir(), "copy") // as a crash would leave it
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	s, _ = openAt(t, copied)
	require.Equal(t, want, digestOf(t, s))
	for i, n := range counts {
		require.Equal(t, fmt.Sprintf("%q", fmt.Sprint(n)), do(t, dial(t, s), "GET", fmt.Sprint("n", i)))
	}
}

// What waits for the gate may not be asked for by who holds latches.
func TestATransactionCannotSwitchTheLog(t *testing.T) {
	s, _ := openAt(t, t.TempDir())
	c := dial(t, s)
	for _, name := range []string{"appendonly", "APPENDFSYNC"} {
		require.Equal(t, "OK", do(t, c, "MULTI"))
		require.Equal(t, "QUEUED", do(t, c, "SET", "k", "1"))
		require.Equal(t, "QUEUED", do(t, c, "CONFIG", "SET", "maxmemory", "0", name, "no"))
		require.Contains(t, do(t, c, "EXEC"), "the log cannot be switched in a transaction")
	}
	require.Equal(t, "OK", do(t, c, "MULTI"))
	require.Equal(t, "QUEUED", do(t, c, "DEBUG", "RELOAD"))
	require.Contains(t, do(t, c, "EXEC"), "(error)")
}

func TestWaitAOF(t *testing.T) {
	s, _ := openAt(t, t.TempDir(), "--appendfsync", "everysec")
	c := dial(t, s)
	require.NotContains(t, do(t, c, "INCR", "n"), "(error)")
	require.Equal(t, "1) (integer) 1\n2) (integer) 0", do(t, c, "WAITAOF", "1", "0", "0"))
	l, _, _ := s.keeper.Log()
	require.Equal(t, l.End, l.Durable)
	require.Equal(t, "1) (integer) 1\n2) (integer) 0", do(t, c, "WAITAOF", "0", "1", "10"))
}

// DEBUG RELOAD and LOADAOF under load: every client finds what it wrote.
func TestReloadUnderLoad(t *testing.T) {
	for _, args := range [][]string{nil, {"--appendonly", "no"}} {
		s, _ := openAt(t, t.TempDir(), args...)
		admin := dial(t, s)
		var stop atomic.Bool
		var load sync.WaitGroup
		for i := range 4 {
			c := dial(t, s)
			load.Go(func() {
				for n := 1; !stop.Load(); n++ {
					if got := do(t, c, "INCR", fmt.Sprint("n", i)); got != fmt.Sprintf("(integer) %d", n) {
						t.Errorf("%d is %s", n, got)
						return
					}
				}
			})
		}
		for range 5 {
			require.Equal(t, "OK", do(t, admin, "DEBUG", "RELOAD"))
			if args == nil {
				require.Equal(t, "OK", do(t, admin, "DEBUG", "LOADAOF"))
			}
		}
		stop.Store(true)
		load.Wait()
	}
}

// Two processes never share a directory.
func TestADirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	_, end := openAt(t, dir)
	c := config.New()
	require.NoError(t, c.Load([]string{"--dir", dir}, nil))
	_, err := Open(Options{Config: c, Addr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "is in use by process")
	end()
	openAt(t, dir)
}

// A snapshot that a long call does not let begin is put off: nothing has failed, so
// writes do not stop.
func TestALongCallPutsASnapshotOff(t *testing.T) {
	s, _ := openAt(t, t.TempDir(), "--appendonly", "no", "--save", "3600 1", "--rmw-wait", "20")
	c := dial(t, s)
	require.Equal(t, "OK", do(t, c, "SET", "k", "1"))
	pass := s.runner.NewPass()
	pass.Enter()
	pass.BeginLong()
	require.Contains(t, do(t, c, "SAVE"), "(error)")
	pass.EndLong()
	pass.Leave()
	require.False(t, s.keeper.State().LastFailed)
	require.Equal(t, "OK", do(t, c, "SET", "k", "2"))
	require.Equal(t, "OK", do(t, c, "SAVE"))
}
