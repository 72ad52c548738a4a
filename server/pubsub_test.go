package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A subscriber that does not read is closed when too much waits for it. Others get
// every message in order, and the publisher never waits.
func TestAStuckSubscriberStopsNobody(t *testing.T) {
	s := open(t, Options{}, "--client-output-buffer-limit", "pubsub 1mb 0 0")
	stuck := dial(t, s)
	require.NoError(t, stuck.Send("SUBSCRIBE", "c"))
	const others = 20
	var reading []*transcript.Client
	for i := range others {
		c := dial(t, s)
		if i%2 == 0 {
			do(t, c, "HELLO", "3")
		}
		require.NoError(t, c.Send("SUBSCRIBE", "c"))
		_, err := c.Next()
		require.NoError(t, err)
		reading = append(reading, c)
	}
	publisher := dial(t, s)
	require.Eventually(t, func() bool {
		return strings.Contains(do(t, publisher, "PUBSUB", "NUMSUB", "c"), fmt.Sprint(others+1))
	}, 10*time.Second, time.Millisecond)
	payload := strings.Repeat("x", 1000)
	const batch = 200 // so that those who read are never far behind
	for n := 0; ; n += batch {
		for i := range batch {
			require.NoError(t, publisher.Send("PUBLISH", "c", fmt.Sprintf("%08d%s", n+i, payload)))
		}
		var receivers string
		for range batch {
			v, err := publisher.Receive(false)
			require.NoError(t, err)
			receivers = v.Str
		}
		for _, c := range reading {
			for i := range batch {
				v, err := c.Next()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%08d", n+i), v.Elems[2].Str[:8])
			}
		}
		if receivers == fmt.Sprint(others) {
			break
		}
		require.Less(t, n, 100*batch, "the stuck subscriber is not closed")
	}
	require.EqualValues(t, 1, s.wire.Totals().OutputLimitDisconnect)
}

// Subscribers that come, listen and go while others publish leave nothing behind.
func TestSubscribersComeAndGo(t *testing.T) {
	s := open(t, Options{})
	done := make(chan struct{})
	published := make(chan struct{})
	publisher := dial(t, s)
	go func() {
		defer close(published)
		for {
			select {
			case <-done:
				return
			default:
				do(t, publisher, "PUBLISH", "a", "x")
				do(t, publisher, "SPUBLISH", "a", "x")
			}
		}
	}()
	for range 50 {
		c := dial(t, s)
		for _, argv := range [][]string{{"SUBSCRIBE", "a", "b"}, {"PSUBSCRIBE", "*"}, {"SSUBSCRIBE", "a"}} {
			require.NoError(t, c.Send(argv...))
		}
		for seen := false; !seen; {
			v, err := c.Next()
			require.NoError(t, err)
			seen = v.Elems[0].Str == "smessage"
		}
		require.NoError(t, c.Close())
	}
	close(done)
	<-published
	require.Eventually(t, func() bool {
		return strings.Contains(s.Info([]string{"stats"}), "pubsub_channels:0\r\npubsub_patterns:0\r\npubsubshard_channels:0\r\n")
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, s.router.ClientCount())
}
