//go:build linux

package failover

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
)

// TestJoinAndLeaveUnderLoad lets a follower come and go while clients write, with its
// data, without it, and to the end of the log that it has missed.
func TestJoinAndLeaveUnderLoad(t *testing.T) {
	c := newCluster(t)
	leader := c.leader(t)
	epoch := leader.info().number("ferricd_epoch")
	guest := c.others(leader)[0]
	fill(t, leader, 20_000)
	w := newLoad(t, []*node{leader}, 9)
	rounds := 1
	if *everything {
		rounds = 4
	}
	for range rounds {
		for _, leave := range []func(){
			func() { guest.signal(t, syscall.SIGTERM); require.Zero(t, guest.exit(t)) },
			func() { guest.crash() },
			func() { guest.crash(); require.NoError(t, os.RemoveAll(guest.dir)) }, // all is copied anew
		} {
			leave()
			w.goesOn(t, 300)
			guest.start(t)
			c.whole(t)
			w.goesOn(t, 300)
		}
		leader.must(t, "BGREWRITEAOF")
	}
	require.Equal(t, epoch, c.epoch())
	w.end()
	w.unharmed(t)
	w.check(t, c)
	c.same(t)
	c.everyFileIsKnown(t)
}

// fill writes many keys of all types.
func fill(t testing.TB, n *node, keys int) {
	t.Helper()
	to, err := n.dial(patience)
	require.NoError(t, err)
	defer to.Close()
	const batch = 500
	for i := 0; i < keys; i += batch {
		for j := i; j < i+batch; j++ {
			require.NoError(t, to.Send(ofAllTypes(j)...))
		}
		for range batch {
			v, err := to.Receive(false)
			require.NoError(t, err)
			require.False(t, v.IsError(), v.Str)
		}
	}
}

// ofAllTypes is a command that writes, unlike the one before.
func ofAllTypes(i int) []string {
	key, value := fmt.Sprint("fill:", i%8, ":", i/80), fmt.Sprint("value", i, strings.Repeat("x", i%100))
	return [][]string{
		{"SET", key, value},
		{"RPUSH", key, value, value},
		{"HSET", key, fmt.Sprint(i), value},
		{"SADD", key, value, fmt.Sprint(i)},
		{"ZADD", key, fmt.Sprint(i), value},
		{"XADD", key, "*", "field", value},
		{"SETEX", key, "100000", value},
		{"PFADD", key, value},
	}[i%8]
}

// everyFileIsKnown finds files that are neither copied from the leader nor a node's
// own.
func (c *cluster) everyFileIsKnown(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		entries, err := os.ReadDir(n.dir)
		require.NoError(t, err)
		for _, e := range entries {
			name := e.Name()
			known := name == "manifest.json" || name == "LOCK" ||
				strings.HasSuffix(name, ".fer") && (strings.HasPrefix(name, "log-") || strings.HasPrefix(name, "snapshot-"))
			require.True(t, known, "%s: %s", n.name, name)
		}
	}
}

// TestRejoinCopiesNoFiles stays away for a while and goes on where it was.
func TestRejoinCopiesNoFiles(t *testing.T) {
	c := newCluster(t)
	leader := c.leader(t)
	guest := c.others(leader)[0]
	fill(t, leader, 5_000)
	c.same(t)
	snapshots := guest.snapshots(t)
	guest.crash()
	fill(t, leader, 10_000)
	guest.start(t)
	c.whole(t)
	c.same(t)
	require.Equal(t, snapshots, guest.snapshots(t), "a snapshot has come from the leader")
	b, err := os.ReadFile(guest.log)
	require.NoError(t, err)
	require.NotContains(t, string(b), "full copy")
}

func (n *node) snapshots(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(n.dir, "snapshot-*.fer"))
	require.NoError(t, err)
	return paths
}

// TestADivergedTailIsCutBack lets a leader log what nobody else has, and come back
// when another leads.
func TestADivergedTailIsCutBack(t *testing.T) {
	c := newCluster(t, "--insync-timeout", "60000") // the followers stay in the set
	old := c.leader(t)
	epoch := old.info().number("ferricd_epoch")
	fill(t, old, 2_000)
	old.fromNodes.Set(faultnet.Everyone, faultnet.Cut)
	to, err := old.dial(patience)
	require.NoError(t, err)
	defer to.Close()
	require.NoError(t, to.Send("SET", "lost", "x"))
	eventually(t, "the leader has logged it", func() bool {
		segments := old.segments(t)
		b, err := os.ReadFile(segments[len(segments)-1])
		require.NoError(t, err)
		return bytes.Contains(b, []byte("lost"))
	})
	old.crash()
	old.fromNodes.Reset(faultnet.Everyone) // and what was on its way
	leader := c.leads(t, epoch+1, old)
	fill(t, leader, 500)
	c.heal()
	old.start(t)
	c.whole(t)
	require.True(t, leader.must(t, "GET", "lost").Null)
	c.same(t)
}
