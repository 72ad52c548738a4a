package transcript

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Oracle gives the address of the server that FERRIC_ORACLE names and skips the
// test when it names none.
func Oracle(t testing.TB) string {
	t.Helper()
	name := os.Getenv("FERRIC_ORACLE")
	switch {
	case name == "":
		t.Skip("FERRIC_ORACLE names no server to compare with")
	case strings.Contains(name, ":"):
		return name
	}
	return start(t, name, nil)
}

// StartRedis starts the installed redis-server on a free port of the loopback
// interface, with nothing kept and DEBUG allowed, until the test ends. Further
// arguments follow these. It skips the test when none is installed.
func StartRedis(t testing.TB, args ...string) string {
	t.Helper()
	return start(t, "redis-server", args)
}

// StartSentinel starts a Sentinel that watches the primary at an address by a name,
// with quorum 1, until the test ends.
func StartSentinel(t testing.TB, name, primary string) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	port := FreePort(t)
	addr, dir := "127.0.0.1:"+port, t.TempDir()
	host, at, _ := net.SplitHostPort(primary)
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 1\n", port, dir, name, host, at)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := launch(t, filepath.Join(dir, "log"), addr, "", []string{path, file, "--sentinel"}); err != nil {
		t.Fatalf("no Sentinel: %v", err)
	}
	return addr
}

// A server outlives a test binary that is killed, unless somebody watches: the
// shell ends it when our end of its input closes, whatever the reason.
const watched = `exec 3<&0
"$@" </dev/null 3<&- & server=$!
(cat <&3 >/dev/null; kill "$server" 2>/dev/null) &
exec 3<&-
wait "$server"`

func start(t testing.TB, binary string, args []string) string {
	t.Helper()
	path, err := exec.LookPath(binary)
	if err != nil {
		t.Skipf("%s is not installed", binary)
	}
	dir := t.TempDir()
	var last error
	for range 5 { // somebody else may take the port before the server does
		port := FreePort(t)
		addr := "127.0.0.1:" + port
		all := append([]string{path, "--port", port, "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--enable-debug-command", "yes"}, args...)
		if last = launch(t, filepath.Join(dir, "log"), addr, dir, all); last == nil {
			return addr
		}
	}
	t.Fatalf("%s does not start: %v", binary, last)
	return ""
}

var given sync.Map // ports that FreePort has returned

// FreePort finds a port of the loopback interface where nobody listens, and which no other
// call in this process gets. It is below those that systems give to outgoing connections:
// one of these could take it before the server does that it is meant for.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(22_000))
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// launch starts the server and waits until it answers.
func launch(t testing.TB, logTo, addr, dir string, args []string) error {
	log, err := os.Create(logTo)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", watched, "sh"}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	leash, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // how it ends is no matter; its log is shown if it did not start
	}()
	end := func() {
		leash.Close()
		<-gone
	}
	if err := awaitAnswer(addr, dir, gone); err != nil {
		end()
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, text)
	}
	t.Cleanup(end)
	return nil
}

// awaitAnswer waits until the server with this directory answers at addr; "" is any.
func awaitAnswer(addr, dir string, gone <-chan struct{}) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := answers(addr, dir)
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("it has ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

func answers(addr, dir string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if dir == "" {
		_, err := NewClient(conn, time.Second).Do("PING")
		return err
	}
	v, err := NewClient(conn, time.Second).Do("CONFIG", "GET", "dir")
	if err != nil {
		return err
	}
	if strings.HasPrefix(v.Str, "NOAUTH") {
		return nil
	}
	if len(v.Elems) != 2 || !sameDir(v.Elems[1].Str, dir) {
		return fmt.Errorf("another server answers there: %s", strconv.Quote(v.String()))
	}
	return nil
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
