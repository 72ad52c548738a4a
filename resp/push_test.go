package resp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func message(s string) []byte { return fmt.Appendf(nil, ">1\r\n$%d\r\n%s\r\n", len(s), s) }

func onlyConn(t testing.TB, s *Server) *Conn {
	t.Helper()
	var c *Conn
	eventually(t, "there is a connection", func() bool {
		for c = range s.Conns() {
			return true
		}
		return false
	})
	return c
}

func TestPushToIdleClient(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	conn := onlyConn(t, s)
	for i := range 100 {
		m := message(fmt.Sprint(i))
		require.True(t, conn.Push(m))
		c.expect(string(m))
	}
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	require.Zero(t, conn.Stats().PendingBytes)
}

// A push made by a command comes after that command's reply and, since the
// handler asks for pushes between commands, before the next one's.
func TestPushWithinABatch(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	c.send("PUSH a\r\nPING\r\nPUSH b\r\n")
	c.expect("+OK\r\n>1\r\n$1\r\na\r\n+PONG\r\n+OK\r\n>1\r\n$1\r\nb\r\n")
}

// A push is not lost at whatever moment between serving and waiting it comes.
func TestPushAtAnyMoment(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	for i := range 3000 {
		m := fmt.Sprint(i)
		c.send("LATER " + m + "\r\n")
		c.expect("+OK\r\n" + string(message(m)))
	}
}

// A push made while a command runs comes after that command's reply, also when
// the outbox's goroutine is told to write meanwhile.
func TestPushWaitsForTheReply(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	conn := onlyConn(t, s)
	require.True(t, conn.Push(message("first")))
	c.expect(string(message("first")))
	c.send("WAIT\r\n")
	<-d.parked
	require.True(t, conn.Push(message("second")))
	conn.outbox().mu.Lock()
	conn.outbox().signal(conn)
	conn.outbox().mu.Unlock()
	eventually(t, "the signal is taken", func() bool { return len(conn.outbox().wake) == 0 })
	d.release <- struct{}{}
	c.expect("+OK\r\n" + string(message("second")))
}

// A parked connection sends pushes at once, but not while what it is parked in has
// looked at what it will answer.
func TestPushesAreHeldBackWhileParked(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	conn := onlyConn(t, s)
	push := func(m string) {
		require.True(t, conn.Push(message(m)))
		conn.outbox().mu.Lock()
		conn.outbox().signal(conn)
		conn.outbox().mu.Unlock()
		eventually(t, "the signal is taken", func() bool { return len(conn.outbox().wake) == 0 })
	}
	c.send("PARK a\r\n")
	<-d.parked
	push("at once")
	c.expect(string(message("at once")))
	conn.HoldPushes()
	push("held")
	conn.ReleasePushes() // it parks again
	c.expect(string(message("held")))
	conn.HoldPushes()
	push("behind the reply")
	d.release <- struct{}{}
	c.expect("+a released\r\n" + string(message("behind the reply")))
	push("when all is over")
	c.expect(string(message("when all is over")))
}

// Replies wait while the outbox's goroutine is in the middle of a message.
func TestReplyWaitsForThePush(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	conn := onlyConn(t, s)
	require.True(t, conn.Push(message("first")))
	c.expect(string(message("first")))
	for range 20 {
		c.send("WAIT\r\n")
		<-d.parked
		conn.outbox().mu.Lock() // the test takes the part of that goroutine
		for conn.outbox().writing {
			conn.outbox().ready.Wait() // it has sent "first", and has yet to say so
		}
		conn.outbox().writing = true
		conn.outbox().mu.Unlock()
		m := string(message("in two pieces"))
		require.NoError(t, conn.send([]byte(m[:7])))
		d.release <- struct{}{}
		for range 100 {
			runtime.Gosched() // the reply's chance to come in between
		}
		require.NoError(t, conn.send([]byte(m[7:])))
		conn.outbox().wrote(conn, 0, nil)
		c.expect(m + "+OK\r\n")
	}
}

func TestPushBeforeParking(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PUSHPARK PARK a\r\n")
	<-d.parked
	c.expect(string(message("pushed")))
	d.release <- struct{}{}
	c.expect("+a released\r\n")
}

// Pushes from several goroutines, and replies, at the same time: all arrive
// whole, each pusher's in order.
func TestPushesAndRepliesDoNotMix(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	conn := onlyConn(t, s)
	const pushers, each = 4, 500
	var wg sync.WaitGroup
	for p := range pushers {
		wg.Go(func() {
			for i := range each {
				conn.Push(message(fmt.Sprintf("%d:%d", p, i)))
			}
		})
	}
	wg.Go(func() {
		for range each {
			c.send("BIG 3000\r\nPING\r\n")
		}
	})
	var last [pushers]int
	replies, pushes := 0, 0
	for replies < 2*each || pushes < pushers*each {
		line := readLine(t, c)
		switch {
		case line == "+PONG":
			replies++
		case line == "$3000":
			b := make([]byte, 3002)
			_, err := io.ReadFull(c.r, b)
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("x", 3000)+"\r\n", string(b))
			replies++
		case line == ">1":
			readLine(t, c)
			var p, i int
			_, err := fmt.Sscanf(readLine(t, c), "%d:%d", &p, &i)
			require.NoError(t, err)
			require.Equal(t, last[p], i)
			last[p]++
			pushes++
		default:
			t.Fatalf("%q in the middle of something", line)
		}
	}
	wg.Wait()
}

func readLine(t testing.TB, c *client) string {
	t.Helper()
	line, err := c.r.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(line, "\r\n")
}

func TestStuckSubscriberIsCutOff(t *testing.T) {
	l := NewLimits()
	l.PubSub.Hard.Store(1 << 20)
	s, addr := startServer(t, newDemo(), l)
	stuck, other := dial(t, addr), dial(t, addr)
	var conns []*Conn
	// Totals counts a connection before its Open has returned, Conns after.
	eventually(t, "both are in", func() bool {
		conns = slices.Collect(s.Conns())
		return len(conns) == 2
	})
	if conns[0].RemoteAddr() != stuck.LocalAddr().String() {
		conns[0], conns[1] = conns[1], conns[0]
	}
	m := message(strings.Repeat("x", 10000))
	n := 0
	for ; conns[0].Push(m); n++ { // never waits
		require.Less(t, conns[0].Stats().PendingBytes, 2<<20)
		require.True(t, conns[1].Push(message(fmt.Sprint(n))))
		other.expect(string(message(fmt.Sprint(n))))
	}
	require.Greater(t, n, 100)
	require.False(t, conns[0].Push(m))
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 1 })
	require.EqualValues(t, 1, s.Totals().OutputLimitDisconnect)
}

func TestSoftLimit(t *testing.T) {
	l := NewLimits()
	l.PubSub.Soft.Store(1)
	l.PubSub.SoftFor.Store(int64(time.Hour))
	s, addr := startServer(t, newDemo(), l)
	dial(t, addr)
	conn := onlyConn(t, s)
	eventually(t, "the socket is full", func() bool {
		conn.Push(bytes.Repeat([]byte("x"), 1<<20))
		return conn.Stats().PendingBytes > 4<<20
	})
	s.tick()
	require.Equal(t, int64(1), s.overSoft.Load())
	require.False(t, conn.Closing())
	l.PubSub.SoftFor.Store(1)
	s.tick()
	require.True(t, conn.Closing())
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
	require.Zero(t, s.overSoft.Load())
}

func TestExceeded(t *testing.T) {
	var o OutputLimit
	at := func(t int64) func() int64 { return func() int64 { return t } }
	check := func(pending, since, now int64, wantOver bool, wantSince int64) {
		t.Helper()
		over, got := o.exceeded(pending, since, at(now))
		require.Equal(t, wantOver, over)
		require.Equal(t, wantSince, got)
	}
	check(1<<40, 0, 5, false, 0) // no limit
	o.Hard.Store(100)
	check(100, 0, 5, false, 0)
	check(101, 0, 5, true, 0)
	o.Soft.Store(50)
	o.SoftFor.Store(10)
	check(50, 3, 5, false, 0)
	check(51, 0, 0, false, 1)
	check(51, 0, 5, false, 5)
	check(51, 5, 15, false, 5)
	check(51, 5, 16, true, 5)
}

func TestPark(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PING\r\nPARK a\r\nPING\r\n")
	conn := <-d.parked
	c.expect("+PONG\r\n") // what is owed comes before the wait
	require.True(t, conn.Stats().Parked)
	require.True(t, conn.Push(message("while parked")))
	c.expect(string(message("while parked")))
	c.send("*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n")
	eventually(t, "the watch has read it", func() bool { return conn.Stats().QueryLen >= 23 })
	d.release <- struct{}{}
	c.expect("+a released\r\n+PONG\r\n$3\r\nabc\r\n")
	require.EqualValues(t, 1, s.Totals().Clients)
}

// Parking again and again, with the watch at any point of its life.
func TestParkOften(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	go func() {
		for i := range 300 {
			<-d.parked
			time.Sleep(time.Duration(i%7) * watchAfter / 4)
			d.release <- struct{}{}
		}
	}()
	for i := range 100 {
		name := fmt.Sprint(i)
		c.send(strings.Repeat("PARK "+name+"\r\n", 3) + "PING\r\n")
		c.expect(strings.Repeat("+"+name+" released\r\n", 3) + "+PONG\r\n")
	}
}

func TestParkedPeerLeaves(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARK a\r\nPARK b\r\n")
	conn := <-d.parked
	require.NoError(t, c.Close())
	<-conn.Gone()
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
	require.Empty(t, d.parked, "what follows is not run")
}

func TestPeerLeavesAtTheSecondPark(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARK a\r\n")
	<-d.parked
	d.release <- struct{}{}
	c.expect("+a released\r\n")
	c.send("PARK b\r\n")
	conn := <-d.parked
	require.NoError(t, c.Close())
	select {
	case <-conn.Gone():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody watches")
	}
}

func TestParkedIsKilled(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARK a\r\n")
	(<-d.parked).Kill("test")
	c.expectEOF()
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
}

func TestPanicWhileParked(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARKPANIC\r\n")
	conn := <-d.parked
	c.send("PING\r\n")
	eventually(t, "the watch is at work", func() bool { return conn.Stats().QueryLen >= len("PING\r\n") })
	d.release <- struct{}{}
	c.expectEOF()
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
	require.EqualValues(t, 1, d.closed.Load())
}

// Arguments of the batch that runs stay where they are while the watch reads
// more than the buffer has room for.
func TestParkKeepsTheBatch(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARK a\r\n" + encode([]string{"ECHO", "the rest of the batch"}))
	conn := <-d.parked
	const n = 300000
	tail := encode([]string{"ECHO", strings.Repeat("y", n)})
	c.send(tail)
	eventually(t, "the watch has read it", func() bool { return conn.Stats().QueryLen >= len(tail) })
	d.release <- struct{}{}
	c.expect("+a released\r\n$21\r\nthe rest of the batch\r\n$300000\r\n")
	c.expect(strings.Repeat("y", n) + "\r\n")
}

// Before a park, what a slow client does not take is left for later.
func TestParkDoesNotWaitForASlowClient(t *testing.T) {
	d := newDemo()
	l := NewLimits()
	l.ReplyChunk.Store(64 << 20)
	_, addr := startServer(t, d, l)
	c := dial(t, addr)
	const n = 30 << 20
	c.send(fmt.Sprintf("BIG %d\r\nPARK a\r\n", n))
	conn := <-d.parked
	require.Positive(t, conn.Stats().PendingBytes)
	d.release <- struct{}{}
	c.expect(fmt.Sprintf("$%d\r\n", n))
	_, err := io.CopyN(io.Discard, c.r, n)
	require.NoError(t, err)
	c.expect("\r\n+a released\r\n")
}

// BenchmarkPark is what a call pays that has to stand in line for a moment.
func BenchmarkPark(b *testing.B) {
	s, addr := startServer(b, newDemo(), nil)
	nc, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer nc.Close()
	c := newConn(s, 1<<40, nc)
	b.ReportAllocs()
	for b.Loop() {
		c.BeforePark()
		c.AfterPark()
	}
}
