package transcript

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wire is a connection on which everything has been received already.
type wire struct {
	net.Conn
	in *bytes.Reader
}

func (w wire) Read(b []byte) (int, error)           { return w.in.Read(b) }
func (w wire) SetDeadline(time.Time) error          { return nil }
func received(s string) *Client                     { return NewClient(wire{in: bytes.NewReader([]byte(s))}, time.Second) }
func lines(s ...string) string                      { return strings.Join(s, "\n") }
func receive(t *testing.T, s string) (Value, error) { t.Helper(); return received(s).Receive(true) }

func TestValuesArePrinted(t *testing.T) {
	for _, c := range []struct{ wire, want string }{
		{"+OK\r\n", "OK"},
		{"-ERR no\r\n", "(error) ERR no"},
		{"!6\r\nERR no\r\n", "(error) ERR no"},
		{":-12\r\n", "(integer) -12"},
		{"$0\r\n\r\n", `""`},
		{"$4\r\na\"\n\x00\r\n", `"a\"\n\x00"`},
		{"$-1\r\n", "(nil)"},
		{"*-1\r\n", "(nil array)"},
		{"_\r\n", "(nil)"},
		{",1.5\r\n", "(double) 1.5"},
		{",inf\r\n", "(double) inf"},
		{"#t\r\n", "(true)"},
		{"#f\r\n", "(false)"},
		{"(-123\r\n", "(big) -123"},
		{"=6\r\ntxt:a\n\r\n", `(verbatim txt) "a\n"`},
		{"*0\r\n", "(empty array)"},
		{"%0\r\n", "(empty hash)"},
		{"~0\r\n", "(empty set)"},
		{">0\r\n", "(empty push)"},
		{"*2\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n+b\r\n", lines("1) (integer) 1", `2) 1) "a"`, "   2) 1) b")},
		{"%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n", lines("1# k =>", "   1) (integer) 1", "   2) (integer) 2")},
		{"%1\r\n+k\r\n*1\r\n:1\r\n", "1# k => 1) (integer) 1"},
		{"~1\r\n_\r\n", "1~ (nil)"},
		{">2\r\n+a\r\n+b\r\n", lines("1) a", "2) b")},
		{"|1\r\n+k\r\n+v\r\n+OK\r\n", lines("1| k => v", "OK")},
		{"*10\r\n" + strings.Repeat(":0\r\n", 10), " 1) (integer) 0\n 2) (integer) 0\n 3) (integer) 0\n 4) (integer) 0\n" +
			" 5) (integer) 0\n 6) (integer) 0\n 7) (integer) 0\n 8) (integer) 0\n 9) (integer) 0\n10) (integer) 0"},
	} {
		v, err := receive(t, c.wire)
		require.NoError(t, err, "%q", c.wire)
		require.Equal(t, c.want, v.String(), "%q", c.wire)
	}
}

func TestMalformedRepliesAreErrors(t *testing.T) {
	for _, s := range []string{
		"", "\r\n", "+OK\n", "+OK", "OK\r\n", ":\r\n", ":x\r\n", "$1\r\nab\r\n", "$2\r\na\r\n", "$-2\r\n", "$+1\r\na\r\n",
		"$01\r\na\r\n", "~-1\r\n", "*1\r\n", "%1\r\n:1\r\n", "#x\r\n", "_x\r\n", ",x\r\n", "(1x\r\n", "(\r\n",
		"=2\r\nab\r\n", "=4\r\ntxtx\r\n", "$999999999999\r\n", "$536870912\r\nabc",
		strings.Repeat("*1\r\n", 100) + ":1\r\n", strings.Repeat("|0\r\n", 100) + ":1\r\n",
	} {
		_, err := receive(t, s)
		require.Error(t, err, "%q", s)
	}
}

func TestPushesAreKeptFromReplies(t *testing.T) {
	c := received(">1\r\n+push\r\n+reply\r\n+next\r\n")
	v, err := c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, "reply", v.String())
	v, err = c.Next()
	require.NoError(t, err)
	require.Equal(t, "1) push", v.String())
	v, err = c.Next()
	require.NoError(t, err)
	require.Equal(t, "next", v.String())
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte("*2\r\n:1\r\n%1\r\n$1\r\na\r\n~0\r\n"))
	f.Add([]byte("|1\r\n+k\r\n+v\r\n=5\r\ntxt:a\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := received(string(b))
		for {
			v, err := c.Receive(true)
			if err != nil {
				return
			}
			_ = v.String()
		}
	})
}

// TestPrintsAsRedisCli compares what both print for the same commands.
func TestPrintsAsRedisCli(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	addr := StartRedis(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	commands := []string{
		`RPUSH l a "b\"\n\x80\x7f" '' c d e f g h i j`, `LRANGE l 0 -1`, `LRANGE l 5 0`, `GET none`, `GET l`, `SET s "x y"`, `GET s`,
		`COMMAND INFO get set`, `HSET h f 1 g 2`, `HGETALL h`, `SADD set a`, `SMEMBERS set`, `ZADD z 1.5 m 2 n`, `ZRANGE z 0 -1 WITHSCORES`,
		`COMMAND DOCS lpush`, `DEBUG PROTOCOL true`, `DEBUG PROTOCOL map`, `DEBUG PROTOCOL null`,
	}
	for _, protocol := range []string{"2", "3"} {
		conn, err := TCP(addr)()
		require.NoError(t, err)
		c := NewClient(conn, 10*time.Second)
		defer c.Close()
		_, err = c.Do("HELLO", protocol)
		require.NoError(t, err)
		for _, line := range commands {
			words, err := split(line)
			require.NoError(t, err)
			require.NoError(t, c.Send("FLUSHALL"))
			_, err = c.Receive(false)
			require.NoError(t, err)
			seed(t, c)
			got, err := c.Do(words...)
			require.NoError(t, err)
			_, err = c.Do("FLUSHALL")
			require.NoError(t, err)
			seed(t, c)
			want, err := exec.Command(cli, append([]string{"--no-raw", "-" + protocol, "-p", port}, words...)...).Output()
			require.NoError(t, err, line)
			shown := strings.ReplaceAll(strings.TrimRight(string(want), "\n"), " \n", "\n")
			require.Equal(t, shown, got.String(), "RESP%s: %s", protocol, line)
		}
	}
}

func seed(t *testing.T, c *Client) {
	t.Helper()
	for _, line := range []string{`RPUSH l 1 "2\n"`, `HSET h a b`, `SADD set x`, `ZADD z 1.5 m`, `SET s "x y"`} {
		words, err := split(line)
		require.NoError(t, err)
		_, err = c.Do(words...)
		require.NoError(t, err)
	}
}
