package proxy

import (
	"bytes"
	"errors"
	"strconv"
)

// errProtocol is why a connection is given up on which something else comes than
// replies.
var errProtocol = errors.New("proxy: what the leader sends is no reply")

const (
	headRoom = 40      // bytes of a line that are kept: the longest number fits
	maxOpen  = 1 << 40 // values that may be outstanding in one reply
)

// A scanner finds the end of a reply in bytes that come in pieces. It keeps a few
// bytes of it, whatever its size.
type scanner struct {
	need  int64 // values that the reply still lacks
	body  int64 // bytes that a bulk string still lacks, its CRLF too
	line  []byte
	long  bool // the line is longer than what is kept of it
	last  byte // the byte before the one in hand
	begun bool // a reply is begun
	elem  int  // values begun in it

	kind byte   // its first byte
	word []byte // the text of its first value: of itself, or of its first element
	num  int64  // the last integer in it
	take bool   // the bulk string in hand is the word
}

// next scans b, and returns how many bytes of it belong to the reply in hand, and
// whether it ends there. After an end the next call begins a new reply.
func (s *scanner) next(b []byte) (n int, done bool, err error) {
	if !s.begun {
		s.need, s.body, s.elem, s.num, s.kind = 1, 0, 0, 0, 0
		s.line, s.word, s.long, s.take, s.begun = s.line[:0], s.word[:0], false, false, true
	}
	for n < len(b) {
		if s.body > 0 {
			k, err := s.bulk(b[n:])
			if err != nil {
				return n, false, err
			}
			n += k
		} else {
			at := bytes.IndexByte(b[n:], '\n')
			if at < 0 {
				s.keep(b[n:])
				return len(b), false, nil
			}
			s.keep(b[n : n+at])
			n += at + 1
			if err := s.header(); err != nil {
				return n, false, err
			}
			s.line, s.long, s.last = s.line[:0], false, 0
		}
		if s.need == 0 && s.body == 0 {
			s.begun = false
			return n, true, nil
		}
	}
	return n, false, nil
}

// keep notes a part of a line.
func (s *scanner) keep(b []byte) {
	if len(b) == 0 {
		return
	}
	s.last = b[len(b)-1]
	if room := headRoom - len(s.line); len(b) > room {
		b, s.long = b[:room], true
	}
	s.line = append(s.line, b...)
}

// bulk takes what b has of a bulk string.
func (s *scanner) bulk(b []byte) (n int, err error) {
	n = int(min(int64(len(b)), s.body))
	if s.take {
		text := b[:min(int64(n), max(0, s.body-2))]
		s.word = append(s.word, text[:min(len(text), headRoom-len(s.word))]...)
	}
	for i := max(0, s.body-2); i < int64(n); i++ {
		if want := "\r\n"[2-(s.body-i)]; b[i] != want {
			return n, errProtocol
		}
	}
	if s.body -= int64(n); s.body == 0 {
		s.take = false
		s.need--
	}
	return n, nil
}

// header takes a line apart that is whole, but for its LF.
func (s *scanner) header() error {
	if s.last != '\r' || len(s.line) == 0 {
		return errProtocol
	}
	kind := s.line[0]
	text := s.line[1:]
	if !s.long {
		if len(text) == 0 { // the CR is all there is
			return errProtocol
		}
		text = text[:len(text)-1]
	}
	if s.kind == 0 {
		s.kind = kind
	}
	s.elem++
	first := s.elem == 1 && !aggregate(kind) || s.elem == 2 && aggregate(s.kind)
	switch kind {
	case '+', '-', ',', '(', '#', '_', ':':
		if kind == ':' {
			v, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil {
				return errProtocol
			}
			s.num = v
		}
		if first {
			s.word = append(s.word[:0], text...)
		}
		s.need--
		return nil
	case '$', '=', '!':
		size, err := s.size(text, kind == '$')
		if err != nil || size < 0 {
			s.need--
			return err
		}
		s.body, s.take = size+2, first
		return nil
	}
	return s.open(kind, text)
}

// open takes the header of an aggregate.
func (s *scanner) open(kind byte, text []byte) error {
	size, err := s.size(text, kind == '*')
	switch {
	case err != nil || !aggregate(kind):
		return errProtocol
	case size < 0:
		s.need--
	case kind == '|': // it stands before the value that it is about
		s.need += 2 * size
	case kind == '%':
		s.need += 2*size - 1
	default:
		s.need += size - 1
	}
	if s.need > maxOpen {
		return errProtocol
	}
	return nil
}

func aggregate(kind byte) bool {
	return kind == '*' || kind == '~' || kind == '>' || kind == '%' || kind == '|'
}

// size reads a length; -1 is RESP2's null.
func (s *scanner) size(text []byte, nullable bool) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || s.long || n > maxOpen || n < -1 || n == -1 && !nullable {
		return 0, errProtocol
	}
	return n, nil
}
