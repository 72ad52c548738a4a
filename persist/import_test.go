package persist_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/server"
	"github.com/ferricd/ferricd/store"
)

// A redis is a redis-server of the test.
type redis struct {
	t *testing.T
	c *transcript.Client
}

func startRedis(t *testing.T, args ...string) *redis {
	conn, err := net.Dial("tcp", transcript.StartRedis(t, args...))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &redis{t, transcript.NewClient(conn, time.Minute)}
}

func (r *redis) do(argv ...string) string {
	r.t.Helper()
	v, err := r.c.Do(argv...)
	require.NoError(r.t, err)
	require.False(r.t, v.IsError(), "%.200q: %s", argv, v.String())
	return v.String()
}

func (r *redis) path(name string) string {
	v, err := r.c.Do("CONFIG", "GET", "dir")
	require.NoError(r.t, err)
	return filepath.Join(v.Elems[1].Str, name)
}

// groups tells what DEBUG DIGEST does not see of the streams that varied makes.
func groups(s interface{ do(...string) string }) (text string) {
	s.do("SELECT", "9")
	for _, key := range []string{"x0", "x1"} {
		text += s.do("XINFO", "GROUPS", key) + s.do("XPENDING", key, "g")
		for line := range strings.Lines(s.do("XPENDING", key, "g", "-", "+", "100")) {
			if !strings.Contains(line, "3) (integer)") { // for how long
				text += line
			}
		}
	}
	s.do("SELECT", "0")
	return text
}

func imported(t *testing.T, file, dir string, args ...string) persist.Imported {
	done, err := server.Import(configured(t, dir, args...), file, func(note string) { t.Error(note) })
	require.NoError(t, err)
	return done
}

// What redis-server saves is here what it was there.
func TestImportOfRedisFiles(t *testing.T) {
	r := startRedis(t)
	varied(r)
	want, more := r.do("DEBUG", "DIGEST"), groups(r)
	r.do("DEBUG", "SET-ACTIVE-EXPIRE", "0")
	r.do("SET", "expired", "x", "PXAT", fmt.Sprint(time.Now().UnixMilli()+1))
	r.do("SAVE")
	file := r.path("dump.rdb")
	info, err := os.Stat(file)
	require.NoError(t, err)
	t.Run("by command", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		done := imported(t, file, dir)
		sound, text := check(t, dir)
		require.True(t, sound, text)
		for _, args := range [][]string{nil, {"--appendonly", "no"}, nil} {
			s := serve(t, dir, args...)
			require.Equal(t, want, s.digest())
			require.Equal(t, more, groups(s))
			s.end()
		}
		require.Equal(t, persist.Imported{Keys: 51, Expired: 1, Bytes: info.Size()}, done)
	})
	t.Run("at the start", func(t *testing.T) {
		dir := t.TempDir()
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), b, 0o600))
		for range 2 {
			s := serve(t, dir)
			require.Equal(t, want, s.digest())
			s.end()
		}
		s := serve(t, dir)
		s.do("FLUSHALL")
		s.end()
		require.Equal(t, "(integer) 0", size(t, dir), "the file must not come back")
		require.Equal(t, string(b), contents(t, dir)["dump.rdb"])
	})
}

// file writes an .rdb.
func file(t *testing.T, fill func(w *rdb.Writer)) []byte {
	var b bytes.Buffer
	w := rdb.NewWriter(&b, rdb.Version)
	fill(w)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func key(db int, name string) rdb.Key {
	return rdb.Key{DB: db, Name: []byte(name), Idle: -1, Freq: -1}
}

// pending makes a stream of which an entry is pending that was deleted.
func pending(c store.Contents) {
	id := func(ms uint64) store.StreamID { return store.StreamID{Ms: ms, Seq: 1} }
	c.Stream(1)
	c.Entry(id(1), [][]byte{[]byte("f"), []byte("v")})
	c.State(store.StreamState{Last: id(5), MaxDeleted: id(5), Added: 2, Groups: 1})
	c.Group(store.GroupHead{Name: []byte("g"), Last: id(5), Read: 2, Consumers: 1, Pending: 1})
	c.Consumer(store.ConsumerHead{Name: []byte("c"), Seen: 7})
	c.Pending(store.PendingEntry{ID: id(5), Consumer: []byte("c"), At: 7, Count: 3})
}

func TestImportKeepsWhatIsPending(t *testing.T) {
	dir, name := t.TempDir(), filepath.Join(t.TempDir(), "x.rdb")
	require.NoError(t, os.WriteFile(name, file(t, func(w *rdb.Writer) { pending(w.Key(key(2, "x"))) }), 0o600))
	imported(t, name, dir)
	s := serve(t, dir)
	s.do("SELECT", "2")
	require.Contains(t, s.do("XPENDING", "x", "g"), `"5-1"`)
}

// What cannot be imported leaves everything as it was, and a server does not start
// with it.
func TestImportRefuses(t *testing.T) {
	good := file(t, func(w *rdb.Writer) {
		for i := range 100 {
			w.Key(key(0, fmt.Sprint("k", i))).String([]byte(strings.Repeat("v", i)))
		}
	})
	broken := bytes.Clone(good)
	broken[2000] ^= 1
	for what, b := range map[string][]byte{
		"its checksum is":                broken,
		"cut short":                      good[:3000],
		"it does not begin with":         []byte("hello, world"),
		"it is there twice":              file(t, func(w *rdb.Writer) { w.Key(key(1, "k")).String(nil); w.Key(key(1, "k")).String(nil) }),
		"raise the parameter databases":  file(t, func(w *rdb.Writer) { w.Key(key(16, "k")).String(nil) }),
		"field, group or consumer is":    file(t, func(w *rdb.Writer) { c := w.Key(key(1, "k")); c.Set(2); c.Member(nil); c.Member(nil) }),
		"something follows the end of t": append(bytes.Clone(good), "*1\r\n"...),
	} {
		name, dir := filepath.Join(t.TempDir(), "x.rdb"), filepath.Join(t.TempDir(), "new")
		require.NoError(t, os.WriteFile(name, b, 0o600))
		done, err := server.Import(configured(t, dir), name, nil)
		require.ErrorContains(t, err, what)
		require.NotContains(t, err.Error(), "\n")
		require.NoDirExists(t, dir)
		require.Less(t, done.Keys, int64(101))

		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), b, 0o600))
		_, err = server.Import(configured(t, dir), name, nil)
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, starts(t, dir), what)
		require.Equal(t, map[string]string{"dump.rdb": string(b)}, contents(t, dir))
	}
}

// What can be read only once, or never ends, is not read at all.
func TestImportRefusesWhatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	log := filepath.Join(t.TempDir(), "appendonly.aof.manifest")
	require.NoError(t, os.WriteFile(log, []byte("file pipe seq 1 type i\n"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(filepath.Dir(log), "pipe"), 0o600))
	for _, name := range []string{pipe, log, "/dev/zero"} {
		dir := filepath.Join(t.TempDir(), "new")
		_, err := server.Import(configured(t, dir), name, nil)
		require.ErrorContains(t, err, "it is not an ordinary file")
		require.NoDirExists(t, dir)
	}
}

func TestImportIntoDataIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.rdb")
	require.NoError(t, os.WriteFile(name, file(t, func(w *rdb.Writer) { w.Key(key(0, "k")).String(nil) }), 0o600))
	dir := long(t)
	before := contents(t, dir)
	_, err := server.Import(configured(t, dir), name, nil)
	require.ErrorContains(t, err, "already holds data")
	require.Equal(t, before, contents(t, dir))
	dir = t.TempDir()
	serve(t, dir, "--appendonly", "no")
	_, err = server.Import(configured(t, dir), name, nil)
	require.ErrorContains(t, err, "is in use by process")
}

// The .rdb is taken over by who was stopped while taking it over.
func TestStoppedTakeOver(t *testing.T) {
	dir := t.TempDir()
	b := file(t, func(w *rdb.Writer) { w.Key(key(0, "k")).String(nil) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), b, 0o600))
	stop := make(chan struct{})
	close(stop)
	s, err := server.Open(server.Options{Config: configured(t, dir), Addr: "127.0.0.1:0", Stop: stop})
	if err == nil { // it was faster
		require.NoError(t, s.Close())
	} else {
		require.ErrorIs(t, err, server.ErrStopped)
	}
	require.Equal(t, "(integer) 1", size(t, dir))
}
