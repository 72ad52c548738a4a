package faultnet

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long something that must happen may take, and moment how long
// something that must not happen is waited for.
const (
	patience = time.Minute
	moment   = 50 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A target is a listener that hands out what it accepts.
type target struct {
	addr  string
	conns chan *net.TCPConn
}

func newTarget(t *testing.T) *target {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tg := &target{ln.Addr().String(), make(chan *net.TCPConn, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			tg.conns <- nc.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return tg
}

func (tg *target) next(t *testing.T) *net.TCPConn {
	t.Helper()
	select {
	case nc := <-tg.conns:
		t.Cleanup(func() { _ = nc.Close() })
		return nc
	case <-time.After(patience):
		t.Fatal("nothing has come to the target")
		return nil
	}
}

func (tg *target) none(t *testing.T) {
	t.Helper()
	select {
	case <-tg.conns:
		t.Fatal("a connection has come to the target")
	case <-time.After(moment):
	}
}

func listen(t *testing.T, addr string, who func(net.Conn) string) *Proxy {
	t.Helper()
	p, err := Listen(addr, who)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn)
}

// pair is a connection through a proxy that works.
func pair(t *testing.T, tg *target, p *Proxy) (client, server *net.TCPConn) {
	t.Helper()
	client = dial(t, p)
	server = tg.next(t)
	passes(t, client, server, "hello")
	passes(t, server, client, "welcome")
	return client, server
}

func send(t *testing.T, from net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(from, text)
	require.NoError(t, err)
}

func arrives(t *testing.T, at net.Conn, text string) {
	t.Helper()
	require.NoError(t, at.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, len(text))
	_, err := io.ReadFull(at, b)
	require.NoError(t, err)
	require.Equal(t, text, string(b))
}

func passes(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	send(t, from, text)
	arrives(t, to, text)
}

func nothing(t *testing.T, at net.Conn) {
	t.Helper()
	require.NoError(t, at.SetReadDeadline(time.Now().Add(moment)))
	n, err := at.Read(make([]byte, 1))
	require.Zero(t, n, "a byte has arrived")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// end reads until the stream ends and tells how: io.EOF or an error.
func end(t *testing.T, at net.Conn) error {
	t.Helper()
	require.NoError(t, at.SetReadDeadline(time.Now().Add(patience)))
	for {
		if _, err := at.Read(make([]byte, 4096)); err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			return err
		}
	}
}

// dialsReset connects and sees a reset, then or afterwards.
func dialsReset(t *testing.T, p *Proxy) {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer nc.Close()
		err = end(t, nc)
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func isReset(t *testing.T, at net.Conn) {
	t.Helper()
	require.ErrorIs(t, end(t, at), syscall.ECONNRESET)
}

func TestBytesPassBothWaysInOrder(t *testing.T) {
	tg := newTarget(t)
	client, server := pair(t, tg, listen(t, tg.addr, nil))
	text := make([]byte, 5<<20)
	for i := range text {
		text[i] = byte(rand.Uint32())
	}
	for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		sent := make(chan error, 1)
		go func() {
			_, err := way[0].Write(text)
			sent <- errors.Join(err, way[0].CloseWrite())
		}()
		require.NoError(t, way[1].SetReadDeadline(time.Now().Add(patience)))
		got, err := io.ReadAll(way[1])
		require.NoError(t, err)
		require.NoError(t, <-sent)
		require.True(t, string(got) == string(text))
	}
}

func TestDelay(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	const delay = 80 * time.Millisecond
	p.Set(Everyone, Link{ToTarget: Path{Delay: delay}})
	start := time.Now()
	passes(t, client, server, "late")
	require.GreaterOrEqual(t, time.Since(start), delay)

	p.Set(Everyone, Link{ToTarget: Path{Delay: time.Hour}})
	send(t, client, "much too late")
	nothing(t, server)
	passes(t, server, client, "the other way is free")
	p.Heal()
	arrives(t, server, "much too late")
}

func TestHoldKeepsBytesBackInItsDirectionOnly(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	p.Set(Everyone, Link{ToTarget: Path{Hold: true}})
	send(t, client, "kept")
	nothing(t, server)
	passes(t, server, client, "free")
	p.Set(Everyone, Cut)
	send(t, server, "kept too")
	nothing(t, client)
	p.Heal()
	arrives(t, server, "kept")
	arrives(t, client, "kept too")
}

func TestHoldKeepsTheEndBack(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	for name, leave := range map[string]func(*net.TCPConn){
		"close": func(nc *net.TCPConn) { _ = nc.Close() },
		"reset": hardClose,
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, tg, p)
			p.Set(Everyone, Cut)
			leave(client)
			nothing(t, server)
			p.Heal()
			require.Error(t, end(t, server))
		})
	}
}

func TestAConnectionThatComesDuringAHoldIsServedAfterIt(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	for _, l := range []Link{{ToTarget: Path{Hold: true}}, {ToClient: Path{Hold: true}}, Cut} {
		p.Set(Everyone, l)
		client := dial(t, p)
		send(t, client, "early")
		tg.none(t)
		p.Heal()
		arrives(t, tg.next(t), "early")
	}
}

// A sender is blocked in the end, as by a network that takes nothing.
func TestHoldIsBounded(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, _ := pair(t, tg, p)
	p.Set(Everyone, Cut)
	require.NoError(t, client.SetWriteBuffer(64<<10))
	require.NoError(t, client.SetWriteDeadline(time.Now().Add(2*time.Second)))
	n, err := client.Write(make([]byte, 256<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, n, 200<<20)
}

func TestReset(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	p.Reset(Everyone)
	isReset(t, client)
	isReset(t, server)
	pair(t, tg, p) // new ones are served
}

// A reset passes a proxy that holds: the fault comes from the proxy itself.
func TestResetDuringAHold(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	p.Set(Everyone, Cut)
	send(t, client, "lost")
	waiting := dial(t, p)
	require.Eventually(t, func() bool { return p.Conns(Everyone) == 2 }, patience, time.Millisecond)
	p.Reset(Everyone)
	for _, nc := range []net.Conn{client, server, waiting} {
		isReset(t, nc)
	}
}

func TestRefuse(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	p.Set(Everyone, Link{Refuse: true})
	passes(t, client, server, "those that are there go on")
	dialsReset(t, p)
	tg.none(t)
	p.Heal()
	pair(t, tg, p)
}

func TestHalfClose(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	client, server := pair(t, tg, p)
	p.HalfClose(Everyone, ToTarget)
	require.ErrorIs(t, end(t, server), io.EOF)
	send(t, client, "thrown away")
	passes(t, server, client, "the other way goes on")

	client, server = pair(t, tg, p)
	p.HalfClose(Everyone, ToClient)
	require.ErrorIs(t, end(t, client), io.EOF)
	passes(t, client, server, "the other way goes on")
}

func TestTheTargetIsGone(t *testing.T) {
	tg := newTarget(t)
	p := listen(t, tg.addr, nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	p.Target(closed.Addr().String())
	dialsReset(t, p)
	p.Target(tg.addr)
	pair(t, tg, p)
}

// Who a connection belongs to is told by its first dialled port here.
func TestAPeerHasALinkOfItsOwn(t *testing.T) {
	tg := newTarget(t)
	names := make(chan string, 2)
	p := listen(t, tg.addr, func(net.Conn) string { return <-names })
	names <- "a"
	ca, sa := pair(t, tg, p)
	names <- "b"
	cb, sb := pair(t, tg, p)
	p.Set("a", Cut)
	passes(t, cb, sb, "b is free")
	send(t, ca, "a is not")
	nothing(t, sa)
	p.Set(Everyone, Cut)
	p.Set("a", Link{})
	arrives(t, sa, "a is not")
	send(t, cb, "now b is not")
	nothing(t, sb)
	require.Equal(t, 1, p.Conns("b"))
	require.Equal(t, 2, p.Conns(Everyone))
	p.Reset("b")
	isReset(t, cb)
	passes(t, ca, sa, "a lives")
}

// Close ends what is stuck in every way; goleak sees whether it does.
func TestCloseEndsEverything(t *testing.T) {
	tg := newTarget(t)
	p, err := Listen(tg.addr, nil)
	require.NoError(t, err)
	full, _ := pair(t, tg, p) // nobody reads
	require.NoError(t, full.SetWriteDeadline(time.Now().Add(time.Second)))
	_, err = io.Copy(full, strings.NewReader(strings.Repeat("x", 64<<20)))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	p.Set(Everyone, Cut)
	dial(t, p)
	require.NoError(t, p.Close())
	isReset(t, full)
	require.Zero(t, p.Conns(Everyone))
}
