package resp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Server is made with. The zero value is of use.
type Options struct {
	Limits    *Limits      // nil: NewLimits()
	Log       *slog.Logger // nil: nothing is logged
	Transport Transport
}

// A Transport says what waits for the clients of plain TCP. All others have a
// goroutine each, and so have these where there is no poller for loops.
type Transport int

// The transports.
const (
	TransportAuto      Transport = iota // event loops, where there is a poller for them
	TransportLoop                       // event loops, one per processor
	TransportGoroutine                  // a goroutine per connection
)

// Transports are all by their names.
var Transports = map[string]Transport{"auto": TransportAuto, "loop": TransportLoop, "goroutine": TransportGoroutine}

func (t Transport) loops() bool { return loopsWork && t != TransportGoroutine }

// A Server accepts connections and serves them.
type Server struct {
	handler  Handler
	toucher  Toucher // handler, if it is one
	limits   *Limits
	log      *slog.Logger
	began    time.Time
	draining atomic.Bool
	overSoft atomic.Int64 // connections above a soft output limit
	lastID   atomic.Uint64
	counters counters
	traffic  [stripes]traffic // of connections without a loop

	transport Transport
	loops     loops

	mu        sync.Mutex
	listeners map[*Listener]struct{}
	conns     map[uint64]*Conn
	open      int  // connections, those in their handshake too
	serving   bool // accept loops run
	closed    bool

	stop chan struct{}  // closed by Close and Shutdown
	wait sync.WaitGroup // accept loops, connections, the ticker
}

type counters struct {
	accepted, rejected, queryLimit, outputLimit atomic.Uint64
}

// NewServer returns a server that neither listens nor serves yet.
func NewServer(h Handler, o Options) *Server {
	s := &Server{
		handler: h, limits: o.Limits, log: o.Log, began: time.Now(), transport: o.Transport,
		listeners: make(map[*Listener]struct{}), conns: make(map[uint64]*Conn), stop: make(chan struct{}),
	}
	s.toucher, _ = h.(Toucher)
	if s.limits == nil {
		s.limits = NewLimits()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Limits are what the server goes by; they may be changed.
func (s *Server) Limits() *Limits { return s.limits }

// now is the server's clock: nanoseconds since it was made.
func (s *Server) now() int64 { return int64(time.Since(s.began)) }

// A Listener accepts connections for a Server.
type Listener struct {
	srv  *Server
	ln   net.Listener
	tls  *tls.Config // nil without TLS
	fast *acceptor   // for the loops; nil: ln accepts
	done sync.Once
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close ends accepting; connections stay.
func (l *Listener) Close() error {
	l.srv.mu.Lock()
	delete(l.srv.listeners, l)
	l.srv.mu.Unlock()
	return l.close()
}

func (l *Listener) close() (err error) {
	l.done.Do(func() {
		err = l.ln.Close()
		if l.fast != nil {
			l.fast.close()
		}
	})
	return err
}

// Listen listens on a TCP address, such as "127.0.0.1:6379".
func (s *Server) Listen(addr string) (*Listener, error) { return s.listenTCP(addr, nil) }

// ListenTLS listens on a TCP address for TLS. config is asked for each
// connection, so that certificates can change while the server runs.
func (s *Server) ListenTLS(addr string, config func() *tls.Config) (*Listener, error) {
	return s.listenTCP(addr, &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if c := config(); c != nil {
				return c, nil
			}
			return nil, errors.New("resp: TLS is not configured")
		},
	})
}

func (s *Server) listenTCP(addr string, config *tls.Config) (*Listener, error) {
	network := "tcp"
	if at, err := netip.ParseAddrPort(addr); err == nil { // so that 0.0.0.0 and :: can be listened on both
		if network = "tcp4"; at.Addr().Is6() {
			network = "tcp6"
		}
	}
	lc := net.ListenConfig{KeepAlive: -1} // set by tune, as the parameter says
	ln, err := lc.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	return s.add(ln, config)
}

// ListenUnix listens on a unix socket with the given permissions. A socket that
// a server has left behind is replaced, one in use and any other file are not.
func (s *Server) ListenUnix(path string, perm os.FileMode) (*Listener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode()&os.ModeSocket == 0 {
			return nil, &net.OpError{Op: "listen", Net: "unix", Err: errors.New(path + " exists and is not a socket")}
		}
		if nc, err := net.DialTimeout("unix", path, time.Second); err == nil {
			_ = nc.Close()
			return nil, &net.OpError{Op: "listen", Net: "unix", Err: errors.New(path + " is in use")}
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if perm != 0 {
		if err := os.Chmod(path, perm); err != nil {
			_ = ln.Close()
			return nil, err
		}
	}
	return s.add(ln, nil)
}

func (s *Server) add(ln net.Listener, config *tls.Config) (*Listener, error) {
	l := &Listener{srv: s, ln: ln, tls: config}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = ln.Close()
		return nil, net.ErrClosed
	}
	s.listeners[l] = struct{}{}
	if s.serving {
		s.start(l)
	}
	return l, nil
}

func (s *Server) start(l *Listener) {
	if len(s.loops.all) > 0 && l.tls == nil {
		l.fast, _ = newAcceptor(l.ln)
	}
	s.wait.Go(func() { s.acceptLoop(l) })
}

func (l *Listener) accept() (net.Conn, error) {
	if l.fast != nil {
		return l.fast.accept()
	}
	return l.ln.Accept()
}

// Serve accepts connections on all listeners, and on those added later, until
// Close or Shutdown; it returns when everything has ended. Called after them it
// returns net.ErrClosed.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.serving || s.closed {
		defer s.mu.Unlock()
		if s.closed {
			return net.ErrClosed
		}
		return errors.New("resp: Serve called twice")
	}
	s.serving = true
	s.startLoops()
	for l := range s.listeners {
		s.start(l)
	}
	s.wait.Go(s.tickLoop)
	s.mu.Unlock()
	<-s.stop
	s.ended()
	return nil
}

// ended returns when everything has ended; connections end on their own.
func (s *Server) ended() {
	s.wait.Wait()
	s.endLoops()
}

func (s *Server) acceptLoop(l *Listener) {
	const least, most = 5 * time.Millisecond, time.Second
	pause := least
	for {
		nc, err := l.accept()
		if err == nil {
			pause = least
			s.accepted(l, nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.log.Warn("accept failed", "addr", l.Addr().String(), "err", err, "pause", pause)
		select { // out of descriptors, most likely: trying again at once would only spin
		case <-time.After(pause):
			pause = min(2*pause, most)
		case <-s.stop:
			return
		}
	}
}

func (s *Server) accepted(l *Listener, nc net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic at accept", "panic", p)
			dispose(nc)
		}
	}()
	s.counters.accepted.Add(1)
	limit := s.limits.MaxClients.Load()
	if isLocal(nc) {
		limit += s.limits.Reserved.Load()
	}
	s.mu.Lock()
	full := int64(s.open) >= limit
	if full || s.closed || s.draining.Load() {
		s.mu.Unlock()
		s.reject(l, nc, full)
		return
	}
	s.open++
	c := newConn(s, s.lastID.Add(1), nc)
	c.loop = s.adopt(nc)
	if l.tls != nil {
		c.tls = tls.Server(nc, l.tls)
		c.nc, c.raw = c.tls, nil
	}
	s.conns[c.ID] = c
	if c.loop != nil {
		s.wait.Add(1)
		s.loops.away.Add(1)
		c.evented.word.Store(sockAside)
		s.mu.Unlock()
		c.begin()
		return
	}
	s.wait.Go(c.main)
	s.mu.Unlock()
}

func (s *Server) reject(l *Listener, nc net.Conn, full bool) {
	if full {
		s.counters.rejected.Add(1)
		if l.tls == nil {
			_ = nc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = io.WriteString(nc, "-ERR max number of clients reached\r\n")
		}
	}
	dispose(nc)
}

// dispose closes what has not become a connection.
func dispose(nc net.Conn) {
	_ = nc.Close()
	if s, ok := nc.(*sock); ok {
		s.free()
	}
}

// tune sets what is to be set on a TCP socket.
func (s *Server) tune(nc net.Conn) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	d := time.Duration(s.limits.TCPKeepalive.Load())
	if d <= 0 {
		_ = t.SetKeepAlive(false)
		return
	}
	_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: d, Interval: max(d/3, time.Second), Count: 3})
}

// forget is called once for each connection, at its end.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c.ID)
	s.open--
	s.mu.Unlock()
}

func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Conns yields the connections for which Open has returned, in the order in
// which they were accepted.
func (s *Server) Conns() iter.Seq[*Conn] {
	all := slices.DeleteFunc(s.snapshot(), func(c *Conn) bool { return !c.opened.Load() })
	slices.SortFunc(all, func(a, b *Conn) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Values(all)
}

// Conn returns the connection with the given id, or nil if Conns would not
// yield it.
func (s *Server) Conn(id uint64) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[id]; c != nil && c.opened.Load() {
		return c
	}
	return nil
}

// tickLoop looks once a second for clients to close.
func (s *Server) tickLoop() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tick()
		case <-s.stop:
			return
		}
	}
}

func (s *Server) tick() {
	idle := s.limits.IdleTimeout.Load()
	slow := s.limits.Normal.Soft.Load() > 0 || s.overSoft.Load() > 0
	if idle <= 0 && !slow {
		return
	}
	now := s.now()
	for _, c := range s.snapshot() {
		if slow {
			c.closeIfSlow()
		}
		if idle > 0 && c.Class() == ClassNormal && now-c.stats.active.Load() > idle {
			c.closeIdle("idle timeout")
		}
	}
}

// Shutdown ends accepting, closes the connections that wait for their clients,
// and the others when their batch is done. When ctx ends first, it closes them
// all and returns its error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.closeListeners()
	for _, c := range s.snapshot() {
		c.closeIdle("shutdown")
	}
	done := make(chan struct{})
	go func() {
		s.ended()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		_ = s.Close()
		<-done
		return ctx.Err()
	}
}

// Close ends everything at once and returns when it has ended.
func (s *Server) Close() error {
	s.draining.Store(true)
	s.closeListeners()
	for _, c := range s.snapshot() {
		c.Kill("server closed")
	}
	s.ended()
	return nil
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	all := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	for l := range all {
		_ = l.close()
	}
}

// Totals are the server's counters since it was made.
type Totals struct {
	Clients               int    // open now
	Accepted, Rejected    uint64 // Rejected: by MaxClients
	NetIn, NetOut         uint64
	Reads, Writes         uint64 // calls of the system
	QueryLimitDisconnect  uint64
	OutputLimitDisconnect uint64
}

// Totals adds up what the loops and the other connections have counted. What a loop
// sends counts at the end of its turn.
func (s *Server) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Totals{
		Clients: s.open, Accepted: s.counters.accepted.Load(), Rejected: s.counters.rejected.Load(),
		QueryLimitDisconnect: s.counters.queryLimit.Load(), OutputLimitDisconnect: s.counters.outputLimit.Load(),
	}
	for i := range s.traffic {
		s.traffic[i].addTo(&t)
	}
	for _, l := range s.loops.all {
		l.traffic.addTo(&t)
	}
	return t
}
