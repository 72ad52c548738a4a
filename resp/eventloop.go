package resp

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	emptyPolls  = 4    // a loop looks so often, with a yield in between, before it parks
	yieldAfter  = 64   // turns and commands, when nobody is known to wait for the processor
	payAfter    = 1024 // commands that run before replies are sent, though others are to run
	spareNumber = 8    // goroutines per loop that wait to drive it
)

// A loop serves many connections: it reads for all that are ready, parses, runs
// them one after the other, sends what they were answered, and begins anew. Each step
// is done for all before the next: a read or a write leaves little of our code in the
// caches, and the client finds many replies where it would wait for each. The
// goroutine that does so is the loop's driver. A connection that has to wait for
// something keeps the driver as its own goroutine and hands the loop to another: so
// all that the loop is at stands here, and nothing of it in the driver's frames.
type loop struct {
	srv    *Server
	poll   *poller
	round  []*Conn       // are to be run in this turn
	next   int           // of round
	owing  []*Conn       // have run in this turn: their replies are to be sent
	paid   int           // of owing
	unpaid int           // commands that have run since all were paid
	again  []*Conn       // have more for the next turn and will not be told of
	before []*Conn       // what again was, while they are looked at
	work   int           // turns and commands since the last yield
	empty  int           // polls since there was something
	baton  chan struct{} // who receives from it drives
	spares atomic.Int32  // goroutines that want to
	now    int64         // on the server's clock, at the turn's beginning
	reads  uint64        // and in, writes, out: not told yet
	in     uint64
	writes uint64
	out    uint64
	idle   atomic.Bool   // it waits
	parks  atomic.Uint64 // how often it has begun to

	traffic traffic
	spare   spare
}

// loops are a server's loops and the goroutines that drive them.
type loops struct {
	all   []*loop
	socks sockTable
	quit  chan struct{}
	over  atomic.Bool // quit is closed
	once  sync.Once
	wait  sync.WaitGroup
	last  atomic.Uint32 // loop that was given a connection
	away  atomic.Int64  // connections with a goroutine of their own
}

// startLoops makes one loop per processor. Without them every connection has its
// goroutine.
func (s *Server) startLoops() {
	if !s.transport.loops() {
		return
	}
	s.loops.quit = make(chan struct{})
	for range runtime.GOMAXPROCS(0) {
		p, err := newPoller()
		if err != nil {
			s.log.Warn("no event loop", "err", err)
			break
		}
		l := &loop{srv: s, poll: p, baton: make(chan struct{})}
		s.loops.all = append(s.loops.all, l)
		s.loops.wait.Go(l.drive)
	}
}

// endLoops ends the loops; their connections have ended.
func (s *Server) endLoops() {
	g := &s.loops
	g.once.Do(func() {
		if g.quit == nil {
			return
		}
		g.over.Store(true)
		close(g.quit)
		for _, l := range g.all {
			l.poll.wake()
		}
		g.wait.Wait()
		for _, l := range g.all {
			l.poll.close()
		}
	})
}

// pick returns the loop for the next connection.
func (g *loops) pick() *loop {
	if len(g.all) == 0 {
		return nil
	}
	return g.all[int(g.last.Add(1))%len(g.all)]
}

// drive is a driver's goroutine. When a connection has taken it and is done with
// it, it waits for the loop to want a driver again.
func (l *loop) drive() {
	driving := true
	defer func() {
		if !driving {
			return
		}
		if p := recover(); p != nil {
			l.srv.log.Error("panic in an event loop", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		if !l.srv.loops.over.Load() {
			l.srv.loops.wait.Go(l.drive)
		}
	}()
	for {
		c := l.turns()
		driving = false
		if c == nil {
			return
		}
		c.goOn()
		if !l.waitForBaton() {
			return
		}
		driving = true
	}
}

// handOver lets another goroutine drive: the caller does not, from now on.
func (l *loop) handOver() {
	select {
	case l.baton <- struct{}{}:
	default:
		l.srv.loops.wait.Go(l.drive)
	}
}

func (l *loop) waitForBaton() bool {
	defer l.spares.Add(-1)
	if l.spares.Add(1) > spareNumber {
		return false
	}
	select {
	case <-l.baton:
		return true
	case <-l.srv.loops.quit:
		return false
	}
}

// turns drives the loop until the server ends, or until a connection has taken
// the calling goroutine and the loop was handed over.
func (l *loop) turns() *Conn {
	for !l.srv.loops.over.Load() {
		switch {
		case l.paid < len(l.owing) && (l.next == len(l.round) || l.unpaid >= payAfter):
			c := take(l.owing, &l.paid)
			if l.paid == len(l.owing) {
				l.owing, l.paid, l.unpaid = l.owing[:0], 0, 0
			}
			if l.did(c, c.step((*Conn).settle)) {
				return c
			}
		case l.next < len(l.round):
			c := take(l.round, &l.next)
			l.unpaid += c.batch.Len()
			l.work += c.batch.Len()
			if l.did(c, c.step((*Conn).run)) {
				return c
			}
		default:
			l.collect()
		}
	}
	return nil
}

// take returns the next of a list that does not keep it.
func take(list []*Conn, next *int) *Conn {
	c := list[*next]
	list[*next] = nil
	*next++
	return c
}

// did puts a connection where it belongs after a step. true: it has taken the
// driver, and the loop is another's.
func (l *loop) did(c *Conn, r ran) (aside bool) {
	switch r {
	case ranAside:
		return true
	case ranToEnd:
		l.end(c)
	case ranAgain:
		l.again = append(l.again, c)
	case ranOwing:
		l.owing = append(l.owing, c)
	}
	return false
}

// collect begins a turn: it reads and parses what has come for all connections
// before one is run.
func (l *loop) collect() {
	if l.work++; l.srv.loops.away.Load() > 0 || l.work >= yieldAfter {
		l.work = 0
		runtime.Gosched() // those in line, and who serves the line, want to run too
	}
	l.tell()
	l.round, l.next = l.round[:0], 0
	l.wait()
	l.now = l.srv.now()
	l.before, l.again = l.again, l.before[:0]
	for i, c := range l.before {
		l.before[i] = nil
		l.ready(c, c.fetch())
	}
	for i := range l.poll.n {
		l.event(l.poll.event(i))
	}
	l.tell()
	read := l.round
	l.round = read[:0]
	for i, c := range read {
		read[i] = nil
		l.ready(c, c.parse())
	}
	if t := l.srv.toucher; t != nil && len(l.round) > 1 {
		t.Touch(l.round)
	}
}

// tell counts for others what was read or written.
func (l *loop) tell() {
	if l.reads > 0 {
		l.traffic.read(l.reads, l.in)
	}
	if l.writes > 0 {
		l.traffic.wrote(l.writes, l.out)
	}
	l.reads, l.in, l.writes, l.out = 0, 0, 0, 0
}

// wait takes events, and waits for one when there is nothing else to do.
func (l *loop) wait() {
	if l.poll.poll() > 0 || len(l.again) > 0 {
		l.empty = 0
		return
	}
	if l.empty++; l.empty <= emptyPolls {
		runtime.Gosched()
		return
	}
	l.empty = 0
	if l.srv.loops.over.Load() {
		return
	}
	l.spare.letGo()
	l.parks.Add(1)
	l.idle.Store(true)
	err := l.poll.park()
	l.idle.Store(false)
	if err != nil {
		l.srv.log.Error("an event loop cannot wait", "err", err)
		time.Sleep(time.Millisecond) // it cannot happen; should it, nothing spins
	}
}

// event looks at what the poller has told.
func (l *loop) event(fd int, key, what uint32) {
	c := l.srv.loops.socks.get(fd, key)
	if c == nil {
		return // of one that has ended, or to wake the loop
	}
	hup := what&pollHup != 0
	if what&pollOut != 0 || hup {
		c.evented.out.signal()
	}
	if what&pollIn == 0 && !hup {
		return
	}
	if c.evented.noted(hup) {
		c.evented.in.signal()
		return
	}
	c.hup = c.hup || hup
	c.more = true
	switch {
	case c.state.CompareAndSwap(waiting, serving):
		l.ready(c, c.fetch())
	case c.state.Load() == ended:
		l.end(c)
	} // else it is among again
}

// ready puts a connection where it belongs after it was read for or parsed for.
func (l *loop) ready(c *Conn, f fetched) {
	switch f {
	case fetchedSome:
		l.round = append(l.round, c)
	case fetchedEnd:
		l.end(c)
	case fetchedAgain:
		l.again = append(l.again, c)
	}
}

// end lets a connection end in a goroutine of its own: that may wait.
func (l *loop) end(c *Conn) {
	l.srv.loops.away.Add(1)
	c.evented.word.Or(sockAside)
	go c.end()
}

// A sockTable finds a connection by its descriptor and the low half of its ID,
// so that an event for a number that now is another's finds nobody.
type sockTable struct {
	chunks [1024]atomic.Pointer[[1024]atomic.Pointer[Conn]]
}

func (t *sockTable) get(fd int, key uint32) *Conn {
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	if c := chunk[fd&1023].Load(); c != nil && uint32(c.ID) == key {
		return c
	}
	return nil
}

// put enters a connection; false: there is no place for such a number.
func (t *sockTable) put(fd int, c *Conn) bool {
	if fd>>10 >= len(t.chunks) {
		return false
	}
	p := &t.chunks[fd>>10]
	if p.Load() == nil {
		p.CompareAndSwap(nil, new([1024]atomic.Pointer[Conn]))
	}
	p.Load()[fd&1023].Store(c)
	return true
}

func (t *sockTable) remove(fd int) { t.chunks[fd>>10].Load()[fd&1023].Store(nil) }
