package command_test

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// drawn are the commands of TestGenericAgreesWithRedis. A word in angle brackets
// is drawn anew each time. DBSIZE is not among them, since nobody promises when
// an expired key is counted out, nor OBJECT REFCOUNT, which in Redis tells whether
// an integer came by COPY.
var drawn = [][]string{
	{"SET", "<key>", "<value>"},
	{"SET", "<key>", "<value>", "PXAT", "<time>"},
	{"APPEND", "<key>", "<value>"},
	{"INCR", "<key>"},
	{"RPUSH", "<key>", "<value>"},
	{"LPOP", "<key>"},
	{"DEL", "<key>", "<key>"},
	{"UNLINK", "<key>"},
	{"EXISTS", "<key>", "<key>", "<key>"},
	{"TOUCH", "<key>", "<key>"},
	{"TYPE", "<key>"},
	{"RENAME", "<key>", "<key>"},
	{"RENAMENX", "<key>", "<key>"},
	{"COPY", "<key>", "<key>"},
	{"COPY", "<key>", "<key>", "REPLACE"},
	{"COPY", "<key>", "<key>", "DB", "<db>"},
	{"COPY", "<key>", "<key>", "DB", "<db>", "REPLACE"},
	{"MOVE", "<key>", "<db>"},
	{"PEXPIREAT", "<key>", "<time>"},
	{"PEXPIREAT", "<key>", "<time>", "<option>"},
	{"PEXPIREAT", "<key>", "<time>", "<option>", "<option>"},
	{"EXPIREAT", "<key>", "<time>"},
	{"EXPIRE", "<key>", "<number>"},
	{"PEXPIRE", "<key>", "<number>", "<option>"},
	{"PERSIST", "<key>"},
	{"PEXPIRETIME", "<key>"},
	{"EXPIRETIME", "<key>"},
	{"OBJECT", "ENCODING", "<key>"},
	{"KEYS", "<pattern>"},
	{"RANDOMKEY"},
	{"SELECT", "<db>"},
	{"SWAPDB", "<db>", "<db>"},
	{"FLUSHDB"},
	{"GET", "<key>"},
	{"LRANGE", "<key>", "0", "-1"},
}

var drawnWords = map[string][]string{
	"<key>":     {"a", "b", "c", "d"},
	"<value>":   {"x", "1", "007", "", "01234567890123456789012345678901234567890123456789"},
	"<db>":      {"0", "1", "2", "16", "-1", "x", "3000000000"},
	"<time>":    {"33177117420000", "33177117420001", "40000000000500", "1", "-5", "9223372036854775807", "x"},
	"<number>":  {"-1", "0", "9223372036854775807", "-9223372036854775808", "9223372036854775", "1e3"},
	"<option>":  {"NX", "XX", "GT", "LT", "ZZ"},
	"<pattern>": {"*", "a", "?", "[b-d]", "[^a]", ""},
}

func draw(t *rapid.T) []string {
	argv := slices.Clone(rapid.SampledFrom(drawn).Draw(t, "command"))
	for i, w := range argv {
		if from := drawnWords[w]; from != nil {
			argv[i] = rapid.SampledFrom(from).Draw(t, w)
		}
	}
	return argv
}

// Any sequence of commands on a few keys of a few databases gets the same
// replies from redis-server.
func TestGenericAgreesWithRedis(t *testing.T) {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	redis := transcript.NewClient(conn, 10*time.Second)
	defer redis.Close()
	for name, args := range map[string][]string{
		"inline":         nil,
		"always in line": {"--rmw-always-queue", "yes", "--shards", "1", "--latch-slots", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			ours := transcript.NewClient(testserver.Dial(t, testserver.Start(t, args...)), 10*time.Second)
			rapid.Check(t, func(t *rapid.T) { compare(t, ours, redis) })
		})
	}
}

func compare(t *rapid.T, ours, redis *transcript.Client) {
	both := func(argv ...string) {
		have, err := ours.Do(argv...)
		require.NoError(t, err)
		want, err := redis.Do(argv...)
		require.NoError(t, err)
		if argv[0] == "RANDOMKEY" { // chance decides, but not on whether there is a key
			require.Equal(t, want.Null, have.Null, "%q", argv)
			return
		}
		if w, h := number(want), number(have); strings.HasSuffix(argv[0], "EXPIRETIME") && w > 0 && h > 0 {
			// An expiry that was given as so long from now: each server has its now.
			require.Less(t, max(w-h, h-w), int64(20000), "%q", argv)
			return
		}
		require.Equal(t, anyOrder(argv, want), anyOrder(argv, have), "%q", argv)
	}
	both("FLUSHALL")
	both("SELECT", "0")
	for range rapid.IntRange(1, 60).Draw(t, "length") {
		both(draw(t)...)
	}
	for db := range 3 {
		both("SELECT", strconv.Itoa(db))
		both("KEYS", "*")
		for _, k := range drawnWords["<key>"] {
			both("PEXPIRETIME", k)
			both("GET", k)
			both("LRANGE", k, "0", "-1")
		}
	}
}

// number is an integer reply, or 0.
func number(v transcript.Value) int64 {
	n, _ := strconv.ParseInt(v.Str, 10, 64)
	return n
}

// anyOrder prints a reply, that of KEYS in alphabetical order.
func anyOrder(argv []string, v transcript.Value) string {
	if argv[0] == "KEYS" {
		slices.SortFunc(v.Elems, func(a, b transcript.Value) int {
			return slices.Compare([]byte(a.Str), []byte(b.Str))
		})
	}
	return v.String()
}
