package rdb

import (
	"encoding/binary"

	"github.com/ferricd/ferricd/store"
)

// footer is what stands behind the value of a payload: the version in 2 bytes and
// the checksum of all before it in 8.
const footer = 2 + 8

// Restore tells c the value of a payload that DUMP has made, here or in Redis. What
// is wrong is an ErrSum, then c has been told nothing, or an ErrFormat.
func Restore(payload []byte, c store.Contents) error {
	n := len(payload) - footer
	if n < 0 {
		return ErrSum
	}
	version := binary.LittleEndian.Uint16(payload[n:])
	sum := binary.LittleEndian.Uint64(payload[n+2:])
	if version > MaxVersion || sum != checksum(0, payload[:n+2]) {
		return ErrSum
	}
	return Decode(payload[:n], c)
}

// Decode tells c a value that begins with its type.
func Decode(value []byte, c store.Contents) error {
	d := decoder{input: input{buf: value}, c: c}
	kind := d.byte()
	if d.err != nil {
		return d.err
	}
	if err := d.value(kind); err != nil {
		return err
	}
	if d.off != len(d.buf) {
		return bad("%d bytes behind a value", len(d.buf)-d.off)
	}
	return nil
}
