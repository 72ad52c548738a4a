package compare

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A server is a process that is measured.
type server struct {
	name, addr string
	pid        int
	holds      string // what it was last filled with; "" after a load that grows
	stop       func()
}

// A maker starts servers of one kind.
type maker struct {
	name, binary string
	options      []string
}

const (
	ours   = "ferricd"
	oracle = "redis-server" // what ratios are to
)

// makers builds ferricd and finds the others, redis-server second.
func makers(t *testing.T) []maker {
	t.Helper()
	redis, err := exec.LookPath(oracle)
	require.NoError(t, err, "ratios are to redis-server")
	ferricd := filepath.Join(t.TempDir(), "ferricd")
	out, err := exec.Command("go", "build", "-trimpath", "-o", ferricd, "github.com/ferricd/ferricd/cmd/ferricd").CombinedOutput()
	require.NoError(t, err, "%s", out)
	made := []maker{{name: ours, binary: ferricd}, {name: oracle, binary: redis}}
	if *also != "" {
		made = append(made, maker{"ferricd " + *also, ferricd, strings.Fields(*also)})
	}
	if valkey, err := exec.LookPath("valkey-server"); err == nil {
		made = append(made, maker{name: "valkey-server", binary: valkey})
	}
	return made
}

// logged is the name of a server that keeps a log with that appendfsync, and peer who it
// is compared with: redis-server with the same.
func logged(name, appendfsync string) string {
	if appendfsync == "" {
		return name
	}
	return name + ", " + appendfsync
}

func peer(name string) string {
	for _, l := range logs[1:] {
		if strings.HasSuffix(name, ", "+l) {
			return logged(oracle, l)
		}
	}
	return oracle
}

var logs = []string{"", "everysec", "always"}

// start starts a server on a free port, on core if that is not negative, with a log that
// appendfsync speaks of, or none.
func (m maker) start(t *testing.T, core int, appendfsync string) *server {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", ""}
	if appendfsync == "" {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", appendfsync)
	}
	cmd := exec.Command(m.binary, append(args, m.options...)...)
	// A test that panics or is killed takes its servers with it.
	// Ctrl-C, which a terminal sends to the whole group, is for the test alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	require.NoError(t, startOn(cmd, core))
	stopped := false
	s := &server{name: logged(m.name, appendfsync), addr: addr, pid: cmd.Process.Pid, stop: func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}}
	t.Cleanup(s.stop)
	require.Eventually(t, func() bool {
		c, err := connect(addr, 1)
		if err == nil {
			c.close()
		}
		return err == nil
	}, 20*time.Second, 5*time.Millisecond, "%s does not answer", m.name)
	require.Equal(t, s.pid, answers(t, addr), "somebody else has taken %s's port", m.name)
	return s
}

// signal sends sig to a server that is a process of its own.
func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if s.pid != os.Getpid() {
		require.NoError(t, syscall.Kill(s.pid, sig), s.name)
	}
}

// answers is the process that serves addr, by its own word.
func answers(t *testing.T, addr string) int {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	require.NoError(t, err)
	defer conn.Close()
	v, err := transcript.NewClient(conn, 10*time.Second).Do("INFO", "server")
	require.NoError(t, err)
	_, value, found := strings.Cut(v.Str, "\nprocess_id:")
	require.True(t, found, v.Str)
	pid, err := strconv.Atoi(strings.Fields(value)[0])
	require.NoError(t, err)
	return pid
}

// startOn starts cmd pinned to core: a process inherits the cores of the thread that
// starts it, so its runtime sees one core from the beginning.
func startOn(cmd *exec.Cmd, core int) error {
	if core < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := pinThread(core)
	if err != nil {
		return err
	}
	defer back()
	return cmd.Start()
}

// pinThread pins the calling thread, which the caller has locked, until back is called.
func pinThread(core int) (back func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, err
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}

// cores returns one core for the servers and one for the client, or -1 and -1 where there
// is only one.
func cores(t *testing.T) (servers, client int) {
	t.Helper()
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	var found []int
	for i := 0; len(found) < 2 && i < len(set)*64; i++ {
		if set.IsSet(i) {
			found = append(found, i)
		}
	}
	if len(found) < 2 {
		return -1, -1
	}
	return found[0], found[1]
}

// cpuTime is the user and system time that the kernel has counted for all threads of a
// process, to the nanosecond: what clock_getcpuclockid(3) reads.
func cpuTime(pid int) (time.Duration, error) {
	const sched = 2 // which of a process' three clocks
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &at); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}

// busyTime is how long all cores together were at work since the system's start, for
// itself, for anybody, or for another system on the same hardware.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins %q", line)
	}
	ticks := int64(0)
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 { // idle, and idle while a disk works
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// status is a number of /proc/PID/status, such as VmRSS in kB.
func status(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, value, found := strings.Cut(string(text), "\n"+name+":")
	require.True(t, found, name)
	n, err := strconv.Atoi(strings.Fields(value)[0])
	require.NoError(t, err)
	return n
}

// load sends what fill does to s.
func (s *server) load(t *testing.T, fill func(p *Pipeline)) {
	t.Helper()
	c, err := net.Dial("tcp4", s.addr)
	require.NoError(t, err)
	defer c.Close()
	p := NewPipeline(c)
	fill(p)
	require.NoError(t, p.Flush(), s.name)
}
