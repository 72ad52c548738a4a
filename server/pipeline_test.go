package server_test

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/server"
)

// What stands before a call in a pipeline is sent before the call waits. When
// the call is then refused, or its reply suppressed, nothing is sent twice.
func TestParkedCallsTakeBackOnlyTheirOwn(t *testing.T) {
	s := testserver.Start(t, "--rmw-always-queue", "yes")
	c := testserver.Dial(t, s)
	_, err := c.Write([]byte("PING one\r\nLSET l 0 x\r\nPING two\r\nCLIENT REPLY SKIP\r\nINCR n\r\nLSET l 0 x\r\nPING three\r\n"))
	require.NoError(t, err)
	want := "$3\r\none\r\n-ERR no such key\r\n$3\r\ntwo\r\n-ERR no such key\r\n$5\r\nthree\r\n"
	got := make([]byte, len(want))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "%q", got[:n])
	require.Equal(t, want, string(got))
}

// However many commands come at once: they answer the same, and the log has the same
// units, as if each had been sent alone.
func TestPipelinesAnswerAndLogAsSingleCommands(t *testing.T) {
	alone := new(testserver.Recorder)
	one := testserver.Dial(t, testserver.StartWith(t, server.Options{Sink: alone}))
	for _, args := range [][]string{nil, {"--rmw-always-queue", "yes"}} {
		together := new(testserver.Recorder)
		many := testserver.Dial(t, testserver.StartWith(t, server.Options{Sink: together}, args...))
		rng := rand.New(rand.NewPCG(1, 2))
		for range 60 {
			commands := repetitive(rng)
			_, err := io.WriteString(many, strings.Join(commands, "")+"ECHO end\r\n")
			require.NoError(t, err)
			var want strings.Builder
			for _, c := range commands {
				_, err := io.WriteString(one, c+"ECHO end\r\n")
				require.NoError(t, err)
				want.WriteString(upToEnd(t, one))
			}
			require.Equal(t, want.String(), upToEnd(t, many), "%q", commands)
			a, b := alone.Take(), together.Take()
			require.Equal(t, len(a), len(b))
			for i := range a {
				require.Equal(t, a[i].Records, b[i].Records)
			}
		}
		_, err := io.WriteString(one, "FLUSHALL\r\nECHO end\r\n")
		require.NoError(t, err)
		upToEnd(t, one)
		alone.Take()
	}
}

// repetitive is a pipeline in which the same command for the same key comes often.
func repetitive(rng *rand.Rand) (commands []string) {
	for len(commands) < 40 {
		key := []string{"a", "b", "c"}[rng.IntN(3)]
		form := []string{
			"INCR %s", "incr %s", "INCRBY %s 3", "APPEND %s x", "SET %s 5", "SET %s text PXAT 99999999999999", "GETSET %s 7", "GETDEL %s", "RPUSH %s 1 2", "LPOP %s",
			"HSET %s f 1 g 2", "HINCRBY %s f 2", "HDEL %s f", "SADD %s m n", "ZADD %s 1 m", "ZINCRBY %s 1 m", "PERSIST %s", "SETRANGE %s 1",
			"INCRBY %s x", "SETNX %s 1", "SETBIT %s 7 1", "GET %s", "DEL %s", "STRLEN %s", "MULTI\r\nINCR a\r\nINCR a\r\nEXEC", "SELECT 1", "SELECT 0",
		}[rng.IntN(27)]
		form = strings.ReplaceAll(form, "%s", key)
		for range 1 + rng.IntN(2)*rng.IntN(20) {
			commands = append(commands, form+"\r\n")
		}
	}
	return commands
}

// upToEnd is what a connection answers before the reply "end".
func upToEnd(t *testing.T, c net.Conn) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	var got []byte
	for b := make([]byte, 4096); ; {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if before, found := strings.CutSuffix(string(got), "$3\r\nend\r\n"); found {
			return before
		}
		require.NoError(t, err, "%q", got)
	}
}
