package proxy

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/router"
)

// A Link is one client's way to the leader. It belongs to the client's goroutine; the
// fields below mu are shared with the goroutine that reads.
type Link struct {
	proxy  *Proxy
	client *command.Client
	kept   kept       // if what was added succeeds
	run    []expected // what the commands that were added will be answered by
	out    writing
	epoch  atomic.Uint64 // of the leadership that the connection leads to
	remote atomic.Uint64 // the client's id there, 0 until it is known
	told   *resp.Origin  // what the leader takes the client for

	nc   net.Conn      // nil without a connection
	done chan struct{} // closed when its reader has ended

	mu       sync.Mutex
	sock     net.Conn   // nc, for those who end it
	expect   []expected // in order
	real     kept       // as the replies have told
	subs     subscriptions
	answered int    // commands of the run
	buf      []byte // for the client, not taken yet
	spare    []byte
	attached bool // the client's goroutine takes what comes
	whole    bool // nothing in buf or taken from it is the beginning of something
	ended    bool // the reader has
	refused  bool // by a MASTERDOWN or LOADING, which was kept back
	doubted  bool // the client has been told INDOUBT
	wake     chan struct{}
	room     chan struct{}
}

// bufferMost is how much of replies is kept that the client has not been sent.
const bufferMost = 256 << 10

func newLink(p *Proxy, c *command.Client) *Link {
	return &Link{proxy: p, client: c, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), whole: true}
}

// Add puts a command behind those that are sent next.
func (l *Link) Add(spec *command.Spec, args [][]byte, muted bool) {
	e := l.note(spec, args)
	l.out.add(l.reworded(spec, args))
	e.muted, e.end = muted, l.out.size
	l.run = append(l.run, e)
}

// Pinned tells whether the leader keeps something that would be lost.
func (l *Link) Pinned() bool {
	if l.kept.any() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs.any()
}

// Captive tells whether everything goes to the leader.
func (l *Link) Captive() bool {
	if l.kept.multi || l.kept.sticky {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs.any() && l.client.Proto() == 2
}

// Close ends the connection and forgets what was kept there.
func (l *Link) Close() {
	l.drop()
	l.mu.Lock()
	l.kept, l.subs = kept{}, subscriptions{}
	l.mu.Unlock()
	l.run = l.run[:0]
	l.out.reset()
	l.listens()
}

// listens lets the client's connection be treated as a subscriber's, or not.
func (l *Link) listens() {
	l.mu.Lock()
	on := l.subs.any()
	l.mu.Unlock()
	on = on || l.client.Subs().Total() > 0
	if l.client.Has(command.ClientPubSub) == on {
		return
	}
	l.client.SetFlag(command.ClientPubSub, on)
	class := resp.ClassNormal
	if on {
		class = resp.ClassPubSub
	}
	l.client.Conn.SetClass(class)
}

// drop ends the connection.
func (l *Link) drop() {
	if l.nc == nil {
		return
	}
	l.mu.Lock()
	l.attached, l.sock = false, nil // the reader need not tell
	l.mu.Unlock()
	_ = l.nc.Close()
	poke(l.room)
	<-l.done
	l.nc = nil
	l.proxy.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expect, l.real, l.subs = nil, kept{}, subscriptions{awaited: l.subs.awaited}
	l.buf, l.whole, l.ended, l.refused = l.buf[:0], true, false, false
}

// hangUp is drop for other goroutines: who reads will notice.
func (l *Link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sock != nil {
		_ = l.sock.Close()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// connect makes a connection unless there is one that works. It waits for a leader
// until the deadline.
func (l *Link) connect(deadline time.Time, stop <-chan struct{}) error {
	const least, most = 20 * time.Millisecond, 500 * time.Millisecond
	pause := least
	for {
		if l.nc != nil {
			return nil
		}
		epoch, changed := l.proxy.leader()
		if epoch != 0 && l.dial(epoch, deadline, stop) {
			return nil
		}
		if err := l.sleep(deadline, pause, epoch != 0, changed, stop); err != nil {
			return err
		}
		pause = min(2*pause, most)
	}
}

// sleep waits until trying again may be of use: somebody else leads or, if somebody is
// known to, a pause is over.
func (l *Link) sleep(deadline time.Time, pause time.Duration, known bool, changed, stop <-chan struct{}) error {
	left := time.Until(deadline)
	if left <= 0 {
		l.proxy.counts.failed.Add(1)
		return router.ErrNoLeader
	}
	if known || changed == nil {
		left = min(left, pause)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-stop:
		return router.ErrStopped
	case <-l.client.Conn.Gone():
		return router.ErrLost
	case <-l.proxy.ctx.Done():
		return router.ErrNoLeader
	}
	return nil
}

func (l *Link) dial(epoch uint64, deadline time.Time, stop <-chan struct{}) bool {
	ctx, cancel := context.WithDeadline(l.proxy.ctx, deadline)
	defer cancel()
	over := make(chan struct{})
	watched := make(chan struct{})
	go func() { // ended below
		defer close(watched)
		defer l.proxy.recovered("dial")
		select {
		case <-stop:
			cancel()
		case <-l.client.Conn.Gone():
			cancel()
		case <-over:
		}
	}()
	l.told = l.origin()
	nc, err := l.proxy.o.Dial(ctx, EncodeHello(l.told))
	close(over)
	<-watched
	if err != nil {
		l.proxy.o.Log.Debug("the leader cannot be reached", "error", err)
		return false
	}
	// Dialling goes on from one leader to the next. To whom it has come at last is only
	// known if nobody else has led meanwhile, and whoever is taken for a former leader
	// is hung up in the middle of a call.
	if now, _ := l.proxy.leader(); now != epoch {
		_ = nc.Close()
		return false
	}
	l.proxy.counts.dialled.Add(1)
	return l.begin(nc, epoch)
}

// begin takes a new connection. The first thing it asks is the client's number there:
// before that is answered nothing is sent, so that no command is in doubt because the
// other node took no more clients, or does not lead.
func (l *Link) begin(nc net.Conn, epoch uint64) bool {
	l.epoch.Store(epoch)
	l.remote.Store(0)
	l.mu.Lock()
	l.sock, l.expect = nc, append(l.expect[:0], expected{own: true, muted: true, tells: true})
	l.mu.Unlock()
	l.nc, l.done = nc, make(chan struct{})
	if !l.proxy.enter(l) {
		_ = nc.Close()
	}
	go l.read(nc, l.done)
	_ = nc.SetWriteDeadline(time.Now().Add(sendMost))
	if _, err := nc.Write([]byte("*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n")); err == nil && l.welcomed() {
		return true
	}
	l.drop()
	return false
}

// welcomed waits until the leader has answered who the client is.
func (l *Link) welcomed() bool {
	timer := time.NewTimer(sendMost)
	defer timer.Stop()
	for l.remote.Load() == 0 {
		l.mu.Lock()
		ended := l.ended
		l.mu.Unlock()
		if ended {
			return false
		}
		select {
		case <-l.wake:
		case <-timer.C:
			return false
		case <-l.client.Conn.Gone():
			return false
		}
	}
	return true
}

// news are the commands that tell the leader what has changed about the client since
// it was told last.
func (l *Link) news() (commands [][][]byte) {
	now, was := l.origin(), l.told
	l.told = now
	add := func(changed bool, words ...string) {
		if changed {
			args := make([][]byte, len(words))
			for i, w := range words {
				args[i] = []byte(w)
			}
			commands = append(commands, args)
		}
	}
	add(now.Proto != was.Proto, "HELLO", strconv.Itoa(now.Proto))
	add(now.DB != was.DB, "SELECT", strconv.Itoa(now.DB))
	add(now.Name != was.Name, "CLIENT", "SETNAME", now.Name)
	add(now.LibName != was.LibName, "CLIENT", "SETINFO", "LIB-NAME", now.LibName)
	add(now.LibVer != was.LibVer, "CLIENT", "SETINFO", "LIB-VER", now.LibVer)
	return commands
}

func (l *Link) origin() *resp.Origin {
	c := l.client
	o := &resp.Origin{
		Node: l.proxy.o.Node, ID: c.ID, Addr: c.Conn.RemoteAddr(), Name: c.Name(), User: c.User,
		DB: c.DB(), Proto: c.Proto(), Authenticated: true, // who is not sends nothing here
	}
	o.LibName, o.LibVer = c.Library()
	return o
}

// writing is what is to be sent: the commands one behind the other. Long words are not
// copied.
type writing struct {
	parts net.Buffers
	small []byte // what was written since the last part
	size  int
}

const longWord = 16 << 10

func (w *writing) add(args [][]byte) {
	from := len(w.small)
	w.small = append(w.small, '*')
	w.small = strconv.AppendInt(w.small, int64(len(args)), 10)
	w.small = append(w.small, '\r', '\n')
	for _, a := range args {
		w.small = append(w.small, '$')
		w.small = strconv.AppendInt(w.small, int64(len(a)), 10)
		w.small = append(w.small, '\r', '\n')
		if len(a) >= longWord {
			w.size += len(w.small) - from + len(a)
			w.parts = append(w.parts, w.small, a)
			w.small, from = nil, 0
		} else {
			w.small = append(w.small, a...)
		}
		w.small = append(w.small, '\r', '\n')
	}
	w.size += len(w.small) - from
}

func (w *writing) reset() {
	clear(w.parts)
	if w.parts, w.size = w.parts[:0], 0; cap(w.small) > 4*longWord {
		w.small = nil
	}
	w.small = w.small[:0]
}

// sendMost is how long the leader may take to take a little.
const sendMost = 10 * time.Second

// send sends all but the first skip bytes, and returns how many that were.
func (w *writing) send(nc net.Conn, skip int) (int, error) {
	_ = nc.SetWriteDeadline(time.Now().Add(sendMost))
	if len(w.parts) == 0 {
		return nc.Write(w.small[skip:])
	}
	_ = nc.SetWriteDeadline(time.Time{}) // it is ended by closing
	all := append(append(net.Buffers(nil), w.parts...), w.small)
	for skip > 0 {
		n := min(skip, len(all[0]))
		if all[0] = all[0][n:]; len(all[0]) == 0 {
			all = all[1:]
		}
		skip -= n
	}
	n, err := all.WriteTo(nc)
	return int(n), err
}
