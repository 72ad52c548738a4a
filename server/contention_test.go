package server

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
)

// These tests are rows of the table "what must hold" in ARCHITECTURE.md, tried
// on a whole server.

func open(t testing.TB, o Options, args ...string) *Server {
	t.Helper()
	o.Config = config.New()
	o.Addr = "127.0.0.1:0"
	require.NoError(t, o.Config.Load(append([]string{"--dir", t.TempDir(), "--enable-debug-command", "yes"}, args...), nil))
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func dial(t testing.TB, s *Server) *transcript.Client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return transcript.NewClient(conn, time.Minute)
}

// do returns the reply as redis-cli prints it.
func do(t testing.TB, c *transcript.Client, args ...string) string {
	v, err := c.Do(args...)
	if err != nil {
		t.Error(err)
		return "(lost) " + err.Error()
	}
	return v.String()
}

var collisions = []string{"--shards", "1", "--latch-slots", "1"}

func TestIncrementsAnswerEveryNumberOnce(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		const clients, each = 16, 100
		replies := make([][]int, clients)
		var wg sync.WaitGroup
		for i := range clients {
			c := dial(t, s)
			wg.Go(func() {
				for range each / 10 { // ten at a time: a pipeline loses the latch in its middle too
					for range 10 {
						if c.Send("INCR", "n") != nil {
							t.Error("send")
						}
					}
					for range 10 {
						v, err := c.Receive(false)
						if err != nil {
							t.Error(err)
							return
						}
						n, _ := strconv.Atoi(strings.TrimPrefix(v.String(), "(integer) "))
						replies[i] = append(replies[i], n)
					}
				}
			})
		}
		wg.Wait()
		all := slices.Concat(replies...)
		slices.Sort(all)
		for i, n := range all {
			require.Equal(t, i+1, n)
		}
		require.Len(t, all, clients*each)
		for _, r := range replies {
			require.True(t, slices.IsSorted(r), "one client's commands run in order")
		}
	}
}

func TestReadersNeverSeeHalfOfACall(t *testing.T) {
	for _, args := range [][]string{nil, collisions} {
		s := open(t, Options{}, args...)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for w := range 2 {
			c := dial(t, s)
			wg.Go(func() {
				for i := 0; !stop.Load(); i++ {
					v := strconv.Itoa(2*(i*2+w) + 1)
					even := strconv.Itoa(2*(i*2+w) + 2)
					do(t, c, "MSET", "a", v, "b", v, "c", v, "a", even, "b", even, "c", even)
				}
			})
		}
		reader, single := dial(t, s), dial(t, s)
		do(t, reader, "MSET", "a", "0", "b", "0", "c", "0")
		for range 3000 {
			v, err := reader.Do("MGET", "a", "b", "c")
			require.NoError(t, err)
			lines := strings.Split(v.String(), "\n")
			require.Len(t, lines, 3)
			first := strings.TrimPrefix(lines[0], "1) ")
			require.Equal(t, []string{"1) " + first, "2) " + first, "3) " + first}, lines)
			one := strings.Trim(do(t, single, "GET", "b"), `"`)
			n, err := strconv.Atoi(one)
			require.NoError(t, err)
			require.Zero(t, n%2, "a value that the same call overwrote")
		}
		stop.Store(true)
		wg.Wait()
	}
}

// holder takes a key's latch from inside and keeps it until told.
type holder struct{ held, release chan struct{} }

func (h *holder) Run(bool) rmw.Verdict {
	close(h.held)
	<-h.release
	return rmw.Done
}

func (h *holder) BeforePark() {}

func hold(t *testing.T, s *Server, key string) (release func()) {
	h := &holder{make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := s.runner.NewPass()
		p.Enter()
		defer p.Leave()
		_ = s.runner.Run(p, &rmw.Call{Owner: s.runner.NewOwner(), Latches: []latch.ID{latchOf(s, key)}, Work: h})
	}()
	<-h.held
	var once sync.Once
	release = func() { once.Do(func() { close(h.release) }); <-done }
	t.Cleanup(release)
	return release
}

// latchOf is where a key's latch is.
func latchOf(s *Server, key string) latch.ID {
	return s.runner.Table().ID(s.ks.Hash(0, []byte(key)))
}

// keyElsewhere is a key of the same shard whose latch is another one.
func keyElsewhere(s *Server, key string) string {
	table := s.runner.Table()
	id := latchOf(s, key)
	for i := 0; ; i++ {
		k := fmt.Sprint("other", i)
		if x := latchOf(s, k); x != id && table.Shard(x) == table.Shard(id) {
			return k
		}
	}
}

// keyApart is a key that shares its latch with none of these: any name may, since the secret
// that keys are hashed with is another one each time.
func keyApart(s *Server, from ...string) string {
	for i := 0; ; i++ {
		k := fmt.Sprint("apart", i)
		if !slices.ContainsFunc(from, func(x string) bool { return latchOf(s, x) == latchOf(s, k) }) {
			return k
		}
	}
}

func TestAHolderThatNeverReleases(t *testing.T) {
	s := open(t, Options{}, "--shards", "1", "--rmw-wait", "50")
	c := dial(t, s)
	require.Equal(t, "OK", do(t, c, "SET", "k", "7"))
	release := hold(t, s, "k")
	require.Equal(t, "(error) BUSY key is contended", do(t, c, "INCR", "k"))
	other := keyElsewhere(s, "k")
	require.Equal(t, "(integer) 1", do(t, c, "INCR", other))
	require.Equal(t, `"7"`, do(t, c, "GET", "k"), "readers need no latch")
	require.Contains(t, s.Info([]string{"rmw"}), "rmw_timeouts:1\r\n")
	release()
	require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "rmw-wait", "60000")) // the line may not be cleared away yet
	require.Equal(t, "(integer) 8", do(t, c, "INCR", "k"), "the call that gave up was not applied")
}

func TestAClientThatLeavesTheLineIsNotApplied(t *testing.T) {
	s := open(t, Options{})
	c := dial(t, s)
	release := hold(t, s, "k")
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	_, err = conn.Write([]byte("INCR k\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.runner.Total().Depth == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return s.runner.Total().Gone == 1 }, 10*time.Second, time.Millisecond)
	release()
	require.Equal(t, "(integer) 1", do(t, c, "INCR", "k"))
}

func TestALineFullOfCallsUsesNoProcessor(t *testing.T) {
	s := open(t, Options{})
	release := hold(t, s, "k")
	const clients = 1000
	var conns []*transcript.Client
	for range clients {
		c := dial(t, s)
		require.NoError(t, c.Send("INCR", "k"))
		conns = append(conns, c)
	}
	require.Eventually(t, func() bool { return s.runner.Total().Depth == clients }, 20*time.Second, time.Millisecond)
	// Nothing else runs in this process: what the processor does for it in two
	// seconds is the server at rest with its line, the collector included.
	require.Eventually(t, func() bool {
		before := cpuTime(t)
		time.Sleep(time.Second)
		return cpuTime(t)-before < 50*time.Millisecond
	}, 20*time.Second, time.Millisecond, "the line uses the processor")
	release()
	var got []int
	for _, c := range conns {
		v, err := c.Receive(false)
		require.NoError(t, err)
		n, err := strconv.Atoi(strings.TrimPrefix(v.String(), "(integer) "))
		require.NoError(t, err)
		got = append(got, n)
	}
	slices.Sort(got)
	require.Equal(t, clients, got[clients-1])
	require.Len(t, slices.Compact(got), clients)
}

func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// faultySink panics when it is told of a key called boom.
type faultySink struct{ router.NoSink }

func (f *faultySink) Append(db int, now int64, records []router.Record) uint64 {
	if len(records[0]) > 1 && string(records[0][1]) == "boom" {
		panic("the log broke")
	}
	return f.NoSink.Append(db, now, records)
}

func TestAPanicInsideACall(t *testing.T) {
	for _, args := range [][]string{nil, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{Sink: new(faultySink)}, args...)
		c := dial(t, s)
		for range 3 {
			require.Equal(t, "(error) ERR internal error", do(t, c, "SET", "boom", "1"))
			require.Equal(t, "(nil)", do(t, c, "GET", "boom"))
			require.Equal(t, "(error) ERR internal error", do(t, c, "MSET", "boom", "1", "x", "1"))
			require.Equal(t, "(error) ERR internal error", do(t, c, "LPUSH", "boom", "1"))
			require.Equal(t, "(nil)", do(t, c, "GET", "x"))
		}
		require.Equal(t, "(integer) 1", do(t, c, "INCR", "x"))
		require.Equal(t, "(integer) 1", do(t, c, "EXISTS", "x", "boom"))
		atRest(t, s)
		require.Contains(t, s.Info([]string{"rmw"}), "rmw_panics:9\r\n")
	}
}

func TestMemoryPressure(t *testing.T) {
	s := open(t, Options{}, "--maxmemory", "1mb")
	c := dial(t, s)
	value := strings.Repeat("x", 1000)
	n := 0
	for ; do(t, c, "SET", fmt.Sprint("k", n), value) == "OK"; n++ {
		require.Less(t, n, 2000)
	}
	require.Greater(t, n, 500)
	require.Equal(t, string("(error) "+command.ErrOOM), do(t, c, "LPUSH", "l", "x"))
	require.Equal(t, "(integer) 0", do(t, c, "EXISTS", "l"))
	require.Equal(t, strconv.Quote(value), do(t, c, "GET", "k0"))
	for i := range 10 {
		require.Equal(t, "(integer) 1", do(t, c, "DEL", fmt.Sprint("k", i)))
	}
	require.Equal(t, "OK", do(t, c, "SET", "again", "1"))
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random"} {
		require.Equal(t, "OK", do(t, c, "FLUSHALL"))
		require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "maxmemory-policy", policy))
		for i := range 3000 {
			require.Equal(t, "OK", do(t, c, "SET", fmt.Sprint("k", i), value, "EX", fmt.Sprint(1000+i)), policy)
		}
		require.LessOrEqual(t, s.router.Used(), int64(1<<20+4096), policy)
		require.Greater(t, s.ks.Len(0), int64(500), policy)
	}
}

var _ router.Sink = (*faultySink)(nil)

func TestClientsThatHoldTooMuchAreClosed(t *testing.T) {
	s := open(t, Options{}, "--maxmemory-clients", "4mb")
	small, safe := dial(t, s), dial(t, s)
	require.Equal(t, "OK", do(t, safe, "CLIENT", "NO-EVICT", "on"))
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, _ = conn.Write([]byte("*2\r\n$4\r\nECHO\r\n$10000000\r\n" + strings.Repeat("x", 8<<20)))
	require.Eventually(t, func() bool { return s.evictedClients.Load() == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "PONG", do(t, small, "PING"))
	require.Equal(t, "PONG", do(t, safe, "PING"))
	require.Contains(t, s.Info([]string{"stats"}), "evicted_clients:1\r\n")
}
