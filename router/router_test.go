package router

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRouter makes a router without a server: for commands that need none.
func newRouter(t testing.TB, args ...string) *Router {
	t.Helper()
	cfg := config.New()
	require.NoError(t, cfg.Load(args, nil))
	runner := rmw.New(rmw.Options{Shards: 4, AlwaysQueue: cfg.Bool(config.RMWAlwaysQueue)})
	t.Cleanup(func() { require.NoError(t, runner.Stop(context.Background())) })
	ks := store.New(store.Options{Shards: 4, Slots: runner.Table()})
	ks.SetListFill(-2)
	return New(Options{
		Config: cfg, Keyspace: ks, Runner: runner, Limits: resp.NewLimits(),
		Stats: &command.Stats{
			Commands: metrics.NewCommands(len(command.All().Rows())), SlowLog: metrics.NewSlowLog(16),
			Latency: metrics.NewLatencyMonitor(), Errors: metrics.NewErrors(),
		},
	})
}

func words(line string) [][]byte {
	var args [][]byte
	for w := range strings.FieldsSeq(line) {
		args = append(args, []byte(w))
	}
	return args
}

// The commands that matter most allocate nothing but what they keep.
func TestHotCommandsDoNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the checks allocate")
	}
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	s := in.s
	s.begin()
	defer s.pass.Leave()
	for _, line := range []string{"SET k 12345", "SET s some-text-that-is-longer", "RPUSH l a b c", "SET n 1"} {
		s.serve(words(line))
	}
	for line, most := range map[string]float64{
		"GET k": 0, "GET s": 0, "GET none": 0, "EXISTS k": 0, "TTL k": 0, "STRLEN s": 0,
		"INCR n": 0, "LLEN l": 0, "LRANGE l 0 -1": 0, "PING": 0,
		"SET s other-text-that-is-long": 1, "MGET k s n": 0,
	} {
		args := words(line)
		got := testing.AllocsPerRun(200, func() {
			s.ctx.Reply.Truncate(0)
			s.serve(args)
		})
		require.LessOrEqual(t, got, most, line)
	}
}

func TestPathsFollowFromTheTable(t *testing.T) {
	for name, want := range map[string]command.Path{
		"PING": command.Local, "GET": command.Read, "LRANGE": command.Read, "TTL": command.Read,
		"SET": command.Claim, "INCR": command.Claim, "MGET": command.Claim, "LMOVE": command.Claim,
		"WATCH": command.Claim, "KEYS": command.Walk, "SCAN": command.Walk, "FLUSHALL": command.Alone, "SWAPDB": command.Alone,
	} {
		spec := command.All().Find([]byte(name))
		require.NotNil(t, spec, name)
		require.Equal(t, want, spec.Path(), name)
	}
	for _, spec := range command.All().Rows() {
		if spec.Has(command.Write) && len(spec.Keys) > 0 {
			require.NotEqual(t, command.Read, spec.Path(), spec.Name)
			require.Equal(t, spec.Has(command.ByCalls), spec.Path() == command.Local, spec.Name)
		}
	}
}

func do(t testing.TB, in *Internal, line string) string {
	t.Helper()
	reply, err := in.Do(0, words(line)...)
	if err != nil {
		return err.Error()
	}
	return string(reply)
}

func TestActiveExpiryDeletesThroughTheLatch(t *testing.T) {
	r := newRouter(t)
	now := time.Now()
	r.now = func() time.Time { return now }
	in := r.NewInternal()
	defer in.Close()
	for _, k := range []string{"a", "b", "c"} {
		require.Equal(t, "+OK\r\n", do(t, in, "SET "+k+" 1 PX 100"))
	}
	do(t, in, "SET d 1")
	require.Zero(t, r.ExpireCycle(100*time.Millisecond))
	now = now.Add(time.Second)
	r.SetActiveExpire(false)
	require.Zero(t, r.ExpireCycle(100*time.Millisecond))
	r.SetActiveExpire(true)
	require.Equal(t, 3, r.ExpireCycle(100*time.Millisecond))
	require.EqualValues(t, 1, r.ks.Len(0))
	require.EqualValues(t, 3, r.counters.Expired.Load())
}

// A record is applied as of the time at which it was made.
func TestApplyFollowsTheLogsClock(t *testing.T) {
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	long := time.Now().Add(-time.Hour).UnixMilli()
	require.NoError(t, in.Apply(0, long, words("SET k 5 PXAT "+strconv.FormatInt(long+1000, 10))...))
	require.NoError(t, in.Apply(0, long+10, words("INCR k")...))
	require.NoError(t, in.Apply(0, long+20, words("PERSIST k")...))
	require.Equal(t, "$1\r\n6\r\n", do(t, in, "GET k"))
}

func BenchmarkServe(b *testing.B) {
	for _, line := range []string{"GET k", "SET k some-value", "INCR n", "LPUSH l x"} {
		b.Run(line[:strings.IndexByte(line, ' ')], func(b *testing.B) {
			r := newRouter(b)
			in := r.NewInternal()
			defer in.Close()
			s := in.s
			s.begin()
			defer s.pass.Leave()
			s.serve(words("SET k v"))
			args := words(line)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.ctx.Reply.Truncate(0)
				s.serve(args)
				if i&1023 == 0 {
					s.serve(words("DEL l"))
				}
			}
		})
	}
}

// Arguments that are kept are those of the call, and its keys point into them.
func TestKeptArgumentsAreTheKeys(t *testing.T) {
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	s := in.s
	for _, line := range []string{"MSET a 1 b 2 a 3", "DEL x y z", "LMOVE from to LEFT RIGHT", "GET k"} {
		args := words(line)
		s.ctx.Begin(r.table.Find(args[0]), args, 0, 0)
		require.NoError(t, s.findKeys(s.ctx.Spec))
		var before []string
		for _, ref := range s.refs {
			before = append(before, string(ref.Key))
		}
		s.keepArgs()
		for _, a := range args { // what is read next overwrites them
			clear(a)
		}
		var after []string
		for _, ref := range s.refs {
			after = append(after, string(ref.Key))
		}
		require.Equal(t, before, after, line)
		require.Equal(t, words(line), s.ctx.Args)
	}
}
