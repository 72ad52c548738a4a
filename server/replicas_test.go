package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// A node is a client of a server, ours or redis-server.
type node struct {
	t testing.TB
	c *transcript.Client
}

func dialNode(t testing.TB, addr string) node {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return node{t, transcript.NewClient(conn, time.Minute)}
}

func (a node) do(line string) string {
	v, err := a.c.Do(strings.Fields(line)...)
	if err != nil {
		return "broken: " + err.Error()
	}
	return v.Str
}

func (a node) info(section, field string) string {
	for line := range strings.Lines(a.do("INFO " + section)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// replicaOf starts redis-server, which follows s.
func replicaOf(t testing.TB, s *server.Server, args ...string) node {
	t.Helper()
	return dialNode(t, transcript.StartRedis(t, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(s.Port()), "--repl-diskless-load", "disabled"}, args...)...))
}

func eventually(t testing.TB, what string, fn func() bool) {
	t.Helper()
	require.Eventually(t, fn, 30*time.Second, 10*time.Millisecond, what)
}

// requireSame waits until the replica has got all, and compares.
func requireSame(t testing.TB, s *server.Server, replica node) {
	t.Helper()
	ours := dialNode(t, s.Addr())
	eventually(t, "the replica has everything", func() bool {
		return replica.info("replication", "master_link_status") == "up" &&
			replica.info("replication", "slave_repl_offset") == ours.info("replication", "master_repl_offset")
	})
	requireEqual(t, ours, replica)
}

// requireEqual compares two servers. Keys may be about to expire: what is different
// by more than that stays different.
func requireEqual(t testing.TB, ours, theirs node) {
	t.Helper()
	for range 500 {
		if ours.do("DEBUG DIGEST") == theirs.do("DEBUG DIGEST") {
			return
		}
		time.Sleep(10 * time.Millisecond) // asks again
	}
	for db := range 3 {
		ours.do(fmt.Sprint("SELECT ", db))
		theirs.do(fmt.Sprint("SELECT ", db))
		for _, key := range append(ours.all("KEYS *"), theirs.all("KEYS *")...) {
			for _, what := range []string{"TYPE", "DEBUG DIGEST-VALUE", "PEXPIRETIME"} {
				a, b := ours.all(what+" "+key), theirs.all(what+" "+key)
				if !slices.Equal(a, b) {
					t.Errorf("database %d: %s %s: %q here, %q there", db, what, key, a, b)
				}
			}
		}
	}
	require.Equal(t, ours.do("DEBUG DIGEST"), theirs.do("DEBUG DIGEST"))
}

// all is a reply with elements.
func (a node) all(line string) (out []string) {
	v, err := a.c.Do(strings.Fields(line)...)
	require.NoError(a.t, err)
	for _, e := range append(v.Elems, v) {
		out = append(out, e.Str)
	}
	return out
}

// randomWrite is a call that changes something of some type.
func randomWrite(n int) string {
	k, v := rand.IntN(50), rand.IntN(1000)
	return []string{
		fmt.Sprintf("SET s%d %d", k, v), fmt.Sprintf("APPEND s%d %d", k, v), fmt.Sprintf("SET s%d %d PX %d", k, v, 1+v/10),
		fmt.Sprintf("INCR i%d", k), fmt.Sprintf("INCRBYFLOAT f%d 0.%d", k, v), fmt.Sprintf("DEL s%d l%d", k, k),
		fmt.Sprintf("RPUSH l%d %d %d", k, v, n), fmt.Sprintf("LPOP l%d", k), fmt.Sprintf("LMOVE l%d l%d LEFT RIGHT", k, v%50),
		fmt.Sprintf("SADD a%d %d", k, v), fmt.Sprintf("SPOP a%d", k), fmt.Sprintf("ZADD z%d %d m%d", k, v, n%40), fmt.Sprintf("ZPOPMIN z%d", k),
		fmt.Sprintf("HSET h%d f%d %d", k, v%20, n), fmt.Sprintf("HINCRBYFLOAT h%d x 1.5", k), fmt.Sprintf("XADD x%d MAXLEN 20 * f %d", k, v),
		fmt.Sprintf("PFADD p%d %d", k, v), fmt.Sprintf("SETBIT b%d %d 1", k, v), fmt.Sprintf("EXPIRE h%d 100", k), fmt.Sprintf("COPY s%d c%d", k, k),
		fmt.Sprintf("SELECT %d", v%3), fmt.Sprintf("SORT a%d STORE l%d", k, v%50), fmt.Sprintf("GEOADD g%d 1.%d 2 m%d", k, v, n%9),
		fmt.Sprintf("RENAME s%d r%d", k, v%50), fmt.Sprintf("SINTERSTORE a%d a%d a%d", k, v%50, (v+1)%50),
	}[rand.IntN(25)]
}

// underWrites runs fn while clients write.
func underWrites(t testing.TB, s *server.Server, fn func()) {
	t.Helper()
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 3 {
		c := dialNode(t, s.Addr())
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if n%10 == 9 {
					c.do("MULTI")
					c.do(randomWrite(n))
					c.do(randomWrite(n))
					c.do("EXEC")
					continue
				}
				c.do(randomWrite(n))
			}
		})
	}
	defer work.Wait()
	defer close(stop)
	fn()
}

// awaitChanges waits until so many more keys have been changed.
func awaitChanges(t testing.TB, s *server.Server, n int) {
	t.Helper()
	c := dialNode(t, s.Addr())
	count := func() int {
		i, _ := strconv.Atoi(c.info("stats", "total_commands_processed"))
		return i
	}
	want := count() + n
	eventually(t, "writes", func() bool { return count() > want })
}

// redis-server follows through writes of every kind and is the same afterwards;
// with the log and without.
func TestRedisFollows(t *testing.T) {
	for _, logging := range []string{"yes", "no"} {
		t.Run("appendonly "+logging, func(t *testing.T) {
			s := testserver.Start(t, "--appendonly", logging)
			c := dialNode(t, s.Addr())
			for n := range 2000 {
				c.do(randomWrite(n))
			}
			c.do("SELECT 0")
			var replica node
			underWrites(t, s, func() {
				replica = replicaOf(t, s)
				eventually(t, "link", func() bool { return replica.info("replication", "master_link_status") == "up" })
				awaitChanges(t, s, 3000)
				for _, line := range []string{"SWAPDB 0 1", "FLUSHDB", "DEBUG POPULATE 500 d"} {
					c.do(line)
					awaitChanges(t, s, 300)
				}
				if logging == "yes" {
					require.Equal(t, "OK", c.do("DEBUG LOADAOF"))
					awaitChanges(t, s, 300)
				}
			})
			requireSame(t, s, replica)
			require.Equal(t, "0", replica.info("stats", "unexpected_error_replies"))

			c.do("FLUSHALL")
			c.do("SET last 1")
			require.Equal(t, "1", c.do("WAIT 1 30000"))
			requireSame(t, s, replica)
			require.Contains(t, c.info("replication", "slave0"), "state=online,offset=")
			require.Contains(t, c.do("CLIENT LIST TYPE replica"), " flags=S ")
		})
	}
}

// A replica that is stopped and comes again follows again.
func TestRedisFollowsAgain(t *testing.T) {
	s := testserver.Start(t)
	c := dialNode(t, s.Addr())
	c.do("MSET a 1 b 2")
	t.Run("first", func(t *testing.T) {
		requireSame(t, s, replicaOf(t, s))
	})
	eventually(t, "the first is gone", func() bool { return c.info("replication", "connected_slaves") == "0" })
	c.do("SET c 3")
	replica := replicaOf(t, s)
	requireSame(t, s, replica)
	require.Equal(t, "OK", c.do("DEBUG RELOAD"))
	c.do("SET d 4")
	eventually(t, "it has synchronized anew", func() bool { return c.info("stats", "sync_full") == "3" && replica.do("GET d") == "4" })
	requireSame(t, s, replica)
}

// A replica that does not read is closed, and holds nobody up.
func TestStuckReplica(t *testing.T) {
	s := testserver.Start(t, "--client-output-buffer-limit", "replica 1mb 0 0")
	replica := replicaOf(t, s)
	requireSame(t, s, replica)
	pid, err := strconv.Atoi(replica.info("server", "process_id"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // it may have ended
	c := dialNode(t, s.Addr())
	value := strings.Repeat("x", 100_000)
	for i := 0; c.info("replication", "connected_slaves") == "1"; i++ {
		require.Less(t, i, 250, "25 MB were written and it is still there")
		require.Equal(t, "OK", c.do(fmt.Sprintf("SET k%d %s", i%10, value)))
	}
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	eventually(t, "it comes again", func() bool { return c.info("replication", "connected_slaves") == "1" })
	requireSame(t, s, replica)
}

// redis-cli --rdb takes a file that redis-server loads.
func TestRedisCliTakesAnRDB(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	s := testserver.Start(t)
	c := dialNode(t, s.Addr())
	for n := range 3000 {
		c.do(randomWrite(n))
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, cli, "-p", strconv.Itoa(s.Port()), "--rdb", filepath.Join(dir, "dump.rdb")).CombinedOutput()
	require.NoError(t, err, string(out))
	redis := dialNode(t, transcript.StartRedis(t))
	file, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(redis.all("CONFIG GET dir")[1], "dump.rdb"), file, 0o600))
	require.Equal(t, "OK", redis.do("DEBUG RELOAD NOSAVE"))
	requireEqual(t, c, redis)
	eventually(t, "it has gone", func() bool { return c.info("replication", "connected_slaves") == "0" })

	out, err = exec.CommandContext(ctx, cli, "-p", strconv.Itoa(s.Port()), "--functions-rdb", filepath.Join(dir, "none.rdb")).CombinedOutput()
	require.NoError(t, err, string(out))
	info, err := os.Stat(filepath.Join(dir, "none.rdb"))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(100))

	c.do("HSETEX times EX 100 FIELDS 1 a 1") // which only a newer form of the file can say
	out, err = exec.CommandContext(ctx, cli, "-p", strconv.Itoa(s.Port()), "--rdb", filepath.Join(dir, "times.rdb")).CombinedOutput()
	require.NoError(t, err, string(out))
	file, err = os.ReadFile(filepath.Join(dir, "times.rdb"))
	require.NoError(t, err)
	require.Equal(t, "REDIS0012", string(file[:9]))
}

// redis-cli --replica prints the stream.
func TestRedisCliPrintsTheStream(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	s := testserver.Start(t)
	c := dialNode(t, s.Addr())
	c.do("SET before 1")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	cmd := exec.Command(cli, "-p", strconv.Itoa(s.Port()), "--replica")
	cmd.Stdout = out
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	eventually(t, "online", func() bool { return strings.Contains(c.info("replication", "slave0"), "state=online") })
	for _, line := range []string{"INCR n", "SELECT 3", "SET a 1 EX 100", "MULTI", "SET b 1", "DEL a", "EXEC", "HSETEX h EX 100 FIELDS 1 f v"} {
		c.do(line)
	}
	c.do("SET end 1")
	read := func() string {
		b, _ := os.ReadFile(out.Name())
		return string(b)
	}
	eventually(t, "the stream", func() bool { return strings.Contains(read(), "end") })
	for _, line := range []string{`"SELECT","0"` + "\n" + `"INCR","n"`, `"SELECT","3"`, `"MULTI"` + "\n" + `"SET","b","1"` + "\n" + `"DEL","a"` + "\n" + `"EXEC"`} {
		require.Contains(t, read(), line)
	}
	require.NotContains(t, read(), "HSETEX")
}

// What redis-server 7.0 has no command for it is told in older ones.
func TestReplicaIsToldInOlderWords(t *testing.T) {
	s := testserver.Start(t)
	c := dialNode(t, s.Addr())
	c.do("HSETEX old EX 100 FIELDS 2 a 1 b 2")
	replica := replicaOf(t, s)
	eventually(t, "link", func() bool { return replica.do("HGET old b") == "2" })
	for _, line := range []string{
		"HSETEX h PX 50 FIELDS 1 gone 1", "HSETEX h EX 100 FIELDS 1 here 1", "HEXPIRE old 100 FIELDS 1 a", "HPERSIST old FIELDS 1 b",
		"MSETEX 2 m n o p EX 100", "XADD x 1-1 a b", "XADD x 2-1 a b", "XADD x 3-1 a b", "XDELEX x IDS 1 2-1",
		"XGROUP CREATE x g 0", "XREADGROUP GROUP g c STREAMS x >", "XACKDEL x g IDS 1 3-1", "SET v 1", "SET v 2 IFEQ 1",
	} {
		require.NotContains(t, c.do(line), "ERR", line)
	}
	eventually(t, "the field has expired", func() bool { return c.do("HLEN h") == "1" })
	c.do("HPERSIST h FIELDS 1 here") // that it will expire is not told
	c.do("HPERSIST old FIELDS 1 a")
	requireSame(t, s, replica)
	require.Equal(t, "2", replica.do("GET v"))
	require.Equal(t, "1", replica.do("XLEN x"))
	require.Equal(t, "1", replica.all("XPENDING x g")[0])
	require.Equal(t, "0", replica.info("stats", "unexpected_error_replies"))
}

// What is evicted here is deleted there.
func TestReplicaFollowsEviction(t *testing.T) {
	s := testserver.Start(t, "--maxmemory-policy", "allkeys-random")
	c := dialNode(t, s.Addr())
	c.do("SET k 1")
	replica := replicaOf(t, s)
	requireSame(t, s, replica)
	c.do("DEBUG POPULATE 2000 key 500")
	used, err := strconv.Atoi(c.info("memory", "used_memory_dataset"))
	require.NoError(t, err)
	require.Equal(t, "OK", c.do(fmt.Sprint("CONFIG SET maxmemory ", used)))
	for n := 0; c.info("stats", "evicted_keys") == "0"; n++ {
		require.Less(t, n, 10000)
		require.Equal(t, "OK", c.do(fmt.Sprintf("SET more%d %s", n, strings.Repeat("x", 500))))
	}
	requireSame(t, s, replica)
}

// WAIT tells how many replicas have what was written.
func TestWait(t *testing.T) {
	s := testserver.Start(t)
	c := dialNode(t, s.Addr())
	require.Equal(t, "0", c.do("WAIT 1 10"))
	first, second := replicaOf(t, s), replicaOf(t, s)
	requireSame(t, s, first)
	requireSame(t, s, second)
	c.do("SET a 1")
	require.Equal(t, "2", c.do("WAIT 2 30000"))
	require.Equal(t, "1", second.do("GET a"))
	pid, err := strconv.Atoi(first.info("server", "process_id"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // it may have ended
	c.do("SET a 2")
	require.Equal(t, "1", c.do("WAIT 1 30000"))
	require.Equal(t, "1", c.do("WAIT 2 50"))
	require.Equal(t, "2", second.do("GET a"))
	require.Len(t, c.all("ROLE"), 4)
}

// A replica that is not heard of is closed; one that is, is not.
func TestSilentReplica(t *testing.T) {
	s := testserver.Start(t, "--repl-timeout", "2", "--repl-ping-replica-period", "1")
	c := dialNode(t, s.Addr())
	replica := replicaOf(t, s)
	requireSame(t, s, replica)
	conn := testserver.Dial(t, s)
	_, err := conn.Write([]byte("PSYNC ? -1\r\n"))
	require.NoError(t, err)
	b, err := io.ReadAll(conn)
	require.NoError(t, err, "it was closed")
	require.Regexp(t, `^\+FULLRESYNC [0-9a-f]{40} [0-9]+\r\n\$[0-9]+\r\nREDIS0010`, string(b))
	require.Contains(t, string(b), "*1\r\n$4\r\nPING\r\n")
	require.Contains(t, c.info("replication", "slave0"), "state=online")
	requireSame(t, s, replica)
}

// A copy that a killed process has left is removed, and none stays behind.
func TestCopiesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	copies := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "replica-*"))
		require.NoError(t, err)
		return names
	}
	left := filepath.Join(dir, "replica-7.tmp")
	s := testserver.Start(t, "--dir", dir)
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, os.WriteFile(left, nil, 0o600))
	s = testserver.Start(t, "--dir", dir)
	require.Empty(t, copies())
	requireSame(t, s, replicaOf(t, s))
	eventually(t, "the copy is removed", func() bool { return len(copies()) == 0 })
}

// A replica asks for no key.
func TestReplicaMayNotRead(t *testing.T) {
	s := testserver.Start(t)
	conn := testserver.Dial(t, s)
	_, err := conn.Write([]byte("SYNC\r\n"))
	require.NoError(t, err)
	c := dialNode(t, s.Addr())
	eventually(t, "online", func() bool { return strings.Contains(c.info("replication", "slave0"), "state=online") })
	_, err = conn.Write([]byte("GET a\r\nSET a 1\r\nRESET\r\nSYNC\r\nREPLCONF ACK 5\r\nQUIT\r\n"))
	require.NoError(t, err)
	b, err := io.ReadAll(conn)
	require.NoError(t, err)
	const no = "-ERR Replica can't interact with the keyspace\r\n"
	require.True(t, strings.HasSuffix(string(b), no+no+"-ERR can only reset normal client connections\r\n+OK\r\n"), "%q", b)
	require.True(t, strings.HasPrefix(string(b), "$"), "%q", b)
}

// Who has to wait for its copy is sent newlines, so that it goes on to wait.
func TestReplicaWaits(t *testing.T) {
	release, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := testserver.StartWith(t, server.Options{Fail: func(string) {
		once.Do(func() { close(held) })
		<-release
	}})
	c := dialNode(t, s.Addr())
	c.do("SET a 1")
	c.do("BGSAVE")
	<-held
	conn := testserver.Dial(t, s)
	_, err := conn.Write([]byte("PSYNC ? -1\r\n"))
	require.NoError(t, err)
	one := make([]byte, 1)
	_, err = conn.Read(one)
	require.NoError(t, err)
	require.Equal(t, "\n", string(one))
	require.Contains(t, c.info("replication", "slave0"), "state=wait_bgsave,offset=0,lag=0")
	close(release)
	r := bufio.NewReader(conn)
	line := "\n"
	for line == "\n" {
		line, err = r.ReadString('\n')
		require.NoError(t, err)
	}
	require.Regexp(t, `^\+FULLRESYNC `, line)
	require.NoError(t, conn.Close())
	eventually(t, "it is forgotten", func() bool { return c.info("replication", "connected_slaves") == "0" })
}
