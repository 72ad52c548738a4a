package proxy

import (
	"net"
	"strings"
)

const (
	readLeast = 4 << 10
	readMost  = 64 << 10
	// Of what has to be seen whole no more is gathered.
	gatherMost = 64 << 20
)

// read takes what the leader sends until the connection ends.
func (l *Link) read(nc net.Conn, done chan struct{}) {
	defer close(done)
	defer l.readEnded(nc)
	defer l.proxy.recovered("read")
	r := reader{l: l}
	buf := make([]byte, readLeast)
	for {
		n, err := nc.Read(buf)
		if n > 0 && !r.got(buf[:n]) || err != nil {
			return
		}
		if n == len(buf) && n < readMost {
			buf = make([]byte, min(4*n, readMost))
		}
	}
}

// readEnded tells whoever waits. Nobody does while nothing is asked: then the client is
// let go, if the leader kept something for it.
func (l *Link) readEnded(nc net.Conn) {
	_ = nc.Close()
	l.mu.Lock()
	l.ended = true
	lost := l.sock == nc && !l.attached && (l.subs.any() || l.real.any())
	l.mu.Unlock()
	l.proxy.leave(l)
	poke(l.wake)
	if lost {
		l.client.Conn.CloseWhenIdle("the connection to the leader is lost")
	}
}

// A reader sorts what comes.
type reader struct {
	l      *Link
	scan   scanner
	begun  bool // the item in hand
	alone  bool // nothing was expected when it began
	route  route
	gather []byte
}

// A route is what becomes of the bytes of an item.
type route byte

const (
	routePass   route = iota // to the client
	routeDrop                // nowhere
	routeGather              // that is seen when it is whole
)

// got takes bytes; false: nothing more is wanted.
func (r *reader) got(b []byte) bool {
	for len(b) > 0 {
		if !r.begun {
			r.begun = true
			r.gather = r.gather[:0]
			r.route, r.alone = r.l.begins(b[0])
		}
		n, done, err := r.scan.next(b)
		if err != nil {
			r.l.proxy.o.Log.Warn("the leader's connection is given up", "error", err)
			return false
		}
		switch r.route {
		case routePass:
			if !r.l.pass(b[:n], done) {
				return false
			}
		case routeGather:
			if len(r.gather)+n > gatherMost {
				return false
			}
			r.gather = append(r.gather, b[:n]...)
		}
		b = b[n:]
		if done {
			r.begun = false
			if !r.l.ends(r) {
				return false
			}
		}
	}
	return true
}

// begins says what becomes of an item by its first byte. What may be a message is
// gathered while nothing is asked, what may have to be kept back always is.
func (l *Link) begins(kind byte) (to route, alone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch alone = len(l.expect) == 0; {
	case alone, kind == '-', kind == '>', l.listening() && kind == '*':
		return routeGather, alone
	case l.expect[0].muted:
		return routeDrop, false
	}
	return routePass, false
}

// listening tells whether an array may be a message; mu is held.
func (l *Link) listening() bool {
	return l.client.Proto() == 2 && (l.subs.any() || l.real.sticky)
}

// pass hands bytes over; it waits while there is no room.
func (l *Link) pass(b []byte, last bool) bool {
	for {
		l.mu.Lock()
		if len(l.buf) < bufferMost || !l.attached {
			break
		}
		l.mu.Unlock()
		select {
		case <-l.room:
		case <-l.client.Conn.Gone():
			return false
		}
	}
	defer l.mu.Unlock()
	if !l.attached { // the client's goroutine has left in the middle
		return false
	}
	l.buf = append(l.buf, b...)
	l.whole = last
	poke(l.wake)
	return true
}

// ends takes an item that is whole.
func (l *Link) ends(r *reader) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer poke(l.wake)
	s := &r.scan
	kind, confirms := confirmations[string(s.word)]
	confirms = confirms && (s.kind == '>' || s.kind == '*' && l.listening())
	message := s.kind == '>' || l.listening() && s.kind == '*' && messages[string(s.word)]
	if confirms {
		l.subs.confirmed(kind, s.num)
	}
	if r.alone || len(l.expect) == 0 || (message || confirms) && !(confirms && l.expect[0].confirms != 0) {
		return l.unasked(r, message || confirms)
	}
	e := &l.expect[0]
	if s.kind == '-' && e.tells {
		return false
	}
	if s.kind == '-' && !e.own {
		switch word, _, _ := strings.Cut(string(s.word), " "); word {
		case "MASTERDOWN", "LOADING":
			l.refused = true
			return false
		case "INDOUBT":
			l.doubted = true
		}
	}
	if r.route == routeGather && !e.muted {
		l.buf = append(l.buf, r.gather...)
	}
	l.replied(e, confirms, s)
	return true
}

// replied takes an item off what is expected; mu is held.
func (l *Link) replied(e *expected, confirms bool, s *scanner) {
	if e.tells && s.kind == ':' {
		l.remote.Store(uint64(s.num))
	}
	switch {
	case e.effect == effectExec && (s.kind == '-' || s.kind == '_'): // nothing has run
		l.real.after(effectDiscard, false)
	case s.kind != '-':
		l.real.after(e.effect, s.kind == '+' && string(s.word) == "QUEUED")
	}
	if e.confirms != 0 {
		if e.confirms == allNames && confirms {
			e.confirms = 1 + l.subs.n[e.kind] // each says how many are left
		}
		if e.confirms--; e.confirms > 0 && confirms {
			return
		}
		l.subs.awaited = max(0, l.subs.awaited-1)
	}
	if !e.own {
		l.answered++
	}
	if l.expect = l.expect[1:]; len(l.expect) == 0 {
		l.expect = nil
	}
}

// unasked takes a message; mu is held. What comes during a run goes the way of the
// replies, so that it stays in its place among them.
func (l *Link) unasked(r *reader, message bool) bool {
	if !message && !l.real.sticky {
		return false // the leader says goodbye
	}
	b := r.gather
	if l.attached {
		l.buf = append(l.buf, b...)
		return true
	}
	return l.client.Conn.Push(append([]byte(nil), b...))
}
