package server_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// anything is a random command that writes, over few keys of several types and
// two databases.
func anything(r *rand.Rand) []string {
	key := func() string { return fmt.Sprint("s", r.IntN(6)) }
	list := func() string { return fmt.Sprint("l", r.IntN(4)) }
	num := func() string { return fmt.Sprint(r.IntN(100)) }
	if r.IntN(4) == 0 {
		return anyBits(r)
	}
	if r.IntN(4) == 0 {
		return anyZSet(r)
	}
	if r.IntN(3) == 0 {
		return anyHash(r)
	}
	if r.IntN(4) == 0 {
		return anyStream(r)
	}
	switch r.IntN(26) {
	case 0:
		return []string{"SET", key(), num()}
	case 1:
		return []string{"SET", key(), num(), "PX", fmt.Sprint(1 + r.IntN(20))}
	case 2, 3:
		return []string{"INCR", key()}
	case 4:
		return []string{"APPEND", key(), num()}
	case 5:
		return []string{"DEL", key(), list()}
	case 6:
		return []string{"MSET", key(), num(), key(), num(), key(), num()}
	case 7:
		return []string{"RENAME", key(), key()}
	case 8:
		return []string{"RENAME", list(), list()}
	case 9, 10:
		return []string{"RPUSH", list(), num(), num()}
	case 11:
		return []string{"LPUSH", list(), num()}
	case 12:
		return []string{"LMOVE", list(), list(), "LEFT", "RIGHT"}
	case 13:
		return []string{"LPOP", list(), "2"}
	case 14:
		return []string{"LTRIM", list(), "0", "5"}
	case 15:
		return []string{"COPY", key(), key(), "REPLACE"}
	case 16:
		return []string{"COPY", list(), list(), "DB", "1", "REPLACE"}
	case 17:
		return []string{"MOVE", key(), "1"}
	case 18:
		return []string{"PEXPIRE", key(), fmt.Sprint(r.IntN(30))}
	case 19:
		return []string{"PERSIST", key()}
	case 20:
		return []string{"INCRBYFLOAT", key(), "0.5"}
	case 21:
		return []string{"GETEX", key(), "PX", "15"}
	case 22:
		return []string{"SETRANGE", key(), num(), "abc"}
	case 23:
		return []string{"MSETNX", key(), num(), fmt.Sprint("n", r.IntN(100)), num()}
	case 24:
		return []string{"GETDEL", key()}
	}
	switch r.IntN(40) {
	case 0:
		return []string{"FLUSHALL"}
	case 1:
		return []string{"SWAPDB", "0", "1"}
	case 2:
		return []string{"FLUSHDB"}
	}
	return []string{"GETSET", key(), num()}
}

// something is a command, a transaction of some, now and then over both
// databases, or a pop that blocks for a moment.
func something(r *rand.Rand) [][]string {
	list := func() string { return fmt.Sprint("l", r.IntN(4)) }
	switch r.IntN(12) {
	case 0:
		argvs := [][]string{{"MULTI"}}
		for range r.IntN(5) {
			argvs = append(argvs, anything(r))
		}
		if r.IntN(3) == 0 {
			argvs = append(argvs, []string{"SELECT", "1"}, anything(r), []string{"SELECT", "0"}, anything(r))
		}
		return append(argvs, []string{"EXEC"})
	case 1:
		return [][]string{{"BLMOVE", list(), list(), "LEFT", "RIGHT", "0.002"}}
	case 2:
		return [][]string{{"BLMPOP", "0.002", "2", list(), list(), "RIGHT", "COUNT", "2"}}
	}
	return [][]string{anything(r)}
}

// The log tells exactly what happened, in the order in which it happened: what
// many clients did at once is made again by replaying it one by one.
func TestTheLogMakesTheSameData(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			rec := new(testserver.Recorder)
			from := testserver.StartWith(t, server.Options{Sink: rec}, mode.args...)
			var wg sync.WaitGroup
			for id := range 8 {
				c := transcript.NewClient(testserver.Dial(t, from), time.Minute)
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(id), 3))
					if id%2 == 1 {
						if _, err := c.Do("SELECT", "1"); err != nil {
							t.Error(err)
						}
					}
					for range 700 {
						for _, argv := range something(r) {
							if v, err := c.Do(argv...); err != nil {
								t.Error(err, v)
								return
							}
						}
					}
				})
			}
			wg.Wait()
			// Whatever still has a time to live dies, here and there alike.
			c := transcript.NewClient(testserver.Dial(t, from), time.Minute)
			require.Eventually(t, func() bool {
				v, err := c.Do("INFO", "keyspace")
				require.NoError(t, err)
				return !expiring.MatchString(v.String())
			}, 20*time.Second, 5*time.Millisecond)
			to := testserver.Start(t)
			testserver.Replay(t, to, rec.Take())
			require.Equal(t, digest(t, from), digest(t, to))
		})
	}
}

func digest(t *testing.T, s *server.Server) string {
	t.Helper()
	c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
	v, err := c.Do("DEBUG", "DIGEST")
	require.NoError(t, err)
	require.False(t, v.IsError(), v.String())
	return v.String()
}

// expiring finds a database with a key that will expire, or of which a field
// will, in INFO keyspace.
var expiring = regexp.MustCompile(`expires=[1-9]|subexpiry=`)
