package persist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/server"
)

// logged is a redis-server that has logged what varied makes, with a rewrite in
// the middle, and times that are over meanwhile.
func logged(t *testing.T, preamble string) *redis {
	r := startRedis(t, "--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", "yes")
	varied(r)
	r.do("SELECT", "0")
	for wait := int64(500); ; wait *= 2 { // until the machine is fast enough for it
		soon := fmt.Sprint(time.Now().UnixMilli() + wait)
		r.do("SET", "expired", "a", "PXAT", soon)
		r.do("SET", "kept", "a", "PXAT", soon)
		r.do("RPUSH", "short list", "a")
		r.do("PEXPIREAT", "short list", soon)
		r.do("BGREWRITEAOF")
		require.Eventually(t, func() bool {
			text := r.do("INFO", "persistence")
			return strings.Contains(text, "aof_rewrite_in_progress:0") && strings.Contains(text, "aof_rewrite_scheduled:0")
		}, time.Minute, 5*time.Millisecond)
		r.do("APPEND", "expired", "b")
		if r.do("PERSIST", "kept") == "(integer) 1" {
			break
		}
	}
	r.do("SELECT", "2")
	r.do("MULTI")
	r.do("SET", "a", "1", "EX", "1000000")
	r.do("SELECT", "3")
	r.do("HSET", "b", "f", "v")
	r.do("EXEC")
	r.do("XAUTOCLAIM", "x0", "g", "other", "0", "0")
	r.do("XGROUP", "CREATECONSUMER", "x0", "g", "idle")
	r.do("PFADD", "hll", "a", "b", "c")
	r.do("PFCOUNT", "hll")
	require.Eventually(t, func() bool {
		v, err := r.c.Do("EXISTS", "expired", "short list", "kept")
		r.do("SELECT", "0")
		return err == nil && v.String() == "(integer) 1"
	}, time.Minute, 5*time.Millisecond)
	r.do("CONFIG", "SET", "appendfsync", "always")
	r.do("SET", "last", "x")
	return r
}

func TestImportOfRedisLogs(t *testing.T) {
	for _, preamble := range []string{"yes", "no"} {
		r := logged(t, preamble)
		want := r.do("DEBUG", "DIGEST")
		r.do("DEBUG", "LOADAOF") // some of what is pending it loses itself
		more := groups(r)
		from := r.path("appendonlydir")
		manifest := filepath.Join(from, "appendonly.aof.manifest")
		for _, name := range []string{from, manifest, oldStyle(t, from)} {
			dir := filepath.Join(t.TempDir(), "data")
			done := imported(t, name, dir)
			require.Zero(t, done.Dropped)
			ok, text := check(t, dir)
			require.True(t, ok, text)
			s := serve(t, dir)
			require.Equal(t, want, s.digest(), "%s, preamble %s", name, preamble)
			require.Equal(t, more, groups(s))
		}
	}
}

// oldStyle makes of a log in parts a single file, as Redis has written them before
// version 7.
func oldStyle(t *testing.T, dir string) string {
	var text []byte
	base := named(t, dir, "appendonly.aof.2.base")
	require.Len(t, base, 1)
	for _, name := range append(base, named(t, dir, "appendonly.aof.2.incr")...) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if strings.Contains(name, "incr") { // it goes on in the database that the one before was in
			b = append([]byte("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"), b...)
		}
		text = append(text, b...)
	}
	name := filepath.Join(t.TempDir(), "appendonly.aof")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

func resp(lines ...string) (text string) {
	for _, line := range lines {
		words := strings.Fields(line)
		text += fmt.Sprintf("*%d\r\n", len(words))
		for _, w := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
	}
	return text
}

func write(t *testing.T, text string) (name string) {
	name = filepath.Join(t.TempDir(), "appendonly.aof")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// A log may be cut anywhere. What is there as a whole is taken over; what is
// not is counted.
func TestImportOfTornLogs(t *testing.T) {
	preamble := string(file(t, func(w *rdb.Writer) {
		w.Aux("aof-base", "1")
		w.Key(key(1, "base")).String(nil)
	}))
	parts := []string{preamble + resp("SET a 1"), "#TS:1700000000\r\n" + resp("SELECT 1", "SET b 2"), resp("MULTI", "SET c 3", "SELECT 0", "SET d 4", "EXEC"), resp("SET e 5")}
	text := strings.Join(parts, "")
	unit := len(parts[0]) + len(parts[1])
	remark := len(parts[0]) + len("#TS:1700000000\r\n") // ends here and is no command
	ends := []int{len(preamble), len(text)}             // of what counts
	for i := range len(text) {
		if i > len(preamble) && strings.ContainsRune("*#", rune(text[i])) && i != remark && (i <= unit || i >= unit+len(parts[2])) {
			ends = append(ends, i)
		}
	}
	for at := len(preamble); at <= len(text); at++ {
		whole := 0
		for _, end := range ends {
			if end <= at {
				whole = max(whole, end)
			}
		}
		if at == remark {
			whole = at
		}
		if at%5 != 0 && at-whole > 2 {
			continue // enough of the middle
		}
		dir := filepath.Join(t.TempDir(), "data")
		done, err := server.Import(configured(t, dir), write(t, text[:at]), nil)
		require.NoError(t, err, "%q", text[len(preamble):at])
		require.EqualValues(t, at-whole, done.Dropped, "%q", text[len(preamble):at])
		keys := int64(1)
		for _, end := range []int{len(parts[0]), unit, unit + len(parts[2]), unit + len(parts[2]), len(text)} {
			if at >= end {
				keys++
			}
		}
		require.Equal(t, keys, done.Keys, "%q", text[len(preamble):at])
	}
}

func TestImportRefusesLogs(t *testing.T) {
	for text, what := range map[string]string{
		resp("SET a 1", "FCALL f 0"):                  `offset 27: command "FCALL" does not exist here`,
		resp("SET a 1", "SHUTDOWN"):                   `offset 27: command "SHUTDOWN" changes no data`,
		resp("SET a 1", "SADD a x"):                   "offset 27: SADD: WRONGTYPE",
		resp("SET a"):                                 "wrong number of arguments",
		resp("SELECT 16", "SET a 1"):                  "raise the parameter databases",
		resp("SELECT x"):                              `SELECT "x"`,
		resp("SELECT 99999999999999999999"):           "SELECT",
		resp("SET a 1", "EXEC"):                       "offset 27: EXEC without MULTI",
		resp("MULTI", "MULTI"):                        "offset 15: MULTI inside",
		resp("SET a 1", "MULTI", "SADD a x", "EXEC"):  "offset 27: SADD: WRONGTYPE",
		resp("SET a 1") + "garbage" + resp("SET b 1"): "offset 27: ",
		resp("SET a 1") + "\x00\x00\x00\x00":          "offset 27: ",
		"*1\r\n$4294967296\r\n":                       "where a line is due",
		"*1\r\n$600000000\r\n":                        "too long",
		"*0\r\n":                                      "without words",
		"*-1\r\n":                                     "where a line is due",
		"*1\r\n$1\r\nab\r\n":                          "longer than it says",
		"#" + strings.Repeat("x", 100000):             "too long",
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "data")
		_, err := server.Import(configured(t, dir), write(t, text), nil)
		require.ErrorContains(t, err, what, "%.100q", text)
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, contents(t, parent))
	}
}

func TestImportOfManifests(t *testing.T) {
	for text, what := range map[string]string{
		"":                             "it names no file",
		"file a seq 1 type h\n":        "it names no file",
		"file ../a seq 1 type b\n":     "is no name of a file",
		"file \"/a b\" seq 1 type i\n": "is no name of a file",
		"file a seq x type b\n":        "a line is broken",
		"file a seq 1 type x\n":        "a line is broken",
		"nonsense\n":                   "a line is broken",
		"file a seq 1 type b\nfile b seq 2 type b\n":  "two base files",
		"file a seq 2 type i\nfile b seq 2 type i\n":  "do not ascend",
		"file missing seq 1 type i\n":                 "no such file",
		"file torn seq 1 type i\nfile b seq 2 type i": "torn: offset 27: it ends in the middle",
	} {
		dir := t.TempDir()
		name := filepath.Join(dir, "x.manifest")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "torn"), []byte(resp("SET a 1")+"*1"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte(resp("SET b 1")), 0o600))
		_, err := server.Import(configured(t, filepath.Join(dir, "data")), name, nil)
		require.ErrorContains(t, err, what, text)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "the base"), []byte(resp("SET a 1", "SELECT 1")), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte(resp("INCR a")), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.manifest"),
		[]byte("# a remark\nfile b seq 7 type i\nfile old seq 1 type h\nfile \"the base\" seq 3 type b\n"), 0o600))
	require.EqualValues(t, 1, imported(t, dir, filepath.Join(dir, "data")).Keys)
	s := serve(t, filepath.Join(dir, "data"))
	require.Equal(t, `"2"`, s.do("GET", "a"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y.manifest"), nil, 0o600))
	_, err := server.Import(configured(t, filepath.Join(dir, "data2")), dir, nil)
	require.ErrorContains(t, err, "name one of them")
	_, err = server.Import(configured(t, filepath.Join(dir, "data2")), filepath.Join(dir, "data"), nil)
	require.ErrorContains(t, err, "has no file that ends in .manifest")
	_, err = server.Import(configured(t, filepath.Join(dir, "data")), filepath.Join(dir, "x.manifest"), nil)
	require.ErrorContains(t, err, "already holds data")
}

// A server does not begin with less than Redis has left in its directory.
func TestLogOfRedisIsNotPassedOver(t *testing.T) {
	stale := file(t, func(w *rdb.Writer) { w.Key(key(0, "stale")).String(nil) })
	for _, name := range []string{"appendonlydir", "appendonly.aof"} {
		dir := t.TempDir()
		log := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), stale, 0o600))
		if name == "appendonlydir" {
			require.NoError(t, os.Mkdir(log, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(log, "incr"), []byte(resp("SET new v")), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(log, "appendonly.aof.manifest"), []byte("file incr seq 1 type i\n"), 0o600))
		} else {
			require.NoError(t, os.WriteFile(log, []byte(resp("SET new v")), 0o600))
		}
		require.ErrorContains(t, starts(t, dir), name+" is a log of Redis")
		require.Len(t, dirNames(t, dir), 2)
		imported(t, log, dir)
		s := serve(t, dir)
		require.Equal(t, `"v"`, s.do("GET", "new"))
		require.Equal(t, "(integer) 1", s.do("DBSIZE"))
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o700))
	require.Equal(t, "(integer) 0", serve(t, dir).do("DBSIZE"), "there is nothing in it")
}

func dirNames(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != datadir.LockName {
			names = append(names, e.Name())
		}
	}
	return names
}

// Times that count from now do so from the import; deliveries keep theirs.
func TestImportOfTimesInLogs(t *testing.T) {
	const dumped = "\x00\x01\x61\x08\x00\x06\xd3\x03\x24\x26\x2f\xf7\x8c" // a, by DUMP of Redis 4
	dir := filepath.Join(t.TempDir(), "data")
	done := imported(t, write(t, resp(
		"SET gone v PXAT 1000", "APPEND gone w", "SET kept v PXAT 1000", "PERSIST kept",
		"XADD x 1-1 f v", "XGROUP CREATE x g 0", "XCLAIM x g c 0 1-1 TIME 1700000000000 RETRYCOUNT 2 FORCE JUSTID",
		"SET a v EX 1000", "SETEX b 1000 v", "SET c v", "EXPIRE c 1000", "SET EX EX", "SET d v", "GETEX d EX 1000",
		"RESTORE e 1000000 "+dumped, "RESTORE f 0 "+dumped, "RESTORE g 1000 "+dumped+" ABSTTL",
	)), dir)
	require.EqualValues(t, 2, done.Expired)
	require.EqualValues(t, 9, done.Keys)
	s := serve(t, dir)
	require.Equal(t, "(integer) 0", s.do("EXISTS", "gone"))
	require.Equal(t, "(integer) -1", s.do("TTL", "kept"))
	require.Equal(t, "(integer) -1", s.do("TTL", "EX"))
	require.Contains(t, s.do("XINFO", "STREAM", "x", "FULL"), "1700000000000")
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		require.Regexp(t, `^\(integer\) (9\d\d|1000)$`, s.do("TTL", key))
	}
}
