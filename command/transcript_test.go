package command_test

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

const transcripts = "testdata/*/*.txt"

// Every transcript gives the same replies however the keys are spread, and
// whether a call runs inline or in line.
func TestTranscripts(t *testing.T) {
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"64 shards", nil},
		{"one shard, one latch", []string{"--shards", "1", "--latch-slots", "1"}},
		{"always in line", []string{"--rmw-always-queue", "yes"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			s := testserver.Start(t, mode.args...)
			transcript.RunDir(t, transcript.TCP(s.Addr()), transcript.Options{}, transcripts)
			if transcript.Updating() {
				t.SkipNow() // one mode writes, the others then compare
			}
		})
	}
}

// What a transcript tells the log, replayed on an empty server, makes the same
// data: no record depends on time or chance.
func TestTranscriptsReplay(t *testing.T) {
	rec := new(testserver.Recorder)
	from := testserver.StartWith(t, server.Options{Sink: rec})
	to := testserver.Start(t)
	transcript.RunDir(t, transcript.TCP(from.Addr()), transcript.Options{}, transcripts)
	testserver.Replay(t, to, rec.Take())
	require.Equal(t, digest(t, from), digest(t, to))
}

// notAfterRestart are transcripts that end with other bytes after a restart, and
// why that is no loss.
var notAfterRestart = map[string]string{
	"testdata/hyperloglog/pfadd_limit.txt": "when a HyperLogLog becomes dense is decided by a parameter as it stands at the restart, as in Redis",
	"testdata/zset/floats.txt":             "a large sorted set has a -0 that one which is made anew, and is compact at first, has not; so it is with Redis' rewritten AOF",
}

// What each transcript leaves behind is on the disk: it is the same when the log is
// read again, when a snapshot is, and after a restart.
func TestTranscriptsAfterRestart(t *testing.T) {
	args := []string{"--dir", t.TempDir(), "--appendonly", "yes", "--appendfsync", "no", "--shards", "4"}
	paths, err := filepath.Glob(transcripts)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	s := testserver.Start(t, args...)
	for _, path := range paths {
		var want string
		t.Run(path, func(t *testing.T) {
			if why := notAfterRestart[path]; why != "" {
				t.Skip(why)
			}
			transcript.Run(t, transcript.TCP(s.Addr()), path, transcript.Options{})
			c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
			require.Eventually(t, func() bool { return !fading(t, c) }, 20*time.Second, 5*time.Millisecond)
			want = digest(t, s)
			for _, how := range []string{"LOADAOF", "RELOAD", "LOADAOF"} {
				v, err := c.Do("DEBUG", how)
				require.NoError(t, err)
				require.Equal(t, "OK", v.String(), how)
				require.Equal(t, want, digest(t, s), "after DEBUG %s", how)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		require.NoError(t, s.Shutdown(ctx))
		cancel()
		s = testserver.Start(t, args...)
		if want != "" {
			require.Equal(t, want, digest(t, s), "%s, after a restart", path)
		}
	}
}

// fading tells whether a key or a field expires soon, or has and is not yet gone.
func fading(t *testing.T, c *transcript.Client) bool {
	t.Helper()
	do := func(args ...string) transcript.Value {
		v, err := c.Do(args...)
		require.NoError(t, err)
		return v
	}
	do("DEBUG", "SET-ACTIVE-EXPIRE", "1")
	soon := func(v transcript.Value) bool {
		left, err := strconv.ParseInt(v.Str, 10, 64)
		return err != nil || left != -1 && left < 5000
	}
	for db := range 16 {
		do("SELECT", strconv.Itoa(db))
		keys := do("KEYS", "*").Elems
		if do("DBSIZE").Str != strconv.Itoa(len(keys)) {
			return true
		}
		for _, key := range keys {
			fields := do("HKEYS", key.Str) // an error for another type
			if soon(do("PTTL", key.Str)) {
				return true
			}
			if n := do("HLEN", key.Str); !n.IsError() && n.Str != strconv.Itoa(len(fields.Elems)) {
				return true
			}
			for _, field := range fields.Elems {
				if left := do("HPTTL", key.Str, "FIELDS", "1", field.Str); len(left.Elems) == 1 && soon(left.Elems[0]) {
					return true
				}
			}
		}
	}
	return false
}

func digest(t *testing.T, s *server.Server) string {
	t.Helper()
	c := transcript.NewClient(testserver.Dial(t, s), 10*time.Second)
	v, err := c.Do("DEBUG", "DIGEST")
	require.NoError(t, err)
	require.False(t, v.IsError(), v.String())
	return v.String()
}

// The transcripts hold what redis-server answers: the one that FERRIC_ORACLE
// names.
func TestOracle(t *testing.T) { transcript.RunOracle(t, transcripts) }
