//go:build linux

package failover

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
)

// refuses starts a node that must not start, and returns the line that says why.
func (n *node) refuses(t *testing.T, but ...string) string {
	t.Helper()
	env := []string{"FERRICD_REPLICATION_SECRET=" + secret}
	stdout, stderr, code := run(t, env, append(n.argv(), but...)...)
	require.Equal(t, 1, code, "%s%s", stdout, stderr)
	require.Equal(t, 1, strings.Count(stderr, "\n"), "it takes one line to say why:\n%s", stderr)
	require.True(t, strings.HasPrefix(stderr, "ferricd: "), stderr)
	t.Log(strings.TrimSpace(stderr))
	return stderr
}

// alone runs a server without a cluster in a node's directory, fills it, and ends it.
func (n *node) alone(t *testing.T, keys int) {
	t.Helper()
	n.process = start(t, n.name, n.log, nil, n.c.ferricd, "--dir", n.dir, "--port", strconv.Itoa(n.client))
	n.serves(t)
	fill(t, n, keys)
	n.must(t, "SET", "from", n.name)
	n.signal(t, syscall.SIGTERM)
	require.Zero(t, n.exit(t))
}

func (n *node) serves(t *testing.T) {
	t.Helper()
	eventually(t, n.name+" serves", func() bool {
		v, err := n.ask(patience, "PING")
		return !n.running() || err == nil && v.Str == "PONG"
	})
	require.True(t, n.running(), "it has ended")
}

func TestStartIsRefused(t *testing.T) {
	c := emptyCluster(t)
	n1 := c.newNode(t, "n1")
	require.Contains(t, n1.refuses(t), "cluster init", "no cluster in etcd: it says what makes one")
	require.Contains(t, n1.refuses(t, "--replication-secret", ""), "replication-secret")
	require.Contains(t, n1.refuses(t, "--appendonly", "no"), "appendonly")

	foreign := c.newNode(t, "n2")
	foreign.alone(t, 500)
	c.init(t)
	n1.start(t)
	c.leader(t)
	foreign.refuses(t)
	second := c.newNode(t, "n1") // another directory, while n1 lives
	second.log += ".second"
	require.Contains(t, second.refuses(t), "n1")

	// Its data is untouched, and serves alone as before.
	foreign.process = start(t, foreign.name, foreign.log, nil, c.ferricd, "--dir", foreign.dir, "--port", strconv.Itoa(foreign.client))
	foreign.serves(t)
	require.Equal(t, "n2", foreign.must(t, "GET", "from").Str)
	foreign.crash()

	// A member of another cluster has data that is not this one's either.
	fill(t, n1, 500)
	n1.crash()
	require.NoError(t, os.WriteFile(n1.log, nil, 0o644))
	c.name = "another"
	c.init(t)
	first := c.newNode(t, "n3").start(t)
	require.Equal(t, first, c.leads(t, 1, n1, foreign, second))
	n1.refuses(t)
}

// TestANodeStartsWithoutEtcd serves what it can alone, and joins when etcd is there.
func TestANodeStartsWithoutEtcd(t *testing.T) {
	c := emptyCluster(t, "--proxy-wait", "200")
	c.init(t)
	n := c.newNode(t, "n1")
	n.cutFromEtcd(faultnet.Link{Refuse: true})
	n.start(t)
	n.serves(t)
	require.Equal(t, "slave", n.info()["role"])
	for _, argv := range [][]string{{"SET", "k", "1"}, {"GET", "k"}} {
		v, err := n.ask(patience, argv...)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(v.Str, "MASTERDOWN "), v.Str)
	}
	leases(1)
	require.True(t, n.running())
	c.heal()
	c.leader(t)
	n.must(t, "SET", "k", "1")
}

// TestAServerWithDataBecomesACluster goes on with what it had, and the others copy it.
func TestAServerWithDataBecomesACluster(t *testing.T) {
	c := emptyCluster(t)
	n1, n2, n3 := c.newNode(t, "n1"), c.newNode(t, "n2"), c.newNode(t, "n3")
	n1.alone(t, 5_000)
	c.init(t, "--first", "n1")
	n2.start(t) // before the first, and empty: it must not lead
	n3.start(t)
	n2.serves(t)
	leases(1)
	require.False(t, n2.info().leads())
	n1.start(t)
	require.Equal(t, n1, c.leader(t))
	c.whole(t)
	require.Equal(t, "n1", n2.must(t, "GET", "from").Str)
	c.same(t)
	epoch := c.epoch()
	n1.crash()
	require.Equal(t, "n1", c.leads(t, epoch+1, n1).must(t, "GET", "from").Str)
}

// TestEtcdIsWiped loses all that etcd knows: nobody leads until somebody says who has
// the data.
func TestEtcdIsWiped(t *testing.T) {
	c := newCluster(t)
	w := newLoad(t, c.nodes, 6)
	w.goesOn(t, 300)
	leader := c.leader(t)
	epoch := c.epoch()
	c.etcd.wipe(t)
	leases(2)
	for _, n := range c.nodes {
		require.False(t, n.info().leads(), n.name)
	}
	before := w.acked.Load()
	leases(1)
	require.Equal(t, before, w.acked.Load())

	c.init(t, "--first", leader.name)
	require.Equal(t, leader, c.leads(t, epoch+1), "and the epochs go on")
	c.whole(t)
	w.goesOn(t, 300)
	w.check(t, c)
	c.same(t)
}
