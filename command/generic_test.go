package command

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/store"
)

// keyspaceServer has a keyspace and nothing else.
type keyspaceServer struct {
	Server
	ks *store.Keyspace
}

func (s keyspaceServer) Keyspace() *store.Keyspace { return s.ks }

// Events are those of redis-server, in its order; what changes nothing is not
// logged, and what depends on the clock is logged as a time. The clock stands at
// 1 ms.
func TestGenericEventsAndRecords(t *testing.T) {
	b := newBench(t)
	b.c.Server = keyspaceServer{ks: b.ks}
	for _, step := range [][2]string{
		{"RPUSH l 1", "rpush l: RPUSH l 1"},
		{"RPUSH m 1", "rpush m: RPUSH m 1"},
		{"EXPIRE l 100", "expire l: PEXPIREAT l 100001"},
		{"EXPIRE l 100 NX", "-"},
		{"EXPIRE l 99 GT", "-"},
		{"EXPIRE nosuch 100", "-"},
		{"PEXPIRE l 100 LT", "expire l: PEXPIREAT l 101"},
		{"EXPIREAT l 7 XX", "expire l: PEXPIREAT l 7000"},
		{"PEXPIREAT l 70", "expire l: PEXPIREAT l 70"},
		{"PERSIST l", "persist l: PERSIST l"},
		{"PERSIST l", "-"},
		{"TTL l", "-"},
		{"TOUCH l", "-"},
		{"COPY l c", "copy_to c: COPY l c"},
		{"COPY l c", "-"},
		{"COPY l c DB 3 REPLACE", "copy_to c: COPY l c DB 3 REPLACE"},
		{"COPY nosuch c REPLACE", "-"},
		{"RENAME l r", "rename_from l, rename_to r: RENAME l r"},
		{"RENAME r r", "-"},
		{"RENAMENX r c", "-"},
		{"RENAMENX r s", "rename_from r, rename_to s: RENAMENX r s"},
		{"MOVE s 1", "move_from s, move_to s: MOVE s 1"},
		{"MOVE s 1", "-"},
		{"MOVE c 3", "-"},
		{"EXPIRE c 0", "del c: DEL c"},
		{"PEXPIREAT m 1", "del m: DEL m"},
		{"RPUSH a 1", "rpush a: RPUSH a 1"},
		{"RPUSH b 1", "rpush b: RPUSH b 1"},
		{"DEL a nosuch a b", "del a, del b: DEL a nosuch a b"},
		{"DEL a b", "-"},
		{"RPUSH a 1", "rpush a: RPUSH a 1"},
		{"UNLINK a", "del a: UNLINK a"},
	} {
		told, err := b.run(store.Claimed, step[0])
		require.NoError(t, err, step[0])
		assert.Equal(t, step[1], told, step[0])
	}
	for db, keys := range map[int]int64{0: 0, 1: 1, 3: 1} {
		assert.Equal(t, keys, b.ks.Len(db), "keys of database %d", db)
	}
}

func words(line string) [][]byte { return bytes.Fields([]byte(line)) }

func TestCopyAndMoveNameKeysOfOtherDatabases(t *testing.T) {
	for line, want := range map[string]string{
		"COPY a b":                "",
		"COPY a b DB 0":           "",
		"COPY a b DB 3":           "3 b",
		"COPY a b DB 1 DB 2":      "2 b",
		"COPY a b REPLACE DB 15":  "15 b",
		"COPY a b DB":             "",
		"COPY a b DB x":           "",
		"COPY a b DB -1":          "",
		"COPY a b DB 99999999999": "",
		"MOVE a 1":                "1 a",
		"MOVE a 0":                "",
		"MOVE a -1":               "",
		"MOVE a x":                "",
	} {
		args := words(line)
		have := ""
		All().Lookup(args).Refs(args, 0, func(db int, key []byte) { have += strconv.Itoa(db) + " " + string(key) })
		assert.Equal(t, want, have, line)
	}
}

func TestExpiryTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1e6, 1e6),
			rapid.SampledFrom([]int64{math.MaxInt64 / 1000, math.MinInt64 / 1000, math.MaxInt64, math.MinInt64})).Draw(t, "n")
		n += rapid.Int64Range(-1, 1).Draw(t, "off") // may wrap, which is as good a number as any
		base := rapid.SampledFrom([]int64{0, 1, 1_800_000_000_000}).Draw(t, "base")
		unit := rapid.SampledFrom([]int64{1, 1000}).Draw(t, "unit")
		product := new(big.Int).Mul(big.NewInt(n), big.NewInt(unit))
		sum := new(big.Int).Add(product, big.NewInt(base))
		when, ok := expiryTime(n, base, unit)
		require.Equal(t, product.IsInt64() && sum.IsInt64(), ok, "whether it can be told")
		if ok {
			require.Equal(t, sum.Int64(), when)
		}
	})
}

func TestParseCursor(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0, "0": 0, "+7": 7, "007": 7, "-1": math.MaxUint64, "18446744073709551615": math.MaxUint64, "5\x00x": 5, "\x00": 0,
	} {
		n, err := parseCursor([]byte(text))
		require.NoError(t, err, "%q", text)
		assert.Equal(t, want, n, "%q", text)
	}
	for _, text := range []string{"x", " 1", "1 ", "-", "+", "--1", "1.", "18446744073709551616", "99999999999999999999999"} {
		_, err := parseCursor([]byte(text))
		assert.Equal(t, ErrInvalidCursor, err, "%q", text)
	}
}

// A whole iteration tells every key, whatever COUNT and MATCH are, and KEYS
// tells the same.
func TestScanTellsEveryKey(t *testing.T) {
	b := newBench(t)
	b.c.Server = keyspaceServer{ks: b.ks}
	want := map[string]bool{}
	for i := range 3000 {
		key := "key:" + strconv.Itoa(i)
		_, err := b.run(store.Claimed, "RPUSH "+key+" x")
		require.NoError(t, err)
		want[key] = true
	}
	for _, options := range []string{"", " COUNT 1", " COUNT 777 MATCH key:*", " TYPE list", " COUNT 1000000"} {
		found := map[string]bool{}
		for cursor, calls := "0", 0; cursor != "0" || calls == 0; calls++ {
			reply := b.reply(t, "SCAN "+cursor+options)
			cursor = reply.Elems[0].Str
			for _, k := range reply.Elems[1].Elems {
				found[k.Str] = true
			}
		}
		require.Equal(t, want, found, options)
	}
	assert.Len(t, b.reply(t, "KEYS *").Elems, len(want))
	assert.Len(t, b.reply(t, "KEYS key:?").Elems, 10)
}

func (b *bench) reply(t *testing.T, line string) transcript.Value {
	b.c.Reply.Reset(2)
	_, err := b.run(store.Claimed, line)
	require.NoError(t, err)
	return parseReply(t, b.c.Reply.Bytes())
}
