//go:build linux

package failover

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
	"github.com/ferricd/ferricd/internal/transcript"
)

// secret is what the nodes of all clusters here know.
const secret = "the nodes' secret"

// A node is one ferricd, from one life to the next.
type node struct {
	*process
	c    *cluster
	name string
	dir  string
	log  string
	args []string // its own, after those of the cluster

	client, replication int
	toEtcd              *faultnet.Proxy // from this node only
	fromNodes           *faultnet.Proxy // to its replication port, peers by name
}

func (c *cluster) newNode(t testing.TB, name string, args ...string) *node {
	t.Helper()
	n := &node{
		c: c, name: name, dir: filepath.Join(t.TempDir(), name), log: filepath.Join(c.logs, name+".log"),
		args: args, client: freePort(t), replication: freePort(t),
	}
	var err error
	n.toEtcd, err = faultnet.Listen(address(c.etcd.client), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.toEtcd.Close()) })
	n.fromNodes, err = faultnet.Listen(address(n.replication), c.whose)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.fromNodes.Close()) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
	return n
}

// argv is the node's command line.
func (n *node) argv() []string {
	argv := []string{
		n.c.ferricd, "--dir", n.dir, "--bind", "127.0.0.1", "--port", strconv.Itoa(n.client),
		"--node-name", n.name, "--cluster-name", n.c.name, "--etcd-endpoints", n.c.etcd.scheme() + n.toEtcd.Addr(),
		"--replication-port", strconv.Itoa(n.replication),
		"--announce-replication-port", strconv.Itoa(n.fromNodes.Port()),
		"--lease-ttl", strconv.Itoa(ttl), "--enable-debug-command", "yes",
	}
	return slices.Concat(argv, n.c.etcd.credentials, n.c.args, n.args)
}

// start starts the node, or starts it again, and does not wait for it to serve.
func (n *node) start(t testing.TB) *node {
	t.Helper()
	p := start(t, n.name, n.log, []string{"FERRICD_REPLICATION_SECRET=" + secret}, n.argv()...)
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.process = p
	return n
}

// stop freezes the node, and waits until none of its threads runs.
func (n *node) stop(t testing.TB) {
	t.Helper()
	n.signal(t, syscall.SIGSTOP)
	eventually(t, "it stands still", func() bool {
		stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.pid()))
		for _, name := range stats {
			b, err := os.ReadFile(name)
			if _, after, _ := strings.Cut(string(b), ") "); err == nil && !strings.HasPrefix(after, "T") {
				return false
			}
		}
		return len(stats) > 0
	})
	n.note("SIGSTOP")
}

func (n *node) cont(t testing.TB) {
	t.Helper()
	n.note("SIGCONT")
	n.signal(t, syscall.SIGCONT)
}

func (n *node) crash() {
	n.note("SIGKILL")
	n.kill()
}

// note writes a line of the test's into the node's log.
func (n *node) note(text string) {
	f, err := os.OpenFile(n.log, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%s --- %s\n", time.Now().Format("15:04:05.000"), text)
}

func (n *node) addr() string { return address(n.client) }

// dial connects a client; an exchange may take as long as timeout.
func (n *node) dial(timeout time.Duration) (*transcript.Client, error) {
	conn, err := net.DialTimeout("tcp", n.addr(), timeout)
	if err != nil {
		return nil, err
	}
	return transcript.NewClient(conn, timeout), nil
}

// ask sends one command on a connection of its own.
func (n *node) ask(timeout time.Duration, argv ...string) (transcript.Value, error) {
	to, err := n.dial(timeout)
	if err != nil {
		return transcript.Value{}, err
	}
	defer to.Close()
	return to.Do(argv...)
}

// must is ask where only a regular answer will do.
func (n *node) must(t testing.TB, argv ...string) transcript.Value {
	t.Helper()
	v, err := n.ask(patience, argv...)
	require.NoError(t, err, "%s: %q", n.name, argv)
	require.False(t, v.IsError(), "%s: %q: %s", n.name, argv, v.Str)
	return v
}

// info is what a node says in INFO replication; empty if it does not answer.
type info map[string]string

func (n *node) info() info {
	if !n.running() {
		return info{}
	}
	v, err := n.ask(500*time.Millisecond, "INFO", "replication")
	if err != nil || v.IsError() {
		return info{}
	}
	return parseInfo(v.Str)
}

func parseInfo(text string) info {
	in := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			in[name] = value
		}
	}
	return in
}

func (in info) number(name string) int64 {
	v, err := strconv.ParseInt(in[name], 10, 64)
	if err != nil {
		return -1
	}
	return v
}

func (in info) leads() bool   { return in["role"] == "master" && in.number("ferricd_epoch") > 0 }
func (in info) follows() bool { return in["role"] == "slave" && in["master_link_status"] == "up" }

// whose tells which node a connection to a proxy comes from, by the process that
// holds its other end.
func (c *cluster) whose(nc net.Conn) string {
	inode := socketInode(nc.RemoteAddr().(*net.TCPAddr).Port, nc.LocalAddr().(*net.TCPAddr).Port)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if n.process != nil && n.running() && holds(n.pid(), "socket:["+inode+"]") {
			return n.name
		}
	}
	return faultnet.Everyone
}

// socketInode finds a connection of the loopback interface in the kernel's table.
func socketInode(local, remote int) string {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	pair := fmt.Sprintf(" 0100007F:%04X 0100007F:%04X ", local, remote)
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, pair) {
			continue
		}
		if f := strings.Fields(line); len(f) > 9 {
			return f[9]
		}
	}
	return ""
}

func holds(pid int, socket string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		if to, err := os.Readlink(filepath.Join(dir, name.Name())); err == nil && to == socket {
			return true
		}
	}
	return false
}
