package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/store"
)

// tells runs calls one after the other and compares what each tells: events, and
// what is logged. The time is 1.
func tells(t *testing.T, b *bench, steps [][2]string) {
	t.Helper()
	for _, step := range steps {
		told, err := b.run(store.Claimed, step[0])
		require.NoError(t, err, step[0])
		require.Equal(t, step[1], told, step[0])
	}
}

func TestHashEventsAndRecords(t *testing.T) {
	tells(t, newBench(t), [][2]string{
		{"HSET h a 1 b 2", "hset h: HSET h a 1 b 2"},
		{"HSET h a 1", "hset h: HSET h a 1"},
		{"HMSET h c 3", "hset h: HMSET h c 3"},
		{"HSETNX h a 1", "-"},
		{"HSETNX h d 1", "hset h: HSETNX h d 1"},
		{"HINCRBY h a 1", "hincrby h: HINCRBY h a 1"},
		{"HINCRBYFLOAT h a 0.5", "hincrbyfloat h: HSET h a 2.5"},
		{"HGETALL h", "-"},
		{"HDEL h none", "-"},
		{"HDEL none a", "-"},
		{"HDEL h a none", "hdel h: HDEL h a none"},
		{"HDEL h b c d", "hdel h, del h: HDEL h b c d"},
		{"HRANDFIELD h", "-"},
	})
}

// What depends on the time is logged with the time itself.
func TestFieldExpiryEventsAndRecords(t *testing.T) {
	tells(t, newBench(t), [][2]string{
		{"HSET h a 1 b 2 c 3 d 4 e 5", "hset h: HSET h a 1 b 2 c 3 d 4 e 5"},
		{"HEXPIRE h 10 FIELDS 3 a none b", "hexpire h: HPEXPIREAT h 10001 FIELDS 2 a b"},
		{"HPEXPIRE h 10 NX FIELDS 1 a", "-"},
		{"HPEXPIREAT h 20 XX FIELDS 2 a c", "hexpire h: HPEXPIREAT h 20 FIELDS 1 a"},
		{"HEXPIRE none 10 FIELDS 1 a", "-"},
		{"HINCRBYFLOAT h b 0.5", "hincrbyfloat h: HSETEX h KEEPTTL FIELDS 1 b 2.5"},
		{"HPERSIST h FIELDS 3 a c none", "hpersist h: HPERSIST h FIELDS 1 a"},
		{"HPERSIST h FIELDS 1 a", "-"},
		{"HEXPIRE h 0 FIELDS 2 a none", "hdel h: HDEL h a"},
		{"HGETEX h FIELDS 1 b", "-"},
		{"HGETEX h PX 9 FIELDS 2 b none", "hexpire h: HPEXPIREAT h 10 FIELDS 1 b"},
		{"HGETEX h PERSIST FIELDS 2 b c", "hpersist h: HPERSIST h FIELDS 1 b"},
		{"HGETEX h PERSIST FIELDS 1 b", "-"},
		{"HGETEX h PXAT 1 FIELDS 1 b", "hdel h: HDEL h b"},
		{"HGETDEL h FIELDS 2 c none", "hdel h: HDEL h c"},
		{"HGETDEL h FIELDS 1 none", "-"},
		{"HSETEX h FIELDS 1 x 1", "hset h: HSET h x 1"},
		{"HSETEX h EX 1 FIELDS 1 x 1", "hset h, hexpire h: HSETEX h PXAT 1001 FIELDS 1 x 1"},
		{"HSETEX h FXX KEEPTTL FIELDS 1 x 2", "hset h: HSETEX h KEEPTTL FIELDS 1 x 2"},
		{"HSETEX h FNX FIELDS 1 x 1", "-"},
		{"HSETEX h PXAT 1 FIELDS 2 x 1 y 1", "hdel h: HDEL h x"},
		{"HSETEX none PXAT 1 FIELDS 1 x 1", "-"},
		{"HGETDEL h FIELDS 2 d e", "hdel h, del h: HDEL h d e"},
	})
}

func TestSetEventsAndRecords(t *testing.T) {
	b := newBench(t)
	tells(t, b, [][2]string{
		{"SADD s a b", "sadd s: SADD s a b"},
		{"SADD s a b", "-"},
		{"SREM s c", "-"},
		{"SREM none c", "-"},
		{"SREM s a c", "srem s: SREM s a c"},
		{"SPOP s", "spop s, del s: SREM s b"},
		{"SPOP s", "-"},
		{"SPOP s 5", "-"},
		{"SADD s a", "sadd s: SADD s a"},
		{"SPOP s 0", "-"},
		{"SPOP s 5", "spop s, del s: DEL s"},
		{"SADD s a b", "sadd s: SADD s a b"},
		{"SADD d a", "sadd d: SADD d a"},
		{"SMOVE s d c", "-"},
		{"SMOVE s s a", "-"},
		{"SMOVE s d a", "srem s: SMOVE s d a"},
		{"SMOVE s d b", "srem s, del s, sadd d: SMOVE s d b"},
		{"SMOVE s d b", "-"},
		{"SUNIONSTORE u d none", "sunionstore u: SUNIONSTORE u d none"},
		{"SINTERSTORE u d u", "sinterstore u: SINTERSTORE u d u"},
		{"SDIFFSTORE v u none", "sdiffstore v: SDIFFSTORE v u none"},
		{"SDIFFSTORE v u d", "del v: SDIFFSTORE v u d"},
		{"SDIFFSTORE v u d", "-"},
		{"SINTER u d", "-"},
		{"SRANDMEMBER u", "-"},
	})
	told, err := b.run(store.Claimed, "SADD many"+numbers(3000))
	require.NoError(t, err)
	require.NotEqual(t, "-", told)
	told, err = b.run(store.Claimed, "SPOP many 2500")
	require.NoError(t, err)
	records, _ := b.c.Effects()
	require.Len(t, records, 3, "records are not without bound")
	require.True(t, strings.HasPrefix(told, "spop many: SREM many "))
}

func numbers(n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteString(" ")
		s.Write((&Context{}).Decimal(int64(i)))
		s.WriteString("x")
	}
	return s.String()
}

// Calls with much to do do not keep the coordinator, and have changed nothing
// when they say so.
func TestHashAndSetLongCallsLeaveTheLine(t *testing.T) {
	b := newBench(t)
	many := numbers(2 * shortWork)
	for _, call := range []string{
		"HSET h" + many, "SADD s" + many, "HDEL h" + many, "SREM s" + many, "SPOP s 1000",
		"HEXPIRE h 10 FIELDS 1024" + many, "HPERSIST h FIELDS 1024" + many, "HGETDEL h FIELDS 1024" + many,
		"HGETEX h EX 10 FIELDS 1024" + many, "HSETEX h FIELDS 512" + many,
	} {
		name, _, _ := strings.Cut(call, " ")
		if !strings.HasPrefix(call, "HSET h") && !strings.HasPrefix(call, "SADD") {
			_, err := b.run(store.Claimed, "HSET h"+many)
			require.NoError(t, err)
			_, err = b.run(store.Claimed, "SADD s"+many)
			require.NoError(t, err)
		}
		_, err := b.run(store.InLine, call)
		require.ErrorIs(t, err, store.ErrLocked, name)
		require.False(t, b.tx.Changes(), name)
	}
}

// Reading fields and members that are there costs no allocation. Nor does
// overwriting them in a large hash; of a small one each time a block is made.
func TestHashCallsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector lets pools lose what they hold")
	}
	for name, more := range map[string]string{"small": "", "large": numbers(2000)} {
		b := newBench(t)
		blocks := 0
		for _, line := range []string{"HSET h f value n 10" + more, "SADD s a" + more, "SADD i 1 2 3"} {
			_, err := b.run(store.Claimed, line)
			require.NoError(t, err)
		}
		calls := []func(){
			b.prepared("HSET h f VALUE"), b.prepared("HGET h f"), b.prepared("HMGET h f n none"), b.prepared("HINCRBY h n 1"),
			b.prepared("HINCRBY h n -1"), b.prepared("HEXISTS h f"), b.prepared("HLEN h"), b.prepared("HDEL h none"),
			b.prepared("SADD s a"), b.prepared("SISMEMBER s a"), b.prepared("SREM s none"), b.prepared("SRANDMEMBER s"),
			b.prepared("SADD i 2"), b.prepared("SMEMBERS i"),
		}
		if more == "" {
			calls = append(calls, b.prepared("HGETALL h"), b.prepared("SMEMBERS s"))
			blocks = 3 // HSET and two HINCRBY
		}
		require.EqualValues(t, blocks, testing.AllocsPerRun(200, func() {
			for _, call := range calls {
				call()
			}
		}), name)
	}
}
