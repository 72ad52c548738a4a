//go:build linux

package failover

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A process is a program that a test has started. What it says goes to a file,
// shown when the test fails.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	dead chan struct{}
}

// start starts a program. It ends with the test, by SIGKILL. The log is appended to,
// so that all lives of a node are in it.
func start(t testing.TB, name, log string, env []string, argv ...string) *process {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	require.NoError(t, err)
	defer f.Close()
	fmt.Fprintf(f, "%s --- %s\n", time.Now().Format("15:04:05.000"), strings.Join(argv, " "))
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), log: log, dead: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = f, f, append(os.Environ(), env...)
	// It dies with the test binary, however that ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.launch())
	t.Cleanup(p.kill)
	return p
}

// spawner starts processes from a thread that stays: Pdeathsig is sent when the
// thread ends that has started the child.
var spawner = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

func (p *process) launch() error {
	done := make(chan error, 1)
	spawner() <- func() { done <- p.cmd.Start() }
	if err := <-done; err != nil {
		return err
	}
	go func() {
		defer close(p.dead)
		_ = p.cmd.Wait()
	}()
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s), "%s: %v", p.name, s)
}

// kill is for ever and waited for; a process that is dead already is no fault.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.dead
}

func (p *process) running() bool {
	select {
	case <-p.dead:
		return false
	default:
		return true
	}
}

// exit waits for the end and returns the exit code; -1 is a signal's.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.dead:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs a program to its end and returns what it says and its exit code.
func run(t testing.TB, env []string, argv ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &errs
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// calm makes sure that no process has said that something is wrong with itself.
func calm(t testing.TB, dir string) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, word := range []string{"DATA RACE", "panic", "fatal error: "} {
			if at := bytes.Index(b, []byte(word)); at >= 0 {
				t.Errorf("%s: %s", filepath.Base(name), b[max(0, at-200):min(len(b), at+3000)])
			}
		}
	}
}

// showLogs prints the end of each log in a directory if the test has failed.
func showLogs(t testing.TB, dir string) {
	if !t.Failed() && !*keepLogs {
		return
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, name := range names {
		b, _ := os.ReadFile(name)
		lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		if n := len(lines); n > 120 {
			lines = append(append(lines[:10:10], "..."), lines[n-110:]...)
		}
		t.Logf("%s:\n%s", filepath.Base(name), strings.Join(lines, "\n"))
	}
}

// freePort returns a port that no other call gets.
func freePort(t testing.TB) int {
	t.Helper()
	port, err := strconv.Atoi(transcript.FreePort(t))
	require.NoError(t, err)
	return port
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// eventually polls until ok, which may not be signalled by anything. what says for
// what it waits.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}
