package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/proxy"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/server"
)

const (
	cutOffReply  = "(error) INDOUBT the link to the leader broke: whether the last commands of this connection ran is not known"
	deposedReply = "(error) INDOUBT this node does not lead any more: whether the last writes of this connection will last is not known"
)

// A puppet is a leader that answers as it is told, and remembers what it was sent.
type puppet struct {
	answers []string // one for each command, "close" ends the connection
	mu      sync.Mutex
	got     []string
	nc      net.Conn
	wait    sync.WaitGroup
}

func (p *puppet) serve(nc net.Conn) {
	defer nc.Close()
	p.mu.Lock()
	p.nc = nc
	p.mu.Unlock()
	in := bufio.NewReader(nc)
	for {
		words, err := readCommand(in)
		if err != nil {
			return
		}
		line := strings.Join(words, " ")
		if line == "CLIENT ID" {
			_, _ = nc.Write([]byte(":7\r\n"))
			continue
		}
		p.mu.Lock()
		p.got = append(p.got, line)
		answer := "close"
		if len(p.answers) > 0 {
			answer, p.answers = p.answers[0], p.answers[1:]
		}
		p.mu.Unlock()
		text, end := strings.CutSuffix(answer, "close")
		if _, err := nc.Write([]byte(text)); err != nil || end {
			return
		}
	}
}

func (p *puppet) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.nc.Close()
}

func (p *puppet) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

func readCommand(in *bufio.Reader) ([]string, error) {
	n := 0
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscanf(line, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size := 0
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		if _, err := fmt.Sscanf(line, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		for at := 0; at < len(b); {
			k, err := in.Read(b[at:])
			if err != nil {
				return nil, err
			}
			at += k
		}
		words[i] = string(b[:size])
	}
	return words, nil
}

// puppets are a follower that passes on to one puppet after the other.
func puppets(t testing.TB, wait time.Duration, all ...*puppet) (*server.Server, *proxy.Proxy) {
	t.Helper()
	s := testserver.Start(t)
	var mu sync.Mutex
	rest := all
	p := proxy.New(proxy.Options{Wait: wait, Dial: func(context.Context, []byte) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(rest) == 0 {
			return nil, errors.New("nobody leads")
		}
		here, there, err := connection()
		if err != nil {
			return nil, err
		}
		x := rest[0]
		rest = rest[1:]
		x.wait.Go(func() { x.serve(there) })
		return here, nil
	}})
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		for _, x := range all {
			x.wait.Wait()
		}
	})
	follow(t, s, router.Standby{Forward: p})
	return s, p
}

// What is answered when the leader goes, by what it had been sent and had answered; and
// what the next leader is sent.
func TestTheLeaderGoes(t *testing.T) {
	const down = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\nclose"
	for _, c := range []struct {
		name          string
		sends         string   // in one write
		first, second []string // answers of the leaders
		replies       []string // closes at the end if the last is "closed"
		again         string   // what the second was sent
	}{
		{"after a write was sent", "INCR a", []string{"close"}, nil, []string{cutOffReply, "closed"}, ""},
		{"after a read was sent", "GET a", []string{"close"}, nil, []string{cutOffReply, "closed"}, ""},
		{"in the middle of a run", "SET a 1|INCR a|INCR a", []string{"+OK\r\n", "close"}, nil, []string{"OK", cutOffReply, "closed"}, ""},
		{"in the middle of a reply", "GET a", []string{"$5\r\nabclose"}, nil, []string{"closed"}, ""},
		{"after the last reply", "INCR a", []string{":1\r\nclose"}, nil, []string{"(integer) 1"}, ""},
		{"having refused", "INCR a|INCR b", []string{down}, []string{":1\r\n", ":2\r\n"}, []string{"(integer) 1", "(integer) 2"}, "INCR a|INCR b"},
		{"having refused in a run", "INCR a|INCR b|PING|INCR c", []string{":1\r\n", down}, []string{":2\r\n", ":3\r\n"},
			[]string{"(integer) 1", "(integer) 2", "PONG", "(integer) 3"}, "INCR b|INCR c"},
		{"loading", "INCR a", []string{"-LOADING Redis is loading the dataset in memory\r\nclose"}, []string{":1\r\n"}, []string{"(integer) 1"}, "INCR a"},
		{"having refused what MULTI began", "MULTI|INCR a|EXEC", []string{"+OK\r\n", down}, nil, []string{"OK", "closed"}, ""},
		{"having refused MULTI", "MULTI|INCR a|EXEC", []string{down}, []string{"+OK\r\n", "+QUEUED\r\n", "*1\r\n:1\r\n"},
			[]string{"OK", "QUEUED", "1) (integer) 1"}, "MULTI|INCR a|EXEC"},
		{"in EXEC", "MULTI|INCR a|EXEC", []string{"+OK\r\n", "+QUEUED\r\n", "close"}, nil, []string{"OK", "QUEUED", cutOffReply, "closed"}, ""},
		{"in doubt itself", "INCR a|INCR b", []string{"-INDOUBT x\r\nclose"}, nil, []string{"(error) INDOUBT x", "closed"}, ""},
		{"an error that only begins so", "GET a", []string{"$10\r\nMASTERDOWN\r\n"}, nil, []string{`"MASTERDOWN"`}, ""},
		{"not RESP", "GET a", []string{"hello\r\n"}, nil, []string{cutOffReply, "closed"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, two := &puppet{answers: c.first}, &puppet{answers: c.second}
			s, _ := puppets(t, time.Minute, one, two)
			conn := dial(t, s)
			pipeline(t, conn, c.sends)
			for _, want := range c.replies {
				if want == "closed" {
					closed(t, conn)
					break
				}
				v, err := conn.Receive(false)
				require.NoError(t, err)
				require.Equal(t, want, v.String())
			}
			require.Equal(t, c.again, strings.Join(two.sent(), "|"))
		})
	}
}

// A connection that broke while nothing was asked is replaced; what was kept there is
// lost, and its client with it.
func TestTheLeaderGoesWhileNothingIsAsked(t *testing.T) {
	for _, c := range []struct {
		sends   string
		answers []string
		lost    bool
	}{
		{"GET a", []string{"$-1\r\n"}, false},
		{"WATCH a", []string{"+OK\r\n"}, true},
		{"WATCH a|UNWATCH", []string{"+OK\r\n", "+OK\r\n"}, false},
		{"MULTI", []string{"+OK\r\n"}, true},
		{"MULTI|DISCARD", []string{"+OK\r\n", "+OK\r\n"}, false},
		{"MULTI", []string{"-ERR no\r\n"}, false},
		{"SUBSCRIBE c", []string{"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"}, true},
		{"SUBSCRIBE c|UNSUBSCRIBE", []string{"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"}, false},
		{"CLIENT TRACKING ON", []string{"+OK\r\n"}, true},
		{"CLIENT TRACKING OFF", []string{"+OK\r\n"}, false},
	} {
		one, two := &puppet{answers: c.answers}, &puppet{answers: []string{"$1\r\nx\r\n"}}
		s, px := puppets(t, time.Minute, one, two)
		conn := dial(t, s)
		pipeline(t, conn, c.sends)
		for range c.answers {
			_, err := conn.Receive(true)
			require.NoError(t, err, c.sends)
		}
		one.hangUp()
		require.Eventually(t, func() bool { return px.Counters().Links == 0 }, 20*time.Second, time.Millisecond)
		if c.lost {
			closed(t, conn)
			continue
		}
		require.Equal(t, `"x"`, said(t, conn, "GET a"), c.sends)
	}
}

// Without a leader a command waits for one, and only so long.
func TestNobodyLeads(t *testing.T) {
	s, px := puppets(t, time.Millisecond)
	conn := dial(t, s)
	pipeline(t, conn, "SET a 1|INCR a|PING|GET a")
	for _, want := range []string{masterDownReply, masterDownReply, "PONG", masterDownReply} {
		v, err := conn.Receive(false)
		require.NoError(t, err)
		require.Equal(t, want, v.String())
	}
	require.NotZero(t, px.Counters().Failed)

	p := newPair(t, proxy.Options{})
	c := dial(t, p.follower)
	require.NoError(t, c.Send("INCR", "n"))
	waits(t, p.follower, 1)
	leader := testserver.Start(t)
	require.NoError(t, leader.SetRole(router.RoleLeader))
	p.lead(leader, 1)
	v, err := c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, "(integer) 1", v.String())

	// What waits when this node becomes the leader runs here.
	p.lead(nil, 0)
	p.cut()
	require.Eventually(t, func() bool { return p.proxy.Counters().Links == 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, c.Send("INCR", "here"))
	waits(t, p.follower, 1)
	require.NoError(t, p.follower.SetRole(router.RoleLeader))
	v, err = c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, "(integer) 1", v.String())
	require.Equal(t, int64(1), p.follower.Keyspace().Len(0))

	// And who leaves is not waited for.
	require.NoError(t, p.follower.SetRole(router.RoleFollower))
	require.NoError(t, c.Send("INCR", "here"))
	waits(t, p.follower, 1)
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return p.follower.Router().ClientCount() == 0 }, 20*time.Second, time.Millisecond)
}

// waits waits until so many clients wait for something.
func waits(t testing.TB, s *server.Server, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		blocked := 0
		s.Router().EachClient(func(c *command.Client) bool {
			if c.Has(command.ClientBlocked) {
				blocked++
			}
			return true
		})
		return blocked == n
	}, 20*time.Second, time.Millisecond)
}

// A planned hand-over does not fail a request: plain connections live on, at the node
// that has led and at those that followed it.
func TestHandOver(t *testing.T) {
	a, b := newPair(t, proxy.Options{}), newPair(t, proxy.Options{})
	third := newPair(t, proxy.Options{})
	lead := func(leads, follows *pair, epoch uint64) {
		require.NoError(t, leads.follower.SetRole(router.RoleLeader))
		for _, p := range []*pair{follows, third} {
			p.lead(leads.follower, epoch)
		}
	}
	lead(a, b, 1)
	const clients = 4
	done := make(chan struct{})
	counts := make([]int, clients)
	var wait sync.WaitGroup
	faults := make(chan error, clients)
	for i := range clients {
		c := dial(t, []*pair{a, b, third, third}[i].follower)
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v, err := c.Do("INCR", fmt.Sprintf("n%d", i))
				if err != nil || v.Kind != ':' {
					faults <- fmt.Errorf("client %d: %v %w", i, v, err)
					return
				}
				counts[i]++
			}
		})
	}
	moved := [2]*pair{a, b}
	for round := range 10 {
		from, to := moved[round%2], moved[(round+1)%2]
		release := from.follower.Router().HoldWrites()
		require.NoError(t, from.follower.SetRole(router.RoleFollower))
		from.follower.Router().DropClients("handed over", true)
		lead(to, from, uint64(round+2))
		release()
		c := dial(t, third.follower)
		for range 20 {
			require.Contains(t, said(t, c, "INCR other"), "(integer)")
		}
		require.NoError(t, c.Close())
	}
	close(done)
	wait.Wait()
	select {
	case err := <-faults:
		t.Fatal(err)
	default:
	}
	for i, n := range counts { // the two have no data in common: each INCR ran on one of them, once
		sum := 0
		for _, p := range moved {
			require.NoError(t, p.follower.SetRole(router.RoleLeader))
			v, err := dial(t, p.follower).Do("GET", fmt.Sprintf("n%d", i))
			require.NoError(t, err)
			k := 0
			_, _ = fmt.Sscan(v.Str, &k)
			sum += k
		}
		require.Equal(t, n, sum, "client %d", i)
		require.NotZero(t, n)
	}
}

// What blocks at the leader blocks; who leaves takes nothing.
func TestBlockingThroughAFollower(t *testing.T) {
	p, leader := led(t, proxy.Options{})
	c, other, gone := dial(t, p.follower), dial(t, p.follower), dial(t, p.follower)
	require.NoError(t, gone.Send("BLPOP", "q", "0"))
	blocks(t, leader, 1)
	require.NoError(t, c.Send("BLPOP", "q", "0"))
	blocks(t, leader, 2)
	require.NoError(t, gone.Close())
	blocks(t, leader, 1)
	require.Equal(t, "(integer) 1", said(t, other, "RPUSH q x"))
	v, err := c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, "1) \"q\"\n2) \"x\"", v.String())

	require.NoError(t, c.Send("BLPOP", "q", "0"))
	blocks(t, leader, 1)
	require.NoError(t, leader.SetRole(router.RoleFollower))
	leader.Router().DropClients("deposed", false)
	v, err = c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, forcedReply, v.String())
}

// Leaders that hang are given up once another leads.
func TestAFormerLeaderThatHangs(t *testing.T) {
	p := newPair(t, proxy.Options{Grace: time.Millisecond})
	leader := testserver.Start(t)
	require.NoError(t, leader.SetRole(router.RoleLeader))
	p.lead(leader, 1)
	c, listener, idle := dial(t, p.follower), dial(t, p.follower), dial(t, p.follower)
	require.Equal(t, "(nil)", said(t, idle, "GET a"))
	require.NoError(t, listener.Send("SUBSCRIBE", "c"))
	_, err := listener.Receive(true)
	require.NoError(t, err)
	require.NoError(t, c.Send("BLPOP", "q", "0")) // it hangs, as far as anybody can tell
	blocks(t, leader, 1)
	next := testserver.Start(t)
	require.NoError(t, next.SetRole(router.RoleLeader))
	require.Equal(t, "OK", said(t, dial(t, next), "SET a next"))
	p.lead(next, 2)
	v, err := c.Receive(false)
	require.NoError(t, err)
	require.Equal(t, cutOffReply, v.String())
	closed(t, c)
	closed(t, listener)
	require.Equal(t, `"next"`, said(t, idle, "GET a"))
}
