package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/latch"
)

// atRest checks that every latch is free and open, and that nobody is entered as
// waiting.
func atRest(t *testing.T, s *Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i := range s.ks.Shards() * s.runner.Table().Slots() {
			_, held, waited := s.runner.Table().Holder(latch.ID(i))
			if held || waited || s.runner.Table().Seq(latch.ID(i))%2 != 0 {
				return false
			}
		}
		return s.router.Blocked() == 0
	}, 20*time.Second, time.Millisecond)
}

// WATCH, read, MULTI, write, EXEC: what aborts is tried again, and no increment
// is lost.
func TestWatchLoopsLoseNothing(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		var wg sync.WaitGroup
		var aborted atomic.Int64
		const clients, each = 6, 40
		for range clients {
			c := dial(t, s)
			wg.Go(func() {
				for done := 0; done < each; {
					do(t, c, "WATCH", "n")
					n, _ := strconv.Atoi(strings.Trim(do(t, c, "GET", "n"), `"`))
					do(t, c, "MULTI")
					do(t, c, "SET", "n", strconv.Itoa(n+1))
					if do(t, c, "EXEC") == "1) OK" {
						done++
					} else {
						aborted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, strconv.Quote(strconv.Itoa(clients*each)), do(t, dial(t, s), "GET", "n"))
		t.Logf("%d transactions were aborted", aborted.Load())
		atRest(t, s)
	}
}

// Money moves between accounts of several shards in transactions; every reader
// sees all of it.
func TestTransactionsConserve(t *testing.T) {
	for _, args := range [][]string{nil, collisions} {
		s := open(t, Options{}, args...)
		var wg sync.WaitGroup
		var stop atomic.Bool
		setup := dial(t, s)
		for i := range 5 {
			do(t, setup, "SET", fmt.Sprint("acct", i), "100")
			do(t, setup, "RPUSH", fmt.Sprint("list", i), "a", "b")
		}
		for id := range 4 {
			c := dial(t, s)
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(id), 1))
				for !stop.Load() {
					do(t, c, "MULTI")
					do(t, c, "DECRBY", fmt.Sprint("acct", r.IntN(5)), "7")
					do(t, c, "LMOVE", fmt.Sprint("list", r.IntN(5)), fmt.Sprint("list", r.IntN(5)), "LEFT", "RIGHT")
					do(t, c, "INCRBY", fmt.Sprint("acct", r.IntN(5)), "7")
					do(t, c, "EXEC")
				}
			})
		}
		for range 300 {
			v, err := setup.Do("MGET", "acct0", "acct1", "acct2", "acct3", "acct4")
			require.NoError(t, err)
			sum := 0
			for line := range strings.Lines(v.String()) {
				_, word, _ := strings.Cut(strings.TrimSpace(line), ") ")
				n, err := strconv.Atoi(strings.Trim(word, `"`))
				require.NoError(t, err)
				sum += n
			}
			require.Equal(t, 500, sum)
		}
		stop.Store(true)
		wg.Wait()
		total := 0
		for i := range 5 {
			n, _ := strconv.Atoi(strings.TrimPrefix(do(t, setup, "LLEN", fmt.Sprint("list", i)), "(integer) "))
			total += n
		}
		require.Equal(t, 10, total)
		atRest(t, s)
	}
}

// Elements travel through a chain of lists by clients that block, give up, are
// unblocked and are killed at any moment; each arrives, exactly once.
func TestBlockedClientsNeverSwallowAnElement(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		var wg sync.WaitGroup
		var stop atomic.Bool
		const hops = 3
		for hop := range hops {
			for range 3 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(rand.Uint64(), 1))
					for !stop.Load() {
						conn, err := net.Dial("tcp", s.Addr())
						if err != nil {
							t.Error(err)
							return
						}
						c := transcript.NewClient(conn, time.Minute)
						from, to := fmt.Sprint("hop", hop), fmt.Sprint("hop", hop+1)
						if r.IntN(3) == 0 { // leaves at any moment
							_ = c.Send("BLMOVE", from, to, "LEFT", "RIGHT", "0")
							time.Sleep(time.Duration(r.IntN(9)) * time.Millisecond)
							_ = conn.Close()
							continue
						}
						for range 20 {
							if _, err := c.Do("BLMOVE", from, to, "LEFT", "RIGHT", fmt.Sprint(0.001+r.Float64()/200)); err != nil {
								break // killed
							}
						}
						_ = conn.Close()
					}
				})
			}
		}
		const n = 300
		c := dial(t, s)
		for i := range n {
			do(t, c, "RPUSH", "hop0", fmt.Sprint("e", i))
			if i%10 == 0 { // and one who waits is killed
				s.router.EachClient(func(cl *command.Client) bool {
					if cl.Has(command.ClientBlocked) {
						cl.Conn.Kill("test")
						return false
					}
					return true
				})
			}
		}
		last := fmt.Sprint("hop", hops)
		require.Eventually(t, func() bool {
			return do(t, c, "LLEN", last) == fmt.Sprintf("(integer) %d", n)
		}, 30*time.Second, 5*time.Millisecond)
		stop.Store(true)
		wg.Wait()
		v, err := c.Do("LRANGE", last, "0", "-1")
		require.NoError(t, err)
		seen := map[string]bool{}
		for line := range strings.Lines(v.String()) {
			_, e, _ := strings.Cut(strings.TrimSpace(line), ") ")
			require.False(t, seen[e], e)
			seen[e] = true
		}
		require.Len(t, seen, n)
		atRest(t, s)
	}
}

func TestBlockedClientsAreServedInOrder(t *testing.T) {
	s := open(t, Options{})
	var waiting []*transcript.Client
	for i := range 20 {
		c := dial(t, s)
		require.NoError(t, c.Send("BLPOP", "a", fmt.Sprint("own", i), "0"))
		require.Eventually(t, func() bool { return s.router.Blocked() == int64(i+1) }, 10*time.Second, time.Millisecond)
		waiting = append(waiting, c)
	}
	c := dial(t, s)
	for i := range 10 {
		require.Equal(t, "(integer) 2", do(t, c, "RPUSH", fmt.Sprint("q", i), fmt.Sprint(2*i), fmt.Sprint(2*i+1)))
		require.Equal(t, "OK", do(t, c, "RENAME", fmt.Sprint("q", i), "a"))
		require.Eventually(t, func() bool { return s.router.Blocked() == int64(18-2*i) }, 10*time.Second, time.Millisecond)
	}
	for i, w := range waiting {
		v, err := w.Receive(false)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("1) \"a\"\n2) \"%d\"", i), v.String())
	}
	atRest(t, s)
}

func TestUnblock(t *testing.T) {
	s := open(t, Options{})
	c, w := dial(t, s), dial(t, s)
	id := strings.TrimPrefix(do(t, w, "CLIENT", "ID"), "(integer) ")
	for how, want := range map[string]string{"TIMEOUT": "(nil array)", "ERROR": "(error) UNBLOCKED client unblocked via CLIENT UNBLOCK"} {
		require.Equal(t, "(integer) 0", do(t, c, "CLIENT", "UNBLOCK", id, how))
		require.NoError(t, w.Send("BLPOP", "q", "0"))
		require.Eventually(t, func() bool { return s.router.Blocked() == 1 }, 10*time.Second, time.Millisecond)
		require.Contains(t, s.Info([]string{"clients"}), "blocked_clients:1\r\n")
		require.Equal(t, "(integer) 1", do(t, c, "CLIENT", "UNBLOCK", id, how))
		v, err := w.Receive(false)
		require.NoError(t, err)
		require.Equal(t, want, v.String())
	}
	atRest(t, s)
}

// A server that stops answers those who wait.
func TestStopWakesTheBlocked(t *testing.T) {
	s := open(t, Options{})
	w := dial(t, s)
	require.NoError(t, w.Send("BLPOP", "q", "0"))
	require.Eventually(t, func() bool { return s.router.Blocked() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Shutdown(t.Context()))
	v, err := w.Receive(false)
	require.NoError(t, err)
	require.Contains(t, v.String(), "UNBLOCKED")
}
