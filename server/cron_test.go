package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// awaitTicks waits until the cron has begun so many times more.
func awaitTicks(t *testing.T, s *Server, n int64) {
	t.Helper()
	until := s.cronTicks.Load() + n
	require.Eventually(t, func() bool { return s.cronTicks.Load() >= until }, 20*time.Second, time.Millisecond)
}

func TestCronPauses(t *testing.T) {
	s := open(t, Options{}, "--hz", "500")
	c := dial(t, s)
	ok(t, c, "DEBUG", "PAUSE-CRON", "1")
	awaitTicks(t, s, 1) // the one that was under way is over
	for _, key := range []string{"a", "b", "c"} {
		ok(t, c, "SET", key, "v", "PX", "1")
		require.Eventually(t, func() bool { return do(t, c, "TTL", key) == "(integer) -2" }, 20*time.Second, time.Millisecond)
	}
	awaitTicks(t, s, 3)
	require.Zero(t, s.router.Counters().Expired.Load())
	ok(t, c, "DEBUG", "PAUSE-CRON", "0")
	require.Eventually(t, func() bool { return s.router.Counters().Expired.Load() == 3 }, 20*time.Second, time.Millisecond)
	require.Equal(t, "(integer) 0", do(t, c, "DBSIZE"))
}
