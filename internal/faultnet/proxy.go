package faultnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Everyone is the peer that stands for all that have no Link of their own.
const Everyone = ""

// dialTime bounds how long the target is dialled.
const dialTime = 5 * time.Second

// A Path is what happens to the bytes of one direction.
type Path struct {
	Delay time.Duration // how much later they arrive
	Hold  bool          // they do not arrive while it is set
}

// A Link is what happens between a peer and the target.
type Link struct {
	ToTarget, ToClient Path
	Refuse             bool // new connections are reset
}

// Cut is a Link over which nothing passes.
var Cut = Link{ToTarget: Path{Hold: true}, ToClient: Path{Hold: true}}

// A Direction is one of the two of a connection.
type Direction int

// The directions, as seen from who dials.
const (
	ToTarget Direction = iota
	ToClient
)

func (l Link) path(d Direction) Path {
	if d == ToTarget {
		return l.ToTarget
	}
	return l.ToClient
}

// A Proxy passes connections on to one target.
type Proxy struct {
	ln     net.Listener
	who    func(net.Conn) string
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	target  string
	links   map[string]Link
	changed chan struct{} // closed and replaced when links change
	conns   map[*conn]struct{}
}

// Listen starts a proxy on a free port of the loopback interface. who tells whom a
// connection belongs to; nil means that all are everyone's.
func Listen(target string, who func(net.Conn) string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faultnet: %w", err)
	}
	if who == nil {
		who = func(net.Conn) string { return Everyone }
	}
	p := &Proxy{
		ln: ln, who: who, target: target, links: map[string]Link{},
		changed: make(chan struct{}), conns: map[*conn]struct{}{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.ln.Addr().(*net.TCPAddr).Port }

// Target changes where connections go from now on.
func (p *Proxy) Target(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Set puts a link into a state, for one peer or Everyone. Bytes that are being
// handed to a socket when it is called may still arrive.
func (p *Proxy) Set(peer string, l Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[peer] = l
	p.wake()
}

// Heal takes all faults away.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.links)
	p.wake()
}

// Reset resets the connections of a peer, or all of them for Everyone.
func (p *Proxy) Reset(peer string) {
	for _, c := range p.of(peer) {
		c.reset()
	}
}

// HalfClose ends one direction of the connections of a peer, or of all of them for
// Everyone. What is sent that way afterwards is thrown away.
func (p *Proxy) HalfClose(peer string, d Direction) {
	for _, c := range p.of(peer) {
		c.halfClose(d)
	}
}

// Conns returns how many connections a peer has, or all together for Everyone.
func (p *Proxy) Conns(peer string) int { return len(p.of(peer)) }

// Close ends the proxy and all its connections.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.ln.Close()
	p.Reset(Everyone)
	p.wg.Wait()
	return err
}

func (p *Proxy) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// link returns the state of a peer's link, and what is closed when any changes.
func (p *Proxy) link(peer string) (Link, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, own := p.links[peer]
	if !own {
		l = p.links[Everyone]
	}
	return l, p.changed
}

func (p *Proxy) of(peer string) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*conn
	for c := range p.conns {
		if peer == Everyone || c.peer == peer {
			out = append(out, c)
		}
	}
	return out
}

func (p *Proxy) accept() {
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			select { // out of descriptors, perhaps
			case <-time.After(10 * time.Millisecond):
			case <-p.ctx.Done():
				return
			}
			continue
		}
		p.wg.Go(func() { p.serve(nc.(*net.TCPConn)) })
	}
}

// serve passes on one connection until both its directions have ended.
func (p *Proxy) serve(client *net.TCPConn) {
	c := &conn{p: p, client: client, peer: p.who(client)}
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	defer c.reset() // nothing, after close
	if l, _ := p.link(c.peer); l.Refuse {
		return
	}
	p.mu.Lock()
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}()
	// A handshake needs both directions.
	if !c.free(ToTarget) || !c.free(ToClient) || !c.dial() {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.pass(ToTarget) })
	both.Go(func() { c.pass(ToClient) })
	both.Wait()
	c.close()
}
