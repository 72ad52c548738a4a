package replica

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
)

// TestStrangers: who does not know the secret learns nothing, and costs little for
// a short time.
func TestStrangers(t *testing.T) {
	a := holds(t, "a")
	_, patient := hub(t, a, 7, HubOptions{})
	_, hasty := hub(t, a, 0, HubOptions{Limits: Limits{Handshake: 50 * time.Millisecond}})
	wrong := samples()[0].(*hello)
	for _, c := range []struct {
		name  string
		says  []byte
		hears error // what the refusal is, nil: none comes
	}{
		{"nothing", nil, nil},
		{"half a message", wired(t, wrong)[:20], nil},
		{"a browser", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ErrProtocol},
		{"too much", payloadOf(kindHello, make([]byte, kindHello.maxPayload()+1)), ErrProtocol},
		{"another version", versioned(t, wrong, Version+1), ErrVersion},
		{"a guess", append(wired(t, wrong), wired(t, &proof{macs: make([][macSize]byte, 2)})...), ErrSecret},
		{"a position at once", wired(t, &position{}), ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := patient
			if c.hears == nil {
				addr = hasty
			}
			nc, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer nc.Close()
			require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
			_, err = nc.Write(c.says)
			require.NoError(t, err)
			var heard error
			for w := newWire(nc); ; {
				m, err := w.receive(dialerTakes)
				if err != nil {
					require.NotErrorIs(t, err, ErrSilent, "the hub does not close")
					break
				}
				if r, ok := m.(*refuse); ok {
					heard = refusals[r.code]
				}
			}
			require.Equal(t, c.hears, heard)
		})
	}
}

// versioned is a hello that says it is of another version.
func versioned(t require.TestingT, m *hello, version uint16) []byte {
	b := wired(t, m)
	binary.LittleEndian.PutUint16(b[headSize+len(magic):], version)
	return payloadOf(kindHello, b[headSize:])
}

// TestSlowLoris: a byte now and then does not buy more time.
func TestSlowLoris(t *testing.T) {
	a := holds(t, "a")
	_, addr := hub(t, a, 7, HubOptions{Limits: Limits{Handshake: 50 * time.Millisecond}})
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	hello := versioned(t, samples()[0].(*hello), Version)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	closed := make(chan error, 1)
	go func() {
		_, err := nc.Read(make([]byte, 1))
		closed <- err
	}()
	for sent := 0; ; sent++ {
		select {
		case err := <-closed:
			require.NotErrorIs(t, silence(err), ErrSilent)
			return
		case <-tick.C:
			_, _ = nc.Write(hello[sent%len(hello):][:1])
		}
	}
}

// TestTheHandshakesAreBounded: who waits longest goes when there are too many, and
// who knows the secret comes through between them.
func TestTheHandshakesAreBounded(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	h, addr := hub(t, a, 7, HubOptions{Limits: Limits{Handshake: patience, Pending: 4}})
	var idle []net.Conn
	for range 12 {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer nc.Close()
		idle = append(idle, nc)
	}
	for _, nc := range idle[:8] {
		require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
		_, err := nc.Read(make([]byte, 1))
		require.NotErrorIs(t, silence(err), ErrSilent)
	}
	begins(t, options(b, addr))
	b.awaits(a.write(1, 1))
	h.mu.Lock()
	defer h.mu.Unlock()
	require.LessOrEqual(t, len(h.pending), 4)
}

func TestRefusals(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	h, addr := hub(t, a, 0, HubOptions{Limits: Limits{Followers: 1}})
	h.Know("c", 5)
	refusal := func(change func(*FollowOptions)) error {
		o := options(b, addr)
		change(&o)
		return Follow(context.Background(), o)
	}
	nothing := func(*FollowOptions) {}
	require.ErrorIs(t, refusal(nothing), ErrNotLeader)
	a.lead(7)
	h.Lead(7, a)
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Secrets = [][]byte{[]byte("wrong")} }), ErrSecret)
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Secrets = nil }), ErrSecret)
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Cluster = "d" }), ErrCluster)
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Me.ID = a.id().ID }), ErrSelf)
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Me.ID = "" }), ErrSelf)
	begins(t, options(b, addr))
	b.awaits(a.write(1, 1))
	require.ErrorIs(t, refusal(func(o *FollowOptions) { o.Me.ID = "another" }), ErrBusy)
	require.NoError(t, h.Close())
	require.Error(t, refusal(nothing))
}

// impostor plays a leader that knows the secret: after the handshake it says what a
// script says, and then waits for the follower to go.
func impostor(t cleaner, epoch uint64, script func(w *wire)) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		h := NewHub(HubOptions{Me: Identity{Name: "x", ID: "x"}, Secrets: secrets})
		h.lead = &leadership{epoch: epoch, source: &node{}}
		w := newWire(nc)
		if _, _, err := h.shake(w, nil); err == nil {
			script(w)
			_, _ = io.Copy(io.Discard, nc)
		}
	}()
	return ln.Addr().String()
}

// TestHostileLeader: whatever a leader says that is out of its mind, the follower
// keeps what it has and goes.
func TestHostileLeader(t *testing.T) {
	donor := holds(t, "donor")
	donor.lead(5)
	donor.awaits(donor.write(3, 10))
	tail, err := donor.Tail(0)
	require.NoError(t, err)
	defer func() { _ = tail.Close() }()
	var good []byte
	for good == nil {
		c, err := tail.Next(context.Background(), 1<<20)
		require.NoError(t, err)
		good = append(good, c.Frames...)
	}
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	continues := func(list ...message) func(*wire) {
		return func(w *wire) {
			for _, m := range append([]message{&resume{epoch: 6, from: 0}}, list...) {
				_ = w.send(m)
			}
		}
	}
	copies := func(list ...FileInfo) func(*wire) {
		return func(w *wire) {
			_ = w.send(&fullCopy{epoch: 6})
			_ = w.send(&files{list: list})
		}
	}
	var frame *aof.FramesError
	for _, c := range []struct {
		name   string
		script func(*wire)
		is     error
		as     any
	}{
		{"a flipped bit in the data", continues(&frames{data: flip(len(good) - 1)}), nil, &frame},
		{"a flipped bit in the epoch", continues(&frames{data: flip(8)}), nil, &frame},
		{"half a frame", continues(&frames{data: good[:len(good)-1]}), nil, &frame},
		{"a position that is not theirs", continues(&frames{data: good[len(good)/2:]}), nil, &frame},
		{"a gap", continues(&frames{first: 1, data: good}), ErrProtocol, nil},
		{"an epoch that goes back", continues(&segment{epoch: 6}, &segment{epoch: 3}, &frames{data: good}, &segment{first: uint64(len(good)), epoch: 4}), aof.ErrEpoch, nil},
		{"a path that leads out", copies(FileInfo{Name: "../x"}), ErrProtocol, nil},
		{"a path of the system", copies(FileInfo{Name: "/etc/x"}), ErrProtocol, nil},
		{"bytes without a meaning", func(w *wire) { _, _ = w.c.Write(bytes.Repeat([]byte{0xff}, 100)) }, ErrProtocol, nil},
		{"four gigabytes", func(w *wire) {
			head := payloadOf(kindChunk, nil)
			binary.LittleEndian.PutUint32(head, 1<<32-1)
			_, _ = w.c.Write(head)
		}, ErrProtocol, nil},
		{"silence", func(*wire) {}, ErrSilent, nil},
		{"its end", func(w *wire) { w.c.Close() }, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := holds(t, "b")
			o := options(b, impostor(t, 6, c.script))
			if c.is == ErrSilent {
				o.Silence = 50 * time.Millisecond
			}
			err := Follow(context.Background(), o)
			require.Error(t, err)
			if c.as != nil {
				require.ErrorAs(t, err, c.as)
			} else if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			if c.is != aof.ErrEpoch {
				require.Zero(t, b.End())
			}
			require.Len(t, b.files(), len(b.current().History()))
		})
	}
	// The frames themselves are as they should be.
	b := holds(t, "b")
	begins(t, options(b, impostor(t, 6, continues(&segment{epoch: 5}, &frames{data: good}))))
	b.awaits(uint64(len(good)))
}

// TestHostileFollower: what a follower says that knows the secret ends its session
// and nothing else.
func TestHostileFollower(t *testing.T) {
	a := holds(t, "a")
	patient, addr := hub(t, a, 7, HubOptions{Limits: Limits{Silence: patience}})
	hasty, soonOver := hub(t, a, 0, HubOptions{Limits: Limits{Silence: 50 * time.Millisecond}})
	hasty.Lead(7, a)
	a.awaits(a.write(10, 10))
	end := a.End()
	raw := func(b []byte) func(*wire) { return func(w *wire) { _, _ = w.c.Write(b) } }
	says := func(list ...message) func(*wire) {
		return func(w *wire) {
			for _, m := range list {
				_ = w.send(m)
			}
		}
	}
	for _, c := range []struct {
		name   string
		script func(*wire)
		cause  string
	}{
		{"a history of a thousand million", raw(payloadOf(kindPosition, []byte{0, 0, 0, 64, 1, 2, 3, 4})), "protocol"},
		{"more than it was sent", says(&position{}, &ack{epoch: 7, received: end + 1}), "protocol"},
		{"a file that nobody offered", says(&position{history: []aof.EpochStart{{Epoch: 3}}, end: 10}, &request{list: []Want{{Name: "manifest.json"}}}), "protocol"},
		{"frames", says(&frames{data: []byte("frames")}), "protocol"},
		{"it is half open", says(&position{}), "silent"},
		{"a message that never ends", raw(payloadOf(kindPosition, make([]byte, 12))[:15]), "silent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, addr := patient, addr
			if c.cause == "silent" {
				h, addr = hasty, soonOver
			}
			before := h.Ended()[c.cause]
			d := Dial{Secrets: secrets}
			w, _, err := d.connect(context.Background(), addr, d.hello(PurposeStream, Identity{Name: "b", ID: c.name}, 0, nil))
			require.NoError(t, err)
			defer w.c.Close()
			require.NoError(t, w.c.SetDeadline(time.Now().Add(patience)))
			c.script(w)
			_, err = io.Copy(io.Discard, w.c)
			require.NotErrorIs(t, silence(err), ErrSilent, "the hub does not close")
			require.Eventually(t, func() bool { return h.Ended()[c.cause] == before+1 }, patience, time.Millisecond,
				"%v", h.Ended())
		})
	}
	b := holds(t, "b")
	begins(t, options(b, addr))
	b.awaits(a.write(1, 1))
}

// A mute connection takes nothing any more when it is told.
type mute struct {
	net.Conn
	on     atomic.Bool
	failed chan struct{}
	once   sync.Once
}

func (m *mute) Write(b []byte) (int, error) {
	if m.on.Load() {
		m.once.Do(func() { close(m.failed) })
		return 0, errFlaky
	}
	return m.Conn.Write(b)
}

// TestTheGoodbyeIsRead although acknowledgements cannot be sent any more.
func TestTheGoodbyeIsRead(t *testing.T) {
	a, b := holds(t, "a"), holds(t, "b")
	a.lead(5)
	a.awaits(a.write(1, 4*piece)) // more than is read ahead
	tail, err := a.Tail(0)
	require.NoError(t, err)
	defer func() { _ = tail.Close() }()
	o := options(b, impostor(t, 6, func(w *wire) {
		_ = w.send(&resume{epoch: 6})
		for at := uint64(0); at < a.End(); {
			c, err := tail.Next(context.Background(), 1<<20)
			if err != nil {
				return
			}
			if at = c.End; len(c.Frames) > 0 {
				_ = w.send(&frames{first: c.First, data: c.Frames})
			}
		}
		_ = w.send(&goodbye{reason: "bye"})
	}))
	m := &mute{failed: make(chan struct{})}
	o.Network = func(ctx context.Context, addr string) (nc net.Conn, err error) {
		m.Conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return m, err
	}
	o.OnState = func(p Progress) {
		if p.State == Streaming {
			m.on.Store(true)
		}
	}
	o.Heartbeat, o.Silence = time.Millisecond, patience
	b.blockAppend = m.failed
	require.ErrorIs(t, Follow(context.Background(), o), ErrGoodbye)
	require.Equal(t, a.End(), b.End())
}

func TestNamesOfFiles(t *testing.T) {
	for name, ok := range map[string]bool{
		"log-00000000000000000000.fer":          true,
		"snapshot-00000000000000000300.fer":     true,
		"log-18446744073709551615.fer":          true,
		"log-18446744073709551616.fer":          false,
		"log-0000000000000000030.fer":           false,
		"log-+0000000000000000300.fer":          false,
		"log-0000000000000000_300.fer":          false,
		"log-00000000000000000300":              false,
		"log-snapshot-00000000000000000300.fer": false,
		"snapshot-log-00000000000000000300.fer": false,
		"00000000000000000300.fer":              false,
		"./log-00000000000000000300.fer":        false,
		"x/../log-00000000000000000300.fer":     false,
		"log-00000000000000000300.fer/../../x":  false,
		"log-0000000000000000030/.fer":          false,
		"log-00000000000000000300.fer\x00.fer":  false,
		"LOG-00000000000000000300.fer":          false,
		"log-00000000000000000300.fer.broken":   false,
		"staging-log-00000000000000000300.fer":  false,
		"manifest.json":                         false,
		"LOCK":                                  false,
		"..":                                    false,
		"":                                      false,
	} {
		require.Equal(t, ok, isDataFile(name), "%q", name)
	}
}

// identityOf makes a certificate for the loopback address.
func identityOf(t *testing.T) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

func TestTLS(t *testing.T) {
	server, client := identityOf(t)
	a, b := holds(t, "a"), holds(t, "b")
	proxied := make(chan []byte, 1)
	h, addr := hub(t, a, 7, HubOptions{TLS: server, Proxy: func(_ net.Conn, hello []byte) { proxied <- hello }})
	o := options(b, addr)
	require.Error(t, Follow(context.Background(), o), "without TLS")
	o.TLS = &tls.Config{}
	require.Error(t, Follow(context.Background(), o), "an unknown certificate")
	o.TLS = &tls.Config{RootCAs: client.RootCAs, MaxVersion: tls.VersionTLS12}
	require.Error(t, Follow(context.Background(), o), "an old version")
	o.TLS = client
	end := make(chan error, 1)
	go func() { end <- Follow(context.Background(), o) }()
	lsn := a.write(100, 10_000)
	b.awaits(lsn)
	c, err := o.Proxy(context.Background(), addr, b.id(), []byte("hello"))
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, "hello", string(soon(t, proxied, "a proxied connection")))
	h.Resign("bye", "")
	require.ErrorIs(t, soon(t, end, "the goodbye"), ErrGoodbye)
}

// TestTLSInTheMiddle: who ends TLS on both sides and passes on what is said, with a
// certificate that both trust, is found out.
func TestTLSInTheMiddle(t *testing.T) {
	server, client := identityOf(t)
	a, b := holds(t, "a"), holds(t, "b")
	_, addr := hub(t, a, 7, HubOptions{TLS: server})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		near, err := ln.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := tls.Dial("tcp", addr, client)
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		}()
		_, _ = io.Copy(near, far)
	}()
	o := options(b, ln.Addr().String())
	o.TLS = client
	require.ErrorIs(t, Follow(context.Background(), o), ErrSecret)
	ln.Close()
	<-done
}
