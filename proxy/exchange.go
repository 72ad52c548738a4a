package proxy

import (
	"time"

	"github.com/ferricd/ferricd/router"
)

// Do sends what was added and hands over the replies.
func (l *Link) Do(out router.Replies, stop <-chan struct{}) (answered int, err error) {
	defer func() {
		l.run = l.run[:0]
		l.out.reset()
	}()
	deadline := time.Now().Add(l.proxy.o.Wait)
	for answered < len(l.run) {
		if l.broken() {
			if l.run[answered].kept {
				l.Close()
				return answered, router.ErrLost
			}
			l.drop()
		}
		if err := l.connect(deadline, stop); err != nil {
			l.Close() // the leader keeps nothing: what was added has not been sent
			return answered, err
		}
		n, err := l.exchange(answered, out)
		answered += n
		if err == nil || answered == len(l.run) {
			continue
		}
		again, err := l.failed(answered, err)
		if !again {
			l.Close()
			return answered, err
		}
	}
	l.mu.Lock()
	l.kept = l.real
	l.mu.Unlock()
	l.listens()
	return answered, nil
}

// broken tells whether the connection has ended while nothing was asked of it.
func (l *Link) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nc != nil && l.ended
}

// A broke says why an exchange ended early.
type broke struct {
	sent int   // commands that were sent as a whole
	gone error // of the client; nil: the leader's connection
}

func (b *broke) Error() string { return "proxy: the connection to the leader broke" }

// failed judges an exchange that ended before command number next was answered; again:
// the rest may be sent to another leader.
func (l *Link) failed(next int, err error) (again bool, why error) {
	b := err.(*broke)
	l.mu.Lock()
	refused, doubted, whole := l.refused, l.doubted, l.whole
	l.mu.Unlock()
	switch {
	case b.gone != nil || doubted || !whole: // the client has been told, or cannot be
		return false, router.ErrLost
	case !refused && b.sent > next:
		l.proxy.counts.doubted.Add(1)
		return false, router.ErrCutOff
	case l.run[next].kept:
		return false, router.ErrLost
	}
	l.drop()
	return true, nil
}

// exchange sends the commands from number first on, and takes their replies.
func (l *Link) exchange(first int, out router.Replies) (answered int, err error) {
	skip := 0
	if first > 0 {
		skip = l.run[first-1].end
	}
	var news writing
	l.mu.Lock()
	for _, args := range l.news() {
		news.add(args)
		l.expect = append(l.expect, expected{own: true, muted: true})
	}
	l.expect = append(l.expect, l.run[first:]...)
	l.answered, l.attached = 0, true
	l.mu.Unlock()
	sent, wrote := skip, make(chan struct{})
	write := func() {
		defer close(wrote)
		defer l.proxy.recovered("write")
		n := 0
		_, err := news.send(l.nc, 0)
		if err == nil {
			n, err = l.out.send(l.nc, skip)
		}
		if sent += n; err != nil {
			_ = l.nc.Close() // the reader ends, and has seen all answers that there are
		}
	}
	if l.out.size-skip <= longWord {
		write()
	} else {
		go write() // the leader may want its replies to be read first
	}
	gone := l.take(out)
	if gone != nil {
		_ = l.nc.Close()
	}
	<-wrote
	l.mu.Lock()
	answered = l.answered
	l.mu.Unlock()
	if first+answered == len(l.run) {
		return answered, nil
	}
	whole := 0
	for whole < len(l.run) && l.run[whole].end <= sent {
		whole++
	}
	return answered, &broke{sent: whole, gone: gone}
}

// take hands over what comes until everything is answered, or nothing comes any more.
// An error is the client's.
func (l *Link) take(out router.Replies) error {
	for {
		b, done, whole := l.taken()
		if len(b) > 0 {
			if err := out.Reply(b); err != nil {
				return err
			}
			continue
		}
		if done {
			return nil
		}
		if err := out.Pause(whole); err != nil {
			return err
		}
		select {
		case <-l.wake:
		case <-l.client.Conn.Gone():
			return router.ErrLost
		}
	}
}

// taken returns what has come; done: there will be no more for this run.
func (l *Link) taken() (b []byte, done, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > 0 {
		b = l.buf
		l.buf, l.spare = l.spare[:0], b
		poke(l.room)
		return b, false, l.whole
	}
	done = l.ended || len(l.expect) == 0 && l.whole
	if done {
		l.attached = false
		if cap(l.buf)+cap(l.spare) > readMost {
			l.buf, l.spare = nil, nil
		}
	}
	return nil, done, l.whole
}
