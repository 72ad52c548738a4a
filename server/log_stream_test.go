package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// anyStream is anything about streams and their groups.
func anyStream(r *rand.Rand) []string {
	calls := []string{
		"XADD <key> * <word> <n> <word> <word>",
		"XADD <key> * f <n>",
		"XADD <key> * f <n>",
		"XADD <key> MAXLEN 40 * f <n>",
		"XADD <key> MAXLEN ~ 40 * f <n>",
		"XADD <key> <id> f <n>",
		"XADD <key> <ms>-* f <n>",
		"XDEL <key> <id> <id>",
		"XGROUP CREATE <key> <group> 0 MKSTREAM",
		"XGROUP CREATECONSUMER <key> <group> <word>",
		"XREADGROUP GROUP <group> <word> COUNT <n> STREAMS <key> >",
		"XREADGROUP GROUP <group> <word> COUNT 3 STREAMS <key> <key> > >",
		"XREADGROUP GROUP <group> <word> NOACK COUNT 2 STREAMS <key> >",
		"XREADGROUP GROUP <group> <word> COUNT 3 STREAMS <key> 0",
		"XREADGROUP GROUP <group> <word> COUNT 1 BLOCK 2 STREAMS <key> <key> > >",
		"XACK <key> <group> <id> <id> <id>",
		"XCLAIM <key> <group> <word> 0 <id> <id> <id> <id>",
		"XCLAIM <key> <group> <word> 5 <id> <id> FORCE IDLE <n>",
		"XAUTOCLAIM <key> <group> <word> 3 <id> COUNT 5",
		"XAUTOCLAIM <key> <group> <word> 0 0 COUNT 2 JUSTID",
		"COPY <key> <key> REPLACE",
	}
	if r.IntN(12) == 0 {
		calls = []string{
			"XADD <key> NOMKSTREAM MINID ~ <id> LIMIT 0 * f <n>",
			"XTRIM <key> MAXLEN <n>",
			"XTRIM <key> MAXLEN ~ <n> LIMIT 200",
			"XTRIM <key> MINID <id>",
			"XDELEX <key> DELREF IDS 2 <id> <id>",
			"XDELEX <key> ACKED IDS 2 <id> <id>",
			"XACKDEL <key> <group> ACKED IDS 2 <id> <id>",
			"XSETID <key> <id>",
			"XGROUP CREATE <key> <group> <id> ENTRIESREAD <n> MKSTREAM",
			"XGROUP SETID <key> <group> <id>",
			"XGROUP DELCONSUMER <key> <group> <word>",
			"XGROUP DESTROY <key> <group>",
			"XCLAIM <key> <group> <word> 0 <id> LASTID <id> JUSTID",
			"RENAME <key> <key>",
			"PEXPIRE <key> 20",
		}
	}
	num := func() string { return fmt.Sprint(r.IntN(60)) }
	var argv []string
	for w := range strings.SplitSeq(calls[r.IntN(len(calls))], " ") {
		switch w {
		case "<key>":
			w = fmt.Sprint("x", r.IntN(3))
		case "<group>":
			w = fmt.Sprint("g", r.IntN(2))
		case "<word>":
			w = []string{"a", "b", "c"}[r.IntN(3)]
		case "<n>":
			w = num()
		case "<ms>-*":
			w = num() + "-*"
		case "<id>":
			w = num() + "-" + []string{"0", "1", "2"}[r.IntN(3)]
		}
		argv = append(argv, w)
	}
	return argv
}

// What the log tells of groups makes the same groups: what was read, what is
// pending for whom, since when and how often it was given.
func TestTheLogMakesTheSameGroups(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			rec := new(testserver.Recorder)
			from := testserver.StartWith(t, server.Options{Sink: rec}, mode.args...)
			var wg sync.WaitGroup
			for id := range 6 {
				c := transcript.NewClient(testserver.Dial(t, from), time.Minute)
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(id), 7))
					for i := range 1500 {
						argv := anyStream(r)
						if j := slices.Index(argv, "*"); j > 0 && i%50 > 0 {
							argv[j] = fmt.Sprintf("%d-*", i/30) // small, so that it is met again
						}
						if argv[0] == "PEXPIRE" && (i%9 > 0 || i > 1000) {
							argv = []string{"PERSIST", argv[1]}
						}
						if v, err := c.Do(argv...); err != nil {
							t.Error(err, v)
							return
						}
					}
				})
			}
			wg.Wait()
			c := transcript.NewClient(testserver.Dial(t, from), time.Minute)
			require.Eventually(t, func() bool {
				v, err := c.Do("INFO", "keyspace")
				require.NoError(t, err)
				return !expiring.MatchString(v.String())
			}, 20*time.Second, 5*time.Millisecond)
			for _, argv := range [][]string{ // something is there, be all that was gone
				{"XADD", "x0", "*", "f", "v"}, {"XGROUP", "CREATE", "x0", "g0", "0"},
				{"XREADGROUP", "GROUP", "g0", "a", "STREAMS", "x0", ">"},
			} {
				_, err := c.Do(argv...)
				require.NoError(t, err)
			}
			to := testserver.Start(t)
			testserver.Replay(t, to, rec.Take())
			require.Equal(t, digest(t, from), digest(t, to))
			d := transcript.NewClient(testserver.Dial(t, to), time.Minute)
			pending := 0
			for i := range 3 {
				want, got := groupsOf(t, c, fmt.Sprint("x", i)), groupsOf(t, d, fmt.Sprint("x", i))
				require.Equal(t, want, got)
				pending += strings.Count(want, "pel-count")
			}
			require.Positive(t, pending, "nothing was compared")
		})
	}
}

// groupsOf is all that is known of a stream, but for how it lies in memory and
// when consumers were last heard of.
func groupsOf(t *testing.T, c *transcript.Client, key string) string {
	t.Helper()
	v, err := c.Do("XINFO", "STREAM", key, "FULL", "COUNT", "0")
	require.NoError(t, err)
	if v.IsError() {
		return v.String()
	}
	var known func(v transcript.Value) transcript.Value
	known = func(v transcript.Value) transcript.Value {
		for i := 0; i < len(v.Elems); i++ {
			switch v.Elems[i].Str {
			case "seen-time", "radix-tree-keys", "radix-tree-nodes":
				v.Elems[i+1] = transcript.Value{}
			}
			v.Elems[i] = known(v.Elems[i])
		}
		return v
	}
	return known(v).String()
}
