package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// The tests of this package drive the built binary as its users do: with
// redis-cli, redis-benchmark and client libraries.

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ferricd")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "ferricd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type process struct {
	cmd  *exec.Cmd
	port string
	out  *lines
	done chan error
}

// lines are what a process has printed.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	seen chan struct{} // gets one for every line
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs the binary until the test ends and waits until it is ready.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{port: transcript.FreePort(t), out: &lines{seen: make(chan struct{}, 1024)}, done: make(chan error, 1)}
	p.cmd = exec.Command(binary, append([]string{"--port", p.port, "--dir", t.TempDir()}, args...)...)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	ready := make(chan struct{})
	go func() {
		for sc := bufio.NewScanner(stdout); sc.Scan(); {
			p.out.mu.Lock()
			p.out.text.WriteString(sc.Text() + "\n")
			p.out.mu.Unlock()
			if strings.Contains(sc.Text(), "Ready to accept connections") {
				close(ready)
			}
		}
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	select {
	case <-ready:
	case err := <-p.done:
		t.Fatalf("ferricd ended: %v\n%s", err, p.out)
	case <-time.After(20 * time.Second):
		t.Fatalf("ferricd is not ready:\n%s", p.out)
	}
	return p
}

func (p *process) addr() string { return "127.0.0.1:" + p.port }

// tool runs an installed program against the server and returns what it prints.
func (p *process) tool(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-p", p.port}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	return string(out)
}

func TestRedisCli(t *testing.T) {
	p := start(t)
	cli := func(args ...string) string { return strings.TrimSpace(p.tool(t, "", "redis-cli", args...)) }
	require.Equal(t, "1", cli("INCR", "n"))
	require.Equal(t, "2", cli("INCR", "n"))
	require.Equal(t, "5", cli("APPEND", "s", "hello"))
	require.Equal(t, "hello", cli("GETSET", "s", "bye"))
	require.Equal(t, "3", cli("LPUSH", "l", "a", "b", "c"))
	require.Equal(t, "a", cli("LMOVE", "l", "m", "RIGHT", "LEFT"))
	require.Equal(t, "c\nb", cli("LRANGE", "l", "0", "-1"))
	require.Equal(t, "OK", cli("-3", "SET", "x", "1"))
	keys := strings.Fields(cli("--scan"))
	require.ElementsMatch(t, []string{"n", "s", "l", "m", "x"}, keys)
	require.Contains(t, cli("--bigkeys"), "Biggest   list found")
	require.Contains(t, cli("--memkeys"), "Biggest")
	require.Equal(t, "OK", cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"))
	require.Contains(t, cli("--hotkeys"), "Sampled 5 keys")
	pipe := p.tool(t, "SET p1 v\r\nINCR p2\r\nRPUSH p3 a b\r\n", "redis-cli", "--pipe")
	require.Contains(t, pipe, "errors: 0, replies: 3")
	require.Contains(t, cli("INFO", "server"), "ferricd_version:")
}

// The endless modes of redis-cli print at least their first lines.
func TestRedisCliStat(t *testing.T) {
	p := start(t)
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	for _, mode := range []string{"--stat", "--latency-history"} {
		cmd := exec.Command(path, "-p", p.port, mode, "-i", "1")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		line, err := bufio.NewReader(stdout).ReadString('\n')
		require.NoError(t, err, mode)
		require.NotContains(t, strings.ToLower(line), "err", mode)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}

func TestRedisBenchmark(t *testing.T) {
	p := start(t)
	out := p.tool(t, "", "redis-benchmark", "-n", "2000", "-c", "20", "-P", "16", "-q",
		"-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,mset")
	require.NotContains(t, out, "Error")
	require.Contains(t, out, "INCR: ")
	require.Contains(t, out, "LRANGE_100 (first 100 elements): ")
}

func TestGoRedis(t *testing.T) {
	p := start(t, "--requirepass", "secret")
	for _, protocol := range []int{2, 3} {
		c := redis.NewClient(&redis.Options{Addr: p.addr(), Password: "secret", Protocol: protocol, ClientName: "test"})
		ctx := t.Context()
		require.NoError(t, c.FlushAll(ctx).Err())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					if err := c.Incr(ctx, "n").Err(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		n, err := c.Get(ctx, "n").Int()
		require.NoError(t, err)
		require.Equal(t, 400, n)
		require.NoError(t, c.Set(ctx, "k", "v", time.Minute).Err())
		require.NoError(t, c.RPush(ctx, "l", "a", "b").Err())
		moved, err := c.LMove(ctx, "l", "m", "left", "right").Result()
		require.NoError(t, err)
		require.Equal(t, "a", moved)
		_, err = c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range 100 {
				pipe.Set(ctx, fmt.Sprint("p", i), i, 0)
			}
			return nil
		})
		require.NoError(t, err)
		keys, _, err := c.Scan(ctx, 0, "p*", 1000).Result()
		require.NoError(t, err)
		require.Len(t, keys, 100)
		require.ErrorIs(t, c.Get(ctx, "missing").Err(), redis.Nil)
		name, err := c.ClientGetName(ctx).Result()
		require.NoError(t, err)
		require.Equal(t, "test", name)
		require.NoError(t, c.Close())
	}
}

func TestRueidis(t *testing.T) {
	p := start(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.addr()}, DisableCache: true})
	require.NoError(t, err)
	defer c.Close()
	ctx := t.Context()
	require.NoError(t, c.Do(ctx, c.B().Set().Key("k").Value("v").ExSeconds(60).Build()).Error())
	v, err := c.Do(ctx, c.B().Get().Key("k").Build()).ToString()
	require.NoError(t, err)
	require.Equal(t, "v", v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := c.Do(ctx, c.B().Incr().Key("n").Build()).Error(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n, err := c.Do(ctx, c.B().Get().Key("n").Build()).AsInt64()
	require.NoError(t, err)
	require.EqualValues(t, 400, n)
}

func TestSignalsAndHealth(t *testing.T) {
	p := start(t)
	health := func() ([]byte, error) {
		return exec.Command(binary, "healthcheck", "--port", p.port).CombinedOutput()
	}
	out, err := health()
	require.NoError(t, err, "%s", out)
	require.Empty(t, out)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.done:
		require.NoError(t, err, p.out.String())
	case <-time.After(20 * time.Second):
		t.Fatal("SIGTERM does not end the server")
	}
	require.Contains(t, p.out.String(), "bye bye")
	out, err = health()
	require.Error(t, err)
	require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
}

func TestBadOptions(t *testing.T) {
	for _, args := range [][]string{
		{"--prot", "1"}, {"--port", "x"}, {"--maxmemory", "lots"}, {"/nonexistent.conf"},
		{"--cluster-enabled", "yes"},
	} {
		cmd := exec.Command(binary, args...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%q: %s", args, out)
		require.Equal(t, 1, exit.ExitCode())
		require.Equal(t, 1, strings.Count(string(out), "\n"), "%q: %s", args, out)
	}
	// What only turns out when it starts is refused the same way.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for _, args := range [][]string{
		{"--port", port}, {"--port", "0", "--tls-port", port}, {"--dir", "/dev/null/x"}, {"--logfile", "/dev/null/x", "--port", "0"},
	} {
		cmd := exec.Command(binary, args...)
		cmd.Dir = t.TempDir()
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%q", args)
		require.Equal(t, 1, exit.ExitCode(), "%q: %s", args, stderr.String())
		require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%q: %s", args, stderr.String())
	}
	for _, args := range [][]string{{"--version"}, {"-v"}, {"--help"}, {"-h"}} {
		out, err := exec.Command(binary, args...).CombinedOutput()
		require.NoError(t, err)
		require.Contains(t, string(out), "ferricd")
	}
}
