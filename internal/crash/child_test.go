package crash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/server"
)

// childEnv holds the orders of a child: it is this test binary, as a server.
const childEnv = "FERRIC_CRASH_CHILD"

// orders tell a child what to serve and where to die.
type orders struct {
	Args  []string
	Point string // a failpoint; "": the parent kills it
	Hits  int    // how often it is passed before
	Early bool   // also while the server starts; else from arm on
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		fmt.Fprintln(os.Stderr, serve(text))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve never comes back, unless there is nothing to serve.
func serve(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	c := config.New()
	if err := c.Load(o.Args, nil); err != nil {
		return err
	}
	var hits atomic.Int64
	var armed atomic.Bool
	armed.Store(o.Early)
	s, err := server.Open(server.Options{Config: c, Stdout: os.Stderr, Addr: "127.0.0.1:0", Fail: func(point string) {
		if point == o.Point && armed.Load() && hits.Add(1) > int64(o.Hits) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing happens after it
		}
	}})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	b := make([]byte, 1)
	if _, err := os.Stdin.Read(b); err == nil {
		armed.Store(true)
		_, _ = os.Stdin.Read(b)
	}
	return s.Close() // the parent is gone
}

// A child is a server in a process of its own.
type child struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	log  strings.Builder
	dead chan struct{}
}

// startChild starts one. It may die of its orders before it serves: then there is
// no address.
func startChild(t *testing.T, o orders) *child {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	ch := &child{cmd: exec.Command(os.Args[0]), dead: make(chan struct{})}
	ch.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	ch.cmd.Stderr = &ch.log
	ch.in, err = ch.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := ch.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, ch.cmd.Start())
	t.Cleanup(func() { ch.kill() })
	line, _ := bufio.NewReader(out).ReadString('\n') // an error: it is dead
	ch.addr = strings.TrimSpace(line)
	go func() {
		defer close(ch.dead)
		_ = ch.cmd.Wait()
	}()
	if ch.addr == "" {
		<-ch.dead
		require.True(t, ch.killed(), "the server does not start again:\n%s", ch.log.String())
	}
	return ch
}

// killed tells of a dead child whether a signal ended it, and not an exit.
func (ch *child) killed() bool {
	status, ok := ch.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (ch *child) kill() {
	_ = ch.cmd.Process.Kill()
	<-ch.dead
}

// arm lets the child die at its failpoint from now on.
func (ch *child) arm(t *testing.T) {
	_, err := ch.in.Write([]byte{'!'})
	require.NoError(t, err)
}

// killAfter kills the child, unless it dies sooner: then it tells false.
func (ch *child) killAfter(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ch.dead:
		return false
	case <-timer.C:
		ch.kill()
		return true
	}
}
