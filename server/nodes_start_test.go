package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/server"
)

// A node that is being started answers as a follower that knows nobody.
func TestANodeAnswersBeforeItKnowsTheCluster(t *testing.T) {
	x := newTrio(t)
	asked := false
	s, err := server.Open(server.Options{
		Config: x.config("n1", t.TempDir()), Addr: "127.0.0.1:0",
		Elect: func(me election.Node, healthy func() bool) (election.Coordinator, error) {
			c := dialNode(t, me.Client)
			require.Equal(t, []string{"slave", "", "0", "connect"}, c.all("ROLE")[:4])
			require.Equal(t, "replica", c.all("HELLO")[11])
			require.Equal(t, "slave", c.info("replication", "role"))
			require.Equal(t, "down", c.info("replication", "master_link_status"))
			require.Equal(t, "OK", c.do("READONLY"))
			require.Len(t, c.all("SENTINEL MASTERS"), 2)
			require.Equal(t, "NOQUORUM 0 usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover", c.do("SENTINEL CKQUORUM ferricd"))
			asked = true
			return x.etcd.Open(election.Options{Cluster: "ferricd", Node: me, TTL: ttl, Healthy: healthy})
		},
	})
	require.NoError(t, err)
	require.True(t, asked)
	c := dialNode(t, s.Addr())
	eventually(t, "it leads", func() bool { return c.info("replication", "role") == "master" })
	require.Equal(t, "PONG", c.do("PING"))
	require.Contains(t, c.do("CONFIG SET appendonly no"), "a node of a cluster needs its log")
	require.Equal(t, "yes", c.all("CONFIG GET appendonly")[1])
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx))
}
