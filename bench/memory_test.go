package bench

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/bench/compare"
	"github.com/ferricd/ferricd/internal/transcript"
)

var memoryOf = flag.Int("memory", 0, "elements that TestMemory lets ferricd and redis-server hold of each kind")

// TestMemory prints how much memory an element takes, beside redis-server's: the
// resident set after MEMORY PURGE, less that of the empty server, and what the
// servers themselves say that they use.
func TestMemory(t *testing.T) {
	if *memoryOf == 0 {
		t.Skip("-memory is not set")
	}
	binary := filepath.Join(t.TempDir(), "ferricd")
	out, err := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/ferricd/ferricd/cmd/ferricd").CombinedOutput()
	require.NoError(t, err, "%s", out)
	fmt.Println("| elements | ferricd, bytes each | redis-server | ratio | ferricd's used_memory | redis-server's |")
	fmt.Println("|---|--:|--:|--:|--:|--:|")
	for _, d := range compare.Datasets {
		var rss, used [2]float64
		for i, start := range []func(*testing.T) string{
			func(t *testing.T) string { return startServer(t, binary) },
			func(t *testing.T) string { return transcript.StartRedis(t) },
		} {
			t.Run(fmt.Sprintf("%s/%d", d.Name, i), func(t *testing.T) {
				rss[i], used[i] = weigh(t, start(t), d.Fill, *memoryOf)
			})
		}
		fmt.Printf("| %d %s | %.0f | %.0f | %.2f | %.0f | %.0f |\n", *memoryOf, d.Name, rss[0], rss[1], rss[0]/rss[1], used[0], used[1])
	}
}

// weigh fills the server at addr and tells what an element takes of its resident
// set, and of what it says that it uses.
func weigh(t *testing.T, addr string, fill func(*compare.Pipeline, int), n int) (rss, used float64) {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	c := transcript.NewClient(conn, 5*time.Minute)
	rss0, used0 := memory(t, c)
	load, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	p := compare.NewPipeline(load)
	fill(p, n)
	require.NoError(t, p.Flush())
	require.NoError(t, load.Close())
	rss1, used1 := memory(t, c)
	return float64(rss1-rss0) / float64(n), float64(used1-used0) / float64(n)
}

// memory is the server's resident set and its used_memory, after it has given
// back what it can.
func memory(t *testing.T, c *transcript.Client) (rss, used int64) {
	_, err := c.Do("MEMORY", "PURGE")
	require.NoError(t, err)
	v, err := c.Do("INFO")
	require.NoError(t, err)
	pid := 0
	for line := range strings.Lines(v.Str) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "process_id":
			pid, err = strconv.Atoi(value)
		case "used_memory":
			used, err = strconv.ParseInt(value, 10, 64)
		}
		require.NoError(t, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, text, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	require.NoError(t, err)
	return kilobytes << 10, used
}

// startServer starts a ferricd that keeps nothing until the test ends.
func startServer(t *testing.T, binary string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	return addr
}
