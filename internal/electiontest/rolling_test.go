package electiontest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/electiontest"
)

// Three etcds are restarted one after another, the one that leads them among these. A
// leader of ours stays one.
func TestRollingRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three etcds")
	}
	t.Parallel()
	members := electiontest.Trio(t)
	var endpoints []string
	for _, m := range members {
		endpoints = append(endpoints, "http://"+m.Address())
	}
	const ttl = 15 * time.Second // a restart takes a busy machine long
	o := election.Options{Endpoints: endpoints, Cluster: "ferricd", TTL: ttl, Node: election.Node{Name: "a", ID: "aa", Incarnation: "1"}}
	admin, err := election.OpenAdmin(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = admin.Init(ctx, "")
	require.NoError(t, err)
	a, err := election.Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	require.NoError(t, a.Ready(ctx))
	term, err := a.Campaign(ctx, election.Claim{Cluster: "c1"})
	require.NoError(t, err)
	for i, m := range members {
		m.Restart()
		require.True(t, term.Valid(), "after the restart of etcd %d", i)
		left := term.Remaining()
		require.Eventually(t, func() bool { return term.Remaining() > left }, time.Minute, 10*time.Millisecond)
		require.NoError(t, term.SetInSync(ctx, term.InSync()))
	}
	v, err := admin.View(ctx)
	require.NoError(t, err)
	require.Equal(t, term.Epoch(), v.Epoch)
}
