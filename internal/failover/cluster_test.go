//go:build linux

package failover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
)

// A cluster is an etcd and the nodes that it elects a leader of.
type cluster struct {
	t       *testing.T
	name    string
	ferricd string // the binary
	logs    string
	etcd    *etcd
	args    []string // of all nodes

	mu    sync.Mutex
	nodes []*node
}

// emptyCluster is an etcd without a cluster in it, and no node.
func emptyCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	return emptyClusterOn(t, args)
}

// emptyClusterOn is one on an etcd that was changed before its start.
func emptyClusterOn(t *testing.T, args []string, how ...func(*etcd)) *cluster {
	t.Helper()
	needs(t, "etcd")
	if !*measure {
		t.Parallel() // most of the time is spent in waiting for leases
	}
	path, err := binary()
	require.NoError(t, err)
	c := &cluster{t: t, name: "town", ferricd: path, logs: t.TempDir(), args: args}
	t.Cleanup(func() {
		calm(t, c.logs)
		showLogs(t, c.logs)
	})
	c.etcd = newEtcd(t, c.logs)
	for _, change := range how {
		change(c.etcd)
	}
	c.etcd.start(t)
	return c
}

// newCluster is three nodes that are all in sync.
func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := emptyCluster(t, args...)
	c.init(t)
	for i := range 3 {
		c.newNode(t, fmt.Sprint("n", i+1)).start(t)
	}
	c.whole(t)
	return c
}

// admin runs a cluster subcommand, which reaches etcd directly.
func (c *cluster) admin(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	argv := append([]string{c.ferricd, "cluster"}, args...)
	argv = append(argv, "--etcd-endpoints", c.etcd.url(), "--cluster-name", c.name)
	return run(t, nil, append(argv, c.etcd.credentials...)...)
}

func (c *cluster) init(t testing.TB, args ...string) {
	t.Helper()
	_, stderr, code := c.admin(t, append([]string{"init"}, args...)...)
	require.Zero(t, code, stderr)
}

// members returns the names of the in-sync set as etcd has it.
func (c *cluster) members(t testing.TB) []string {
	t.Helper()
	stdout, stderr, code := c.admin(t, "status", "--json")
	require.Zero(t, code, stderr)
	var status struct {
		InSync []struct{ Name string } `json:"insync"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &status), stdout)
	var names []string
	for _, m := range status.InSync {
		names = append(names, m.Name)
	}
	return names
}

// epoch is the highest that a node says.
func (c *cluster) epoch() (highest int64) {
	for _, n := range c.nodes {
		highest = max(highest, n.info().number("ferricd_epoch"))
	}
	return highest
}

// leads waits for a leader of at least an epoch, other than some nodes, which may be
// unable to answer.
func (c *cluster) leads(t testing.TB, epoch int64, but ...*node) (leader *node) {
	t.Helper()
	eventually(t, fmt.Sprintf("somebody leads from epoch %d on", epoch), func() bool {
		leader = nil
		for _, n := range c.others(but...) {
			if in := n.info(); in.leads() && in.number("ferricd_epoch") >= epoch {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// leader is the node that leads now.
func (c *cluster) leader(t testing.TB) *node {
	t.Helper()
	return c.leads(t, 1)
}

// others are the nodes but some.
func (c *cluster) others(but ...*node) (list []*node) {
	for _, n := range c.nodes {
		skip := n.process == nil
		for _, b := range but {
			skip = skip || n == b
		}
		if !skip {
			list = append(list, n)
		}
	}
	return list
}

// whole waits until one node leads, all others follow it, and all are in sync.
func (c *cluster) whole(t testing.TB) {
	t.Helper()
	defer func() {
		if t.Failed() {
			for _, n := range c.nodes {
				t.Logf("%s: %v", n.name, n.info())
			}
		}
	}()
	running := c.running()
	eventually(t, "one leads, the others follow, and all are in sync", func() bool {
		leaders, followers, members := 0, 0, 0
		for _, n := range running {
			in := n.info()
			switch {
			case in.leads():
				leaders++
				members = len(strings.FieldsFunc(in["ferricd_isr"], func(r rune) bool { return r == ',' || r == ' ' }))
			case in.follows():
				followers++
			}
		}
		return leaders == 1 && followers == len(running)-1 && members == len(running)
	})
}

// running are the others but some that run.
func (c *cluster) running(but ...*node) (list []*node) {
	for _, n := range c.others(but...) {
		if n.process.running() {
			list = append(list, n)
		}
	}
	return list
}

// same waits until nothing is on its way, which needs that nobody writes, and compares
// what the nodes have in memory and in their logs.
func (c *cluster) same(t testing.TB) {
	t.Helper()
	leader := c.leader(t)
	eventually(t, "all nodes are at the leader's end", func() bool {
		end := leader.info().number("master_repl_offset")
		for _, n := range c.running(leader) {
			if in := n.info(); end < 0 || in.number("slave_repl_offset") != end {
				return false
			}
		}
		return leader.info().number("master_repl_offset") == end
	})
	digest := leader.must(t, "DEBUG", "DIGEST").Str
	for _, n := range c.running(leader) {
		require.Equal(t, digest, n.must(t, "DEBUG", "DIGEST").Str, "the data of %s is not that of %s", n.name, leader.name)
		c.sameLog(t, leader, n)
	}
}

// sameLog compares the segments that two nodes have both. Each drops old ones when it
// has taken a snapshot of its own.
func (c *cluster) sameLog(t testing.TB, a, b *node) {
	t.Helper()
	both := 0
	for _, path := range a.segments(t) {
		name := filepath.Base(path)
		other, err := os.ReadFile(filepath.Join(b.dir, name))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		own, err := os.ReadFile(path)
		require.NoError(t, err)
		// Room for what is to come may have been made in advance.
		own, other = bytes.TrimRight(own, "\x00"), bytes.TrimRight(other, "\x00")
		require.True(t, bytes.Equal(own, other), "%s of %s (%d bytes) and %s (%d bytes) differ", name, a.name, len(own), b.name, len(other))
		both++
	}
	require.Positive(t, both, "%s and %s have no segment in common", a.name, b.name)
}

func (n *node) segments(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(n.dir, "log-*.fer"))
	require.NoError(t, err)
	require.NotEmpty(t, paths, n.name)
	return paths
}

// The faults of links. A node is cut from other nodes in both directions: what they
// dial, and what it dials.

func (n *node) cutFromEtcd(l faultnet.Link) {
	n.note("the link to etcd fails")
	n.toEtcd.Set(faultnet.Everyone, l)
}

func (n *node) cutFromNodes(l faultnet.Link) {
	n.note("the links to other nodes fail")
	n.fromNodes.Set(faultnet.Everyone, l)
	for _, other := range n.c.others(n) {
		other.fromNodes.Set(n.name, l)
	}
}

func (c *cluster) heal() {
	for _, n := range c.nodes {
		n.note("all links are well")
		n.toEtcd.Heal()
		n.fromNodes.Heal()
	}
}

// leases waits as long as so many leases last: what must not happen in that time
// would have had occasion to.
func leases(n float64) { time.Sleep(time.Duration(n * ttl * float64(time.Second))) }
