package bench_test

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	restartKeys  = flag.Int("restart-keys", 0, "measure how long a start takes with so many keys, beside redis-server")
	snapshotKeys = flag.Int("snapshot-keys", 0, "measure the latency of commands while so many keys are saved, beside redis-server")
)

// A process is a server of its own, so that what it costs can be read.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	port string
}

func startProcess(t *testing.T, binary string, args ...string) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	p := &process{t: t, cmd: exec.Command(binary, append([]string{"--port", port}, args...)...), port: port}
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		defer c.Close()
		_, _ = c.Write([]byte("PING\r\n"))
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "+PONG\r\n"
	}, 10*time.Minute, 5*time.Millisecond)
	return p
}

// end stops the server and returns the processor time that it has used.
func (p *process) end() time.Duration {
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	_ = p.cmd.Wait()
	u := p.cmd.ProcessState
	return u.UserTime() + u.SystemTime()
}

func (p *process) do(command string) string {
	p.t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+p.port)
	require.NoError(p.t, err)
	defer c.Close()
	_, err = c.Write([]byte(command + "\r\n"))
	require.NoError(p.t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(p.t, err)
	require.False(p.t, strings.HasPrefix(line, "-"), line)
	return strings.TrimSpace(line)
}

// settle waits until no snapshot is being written.
func (p *process) settle() {
	require.Eventually(p.t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+p.port)
		require.NoError(p.t, err)
		defer c.Close()
		_, err = c.Write([]byte("INFO persistence\r\nECHO end\r\n"))
		require.NoError(p.t, err)
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			require.NoError(p.t, err)
			switch strings.TrimSpace(line) {
			case "rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1":
				return false
			case "end":
				return true
			}
		}
	}, 10*time.Minute, 50*time.Millisecond)
}

func buildFerricd(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "ferricd")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/ferricd").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// TestRestart measures how long a server takes until it serves what it has kept.
func TestRestart(t *testing.T) {
	if *restartKeys == 0 {
		t.Skip("measures only with -restart-keys")
	}
	ferricd := buildFerricd(t)
	redis, err := exec.LookPath("redis-server")
	require.NoError(t, err)
	n := strconv.Itoa(*restartKeys)
	fmt.Printf("| %s keys of 64 bytes | seconds | processor s |\n|---|--:|--:|\n", n)
	row := func(what, binary string, args ...string) {
		start := time.Now()
		p := startProcess(t, binary, args...)
		took := time.Since(start)
		require.Equal(t, ":"+n, p.do("DBSIZE"))
		fmt.Printf("| %s | %.2f | %.2f |\n", what, took.Seconds(), p.end().Seconds())
	}
	dir := t.TempDir()
	ours := []string{"--dir", dir, "--auto-aof-rewrite-percentage", "0", "--enable-debug-command", "yes"}
	p := startProcess(t, ferricd, ours...)
	p.do("DEBUG POPULATE " + n + " key 64")
	p.end()
	row("ferricd, from its log", ferricd, ours...)
	p = startProcess(t, ferricd, ours...)
	p.do("SAVE")
	p.end()
	row("ferricd, from a snapshot", ferricd, ours...)

	dir = t.TempDir()
	theirs := []string{"--dir", dir, "--save", "", "--aof-use-rdb-preamble", "no", "--enable-debug-command", "yes", "--appendonly"}
	p = startProcess(t, redis, append(theirs, "yes")...)
	p.do("DEBUG POPULATE " + n + " key 64")
	p.do("BGREWRITEAOF") // POPULATE tells no log
	p.settle()
	p.do("SAVE")
	p.end()
	row("redis-server, from its AOF", redis, append(theirs, "yes")...)
	row("redis-server, from its RDB", redis, append(theirs, "no")...)
}

// TestTailDuringSnapshot measures what a snapshot does to others' latency.
func TestTailDuringSnapshot(t *testing.T) {
	if *snapshotKeys == 0 {
		t.Skip("measures only with -snapshot-keys")
	}
	fmt.Printf("| %d keys, 8 clients, SET | p50 µs | p99 | p99.9 | longest |\n|---|--:|--:|--:|--:|\n", *snapshotKeys)
	redis, err := exec.LookPath("redis-server")
	require.NoError(t, err)
	for _, server := range []struct{ name, binary string }{{"ferricd", buildFerricd(t)}, {"redis-server", redis}} {
		p := startProcess(t, server.binary, "--dir", t.TempDir(), "--save", "", "--enable-debug-command", "yes",
			"--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
		p.do(fmt.Sprintf("DEBUG POPULATE %d key 64", *snapshotKeys))
		for _, saving := range []bool{false, true} {
			times := p.latencies(4*time.Second, saving)
			at := func(f float64) int64 { return times[int(f*float64(len(times)-1))].Microseconds() }
			what := map[bool]string{false: "at rest", true: "saving"}[saving]
			fmt.Printf("| %s, %s | %d | %d | %d | %d |\n", server.name, what, at(.5), at(.99), at(.999), at(1))
		}
		p.end()
	}
}

// latencies are those of SETs to keys that are there, ascending.
func (p *process) latencies(span time.Duration, saving bool) []time.Duration {
	var mu sync.Mutex // guards all
	var all []time.Duration
	var work sync.WaitGroup
	end := time.Now().Add(span)
	for i := range 8 {
		work.Go(func() {
			var own []time.Duration
			c, err := net.Dial("tcp", "127.0.0.1:"+p.port)
			if err != nil {
				p.t.Error(err)
				return
			}
			defer c.Close()
			r, rng := bufio.NewReader(c), rand.New(rand.NewPCG(1, uint64(i)))
			for time.Now().Before(end) {
				key := fmt.Sprintf("key:%d", rng.IntN(*snapshotKeys))
				call := fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$5\r\nvalue\r\n", len(key), key)
				start := time.Now()
				_, err := c.Write(call)
				if err == nil {
					_, err = r.ReadString('\n')
				}
				if err != nil {
					p.t.Error(err)
					return
				}
				own = append(own, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	for saving && time.Now().Before(end) {
		p.do("BGREWRITEAOF")
		p.settle()
	}
	work.Wait()
	slices.Sort(all)
	return all
}
