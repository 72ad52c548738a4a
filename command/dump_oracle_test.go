package command_test

import (
	"fmt"
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

// dumped are the kinds of values of TestDumpAgreesWithRedis: a call that makes or
// adds to one of a word, a number and another word.
var dumped = map[string]func(word, other string, i int) []string{
	"string": func(w, _ string, _ int) []string { return []string{"SET", "k", w} },
	"long":   func(w, _ string, _ int) []string { return []string{"APPEND", "k", w} },
	"list":   func(w, _ string, _ int) []string { return []string{"RPUSH", "k", w} },
	"set":    func(w, _ string, _ int) []string { return []string{"SADD", "k", w} },
	"ints":   func(_, _ string, i int) []string { return []string{"SADD", "k", strconv.Itoa(i * i * i * (1 - i%2*2))} },
	"zset": func(w, _ string, i int) []string {
		return []string{"ZADD", "k", strconv.FormatFloat(float64(i-9)/float64(i%4+1), 'g', -1, 64), w}
	},
	"hash": func(w, o string, _ int) []string { return []string{"HSET", "k", w, o} },
	"stream": func(w, o string, i int) []string {
		switch {
		case i%11 == 7:
			return []string{"XDEL", "k", fmt.Sprint(i/3, "-1")}
		case i == 20:
			return []string{"XTRIM", "k", "MAXLEN", "9"}
		case i%13 == 3:
			return []string{"XGROUP", "CREATE", "k", w, fmt.Sprint(i/2, "-0"), "MKSTREAM"}
		case i%13 == 9:
			return []string{"XGROUP", "CREATECONSUMER", "k", w, o}
		case i%5 == 4:
			return []string{"XREADGROUP", "GROUP", "g", "c" + strconv.Itoa(i%3), "COUNT", "3", "STREAMS", "k", ">"}
		case i == 0:
			return []string{"XGROUP", "CREATE", "k", "g", "0", "MKSTREAM"}
		}
		return []string{"XADD", "k", fmt.Sprint(i+1, "-1"), "field", w, "f" + strconv.Itoa(i/7), o}
	},
}

var dumpedWords = rapid.OneOf(
	rapid.StringN(0, 6, 10),
	rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
	rapid.Map(rapid.IntRange(-300, 300), strconv.Itoa),
	rapid.Map(rapid.SampledFrom([]int{20, 64, 65, 200, 5000}), func(n int) string { return strings.Repeat("word ", n/5) }),
)

// What either server dumps the other one restores, as the same value in the same
// encoding.
func TestDumpAgreesWithRedis(t *testing.T) {
	conn, err := net.Dial("tcp", transcript.StartRedis(t))
	require.NoError(t, err)
	redis := transcript.NewClient(conn, 10*time.Second)
	defer redis.Close()
	ours := transcript.NewClient(testserver.Dial(t, testserver.Start(t)), 10*time.Second)
	kinds := []string{"string", "long", "list", "set", "ints", "zset", "hash", "stream"}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { exchange(t, ours, redis, dumped[kind]) })
		})
	}
}

func exchange(t *rapid.T, ours, redis *transcript.Client, call func(w, o string, i int) []string) {
	do := func(c *transcript.Client, argv ...string) transcript.Value {
		v, err := c.Do(argv...)
		require.NoError(t, err)
		return v
	}
	do(redis, "FLUSHALL")
	do(ours, "FLUSHALL")
	n := rapid.SampledFrom([]int{1, 2, 15, 60, 130, 520}).Draw(t, "n")
	for i, w := range rapid.SliceOfN(dumpedWords, n, n).Draw(t, "words") {
		do(redis, call(w, fmt.Sprint(w, i%3), i)...)
	}
	payload := do(redis, "DUMP", "k")
	if payload.Null {
		return
	}
	// Restoring forgets that a string was appended to, there too.
	require.Equal(t, "OK", do(redis, "RESTORE", "k", "0", payload.Str, "REPLACE").Str)
	want := describe(t, redis, "k")
	require.Equal(t, "OK", do(ours, "RESTORE", "k", "0", payload.Str).Str)
	require.Equal(t, want, describe(t, ours, "k"))

	back := do(ours, "DUMP", "k").Str
	require.Equal(t, "OK", do(redis, "RESTORE", "k", "0", back, "REPLACE").Str)
	require.Equal(t, want, describe(t, redis, "k"))
	require.Equal(t, "OK", do(ours, "RESTORE", "k", "0", back, "REPLACE").Str)
	require.Equal(t, want, describe(t, ours, "k"))
}

// describe is what a server says of a key.
func describe(t *rapid.T, c *transcript.Client, key string) (lines []string) {
	for _, argv := range [][]string{
		{"TYPE", key}, {"OBJECT", "ENCODING", key}, {"DEBUG", "DIGEST-VALUE", key},
		{"GET", key}, {"LRANGE", key, "0", "-1"}, {"SMEMBERS", key}, {"ZRANGE", key, "0", "-1", "WITHSCORES"}, {"HGETALL", key},
		{"XRANGE", key, "-", "+"}, {"XINFO", "STREAM", key, "FULL", "COUNT", "0"},
	} {
		v, err := c.Do(argv...)
		require.NoError(t, err)
		if !v.IsError() {
			lines = append(lines, argv[0]+" "+described(argv[0], v))
		}
	}
	return lines
}

func described(name string, v transcript.Value) string {
	switch name {
	case "SMEMBERS":
		slices.SortFunc(v.Elems, func(a, b transcript.Value) int { return strings.Compare(a.Str, b.Str) })
	case "HGETALL":
		var pairs []string
		for i := 0; i+1 < len(v.Elems); i += 2 {
			pairs = append(pairs, fmt.Sprintf("%q %q", v.Elems[i].Str, v.Elems[i+1].Str))
		}
		slices.Sort(pairs)
		return strings.Join(pairs, "\n")
	case "XINFO": // the layout is not content
		v.Elems = slices.Delete(v.Elems, 2, 6)
	}
	return v.String()
}
