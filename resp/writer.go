package resp

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/redcon"
)

// A Writer collects replies in memory. It does no I/O: the connection that
// owns it sends what it holds. It is used by one goroutine at a time.
type Writer struct {
	buf   []byte
	proto int // 2 or 3
}

// Reset empties the writer and sets the protocol version, 2 or 3.
func (w *Writer) Reset(proto int) { w.buf, w.proto = w.buf[:0], proto }

// Proto returns the protocol version in which replies are encoded.
func (w *Writer) Proto() int {
	if w.proto == 3 {
		return 3
	}
	return 2
}

// SetProto changes the protocol version for the replies that follow.
func (w *Writer) SetProto(proto int) { w.proto = proto }

// Bytes returns what has been written; it is valid until the next call.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of bytes written, a mark for Truncate.
func (w *Writer) Len() int { return len(w.buf) }

// Truncate takes back everything after the mark n.
func (w *Writer) Truncate(n int) { w.buf = w.buf[:n] }

// Raw appends encoded bytes.
func (w *Writer) Raw(b []byte) { w.buf = append(w.buf, b...) }

// RawString appends encoded bytes.
func (w *Writer) RawString(s string) { w.buf = append(w.buf, s...) }

// OK replies with the simple string OK.
func (w *Writer) OK() { w.buf = append(w.buf, "+OK\r\n"...) }

// Simple replies with a simple string, which must hold neither CR nor LF.
func (w *Writer) Simple(s string) {
	w.buf = append(w.buf, '+')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// Error replies with an error. text begins with its code ("ERR …"); what would
// break the line is replaced, or dropped at the end, so that no client's bytes
// can forge a reply.
func (w *Writer) Error(text string) {
	text = strings.TrimRight(text, "\r\n")
	w.buf = append(w.buf, '-')
	for i := range len(text) {
		c := text[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		w.buf = append(w.buf, c)
	}
	w.buf = append(w.buf, '\r', '\n')
}

// Int replies with an integer.
func (w *Writer) Int(n int64) { w.buf = redcon.AppendInt(w.buf, n) }

// Bulk replies with a bulk string.
func (w *Writer) Bulk(b []byte) {
	if n := len(b) + bulkFrame; n > cap(w.buf)-len(w.buf) && n+cap(w.buf) >= minBuffer {
		w.grow(n)
	}
	w.buf = redcon.AppendBulk(w.buf, b)
}

// bulkFrame is the most that a bulk string takes besides its bytes.
const bulkFrame = len("$9223372036854775807\r\n\r\n")

// grow makes room for n more bytes, twice what there is at least, and gives back to the pools
// what there was. append would take new memory for every large reply.
func (w *Writer) grow(n int) {
	p := getBuffer(max(len(w.buf)+n, 2*cap(w.buf)))
	w.buf, p.b = append(p.b, w.buf...), w.buf
	p.free()
}

// BulkString replies with a bulk string.
func (w *Writer) BulkString(s string) { w.buf = redcon.AppendBulkString(w.buf, s) }

// BulkInt replies with an integer as a bulk string.
func (w *Writer) BulkInt(n int64) {
	var digits [20]byte // redcon's own allocates them
	w.Bulk(strconv.AppendInt(digits[:0], n, 10))
}

// BulkOrNull replies with b, or with a null if ok is false.
func (w *Writer) BulkOrNull(b []byte, ok bool) {
	if ok {
		w.Bulk(b)
	} else {
		w.Null()
	}
}

// Null replies that there is no value.
func (w *Writer) Null() {
	if w.proto == 3 {
		w.buf = append(w.buf, '_', '\r', '\n')
	} else {
		w.buf = redcon.AppendNull(w.buf)
	}
}

// NullArray replies that there is no array.
func (w *Writer) NullArray() {
	if w.proto == 3 {
		w.buf = append(w.buf, '_', '\r', '\n')
	} else {
		w.buf = append(w.buf, "*-1\r\n"...)
	}
}

func (w *Writer) header(c byte, n int) {
	w.buf = append(w.buf, c)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.buf = append(w.buf, '\r', '\n')
}

// Array announces n replies.
func (w *Writer) Array(n int) { w.header('*', n) }

// Map announces n pairs of replies.
func (w *Writer) Map(n int) {
	if w.proto == 3 {
		w.header('%', n)
	} else {
		w.header('*', 2*n)
	}
}

// Set announces n replies without order.
func (w *Writer) Set(n int) {
	if w.proto == 3 {
		w.header('~', n)
	} else {
		w.header('*', n)
	}
}

// Push announces n replies that belong to no command.
func (w *Writer) Push(n int) {
	if w.proto == 3 {
		w.header('>', n)
	} else {
		w.header('*', n)
	}
}

// Bool replies with a truth value.
func (w *Writer) Bool(b bool) {
	switch {
	case w.proto == 3 && b:
		w.buf = append(w.buf, "#t\r\n"...)
	case w.proto == 3:
		w.buf = append(w.buf, "#f\r\n"...)
	case b:
		w.buf = append(w.buf, ":1\r\n"...)
	default:
		w.buf = append(w.buf, ":0\r\n"...)
	}
}

// Double replies with a floating point number, printed as Redis does: 17
// significant digits, inf and nan by name.
func (w *Writer) Double(f float64) {
	var tmp [40]byte
	s := AppendDouble(tmp[:0], f)
	if w.proto != 3 {
		w.Bulk(s)
		return
	}
	w.buf = append(w.buf, ',')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// AppendDouble appends f as Redis prints a score: the %.17g of C.
func AppendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case math.IsNaN(f):
		return append(b, "nan"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e17:
		if f == 0 && math.Signbit(f) {
			return append(b, "-0"...)
		}
		return strconv.AppendInt(b, int64(f), 10)
	}
	return appendG17(b, f)
}

// appendG17 prints like C's %.17g: strconv's 'g' keeps trailing zeros out but
// writes exponents and the switch to them differently.
func appendG17(b []byte, f float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', 16, 64)
	e := start
	for b[e] != 'e' {
		e++
	}
	exp, _ := strconv.Atoi(string(b[e+1:]))
	if exp >= -4 && exp < 17 {
		b = strconv.AppendFloat(b[:start], f, 'f', 16-exp, 64)
		return trimZeros(b, start)
	}
	mant := trimZeros(b[:e], start)
	mant = append(mant, 'e')
	if exp < 0 {
		mant, exp = append(mant, '-'), -exp
	} else {
		mant = append(mant, '+')
	}
	if exp < 10 {
		mant = append(mant, '0')
	}
	return strconv.AppendInt(mant, int64(exp), 10)
}

func trimZeros(b []byte, start int) []byte {
	dot := -1
	for i := start; i < len(b); i++ {
		if b[i] == '.' {
			dot = i
		}
	}
	if dot < 0 {
		return b
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if len(b)-1 == dot {
		b = b[:dot]
	}
	return b
}

// BigNumber replies with an integer of any size, in decimal.
func (w *Writer) BigNumber(s string) {
	if w.proto != 3 {
		w.BulkString(s)
		return
	}
	w.buf = append(w.buf, '(')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// Verbatim replies with a text of the given three-letter format.
func (w *Writer) Verbatim(format, text string) {
	if w.proto != 3 {
		w.BulkString(text)
		return
	}
	w.header('=', len(format)+1+len(text))
	w.buf = append(w.buf, format...)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, '\r', '\n')
}

// Attribute announces n pairs about the reply that follows; RESP3 only.
func (w *Writer) Attribute(n int) { w.header('|', n) }
