package persist_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
)

func dumped(t *testing.T, dir string, text bool) string {
	var b bytes.Buffer
	require.NoError(t, persist.Dump(vfs.OS, dir, &b, text))
	return b.String()
}

// varied fills a server with values of all types in several databases, and more
// behind a snapshot.
func varied(s interface{ do(...string) string }) {
	for round := range 2 {
		for _, db := range []string{"3", "0", "9"} {
			s.do("SELECT", db)
			key := func(name string) string { return fmt.Sprint(name, round) }
			s.do("MULTI")
			s.do("SET", key("s"), "v \x00\"\\\r\né")
			s.do("INCR", key("n"))
			s.do("SELECT", "12")
			s.do("SET", key("other"), db)
			s.do("EXEC")
			s.do("SELECT", db)
			s.do("SET", key("timed"), "x", "PXAT", "33000000000000")
			for i := range 300 {
				n := fmt.Sprint(i)
				s.do("RPUSH", key("l"), n)
				s.do("SADD", key("set"), "m"+n)
				s.do("ZADD", key("z"), n+".5", "m"+n)
				s.do("HSET", key("h"), "f"+n, n)
				s.do("XADD", key("x"), n+"-1", "f", n)
			}
			s.do("XGROUP", "CREATE", key("x"), "g", "0")
			s.do("XREADGROUP", "GROUP", "g", "c", "COUNT", "9", "STREAMS", key("x"), ">")
			s.do("XDEL", key("x"), "3-1")
		}
		s.do("MOVE", "s0", "5")
		s.do("COPY", "l0", "elsewhere", "DB", "7", "REPLACE")
		if round == 0 {
			s.do("SAVE")
		}
	}
}

func TestDumpsMakeTheSameData(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	varied(s)
	s.do("CONFIG", "SET", "appendfsync", "always")
	s.do("SET", "last", "x") // is answered when all is in the file
	want := s.digest()
	program := dumped(t, dir, false) // beside the server
	lines := dumped(t, dir, true)
	s.end()
	require.Equal(t, program, dumped(t, dir, false))

	to := serve(t, t.TempDir(), "--appendonly", "no")
	_, err := to.c.Do("FLUSHALL")
	require.NoError(t, err)
	run(t, to, program)
	require.Equal(t, want, to.digest())
	to.do("FLUSHALL")
	for line := range strings.Lines(lines) {
		_, err := to.conn.Write([]byte(line)) // the server reads lines by redis-cli's rules
		require.NoError(t, err)
		v, err := to.c.Receive(false)
		require.NoError(t, err)
		require.False(t, v.IsError(), "%s: %s", line, v.String())
	}
	require.Equal(t, want, to.digest())
	require.Contains(t, lines, "MULTI\nSET s1 \"v \\x00\\\"\\\\\\r\\n\\xc3\\xa9\"\n")
}

// run sends a program and sees to it that no command fails.
func run(t *testing.T, s *served, program string) {
	t.Helper()
	for args := range commands(t, program) {
		s.do(args...)
	}
}

// commands takes apart RESP.
func commands(t *testing.T, program string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(program) > 0 {
			var n int
			line := func(mark string) {
				text, rest, ok := strings.Cut(program, "\r\n")
				require.True(t, ok)
				_, err := fmt.Sscanf(text, mark+"%d", &n)
				require.NoError(t, err, text)
				program = rest
			}
			line("*")
			args := make([]string, n)
			for i := range args {
				line("$")
				args[i], program = program[:n], program[n+2:]
			}
			if !yield(args) {
				return
			}
		}
	}
}

func TestDumpsOfBrokenFilesFail(t *testing.T) {
	dir := long(t)
	flip(t, filepath.Join(dir, named(t, dir, "snapshot-")[0]), 1000)
	require.ErrorContains(t, persist.Dump(vfs.OS, dir, &bytes.Buffer{}, false), "is broken at byte")
	dir = long(t)
	flip(t, filepath.Join(dir, named(t, dir, "log-")[0]), 1000)
	require.ErrorContains(t, persist.Dump(vfs.OS, dir, &bytes.Buffer{}, false), "the log is broken")
	require.Error(t, persist.Dump(vfs.OS, t.TempDir(), &bytes.Buffer{}, false))
}

// What is wrong with the reader is said once.
func TestDumpToWhomDoesNotRead(t *testing.T) {
	err := persist.Dump(vfs.OS, long(t), deaf{}, false)
	require.EqualError(t, err, "nobody reads")
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }
