package server

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// A cacher keeps what it has read until it is told that it may have changed. It
// takes what arrives in the order in which it arrives.
type cacher struct {
	c     *transcript.Client
	cache map[string]string
}

func newCacher(t *testing.T, s *Server, options ...string) *cacher {
	c := &cacher{dial(t, s), map[string]string{}}
	do(t, c.c, "HELLO", "3")
	require.Equal(t, "OK", do(t, c.c, append([]string{"CLIENT", "TRACKING", "ON"}, options...)...))
	return c
}

// reply waits for a reply and does what the messages before it say.
func (c *cacher) reply() (transcript.Value, error) {
	for {
		v, err := c.c.Next()
		if err != nil || v.Kind != '>' {
			return v, err
		}
		if v.Elems[1].Null {
			clear(c.cache)
		}
		for _, k := range v.Elems[1].Elems {
			delete(c.cache, k.Str)
		}
	}
}

// read fetches keys that are not cached, by one of the ways that read keys.
func (c *cacher) read(way int, keys ...string) error {
	var calls [][]string
	switch way {
	case 0:
		for _, k := range keys {
			calls = append(calls, []string{"GET", k})
		}
	case 1:
		calls = append(calls, append([]string{"MGET"}, keys...))
	case 2:
		calls = append(calls, []string{"CLIENT", "CACHING", "YES"}, []string{"MULTI"}, append([]string{"MGET"}, keys...), []string{"EXEC"})
	}
	for _, argv := range calls {
		if err := c.c.Send(argv...); err != nil {
			return err
		}
	}
	for i := range calls {
		v, err := c.reply()
		if err != nil {
			return err
		}
		switch {
		case way == 0:
			c.cache[keys[i]] = v.Str
		case way == 1 || i == 3:
			if way == 2 {
				v = v.Elems[0]
			}
			for j, k := range keys {
				c.cache[k] = v.Elems[j].Str
			}
		}
	}
	return nil
}

// write changes keys in one of many ways.
func write(r *rand.Rand, key func() string) [][]string {
	k, l, n := key(), key(), strconv.Itoa(r.IntN(1000))
	ways := [][][]string{
		{{"SET", k, n}}, {{"INCR", k}}, {{"DEL", k, l}}, {{"MSET", k, n, l, n}}, {{"SET", k, n, "PX", "20"}},
		{{"PEXPIRE", k, "10"}}, {{"RENAME", k, l}}, {{"COPY", k, l, "REPLACE"}},
		{{"MULTI"}, {"SET", k, n}, {"INCR", l}, {"SET", k, n + "0"}, {"EXEC"}},
		{{"GETDEL", k}}, {{"GETEX", k, "PX", "5"}}, {{"MOVE", k, "1"}}, {{"PERSIST", k}},
	}
	if r.IntN(200) == 0 {
		ways = [][][]string{{{"FLUSHALL"}}, {{"SWAPDB", "0", "1"}}, {{"MULTI"}, {"SET", k, n}, {"FLUSHDB"}, {"EXEC"}}}
	}
	return ways[r.IntN(len(ways))]
}

// Writers of all kinds, and clients that cache what they read by all ways of
// reading: when all is quiet, what is cached is what is there.
func TestCachesKeepNothingThatIsNoLongerTrue(t *testing.T) {
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"inline", nil},
		{"in line", append([]string{"--rmw-always-queue", "yes"}, collisions...)},
		{"small table", []string{"--tracking-table-max-keys", "5"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			s := open(t, Options{}, append([]string{"--hz", "100"}, mode.args...)...)
			const keys = 12
			var writers, readers sync.WaitGroup
			var stop atomic.Bool
			cachers := []*cacher{newCacher(t, s), newCacher(t, s), newCacher(t, s, "OPTIN"), newCacher(t, s, "BCAST"), newCacher(t, s, "BCAST", "PREFIX", "k")}
			for i, c := range cachers {
				way := i % 3
				readers.Go(func() {
					r := rand.New(rand.NewPCG(uint64(i), 1))
					for !stop.Load() {
						var want []string
						for range 1 + r.IntN(4) {
							if k := fmt.Sprint("k", r.IntN(keys)); c.cache[k] == "" {
								want = append(want, k)
							}
						}
						if len(want) == 0 {
							want = append(want, "k0")
						}
						if err := c.read(way, want...); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for w := range 3 {
				c := dial(t, s)
				writers.Go(func() {
					r := rand.New(rand.NewPCG(uint64(w), 2))
					for range 1000 {
						for _, argv := range write(r, func() string { return fmt.Sprint("k", r.IntN(keys)) }) {
							if err := c.Send(argv...); err != nil {
								t.Error(err)
								return
							}
							if _, err := c.Receive(false); err != nil {
								t.Error(err)
								return
							}
						}
					}
				})
			}
			writers.Wait()
			stop.Store(true)
			readers.Wait()
			judge := dial(t, s)
			for i, c := range cachers {
				// What has expired is told when it is deleted.
				require.Eventually(t, func() bool {
					require.NoError(t, c.c.Send("PING"))
					_, err := c.reply()
					require.NoError(t, err)
					for k, cached := range c.cache {
						v, err := judge.Do("GET", k)
						require.NoError(t, err)
						if v.Str != cached {
							t.Logf("client %d keeps %q for %s, which is %q", i, cached, k, v.Str)
							return false
						}
					}
					return true
				}, 10*time.Second, 20*time.Millisecond)
			}
		})
	}
}

// The last change before all is quiet is told, however close to it the key was read.
func TestTheLastChangeIsTold(t *testing.T) {
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"inline", nil},
		{"in line", append([]string{"--rmw-always-queue", "yes"}, collisions...)},
	} {
		t.Run(mode.name, func(t *testing.T) {
			s := open(t, Options{}, mode.args...)
			c, judge, writer := newCacher(t, s), dial(t, s), dial(t, s)
			for round := range 1500 {
				const reads, writes = 16, 6
				for i := range reads {
					argv := []string{"GET", "k"}
					if i%4 == 3 {
						argv = []string{"MGET", "k", "l"}
					}
					require.NoError(t, c.c.Send(argv...))
				}
				for i := range writes {
					argv := []string{"SET", "k", fmt.Sprint(round, ".", i)}
					if i == writes-1 && round%3 == 0 {
						argv = [][]string{{"FLUSHDB"}, {"DEL", "k"}, {"SWAPDB", "0", "1"}, {"MSET", "k", "x", "l", "y"}}[round/3%4]
					}
					require.NoError(t, writer.Send(argv...))
				}
				for i := range reads {
					v, err := c.reply()
					require.NoError(t, err)
					if i%4 == 3 {
						v = v.Elems[0]
					}
					c.cache["k"] = v.Str
				}
				for range writes {
					_, err := writer.Receive(false)
					require.NoError(t, err)
				}
				require.NoError(t, c.c.Send("PING"))
				_, err := c.reply()
				require.NoError(t, err)
				v, err := judge.Do("GET", "k")
				require.NoError(t, err)
				if cached, ok := c.cache["k"]; ok {
					require.Equal(t, v.Str, cached, "round %d", round)
				}
			}
		})
	}
}

// A RESP2 client names another that is told; when that has left, a RESP3 client is
// told so, and CLIENT TRACKINGINFO says it.
func TestTrackingIsRedirected(t *testing.T) {
	s := open(t, Options{})
	reader, writer, told := dial(t, s), dial(t, s), dial(t, s)
	id := strings.TrimPrefix(do(t, told, "CLIENT", "ID"), "(integer) ")
	do(t, told, "SUBSCRIBE", "__redis__:invalidate")
	require.Equal(t, "OK", do(t, reader, "CLIENT", "TRACKING", "ON", "REDIRECT", id))
	require.Equal(t, "(integer) "+id, do(t, reader, "CLIENT", "GETREDIR"))
	require.Contains(t, do(t, reader, "CLIENT", "INFO"), " flags=t ")
	require.Contains(t, do(t, reader, "CLIENT", "INFO"), " redir="+id+" ")
	next := func(c *transcript.Client) string {
		v, err := c.Next()
		require.NoError(t, err)
		return v.String()
	}
	do(t, reader, "GET", "k")
	do(t, writer, "SET", "k", "1")
	require.Equal(t, "1) \"message\"\n2) \"__redis__:invalidate\"\n3) 1) \"k\"", next(told))
	do(t, writer, "FLUSHALL")
	require.Equal(t, "1) \"message\"\n2) \"__redis__:invalidate\"\n3) (nil)", next(told))
	// Who listens to nothing would take it for a reply.
	do(t, told, "UNSUBSCRIBE")
	do(t, reader, "GET", "k")
	do(t, writer, "SET", "k", "2")
	do(t, told, "PING")
	do(t, told, "HELLO", "3")
	do(t, reader, "GET", "k")
	do(t, writer, "SET", "k", "3")
	require.Equal(t, "1) \"invalidate\"\n2) 1) \"k\"", next(told))

	require.NoError(t, told.Close())
	require.Eventually(t, func() bool { return s.router.ClientCount() == 2 }, 10*time.Second, time.Millisecond)
	do(t, reader, "HELLO", "3")
	do(t, reader, "GET", "k")
	do(t, writer, "SET", "k", "4")
	require.Equal(t, "1) \"tracking-redir-broken\"\n2) (integer) "+id, next(reader))
	require.Contains(t, do(t, reader, "CLIENT", "TRACKINGINFO"), `"broken_redirect"`)
	require.Contains(t, do(t, reader, "CLIENT", "INFO"), " flags=tR ")
}

// The table holds no more keys than it may, and who has read what is dropped from
// it hears of it.
func TestTrackingTableIsBounded(t *testing.T) {
	s := open(t, Options{}, "--tracking-table-max-keys", "100")
	c := newCacher(t, s)
	for i := range 1000 {
		require.NoError(t, c.read(0, fmt.Sprint("k", i)))
		require.LessOrEqual(t, s.router.Tracking().Keys(), int64(100))
	}
	remembered := func() int {
		require.NoError(t, c.c.Send("PING"))
		_, err := c.reply()
		require.NoError(t, err)
		return len(c.cache)
	}
	require.LessOrEqual(t, remembered(), 100)
	do(t, dial(t, s), "CONFIG", "SET", "tracking-table-max-keys", "10")
	require.Eventually(t, func() bool { return remembered() <= 10 }, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, s.Info([]string{"stats"}), "tracking_total_keys:"+fmt.Sprint(s.router.Tracking().Keys()))
	require.Contains(t, s.Info([]string{"clients"}), "tracking_clients:1\r\n")
	require.NoError(t, c.c.Close())
	require.Eventually(t, func() bool {
		return s.router.Tracking().Clients() == 0 && s.router.Tracking().Keys() == 0 && s.router.Tracking().Items() == 0
	}, 10*time.Second, time.Millisecond)
}

// What the server deletes by itself is told like any other change.
func TestEvictedKeysAreTold(t *testing.T) {
	s := open(t, Options{}, "--maxmemory-policy", "allkeys-random", "--notify-keyspace-events", "Ee")
	c := newCacher(t, s)
	listener := dial(t, s)
	do(t, listener, "SUBSCRIBE", "__keyevent@0__:evicted")
	writer := dial(t, s)
	for i := range 100 {
		do(t, writer, "SET", fmt.Sprint("k", i), strings.Repeat("x", 1000))
		require.NoError(t, c.read(0, fmt.Sprint("k", i)))
	}
	do(t, writer, "CONFIG", "SET", "maxmemory", strconv.FormatInt(s.router.Used()/2, 10))
	do(t, writer, "SET", "one", "more")
	evicted := s.router.Counters().Evicted.Load()
	require.Positive(t, evicted)
	for range evicted {
		v, err := listener.Next()
		require.NoError(t, err)
		require.Equal(t, "(integer) 0", do(t, writer, "EXISTS", v.Elems[2].Str))
	}
	require.NoError(t, c.c.Send("PING"))
	_, err := c.reply()
	require.NoError(t, err)
	require.EqualValues(t, 100-evicted, len(c.cache))
}
