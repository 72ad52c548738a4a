package persist_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// A served is a server on a directory, with a client.
type served struct {
	t *testing.T
	*server.Server
	conn net.Conn
	c    *transcript.Client
}

func configured(t *testing.T, dir string, args ...string) *config.Config {
	cfg := config.New()
	args = append([]string{"--dir", dir, "--enable-debug-command", "yes", "--log-segment-size", "65536", "--auto-aof-rewrite-percentage", "0"}, args...)
	require.NoError(t, cfg.Load(args, nil))
	return cfg
}

func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	s, err := server.Open(server.Options{Config: configured(t, dir, args...), Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &served{t, s, conn, transcript.NewClient(conn, time.Minute)}
}

// starts tells with what error a server starts on a directory.
func starts(t *testing.T, dir string, args ...string) error {
	s, err := server.Open(server.Options{Config: configured(t, dir, args...), Addr: "127.0.0.1:0"})
	if err == nil {
		require.NoError(t, s.Close())
	}
	return err
}

func (s *served) do(argv ...string) string {
	s.t.Helper()
	v, err := s.c.Do(argv...)
	require.NoError(s.t, err)
	require.False(s.t, v.IsError(), "%q: %s", argv, v.String())
	return v.String()
}

func (s *served) digest() string { return s.do("DEBUG", "DIGEST") }

func (s *served) end() { require.NoError(s.t, s.Close()) }

// files lists a directory without what everybody finds there.
func files(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != "LOCK" && e.Name() != "manifest.json" {
			names = append(names, e.Name())
		}
	}
	return names
}

func named(t *testing.T, dir, prefix string) []string {
	return slices.DeleteFunc(files(t, dir), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// flip changes one byte of a file; from the end if at is negative.
func flip(t *testing.T, name string, at int64) {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	if at < 0 {
		at += int64(len(b))
	}
	b[at] ^= 0x40
	require.NoError(t, os.WriteFile(name, b, 0o600))
}

// contents are all files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	m := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		m[e.Name()] = string(b)
	}
	return m
}

// long fills a directory with a snapshot and three segments behind it: keys 0 to
// 99 before, 100 to 399 after it.
func long(t *testing.T) (dir string) {
	dir = t.TempDir()
	s := serve(t, dir)
	for i := range 400 {
		s.do("SET", fmt.Sprint("key", i), strings.Repeat("v", 500))
		if i == 99 {
			s.do("SAVE")
		}
	}
	s.end()
	require.Len(t, named(t, dir, "snapshot-"), 1)
	// It stays when the snapshot was faster than the log's writer.
	_ = os.Remove(filepath.Join(dir, "log-00000000000000000000.fer"))
	require.Len(t, named(t, dir, "log-"), 3)
	return dir
}

func dial(t *testing.T, addr string) *transcript.Client {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return transcript.NewClient(conn, time.Minute)
}
