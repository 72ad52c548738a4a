package rdb

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
)

// An Encoder is a store.Contents that writes the value it is told, beginning with
// its type. All parts that are announced must follow.
//
// It writes the plain forms, part by part as they are told: whoever loads them makes
// them compact where they fit. Only of a stream it keeps a node of entries, and what
// is pending in one group.
type Encoder struct {
	out    output
	most   int    // the version that must know all that is written
	needs  int    // the version that does
	keyed  bool   // key is to be written behind the type
	key    []byte //
	times  bool   // fields are preceded by their times
	nodes  streamNodes
	groups streamGroups
}

// NewEncoder returns an encoder of values for whoever knows this version.
func NewEncoder(version int) *Encoder { return &Encoder{most: version} }

// Reset makes e ready for another value.
func (e *Encoder) Reset() {
	*e = Encoder{most: e.most, out: output{buf: e.out.buf[:0]}}
}

// Bytes are the value, valid until Reset.
func (e *Encoder) Bytes() ([]byte, error) { return e.out.buf, e.out.err }

// Payload is the value with the version that is needed to read it and a checksum,
// as DUMP replies it and RESTORE takes it. It is valid until Reset, and the end of
// the value.
func (e *Encoder) Payload() ([]byte, error) {
	b := binary.LittleEndian.AppendUint16(e.out.buf, uint16(max(e.needs, Version)))
	e.out.buf = binary.LittleEndian.AppendUint64(b, checksum(0, b))
	return e.Bytes()
}

// An output is what is written. Its first error stays.
type output struct {
	w   io.Writer // nil: all stays in buf
	buf []byte
	sum uint64 // of what has left buf
	err error
}

// outputKeep is how much is kept until it is written.
const outputKeep = 64 << 10

func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// wrote is called between parts: it gives up what has been kept.
func (o *output) wrote() {
	if o.w != nil && len(o.buf) >= outputKeep {
		o.flush()
	}
}

func (o *output) flush() {
	o.sum = checksum(o.sum, o.buf)
	if o.err == nil {
		_, o.err = o.w.Write(o.buf)
	}
	if o.buf = o.buf[:0]; cap(o.buf) > inputKeep {
		o.buf = nil
	}
}

func (o *output) byte(b byte) { o.buf = append(o.buf, b) }

func (o *output) uint64(n uint64) { o.buf = binary.LittleEndian.AppendUint64(o.buf, n) }

// number writes a length, or any other number.
func (o *output) number(n uint64) { o.buf = appendNumber(o.buf, n) }

func appendNumber(b []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, len14<<6|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, len32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, len64), n)
}

// text writes a text, in the form of an integer if it is a short one.
func (o *output) text(v []byte) {
	if n, ok := shortInt(v); ok {
		o.integer(n)
		return
	}
	o.number(uint64(len(v)))
	o.buf = append(o.buf, v...)
}

func (o *output) integer(n int32) {
	const coded = lenCoded << 6
	switch {
	case n == int32(int8(n)):
		o.buf = append(o.buf, coded|codeInt8, byte(n))
	case n == int32(int16(n)):
		o.buf = binary.LittleEndian.AppendUint16(append(o.buf, coded|codeInt16), uint16(n))
	default:
		o.buf = binary.LittleEndian.AppendUint32(append(o.buf, coded|codeInt32), uint32(n))
	}
}

// shortInt is wholeInt for integers of 32 bits.
func shortInt(v []byte) (int32, bool) {
	if len(v) > 11 {
		return 0, false
	}
	n, ok := wholeInt(v)
	return int32(n), ok && n == int64(int32(n))
}

// wholeInt parses a text that is an integer exactly as it would be printed.
func wholeInt(v []byte) (int64, bool) {
	var room digits
	if len(v) == 0 || len(v) > len(room) || v[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil && string(strconv.AppendInt(room[:0], n, 10)) == string(v)
}

// begin writes the type, the key in a file, and how many parts follow if that is
// not -2.
func (e *Encoder) begin(kind byte, n int) {
	e.out.byte(kind)
	if e.keyed {
		e.out.text(e.key)
		e.keyed = false
	}
	if n == noCount {
		return
	}
	if n < 0 {
		e.out.fail(ErrCount)
	}
	e.out.number(uint64(max(n, 0)))
}

const noCount = -2

// String writes a string.
func (e *Encoder) String(v []byte) {
	e.begin(typeString, noCount)
	e.one(v)
}

func (e *Encoder) one(v []byte) {
	e.out.text(v)
	e.out.wrote()
}

// List begins a list.
func (e *Encoder) List(n int) { e.begin(typeList, n) }

// Element writes an element of a list.
func (e *Encoder) Element(v []byte) { e.one(v) }

// Set begins a set.
func (e *Encoder) Set(n int) { e.begin(typeSet, n) }

// Member writes a member of a set.
func (e *Encoder) Member(v []byte) { e.one(v) }

// ZSet begins a sorted set.
func (e *Encoder) ZSet(n int) { e.begin(typeZSet, n) }

// Scored writes a member of a sorted set.
func (e *Encoder) Scored(member []byte, score float64) {
	e.out.text(member)
	e.out.uint64(math.Float64bits(score))
	e.out.wrote()
}

// Hash begins a hash. The times of its fields are written as what they are more
// than the first possible one, since nobody knows the first one yet.
func (e *Encoder) Hash(n int, times bool) {
	if e.times = times; !times {
		e.begin(typeHash, n)
		return
	}
	if e.needs = TimesVersion; e.most < TimesVersion {
		e.out.fail(ErrTimes)
	}
	e.begin(typeHashTimes, noCount)
	e.out.uint64(1)
	if n < 0 {
		e.out.fail(ErrCount)
	}
	e.out.number(uint64(max(n, 0)))
}

// Field writes a field of a hash.
func (e *Encoder) Field(name, value []byte, expireAt int64) {
	if e.times {
		e.out.number(uint64(expireAt))
	} else if expireAt != 0 {
		e.out.fail(ErrTimes)
	}
	e.out.text(name)
	e.one(value)
}
