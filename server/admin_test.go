package server_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

func ask(t *testing.T, c *transcript.Client, args ...string) transcript.Value {
	t.Helper()
	v, err := c.Do(args...)
	require.NoError(t, err, "%q", args)
	return v
}

func dialAt(t *testing.T, addr string) *transcript.Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	c := transcript.NewClient(conn, 10*time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

func infoField(t *testing.T, c *transcript.Client, section, name string) string {
	t.Helper()
	for line := range strings.Lines(ask(t, c, "INFO", section).Str) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("INFO %s has no %s", section, name)
	return ""
}

// started runs a server where its parameters say.
func started(t *testing.T, args ...string) *server.Server {
	t.Helper()
	cfg := config.New()
	require.NoError(t, cfg.Load(append([]string{"--dir", t.TempDir(), "--port", transcript.FreePort(t)}, args...), nil))
	s, err := server.Open(server.Options{Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestThePortMoves(t *testing.T) {
	s := started(t)
	old, c := s.Addr(), dialAt(t, s.Addr())
	port := transcript.FreePort(t)
	require.Equal(t, "OK", ask(t, c, "CONFIG", "SET", "port", port).Str)
	require.Equal(t, "127.0.0.1:"+port, s.Addr())
	require.Equal(t, port, infoField(t, c, "server", "tcp_port"), "who was there before stays")
	require.Equal(t, "PONG", ask(t, dialAt(t, s.Addr()), "PING").Str)
	_, err := net.Dial("tcp", old)
	require.Error(t, err)

	// A port that is taken leaves everything as it was.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	require.Equal(t, "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
		ask(t, c, "CONFIG", "SET", "maxmemory-samples", "9", "port", taken).Str)
	require.Equal(t, "PONG", ask(t, dialAt(t, "127.0.0.1:"+port), "PING").Str)
	require.Equal(t, "5", ask(t, c, "CONFIG", "GET", "maxmemory-samples").Elems[1].Str)

	require.Equal(t, "OK", ask(t, c, "CONFIG", "SET", "port", "0").Str)
	_, err = net.Dial("tcp", "127.0.0.1:"+port)
	require.Error(t, err)
	require.Equal(t, "PONG", ask(t, c, "PING").Str)
}

func TestDebugIsForThoseWhomItsParameterAdmits(t *testing.T) {
	for value, allowed := range map[string]bool{"no": false, "local": true, "yes": true} {
		s := testserver.Start(t, "--enable-debug-command", value)
		c := dialAt(t, s.Addr())
		require.Equal(t, !allowed, ask(t, c, "DEBUG", "JMAP").IsError(), value)
		ask(t, c, "MULTI")
		require.Equal(t, !allowed, ask(t, c, "DEBUG", "JMAP").IsError(), "refused before it is queued")
		ask(t, c, "DISCARD")
	}
}

func TestStatisticsBeginAnew(t *testing.T) {
	s := testserver.Start(t)
	c := dialAt(t, s.Addr())
	ask(t, c, "SET", "k", strings.Repeat("x", 5000))
	ask(t, c, "GET", "k")
	ask(t, c, "GET", "nosuch")
	ask(t, c, "NOSUCH")
	for _, name := range []string{"total_connections_received", "total_commands_processed", "total_net_input_bytes", "total_net_output_bytes",
		"keyspace_hits", "keyspace_misses", "total_error_replies", "total_reads_processed", "total_writes_processed"} {
		require.NotEqual(t, "0", infoField(t, c, "stats", name), name)
	}
	require.Equal(t, "OK", ask(t, c, "CONFIG", "RESETSTAT").Str)
	for _, name := range []string{"total_connections_received", "keyspace_hits", "keyspace_misses", "total_error_replies"} {
		require.Equal(t, "0", infoField(t, c, "stats", name), name)
	}
	in, err := strconv.Atoi(infoField(t, c, "stats", "total_net_input_bytes"))
	require.NoError(t, err)
	require.Less(t, in, 1000)
}

func TestLatencyTrackingCanBeOffFromTheStart(t *testing.T) {
	c := dialAt(t, testserver.Start(t, "--latency-tracking", "no").Addr())
	ask(t, c, "PING")
	require.Empty(t, ask(t, c, "LATENCY", "HISTOGRAM", "ping").Elems)
	ask(t, c, "CONFIG", "SET", "latency-tracking", "yes")
	ask(t, c, "PING")
	require.Len(t, ask(t, c, "LATENCY", "HISTOGRAM", "ping").Elems, 2)
}

func TestTheConfigurationFileIsRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ferricd.conf")
	require.NoError(t, os.WriteFile(path, []byte("# mine\nmaxmemory 1mb\n"), 0o600))
	cfg := config.New()
	require.NoError(t, cfg.Load([]string{path, "--dir", t.TempDir()}, nil))
	s, err := server.Open(server.Options{Config: cfg, Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	c := dialAt(t, s.Addr())
	require.Equal(t, "OK", ask(t, c, "CONFIG", "SET", "maxmemory", "2mb").Str)
	require.Equal(t, "OK", ask(t, c, "CONFIG", "REWRITE").Str)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(text, []byte("# mine\nmaxmemory 2mb\n")), "%s", text)
}

func TestClientsThatHoldMostGoFirst(t *testing.T) {
	s := testserver.Start(t, "--hz", "500")
	c, kept, big := dialAt(t, s.Addr()), dialAt(t, s.Addr()), testserver.Dial(t, s)
	ask(t, c, "CLIENT", "NO-EVICT", "on")
	ask(t, kept, "PING")
	_, err := big.Write([]byte("*2\r\n$3\r\nGET\r\n$3000000\r\n" + strings.Repeat("x", 2<<20)))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(ask(t, c, "CLIENT", "LIST").Str, "qbuf=20")
	}, 10*time.Second, 10*time.Millisecond, "the big one has not been read")
	ask(t, c, "CONFIG", "SET", "maxmemory-clients", "1mb")
	require.NoError(t, big.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = big.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was not closed")
	require.Equal(t, "PONG", ask(t, kept, "PING").Str)
	require.Equal(t, "1", infoField(t, c, "stats", "evicted_clients"))
}

// Every field that redis-server's INFO has is there.
func TestInfoHasTheFieldsOfRedis(t *testing.T) {
	theirs := dialAt(t, transcript.StartRedis(t))
	ours := dialAt(t, testserver.Start(t).Addr())
	for _, c := range []*transcript.Client{theirs, ours} {
		ask(t, c, "SET", "k", "v", "EX", "100")
		ask(t, c, "NOSUCH")
	}
	has := map[string]bool{}
	for line := range strings.Lines(ask(t, ours, "INFO", "everything").Str) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		has[name] = true
	}
	for line := range strings.Lines(ask(t, theirs, "INFO", "everything").Str) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(name, "cmdstat_") && !strings.HasPrefix(name, "latency_percentiles_") {
			require.True(t, has[name], name)
		}
	}
}

// What the server does besides commands is watched too.
func TestALongExpiryCycleIsNoticed(t *testing.T) {
	s := testserver.Start(t, "--hz", "1", "--active-expire-effort", "10", "--latency-monitor-threshold", "1")
	c := dialAt(t, s.Addr())
	ask(t, c, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	for i := range 20000 {
		ask(t, c, "SET", strconv.Itoa(i), "v", "PX", "1")
	}
	ask(t, c, "LATENCY", "RESET")
	ask(t, c, "DEBUG", "SET-ACTIVE-EXPIRE", "1")
	require.Eventually(t, func() bool {
		return len(ask(t, c, "LATENCY", "HISTORY", "expire-cycle").Elems) > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NotEqual(t, "0", infoField(t, c, "stats", "expire_cycle_cpu_milliseconds"))
}
