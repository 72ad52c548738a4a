package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/ferricd/ferricd/store"
)

// A Key is what a file says of a key beside its value.
type Key struct {
	DB       int
	Name     []byte
	ExpireAt int64 // Unix ms, 0: never
	Idle     int64 // seconds since its last access, -1: not known
	Freq     int   // how often it is used, as a logarithmic counter, -1: not known
}

// A Reader reads a file key by key. It keeps one element in memory, or one compact
// part of a value, whatever the value's size; of a stream also what is pending in
// one group.
type Reader struct {
	// Note, if it is set, is told what of the file is left out, in a sentence.
	Note func(string)

	d       decoder
	version int
	db      int
	keys    int64
	kind    byte // of the value that follows
	due     bool // it does
	done    bool
	aux     map[string]string
}

const (
	magic     = "REDIS"
	headSize  = len(magic) + 4
	auxMost   = 64   // so many remarks are kept,
	auxLength = 1024 // if they are no longer
)

// NewReader returns a reader of the file that r yields.
func NewReader(r io.Reader) *Reader {
	return &Reader{d: decoder{input: input{r: r}}, aux: map[string]string{}}
}

// Version is the file's version, when a key has been read.
func (r *Reader) Version() int { return r.version }

// Aux is what the file remarks by this name; remarks stand before the first key.
func (r *Reader) Aux(name string) string { return r.aux[name] }

// Next reads up to a value and returns its key, which is valid until the next
// call; Value must follow. At the end of the file, if its checksum is right, the
// error is io.EOF.
func (r *Reader) Next() (Key, error) {
	switch {
	case r.d.err != nil:
		return Key{}, r.place(r.d.err)
	case r.done:
		return Key{}, io.EOF
	case r.due:
		return Key{}, bad("the value of the last key was not read")
	case r.version == 0:
		r.head()
	}
	k := Key{Idle: -1, Freq: -1}
	for r.d.err == nil {
		op := r.d.byte()
		if r.d.err != nil {
			break
		}
		if op == opEOF {
			if r.end(); r.d.err == nil {
				return Key{}, io.EOF
			}
			break
		}
		if r.about(op, &k) || r.section(op) {
			continue
		}
		k.DB, k.Name = r.db, bytes.Clone(r.d.text())
		r.kind, r.due = op, r.d.err == nil
		if r.due {
			return k, nil
		}
	}
	return Key{}, r.place(r.d.err)
}

// Value tells c the value of the key that Next has returned.
func (r *Reader) Value(c store.Contents) error {
	if !r.due {
		return bad("no key was read")
	}
	r.due = false
	r.d.c = c
	if err := r.d.value(r.kind); err != nil {
		return r.place(err)
	}
	r.keys++
	return nil
}

// Rest is what stands behind the file, once Next has returned io.EOF. The Reader
// is of no use any more then.
func (r *Reader) Rest() io.Reader {
	return io.MultiReader(bytes.NewReader(r.d.buf[r.d.off:]), r.d.r)
}

// Offset is how many bytes were read.
func (r *Reader) Offset() int64 { return r.d.position() }

// place says where in the file an error is.
func (r *Reader) place(err error) error {
	return fmt.Errorf("%w, at byte %d, after %d keys", err, r.Offset(), r.keys)
}

func (r *Reader) note(format string, args ...any) {
	if r.Note != nil && r.d.err == nil {
		r.Note(fmt.Sprintf(format, args...))
	}
}

func (r *Reader) head() {
	b := r.d.take(uint64(headSize))
	if r.d.err != nil {
		return
	}
	n, err := strconv.ParseUint(string(b[len(magic):]), 10, 16)
	switch {
	case string(b[:len(magic)]) != magic || err != nil:
		r.d.fail(bad("it does not begin with %s and a version", magic))
	case n < 1 || n > MaxVersion:
		r.d.fail(bad("its version is %d; 1 to %d are known", n, MaxVersion))
	}
	r.version = int(n)
}

// about reads what a file says of the next key, if that is what begins with op.
func (r *Reader) about(op byte, k *Key) bool {
	switch op {
	case opExpire:
		if b := r.d.take(4); b != nil {
			k.ExpireAt = max(int64(int32(binary.LittleEndian.Uint32(b)))*1000, 1)
		}
	case opExpireMs:
		k.ExpireAt = max(int64(r.d.uint64()), 1)
	case opIdle:
		k.Idle = int64(min(r.d.number(), math.MaxInt64))
	case opFreq:
		k.Freq = int(r.d.byte())
	default:
		return false
	}
	return true
}

// section reads what stands between keys, if that is what begins with op.
func (r *Reader) section(op byte) bool {
	d := &r.d
	switch op {
	case opSelectDB:
		n := d.number()
		if n > math.MaxInt32 {
			d.fail(bad("a database of the number %d", n))
			return true
		}
		r.db = int(n)
	case opResizeDB:
		d.number()
		d.number()
	case opSlotInfo:
		d.number()
		d.number()
		d.number()
	case opAux:
		name := string(d.text())
		if value := d.text(); len(r.aux) < auxMost && len(name)+len(value) <= auxLength {
			r.aux[name] = string(value)
		}
	case opFunction:
		code := d.text()
		r.note("A library of functions was left out, of %d bytes.", len(code))
	case opFunctionOld:
		d.fail(bad("functions in the form of a preliminary version"))
	case opModuleAux:
		r.module()
	default:
		return false
	}
	return true
}

// What a module has written consists of values that are preceded by what they are.
const (
	moduleEnd = iota
	moduleInt
	moduleUint
	moduleFloat
	moduleDouble
	moduleText
)

// module passes what a module has written between keys: its name, when it did so,
// and values.
func (r *Reader) module() {
	d := &r.d
	id := d.number()
	if d.number() != moduleUint {
		d.fail(bad("what a module has written is broken"))
	}
	d.number()
	for d.err == nil {
		switch what := d.number(); what {
		case moduleEnd:
			r.note("What the module %s has written was left out.", moduleName(id))
			return
		case moduleInt, moduleUint:
			d.number()
		case moduleFloat:
			d.take(4)
		case moduleDouble:
			d.take(8)
		case moduleText:
			d.text()
		default:
			d.fail(bad("what a module has written is broken"))
		}
	}
}

// moduleName is the name that is in a module's number: nine letters of six bits,
// above a version of ten.
func moduleName(id uint64) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	for i := range name {
		name[i] = letters[id>>(64-6*(i+1))&63]
	}
	return string(name[:])
}

// sumVersion is the version from which on a file ends in a checksum.
const sumVersion = 5

// end reads what stands behind the last key.
func (r *Reader) end() {
	r.d.account()
	sum := r.d.sum
	if r.version >= sumVersion {
		if want := r.d.uint64(); r.d.err == nil && want != 0 && want != sum {
			r.d.fail(bad("its checksum is %016x, not %016x", sum, want))
		}
	}
	r.done = r.d.err == nil
}
