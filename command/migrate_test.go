package command_test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// A party is a server that keys move from or to.
type party struct {
	t    testing.TB
	addr string
	c    *transcript.Client
}

func newParty(t testing.TB, addr string) party {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return party{t, addr, transcript.NewClient(conn, 30*time.Second)}
}

func (p party) do(argv ...string) string {
	p.t.Helper()
	v, err := p.c.Do(argv...)
	require.NoError(p.t, err)
	return v.String()
}

func (p party) line(text string) string {
	p.t.Helper()
	return p.do(strings.Fields(text)...)
}

// migrate moves keys to another party.
func (p party) migrate(to party, key string, options ...string) string {
	p.t.Helper()
	host, port, err := net.SplitHostPort(to.addr)
	require.NoError(p.t, err)
	return p.do(append([]string{"MIGRATE", host, port, key, "0", "5000"}, options...)...)
}

var migrated = []string{
	"SET string words", "SET int 42", "APPEND long 0123456789", "RPUSH list a b 3", "SADD ints 1 2 3", "SADD set a b 3",
	"ZADD zset 1 a 2.5 b -inf c", "HSET hash a 1 b 2", "XADD stream 1-1 a 1", "XADD stream 2-1 b 2",
	"XGROUP CREATE stream g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS stream >", "PFADD hll a b c", "SETBIT bits 77 1",
	"SET due 1 EX 1000",
}

// Every type goes to redis-server and comes back as it was.
func TestMigrateBothWays(t *testing.T) {
	redis, ours := newParty(t, transcript.StartRedis(t)), newParty(t, testserver.Start(t).Addr())
	for _, line := range migrated {
		ours.line(line)
	}
	keys := []string{"string", "int", "long", "list", "ints", "set", "zset", "hash", "stream", "hll", "bits"}
	want := ours.do(append([]string{"DEBUG", "DIGEST-VALUE"}, keys...)...)
	from, to := ours, redis
	for range 2 {
		require.Equal(t, "OK", from.migrate(to, "", append([]string{"KEYS", "missing"}, keys...)...))
		require.Equal(t, "OK", from.migrate(to, "due"))
		require.Equal(t, "(integer) 0", from.line("DBSIZE"))
		require.Equal(t, want, to.do(append([]string{"DEBUG", "DIGEST-VALUE"}, keys...)...))
		ttl, err := strconv.Atoi(strings.TrimPrefix(to.line("PTTL due"), "(integer) "))
		require.NoError(t, err)
		require.Greater(t, ttl, 900_000)
		require.LessOrEqual(t, ttl, 1_000_000)
		from, to = to, from
	}
}

// COPY leaves the keys, REPLACE lets them replace others, and what the target
// refuses stays.
func TestMigrateOptions(t *testing.T) {
	redis, ours := newParty(t, transcript.StartRedis(t)), newParty(t, testserver.Start(t).Addr())
	ours.line("MSET a 1 b 2 c 3")
	require.Equal(t, "OK", ours.migrate(redis, "", "COPY", "KEYS", "a", "b"))
	require.Equal(t, `1) "1"`+"\n"+`2) "2"`, redis.line("MGET a b"))
	require.Equal(t, "(integer) 3", ours.line("DBSIZE"))

	const busy = "(error) ERR Target instance replied with error: BUSYKEY Target key name already exists."
	require.Equal(t, busy, ours.migrate(redis, "a"))
	require.Equal(t, busy, ours.migrate(redis, "", "KEYS", "a", "c", "b"))
	require.Equal(t, "(integer) 2", ours.line("EXISTS a b c"), "c was not refused")
	require.Equal(t, `"3"`, redis.line("GET c"))
	ours.line("SET a 10")
	require.Equal(t, "OK", ours.migrate(redis, "a", "REPLACE"))
	require.Equal(t, `"10"`, redis.line("GET a"))
	require.Equal(t, "(integer) 0", ours.line("EXISTS a"))

	require.Contains(t, ours.do("MIGRATE", "127.0.0.1", strings.Split(redis.addr, ":")[1], "b", "99", "1000", "REPLACE"),
		"Target instance replied with error: ERR DB index is out of range")
	require.Equal(t, "(error) IOERR error or timeout connecting to the client",
		ours.do("MIGRATE", "", strings.Split(redis.addr, ":")[1], "b", "0", "1000", "REPLACE"))
	redis.line("CONFIG SET requirepass pass")
	require.Contains(t, ours.migrate(redis, "b", "REPLACE"), "NOAUTH")
	require.Contains(t, ours.migrate(redis, "b", "REPLACE", "AUTH", "wrong"), "Target instance replied with error: WRONGPASS")
	require.Equal(t, `"2"`, ours.line("GET b"))
	require.Equal(t, "OK", ours.migrate(redis, "b", "REPLACE", "AUTH", "pass"))
	ours.line("SET b 20")
	require.Equal(t, "OK", ours.migrate(redis, "b", "REPLACE", "AUTH2", "default", "pass"))
	require.Equal(t, `"20"`, redis.line("GET b"))
}

// A target that hangs or leaves is given up, and nothing is lost.
func TestMigrateTargetHangs(t *testing.T) {
	ours := newParty(t, testserver.Start(t).Addr())
	ours.line("SET a 1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const failed = "(error) IOERR error or timeout reading to target instance"
	require.Equal(t, failed, ours.do("MIGRATE", "127.0.0.1", port, "a", "0", "50"))
	served := make(chan struct{})
	go func() {
		defer close(served)
		for range 2 { // the first is the one above
			if nc, err := l.Accept(); err == nil {
				_, _ = nc.Read(make([]byte, 1000))
				_ = nc.Close()
			}
		}
	}()
	require.Equal(t, failed, ours.do("MIGRATE", "127.0.0.1", port, "a", "0", "60000"))
	<-served
	require.Equal(t, "(error) IOERR error or timeout connecting to the client", ours.do("MIGRATE", "no.such.host.invalid", "1", "a", "0", "1000"))
	require.Equal(t, `"1"`, ours.line("GET a"))
}

// fakeTarget answers OK to everything, and calls restored at each RESTORE before it
// does.
func fakeTarget(t *testing.T, restored func(args []string)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			for r := bufio.NewReader(nc); ; {
				args, err := readCall(r)
				if err != nil {
					break
				}
				if args[0] != "SELECT" {
					restored(args)
				}
				_, _ = nc.Write([]byte("+OK\r\n"))
			}
			_ = nc.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return l.Addr().String()
}

func readCall(r *bufio.Reader) (args []string, err error) {
	var n, size int
	if _, err = fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		if _, err = fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		for at := 0; at < len(word); {
			m, err := r.Read(word[at:])
			if err != nil {
				return nil, err
			}
			at += m
		}
		args = append(args, string(word[:size]))
	}
	return args, nil
}

// A key that is changed while it is sent is sent again; one that is deleted is
// deleted there; and one that does not come to rest stays.
func TestMigrateChangedKeys(t *testing.T) {
	ours := newParty(t, testserver.Start(t).Addr())
	other := newParty(t, ours.addr)
	var calls []string
	change := func(int) {}
	target := party{t: t, addr: fakeTarget(t, func(args []string) {
		calls = append(calls, args[0]+" "+args[1]+" "+args[len(args)-1])
		change(len(calls))
	})}
	ours.line("SET a 1")
	change = func(n int) {
		if n == 1 {
			other.line("INCR a")
		}
	}
	require.Equal(t, "OK", ours.migrate(target, "a"))
	require.Len(t, calls, 2)
	require.Equal(t, "RESTORE a REPLACE", calls[1])
	require.Equal(t, "(integer) 0", ours.line("EXISTS a"))

	calls = nil
	ours.line("MSET a 1 b 2")
	change = func(n int) {
		if n == 1 {
			other.line("DEL a")
		}
	}
	require.Equal(t, "OK", ours.migrate(target, "", "KEYS", "a", "b"))
	require.Equal(t, []string{"DEL a a", "RESTORE b REPLACE"}, calls[2:])
	require.Equal(t, "(integer) 0", ours.line("DBSIZE"))

	calls = nil
	ours.line("SET a 1")
	change = func(int) { other.line("INCR a") }
	_, port, _ := net.SplitHostPort(target.addr)
	require.Equal(t, "(error) IOERR keys were changed whenever they had been sent; both instances have them",
		ours.do("MIGRATE", "127.0.0.1", port, "a", "0", "20"))
	require.Equal(t, "(integer) 1", ours.line("EXISTS a"))
	require.Greater(t, len(calls), 1)
}

// Clients that add to keys while these move: what was acknowledged is on one of the
// servers.
func TestMigrateUnderWrites(t *testing.T) {
	redis, ours := newParty(t, transcript.StartRedis(t)), newParty(t, testserver.Start(t).Addr())
	const writers, keys = 3, 20
	stop := make(chan struct{})
	acknowledged := make([]int, writers)
	var work sync.WaitGroup
	for w := range writers {
		c := newParty(t, ours.addr)
		work.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c.do("RPUSH", fmt.Sprint("k", i%keys), fmt.Sprint(w, "-", i))
				acknowledged[w]++
			}
		})
	}
	all := make([]string, keys)
	for i := range keys {
		all[i] = fmt.Sprint("k", i)
	}
	found := 0
	collect := func(p party) {
		for _, k := range all {
			n, _ := strconv.Atoi(strings.TrimPrefix(p.do("LLEN", k), "(integer) "))
			found += n
		}
	}
	for moved := 0; moved < 100; {
		for _, k := range all {
			if ours.migrate(redis, k) == "OK" {
				moved++
				n, _ := strconv.Atoi(strings.TrimPrefix(redis.do("LLEN", k), "(integer) "))
				found += n
				redis.do("DEL", k)
			}
		}
	}
	close(stop)
	work.Wait()
	collect(ours)
	sum := 0
	for _, n := range acknowledged {
		sum += n
	}
	require.Equal(t, sum, found)
}

// A hash whose fields expire has a form that only newer servers read.
func TestMigrateExpiringFields(t *testing.T) {
	redis, ours, other := newParty(t, transcript.StartRedis(t)), newParty(t, testserver.Start(t).Addr()), newParty(t, testserver.Start(t).Addr())
	ours.line("HSETEX h EX 1000 FIELDS 1 f v")
	require.Contains(t, ours.migrate(redis, "h"), "Target instance replied with error: ERR DUMP payload version or checksum are wrong")
	require.Equal(t, "(integer) 1", ours.line("EXISTS h"))
	require.Equal(t, "OK", ours.migrate(other, "h"))
	require.Equal(t, "(integer) 0", ours.line("EXISTS h"))
	require.Contains(t, other.line("HTTL h FIELDS 1 f"), "(integer) ")
	require.NotContains(t, other.line("HTTL h FIELDS 1 f"), "(integer) -")
}
