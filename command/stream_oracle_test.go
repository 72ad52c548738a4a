package command_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

var streamRounds = flag.Int("stream-rounds", 300, "how many sequences TestStreamsAgreeWithRedis plays")

var streamCalls = strings.Split(strings.TrimSpace(`
XADD <key> <next> f <value>
XADD <key> <next> f <value> g <value>
XADD <key> <next> <value> <value>
XADD <key> <next> f <value>
XADD <key> <trim> <next> f <value>
XADD <key> <trim> <next> f <value>
XADD <key> <trim> <id> f <value>
XADD <key> NOMKSTREAM <id> f <value>
XADD <key> <odd> f <value>
XTRIM <key> <trim>
XTRIM <key> <trim>
XTRIM <key> <trim> <trim>
XLEN <key>
XDEL <key> <id> <id>
XDEL <key> <id>
XRANGE <key> <from> <to> <count>
XREVRANGE <key> <to> <from> <count>
XRANGE <key> <odd> <odd>
XREAD <count> STREAMS <key> <id>
XREAD <count> STREAMS <key> <key> <id> <id>
XREAD <count> STREAMS <key> <odd>
XSETID <key> <id>
XSETID <key> <next> ENTRIESADDED <n>
XSETID <key> <next> ENTRIESADDED <n> MAXDELETEDID <id>
XGROUP CREATE <key> <group> <id> MKSTREAM
XGROUP CREATE <key> <group> 0
XGROUP CREATE <key> <group> $ ENTRIESREAD <n>
XGROUP SETID <key> <group> <id>
XGROUP SETID <key> <group> <id> ENTRIESREAD <n>
XGROUP DESTROY <key> <group>
XGROUP CREATECONSUMER <key> <group> <consumer>
XGROUP DELCONSUMER <key> <group> <consumer>
XREADGROUP GROUP <group> <consumer> <count> <noack> STREAMS <key> >
XREADGROUP GROUP <group> <consumer> <count> <noack> STREAMS <key> >
XREADGROUP GROUP <group> <consumer> <count> STREAMS <key> >
XREADGROUP GROUP <group> <consumer> <count> <noack> STREAMS <key> <id>
XREADGROUP GROUP <group> <consumer> <count> STREAMS <key> <key> > >
XREADGROUP GROUP <group> <consumer> <count> STREAMS <key> <key> <id> >
XREADGROUP GROUP <group> <consumer> <count> STREAMS <key> <odd>
XACK <key> <group> <id> <id> <id>
XPENDING <key> <group>
XPENDING <key> <group> <from> <to> <n>
XPENDING <key> <group> <from> <to> <n> <consumer>
XPENDING <key> <group> IDLE <idle> <from> <to> <n> <consumer>
XCLAIM <key> <group> <consumer> <idle> <id> <id> <claim> <claim>
XCLAIM <key> <group> <consumer> <idle> <id> <id> <id> <claim>
XCLAIM <key> <group> <consumer> 0 <id> <odd> <claim>
XAUTOCLAIM <key> <group> <consumer> <idle> <from> <count> <justid>
XAUTOCLAIM <key> <group> <consumer> 0 <from> <count> <justid>
XINFO STREAM <key>
XINFO STREAM <key> FULL <count>
XINFO GROUPS <key>
XINFO CONSUMERS <key> <group>
COPY <key> <key> REPLACE
RENAME <key> <key>
DEL <key>
SET text 1
`), "\n")

var longValue = strings.Repeat("w", 4090)

var streamWords = map[string]string{
	"<key>":      "s|s|s|s|s|s|t|text|none",
	"<group>":    "g|g|g|h|none",
	"<consumer>": "a|b|c|a|b",
	"<value>":    "1|-1|127|128|5000|-99999|9223372036854775807|007|x||" + strings.Repeat("y", 62) + "|" + strings.Repeat("z", 125) + "|" + longValue,
	"<count>":    "||COUNT 1|COUNT 2|COUNT 3|COUNT 0|COUNT -1|COUNT x|COUNT",
	"<n>":        "0|1|2|3|10|100|-1|x",
	"<noack>":    "|||NOACK",
	"<justid>":   "||JUSTID|x",
	"<idle>":     "0|0|0|1000000000|-5|x",
	"<claim>":    "||FORCE|JUSTID|FORCE JUSTID|IDLE 2000000000|TIME 1000|TIME 9000000000000|RETRYCOUNT 5|RETRYCOUNT -5|LASTID 3|LASTID 5-1|LASTID x|IDLE|x",
	"<trim>":     "MAXLEN 0|MAXLEN 3|MAXLEN 5|MAXLEN = 8|MAXLEN ~ 3|MAXLEN ~ 8|MAXLEN ~ 4 LIMIT 5|MAXLEN ~ 2 LIMIT 0|MINID 3|MINID 5-1|MINID ~ 6|MINID ~ 9 LIMIT 6|MAXLEN x|MAXLEN -1|LIMIT 3|MAXLEN 3 LIMIT 3|MINID x",
	"<odd>":      "$|>|-|+|x|1-|-1|1--1|1-2-3|(1|0-0|0|0-*|*-1|18446744073709551615-18446744073709551615|18446744073709551615|18446744073709551616|007-1|+1| 1|",
	"<from>":     "-|-|0|1|2|2-1|3|(1-0|(3|5|+|(-",
	"<to>":       "+|+|9|3|4-1|(4|(6-2|5|-|(18446744073709551615-18446744073709551615|(0-0",
}

// A streamDrawer draws calls; most entries come behind those before.
type streamDrawer struct{ ms, seq int }

func (d *streamDrawer) draw(r *rand.Rand) (argv []string) {
	one := func(of ...int) int { return of[r.IntN(len(of))] }
	for _, w := range strings.Split(streamCalls[r.IntN(len(streamCalls))], " ") {
		switch w {
		case "<next>":
			if d.seq++; r.IntN(3) == 0 {
				d.ms += one(1, 1, 1, 1, 1, 200, 70000)
				d.seq = one(0, 0, 1, 250, 65530)
			}
			argv = append(argv, fmt.Sprintf("%d-%d", d.ms, d.seq))
			continue
		case "<id>":
			id := fmt.Sprintf("%d-%d", r.IntN(max(d.ms, 1)+1), r.IntN(3))
			if r.IntN(3) == 0 {
				id = fmt.Sprintf("%d-%d", d.ms, max(d.seq-r.IntN(4), 0))
			}
			argv = append(argv, id)
			continue
		}
		from, ok := streamWords[w]
		if !ok {
			argv = append(argv, w)
			continue
		}
		some := strings.Split(from, "|")
		v := some[r.IntN(len(some))]
		switch {
		case v != "" && w != "<value>" && w != "<odd>":
			argv = append(argv, strings.Split(v, " ")...)
		case v != "" || w == "<value>" || w == "<odd>":
			argv = append(argv, v)
		}
	}
	return argv
}

// timeless leaves out of a reply what depends on when the calls came.
func timeless(argv []string, v transcript.Value) transcript.Value {
	gone := transcript.Value{Kind: ':', Str: "some time"}
	var walk func(v transcript.Value, depth int) transcript.Value
	walk = func(v transcript.Value, depth int) transcript.Value {
		v.Elems = slices.Clone(v.Elems)
		for i := range v.Elems {
			e := &v.Elems[i]
			pending := argv[0] == "XPENDING" && len(argv) > 3 && depth == 1 && i == 2
			after := i > 0 && slices.Contains([]string{"idle", "seen-time"}, v.Elems[i-1].Str) && e.Kind == ':'
			if pending || after || e.Kind == ':' && len(e.Str) > 10 {
				*e = gone
			} else {
				*e = walk(*e, depth+1)
			}
		}
		return v
	}
	return walk(v, 0)
}

// play sends both servers the same calls and tells which reply differs.
func (p *pair) play(t *testing.T, calls [][]string) (different string) {
	t.Helper()
	for _, argv := range calls {
		have, err := p.ours.Do(argv...)
		require.NoError(t, err)
		want, err := p.redis.Do(argv...)
		require.NoError(t, err)
		if w, h := timeless(argv, want).String(), timeless(argv, have).String(); w != h {
			return strings.ReplaceAll(fmt.Sprintf("%q\n--- redis-server\n%s\n--- ferricd\n%s", argv, w, h), longValue, "…")
		}
	}
	return ""
}

// shrink leaves out the calls without which a reply still differs.
func (p *pair) shrink(t *testing.T, calls [][]string) [][]string {
	for i := len(calls) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(calls), i, i+1)
		if p.play(t, fewer) != "" {
			calls = fewer
		}
	}
	return calls
}

// Streams and groups are what they are in redis-server, down to how full their
// nodes are.
func TestStreamsAgreeWithRedis(t *testing.T) {
	redis := transcript.StartRedis(t)
	for i, args := range [][]string{nil, {"--rmw-always-queue", "yes"}} {
		both := newPair(t, redis, args...)
		for seed := range *streamRounds {
			r := rand.New(rand.NewPCG(uint64(i), uint64(seed)))
			one := func(of ...string) string { return of[r.IntN(len(of))] }
			proto := one("2", "3")
			for _, c := range []*transcript.Client{both.ours, both.redis} {
				_, err := c.Do("HELLO", proto)
				require.NoError(t, err)
			}
			calls := [][]string{
				{"FLUSHALL"},
				{"CONFIG", "SET", "stream-node-max-entries", one("100", "3", "3", "1", "0")},
				{"CONFIG", "SET", "stream-node-max-bytes", one("4096", "120", "0")},
			}
			var d streamDrawer
			for range 10 + r.IntN(100) {
				calls = append(calls, d.draw(r))
			}
			for _, k := range []string{"s", "t"} {
				calls = append(calls, []string{"XINFO", "STREAM", k}, []string{"XINFO", "STREAM", k, "FULL", "COUNT", "0"},
					[]string{"XINFO", "GROUPS", k}, []string{"XREVRANGE", k, "+", "-"}, []string{"DEBUG", "DIGEST-VALUE", k}, []string{"DEBUG", "DIGEST"})
			}
			if both.play(t, calls) != "" {
				calls = both.shrink(t, calls)
				t.Errorf("%q: %s", calls, both.play(t, calls))
			}
		}
	}
}
