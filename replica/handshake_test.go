package replica

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// talk lets both sides of a handshake speak until neither has anything to say, and
// returns how it ended for each. tamper may change what is sent.
func talk(d *dialer, a *acceptor, s standing, tamper func(message) message) (dialler, accepting string) {
	type letter struct {
		toAcceptor bool
		m          message
	}
	var post []letter
	var sort func(toAcceptor bool, out []output)
	sort = func(fromDialer bool, out []output) {
		end := &accepting
		if fromDialer {
			end = &dialler
		}
		for _, o := range out {
			switch o := o.(type) {
			case send:
				// What goes over the wire is what was encoded.
				b, err := encode(nil, o.m)
				if err != nil {
					panic(err)
				}
				m, err := decode(o.m.kind(), b)
				if err != nil {
					panic(err)
				}
				if tamper != nil {
					m = tamper(m)
				}
				post = append(post, letter{fromDialer, m})
			case judge:
				sort(fromDialer, a.step(s))
			case fail:
				*end = "fails: " + reasonWord(o.err)
			case dialed:
				*end = fmt.Sprintf("follows %s in %d", o.peer.Name, o.epoch)
			case accepted:
				*end = "takes " + o.theirs.id.Name
			}
		}
	}
	sort(true, d.start())
	for len(post) > 0 {
		l := post[0]
		post = post[1:]
		if l.toAcceptor && accepting == "" {
			sort(false, a.step(l.m))
		} else if !l.toAcceptor && dialler == "" {
			sort(true, d.step(l.m))
		}
	}
	return dialler, accepting
}

// A shake is a handshake to be tried; what is not set is as it should be.
type shake struct {
	name                       string
	dialer, acceptor           hello
	dialerKnows, acceptorKnows []string
	dialerTLS, acceptorTLS     string
	standing                   standing
	tamper                     func(message) message
	dialler, accepting         string
}

func bytesOf(list []string) (b [][]byte) {
	for _, s := range list {
		b = append(b, []byte(s))
	}
	return secretsOf(b)
}

func TestHandshake(t *testing.T) {
	right := []string{"right"}
	leads := standing{epoch: 7, cluster: "c", leader: "b", highest: 7, proxies: true}
	with := func(change func(*standing)) standing {
		s := leads
		change(&s)
		return s
	}
	const follows, takes = "follows b in 7", "takes a"
	for _, c := range []shake{
		{name: "in order", dialler: follows, accepting: takes},
		{name: "an empty node", dialer: hello{cluster: ""}, dialler: follows, accepting: takes},
		{
			name: "a new secret on the dialler", dialerKnows: []string{"new", "right"},
			dialler: follows, accepting: takes,
		},
		{
			name: "a new secret on the other side", acceptorKnows: []string{"new", "right"},
			dialler: follows, accepting: takes,
		},
		{name: "the wrong secret", dialerKnows: []string{"wrong"}, dialler: "fails: secret", accepting: "fails: secret"},
		{name: "two wrong secrets", dialerKnows: []string{"wrong", "rong"}, dialler: "fails: secret", accepting: "fails: secret"},
		{name: "empty secrets", dialerKnows: []string{""}, acceptorKnows: []string{""}, dialler: "fails: secret"},
		{
			name: "a proof that was tampered with",
			tamper: func(m message) message {
				if p, ok := m.(*proof); ok {
					p.macs[0][31] ^= 1
				}
				return m
			},
			dialler: "fails: secret", accepting: "fails: secret",
		},
		{
			name: "a welcome of who does not know the secret",
			tamper: func(m message) message {
				if w, ok := m.(*welcome); ok {
					w.mac[0] ^= 1
				}
				return m
			},
			dialler: "fails: secret", accepting: takes,
		},
		{
			name: "a welcome with another epoch",
			tamper: func(m message) message {
				if w, ok := m.(*welcome); ok {
					w.epoch++
				}
				return m
			},
			dialler: "fails: secret", accepting: takes,
		},
		{
			name: "a nonce that is not the other's",
			tamper: func(m message) message {
				if h, ok := m.(*hello); ok && h.id.Name == "b" {
					h.nonce[0] ^= 1
				}
				return m
			},
			dialler: "fails: secret", accepting: "fails: secret",
		},
		{name: "one TLS session", dialerTLS: "x", acceptorTLS: "x", dialler: follows, accepting: takes},
		{name: "another TLS session", dialerTLS: "x", acceptorTLS: "y", dialler: "fails: secret", accepting: "fails: secret"},
		{name: "another cluster", dialer: hello{cluster: "d"}, dialler: "fails: cluster", accepting: "fails: cluster"},
		{
			name: "the node itself", dialer: hello{id: Identity{Name: "a", ID: "2"}},
			dialler: "fails: self", accepting: "",
		},
		{
			name: "no leader", standing: with(func(s *standing) { s.epoch = 0 }),
			dialler: "fails: not-leader", accepting: "fails: not-leader",
		},
		{
			name: "a leader that is not the last one", dialer: hello{epoch: 8},
			dialler: "fails: stale", accepting: "fails: stale",
		},
		{
			name: "too many", standing: with(func(s *standing) { s.err = ErrBusy }),
			dialler: "fails: busy", accepting: "fails: busy",
		},
		{
			name: "a proxied connection", dialer: hello{purpose: PurposeProxy, extra: []byte("db=3")},
			dialler: follows, accepting: takes,
		},
		{
			name: "a proxied connection to a follower", dialer: hello{purpose: PurposeProxy},
			standing: with(func(s *standing) { s.epoch = 0 }),
			dialler:  "follows b in 0", accepting: takes,
		},
		{
			name: "nobody takes proxied connections", dialer: hello{purpose: PurposeProxy},
			standing: with(func(s *standing) { s.proxies = false }),
			dialler:  "fails: purpose", accepting: "fails: purpose",
		},
		{name: "another purpose", dialer: hello{purpose: 3}, dialler: "fails: purpose", accepting: "fails: purpose"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &dialer{mine: &c.dialer, secrets: bytesOf(c.dialerKnows), binding: []byte(c.dialerTLS)}
			a := &acceptor{mine: &c.acceptor, secrets: bytesOf(c.acceptorKnows), binding: []byte(c.acceptorTLS)}
			if c.dialerKnows == nil {
				d.secrets = bytesOf(right)
			}
			if c.acceptorKnows == nil {
				a.secrets = bytesOf(right)
			}
			d.mine.version, a.mine.version = Version, Version
			d.mine.nonce[0], a.mine.nonce[0] = 1, 2
			if d.mine.id.ID == "" {
				d.mine.id = Identity{Name: "a", ID: "1"}
			}
			a.mine.id = Identity{Name: "b", ID: "2"}
			if d.mine.purpose == 0 {
				d.mine.purpose = PurposeStream
			}
			s := c.standing
			if s == (standing{}) {
				s = leads
			}
			dialler, accepting := talk(d, a, s, c.tamper)
			require.Equal(t, c.dialler, dialler, "the dialler")
			require.Equal(t, c.accepting, accepting, "the accepting side")
		})
	}
}

// TestReflectionIsNoProof: what a side has signed is of no use to who only sends it
// back, nor is what was overheard in another handshake.
func TestReflectionIsNoProof(t *testing.T) {
	var overheard *proof
	run := func(nonce byte, replay *proof) string {
		d := &dialer{mine: &hello{version: Version, purpose: PurposeStream, id: Identity{Name: "a", ID: "1"}}, secrets: bytesOf([]string{"s"})}
		a := &acceptor{mine: &hello{version: Version, id: Identity{Name: "b", ID: "2"}}, secrets: bytesOf([]string{"s"})}
		a.mine.nonce[0] = nonce
		_, accepting := talk(d, a, standing{epoch: 1}, func(m message) message {
			if p, ok := m.(*proof); ok {
				if overheard = p; replay != nil {
					return replay
				}
			}
			return m
		})
		return accepting
	}
	require.Equal(t, "takes a", run(1, nil))
	old := overheard
	require.Equal(t, "takes a", run(1, old), "the same handshake has the same proof")
	require.Equal(t, "fails: secret", run(2, old))

	one, other := &hello{version: Version}, &hello{version: Version, epoch: 1}
	require.NotEqual(t, sign([]byte("s"), labelDialer, nil, one, other), sign([]byte("s"), labelAcceptor, nil, one, other))
}
