package server

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/internal/vfs"
)

// openOn starts a server whose directory is in a file system of the test's.
func openOn(t *testing.T, fs vfs.FS, args ...string) *Server {
	t.Helper()
	c := config.New()
	require.NoError(t, c.Load(append([]string{"--dir", "/data", "--enable-debug-command", "yes", "--shards", "4"}, args...), nil))
	s, err := Open(Options{Config: c, Addr: "127.0.0.1:0", FS: fs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// left returns what each way to end leaves of a directory: the process ends, or the
// machine does, with all that was not synced or some of it.
func left(t *testing.T, m *vfs.Mem, s *Server) map[string]*vfs.Mem {
	t.Helper()
	ways := map[string]*vfs.Mem{"process": image(t, m)}
	ways["machine"], ways["torn"] = m.Crash(nil), m.Crash(rand.New(rand.NewPCG(1, 2)))
	_ = s.Close() // the machine is gone, it can only complain
	return ways
}

// image copies a directory as a process sees it, at a time when nobody writes.
func image(t *testing.T, m *vfs.Mem) *vfs.Mem {
	t.Helper()
	to := vfs.NewMem()
	require.NoError(t, to.MkdirAll("/data", vfs.DirPerm))
	entries, err := m.ReadDir("/data")
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() == "LOCK" {
			continue
		}
		text, err := vfs.ReadFile(m, "/data/"+e.Name(), 1<<30)
		require.NoError(t, err)
		f, err := to.Create("/data/" + e.Name())
		require.NoError(t, err)
		_, err = f.Write(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	return to
}

func info(s *Server, field string) string {
	found := regexp.MustCompile(`(?m)^` + field + `:(.*)\r$`).FindStringSubmatch(s.Info([]string{"persistence"}))
	if found == nil {
		return ""
	}
	return found[1]
}

func awaitInfo(t *testing.T, s *Server, field, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return info(s, field) == want }, 10*time.Second, time.Millisecond, "%s:%s", field, want)
}

func ok(t *testing.T, c *transcript.Client, args ...string) {
	t.Helper()
	require.NotContains(t, do(t, c, args...), "(error)", "%q", args)
}

// logFaults is what may happen to the log's files.
var logFaults = []struct {
	name string
	rule vfs.Rule
}{
	{"write", vfs.Rule{Ops: vfs.OpWrite, Name: "log-*", Err: syscall.ENOSPC}},
	{"short write", vfs.Rule{Ops: vfs.OpWrite, Name: "log-*", Err: syscall.ENOSPC, Short: 20}},
	{"write fails once", vfs.Rule{Ops: vfs.OpWrite, Name: "log-*", Err: syscall.EIO, Times: 1}},
	{"sync", vfs.Rule{Ops: vfs.OpSync, Name: "log-*", Err: syscall.EIO}},
	{"sync fails once", vfs.Rule{Ops: vfs.OpSync, Name: "log-*", Err: syscall.EIO, Times: 1}},
	{"no more files", vfs.Rule{Ops: vfs.OpCreate, Name: "log-*", Err: syscall.EMFILE}},
	{"read-only", vfs.Rule{Ops: vfs.OpChange, Err: syscall.EROFS}},
}

// The log's first failure is final: writes are refused, reads go on, and what the
// disk has is all that was acknowledged.
func TestTheLogFails(t *testing.T) {
	for _, policy := range []string{"always", "everysec", "no"} {
		for _, fault := range logFaults {
			t.Run(policy+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				m := vfs.NewMem()
				f := vfs.NewFaulty(m)
				s := openOn(t, f, "--appendfsync", policy)
				c := dial(t, s)
				ok(t, c, "SET", "kept", "1")
				ok(t, c, "RPUSH", "list", "a", "b")
				ok(t, c, "WAITAOF", "1", "0", "0")
				f.Add(fault.rule)
				writer := newPeer(t, s)
				writer.send(t, "INCR doubt\r\nGET kept\r\n")
				if fault.rule.Ops == vfs.OpCreate {
					ok(t, c, "BGSAVE") // the log goes on in a new file
				}
				if policy != "always" { // the kernel has taken it, the disk does not
					writer.send(t, "WAITAOF 1 0 0\r\n")
				}
				awaitInfo(t, s, "aof_last_write_status", "err")
				if policy == "always" && fault.rule.Ops != vfs.OpCreate {
					writer.expect(t, "-INDOUBT the log has failed: whether the last writes of this connection will last is not known")
					writer.ends(t)
				}
				f.Clear() // it does not help
				c = dial(t, s)
				require.Equal(t, `"1"`, do(t, c, "GET", "kept"))
				for _, cmd := range [][]string{{"INCR", "n"}, {"PING"}, {"SADD", "s", "m"}} {
					require.Contains(t, do(t, c, cmd...), "MISCONF", "%q", cmd)
				}
				require.Equal(t, "(nil)", do(t, c, "GET", "n"))
				require.Eventually(t, func() bool { return !s.keeper.Saving() }, 10*time.Second, time.Millisecond)
				require.Contains(t, do(t, c, "SAVE"), "(error)")
				require.Equal(t, "err", info(s, "rdb_last_bgsave_status"))
				for how, disk := range left(t, m, s) {
					s := openOn(t, disk)
					c := dial(t, s)
					require.Equal(t, `"1"`, do(t, c, "GET", "kept"), how)
					require.Equal(t, "(integer) 2", do(t, c, "LLEN", "list"), how)
					require.Contains(t, []string{"(nil)", `"1"`}, do(t, c, "GET", "doubt"), how)
					require.Equal(t, "(nil)", do(t, c, "GET", "n"), how)
					ok(t, c, "INCR", "n")
				}
			})
		}
	}
}

// When there is room again the log is switched off and on, and nothing is missing.
func TestAFailedLogIsReplaced(t *testing.T) {
	for _, fault := range logFaults {
		m := vfs.NewMem()
		f := vfs.NewFaulty(m)
		s := openOn(t, f, "--appendfsync", "everysec")
		c := dial(t, s)
		ok(t, c, "SET", "kept", "1")
		ok(t, c, "WAITAOF", "1", "0", "0") // or the fault might be this one's
		f.Add(fault.rule)
		ok(t, c, "SET", "lost by the log", "1")
		if fault.rule.Ops == vfs.OpCreate {
			ok(t, c, "BGSAVE")
		}
		awaitInfo(t, s, "aof_last_write_status", "err")
		f.Clear()
		require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "appendonly", "no"), fault.name)
		ok(t, c, "SET", "without", "1")
		require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "appendonly", "yes"), fault.name)
		ok(t, c, "SET", "after", "1")
		ok(t, c, "WAITAOF", "1", "0", "0")
		// The snapshot of what the failed log could not write may come now only.
		require.Eventually(t, func() bool { return !s.keeper.Saving() }, 10*time.Second, time.Millisecond)
		want := digestOf(t, s)
		for how, disk := range left(t, m, s) {
			require.Equal(t, want, digestOf(t, openOn(t, disk)), "%s, %s", fault.name, how)
		}
	}
}

// A snapshot that fails leaves nothing behind, and the log goes on; the next one is
// as good as if nothing had been.
func TestASnapshotFails(t *testing.T) {
	for i, rule := range []vfs.Rule{
		{Ops: vfs.OpCreate, Name: "snapshot-*", Err: syscall.EMFILE, Times: 1},
		{Ops: vfs.OpWrite, Name: "snapshot-*", Err: syscall.ENOSPC, Times: 1},
		{Ops: vfs.OpWrite, Name: "snapshot-*", Err: syscall.ENOSPC, Times: 1, Short: 10},
		{Ops: vfs.OpSync, Name: "snapshot-*", Err: syscall.EIO, Times: 1},
		{Ops: vfs.OpClose, Name: "snapshot-*", Err: syscall.EIO, Times: 1},
		{Ops: vfs.OpRename, Name: "snapshot-*", Err: syscall.EROFS, Times: 1},
		{Ops: vfs.OpSyncDir, Err: syscall.EIO, Times: 1},
	} {
		for _, how := range []string{"new", "new, crash", "again", "again, crash"} { // again: nothing has changed since the last one
			again := strings.HasPrefix(how, "again")
			if rule.Ops == vfs.OpSyncDir && !again {
				continue // it would hit the log, which has a new file first
			}
			name := fmt.Sprintf("%d, %s", i, how)
			m := vfs.NewMem()
			f := vfs.NewFaulty(m)
			s := openOn(t, f, "--appendfsync", "always")
			c := dial(t, s)
			ok(t, c, "SET", "k", "1")
			ok(t, c, "SAVE")
			if !again {
				ok(t, c, "SET", "k", "2")
			}
			f.Add(rule)
			ok(t, c, "BGSAVE")
			awaitInfo(t, s, "rdb_last_bgsave_status", "err")
			require.Equal(t, "ok", info(s, "aof_last_write_status"), name)
			ok(t, c, "INCR", "n")
			want := digestOf(t, s)
			if !strings.HasSuffix(how, "crash") {
				ok(t, c, "SAVE")
				require.Equal(t, "ok", info(s, "rdb_last_bgsave_status"), name)
				entries, err := m.ReadDir("/data")
				require.NoError(t, err)
				for _, e := range entries {
					require.False(t, strings.HasSuffix(e.Name(), ".tmp"), e.Name())
				}
			}
			for how, disk := range left(t, m, s) {
				require.Equal(t, want, digestOf(t, openOn(t, disk)), "%s, %s", name, how)
			}
		}
	}
}

// With a rule to save, writes stop when snapshots fail, until one does not.
func TestWritesStopWhenSnapshotsFail(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	s := openOn(t, f, "--appendonly", "no", "--save", "3600 1")
	c := dial(t, s)
	ok(t, c, "SET", "k", "1")
	f.Add(vfs.Rule{Ops: vfs.OpWrite, Name: "snapshot-*", Err: syscall.ENOSPC})
	ok(t, c, "BGSAVE")
	awaitInfo(t, s, "rdb_last_bgsave_status", "err")
	require.Eventually(t, func() bool { return strings.Contains(do(t, c, "SET", "k", "2"), "MISCONF") }, 10*time.Second, time.Millisecond)
	require.NotEqual(t, "(nil)", do(t, c, "GET", "k"))
	require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no"))
	require.Eventually(t, func() bool { return do(t, c, "SET", "k", "3") == "OK" }, 10*time.Second, time.Millisecond)
	require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"))
	require.Eventually(t, func() bool { return strings.Contains(do(t, c, "SET", "k", "2"), "MISCONF") }, 10*time.Second, time.Millisecond)
	f.Clear()
	ok(t, c, "SAVE")
	ok(t, c, "SET", "k", "4")
}

// While the disk is slow writes go on until the buffer is full, and then wait.
func TestASlowDisk(t *testing.T) {
	m := vfs.NewMem()
	f := vfs.NewFaulty(m)
	s := openOn(t, f, "--log-segment-size", "65536", "--log-buffer-size", "65536")
	entered, release := f.Block(vfs.OpSync, "log-*")
	t.Cleanup(release)
	value := strings.Repeat("x", 4000)
	c, reader := dial(t, s), dial(t, s)
	ok(t, c, "SET", "k", value)
	<-entered // the sync of every second; nobody waits for it
	for i := range 10 {
		ok(t, c, "SET", "k", fmt.Sprint(i))
	}
	writers := 0
	for info(s, "log_waiting_for_room") == "0" {
		writers++
		require.Less(t, writers, 1000)
		newPeer(t, s).send(t, "APPEND log "+value+"\r\n")
		require.Equal(t, `"9"`, do(t, reader, "GET", "k"))
	}
	require.Greater(t, writers, 16)
	_, behind, _ := s.keeper.Log()
	require.NoError(t, behind)
	release()
	require.Eventually(t, func() bool { return do(t, reader, "STRLEN", "log") == fmt.Sprintf("(integer) %d", writers*len(value)) },
		10*time.Second, time.Millisecond)
	awaitInfo(t, s, "log_waiting_for_room", "0")
	ok(t, c, "SET", "k", "after")
	ok(t, c, "WAITAOF", "1", "0", "0")
	want := digestOf(t, s)
	for how, disk := range left(t, m, s) {
		require.Equal(t, want, digestOf(t, openOn(t, disk)), how)
	}
}

// A switch to appendonly yes that fails leaves it off and everything as it was,
// wherever it fails; and so it does after a crash.
func TestTheLogCannotBeSwitchedOn(t *testing.T) {
	for n, failed := 0, true; failed; n++ {
		m := vfs.NewMem()
		f := vfs.NewFaulty(m)
		s := openOn(t, f, "--appendonly", "no")
		c := dial(t, s)
		ok(t, c, "SET", "saved", "1")
		ok(t, c, "SAVE")
		ok(t, c, "SET", "k", "1")
		f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: n, Times: 1, Err: syscall.ENOSPC})
		failed = do(t, c, "CONFIG", "SET", "appendonly", "yes") != "OK"
		f.Clear()
		require.Equal(t, failed, strings.Contains(do(t, c, "CONFIG", "GET", "appendonly"), `"no"`), n)
		require.Equal(t, map[bool]string{true: "0", false: "1"}[failed], info(s, "aof_enabled"), n)
		ok(t, c, "SET", "k", "2")
		if !failed {
			require.Greater(t, n, 10)
		}
		if n%2 == 0 && failed { // it can be tried again
			require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "appendonly", "yes"), n)
			ok(t, c, "SET", "k", "3")
			ok(t, c, "WAITAOF", "1", "0", "0")
			want := digestOf(t, s)
			for how, disk := range left(t, m, s) {
				require.Equal(t, want, digestOf(t, openOn(t, disk)), "%d, %s", n, how)
			}
			continue
		}
		for how, disk := range left(t, m, s) {
			require.Equal(t, `"1"`, do(t, dial(t, openOn(t, disk, "--appendonly", "no")), "GET", "saved"), "%d, %s", n, how)
		}
	}
}

// With appendfsync always what was written before the log was switched off is
// acknowledged only when it is durable.
func TestNobodyIsAnsweredWhileTheLogEnds(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	s := openOn(t, f, "--appendfsync", "always")
	entered, release := f.Block(vfs.OpSync, "log-*")
	t.Cleanup(release)
	writer, admin := newPeer(t, s), newPeer(t, s)
	writer.send(t, "INCR n\r\n")
	<-entered
	lsn := s.keeper.Journal().End()
	admin.send(t, "CONFIG SET appendonly no\r\n")
	require.Eventually(t, func() bool { _, _, on := s.keeper.Log(); return !on }, 10*time.Second, time.Millisecond)
	require.Less(t, s.keeper.Journal().Durable(), lsn, "a reply that comes here would not wait")
	waited := make(chan error, 1)
	go func() { waited <- s.keeper.Journal().AwaitDurable(lsn, nil) }()
	select {
	case err := <-waited:
		t.Fatal("it was not waited for", err)
	default:
	}
	release()
	require.NoError(t, <-waited)
	writer.expect(t, ":1")
	admin.expect(t, "+OK")
	require.GreaterOrEqual(t, s.keeper.Journal().Durable(), lsn)
}

// A reload that fails half way leaves memory that must not replace what the disk
// has: nothing is written or saved from then on, and a restart finds everything.
func TestAReloadFails(t *testing.T) {
	dir := t.TempDir()
	disk := vfs.NewFaulty(vfs.OS)
	c := config.New()
	require.NoError(t, c.Load([]string{"--dir", dir, "--enable-debug-command", "yes"}, nil))
	s, err := Open(Options{Config: c, Addr: "127.0.0.1:0", FS: disk})
	require.NoError(t, err)
	client := dial(t, s)
	ok(t, client, "SET", "k", "1")
	want := digestOf(t, s)
	disk.Add(vfs.Rule{Ops: vfs.OpRead, Name: "log-*", Err: syscall.EIO})
	require.Contains(t, do(t, client, "DEBUG", "LOADAOF"), "(error)")
	disk.Clear()
	for _, refused := range [][]string{{"SET", "x", "1"}, {"PING"}} {
		require.Contains(t, do(t, client, refused...), "MISCONF", refused)
	}
	for _, refused := range [][]string{{"SAVE"}, {"CONFIG", "SET", "appendonly", "no"}, {"DEBUG", "RELOAD"}} {
		require.Contains(t, do(t, client, refused...), "(error)", refused)
	}
	require.NoError(t, s.BeforeShutdown(config.ShutdownSave)) // there is nothing to save
	require.NoError(t, s.Close())
	s, _ = openAt(t, dir)
	require.Equal(t, want, digestOf(t, s))
}

// After a reload that has failed no log is begun either: the snapshot that it begins
// with would take the place of the data.
func TestAReloadFailsWithoutALog(t *testing.T) {
	dir := t.TempDir()
	disk := vfs.NewFaulty(vfs.OS)
	c := config.New()
	require.NoError(t, c.Load([]string{"--dir", dir, "--enable-debug-command", "yes", "--appendonly", "no"}, nil))
	s, err := Open(Options{Config: c, Addr: "127.0.0.1:0", FS: disk})
	require.NoError(t, err)
	client := dial(t, s)
	ok(t, client, "SET", "k", "1")
	ok(t, client, "SAVE")
	want := digestOf(t, s)
	disk.Add(vfs.Rule{Ops: vfs.OpRead, Name: "snapshot-*", Err: syscall.EIO})
	require.Error(t, s.keeper.Reload(false))
	disk.Clear()
	for _, refused := range [][]string{{"CONFIG", "SET", "appendonly", "yes"}, {"DEBUG", "RELOAD"}} {
		require.Contains(t, do(t, client, refused...), "(error)", refused)
	}
	require.NoError(t, s.Close())
	s, _ = openAt(t, dir, "--appendonly", "no")
	require.Equal(t, want, digestOf(t, s))
}

// A log that could not be switched on is taken away again, also while a call runs
// that who closes the gate waits for.
func TestALogThatFailsToBeginIsTakenAway(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem())
	s := openOn(t, disk, "--appendonly", "no", "--rmw-wait", "200")
	client := dial(t, s)
	ok(t, client, "SET", "k", "1")
	long := s.runner.NewPass()
	disk.Add(vfs.Rule{Ops: vfs.OpCreate, Name: "snapshot-*", Err: syscall.ENOSPC, Before: func(vfs.Call) {
		long.Enter()
		long.BeginLong()
		long.Leave()
	}})
	require.Contains(t, do(t, client, "CONFIG", "SET", "appendonly", "yes"), "(error)")
	long.EndLong()
	disk.Clear()
	ok(t, client, "SET", "k", "2")
	ok(t, client, "CONFIG", "SET", "appendonly", "yes")
	ok(t, client, "SET", "k", "3")
}

// TestALeaderWhoseLogFailsShowsNothingOfIt: another node will lead, and it does not have
// what this one's log has not taken.
func TestALeaderWhoseLogFailsShowsNothingOfIt(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	s := openOn(t, f, "--appendfsync", "always")
	ok(t, dial(t, s), "SET", "k", "old")
	s.Router().SetAuthority(func() bool { return true })
	f.Add(vfs.Rule{Ops: vfs.OpSync, Name: "log-*", Err: syscall.EIO})
	writer := newPeer(t, s)
	writer.send(t, "SET k new\r\n")
	writer.expect(t, "-INDOUBT the log has failed: whether the last writes of this connection will last is not known")
	reader := newPeer(t, s)
	reader.send(t, "GET k\r\n")
	reader.expect(t, "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
	s.Router().SetAuthority(nil)
	require.Equal(t, `"new"`, do(t, dial(t, s), "GET", "k"), "who is alone says what he has")
}
