package command_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// zsetCalls are the calls of TestZSetAgreesWithRedis. A word in angle brackets is
// drawn anew each time, "<opt>" none or some of those behind it. In the set called
// lex all scores are the same: elsewhere ranges of names are anybody's guess.
var zsetCalls = strings.Split(strings.TrimSpace(`
ZADD <key> <score> <member> <score> <member> <score> <member>
ZADD <key> <zadd> <score> <member>
ZADD <key> <zadd> <zadd> <score> <member> <score> <member>
ZADD <key> <zadd> <zadd> <zadd> <score> <member>
ZADD lex 0 <member> 0 <member> 0 <member> 0 <member>
ZINCRBY <key> <score> <member>
ZINCRBY <key> <zadd> <score>
ZREM <key> <member> <member> <member>
ZSCORE <key> <member>
ZMSCORE <key> <member> <member> <member>
ZCARD <key>
ZRANK <key> <member>
ZREVRANK <key> <member>
ZCOUNT <key> <end> <end>
ZLEXCOUNT lex <name> <name>
ZRANGE <key> <index> <index> <with>
ZRANGE <key> <end> <end> BYSCORE <limit> <with>
ZRANGE <key> <end> <end> <limit> REV <with> BYSCORE
ZRANGE <key> <end> <end> <kind> <kind>
ZRANGE lex <name> <name> <option> <option>
ZRANGE lex <name> <name> BYLEX <limit>
ZRANGE lex <name> <name> BYLEX REV <limit>
ZREVRANGE <key> <index> <index> <with>
ZRANGEBYSCORE <key> <end> <end> <limit> <with>
ZREVRANGEBYSCORE <key> <end> <end> <limit> <with>
ZREVRANGEBYSCORE <key> <end> <end> <option>
ZRANGEBYLEX lex <name> <name> <limit>
ZREVRANGEBYLEX lex <name> <name> <limit>
ZRANGESTORE <key> <key> <index> <index>
ZRANGESTORE <key> <key> <end> <end> BYSCORE <limit> <option>
ZRANGESTORE lex lex <name> <name> BYLEX <limit>
ZREMRANGEBYRANK <key> <index> <index>
ZREMRANGEBYSCORE <key> <end> <end>
ZREMRANGEBYLEX lex <name> <name>
ZPOPMIN <key>
ZPOPMAX <key>
ZPOPMIN <key> <count>
ZPOPMAX <key> <count>
ZMPOP 2 <key> <key> <where>
ZMPOP 1 <key> <where> COUNT <count>
ZMPOP <count> <key> <where>
ZRANDMEMBER <key> 1000 WITHSCORES
ZRANDMEMBER <key> <count> <option>
ZSCAN <key> 0 COUNT 1000
ZSCAN <key> 0 COUNT 1000 MATCH *1*
ZSCAN <key> <cursor> <scan>
ZUNION 2 <key> <key> <weights> <aggregate> <with>
ZUNION <count> <key> <option> <option>
ZUNION 3 <key> <key> <key> <with>
ZINTER 2 <key> <key> <aggregate> <weights> <with>
ZINTER 3 <key> <key> <key>
ZDIFF 2 <key> <key> <with>
ZDIFF 3 <key> <key> <key> <option>
ZINTERCARD 2 <key> <key>
ZINTERCARD 2 <key> <key> LIMIT <count>
ZUNIONSTORE <key> 2 <key> <key> <weights> <aggregate>
ZINTERSTORE <key> 2 <key> <key> <weights> <aggregate>
ZDIFFSTORE <key> 2 <key> <key>
ZUNIONSTORE <key> 2 <key> <key> <option>
SADD <key> <member> <member> 1 2
SADD <key> 1 2 3
SET text 1
DEL <key>
COPY <key> <key> REPLACE
RENAME <key> <key>
OBJECT ENCODING <key>
TYPE <key>
`), "\n")

var zsetWords = map[string]string{
	"<key>": "a|b|c|d|a|b|text",
	"<score>": "0|1|2|3|-1|1.5|3.0e3|0.1|-0|inf|-inf|+inf|Infinity|1e17|123456789012345678|4503599627370497|1e300|" +
		"3.141592653589793238|5e-324|1e-5|0x10|0x1p-3|nan|1e400|1e-400|abc| 1|1 ||1_000",
	"<member>": "a|b|c|1|2|10|-5|m1|m2|m3|m11||a-member-that-is-longer-than-thirty-two-bytes-is|01",
	"<zadd>":   "NX|XX|GT|LT|CH|INCR|nx|ch|incr",
	"<end>":    "-inf|+inf|0|1|2|(1|(2|(0|(-inf|(inf|1.5|3000|abc|(|| 1|nan|(nan|1e400|0x2",
	"<name>":   "-|+|-|+|[a|(a|[m|(m2|[m2|[|(|a||[1|++",
	"<index>":  "0|1|2|-1|-2|-3|5|100|-100|x|9223372036854775807|-9223372036854775808",
	"<count>":  "0|1|2|3|-1|100|x|9223372036854775807|-9223372036854775808|1.5",
	"<with>":   "|WITHSCORES|withscores",
	"<limit>":  "||LIMIT 0 2|LIMIT 1 2|LIMIT 1 -1|LIMIT 0 -5|LIMIT -1 2|LIMIT 100 1|LIMIT 1 x|LIMIT 1",
	"<kind>":   "WITHSCORES|REV|BYSCORE|LIMIT 0 1|zz",
	"<option>": "WITHSCORES|REV|BYSCORE|BYLEX|LIMIT 0 1|COUNT 2|MATCH a|WEIGHTS 1 2|WEIGHTS 1|AGGREGATE MAX|AGGREGATE|LIMIT 5|zz",
	"<cursor>": "0|00|x|1x|",
	"<scan>":   "MATCH a|COUNT 100|COUNT 0|COUNT x|MATCH|zz",
	"<where>":  "MIN|MAX|min|LEFT",

	"<weights>":   "|WEIGHTS 2 3|WEIGHTS 0 inf|WEIGHTS -1 0.5|WEIGHTS a 1|WEIGHTS nan 1",
	"<aggregate>": "|AGGREGATE SUM|AGGREGATE MIN|AGGREGATE MAX|AGGREGATE x",
}

// drawCall draws one of calls and its words.
func drawCall(t *rapid.T, calls []string, words map[string]string) []string {
	var argv []string
	for _, w := range strings.Split(rapid.SampledFrom(calls).Draw(t, "call"), " ") {
		from, ok := words[w]
		if !ok {
			argv = append(argv, w)
			continue
		}
		v := rapid.SampledFrom(strings.Split(from, "|")).Draw(t, w)
		switch {
		case v == "" && strings.Contains("<with><limit><weights><aggregate>", w):
		case strings.HasPrefix(v, " ") || strings.HasSuffix(v, " "):
			argv = append(argv, v)
		default:
			argv = append(argv, strings.Split(v, " ")...)
		}
	}
	return argv
}

// Any sequence of calls gets the same replies from redis-server, in both forms
// and both protocols, and leaves the same data.
func TestZSetAgreesWithRedis(t *testing.T) {
	redis := transcript.StartRedis(t)
	for name, args := range map[string][]string{
		"inline":         nil,
		"always in line": {"--rmw-always-queue", "yes", "--shards", "1", "--latch-slots", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			both := newPair(t, redis, args...)
			rapid.Check(t, func(t *rapid.T) {
				both.begin(t)
				both.do(t, "CONFIG", "SET", "zset-max-listpack-entries", rapid.SampledFrom([]string{"0", "4", "128"}).Draw(t, "entries"))
				both.do(t, "CONFIG", "SET", "zset-max-listpack-value", rapid.SampledFrom([]string{"4", "64"}).Draw(t, "value"))
				for range rapid.IntRange(1, 60).Draw(t, "length") {
					both.do(t, drawCall(t, zsetCalls, zsetWords)...)
				}
				for _, k := range []string{"a", "b", "c", "d", "lex"} {
					both.do(t, "ZUNION", "1", k, "WITHSCORES")
					both.do(t, "OBJECT", "ENCODING", k)
				}
				both.do(t, "DEBUG", "DIGEST")
			})
		})
	}
}

// A pair is a server of ours beside redis-server.
type pair struct{ ours, redis *transcript.Client }

func newPair(t *testing.T, redis string, args ...string) *pair {
	conn, err := net.Dial("tcp", redis)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &pair{
		transcript.NewClient(testserver.Dial(t, testserver.Start(t, args...)), 10*time.Second),
		transcript.NewClient(conn, 10*time.Second),
	}
}

// begin empties both servers and chooses a protocol.
func (p *pair) begin(t *rapid.T) {
	proto := rapid.SampledFrom([]string{"2", "3"}).Draw(t, "protocol")
	for _, c := range []*transcript.Client{p.ours, p.redis} {
		_, err := c.Do("HELLO", proto)
		require.NoError(t, err)
		_, err = c.Do("FLUSHALL")
		require.NoError(t, err)
	}
}

// inNoOrder are the commands whose replies have their parts in no certain order;
// of SCAN's relatives it is the second element.
var inNoOrder = []string{"ZSCAN", "ZRANDMEMBER"}

// do sends both the same call and wants the same reply.
func (p *pair) do(t *rapid.T, argv ...string) {
	have, err := p.ours.Do(argv...)
	require.NoError(t, err)
	want, err := p.redis.Do(argv...)
	require.NoError(t, err)
	if slices.Contains(inNoOrder, argv[0]) {
		if argv[0] == "ZRANDMEMBER" && argv[2] != "1000" {
			require.Equal(t, want.IsError(), have.IsError(), "%q", argv)
			require.Equal(t, len(want.Elems), len(have.Elems), "%q", argv)
			return
		}
		have, want = inOrder(have), inOrder(want)
	}
	require.Equal(t, want.String(), have.String(), "%q", argv)
}

// inOrder sorts what a reply has in pairs, or singly.
func inOrder(v transcript.Value) transcript.Value {
	if len(v.Elems) == 2 && len(v.Elems[1].Elems) > 0 && len(v.Elems[0].Elems) == 0 {
		v.Elems[1] = inOrder(v.Elems[1])
		return v
	}
	width := 2
	if len(v.Elems) > 0 && len(v.Elems[0].Elems) > 0 {
		width = 1
	}
	chunks := slices.Collect(slices.Chunk(v.Elems, width))
	slices.SortFunc(chunks, func(a, b []transcript.Value) int { return strings.Compare(a[0].String(), b[0].String()) })
	v.Elems = slices.Concat(chunks...)
	return v
}
