package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/store"
)

// Events are those of redis-server, in its order; what changes nothing is not
// logged, and everything else in a form that can be replayed.
func TestZSetEventsAndRecords(t *testing.T) {
	b := newBench(t)
	for _, step := range [][2]string{
		{"ZADD z 1 a 2 b", "zadd z: ZADD z 1 a 2 b"},
		{"ZADD z 1 a 2 b", "-"},
		{"ZADD z NX 5 a", "-"},
		{"ZADD z XX 5 c", "-"},
		{"ZADD none XX 5 c", "-"},
		{"ZADD z XX GT 0 a", "-"},
		{"ZADD z CH 3 b", "zadd z: ZADD z CH 3 b"},
		{"ZADD z INCR 2 b", "zincr z: ZADD z INCR 2 b"},
		{"ZADD z NX INCR 2 b", "-"},
		{"ZINCRBY z 2 b", "zincr z: ZINCRBY z 2 b"},
		{"ZINCRBY z 0 b", "-"},
		{"ZINCRBY new 0 b", "zincr new: ZINCRBY new 0 b"},
		{"ZREM new b", "zrem new, del new: ZREM new b"},
		{"ZREM z nothing", "-"},
		{"ZREM none nothing", "-"},
		{"ZRANGE z 0 -1", "-"},
		{"ZSCORE z a", "-"},
		{"ZSCAN z 0", "-"},
		{"ZUNION 2 z none", "-"},
		{"ZUNIONSTORE u 2 z none", "zunionstore u: ZUNIONSTORE u 2 z none"},
		{"ZINTERSTORE u 1 z", "zinterstore u: ZINTERSTORE u 1 z"},
		{"ZDIFFSTORE u 1 z", "zdiffstore u: ZDIFFSTORE u 1 z"},
		{"ZRANGESTORE u z 0 -1", "zrangestore u: ZRANGESTORE u z 0 -1"},
		{"ZRANGESTORE u z 5 6", "del u: ZRANGESTORE u z 5 6"},
		{"ZRANGESTORE u z 5 6", "-"},
		{"ZINTERSTORE u 2 z none", "-"},
		{"ZREMRANGEBYRANK z 5 6", "-"},
		{"ZREMRANGEBYRANK none 0 6", "-"},
		{"ZADD z 0 x 0.5 y 1 z", "zadd z: ZADD z 0 x 0.5 y 1 z"},
		{"ZREMRANGEBYRANK z 0 0", "zremrangebyrank z: ZREMRANGEBYRANK z 0 0"},
		{"ZREMRANGEBYSCORE z 0 0.5", "zremrangebyscore z: ZREMRANGEBYSCORE z 0 0.5"},
		{"ZREMRANGEBYLEX z - [a", "zremrangebylex z: ZREMRANGEBYLEX z - [a"},
		{"ZPOPMIN z 0", "-"},
		{"ZPOPMIN none", "-"},
		{"ZPOPMIN z", "zpopmin z: ZPOPMIN z"},
		{"ZPOPMAX z 5", "zpopmax z, del z: ZPOPMAX z 5"},
		{"ZADD z 1 a 2 b", "zadd z: ZADD z 1 a 2 b"},
		{"ZMPOP 2 none z MAX", "zpopmax z: ZPOPMAX z 1"},
		{"ZMPOP 2 none z MIN COUNT 5", "zpopmin z, del z: ZPOPMIN z 1"},
		{"ZMPOP 2 none z MIN", "-"},
		{"GEOADD g 1 1 a", "zadd g: GEOADD g 1 1 a"},
		{"GEOADD g 1 1 a", "-"},
		{"GEOADD g CH 2 2 a 1 1 b", "zadd g: GEOADD g CH 2 2 a 1 1 b"},
		{"GEOADD none XX 2 2 a", "-"},
		{"GEOPOS g a", "-"},
		{"GEORADIUS g 1 1 1 km", "-"},
		{"GEORADIUS g 1 1 1 km STORE s", "georadiusstore s: DEL s ZADD s 3377822707026402 b"},
		{"GEORADIUSBYMEMBER g a 1 km STOREDIST s", "georadiusstore s: DEL s ZADD s 0 a"},
		{"GEORADIUS g 9 9 1 km STORE s", "del s: DEL s"},
		{"GEORADIUS g 9 9 1 km STORE s", "-"},
		{"GEOSEARCHSTORE s g FROMMEMBER a BYRADIUS 1 m", "geosearchstore s: DEL s ZADD s 3378191666521995 a"},
		{"GEOSEARCHSTORE s none FROMMEMBER a BYRADIUS 1 m", "del s: DEL s"},
	} {
		told, err := b.run(store.Claimed, step[0])
		require.NoError(t, err, step[0])
		require.Equal(t, step[1], told, step[0])
	}
}

// An error leaves the set as it was.
func TestZSetErrorsChangeNothing(t *testing.T) {
	b := newBench(t)
	_, err := b.run(store.Claimed, "ZADD z inf a 1 b")
	require.NoError(t, err)
	for _, call := range []string{
		"ZADD z INCR -inf a", "ZINCRBY z -inf a", "ZADD z 5 b x c", "ZADD z 5 b nan c", "GEOADD z 1 1 b 1 99 c", "ZREMRANGEBYSCORE z 0 x",
	} {
		_, err := b.run(store.Claimed, call)
		require.Error(t, err, call)
	}
	require.Equal(t, []float64{1, 0}, []float64{b.score("z", "b"), b.score("z", "c")})
}

func (b *bench) score(key, name string) (score float64) {
	refs := []store.Ref{{Key: []byte(key), Hash: b.ks.Hash(0, []byte(key))}}
	b.tx.Begin(b.ks, store.Claimed, 0, 1, refs)
	defer b.tx.End()
	z, err := b.tx.ZSet(refs[0].Key)
	require.NoError(b.t, err)
	score, _ = z.Score([]byte(name))
	return score
}

// A call with much to do does not keep the coordinator, and has changed nothing
// when it says so.
func TestZSetLongCallsLeaveTheLine(t *testing.T) {
	b := newBench(t)
	many := strings.Builder{}
	for i := range 2 * shortWork {
		many.WriteString(" 1 m" + string((&Context{}).Decimal(int64(i))))
	}
	_, err := b.run(store.InLine, "ZADD z"+many.String())
	require.ErrorIs(t, err, store.ErrLocked)
	_, err = b.run(store.Claimed, "ZADD z"+many.String())
	require.NoError(t, err)
	for _, call := range []string{
		"ZPOPMIN z 1000", "ZPOPMAX z 1000", "ZREMRANGEBYRANK z 0 1000", "ZREMRANGEBYSCORE z 1 1", "ZREMRANGEBYLEX z - +", "ZMPOP 1 z MIN COUNT 1000",
		"ZREM z" + strings.Repeat(" x", 2*shortWork), "ZRANGESTORE u z 0 -1", "ZUNIONSTORE u 1 z", "GEORADIUS z 1 1 1 m",
	} {
		_, err = b.run(store.InLine, call)
		require.ErrorIs(t, err, store.ErrLocked, call)
	}
	for _, call := range []string{"ZPOPMIN z 10", "ZADD z 2 m7", "ZREMRANGEBYRANK z 0 9", "ZREM z m700"} {
		told, err := b.run(store.InLine, call)
		require.NoError(t, err)
		require.NotEqual(t, "-", told)
	}
}

// Scores read in a set that exists cost no allocation, whatever its form. Nor do
// scores written to a large one; of a small one each time a block is made.
func TestZSetCallsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector lets pools lose what they hold")
	}
	for members, blocks := range map[uint32]int{0: 0, 128: 3} {
		b := newBench(t)
		b.ks.SetZSetLimits(store.ZSetLimits{Members: members, Value: 64})
		_, err := b.run(store.Claimed, "ZADD z 1 a 2 b 3 c 4 d 5 e 0.5 f")
		require.NoError(t, err)
		calls := []func(){
			b.prepared("ZADD z 7 c"), b.prepared("ZADD z 3 c"), b.prepared("ZINCRBY z 1.5 a"), b.prepared("ZSCORE z a"), b.prepared("ZRANK z d"),
			b.prepared("ZRANGE z 1 3 WITHSCORES"), b.prepared("ZRANGE z (1 +inf BYSCORE LIMIT 1 2"), b.prepared("ZCOUNT z 1 3"),
			b.prepared("ZREMRANGEBYSCORE z 100 200"), b.prepared("ZREM z nothing"), b.prepared("ZRANDMEMBER z"), b.prepared("ZREVRANGE z 0 1"),
		}
		require.EqualValues(t, blocks, testing.AllocsPerRun(200, func() {
			for _, call := range calls {
				call()
			}
		}), "%d", members)
	}
}

// Keys of GEORADIUS are found where the call takes them from.
func TestGeoRadiusKeys(t *testing.T) {
	for call, want := range map[string]string{
		"GEORADIUS k 1 2 3 m":                     "k",
		"GEORADIUS k 1 2 3 m STORE a":             "k a",
		"GEORADIUS k 1 2 3 m STORE a STORE b":     "k a b",
		"GEORADIUS k 1 2 3 m STORE a STOREDIST b": "k a b",
		"GEORADIUS k 1 2 3 m STORE STOREDIST":     "k STOREDIST",
		"GEORADIUS k 1 2 3 m STOREDIST STORE x":   "k STORE",
		"GEORADIUS k 1 2 3 m STORE":               "k",
		"GEORADIUSBYMEMBER k store 3 m store a":   "k a",
	} {
		var args [][]byte
		for _, w := range strings.Fields(call) {
			args = append(args, []byte(w))
		}
		var keys []string
		require.NoError(t, All().Lookup(args).EachKey(args, func(i int, _ Access) { keys = append(keys, string(args[i])) }))
		require.Equal(t, want, strings.Join(keys, " "), call)
	}
}

func TestParseScoreEnd(t *testing.T) {
	for text, want := range map[string]scoreEnd{
		"1": {score: 1}, "(1.5": {score: 1.5, open: true}, "": {}, "(": {open: true}, " 2": {score: 2}, "1\x00x": {score: 1}, "0x10": {score: 16},
	} {
		e, ok := parseScoreEnd([]byte(text))
		require.True(t, ok, "%q", text)
		require.Equal(t, want, e, "%q", text)
	}
	for _, text := range []string{" ", "( ", "1 ", "nan", "((1", "[1", "1_0", "x"} {
		_, ok := parseScoreEnd([]byte(text))
		require.False(t, ok, "%q", text)
	}
}
