package electiontest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/transcript"
)

// Process starts the installed etcd with the timing it has by default, or skips the
// test where there is none.
func Process(t *testing.T) Backend { return processes(t, 1)[0] }

// Trio starts three of them, which are one etcd.
func Trio(t *testing.T) []Backend { return processes(t, 3) }

func processes(t *testing.T, n int) (all []Backend) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("etcd is not installed")
	}
	var started []*process
	var peers []string
	for i := range n {
		p := &process{
			t: t, path: path, name: fmt.Sprint("e", i),
			dir: filepath.Join(t.TempDir(), "data"), client: FreePort(t), peer: FreePort(t),
		}
		started, all = append(started, p), append(all, p)
		peers = append(peers, p.name+"=http://"+p.peer)
	}
	for _, p := range started {
		p.peers = strings.Join(peers, ",")
		p.launch()
		t.Cleanup(p.stop)
	}
	for _, p := range started {
		p.answers()
	}
	return all
}

// process is used by the goroutine of one test.
type process struct {
	t            *testing.T
	name         string
	path, dir    string
	client, peer string // host:port
	peers        string // all of this etcd
	said         *tail
	cmd          *exec.Cmd
	frozen       bool
}

// FreePort returns an address of the loopback interface that no other call gets.
func FreePort(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + transcript.FreePort(t)
}

func (p *process) Address() string { return p.client }

func (p *process) start() {
	p.t.Helper()
	p.launch()
	p.answers()
}

func (p *process) answers() {
	p.t.Helper()
	require.NoError(p.t, Answers(p.client), "etcd does not answer; it said: %s", p.said)
}

func (p *process) launch() {
	p.t.Helper()
	p.said = &tail{}
	p.cmd = exec.Command(p.path, "--name", p.name, "--data-dir", p.dir,
		"--listen-client-urls", "http://"+p.client, "--advertise-client-urls", "http://"+p.client,
		"--listen-peer-urls", "http://"+p.peer, "--initial-advertise-peer-urls", "http://"+p.peer,
		"--initial-cluster", p.peers)
	p.cmd.Env = append(os.Environ(), "ETCD_LOG_LEVEL=error", "ETCD_UNSUPPORTED_ARCH=arm64")
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = dieWithParent()
	require.NoError(p.t, p.cmd.Start())
}

// Answers waits until an etcd serves reads.
func Answers(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := election.OpenAdmin(election.Options{Endpoints: []string{address}, Cluster: "nobody"})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	for {
		if _, err = a.View(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // between two tries, not instead of one
	}
}

func (p *process) stop() {
	p.Thaw()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

func (p *process) Freeze() {
	p.signal(syscall.SIGSTOP)
	p.frozen = true
}

func (p *process) Thaw() {
	if p.frozen {
		p.signal(syscall.SIGCONT)
		p.frozen = false
	}
}

func (p *process) Restart() {
	p.signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	p.start()
}

func (p *process) Wipe() {
	p.stop()
	require.NoError(p.t, os.RemoveAll(p.dir))
	p.start()
}

// tail keeps the end of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b...)
	w.b = bytes.Clone(w.b[max(0, len(w.b)-4096):])
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}
