package rdb

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// An input is bytes that are read once, from the front. Its first error stays:
// from then on everything read is empty.
type input struct {
	r      io.Reader // nil: buf is all there is
	buf    []byte    // what has come; room for more is behind it
	off    int       // what of it was read
	summed int       // what of that is in sum
	large  []byte    // the last text that buf is too small for
	done   int64     // bytes read before those in buf
	sum    uint64
	err    error
}

const (
	inputWindow = 64 << 10 // a file is read in pieces of this size
	inputKeep   = 1 << 20  // a larger buffer is not kept
)

func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// position is how many bytes were read.
func (in *input) position() int64 { return in.done + int64(in.off) }

// take reads n bytes. In a payload they stay, of a file they are valid until the
// next read.
func (in *input) take(n uint64) []byte {
	if in.err != nil {
		return nil
	}
	if left := uint64(len(in.buf) - in.off); n > left {
		switch {
		case n > maxText:
			in.fail(bad("a text of %d bytes", n))
			return nil
		case in.r == nil:
			in.fail(bad("cut short"))
			return nil
		case n > inputWindow:
			return in.takeLarge(int(n))
		}
		if in.fill(int(n)); in.err != nil {
			return nil
		}
	}
	b := in.buf[in.off : in.off+int(n) : in.off+int(n)]
	in.off += int(n)
	return b
}

// account puts what was read into the sum.
func (in *input) account() {
	if in.r != nil {
		in.sum = checksum(in.sum, in.buf[in.summed:in.off])
	}
	in.summed = in.off
}

// slide gives up what was read.
func (in *input) slide() {
	in.account()
	in.done += int64(in.off)
	in.buf = in.buf[:copy(in.buf, in.buf[in.off:])]
	in.off, in.summed = 0, 0
}

// fill reads until n bytes are there.
func (in *input) fill(n int) {
	in.slide()
	if cap(in.buf) < inputWindow {
		in.buf = append(make([]byte, 0, inputWindow), in.buf...)
	}
	more, err := io.ReadAtLeast(in.r, in.buf[len(in.buf):inputWindow], n-len(in.buf))
	in.buf = in.buf[:len(in.buf)+more]
	in.failed(err)
}

func (in *input) failed(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		in.fail(bad("cut short"))
	default:
		in.fail(err)
	}
}

// takeLarge reads more bytes than the window has. The room for them grows only as
// they come.
func (in *input) takeLarge(n int) []byte {
	if cap(in.large) > inputKeep {
		in.large = nil
	}
	b := append(in.large[:0], in.buf[in.off:]...)
	in.off = len(in.buf)
	in.slide()
	from := len(b)
	for len(b) < n && in.err == nil {
		step := min(n-len(b), max(len(b), inputWindow))
		at := len(b)
		b = slices.Grow(b, step)[:at+step]
		_, err := io.ReadFull(in.r, b[at:])
		in.failed(err)
	}
	in.large = b
	if in.err != nil {
		return nil
	}
	in.sum = checksum(in.sum, b[from:])
	in.done += int64(n - from)
	return b
}

func (in *input) byte() byte {
	if b := in.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *input) uint64() uint64 {
	if b := in.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// length reads a length, or, if coded is set, how the text is coded instead.
func (in *input) length() (n uint64, coded bool) {
	first := in.byte()
	switch first >> 6 {
	case len6:
		return uint64(first), false
	case len14:
		return uint64(first&0x3f)<<8 | uint64(in.byte()), false
	case lenCoded:
		return uint64(first & 0x3f), true
	}
	switch first {
	case len32:
		if b := in.take(4); b != nil {
			return uint64(binary.BigEndian.Uint32(b)), false
		}
	case len64:
		if b := in.take(8); b != nil {
			return binary.BigEndian.Uint64(b), false
		}
	default:
		in.fail(bad("a length begins with %#x", first))
	}
	return 0, false
}

// number reads a length that is one.
func (in *input) number() uint64 {
	n, coded := in.length()
	if coded {
		in.fail(bad("a text where a number belongs"))
		return 0
	}
	return n
}

// count reads how many parts follow, each of at least a byte.
func (in *input) count() int {
	n := in.number()
	if n > 1<<62 || in.r == nil && n > uint64(len(in.buf)-in.off) {
		in.fail(bad("%d parts", n))
		return 0
	}
	return int(n)
}
