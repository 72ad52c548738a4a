package config

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// redisServer is a redis-server to compare with.
type redisServer struct {
	t *testing.T
	c *transcript.Client
}

func startRedis(t *testing.T) redisServer {
	conn, err := transcript.TCP(transcript.StartRedis(t))()
	require.NoError(t, err)
	c := transcript.NewClient(conn, 10*time.Second)
	t.Cleanup(func() { c.Close() })
	return redisServer{t, c}
}

// set returns "OK" or the text of the error.
func (s redisServer) set(args ...string) string {
	v, err := s.c.Do(append([]string{"CONFIG", "SET"}, args...)...)
	require.NoError(s.t, err)
	return strings.TrimPrefix(v.Str, "ERR ")
}

func (s redisServer) get(pattern string) map[string]string {
	v, err := s.c.Do("CONFIG", "GET", pattern)
	require.NoError(s.t, err)
	found := map[string]string{}
	for i := 0; i < len(v.Elems); i += 2 {
		found[v.Elems[i].Str] = v.Elems[i+1].Str
	}
	return found
}

func setText(c *Config, args ...string) string {
	if err := c.Set(true, args...); err != nil {
		return err.Error()
	}
	return "OK"
}

func getAll(c *Config, pattern string) map[string]string {
	found := map[string]string{}
	for _, p := range c.Get(pattern) {
		found[p.Name] = p.Value
	}
	return found
}

// Why a default is not redis-server's; the harness' own options are among them.
var otherDefaults = map[string]string{
	"appendonly":           "the log is what keeps the data",
	"bind":                 "this machine only, unless somebody says otherwise",
	"dir":                  "a directory of our own",
	"port":                 "the harness chose it",
	"enable-debug-command": "the harness allows it",
}

func TestKnowsEveryParameterOfRedis(t *testing.T) {
	s := startRedis(t)
	c := New()
	theirs := s.get("*")
	require.Greater(t, len(theirs), 150)
	for _, name := range []string{"key-load-delay", "rdb-key-save-delay", "watchdog-period", "use-exit-on-panic", "lua-enable-deprecated-api", "loading-process-events-interval-bytes"} {
		require.NotContains(t, theirs, name)
		require.NotContains(t, getAll(c, "*"), name)
		maps.Copy(theirs, s.get(name))
	}
	for name, want := range theirs {
		got, known := getAll(c, name)[name]
		require.True(t, known, name)
		if otherDefaults[name] == "" {
			require.Equal(t, want, got, name)
		}
	}
}

// leaveAlone would shut us out of the server or take too long to try.
var leaveAlone = []string{"bind", "port", "requirepass", "dir", "unixsocket", "tls-port"}

// Values on which redis-server and we differ, and why.
func differs(name, text string) bool {
	switch {
	case name == "activedefrag" && strings.EqualFold(text, "yes"):
		return true // refused by redis-server without its own allocator
	case strings.HasPrefix(text, "9999999") && (name == "maxmemory" || name == "maxmemory-clients" || name == "cluster-link-sendbuf-limit"):
		return true // 64 bits there, 63 here
	case strings.HasPrefix(name, "tls-"):
		return true // depends on files there
	case name == "maxclients" && text != "0" && text != "-1":
		return true // depends on the descriptors of the process
	}
	return false
}

func TestSetAnswersAsRedisForEveryParameter(t *testing.T) {
	s := startRedis(t)
	c := New()
	for _, name := range slices.Sorted(maps.Keys(s.get("*"))) {
		if slices.Contains(leaveAlone, name) {
			continue
		}
		own := s.get(name)[name]
		for _, text := range []string{"b@d", "-99999999999999", "-1", "0", "1", "101", "99999", "3000000000", "99999999999999999999", "", "yes", "NO", "1gb", "50%", "007", "a/b", own} {
			if differs(name, text) {
				continue
			}
			require.Equal(t, s.set(name, text), setText(c, name, text), "%s %q", name, text)
			if otherDefaults[name] == "" {
				require.Equal(t, s.get(name), getAll(c, name), "%s %q", name, text)
			}
		}
		require.Equal(t, s.set(name, own), setText(c, name, own), "%s to its own value", name)
	}
}

func TestSetAnswersAsRedisForOddValues(t *testing.T) {
	s := startRedis(t)
	c := New()
	// Each slice begins with the name; every value is tried on both.
	for _, try := range [][]string{
		{"maxmemory", "10k", "10kb", "10K", "1G", "1gB", "1.5gb", "1b", "10x", " 5", "5 ", "010", "0x10", "+5", "1e3", "1 k", "kb", "b1", "9223372036854775807", ""},
		{"maxmemory-clients", "0%", "100%", "-5%", "%", "5k%", "10mb", "5.5%", "1"},
		{"timeout", " 5", "5 ", "+5", "5.0", "0x10", "9223372036854775808", "5k"},
		{"rdbcompression", "YES", "No", "true", "yes "},
		{"loglevel", "NOTICE", "Verbose", "debug notice", " notice", "notice"},
		{"shutdown-on-sigterm", "save", "nosave force", "save nosave", "SAVE now", "default force", "save save", "save  now", " save", "now save", "default"},
		{"save", "3600 1", "3600 1 60 1000", "3600", "0 1", "1 0", "-1 5", "3600 1 60", "a b", "3600  1", " 3600 1", "3600 1 ", "010 1", "1 1 1 1", "1x 2", ""},
		{"client-output-buffer-limit", "normal 0 0 0", "slave 1 1 1", "replica 256mb 64mb 60", "pubsub 1 2 3 normal 1kb 1mb 5", "master 0 0 0", "NORMAL 5 5 5", "normal 1 1 -1", "normal 1 1",
			"normal 1x 1 1", "normal 1 1 1x", "normal 0 0 0 slave 1 2 3 foo 1 1 1", "normal -1 1 1", "normal 1.5 1 1", "normal  1 1 1", "normal 1 1 10000000000000000000000", ""},
		{"notify-keyspace-events", "A", "KEA", "KEA$lsh", "Kg", "AKE", "Em", "En", "KEAmn", "KEAd", "g$lshzxetd", "t", "K E", "z", "q", "d", "n", ""},
		{"oom-score-adj-values", "0 200", "-2000 0 2000", "-2001 0 0", "0 0 2001", "5 4 3", "0 200 800 900", "a b c", "0  2 3", "0 200 800"},
		{"latency-tracking-info-percentiles", "50", "50 99.9 99.99", "101", "-1", "50 50", "abc", "50 ", "0", "99.999999", "1e1", "nan", "inf", "50.50", "100", "99.123456789", "0.000001", ""},
		{"proc-title-template", "{title}", "{nope}", "x {title", "{title} {listen-addr} {port} {tls-port} {unixsocket} {config-file} {server-mode}", "plain", "{}", "a}b", " "},
		{"cluster-announce-hostname", "a.example-1", strings.Repeat("a", 255), strings.Repeat("a", 256), "a b", ""},
		{"hz", "0", "1000", "500", "1"},
		{"repl-backlog-size", "1", "16385", "1mb"},
		{"bind", "127.0.0.1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"},
	} {
		name := try[0]
		for _, text := range try[1:] {
			require.Equal(t, s.set(name, text), setText(c, name, text), "%s %q", name, text)
			if name != "bind" {
				require.Equal(t, s.get(name), getAll(c, name), "%s %q", name, text)
			}
		}
	}
}

func TestSetAnswersAsRedisForSeveralPairs(t *testing.T) {
	s := startRedis(t)
	c := New()
	for _, args := range [][]string{
		{"nosuch", "x"},
		{"NoSuch", "x"},
		{"maxmemory", "1", "maxmemory", "2"},
		{"MaxMemory", "1", "maxmemory", "2"},
		{"maxmemory", "1", "timeout", "x"},
		{"maxmemory", "1", "nosuch", "x"},
		{"timeout", "x", "nosuch", "y"},
		{"timeout", "1", "timeout", "x"},
		{"slave-priority", "1", "replica-priority", "2"},
		{"replica-priority", "7", "slave-priority", "x"},
		{"save", "", "daemonize", "yes"},
		{"timeout", "x", "daemonize", "yes"},
		{"daemonize", "yes", "nosuch", "x"},
		{"nosuch", "x", "daemonize", "yes"},
		{"dir", "x", "daemonize", "yes"},
		{"daemonize", "yes", "dir", "x"},
		{"maxmemory", "5", "nosuch"},
		{"TIMEOUT", "x"},
		{"user", "x"}, {"loadmodule", "x"}, {"rename-command", "a b"}, {"include", "x"},
		{"slaveof", "no one"}, {"cluster-enabled", "no"},
		{"timeout", "7", "hz", "20", "lua-time-limit", "9"},
	} {
		require.Equal(t, s.set(args...), setText(c, args...), "%q", args)
		for _, pattern := range []string{"maxmemory", "timeout", "TimeOut", "*-priority", "hz", "busy*", "lua-time-limit", "[lm]*limit", "nosuch", "nosuch*"} {
			require.Equal(t, s.get(pattern), getAll(c, pattern), "%s after %q", pattern, args)
		}
	}
}

// What cannot be set at run time is compared at start. The option behind makes
// redis-server stop either way.
func TestCommandLineIsReadAsRedisReadsIt(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	theirs := func(args ...string) string {
		// Without a port it ends even if it should find nothing wrong.
		cmd := exec.Command(binary, append([]string{"--port", "0"}, args...)...)
		cmd.Dir = t.TempDir()
		out, _ := cmd.CombinedOutput() // it always fails; what it says is compared
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return strings.TrimSpace(lines[len(lines)-1])
	}
	mine := func(args ...string) string {
		err := New().Load(args, nil)
		require.Error(t, err)
		for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
			err = inner
		}
		return err.Error()
	}
	for _, p := range table {
		if !p.has(immutable) || p.has(ours) || p.kind == kindString || p.kind == kindSpecial || p.name == "cluster-enabled" {
			continue
		}
		for _, text := range []string{"b@d", "-99999999999999", "0", "129", "99999999999"} {
			args := []string{"--" + p.name, text, "--timeout", "x"}
			require.Equal(t, theirs(args...), mine(args...), "%q", args)
		}
	}
	for _, line := range []string{
		"--timeout", "--timeout 5 6", "--save --timeout x", "--save 60 1 --timeout x", "--save 60 --timeout x",
		"--client-output-buffer-limit normal 0 0", "--client-output-buffer-limit normal 0 0 0 pubsub 1 2 3 --timeout x",
		"--shutdown-on-sigterm save now --timeout x", "--shutdown-on-sigterm save nosave", "--oom-score-adj-values 1 2", "--replicaof a",
		"--slaveof no one --timeout x", "--proc-title-template --nosuch --timeout x", "--unixsocketperm 8", "--unixsocketperm 1000",
		"--unixsocketperm -1", "--unixsocketperm 0777 --timeout x", "--appendfilename a/b", "--dbfilename a/b", "--appenddirname a/b", "--appendfilename=", "--appenddirname=",
		"--slowlog-log-slower-than -1 --timeout x", "--slowlog-log-slower-than -2",
	} {
		args := strings.Fields(line)
		if name, found := strings.CutSuffix(line, "="); found {
			args = []string{name, ""}
		}
		require.Equal(t, theirs(args...), mine(args...), line)
	}
}

func TestFilesAreReadAsRedisReadsThem(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.conf")
	for _, text := range []string{
		"timeout \"5", "timeout \"5\"x", "timeout 5 # no comment", "  # comment", "\ttimeout\t5\r", "timeout '5'", "timeout '5\\'", "timeout \"\\x35\"",
		"timeout \"\\x3\"", "timeout 5\"6\"", "TIMEOUT 5", "timeout", "", "   ", "timeout \"5\" ", "proc-title-template \"a\\\"b\"",
		"maxmemory \"\\x31k\\n\"", "save \"\"", "save", "save 60 1\nsave 300 10", "save 60 1 300 10", "save \"60 1 300 10\"", "save 60 1\nsave \"\"", "save 60",
		"client-output-buffer-limit normal 1 1 1\nclient-output-buffer-limit pubsub 2 2 2", "bind 127.0.0.1\nbind \"\"", "'timeout' 5", "\"time\"out 5",
		"shutdown-on-sigterm \"save now\"", "loglevel debug notice", "slave-priority 7\nreplica-priority 8",
	} {
		require.NoError(t, os.WriteFile(path, []byte("port 0\n"+text+"\ntcp-keepalive x\n"), 0o600))
		out, _ := exec.Command(binary, path).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		theirs := strings.TrimSpace(lines[len(lines)-1])
		mine := New().Load([]string{path}, nil).Error()
		require.Equal(t, theirs, mine[strings.LastIndex(mine, ": ")+2:], "%q", text)
	}
}
