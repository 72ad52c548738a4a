//go:build linux

package failover

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHandover moves the leadership under load, in every way that is planned. No
// client of a follower sees a failed call, and where the old leader lives on none of
// its own does.
func TestHandover(t *testing.T) {
	for _, h := range []struct {
		name string
		ends bool // the old leader
		move func(t *testing.T, c *cluster, leader, to *node)
	}{
		{"SIGTERM", true, func(t *testing.T, _ *cluster, leader, _ *node) {
			leader.signal(t, syscall.SIGTERM)
			require.Zero(t, leader.exit(t), "exit code")
		}},
		{"cluster handover", false, func(t *testing.T, c *cluster, _, to *node) {
			stdout, stderr, code := c.admin(t, "handover", to.name)
			require.Zero(t, code, stderr)
			require.Contains(t, stdout, to.name)
		}},
		{"FAILOVER", false, func(t *testing.T, _ *cluster, leader, to *node) {
			leader.must(t, "FAILOVER", "TO", "127.0.0.1", strconv.Itoa(to.client), "TIMEOUT", "10000")
		}},
		{"SHUTDOWN", true, func(t *testing.T, _ *cluster, leader, _ *node) {
			_, err := leader.ask(patience, "SHUTDOWN")
			require.Error(t, err) // the connection ends
			require.Zero(t, leader.exit(t), "exit code")
		}},
	} {
		t.Run(h.name, func(t *testing.T) {
			if h.name == "SHUTDOWN" {
				long(t)
			}
			c := newCluster(t)
			leader := c.leader(t)
			epoch := leader.info().number("ferricd_epoch")
			others := c.others(leader)
			clients := c.nodes
			if h.ends {
				clients = others
			}
			w := newLoad(t, clients, 9)
			w.goesOn(t, 500)
			w.worst.Store(0)
			start := time.Now()
			h.move(t, c, leader, others[0])
			next := c.leads(t, epoch+1, leader)
			t.Logf("%s leads %v after it was asked for", next.name, time.Since(start).Round(time.Millisecond))
			if !h.ends {
				require.Equal(t, others[0], next)
			}
			w.goesOn(t, 500)
			w.end()
			if h.ends {
				leader.start(t)
			}
			c.whole(t)
			w.unharmed(t)
			w.check(t, c)
			c.same(t)
		})
	}
}

// TestHandoverGoesRound lets every node lead several times under one load.
func TestHandoverGoesRound(t *testing.T) {
	long(t)
	c := newCluster(t)
	w := newLoad(t, c.nodes, 9)
	for i := range 9 {
		to := c.nodes[i%3]
		if c.leader(t) == to {
			continue
		}
		_, stderr, code := c.admin(t, "handover", to.name)
		require.Zero(t, code, stderr)
		w.goesOn(t, 200)
	}
	w.end()
	w.unharmed(t)
	c.whole(t)
	w.check(t, c)
	c.same(t)
}

// TestKillsGoRound kills one leader after the other under one load.
func TestKillsGoRound(t *testing.T) {
	long(t)
	c := newCluster(t)
	w := newLoad(t, c.nodes, 9)
	for range 6 {
		leader := c.leader(t)
		epoch := leader.info().number("ferricd_epoch")
		w.goesOn(t, 300)
		leader.crash()
		c.leads(t, epoch+1, leader)
		w.goesOn(t, 300)
		leader.start(t)
		c.whole(t)
	}
	w.check(t, c)
	c.same(t)
}
