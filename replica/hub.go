package replica

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// HubOptions say how a node takes connections of others. The functions may be nil.
type HubOptions struct {
	Me Identity
	// Cluster is the id of the cluster that this node's data belongs to, "" if it
	// has none yet. While leading it is the Source's.
	Cluster func() string
	// Secrets that are accepted, at most two; with none nobody is let in.
	Secrets [][]byte
	TLS     *tls.Config // nil: plain TCP
	Log     *slog.Logger
	// Proxy takes a client's connection that another node has brought, and closes it
	// when that is over.
	Proxy func(c net.Conn, hello []byte)
	// Heartbeat is how often the follower hears of the leader; 500 ms if 0.
	Heartbeat time.Duration
	Limits    Limits
	// CopyRate is how many bytes a second full copies may take, all together; 0 or no
	// function: no bound. It is asked again and again.
	CopyRate func() int64

	// What happens to followers, told by the goroutine of each. They must not wait
	// for anything, and not call Resign or Close. A follower has joined when it is
	// in the stream, and OnGone comes for who has joined only.
	OnJoin func(f *Peer)
	OnAck  func(f *Peer, a Ack)
	OnGone func(f *Peer, err error)
	// BeforeFullCopy returns when nobody counts on what this follower has any more;
	// it is called before a copy and before a cut. Its error ends the session.
	BeforeFullCopy func(ctx context.Context, f *Peer) error
	// OnStale: a peer knows of a higher epoch than the one led.
	OnStale func(epoch uint64)
}

// Limits bound what peers may cost. 0 is the default that each names.
type Limits struct {
	Handshake time.Duration // for all of the handshake: 5 s
	Pending   int           // connections in the handshake: 64
	Followers int           // 64
	Write     time.Duration // for 64 KiB to leave: 5 s
	Silence   time.Duration // of a follower: 3 s, at least four heartbeats
	Bulk      time.Duration // for each step of a full copy that nobody can watch: 30 min
	Chunk     int           // bytes of the log that are read at once: 256 KiB
}

func positive[T int | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

func (o *HubOptions) defaults() {
	positive(&o.Heartbeat, 500*time.Millisecond)
	positive(&o.Limits.Handshake, 5*time.Second)
	positive(&o.Limits.Pending, 64)
	positive(&o.Limits.Followers, 64)
	positive(&o.Limits.Write, 5*time.Second)
	positive(&o.Limits.Silence, max(3*time.Second, 4*o.Heartbeat))
	positive(&o.Limits.Bulk, 30*time.Minute)
	positive(&o.Limits.Chunk, 256<<10)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CopyRate == nil {
		o.CopyRate = func() int64 { return 0 }
	}
	if o.Cluster == nil {
		o.Cluster = func() string { return "" }
	}
	o.Secrets = secretsOf(o.Secrets)
}

// A Hub is what other nodes connect to: followers, while this node leads, and
// proxied clients at any time.
type Hub struct {
	o      HubOptions
	copies copyRate
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	lead      *leadership
	peers     map[string]*Peer // by id
	conns     map[net.Conn]struct{}
	pending   []net.Conn // in the handshake, oldest first
	listeners map[net.Listener]struct{}
	known     struct {
		leader string
		epoch  uint64
	}
	ended  map[string]uint64
	closed bool
}

// A leadership is the time between Lead and Resign.
type leadership struct {
	epoch  uint64
	source Source
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // sessions
}

// NewHub returns a hub that leads nothing and listens nowhere.
func NewHub(o HubOptions) *Hub {
	o.defaults()
	h := &Hub{
		o: o, peers: map[string]*Peer{}, conns: map[net.Conn]struct{}{},
		listeners: map[net.Listener]struct{}{}, ended: map[string]uint64{},
	}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	return h
}

// Listen takes the connections of a listener until Close, which closes it. It
// returns at once.
func (h *Hub) Listen(ln net.Listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		ln.Close()
		return
	}
	h.listeners[ln] = struct{}{}
	h.wg.Go(func() { h.accept(ln) })
}

// Lead begins a leadership: followers are taken from now on. One that is still
// there ends first.
func (h *Hub) Lead(epoch uint64, s Source) {
	h.Resign("the node leads in a new epoch", "")
	l := &leadership{epoch: epoch, source: s}
	l.ctx, l.cancel = context.WithCancelCause(h.ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.lead = l
		h.known.leader, h.known.epoch = h.o.Me.Name, max(epoch, h.known.epoch)
	}
}

// Resign ends the leadership: followers are told why and who is next, and when it
// returns all their sessions are over.
func (h *Hub) Resign(reason, next string) {
	h.mu.Lock()
	l := h.lead
	h.lead = nil
	if l != nil {
		h.known.leader = next
	}
	h.mu.Unlock()
	if l == nil {
		return
	}
	l.cancel(&resignedError{reason: reason, next: next})
	l.wg.Wait()
}

// resignedError is the cause by which sessions of a leadership end.
type resignedError struct{ reason, next string }

func (e *resignedError) Error() string { return ErrResigned.Error() + ": " + e.reason }
func (e *resignedError) Unwrap() error { return ErrResigned }

// Know tells the hub what it is to answer those who come to the wrong node.
func (h *Hub) Know(leader string, epoch uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known.leader, h.known.epoch = leader, max(epoch, h.known.epoch)
}

// Dropped tells the followers that the log begins at before now.
func (h *Hub) Dropped(before uint64) {
	h.each(func(p *Peer) { p.note(func() { p.dropped = before }) })
}

// SnapshotHint tells the followers that a snapshot was asked for.
func (h *Hub) SnapshotHint() {
	h.each(func(p *Peer) { p.note(func() { p.hint = true }) })
}

func (h *Hub) each(fn func(*Peer)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		fn(p)
	}
}

// Followers tells of all that are connected, by name.
func (h *Hub) Followers() []PeerState {
	list := []PeerState{}
	h.each(func(p *Peer) {
		if s := p.State(); s.State != Gone {
			list = append(list, s)
		}
	})
	slices.SortFunc(list, func(a, b PeerState) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return list
}

// Needs is the lowest position of the log that a follower which is connected has
// still to be sent; false if there is none. Who removes what is behind it makes
// that follower begin with a full copy.
func (h *Hub) Needs() (lsn uint64, ok bool) {
	h.each(func(p *Peer) {
		if at := p.needs.Load(); at != nowhere && (!ok || at < lsn) {
			lsn, ok = at, true
		}
	})
	return lsn, ok
}

// Ended counts the sessions that have ended, by Cause.
func (h *Hub) Ended() map[string]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make(map[string]uint64, len(h.ended))
	for cause, n := range h.ended {
		counts[cause] = n
	}
	return counts
}

// Close ends everything and waits for it.
func (h *Hub) Close() error {
	h.Resign("the node is shutting down", "")
	h.mu.Lock()
	h.closed = true
	h.cancel(ErrClosed)
	for ln := range h.listeners {
		ln.Close()
	}
	for c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
	return nil
}

// acceptPause is how long the listener rests when it fails, out of descriptors
// most likely.
const acceptPause = 100 * time.Millisecond

func (h *Hub) accept(ln net.Listener) {
	defer h.recovered("accept")
	defer ln.Close()
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			h.take(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			h.o.Log.Warn("a connection could not be accepted", "error", err)
			select {
			case <-h.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
		}
	}
}

func (h *Hub) recovered(where string) {
	if p := recover(); p != nil {
		h.o.Log.Error("replication panicked", "in", where, "panic", p)
	}
}

// take begins with a connection. When too many are in the handshake the oldest
// one goes: who knows the secret needs milliseconds.
func (h *Hub) take(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		c.Close()
		return
	}
	if len(h.pending) >= h.o.Limits.Pending {
		h.pending[0].Close()
		h.pending = slices.Delete(h.pending, 0, 1)
	}
	h.pending = append(h.pending, c)
	h.conns[c] = struct{}{}
	h.wg.Go(func() { h.serve(c) })
}

// settled: the handshake of a connection is over.
func (h *Hub) settled(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = slices.DeleteFunc(h.pending, func(p net.Conn) bool { return p == c })
}

func (h *Hub) serve(c net.Conn) {
	taken := false
	defer func() {
		h.settled(c)
		h.mu.Lock()
		delete(h.conns, c)
		h.mu.Unlock()
		if !taken {
			c.Close()
		}
	}()
	defer h.recovered("serve")
	addr := c.RemoteAddr().String()
	if err := c.SetDeadline(time.Now().Add(h.o.Limits.Handshake)); err != nil {
		return
	}
	nc, binding, err := secure(h.ctx, c, h.o.TLS, tls.Server)
	if err != nil {
		h.o.Log.Info("a replication connection failed", "peer", addr, "error", silence(err))
		return
	}
	w := newWire(nc)
	theirs, lead, err := h.shake(w, binding)
	h.settled(c)
	if err != nil {
		h.o.Log.Info("a replication connection was refused", "peer", addr, "error", err)
		return
	}
	if theirs.purpose == PurposeProxy {
		if nc.SetDeadline(time.Time{}) == nil {
			taken = true
			h.o.Proxy(nc, theirs.extra)
		}
		return
	}
	h.session(w, theirs, lead, addr)
}

// secure puts TLS on a connection, if it is to have it, and returns what binds
// the proofs of the handshake to that very session.
func secure(ctx context.Context, c net.Conn, config *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn) (net.Conn, []byte, error) {
	if config == nil {
		return c, nil, nil
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	t := side(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("TLS: %w", err)
	}
	state := t.ConnectionState()
	binding, err := state.ExportKeyingMaterial("EXPORTER-ferricd-replication", nil, nonceSize)
	return t, binding, err
}

// shake is the accepting side's handshake.
func (h *Hub) shake(w *wire, binding []byte) (theirs *hello, lead *leadership, err error) {
	a := &acceptor{mine: &hello{version: Version, id: h.o.Me}, secrets: h.o.Secrets, binding: binding}
	rand.Read(a.mine.nonce[:])
	var next event
	for {
		if next == nil {
			m, err := w.receive(acceptorTakes)
			if next = m; err != nil {
				next = malformed{err}
			}
		}
		out := a.step(next)
		next = nil
		for _, o := range out {
			switch o := o.(type) {
			case send:
				if err := w.send(o.m); err != nil {
					return nil, nil, err
				}
			case judge:
				next, lead = h.judge(o.theirs)
			case accepted:
				return o.theirs, lead, nil
			case fail:
				return nil, nil, o.err
			}
		}
	}
}

// judge says how this node stands to a peer that has shown the secret.
func (h *Hub) judge(theirs *hello) (standing, *leadership) {
	h.mu.Lock()
	l := h.lead
	s := standing{leader: h.known.leader, highest: h.known.epoch, proxies: h.o.Proxy != nil}
	if _, again := h.peers[theirs.id.ID]; !again && len(h.peers) >= h.o.Limits.Followers && theirs.purpose == PurposeStream {
		s.err = ErrBusy
	}
	h.mu.Unlock()
	s.cluster = h.o.Cluster()
	if l != nil {
		s.epoch, s.cluster = l.epoch, l.source.Cluster()
		if theirs.epoch > l.epoch && theirs.purpose == PurposeStream {
			h.stale(theirs.epoch)
		}
	}
	return s, l
}

func (h *Hub) stale(epoch uint64) {
	if h.o.OnStale != nil {
		h.o.OnStale(epoch)
	}
}
