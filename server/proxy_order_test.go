package server_test

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/proxy"
)

// mixed draws a command: some a follower answers itself, some it passes on.
func mixed(t *rapid.T) []string {
	key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	switch line := rapid.SampledFrom([]string{
		"PING", "ECHO hello", "SET k v", "GET k", "INCR k", "DEL k", "RPUSH l:k x y", "LRANGE l:k 0 -1", "LPOP l:k", "BLPOP l:k 0.001", "MGET a b c",
		"MULTI", "EXEC", "DISCARD", "WATCH k", "UNWATCH", "SELECT 0", "SELECT 1", "SELECT 99", "CLIENT SETNAME k", "CLIENT GETNAME", "TYPE k",
		"CLIENT REPLY SKIP", "SUBSCRIBE k", "PSUBSCRIBE k", "UNSUBSCRIBE", "PUNSUBSCRIBE k", "SSUBSCRIBE k", "SUNSUBSCRIBE", "DBSIZE", "NOTHING", "GET", "EXEC x", "DISCARD x", "MULTI x",
		"COMMAND COUNT", "CLIENT TRACKING ON BCAST PREFIX none", "CLIENT TRACKING OFF", "big", "RESET",
	}).Draw(t, "command"); line {
	case "big":
		return []string{"SET", key, strings.Repeat("x", rapid.IntRange(1, 200_000).Draw(t, "size"))}
	case "RESET":
		return []string{"HELLO", "3"} // speaks RESP3 as before
	default:
		return strings.Fields(strings.ReplaceAll(line, "k", key))
	}
}

// talk sends commands in one write, or in pieces, and returns all that comes back.
func talk(nc net.Conn, sent []byte, pieces int, end string) ([]byte, error) {
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	wrote := make(chan error, 1)
	go func() {
		for size := max(1, len(sent)/pieces); len(sent) > 0; {
			n, err := nc.Write(sent[:min(size, len(sent))])
			if sent = sent[n:]; err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	var got []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(got, []byte(end)) {
		n, err := nc.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			return got, err
		}
	}
	return got, <-wrote
}

// Whatever is sent, in whatever order and pieces, what comes back through a follower is
// what comes back from a server alone, byte for byte.
func TestOrderThroughAFollower(t *testing.T) {
	alone := testserver.Start(t)
	p, _ := led(t, proxy.Options{})
	rapid.Check(t, func(t *rapid.T) {
		var sent []byte
		silent := rapid.Bool().Draw(t, "silent") // CLIENT REPLY is refused in a transaction that is passed on
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			words := mixed(t)
			if silent && words[0] == "MULTI" || !silent && len(words) > 2 && words[1] == "REPLY" {
				continue
			}
			sent = add(sent, words)
		}
		sent = add(sent, []string{"DISCARD"})
		sent = add(sent, []string{"GET", "the end"})
		sent = add(sent, []string{"ECHO", "the end"})
		sent = add(sent, []string{"ECHO", "the end"})
		pieces := rapid.IntRange(1, 10).Draw(t, "pieces")
		var replies [2][]byte
		for i, addr := range []string{alone.Addr(), p.follower.Addr()} {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			const ready = "+PONG\r\n"
			if _, err := talk(nc, []byte("FLUSHALL\r\nHELLO 3\r\nPING\r\n"), 1, ready); err != nil {
				t.Fatal(err)
			}
			replies[i], err = talk(nc, append([]byte(nil), sent...), pieces, "$7\r\nthe end\r\n$7\r\nthe end\r\n")
			if err != nil {
				t.Fatalf("%v after %q", err, tail(replies[i]))
			}
			_ = nc.Close()
		}
		a, b := ids.ReplaceAll(replies[0], []byte("id")), ids.ReplaceAll(replies[1], []byte("id"))
		if !bytes.Equal(a, b) {
			t.Fatalf("alone    %.2000q\nfollower %.2000q", a, b)
		}
	})
}

// ids are connections' numbers in replies to HELLO.
var ids = regexp.MustCompile(`\$2\r\nid\r\n:[0-9]+`)

func tail(b []byte) []byte { return b[max(0, len(b)-500):] }

func add(b []byte, words []string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b
}
