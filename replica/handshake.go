package replica

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// The machines of this package take one event, a message or a fact about this
// node, and return what is to be done. They have no goroutines, clock or socket:
// the same events lead to the same outputs.
type (
	event  any
	output any
)

// Outputs that all machines have.
type (
	// send this message.
	send struct{ m message }
	// fail: the session is over because of err. Nothing comes behind it.
	fail struct{ err error }
)

// malformed is the event of what could not be received or decoded.
type malformed struct{ err error }

// over ends a session, and says to the peer what is wrong with it if it is the
// peer's fault.
func over(err error) []output {
	for _, code := range slices.Sorted(maps.Keys(refusals)) {
		if errors.Is(err, refusals[code]) {
			return []output{send{&refuse{code: code, text: shorten(err.Error(), maxText)}}, fail{err}}
		}
	}
	return []output{fail{err}}
}

func shorten(s string, limit int) string { return s[:min(len(s), limit)] }

// Who signs. A proof of one side is none of the other's.
const (
	labelDialer   = "ferricd replication: dialler"
	labelAcceptor = "ferricd replication: accepted"
)

// sign is the code by which a side shows that it knows a secret: over its label,
// the TLS session if there is one, both hellos, and what else it vouches for.
func sign(secret []byte, label string, binding []byte, dialer, acceptor *hello, more ...[]byte) (mac [macSize]byte) {
	h := hmac.New(sha256.New, secret)
	part := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	part([]byte(label))
	part(binding)
	for _, hello := range []*hello{dialer, acceptor} {
		b, _ := encode(nil, hello) // it was sent or received: it has an encoding
		part(b)
	}
	for _, b := range more {
		part(b)
	}
	h.Sum(mac[:0])
	return mac
}

func signWelcome(secret, binding []byte, dialer, acceptor *hello, m *welcome) [macSize]byte {
	epoch := binary.LittleEndian.AppendUint64(nil, m.epoch)
	return sign(secret, labelAcceptor, binding, dialer, acceptor, epoch, []byte(m.cluster))
}

// secretsOf leaves out empty secrets, which everybody knows, and more than the
// wire has room for.
func secretsOf(secrets [][]byte) (list [][]byte) {
	for _, s := range secrets {
		if len(s) > 0 && len(list) < maxSecrets {
			list = append(list, s)
		}
	}
	return list
}

// A dialer is the side of the handshake that connects.
type dialer struct {
	mine    *hello
	secrets [][]byte
	binding []byte
	theirs  *hello
	done    bool
}

// dialed is the output that ends a handshake well.
type dialed struct {
	peer    Identity
	epoch   uint64
	cluster string
}

func (d *dialer) start() []output {
	if len(d.secrets) == 0 {
		return []output{fail{ErrSecret}}
	}
	return []output{send{d.mine}}
}

func (d *dialer) step(e event) []output {
	switch m := e.(type) {
	case malformed:
		return []output{fail(m)}
	case *refuse:
		return []output{fail{m.asError()}}
	case *hello:
		if d.theirs != nil || d.done {
			break
		}
		d.theirs = m
		if m.id.ID == d.mine.id.ID {
			return []output{fail{ErrSelf}}
		}
		p := &proof{}
		for _, s := range d.secrets {
			p.macs = append(p.macs, sign(s, labelDialer, d.binding, d.mine, m))
		}
		return []output{send{p}}
	case *welcome:
		if d.theirs == nil || d.done {
			break
		}
		d.done = true
		return d.welcomed(m)
	}
	return []output{fail{violation("%s out of place in the handshake", named(e))}}
}

func (d *dialer) welcomed(m *welcome) []output {
	if !slicesAny(d.secrets, func(s []byte) bool {
		mac := signWelcome(s, d.binding, d.mine, d.theirs, m)
		return hmac.Equal(mac[:], m.mac[:])
	}) {
		return []output{fail{ErrSecret}}
	}
	if d.mine.cluster != "" && m.cluster != "" && d.mine.cluster != m.cluster {
		return []output{fail{ErrCluster}}
	}
	if d.mine.purpose == PurposeStream && m.epoch < d.mine.epoch {
		// Said so that a leader that was deposed learns of it at once.
		return []output{send{&refuse{code: refusalCode(ErrStale), text: ErrStale.Error(), epoch: d.mine.epoch}}, fail{ErrStale}}
	}
	return []output{dialed{peer: d.theirs.id, epoch: m.epoch, cluster: m.cluster}}
}

func slicesAny(list [][]byte, ok func([]byte) bool) bool {
	found := false
	for _, s := range list {
		found = ok(s) || found // all are tried: the time says nothing of which one fits
	}
	return found
}

// asError is what a refusal means to who was refused.
func (m *refuse) asError() error {
	reason, ok := refusals[m.code]
	if !ok {
		reason = ErrProtocol
	}
	return &RefusedError{Reason: reason, Text: m.text, Leader: m.leader, Epoch: m.epoch}
}

// An acceptor is the side of the handshake that was connected to.
type acceptor struct {
	mine    *hello
	secrets [][]byte
	binding []byte
	theirs  *hello
	secret  []byte // that the dialler has proved
}

// judge is the output that asks for this node's standing: it comes back as the
// event standing.
type judge struct{ theirs *hello }

// A standing is what this node is at the moment.
type standing struct {
	epoch   uint64 // of the leadership, 0: not leading
	cluster string
	leader  string // the name of the leader, if known
	highest uint64 // epoch known
	proxies bool   // proxied connections are taken
	err     error  // another reason not to take it: ErrBusy
}

// accepted is the output that ends a handshake well, after the welcome is sent.
type accepted struct{ theirs *hello }

func (a *acceptor) step(e event) []output {
	switch m := e.(type) {
	case malformed:
		if !errors.Is(m.err, ErrProtocol) && !errors.Is(m.err, ErrVersion) {
			return []output{fail(m)} // nobody is there to be told
		}
		return a.refuse(m.err, standing{})
	case *hello:
		if a.theirs != nil {
			break
		}
		a.theirs = m
		a.mine.purpose = m.purpose
		return []output{send{a.mine}}
	case *proof:
		if a.theirs == nil || a.secret != nil {
			break
		}
		if a.secret = a.proved(m); a.secret == nil {
			return a.refuse(ErrSecret, standing{})
		}
		return []output{judge{a.theirs}}
	case standing:
		if a.secret == nil {
			break
		}
		return a.judged(m)
	}
	return a.refuse(violation("%s out of place in the handshake", named(e)), standing{})
}

func (a *acceptor) proved(m *proof) (secret []byte) {
	for _, s := range a.secrets {
		mac := sign(s, labelDialer, a.binding, a.theirs, a.mine)
		for _, theirs := range m.macs {
			if hmac.Equal(mac[:], theirs[:]) && secret == nil {
				secret = s
			}
		}
	}
	return secret
}

func (a *acceptor) judged(s standing) []output {
	t := a.theirs
	switch {
	case s.err != nil:
		return a.refuse(s.err, s)
	case t.id.ID == "" || t.id.ID == a.mine.id.ID:
		return a.refuse(ErrSelf, s)
	case t.cluster != "" && s.cluster != "" && t.cluster != s.cluster:
		return a.refuse(ErrCluster, s)
	case t.purpose == PurposeProxy && s.proxies:
	case t.purpose != PurposeStream:
		return a.refuse(ErrPurpose, s)
	case s.epoch == 0:
		return a.refuse(ErrNotLeader, s)
	case t.epoch > s.epoch:
		s.highest = max(s.highest, t.epoch)
		return a.refuse(ErrStale, s)
	}
	m := &welcome{epoch: s.epoch, cluster: s.cluster}
	m.mac = signWelcome(a.secret, a.binding, t, a.mine, m)
	return []output{send{m}, accepted{t}}
}

func (a *acceptor) refuse(why error, s standing) []output {
	return []output{
		send{&refuse{code: refusalCode(why), text: shorten(why.Error(), maxText), leader: s.leader, epoch: s.highest}},
		fail{why},
	}
}
