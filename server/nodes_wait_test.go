package server_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// leading is a server that leads two followers, which have nothing yet.
func leading(t *testing.T) (*server.Server, *pretender, node) {
	p := asLeader()
	p.part.Followers = []command.Follower{{Name: "n2", State: command.Online}, {Name: "n3", State: command.Online}}
	s := startAs(t, p, "--appendonly", "yes")
	return s, p, dialNode(t, s.Addr())
}

// end is where the log ends.
func (a node) end() uint64 {
	n, err := strconv.ParseUint(a.info("persistence", "log_position"), 10, 64)
	require.NoError(a.t, err)
	return n
}

// numbers calls and joins the integers of the reply.
func (a node) numbers(line string) string {
	all := a.all(line)
	if len(all) == 3 {
		return all[0] + " " + all[1]
	}
	return all[0]
}

// parked runs a call and returns when it is blocked, with where its reply will be.
func parked(t *testing.T, s *server.Server, c node, line string) <-chan string {
	t.Helper()
	reply := make(chan string, 1)
	go func() { reply <- c.numbers(line) }()
	look := dialNode(t, s.Addr())
	eventually(t, line+" parks", func() bool { return look.info("clients", "blocked_clients") == "1" })
	return reply
}

func receive(t *testing.T, reply <-chan string) string {
	t.Helper()
	select {
	case r := <-reply:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no reply")
		return ""
	}
}

// WAIT counts who has applied what the client wrote, WAITAOF who has it on disk.
func TestWaitCountsFollowers(t *testing.T) {
	_, p, c := leading(t)
	c.do("SET k 1")
	end := c.end()
	for _, x := range []struct {
		second        command.Follower
		wait, waitAOF string
	}{
		{command.Follower{State: command.Online, Received: end, Applied: end - 1, Durable: end - 1}, "1", "1 1"},
		{command.Follower{State: command.Online, Received: end, Applied: end, Durable: end - 1}, "2", "1 1"},
		{command.Follower{State: command.Online, Received: end, Applied: end - 1, Durable: end}, "1", "1 2"},
		{command.Follower{State: command.Online, Received: end, Applied: end, Durable: end}, "2", "1 2"},
		{command.Follower{State: "send_bulk", Received: end, Applied: end, Durable: end}, "1", "1 1"},
	} {
		p.set(func(part *command.Replication) {
			part.Followers = []command.Follower{{State: command.Online, Applied: end + 1, Durable: end + 1}, x.second}
		})
		require.Equal(t, x.wait, c.numbers("WAIT 2 5"), "%+v", x.second)
		require.Equal(t, x.waitAOF, c.numbers("WAITAOF 1 2 5"), "%+v", x.second)
		other := dialNode(t, "127.0.0.1:"+c.info("server", "tcp_port"))
		require.NotEqual(t, "0", other.numbers("WAIT 1 0"), "who has written nothing waits for nothing")
	}
}

// Who waits sleeps, and is woken by the acknowledgement that was missing.
func TestWaitIsWokenByAcknowledgements(t *testing.T) {
	s, p, c := leading(t)
	c.do("SET k 1")
	end := c.end()
	ack := func(i int) {
		p.set(func(part *command.Replication) { part.Followers[i].Applied, part.Followers[i].Durable = end, end })
		s.FollowersMoved()
	}
	for _, x := range []struct{ line, reply string }{{"WAIT 2 0", "2"}, {"WAITAOF 1 2 0", "1 2"}, {"WAIT 2 100000", "2"}} {
		p.set(func(part *command.Replication) {
			clear(part.Followers)
			part.Followers[0].State, part.Followers[1].State = command.Online, command.Online
		})
		reply := parked(t, s, c, x.line)
		ack(0)
		select {
		case r := <-reply:
			t.Fatalf("%s: %s after the first of two", x.line, r)
		default:
		}
		ack(1)
		require.Equal(t, x.reply, receive(t, reply), x.line)
	}
}

// An acknowledgement that comes just after WAIT has looked is not missed.
func TestWaitMissesNoAcknowledgement(t *testing.T) {
	s, p, c := leading(t)
	c.do("SET k 1")
	looks := 0
	p.mu.Lock()
	p.looked = func() {
		if looks++; looks == 2 { // before the first it has not begun to count
			p.set(func(part *command.Replication) { part.Followers[0].Applied = 1 << 60 })
			s.FollowersMoved()
		}
	}
	p.mu.Unlock()
	require.Equal(t, "1", c.numbers("WAIT 1 0"))
	require.Equal(t, 3, looks)
}

// What ends a wait otherwise: another role, the client's leaving, CLIENT UNBLOCK,
// the server's end.
func TestWaitEndsOtherwise(t *testing.T) {
	t.Run("the node ceases to lead", func(t *testing.T) {
		s, p, c := leading(t)
		c.do("SET k 1")
		reply := parked(t, s, c, "WAIT 1 0")
		p.set(func(part *command.Replication) { part.Leader = false })
		s.FollowersMoved()
		require.Equal(t, string(command.ErrRoleChanged), receive(t, reply))
	})
	t.Run("it has lost the lead and won it again", func(t *testing.T) {
		s, p, c := leading(t)
		c.do("SET k 1")
		reply := parked(t, s, c, "WAITAOF 1 1 0")
		p.set(func(part *command.Replication) { part.Epoch++ })
		s.FollowersMoved()
		require.Equal(t, string(command.ErrRoleChanged), receive(t, reply))
	})
	t.Run("the client leaves", func(t *testing.T) {
		s, _, c := leading(t)
		conn := testserver.Dial(t, s)
		gone := transcript.NewClient(conn, time.Minute)
		_, err := gone.Do("SET", "k", "1")
		require.NoError(t, err)
		require.NoError(t, gone.Send("WAIT", "1", "0"))
		eventually(t, "it parks", func() bool { return c.info("clients", "blocked_clients") == "1" })
		require.NoError(t, conn.Close())
		eventually(t, "it is gone", func() bool { return c.info("clients", "blocked_clients") == "0" })
	})
	t.Run("CLIENT UNBLOCK", func(t *testing.T) {
		s, _, c := leading(t)
		c.do("SET k 1")
		id := c.do("CLIENT ID")
		reply := parked(t, s, c, "WAIT 1 0")
		require.Equal(t, "1", dialNode(t, s.Addr()).do("CLIENT UNBLOCK "+id))
		require.Equal(t, "0", receive(t, reply))
	})
	t.Run("time runs out", func(t *testing.T) {
		_, _, c := leading(t)
		c.do("SET k 1")
		require.Equal(t, "0", c.numbers("WAIT 1 20"))
	})
}

// A replica by PSYNC counts beside the followers, and is shown as far behind the
// log's end as it is behind its stream's.
func TestWaitCountsBothKinds(t *testing.T) {
	s, p, c := leading(t)
	replica := replicaOf(t, s)
	eventually(t, "it follows", func() bool { return replica.info("replication", "master_link_status") == "up" })
	require.Equal(t, c.info("replication", "master_replid"), replica.info("replication", "master_replid"))
	c.do("SET k 1")
	end := c.end()
	p.set(func(part *command.Replication) {
		part.Followers = []command.Follower{{Name: "n2", Host: "h", Port: 1, State: command.Online, Applied: end, Durable: end}}
		part.End = end
	})
	require.Equal(t, "2", c.numbers("WAIT 2 30000"))
	require.Equal(t, "1 1", c.numbers("WAITAOF 1 1 0"), "what is on its disk a replica does not say")
	require.Equal(t, "2", c.info("replication", "connected_slaves"))
	eventually(t, "it is at the end", func() bool {
		port := replica.info("server", "tcp_port")
		return c.info("replication", "slave1") == fmt.Sprintf("ip=127.0.0.1,port=%s,state=online,offset=%d,lag=0", port, end) ||
			c.info("replication", "slave1") == fmt.Sprintf("ip=127.0.0.1,port=%s,state=online,offset=%d,lag=1", port, end)
	})
}
