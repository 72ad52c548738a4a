package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// Fields that have expired go without anybody asking for them; the log is told
// which, and with the last one the hash goes.
func TestExpiredFieldsAreRemoved(t *testing.T) {
	rec := new(testserver.Recorder)
	s := testserver.StartWith(t, server.Options{Sink: rec})
	c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	do := func(words ...string) string {
		v, err := c.Do(words...)
		require.NoError(t, err)
		return v.String()
	}
	do("HSET", "h", "a", "1", "b", "2", "stays", "3")
	do("HSET", "gone", "a", "1")
	do("HPEXPIRE", "h", "5", "FIELDS", "2", "a", "b")
	do("HPEXPIRE", "gone", "5", "FIELDS", "1", "a")
	do("HEXPIRE", "h", "1000", "FIELDS", "1", "stays")
	require.Eventually(t, func() bool {
		return do("HLEN", "h") == "(integer) 1" && do("EXISTS", "gone") == "(integer) 0"
	}, 20*time.Second, time.Millisecond)
	require.Equal(t, `1) "stays"`, do("HKEYS", "h"))
	removed := map[string]int{}
	for _, unit := range rec.Take() {
		for _, argv := range unit.Records {
			if argv[0] == "HDEL" {
				removed[argv[1]] += len(argv) - 2
			}
		}
	}
	require.Equal(t, map[string]int{"h": 2, "gone": 1}, removed)
	// It is counted after it can be seen.
	require.Eventually(t, func() bool { return strings.Contains(do("INFO", "stats"), "expired_subkeys:3") }, 20*time.Second, time.Millisecond)
	require.Contains(t, do("INFO", "keyspace"), "subexpiry=1")
}

// Many fields of one hash that expire at once are removed in pieces, all of them.
func TestManyFieldsExpire(t *testing.T) {
	s := testserver.Start(t)
	c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	const n = 5000
	for i := range n {
		_, err := c.Do("HSETEX", "h", "PX", "3", "FIELDS", "2", "f", "v", fmt.Sprint("f", i), "v")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		v, err := c.Do("EXISTS", "h")
		require.NoError(t, err)
		return v.String() == "(integer) 0"
	}, 20*time.Second, time.Millisecond)
}
