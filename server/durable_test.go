package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/router"
)

// slowSink is a log whose disk does what the test says.
type slowSink struct {
	router.NoSink
	mu      sync.Mutex
	changed chan struct{}
	durable uint64
	failed  error
	full    bool
	waiting int // for durability
	held    int // for room
}

func newSlowSink() *slowSink { return &slowSink{changed: make(chan struct{})} }

func (l *slowSink) set(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *slowSink) sync() { l.set(func() { l.durable = l.End() }) }

func (l *slowSink) Durable() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

func (l *slowSink) Room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.full && l.failed == nil
}

func (l *slowSink) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *slowSink) AwaitRoom(gone <-chan struct{}) error {
	return l.await(gone, &l.held, func() bool { return !l.full })
}

func (l *slowSink) AwaitDurable(lsn uint64, gone <-chan struct{}) error {
	return l.await(gone, &l.waiting, func() bool { return l.durable >= lsn })
}

func (l *slowSink) await(gone <-chan struct{}, count *int, done func() bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	*count++
	defer func() { *count-- }()
	for !done() && l.failed == nil {
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-gone:
			l.mu.Lock()
			return errors.New("gone")
		}
		l.mu.Lock()
	}
	return l.failed
}

func (l *slowSink) counts() (waiting, held int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting, l.held
}

// A peer sends without waiting for the answer, unlike do.
type peer struct {
	net.Conn
	r *bufio.Reader
}

func newPeer(t *testing.T, s *Server) *peer {
	c, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &peer{c, bufio.NewReader(c)}
}

func (p *peer) send(t *testing.T, text string) {
	_, err := p.Write([]byte(text))
	require.NoError(t, err)
}

func (p *peer) expect(t *testing.T, lines ...string) {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(10*time.Second)))
	for _, want := range lines {
		got, err := p.r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want+"\r\n", got)
	}
}

// ends waits until the server closes the connection, with nothing before that.
func (p *peer) ends(t *testing.T) {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(10*time.Second)))
	got, err := p.r.ReadString('\n')
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is not closed")
	require.Empty(t, got)
}

func (l *slowSink) awaitCounts(t *testing.T, waiting, held int) {
	t.Helper()
	require.Eventually(t, func() bool {
		w, h := l.counts()
		return w == waiting && h == held
	}, 10*time.Second, time.Millisecond)
}

// Every way to see a write waits until it is durable, and no other key's does.
func TestRepliesWaitForTheLog(t *testing.T) {
	for _, args := range [][]string{{"--shards", "64"}, {"--rmw-always-queue", "yes"}} {
		l := newSlowSink()
		s := open(t, Options{Sink: l}, args...)
		c := dial(t, s)
		other := keyApart(s, "n", "k", "m", "l")
		missing := keyApart(s, "n", "k", "m", "l", other)
		require.Equal(t, "OK", do(t, c, "SET", other, "x"))
		require.Equal(t, "OK", do(t, c, "MSET", "{a}1", "x", "b", "y"))
		l.sync()
		require.NoError(t, s.runner.Exclusive(0, func() { s.router.SetStrict(true) }))
		writers := []*peer{newPeer(t, s), newPeer(t, s), newPeer(t, s)}
		for i, text := range []string{"INCR n\r\n", "MSET k 1 m 2\r\n", "LPUSH l e\r\n"} {
			writers[i].send(t, text)
			l.awaitCounts(t, i+1, 0)
		}
		require.Equal(t, "(nil)", do(t, c, "GET", missing))
		require.Equal(t, `"x"`, do(t, c, "GET", other))
		readers := []struct{ command, reply string }{
			{"GET n", "$1\r\n1"}, {"STRLEN k", ":1"}, {"LRANGE l 0 -1", "*1\r\n$1\r\ne"}, {"EXISTS " + other + " k", ":2"},
			{"SETNX m x", ":0"}, {"DBSIZE", ":7"}, {"MULTI\r\nGET n\r\nEXEC", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1"},
			{"TYPE m", "+string"},
		}
		var peers []*peer
		for i, r := range readers {
			p := newPeer(t, s)
			p.send(t, r.command+"\r\n")
			peers = append(peers, p)
			l.awaitCounts(t, len(writers)+i+1, 0)
		}
		require.Equal(t, `"x"`, do(t, c, "GET", other))
		l.sync()
		for i, want := range []string{":1", "+OK", ":1"} {
			writers[i].expect(t, want)
		}
		for i, r := range readers {
			peers[i].send(t, "ECHO end\r\n")
			got := ""
			for {
				require.NoError(t, peers[i].SetReadDeadline(time.Now().Add(10*time.Second)))
				line, err := peers[i].r.ReadString('\n')
				require.NoError(t, err)
				if line == "end\r\n" {
					break
				}
				got += line
			}
			require.Equal(t, r.reply+"\r\n$3\r\n", got, r.command)
		}
		require.Equal(t, `"1"`, do(t, c, "GET", "n"))
	}
}

// Room is waited for before a write runs, by writers only.
func TestWritersWaitForRoom(t *testing.T) {
	l := newSlowSink()
	s := open(t, Options{Sink: l})
	c := dial(t, s)
	require.Equal(t, "OK", do(t, c, "SET", "k", "1"))
	l.set(func() { l.full = true })
	var peers []*peer
	for i, text := range []string{"INCR k\r\nGET k\r\n", "MULTI\r\nINCR k\r\nEXEC\r\n"} {
		p := newPeer(t, s)
		p.send(t, text)
		peers = append(peers, p)
		l.awaitCounts(t, 0, i+1)
	}
	require.Equal(t, `"1"`, do(t, c, "GET", "k"))
	require.Equal(t, "OK", do(t, c, "MULTI"))
	require.Equal(t, "QUEUED", do(t, c, "GET", "k"))
	require.Contains(t, do(t, c, "EXEC"), `"1"`)
	require.NoError(t, s.runner.Exclusive(0, func() {})) // nothing is held while waiting
	l.set(func() { l.full = false })
	peers[1].expect(t, "+OK", "+QUEUED", "*1")
	_, err := peers[0].r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, `"3"`, do(t, c, "GET", "k"))
}

// After the log has failed, who waits for his write is told so and no more, and
// readers go on.
func TestAFailedLog(t *testing.T) {
	l := newSlowSink()
	s := open(t, Options{Sink: l})
	c := dial(t, s)
	require.NoError(t, s.runner.Exclusive(0, func() { s.router.SetStrict(true) }))
	writer, reader := newPeer(t, s), newPeer(t, s)
	writer.send(t, "GET x\r\nINCR k\r\nGET x\r\n")
	l.awaitCounts(t, 1, 0)
	reader.send(t, "GET k\r\n")
	l.awaitCounts(t, 2, 0)
	l.set(func() { l.failed = command.WireError("MISCONF no disk") })
	writer.expect(t, "-INDOUBT the log has failed: whether the last writes of this connection will last is not known")
	writer.ends(t)
	reader.expect(t, "$1", "1")
	require.Equal(t, `"1"`, do(t, c, "GET", "k"))
	require.Contains(t, do(t, c, "PING"), "MISCONF no disk")
	for i := range 3 {
		require.Contains(t, do(t, c, "SET", fmt.Sprint(i), "1"), "MISCONF no disk")
	}
	require.Equal(t, "(nil)", do(t, c, "GET", "0"))
}

// Somebody who kills a client that waits for the disk is obeyed.
func TestAWaitForTheLogEndsWithItsClient(t *testing.T) {
	l := newSlowSink()
	s := open(t, Options{Sink: l})
	c := dial(t, s)
	l.set(func() { l.full = true })
	p := newPeer(t, s)
	p.send(t, "SET k 1\r\n")
	l.awaitCounts(t, 0, 1)
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return s.wire.Totals().Clients == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "(nil)", do(t, c, "GET", "k"))
}

// A transaction that looks at more than its keys waits for all that it may have seen.
func TestATransactionThatLooksAtAllKeysWaits(t *testing.T) {
	l := newSlowSink()
	s := open(t, Options{Sink: l})
	require.NoError(t, s.runner.Exclusive(0, func() { s.router.SetStrict(true) }))
	writer, reader := newPeer(t, s), newPeer(t, s)
	writer.send(t, "SET k 1\r\n")
	l.awaitCounts(t, 1, 0)
	reader.send(t, "MULTI\r\nGET other\r\nDBSIZE\r\nEXEC\r\n")
	l.awaitCounts(t, 2, 0)
	l.sync()
	reader.expect(t, "+OK", "+QUEUED", "+QUEUED", "*2", "$-1", ":1")
}

// Nothing follows the answer that writes are in doubt: it would be taken for the
// answer to one of them.
func TestNothingFollowsDoubt(t *testing.T) {
	for _, next := range []string{"SAVE", "ECHO " + strings.Repeat("x", 100)} {
		l := newSlowSink()
		s := open(t, Options{Sink: l})
		s.limits.ReplyChunk.Store(64)
		require.NoError(t, s.runner.Exclusive(0, func() { s.router.SetStrict(true) }))
		p := newPeer(t, s)
		p.send(t, "SET a 1\r\nSET b 2\r\n"+next+"\r\nPING\r\n")
		l.awaitCounts(t, 1, 0)
		l.set(func() { l.failed = command.WireError("MISCONF no disk") })
		p.expect(t, "-INDOUBT the log has failed: whether the last writes of this connection will last is not known")
		p.ends(t)
	}
}
