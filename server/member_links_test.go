package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/replica"
	"github.com/ferricd/ferricd/server"
)

// field is a line of a server's INFO.
func field(t *testing.T, s *server.Server, name string) string {
	t.Helper()
	v, err := dial(t, s).Do("INFO", "everything")
	require.NoError(t, err)
	_, rest, found := strings.Cut(v.Str, "\r\n"+name+":")
	require.True(t, found, name)
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// TestANodeThatKnowsALaterLeader: a leader that hears of one gives way, and whoever leads
// then does so in a later epoch, with all that was written.
func TestANodeThatKnowsALaterLeader(t *testing.T) {
	x := newTrio(t)
	a := x.start("a", t.TempDir())
	x.leader(1, a)
	require.Equal(t, "+OK", tell(t, a).say("SET k v"))
	epoch := a.Replication().Epoch
	comes := replica.FollowOptions{
		Dial: replica.Dial{Secrets: [][]byte{[]byte("secret")}, Cluster: a.Replication().ClusterID},
		Addr: x.address("a"), Me: replica.Identity{Name: "z", ID: "z", Incarnation: "1"}, MinEpoch: 1 << 62,
	}
	require.ErrorIs(t, replica.Follow(context.Background(), comes), replica.ErrStale)
	x.eventually("the leader gives way, and leads anew", func() bool {
		r := a.Replication()
		return r.Leader && r.Epoch > epoch
	})
	require.Contains(t, x.log("a"), "there is a newer leader")
	require.Equal(t, "v", tell(t, a).say("GET k"))

	// Who does not know the secret moves nothing.
	epoch = a.Replication().Epoch
	comes.Secrets = [][]byte{[]byte("guess")}
	require.Error(t, replica.Follow(context.Background(), comes))
	require.Equal(t, "+OK", tell(t, a).say("SET k w"))
	require.Equal(t, epoch, a.Replication().Epoch)
}

// TestLinksAreCounted: INFO shows what nodes pass on to each other, and how followers
// have gone.
func TestLinksAreCounted(t *testing.T) {
	x := newTrio(t)
	a, dir := x.start("a", t.TempDir()), t.TempDir()
	x.leader(1, a)
	require.Empty(t, field(t, a, "ferricd_sessions_ended"))
	b := x.start("b", dir, "--follower-mode", "proxy")
	x.leader(2, a)
	client := tell(t, b)
	for i := range 5 {
		require.Equal(t, fmt.Sprintf(":%d", i+1), client.say("INCR n"))
	}
	require.Equal(t, "5", field(t, b, "ferricd_proxy_forwarded"))
	require.Equal(t, "1", field(t, b, "ferricd_proxy_links"))
	require.Equal(t, "1", field(t, b, "ferricd_proxy_dialled"))
	require.Equal(t, "0", field(t, b, "ferricd_proxy_failed"))
	require.Equal(t, "0", field(t, b, "ferricd_proxy_indoubt"))
	require.Equal(t, "0", field(t, a, "ferricd_proxy_forwarded"))
	x.stop(b)
	x.eventually("the follower's end is counted", func() bool { return field(t, a, "ferricd_sessions_ended") == "lost=1" })
}
