package resp

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startLoops(t testing.TB, h Handler, l *Limits) (*Server, string) {
	t.Helper()
	if !loopsWork {
		t.Skip("no event loops here")
	}
	s := NewServer(h, Options{Limits: l, Transport: TransportLoop})
	ln, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	serve(t, s)
	return s, ln.Addr().String()
}

// crowd is more clients than there are loops.
func crowd(t testing.TB, addr string) []*client {
	all := make([]*client, 3*runtime.GOMAXPROCS(0)+1)
	for i := range all {
		all[i] = dial(t, addr)
	}
	return all
}

func TestWhichTransport(t *testing.T) {
	for name, transport := range Transports {
		s := NewServer(newDemo(), Options{Transport: transport})
		ln, err := s.Listen("127.0.0.1:0")
		require.NoError(t, err)
		serve(t, s)
		c := dial(t, ln.Addr().String())
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
		require.Equal(t, loopsWork && name != "goroutine", onlyConn(t, s).loop != nil, name)
	}
}

// Commands that wait keep no loop from serving others, and their connections are
// a loop's again when they are done.
func TestParkedHoldNoLoop(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	parked, others := crowd(t, addr), crowd(t, addr)
	for range 3 {
		for i, c := range parked {
			c.send(fmt.Sprintf("PING\r\nPARK %d\r\nPING\r\n", i))
			c.expect("+PONG\r\n")
			<-d.parked
		}
		for _, c := range others {
			c.send("PING\r\n")
			c.expect("+PONG\r\n")
		}
		for range parked {
			d.release <- struct{}{}
		}
		for i, c := range parked {
			c.expect(fmt.Sprintf("+%d released\r\n+PONG\r\n", i))
		}
		eventually(t, "no connection has a goroutine", func() bool { return s.loops.away.Load() == 0 })
	}
}

// Clients that do not read keep no loop from serving others either.
func TestSlowClientsHoldNoLoop(t *testing.T) {
	const n = 16 << 20
	s, addr := startLoops(t, newDemo(), nil)
	slow, others := crowd(t, addr), crowd(t, addr)
	for _, c := range slow {
		c.send(fmt.Sprintf("BIG %d\r\nPING\r\n", n))
	}
	eventually(t, "all of them are waited for", func() bool { return int(s.loops.away.Load()) == len(slow) })
	for _, c := range others {
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
	}
	for _, c := range slow {
		c.expect(fmt.Sprintf("$%d\r\n", n))
		_, err := io.CopyN(io.Discard, c.r, n)
		require.NoError(t, err)
		c.expect("\r\n+PONG\r\n")
	}
	eventually(t, "no connection has a goroutine", func() bool { return s.loops.away.Load() == 0 })
}

func TestPanicsEndNoLoop(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	others := crowd(t, addr)
	for _, c := range crowd(t, addr) {
		c.send("PANIC\r\n")
		c.expectEOF()
	}
	for _, c := range others {
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
	}
	eventually(t, "those are forgotten", func() bool { return s.Totals().Clients == len(others) })
	require.Zero(t, d.held.Load(), "a loop waits while Closed runs")
}

// Replies are sent when all that came in one turn has run: those who were first get
// theirs whatever the others do.
func TestOwedAreSentWhateverRunsNext(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	busy := crowd(t, addr)[:runtime.GOMAXPROCS(0)]
	first, panic, parked, leave, last := crowd(t, addr), crowd(t, addr), crowd(t, addr), crowd(t, addr), crowd(t, addr)
	for _, c := range busy { // one on each loop, without stepping aside
		c.send("WAIT x\r\n")
	}
	for range busy {
		<-d.parked
	}
	for i := range first {
		first[i].send("ECHO one\r\nPUSH two\r\n")
		panic[i].send("PANIC\r\n")
		parked[i].send("PING\r\nPARK three\r\n")
		leave[i].send("QUIT\r\n")
		last[i].send("ECHO four\r\n")
	}
	for range busy {
		d.release <- struct{}{}
	}
	for range parked {
		<-d.parked
	}
	for i := range first {
		first[i].expect("$3\r\none\r\n+OK\r\n>1\r\n$1\r\ntwo\r\n")
		panic[i].expectEOF()
		parked[i].expect("+PONG\r\n")
		leave[i].expect("+OK\r\n")
		leave[i].expectEOF()
		last[i].expect("$4\r\nfour\r\n")
		d.release <- struct{}{}
	}
	for _, c := range parked {
		c.expect("+three released\r\n")
	}
	for _, c := range busy {
		c.expect("+OK\r\n")
	}
	eventually(t, "no connection has a goroutine", func() bool { return s.loops.away.Load() == 0 })
}

// What comes while a connection is on its way back to its loop is not forgotten,
// at whatever moment it comes: neither a command nor the end.
func TestGivenBackAtAnyMoment(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	rounds := 1000
	if testing.Short() {
		rounds = 300
	}
	for i := range rounds {
		c := dial(t, addr)
		for range 1 + rand.IntN(3) {
			c.send("PARK a\r\n")
			<-d.parked
			go func() { d.release <- struct{}{} }()
			for range rand.IntN(200) {
				runtime.Gosched()
			}
			c.send("PING\r\n")
			c.expect("+a released\r\n+PONG\r\n")
		}
		if i%2 == 0 {
			c.send("PARK b\r\n")
			<-d.parked
			d.release <- struct{}{}
			for range rand.IntN(200) {
				runtime.Gosched()
			}
		}
		require.NoError(t, c.Close())
	}
	eventually(t, "all are forgotten", func() bool { return s.Totals().Clients == 0 })
}

// The peer says that it has sent all, right behind its commands: they are run.
func TestHalfClosed(t *testing.T) {
	_, addr := startServer(t, newDemo(), nil)
	for _, n := range []int{1, 100, 5000} {
		c := dial(t, addr)
		c.send(strings.Repeat("PING\r\n", n))
		require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.expect(strings.Repeat("+PONG\r\n", n))
		c.expectEOF()
	}
}

// Everything at once, with replies in order.
func TestLoopsUnderEverything(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-d.parked:
			case d.release <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for id := range 12 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(id)))
			c := dial(t, addr)
			for i := range 60 {
				var ask, want strings.Builder
				for range 1 + rng.IntN(6) {
					word := fmt.Sprintf("%d-%d", id, i)
					switch rng.IntN(6) {
					case 0:
						fmt.Fprintf(&ask, "PARK %s\r\n", word)
						fmt.Fprintf(&want, "+%s released\r\n", word)
					case 1:
						n := rng.IntN(300000)
						fmt.Fprintf(&ask, "BIG %d\r\n", n)
						fmt.Fprintf(&want, "$%d\r\n%s\r\n", n, strings.Repeat("x", n))
					case 2:
						word = strings.Repeat(word, rng.IntN(20000))
						ask.WriteString(encode([]string{"ECHO", word}))
						fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(word), word)
					default:
						ask.WriteString(encode([]string{"ECHO", word}))
						fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(word), word)
					}
				}
				for text := ask.String(); text != ""; {
					n := 1 + rng.IntN(len(text))
					c.send(text[:n])
					text = text[n:]
				}
				c.expect(want.String())
			}
		})
	}
	wg.Wait()
	close(done)
	eventually(t, "no connection has a goroutine", func() bool { return s.loops.away.Load() == 0 })
}

// parks is how often all loops have begun to wait, and idle whether they do.
func (g *loops) parks() (n uint64, idle bool) {
	idle = true
	for _, l := range g.all {
		n += l.parks.Load()
		idle = idle && l.idle.Load()
	}
	return n, idle
}

// With nothing to do loops sleep, and nothing wakes them: neither a client that
// waits, nor one that has left its call behind, nor one that does not read.
func TestIdleLoopsSleep(t *testing.T) {
	d := newDemo()
	s, addr := startLoops(t, d, nil)
	idle, gone, slow := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	gone.send("ASIDE\r\n")
	<-d.parked
	require.NoError(t, gone.Conn.(*net.TCPConn).SetLinger(0)) // a reset, which epoll reports for ever
	require.NoError(t, gone.Close())
	slow.send("BIG 30000000\r\n")
	eventually(t, "two wait beside the loops", func() bool { return s.loops.away.Load() == 2 })
	quiet := func() bool {
		before, asleep := s.loops.parks()
		time.Sleep(20 * time.Millisecond) // not for something to happen: for nothing to
		after, still := s.loops.parks()
		return asleep && still && before == after
	}
	eventually(t, "nothing happens", quiet)
	d.release <- struct{}{}
	eventually(t, "one is left", func() bool { return s.loops.away.Load() == 1 })
}

func TestSockTable(t *testing.T) {
	var table sockTable
	c := &Conn{ID: 1<<32 + 7}
	require.Nil(t, table.get(5, 7))
	require.True(t, table.put(5, c))
	require.Same(t, c, table.get(5, 7))
	require.Nil(t, table.get(5, 8), "another had the number before")
	require.True(t, table.put(len(table.chunks)*1024-1, c))
	require.False(t, table.put(len(table.chunks)*1024, c))
	table.remove(5)
	require.Nil(t, table.get(5, 7))
}

// A foreseer is a demo that notes what it was told of before it ran.
type foreseer struct {
	*demo
	mu    sync.Mutex
	told  map[*Conn]string
	turns int // in which it was told of more than one
	wrong []string
}

func (f *foreseer) Touch(ready []*Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns++
	for _, c := range ready {
		f.told[c] = string(c.Next().Args(0)[1])
	}
}

func (f *foreseer) Serve(c *Conn, b *Batch) {
	f.mu.Lock()
	if word, ok := f.told[c]; ok && word != string(b.Args(0)[1]) {
		f.wrong = append(f.wrong, word)
	}
	delete(f.told, c)
	f.mu.Unlock()
	f.demo.Serve(c, b)
}

// The handler is told of all that are ready together, before the first of them runs.
func TestReadyAreTouched(t *testing.T) {
	f := &foreseer{demo: newDemo(), told: map[*Conn]string{}}
	_, addr := startLoops(t, f, nil)
	busy, others := crowd(t, addr), crowd(t, addr)
	eventually(t, "clients come while a loop is busy", func() bool {
		for _, c := range busy[:runtime.GOMAXPROCS(0)] {
			c.send("WAIT x\r\n") // without stepping aside
		}
		for range runtime.GOMAXPROCS(0) {
			<-f.parked
		}
		for i, c := range others {
			c.send(fmt.Sprintf("ECHO %d\r\n", i))
		}
		for range runtime.GOMAXPROCS(0) {
			f.release <- struct{}{}
		}
		for _, c := range busy[:runtime.GOMAXPROCS(0)] {
			c.expect("+OK\r\n")
		}
		for i, c := range others {
			c.expect(fmt.Sprintf("$%d\r\n%d\r\n", len(strconv.Itoa(i)), i))
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		require.Empty(t, f.wrong)
		require.Empty(t, f.told, "told of and not run")
		return f.turns > 0
	})
}
