package server

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
)

// pipelined sends commands in one piece and wants these bytes for them.
func pipelined(t *testing.T, s *Server, request, want string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	answered(t, conn, want)
}

func answered(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	require.NoError(t, err, "%q", got[:n])
	require.Equal(t, want, string(got))
}

// counted waits for what the runner counts: a coordinator does so when it has answered.
func counted(t *testing.T, s *Server, as func(rmw.Stats) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return as(s.runner.Total()) }, 10*time.Second, time.Millisecond)
}

func upTo(n int) (replies string) {
	for i := range n {
		replies += fmt.Sprintf(":%d\r\n", i+1)
	}
	return replies
}

// Commands for one key that stand one behind the other claim its latch once.
func TestARunClaimsOnce(t *testing.T) {
	s := open(t, Options{})
	pipelined(t, s, strings.Repeat("INCR n\r\n", 8), upTo(8))
	require.EqualValues(t, 1, s.runner.Total().Fast)
	require.Contains(t, s.Info([]string{"commandstats"}), "cmdstat_incr:calls=8,")

	pipelined(t, s, strings.Repeat("INCR m\r\n", 40), upTo(40))
	require.EqualValues(t, 6, s.runner.Total().Fast, "and let go of it after eight")
}

// A run that loses the latch has one place in the line.
func TestARunStandsInLineOnce(t *testing.T) {
	s := open(t, Options{})
	release := hold(t, s, "n")
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PING\r\n"+strings.Repeat("INCR n\r\n", 32)+"PING\r\n")
	require.NoError(t, err)
	answered(t, conn, "+PONG\r\n")
	counted(t, s, func(c rmw.Stats) bool { return c.Depth == 1 })
	release()
	answered(t, conn, upTo(32)+"+PONG\r\n")
	counted(t, s, func(c rmw.Stats) bool { return c.Slow == 1 && c.ByCoordinator == 1 })
}

// Each command of a run that is withdrawn gets an answer, and none is applied.
func TestARunThatIsWithdrawn(t *testing.T) {
	s := open(t, Options{}, "--rmw-wait", "20")
	release := hold(t, s, "n")
	pipelined(t, s, strings.Repeat("INCR n\r\n", 3)+"PING\r\n", strings.Repeat("-BUSY key is contended\r\n", 3)+"+PONG\r\n")
	require.Contains(t, s.Info([]string{"commandstats"}), "cmdstat_incr:calls=3,")
	counted(t, s, func(c rmw.Stats) bool { return c.Timeouts == 1 })
	release()
	c := dial(t, s)
	require.Equal(t, "OK", do(t, c, "CONFIG", "SET", "rmw-wait", "60000"))
	require.Equal(t, "(integer) 1", do(t, c, "INCR", "n"))
}

// Who waits for what a command of a run leaves is served before the next.
func TestARunWakesWhoIsBlockedBetweenItsCommands(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		c, waits := dial(t, s), dial(t, s)
		for range 20 {
			require.NoError(t, waits.Send("BLPOP", "l", "0"))
			require.Eventually(t, func() bool { return s.router.Blocked() == 1 }, 10*time.Second, time.Millisecond)
			pipelined(t, s, "RPUSH l a\r\nRPUSH l b\r\nRPUSH l c\r\n", ":1\r\n:1\r\n:2\r\n")
			v, err := waits.Receive(false)
			require.NoError(t, err)
			require.Contains(t, v.String(), `"a"`)
			require.Equal(t, "(integer) 1", do(t, c, "DEL", "l"))
		}
	}
}

// Readers of one name are answered each by itself, and counted together.
func TestARunOfReaders(t *testing.T) {
	for _, args := range [][]string{nil, collisions} {
		s := open(t, Options{}, args...)
		c := dial(t, s)
		require.Equal(t, "OK", do(t, c, "MSET", "a", "1", "b", "2"))
		require.Equal(t, "(integer) 1", do(t, c, "RPUSH", "l", "x"))
		wrong := "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
		pipelined(t, s, "GET a\r\nGET b\r\nGET none\r\nGET l\r\nGET a\r\nGET a b\r\nGET b\r\n",
			"$1\r\n1\r\n$1\r\n2\r\n$-1\r\n"+wrong+"$1\r\n1\r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\n2\r\n")
		stats := s.Info([]string{"commandstats", "stats"})
		require.Regexp(t, `cmdstat_get:calls=6,.*,rejected_calls=1,failed_calls=1\r\n`, stats)
		require.Contains(t, stats, "keyspace_hits:5\r\n")
		require.Contains(t, stats, "keyspace_misses:1\r\n")
	}
}

// Writers of one name with different keys claim their latches one after the other, and
// what they have changed is counted.
func TestARunOfSeveralKeys(t *testing.T) {
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		pipelined(t, s, "INCR a\r\nINCR a\r\nINCR b\r\nINCR a\r\nINCR b c\r\nINCR b\r\n",
			":1\r\n:2\r\n:1\r\n:3\r\n-ERR wrong number of arguments for 'incr' command\r\n:2\r\n")
		require.Contains(t, s.Info([]string{"commandstats"}), "cmdstat_incr:calls=5,")
		require.Contains(t, s.Info([]string{"persistence"}), "rdb_changes_since_last_save:5\r\n")
		pipelined(t, s, "SELECT 1\r\nSET a x\r\nSET b y\r\nSELECT 0\r\nGET a\r\nGET b\r\nSELECT 1\r\nGET a\r\nGET b\r\n",
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n$1\r\n3\r\n$1\r\n2\r\n+OK\r\n$1\r\nx\r\n$1\r\ny\r\n")
	}
}

// What stands before a command that has to wait is counted when that begins to wait: it
// has not waited.
func TestWhatIsBeforeAWaitIsCountedBefore(t *testing.T) {
	s := open(t, Options{})
	release := hold(t, s, "n")
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "SET a 1\r\nSET b 2\r\nSET n 3\r\nSET c 4\r\n")
	require.NoError(t, err)
	answered(t, conn, "+OK\r\n+OK\r\n")
	counted(t, s, func(c rmw.Stats) bool { return c.Depth == 1 })
	require.Contains(t, s.Info([]string{"commandstats"}), "cmdstat_set:calls=2,")
	release()
	answered(t, conn, "+OK\r\n+OK\r\n")
	require.Contains(t, s.Info([]string{"commandstats"}), "cmdstat_set:calls=4,")
}

// The slow log has the command of a run that took long.
func TestTheSlowCommandOfARun(t *testing.T) {
	s := open(t, Options{}, "--slowlog-log-slower-than", "1000")
	c := dial(t, s)
	const size = 64 << 20
	require.Equal(t, "OK", do(t, c, "SET", "a", "1"))
	require.Equal(t, fmt.Sprintf("(integer) %d", size), do(t, c, "SETRANGE", "long", fmt.Sprint(size-1), "x"))
	require.Equal(t, "OK", do(t, c, "SLOWLOG", "RESET"))
	head := fmt.Sprintf("$%d\r\n", size)
	pipelined(t, s, "GET a\r\nGET long\r\nGET a\r\n", "$1\r\n1\r\n"+head+strings.Repeat("\x00", size-1)+"x\r\n$1\r\n1\r\n")
	log := do(t, c, "SLOWLOG", "GET")
	require.Contains(t, log, `"long"`)
	require.NotContains(t, log, `"a"`)
}

// A sink that panics at one command of a run takes that one down, and no other.
func TestAPanicInTheMiddleOfARun(t *testing.T) {
	for _, args := range [][]string{nil, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{Sink: &sinkThatPanics{at: 2}}, args...)
		pipelined(t, s, strings.Repeat("INCR n\r\n", 4), ":1\r\n-ERR internal error\r\n:2\r\n:3\r\n")
		counted(t, s, func(c rmw.Stats) bool { return c.Panics == 1 })
	}
}

type sinkThatPanics struct {
	router.NoSink
	at, n int
}

func (s *sinkThatPanics) Append(db int, now int64, records []router.Record) uint64 {
	if s.n++; s.n == s.at {
		panic("sink")
	}
	return s.NoSink.Append(db, now, records)
}
