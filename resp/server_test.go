package resp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// demo is a handler with a few commands that need no data.
type demo struct {
	open, closed, broken atomic.Int64
	held                 atomic.Int64 // Closed was called by a loop's driver
	unauth               bool
	onOpen               func(c *Conn)
	release              chan struct{} // PARK waits for it
	parked               chan *Conn
}

func newDemo() *demo {
	return &demo{release: make(chan struct{}), parked: make(chan *Conn, 100)}
}

func (d *demo) Open(c *Conn) {
	d.open.Add(1)
	c.SetAuthenticated(!d.unauth)
	if d.onOpen != nil {
		d.onOpen(c)
	}
}

func (d *demo) Closed(c *Conn) {
	d.closed.Add(1)
	if c.onLoop() {
		d.held.Add(1)
	}
}

func (d *demo) ProtocolError(*Conn, string) { d.broken.Add(1) }

func (d *demo) Serve(c *Conn, b *Batch) {
	for i := range b.Len() {
		if c.Closing() || c.FlushIfLarge() != nil {
			return
		}
		c.AppendPushes()
		d.run(c, b.Args(i))
	}
}

func (d *demo) run(c *Conn, args [][]byte) {
	w := &c.Reply
	switch name := strings.ToUpper(string(args[0])); name {
	case "PING":
		w.Simple("PONG")
	case "ECHO":
		if len(args) != 2 {
			w.Error("ERR wrong number of arguments for 'echo' command")
			return
		}
		w.Bulk(args[1])
	case "BIG":
		n, _ := strconv.Atoi(string(args[1]))
		w.BulkString(strings.Repeat("x", n))
	case "LEN":
		w.Int(int64(len(args[1])))
	case "AUTH":
		c.SetAuthenticated(true)
		w.OK()
	case "SUBSCRIBE":
		c.SetClass(ClassPubSub)
		w.OK()
	case "PUSH":
		c.Push([]byte(">1\r\n$1\r\n" + string(args[1]) + "\r\n"))
		w.OK()
	case "LATER":
		m := message(string(args[1]))
		w.OK()
		go c.Push(m)
	case "PUSHPARK":
		c.Push(message("pushed"))
		d.run(c, args[len(args)-2:])
	case "WAIT":
		d.parked <- c
		<-d.release
		w.OK()
	case "ASIDE":
		c.StepAside()
		d.parked <- c
		<-d.release
		w.OK()
	case "PARK":
		name := strings.Clone(string(args[1]))
		c.BeforePark()
		d.parked <- c
		select {
		case <-d.release:
			name += " released"
		case <-c.Gone():
			name += " gone"
		}
		c.AfterPark()
		w.Simple(name)
	case "QUIT":
		w.OK()
		c.Close()
	case "PANIC":
		panic("on request")
	case "PARKPANIC":
		c.BeforePark()
		d.parked <- c
		<-d.release
		panic("while parked")
	case "POST", "HOST:":
		c.Kill("cross-protocol")
	default:
		unknown(w, args)
	}
}

// unknown answers as redis-server does.
func unknown(w *Writer, args [][]byte) {
	var b []byte
	for _, a := range args[1:] {
		if len(b) >= 128 {
			break
		}
		b = fmt.Appendf(b, "'%.*s' ", 128-len(b), a)
	}
	w.Error(fmt.Sprintf("ERR unknown command '%.128s', with args beginning with: %s", args[0], b))
}

// testTransport is what the tests are run with: they hold for all. It is not asked
// for before they run, or the result of one transport would be kept for the other.
func testTransport() Transport { return Transports[os.Getenv("FERRICD_TRANSPORT")] }

func startServer(t testing.TB, h Handler, l *Limits) (*Server, string) {
	t.Helper()
	s := NewServer(h, Options{Limits: l, Transport: testTransport()})
	ln, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	serve(t, s)
	return s, ln.Addr().String()
}

func serve(t testing.TB, s *Server) {
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		if err := <-served; !errors.Is(err, net.ErrClosed) { // it had not yet begun
			require.NoError(t, err)
		}
		require.Zero(t, s.Totals().Clients)
	})
}

type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	nc, err := net.Dial(network, addr)
	require.NoError(t, err)
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(30*time.Second)))
	return &client{nc, t, bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(c.t, err)
}

func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	require.NoError(c.t, err, "got %q", got[:n])
	require.Equal(c.t, want, string(got))
}

func (c *client) expectEOF() {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	require.NoError(c.t, err)
	require.Empty(c.t, string(b))
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, time.Millisecond, what)
}

func TestServeAndQuit(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n")
	c.expect("+PONG\r\n$5\r\nhello\r\n")
	for conn := range s.Conns() {
		require.Equal(t, c.LocalAddr().String(), conn.RemoteAddr())
		require.Equal(t, addr, conn.LocalAddr())
		require.True(t, conn.IsLoopback())
		require.False(t, conn.IsUnix() || conn.IsTLS())
		require.Positive(t, conn.FD())
		require.Same(t, conn, s.Conn(conn.ID))
		eventually(t, "buffers given back", func() bool { return conn.state.Load() == waiting })
		st := conn.Stats()
		eventually(t, "it is counted", func() bool { t := s.Totals(); return t.NetIn == 31 && t.NetOut == 18 })
		require.Zero(t, st.QueryLen+st.QueryFree+st.Replies+st.PendingBytes)
	}
	c.send("QUIT\r\nPING\r\n")
	c.expect("+OK\r\n")
	c.expectEOF()
	eventually(t, "the connection is forgotten", func() bool { return s.Totals().Clients == 0 })
	require.EqualValues(t, 1, d.closed.Load())
	got := s.Totals()
	require.EqualValues(t, 1, got.Accepted)
	require.EqualValues(t, 31+12, got.NetIn)
	require.EqualValues(t, 18+5, got.NetOut)
	require.EqualValues(t, 2, got.Reads)
	require.EqualValues(t, 2, got.Writes)
}

func TestPipelineLongerThanABatch(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	go c.send(strings.Repeat("*1\r\n$4\r\nPING\r\n", 5000))
	c.expect(strings.Repeat("+PONG\r\n", 5000))
}

func TestCommandInPieces(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	require.NoError(t, c.Conn.(*net.TCPConn).SetNoDelay(true))
	for _, b := range []byte("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\nPING\r\n") {
		c.send(string(b))
	}
	c.expect("$5\r\nhello\r\n+PONG\r\n")
}

func TestLargeArgument(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	for _, n := range []int{32 << 10, 1 << 20, 20<<20 + 3} {
		go c.send(fmt.Sprintf("*2\r\n$3\r\nLEN\r\n$%d\r\n%s\r\n", n, strings.Repeat("x", n)))
		c.expect(fmt.Sprintf(":%d\r\n", n))
	}
}

func TestProtocolErrorClosesAfterReplies(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PING\r\n*1\r\n:1\r\nPING\r\n")
	c.expect("+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n")
	c.expectEOF()
	require.EqualValues(t, 1, d.broken.Load())
}

func TestWhatFollowsAuthIsJudgedAfterIt(t *testing.T) {
	d := newDemo()
	d.unauth = true
	_, addr := startServer(t, d, nil)
	big := fmt.Sprintf("*2\r\n$3\r\nLEN\r\n$20000\r\n%s\r\n", strings.Repeat("x", 20000))
	c := dial(t, addr)
	c.send("AUTH\r\n" + big)
	c.expect("+OK\r\n:20000\r\n")
	c = dial(t, addr)
	c.send("PING\r\n" + big)
	c.expect("+PONG\r\n-ERR Protocol error: unauthenticated bulk length\r\n")
	c.expectEOF()
}

// What is behind a QUIT is not run, and does not cost the client the replies
// that are still under way.
func TestQuitBeforeMore(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	require.NoError(t, c.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
	const n = 400 << 10
	c.send(fmt.Sprintf("BIG %d\r\nQUIT\r\n", n) + strings.Repeat("PING\r\n", 10000))
	eventually(t, "all is sent and the connection closed", func() bool { t := s.Totals(); return t.Accepted == 1 && t.Clients == 0 })
	c.expect(fmt.Sprintf("$%d\r\n%s\r\n+OK\r\n", n, strings.Repeat("x", n)))
	c.expectEOF()
}

func TestPanicEndsOneConnection(t *testing.T) {
	d := newDemo()
	_, addr := startServer(t, d, nil)
	other := dial(t, addr)
	c := dial(t, addr)
	c.send("PANIC\r\n")
	c.expectEOF()
	other.send("PING\r\n")
	other.expect("+PONG\r\n")
	eventually(t, "Closed is called", func() bool { return d.closed.Load() == 1 })
}

func TestRejectInOpen(t *testing.T) {
	d := newDemo()
	d.onOpen = func(c *Conn) { c.RejectAndClose("DENIED by the test") }
	_, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PING\r\n")
	c.expect("-DENIED by the test\r\n")
	c.expectEOF()
	eventually(t, "Closed is called", func() bool { return d.closed.Load() == 1 })
}

func TestMaxClients(t *testing.T) {
	l := NewLimits()
	l.MaxClients.Store(2)
	l.Reserved.Store(1)
	s, addr := startServer(t, newDemo(), l)
	var in []*client
	for range 3 { // the third is let in because it comes from this machine
		c := dial(t, addr)
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
		in = append(in, c)
	}
	c := dial(t, addr)
	c.expect("-ERR max number of clients reached\r\n")
	c.expectEOF()
	require.EqualValues(t, 1, s.Totals().Rejected)
	require.NoError(t, in[0].Close())
	eventually(t, "a place is free again", func() bool { return s.Totals().Clients == 2 })
	c = dial(t, addr)
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())

	s := NewServer(newDemo(), Options{})
	_, err = s.ListenUnix(path, 0o770)
	require.NoError(t, err)
	serve(t, s)
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o770), fi.Mode().Perm())
	c := dial(t, path)
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	for conn := range s.Conns() {
		require.Equal(t, path+":0", conn.RemoteAddr())
		require.Equal(t, path+":0", conn.LocalAddr())
		require.True(t, conn.IsUnix() && conn.IsLoopback())
	}

	_, err = NewServer(newDemo(), Options{}).ListenUnix(path, 0)
	require.ErrorContains(t, err, "in use")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err = NewServer(newDemo(), Options{}).ListenUnix(file, 0)
	require.ErrorContains(t, err, "not a socket")
}

func TestListenersComeAndGo(t *testing.T) {
	s, _ := startServer(t, newDemo(), nil)
	l, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	c := dial(t, l.Addr().String())
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err)
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
}

func TestListenOnAllAddressesOfBothKinds(t *testing.T) {
	s, _ := startServer(t, newDemo(), nil)
	l, err := s.Listen("0.0.0.0:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	if _, err = s.Listen("[::]:" + port); errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Skip("no IPv6 here")
	}
	require.NoError(t, err)
}

// exhausted is a listener that fails, as one does without free descriptors.
type exhausted struct {
	net.Listener
	fails atomic.Int64
	calls atomic.Int64
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.calls.Add(1)
	if e.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return e.Listener.Accept()
}

func TestAcceptBacksOff(t *testing.T) {
	s := NewServer(newDemo(), Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &exhausted{Listener: ln}
	e.fails.Store(3)
	_, err = s.add(e, nil)
	require.NoError(t, err)
	start := time.Now()
	serve(t, s)
	c := dial(t, ln.Addr().String())
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	require.GreaterOrEqual(t, time.Since(start), 35*time.Millisecond, "5, 10 and 20 ms of pauses")
}

func TestShutdownDrains(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	busy.send("PARK a\r\n")
	<-d.parked
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.expectEOF()
	close(d.release)
	busy.expect("+a released\r\n")
	busy.expectEOF()
	require.NoError(t, <-done)
	require.EqualValues(t, 2, d.closed.Load())
	_, err := net.Dial("tcp", addr)
	require.Error(t, err)
}

func TestShutdownGivesUpWaiting(t *testing.T) {
	d := newDemo()
	s, addr := startServer(t, d, nil)
	c := dial(t, addr)
	c.send("PARK a\r\n")
	<-d.parked
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
	c.expectEOF()
}

func TestIdleTimeout(t *testing.T) {
	d := newDemo()
	l := NewLimits()
	s, addr := startServer(t, d, l)
	idle, sub, busy := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	sub.send("SUBSCRIBE\r\n")
	sub.expect("+OK\r\n")
	busy.send("PARK a\r\n")
	<-d.parked
	l.IdleTimeout.Store(1)
	s.tick()
	idle.expectEOF()
	close(d.release)
	busy.expect("+a released\r\n")
	sub.send("PING\r\n")
	sub.expect("+PONG\r\n")
}

func TestQueryBufferLimit(t *testing.T) {
	l := NewLimits()
	l.QueryBuffer.Store(100000)
	s, addr := startServer(t, newDemo(), l)
	c := dial(t, addr)
	c.send("*2\r\n$3\r\nLEN\r\n$200000\r\n")
	_, _ = io.WriteString(c, strings.Repeat("x", 150000))
	c.expectEOF()
	require.EqualValues(t, 1, s.Totals().QueryLimitDisconnect)
}

func TestKillWhileWriting(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, strings.Repeat("BIG 100000\r\n", 10000)) }()
	var conn *Conn
	eventually(t, "its writes block", func() bool {
		for conn = range s.Conns() {
			return conn.Stats().Replies > 0 && s.Totals().NetOut > 0
		}
		return false
	})
	require.Less(t, conn.Stats().Memory, 4<<20)
	conn.Kill("test")
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
	require.Equal(t, "test", conn.KillReason())
}

func TestWriteTimeout(t *testing.T) {
	l := NewLimits()
	l.WriteTimeout.Store(int64(50 * time.Millisecond))
	s, addr := startServer(t, newDemo(), l)
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, strings.Repeat("BIG 100000\r\n", 1000)) }()
	eventually(t, "it is cut off", func() bool { t := s.Totals(); return t.Accepted == 1 && t.Clients == 0 })
}

func TestReplyLimit(t *testing.T) {
	l := NewLimits()
	l.Normal.Hard.Store(1 << 20)
	s, addr := startServer(t, newDemo(), l)
	c := dial(t, addr)
	c.send("BIG 1000000\r\nBIG 1100000\r\n")
	n, err := io.Copy(io.Discard, c.r)
	require.True(t, err == nil || errors.Is(err, syscall.ECONNRESET))
	require.LessOrEqual(t, n, int64(1000020))
	require.EqualValues(t, 1, s.Totals().OutputLimitDisconnect)
}

func TestManyClientsAtOnce(t *testing.T) {
	s, addr := startServer(t, newDemo(), nil)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c := dial(t, addr)
			for j := range 200 {
				word := fmt.Sprintf("%d-%d", i, j)
				c.send(encode([]string{"ECHO", word}) + "PING\r\n")
				c.expect(fmt.Sprintf("$%d\r\n%s\r\n+PONG\r\n", len(word), word))
			}
			_ = c.Close()
		})
	}
	wg.Wait()
	eventually(t, "all are forgotten", func() bool { return s.Totals().Clients == 0 })
}
