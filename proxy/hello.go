package proxy

import (
	"encoding/binary"
	"errors"

	"github.com/ferricd/ferricd/resp"
)

// A hello is what a leader is told of a client when its connection is opened. It is
// one byte of version, one of flags, the database and the id of the connection at the
// follower as varints, and then texts, each behind its length as a varint.
const (
	helloVersion  = 1
	helloProto3   = 1 << 0
	helloLoggedIn = 1 << 1
)

// HelloMost is the longest hello.
const HelloMost = 4096

// ErrHello is what cannot be a hello.
var ErrHello = errors.New("proxy: not a description of a client")

func texts(o *resp.Origin) []*string {
	return []*string{&o.Node, &o.Addr, &o.Name, &o.LibName, &o.LibVer, &o.User}
}

// EncodeHello describes a client. What is too long for a hello is cut.
func EncodeHello(o *resp.Origin) []byte {
	flags := byte(0)
	if o.Proto == 3 {
		flags |= helloProto3
	}
	if o.Authenticated {
		flags |= helloLoggedIn
	}
	b := []byte{helloVersion, flags}
	b = binary.AppendUvarint(b, uint64(max(0, o.DB)))
	b = binary.AppendUvarint(b, o.ID)
	all := texts(o)
	for _, t := range all {
		text := (*t)[:min(len(*t), (HelloMost-64)/len(all))]
		b = binary.AppendUvarint(b, uint64(len(text)))
		for i := range len(text) {
			if c := text[i]; c < '!' || c > '~' { // in the path of a socket
				b = append(b, '_')
			} else {
				b = append(b, c)
			}
		}
	}
	return b
}

// DecodeHello reads what EncodeHello has written.
func DecodeHello(b []byte) (*resp.Origin, error) {
	if len(b) < 2 || len(b) > HelloMost || b[0] != helloVersion || b[1]&^(helloProto3|helloLoggedIn) != 0 {
		return nil, ErrHello
	}
	o := &resp.Origin{Proto: 2, Authenticated: b[1]&helloLoggedIn != 0}
	if b[1]&helloProto3 != 0 {
		o.Proto = 3
	}
	b = b[2:]
	const most = 1 << 20 // databases
	db, n := binary.Uvarint(b)
	if n <= 0 || db > most {
		return nil, ErrHello
	}
	b = b[n:]
	if o.ID, n = binary.Uvarint(b); n <= 0 {
		return nil, ErrHello
	}
	b = b[n:]
	o.DB = int(db)
	for _, t := range texts(o) {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, ErrHello
		}
		*t = string(b[n : n+int(size)])
		if !printable(*t) {
			return nil, ErrHello
		}
		b = b[n+int(size):]
	}
	if len(b) > 0 {
		return nil, ErrHello
	}
	return o, nil
}

// printable tells whether a text fits into a line of CLIENT LIST.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}
