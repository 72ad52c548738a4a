package rdb_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

// A redis is a redis-server of the test.
type redis struct {
	t *testing.T
	c *transcript.Client
}

func startRedis(t *testing.T, args ...string) *redis {
	conn, err := net.Dial("tcp", transcript.StartRedis(t, args...))
	require.NoError(t, err)
	c := transcript.NewClient(conn, 30*time.Second)
	t.Cleanup(func() { _ = c.Close() })
	return &redis{t, c}
}

func (r *redis) do(argv ...string) transcript.Value {
	r.t.Helper()
	v, err := r.c.Do(argv...)
	require.NoError(r.t, err)
	require.False(r.t, v.IsError(), "%.200q: %s", argv, v.String())
	return v
}

// file is where the server's file is.
func (r *redis) file() string {
	return filepath.Join(r.do("CONFIG", "GET", "dir").Elems[1].Str, "dump.rdb")
}

// fill makes values of every type and of many sizes, in several databases.
func (r *redis) fill() {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(i int) string {
		switch i % 5 {
		case 0:
			return strconv.Itoa(i)
		case 1:
			return strconv.FormatInt(rnd.Int64()>>(i%60)*int64(1-i%2*2), 10)
		case 2:
			return "w" + strconv.Itoa(i)
		case 3:
			return strings.Repeat("long ", i%40) + strconv.Itoa(i)
		}
		return strconv.FormatFloat(rnd.NormFloat64(), 'g', -1, 64) + " " + strconv.Itoa(i)
	}
	for i, v := range []string{"", "0", "-1", "127", "-129", "32768", "2147483648", "-9223372036854775808", "007", "é\x00\xff",
		strings.Repeat("compressible ", 2000), strings.Repeat("x", 70000)} {
		r.do("SET", fmt.Sprint("string ", i), v)
	}
	r.do("SET", "expires", "v", "PXAT", "33177117420001")
	for db, n := range []int{1, 2, 64, 127, 129, 513, 2000} {
		r.do("SELECT", strconv.Itoa(db%3))
		key := func(what string) string { return fmt.Sprint(what, " of ", n) }
		for i := range n {
			r.do("RPUSH", key("list"), word(i))
			r.do("SADD", key("set"), word(i))
			r.do("SADD", key("ints"), strconv.FormatInt(int64(i-n/2)<<(db*9), 10))
			r.do("ZADD", key("zset"), strconv.FormatFloat(rnd.NormFloat64()*float64(i), 'g', -1, 64), word(i))
			r.do("ZADD", key("ranked"), strconv.Itoa(i/3), "m"+strconv.Itoa(i))
			r.do("HSET", key("hash"), word(i), word(i+1))
			r.do("XADD", key("stream"), fmt.Sprint(i/7+1, "-", i%7), "name", word(i), "other"+strconv.Itoa(i/50), word(i+2))
		}
		r.do("ZADD", key("zset"), "inf", "top", "-inf", "bottom", "-0", "zero")
		r.groups(key("stream"), n)
	}
	r.do("RPUSH", "large elements", strings.Repeat("y", 200000), "small", strings.Repeat("abc", 5000))
	r.do("XGROUP", "CREATE", "empty stream", "g", "5-5", "MKSTREAM", "ENTRIESREAD", "9")
}

// groups gives a stream deleted entries, and groups of which one has read.
func (r *redis) groups(key string, n int) {
	r.do("XGROUP", "CREATE", key, "idle", "$")
	r.do("XGROUP", "CREATE", key, "busy", "0")
	r.do("XGROUP", "CREATECONSUMER", key, "busy", "lazy")
	for i := range 3 {
		r.do("XREADGROUP", "GROUP", "busy", fmt.Sprint("consumer", i), "COUNT", strconv.Itoa(n/4+1), "STREAMS", key, ">")
	}
	r.do("XACK", key, "busy", "1-1", "2-3")
	r.do("XDEL", key, "1-3", "3-2", fmt.Sprint(n/7, "-1"))
	r.do("XTRIM", key, "MAXLEN", strconv.Itoa(n*9/10+1))
}

// state is all that a server holds, as it tells it.
func (r *redis) state() (lines []string) {
	lines = append(lines, r.do("DEBUG", "DIGEST").String())
	for db := range 3 {
		r.do("SELECT", strconv.Itoa(db))
		keys := map[string]bool{}
		for _, k := range r.do("KEYS", "*").Elems {
			keys[k.Str] = true
		}
		lines = append(lines, fmt.Sprint(keys))
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if r.do("TYPE", k).Str == "stream" {
				lines = append(lines, k+r.do("XINFO", "STREAM", k, "FULL", "COUNT", "0").String())
			}
		}
	}
	r.do("SELECT", "0")
	return lines
}

// What redis-server saves is read, written and loaded by redis-server with equal
// content and in equal encodings, whatever its settings.
func TestFilesOfRedis(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":  {"--rdbcompression", "no", "--rdbchecksum", "no"},
		"packed": {"--list-compress-depth", "1"},
		"large":  {"--hash-max-listpack-entries", "1000", "--zset-max-listpack-entries", "1000", "--set-max-intset-entries", "1000", "--stream-node-max-entries", "7"},
		"small":  {"--hash-max-listpack-entries", "3", "--zset-max-listpack-value", "2", "--list-max-listpack-size", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := startRedis(t, args...), startRedis(t, args...)
			from.fill()
			from.do("SAVE")
			copyFile(t, from.file(), to.file())
			out, err := exec.Command("redis-check-rdb", to.file()).CombinedOutput()
			require.NoError(t, err, "%s", out)
			to.do("DEBUG", "RELOAD", "NOSAVE")
			want, have := streamsApart(from.state()), streamsApart(to.state())
			require.Len(t, have, len(want))
			for i := range want {
				require.True(t, want[i] == have[i], "want %.2000s\nhave %.2000s", want[i], have[i])
			}
			require.Equal(t, from.encodings(), to.encodings())
		})
	}
}

// streamsApart drops from the description of streams what is no content: how
// Redis has laid them out.
func streamsApart(lines []string) []string {
	for i, line := range lines {
		if at := strings.Index(line, "radix-tree-keys"); at >= 0 {
			end := strings.Index(line, "last-generated-id")
			lines[i] = line[:at] + line[end:]
		}
	}
	return lines
}

func (r *redis) encodings() map[string]string {
	m := map[string]string{}
	for db := range 3 {
		r.do("SELECT", strconv.Itoa(db))
		for _, k := range r.do("KEYS", "*").Elems {
			m[fmt.Sprint(db, k.Str)] = r.do("OBJECT", "ENCODING", k.Str).Str
		}
	}
	return m
}

// copyFile reads one file and writes another one of what it has read, checking on
// the way that a store can hold it.
func copyFile(t *testing.T, from, to string) {
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.Create(to)
	require.NoError(t, err)
	w := rdb.NewWriter(bufio.NewWriterSize(out, 1), rdb.Version)
	r := rdb.NewReader(in)
	r.Note = func(what string) { t.Error(what) }
	ks := store.New(store.Options{Shards: 1})
	ks.SetZSetLimits(store.ZSetLimits{}) // a small sorted set has no -0, as in Redis
	var tx store.Tx
	for {
		k, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		b := ks.NewBuilder()
		require.NoError(t, r.Value(b))
		tx.Begin(ks, store.Alone, 0, 1, nil)
		require.NoError(t, tx.SetBuilt(k.Name, b, k.ExpireAt))
		ok, err := tx.Visit(k.Name, w.Key(k))
		require.NoError(t, err)
		require.True(t, ok)
		tx.End()
	}
	require.Equal(t, "7.0.15", r.Aux("redis-ver"))
	require.NoError(t, w.Close())
	require.NoError(t, out.Close())
}
