package server_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/server"
)

// A wireClient is a client of which the connection can be written to.
type wireClient struct {
	*transcript.Client
	raw net.Conn
}

func dial(t testing.TB, s *server.Server) wireClient {
	t.Helper()
	raw := testserver.Dial(t, s)
	return wireClient{transcript.NewClient(raw, 20*time.Second), raw}
}

// said is the reply as a transcript shows it.
func said(t testing.TB, c wireClient, line string) string {
	t.Helper()
	v, err := c.Do(strings.Fields(line)...)
	require.NoError(t, err, line)
	return v.String()
}

// closed waits until the server closes the connection, with nothing before that.
func closed(t testing.TB, c wireClient) {
	t.Helper()
	_, err := c.Receive(true)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is not closed")
}

const (
	readonlyReply   = "(error) READONLY You can't write against a read only replica."
	masterDownReply = "(error) MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	noReplicasReply = "(error) NOREPLICAS Not enough good replicas to write."
	forcedReply     = "(error) UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)

func saidReadonly(t testing.TB, s *server.Server, c wireClient) {
	t.Helper()
	v, err := c.Do("CLIENT", "ID")
	require.NoError(t, err)
	id, err := strconv.ParseUint(v.Str, 10, 64)
	require.NoError(t, err)
	s.Router().Client(id).SetFlag(command.ClientReadonly, true)
}

func follow(t testing.TB, s *server.Server, st router.Standby) {
	t.Helper()
	s.Router().SetStandby(st)
	require.NoError(t, s.SetRole(router.RoleFollower))
}

// What a follower answers that takes nothing to the leader, by mode and by what the
// client has said.
func TestAFollowerAnswersByItself(t *testing.T) {
	fresh := new(atomic.Bool)
	host := new(atomic.Value)
	s := testserver.Start(t, "--follower-mode", "readonly")
	c := dial(t, s)
	require.Equal(t, "OK", said(t, c, "SET k v"))
	require.Equal(t, "OK", said(t, c, "SET gone v PX 1"))
	host.Store("")
	follow(t, s, router.Standby{
		Fresh:  fresh.Load,
		Leader: func() (string, int) { return host.Load().(string), 7000 },
	})
	r := dial(t, s)
	require.Equal(t, "OK", said(t, r, "CLIENT CAPA redirect"))
	fresh.Store(true)
	require.Eventually(t, func() bool { return said(t, c, "EXISTS gone") == "(integer) 0" }, 20*time.Second, time.Millisecond)
	for _, step := range []struct {
		mode         string
		fresh        bool
		leader       string
		line         string
		want, capaed string // capaed: the same, if empty
	}{
		{"readonly", true, "", "PING", "PONG", ""},
		{"readonly", true, "", "GET k", `"v"`, ""},
		{"readonly", true, "", "MGET k gone", "1) \"v\"\n2) (nil)", ""},
		{"readonly", true, "", "SET k w", readonlyReply, ""},
		{"readonly", true, "", "FLUSHALL", readonlyReply, ""},
		{"readonly", true, "", "DEL gone", readonlyReply, ""},
		{"readonly", true, "", "PFCOUNT k", readonlyReply, ""},
		{"readonly", true, "", "PUBLISH c m", "(integer) 0", ""},
		{"readonly", true, "", "GET", "(error) ERR wrong number of arguments for 'get' command", ""},
		{"readonly", true, "", "NOTHING", "(error) ERR unknown command 'NOTHING', with args beginning with: ", ""},
		{"readonly", true, "", "PSYNC ? -1", "(error) NOMASTERLINK Can't SYNC while not connected with my master", ""},
		{"readonly", true, "", "MULTI", "OK", ""},
		{"readonly", true, "", "GET k", "QUEUED", ""},
		{"readonly", true, "", "EXEC", `1) "v"`, ""},
		{"readonly", true, "", "MULTI", "OK", ""},
		{"readonly", true, "", "SET k w", readonlyReply, ""},
		{"readonly", true, "", "EXEC", "(error) EXECABORT Transaction discarded because of previous errors.", ""},
		{"readonly", false, "", "GET k", masterDownReply, ""},
		{"readonly", false, "", "SET k w", readonlyReply, ""},
		{"readonly", false, "", "PING", "PONG", ""},
		{"redirect", true, "leader.example", "GET k", `"v"`, "(error) REDIRECT leader.example:7000"},
		{"redirect", true, "leader.example", "SET k w", readonlyReply, "(error) REDIRECT leader.example:7000"},
		{"redirect", true, "", "SET k w", readonlyReply, masterDownReply},
		{"redirect", true, "leader.example", "READONLY", "OK", ""},
		{"redirect", true, "leader.example", "GET k", `"v"`, ""},
		{"redirect", true, "leader.example", "SET k w", readonlyReply, "(error) REDIRECT leader.example:7000"},
		{"proxy", true, "leader.example", "SET k w", readonlyReply, ""}, // nobody takes it there
	} {
		fresh.Store(step.fresh)
		host.Store(step.leader)
		if step.capaed == "" {
			step.capaed = step.want
		}
		require.NoError(t, s.Config().Set(false, "follower-mode", step.mode))
		if step.line == "READONLY" { // which is for nodes of a cluster, and this one is not
			saidReadonly(t, s, r)
			continue
		}
		require.Equal(t, step.want, said(t, c, step.line), "%+v", step)
		require.Equal(t, step.capaed, said(t, r, step.line), "%+v", step)
	}
	require.NoError(t, s.SetRole(router.RoleLeader))
	require.Equal(t, "OK", said(t, c, "SET k w"))
	require.Equal(t, `"w"`, said(t, r, "GET k"))
}

// A follower deletes nothing on its own: not what has expired, nor what is too much.
func TestAFollowerWritesNothing(t *testing.T) {
	rec := new(testserver.Recorder)
	s := testserver.StartWith(t, server.Options{Sink: rec}, "--follower-mode", "readonly", "--hz", "500")
	c := dial(t, s)
	said(t, c, "DEBUG SET-ACTIVE-EXPIRE 0")
	for _, line := range []string{"SET a 1 PX 1", "SET b 1 PX 1", "HSET h f v", "HPEXPIRE h 1 FIELDS 1 f", "SET c 1"} {
		said(t, c, line)
	}
	follow(t, s, router.Standby{Fresh: func() bool { return true }})
	rec.Take()
	said(t, c, "DEBUG SET-ACTIVE-EXPIRE 1")
	said(t, c, "CONFIG SET maxmemory 1 maxmemory-policy allkeys-random")
	require.Eventually(t, func() bool { return said(t, c, "EXISTS a b h") == "(integer) 1" }, 10*time.Second, time.Millisecond)
	require.Equal(t, "(nil)", said(t, c, "GET a"))
	require.Equal(t, "1) (nil)\n2) (nil)\n3) \"1\"", said(t, c, "MGET a b c"))
	said(t, c, "MULTI")
	said(t, c, "EXISTS a b c")
	require.Equal(t, "1) (integer) 1", said(t, c, "EXEC"))
	require.Equal(t, readonlyReply, said(t, c, "SET d 1"))
	require.Equal(t, readonlyReply, said(t, c, "DEBUG POPULATE 10"))
	require.Zero(t, s.Router().ExpireCycle(time.Second))
	require.Empty(t, rec.Take())
	require.NoError(t, s.SetRole(router.RoleLeader))
	require.Eventually(t, func() bool { s.Router().ExpireCycle(time.Second); return len(rec.Take()) > 0 }, 10*time.Second, time.Millisecond)
}

// Replies that rest on being the leader are released only while it is known to lead.
func TestRepliesNeedAuthority(t *testing.T) {
	valid := new(atomic.Bool)
	s := testserver.Start(t)
	require.NoError(t, s.SetRole(router.RoleLeader))
	s.Router().SetAuthority(valid.Load)
	valid.Store(true)
	const inDoubt = "(error) INDOUBT this node does not lead any more: whether the last writes of this connection will last is not known"
	for _, c := range []struct{ lines, want string }{
		{"SET k v", inDoubt},
		{"GET k", masterDownReply},
		{"MGET k l", masterDownReply},
		{"DBSIZE", masterDownReply},
		{"MULTI|INCR n|EXEC", inDoubt},
		{"MULTI|GET n|EXEC", masterDownReply},
		{"GET k|SET k w|GET k", inDoubt},
		{"SET k v NX", masterDownReply}, // it has changed nothing
	} {
		conn := dial(t, s)
		require.Equal(t, "OK", said(t, conn, "SET k v"))
		valid.Store(false)
		require.Equal(t, "PONG", said(t, conn, "PING"))
		pipeline(t, conn, c.lines)
		v, err := conn.Receive(false)
		require.NoError(t, err)
		require.Equal(t, c.want, v.String(), c.lines)
		closed(t, conn)
		valid.Store(true)
	}
	conn, other := dial(t, s), dial(t, s)
	require.NoError(t, conn.Send("BLPOP", "q", "0"))
	blocks(t, s, 1)
	valid.Store(false)
	require.NoError(t, other.Send("RPUSH", "q", "x"))
	for _, c := range []wireClient{conn, other} {
		v, err := c.Receive(false)
		require.NoError(t, err)
		require.Equal(t, inDoubt, v.String())
		closed(t, c)
	}
	s.Router().SetAuthority(nil)
	require.Equal(t, `"v"`, said(t, dial(t, s), "GET k"))
}

// pipeline sends commands in one write; the lines are parted by |.
func pipeline(t testing.TB, c wireClient, lines string) {
	t.Helper()
	_, err := c.raw.Write([]byte(strings.ReplaceAll(lines, "|", "\r\n") + "\r\n"))
	require.NoError(t, err)
}

func blocks(t testing.TB, s *server.Server, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Router().Blocked() == n }, 20*time.Second, time.Millisecond)
}

func TestNoWritesWithoutReplicas(t *testing.T) {
	s := testserver.Start(t)
	require.NoError(t, s.SetRole(router.RoleLeader))
	c := dial(t, s)
	require.Equal(t, "OK", said(t, c, "SET k v"))
	s.Router().SetNoReplicas(true)
	for _, step := range []struct{ line, want string }{
		{"SET k w", noReplicasReply},
		{"GET k", `"v"`},
		{"BLPOP q 0", noReplicasReply},
		{"MULTI", "OK"},
		{"GET k", "QUEUED"},
		{"EXEC", `1) "v"`},
		{"MULTI", "OK"},
		{"SET k w", noReplicasReply},
		{"EXEC", "(error) EXECABORT Transaction discarded because of previous errors."},
	} {
		require.Equal(t, step.want, said(t, c, step.line), step.line)
	}
	s.Router().SetNoReplicas(false)
	said(t, c, "MULTI")
	said(t, c, "SET k w")
	s.Router().SetNoReplicas(true)
	require.Equal(t, "(error) EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write.", said(t, c, "EXEC"))
	s.Router().SetNoReplicas(false)
	require.Equal(t, `"v"`, said(t, c, "GET k"))
}

// Writes wait while leadership is handed over, readers do not; then they are looked at
// anew. What was in line already does not run either.
func TestWritesAreHeld(t *testing.T) {
	rec := new(testserver.Recorder)
	s := testserver.StartWith(t, server.Options{Sink: rec}, "--follower-mode", "readonly", "--rmw-always-queue", "yes")
	require.NoError(t, s.SetRole(router.RoleLeader))
	reader := dial(t, s)
	require.Equal(t, "OK", said(t, reader, "SET k v"))
	for _, step := range []struct {
		line, leads, follows string
		before               []string
	}{
		{"SET k w", "OK", readonlyReply, nil},
		{"INCR n", "(integer) 1", readonlyReply, nil},
		{"FLUSHALL", "OK", readonlyReply, nil},
		{"EXEC", "1) (integer) 2", "(error) EXECABORT Transaction discarded because of: " + strings.TrimPrefix(readonlyReply, "(error) "), []string{"SET n 1", "MULTI", "INCR n"}},
	} {
		for _, then := range []router.Role{router.RoleLeader, router.RoleFollower} {
			c := dial(t, s)
			said(t, c, "DEL n")
			for _, line := range step.before {
				said(t, c, line)
			}
			rec.Take()
			release := s.Router().HoldWrites()
			require.NoError(t, c.Send(strings.Fields(step.line)...))
			require.Eventually(t, func() bool {
				return strings.Contains(said(t, reader, "CLIENT LIST"), "flags=b") || strings.Contains(said(t, reader, "CLIENT LIST"), "flags=xb")
			}, 20*time.Second, time.Millisecond)
			require.Equal(t, "(integer) 0", said(t, reader, "EXISTS none"))
			require.Empty(t, rec.Take())
			require.NoError(t, s.SetRole(then))
			s.Router().SetStandby(router.Standby{Fresh: func() bool { return true }})
			release()
			v, err := c.Receive(false)
			require.NoError(t, err)
			want := step.leads
			if then == router.RoleFollower {
				want = step.follows
				require.Empty(t, rec.Take())
			}
			require.Equal(t, want, v.String(), step.line)
			require.NoError(t, s.SetRole(router.RoleLeader))
		}
	}
}

// Who could believe that this node still leads is let go: those with something kept
// here always, the others unless the new leader serves them.
func TestClientsAreDropped(t *testing.T) {
	for _, keep := range []bool{true, false} {
		s := testserver.Start(t, "--follower-mode", "readonly")
		require.NoError(t, s.SetRole(router.RoleLeader))
		plain := dial(t, s)
		said(t, plain, "PING")
		said(t, plain, "SELECT 3")
		listener := dial(t, s)
		require.NoError(t, listener.Send("SUBSCRIBE", "+switch-master"))
		_, err := listener.Receive(true)
		require.NoError(t, err)
		var gone []wireClient
		for _, lines := range []string{"MULTI", "WATCH k", "HELLO 3|CLIENT TRACKING ON", "SUBSCRIBE c", "PSUBSCRIBE c", "SSUBSCRIBE c", "MONITOR"} {
			c := dial(t, s)
			for line := range strings.SplitSeq(lines, "|") {
				require.NoError(t, c.Send(strings.Fields(line)...))
				_, err := c.Receive(true)
				require.NoError(t, err)
			}
			gone = append(gone, c)
		}
		blocked := dial(t, s)
		require.NoError(t, blocked.Send("BLPOP", "q", "0"))
		blocks(t, s, 1)
		follow(t, s, router.Standby{Fresh: func() bool { return true }})
		s.Router().DropClients("not the leader any more", keep)
		for _, c := range gone {
			var err error
			for err == nil { // MONITOR has shown it what the others did
				_, err = c.Receive(true)
			}
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is not closed")
		}
		v, err := blocked.Receive(false)
		require.NoError(t, err)
		require.Equal(t, forcedReply, v.String())
		closed(t, blocked)
		if !keep {
			closed(t, plain)
			closed(t, listener)
			continue
		}
		require.Equal(t, "PONG", said(t, plain, "PING"))
		require.NoError(t, listener.Send("PING"))
		v, err = listener.Receive(true)
		require.NoError(t, err)
		require.Equal(t, "1) \"pong\"\n2) \"\"", v.String())
	}
}
