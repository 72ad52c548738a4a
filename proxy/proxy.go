package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/router"
)

// Options are what a Proxy works with. Dial is needed.
type Options struct {
	// Dial connects to the leader and gives it the description of a client.
	Dial func(ctx context.Context, hello []byte) (net.Conn, error)
	// Leader tells which leadership Dial leads to, 0 when none is known, and what is
	// closed when that may have changed. nil: it never changes.
	Leader func() (epoch uint64, changed <-chan struct{})
	// Node is this node's name.
	Node string
	// Wait bounds how long a command waits for a leader: 15 s if 0, not at all if
	// negative.
	Wait time.Duration
	// Grace is how long a former leader may take to answer what it was sent: 1 s if 0.
	Grace time.Duration
	Log   *slog.Logger // nil: silent
}

// A Proxy takes the commands of this node's clients to the leader.
type Proxy struct {
	o      Options
	ctx    context.Context // ends with the Proxy
	cancel context.CancelFunc
	work   sync.WaitGroup
	counts struct{ dialled, failed, doubted atomic.Uint64 }

	mu     sync.Mutex // guards links
	links  map[uint64]*Link
	closed bool
}

// Counters are what a Proxy has done.
type Counters struct {
	Links   int    // connections
	Dialled uint64 // connections opened
	Failed  uint64 // commands given up for want of a leader
	Doubted uint64 // clients told that their last commands are in doubt
}

const (
	usualWait  = 15 * time.Second
	usualGrace = time.Second
)

// New returns a Proxy, which the caller ends with Close.
func New(o Options) *Proxy {
	if o.Wait == 0 {
		o.Wait = usualWait
	}
	if o.Grace == 0 {
		o.Grace = usualGrace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{o: o, links: map[uint64]*Link{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if o.Leader != nil {
		p.work.Go(p.watch)
	}
	return p
}

// Close breaks all links and returns when nothing of the Proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.cut(func(*Link) bool { return true })
	p.work.Wait()
	return nil
}

// Counters adds up.
func (p *Proxy) Counters() Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counters{Links: len(p.links), Dialled: p.counts.dialled.Load(), Failed: p.counts.failed.Load(), Doubted: p.counts.doubted.Load()}
}

// Open makes a client's way to the leader.
func (p *Proxy) Open(c *command.Client) router.Upstream { return newLink(p, c) }

var (
	_ router.Forwarder = (*Proxy)(nil)
	_ router.Upstream  = (*Link)(nil)
)

// leader is Options.Leader.
func (p *Proxy) leader() (epoch uint64, changed <-chan struct{}) {
	if p.o.Leader == nil {
		return 1, nil
	}
	return p.o.Leader()
}

// watch breaks what leads to a leader that is none any more, once it has had time to
// answer. A leader that hangs would not close its connections.
func (p *Proxy) watch() {
	defer p.recovered("watch")
	for {
		epoch, changed := p.leader()
		if epoch != 0 && !p.sleep(p.o.Grace) {
			return
		}
		if now, _ := p.leader(); epoch != 0 && now == epoch {
			p.cut(func(l *Link) bool { return l.epoch.Load() != epoch })
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return
		}
	}
}

// sleep returns false if the Proxy ends meanwhile.
func (p *Proxy) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Proxy) cut(which func(*Link) bool) {
	p.mu.Lock()
	var all []*Link
	for _, l := range p.links {
		if which(l) {
			all = append(all, l)
		}
	}
	p.mu.Unlock()
	for _, l := range all {
		l.hangUp()
	}
}

// enter notes a link that has a connection now; false: the Proxy has ended.
func (p *Proxy) enter(l *Link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l.client.ID] = l
	return true
}

func (p *Proxy) leave(l *Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[l.client.ID] == l {
		delete(p.links, l.client.ID)
	}
}

// idOf is the id that a client of this node has at the leader, 0 if it has none.
func (p *Proxy) idOf(client uint64) uint64 {
	p.mu.Lock()
	l := p.links[client]
	p.mu.Unlock()
	if l == nil {
		return 0
	}
	return l.remote.Load()
}

func (p *Proxy) recovered(where string) {
	if v := recover(); v != nil {
		p.o.Log.Error("panic in proxy", "where", where, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}
