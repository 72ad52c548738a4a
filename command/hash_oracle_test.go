package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
)

// hashCalls are the calls of TestHashesAndSetsAgreeWithRedis, in the notation of
// zsetCalls.
var hashCalls = strings.Split(strings.TrimSpace(`
HSET <key> <field> <value> <field> <value> <field> <value>
HSET <key> <field> <value> <field>
HSETNX <key> <field> <value>
HMSET <key> <field> <value> <field> <value>
HGET <key> <field>
HMGET <key> <field> <field> <field>
HDEL <key> <field> <field> <field>
HDEL <key> <field>
HEXISTS <key> <field>
HLEN <key>
HSTRLEN <key> <field>
HINCRBY <key> <field> <number>
HINCRBYFLOAT <key> <field> <float>
HRANDFIELD <key> 1000 <values>
HRANDFIELD <key> <count>
HRANDFIELD none <count> <values>
HSCAN <key> 0 COUNT 1000
HSCAN <key> 0 COUNT 1000 MATCH *1*
HSCAN <key> <cursor> <scan>
SADD <set> <member> <member> <member>
SADD <set> 1 2 3 4
SREM <set> <member> <member>
SISMEMBER <set> <member>
SMISMEMBER <set> <member> <member> <member>
SCARD <set>
SMOVE <set> <set> <member>
SPOP <set> 1000
SPOP <set> <refused>
SRANDMEMBER <set> 1000
SRANDMEMBER <set> <count>
SSCAN <set> 0 COUNT 1000
SSCAN <set> <cursor> <scan>
SINTER <set> <set>
SINTER <set> <set> <set>
SUNION <set> <set>
SDIFF <set> <set>
SDIFF <set> <set> <set>
SINTERSTORE <set> <set> <set>
SUNIONSTORE <set> <set> <set>
SDIFFSTORE <set> <set> <set>
SINTERCARD 2 <set> <set>
SINTERCARD 2 <set> <set> LIMIT <refused>
SINTERCARD <refused> <set> <set>
OBJECT ENCODING <key>
OBJECT ENCODING <set>
COPY <set> <set> REPLACE
COPY <key> <key> REPLACE
RENAME <set> <set>
RENAME <key> <key>
DEL <set>
DEL <key>
SET text 1
`), "\n")

var hashWords = map[string]string{
	"<key>":     "a|b|c|a|b|text|s",
	"<set>":     "s|t|u|s|t|u|text|a",
	"<field>":   "f|g|h|1|2|01||a-long-field",
	"<value>":   "1|2|x||3.5|-7|9223372036854775807|01|a-long-value",
	"<number>":  "1|-1|9223372036854775807|-9223372036854775808|x|1.5|",
	"<float>":   "0.1|1|-3|1e3|x|inf|nan|",
	"<values>":  "WITHVALUES|withvalues|x",
	"<count>":   "0|x|1.5|-9223372036854775808|9223372036854775808",
	"<refused>": "0|-1|x|9223372036854775808|1.5|",
	"<cursor>":  "0|00|x|1x|",
	"<scan>":    "MATCH a|COUNT 100|COUNT 0|COUNT x|MATCH|zz",
	"<member>":  "1|2|3|-4|70000|-5000000000|x|y||01|a-long-member",
}

// doInAnyOrder is do for replies whose parts may come in any order; what belongs
// together is for DEBUG DIGEST to tell.
func (p *pair) doInAnyOrder(t *rapid.T, argv ...string) {
	have, err := p.ours.Do(argv...)
	require.NoError(t, err)
	want, err := p.redis.Do(argv...)
	require.NoError(t, err)
	require.Equal(t, shuffled(want).String(), shuffled(have).String(), "%q", argv)
}

// shuffled sorts the parts of a reply at every level.
func shuffled(v transcript.Value) transcript.Value {
	v.Elems = slices.Clone(v.Elems)
	for i := range v.Elems {
		v.Elems[i] = shuffled(v.Elems[i])
	}
	slices.SortFunc(v.Elems, func(a, b transcript.Value) int { return strings.Compare(a.String(), b.String()) })
	return v
}

// Any sequence of calls gets the same replies from redis-server, in all forms and
// both protocols, and leaves the same data in the same encodings.
func TestHashesAndSetsAgreeWithRedis(t *testing.T) {
	redis := transcript.StartRedis(t)
	for name, args := range map[string][]string{
		"inline":         nil,
		"always in line": {"--rmw-always-queue", "yes", "--shards", "1", "--latch-slots", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			both := newPair(t, redis, args...)
			rapid.Check(t, func(t *rapid.T) {
				both.begin(t)
				set := func(name string, values ...string) {
					both.do(t, "CONFIG", "SET", name, rapid.SampledFrom(values).Draw(t, name))
				}
				set("hash-max-listpack-entries", "0", "3", "512")
				set("hash-max-listpack-value", "5", "64")
				set("set-max-intset-entries", "0", "4", "512")
				for range rapid.IntRange(1, 60).Draw(t, "length") {
					both.doInAnyOrder(t, drawCall(t, hashCalls, hashWords)...)
				}
				for _, k := range []string{"a", "b", "c", "s", "t", "u"} {
					both.do(t, "TYPE", k)
					both.do(t, "OBJECT", "ENCODING", k)
				}
				both.do(t, "DEBUG", "DIGEST")
			})
		})
	}
}
