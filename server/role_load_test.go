package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/router"
)

// Who waits at a follower for what a stream will hold gets it as the leader's records
// are applied.
func TestReadersWaitAtAFollower(t *testing.T) {
	s := open(t, Options{}, "--follower-mode", "readonly")
	s.router.SetStandby(router.Standby{Fresh: func() bool { return true }})
	require.NoError(t, s.SetRole(router.RoleFollower))
	loader := s.router.NewLoader()
	defer loader.Close()
	c := dial(t, s)
	for range 3 {
		require.NoError(t, c.Send("XREAD", "BLOCK", "0", "STREAMS", "s", "$"))
		require.Eventually(t, func() bool { return s.router.Blocked() == 1 }, 20*time.Second, time.Millisecond)
		for _, id := range []string{"1-1", "1-2"} {
			require.NoError(t, s.runner.Exclusive(-1, func() {
				record := [][]byte{[]byte("XADD"), []byte("s"), []byte(id), []byte("f"), []byte("v")}
				require.NoError(t, loader.Load(0, time.Now().UnixMilli(), []router.Record{record}))
			}))
			if id == "1-1" {
				v, err := c.Receive(false)
				require.NoError(t, err)
				require.Contains(t, v.String(), `"1-1"`)
			}
		}
		require.NoError(t, s.runner.Exclusive(-1, func() {
			require.NoError(t, loader.Load(0, time.Now().UnixMilli(), []router.Record{{[]byte("DEL"), []byte("s")}}))
		}))
	}
	atRest(t, s)
}
