package rdb

import (
	"fmt"
	"io"
	"math"

	"github.com/ferricd/ferricd/store"
)

// A Writer writes a file. Values go through as they are told; see Encoder.
type Writer struct {
	e  Encoder
	db int // -1: none yet
}

// NewWriter begins a file of this version, Version or TimesVersion. Its first error
// stays; Close returns it.
func NewWriter(w io.Writer, version int) *Writer {
	f := &Writer{e: Encoder{most: version, out: output{w: w}}, db: -1}
	f.e.out.buf = fmt.Appendf(nil, "%s%04d", magic, version)
	return f
}

// Aux writes a remark, before the first key. Redis knows redis-ver, redis-bits,
// ctime, used-mem, aof-base, and for a replica repl-stream-db, repl-id and
// repl-offset.
func (w *Writer) Aux(name, value string) {
	o := &w.e.out
	o.byte(opAux)
	o.text([]byte(name))
	o.text([]byte(value))
	o.wrote()
}

// Select begins the keys of a database: so many, of which so many expire. These
// numbers only let the reader make room; they may be estimates.
func (w *Writer) Select(db int, keys, expires int64) {
	w.selectDB(db)
	o := &w.e.out
	o.byte(opResizeDB)
	o.number(uint64(max(keys, 0)))
	o.number(uint64(max(expires, 0)))
}

func (w *Writer) selectDB(db int) {
	w.db = db
	w.e.out.byte(opSelectDB)
	w.e.out.number(uint64(db))
}

// Key writes a key and returns who is to be told its value, all of it, before the
// next call.
func (w *Writer) Key(k Key) store.Contents {
	if k.DB != w.db {
		w.selectDB(k.DB)
	}
	o := &w.e.out
	if k.ExpireAt != 0 {
		o.byte(opExpireMs)
		o.uint64(uint64(k.ExpireAt))
	}
	if k.Idle >= 0 {
		o.byte(opIdle)
		o.number(uint64(k.Idle))
	}
	if k.Freq >= 0 {
		o.byte(opFreq)
		o.byte(byte(min(k.Freq, math.MaxUint8)))
	}
	w.e.key, w.e.keyed = append(w.e.key[:0], k.Name...), true
	return &w.e
}

// Encoded writes a key whose value an Encoder of the same version has made.
func (w *Writer) Encoded(k Key, value []byte) {
	w.Key(k)
	w.e.begin(value[0], noCount)
	w.e.out.buf = append(w.e.out.buf, value[1:]...)
	w.e.out.wrote()
}

// Err is the first error.
func (w *Writer) Err() error { return w.e.out.err }

// Close ends the file with its checksum. It does not close what is written to.
func (w *Writer) Close() error {
	o := &w.e.out
	o.byte(opEOF)
	o.flush()
	o.uint64(o.sum)
	o.flush()
	return o.err
}
