package store

import (
	"sync/atomic"
	"unsafe"
)

// A Hash maps fields to values. It begins compact: fields and values in turn, in
// the order in which they came. From the first field on that its limits do not
// let into that form it is a table, and stays one.
//
// A field may have a time at which it expires. From then on it reads as missing,
// by the time that every method is told; it is there, and counts in Len, until it
// is overwritten, deleted or taken by TakeExpired.
//
// What its methods return points into the hash and is valid until the next edit.
// No argument may point into the same hash. Methods that only read may run at the
// same time as each other.
type Hash struct {
	small  packed
	more   *hashMore // nil: it is small and no field expires
	limits *HashLimits
}

// HashLimits are up to where a hash is compact: hash-max-listpack-entries and
// hash-max-listpack-value.
type HashLimits struct {
	Fields, Value atomic.Int64
}

// Set sets both.
func (l *HashLimits) Set(fields, value int64) {
	l.Fields.Store(fields)
	l.Value.Store(value)
}

// The defaults of the parameters.
const (
	DefaultHashFields = 512
	DefaultHashValue  = 64
)

// hashMore is what most hashes do not need.
type hashMore struct {
	fields dict // if it is large: with tables
	times  *fieldTimes
}

var (
	hashOverhead = sizeClass(int(unsafe.Sizeof(Hash{})))
	moreOverhead = sizeClass(int(unsafe.Sizeof(hashMore{})))
)

// NewHash returns an empty hash.
func NewHash(limits *HashLimits) *Hash { return &Hash{limits: limits} }

// Type is HashType.
func (h *Hash) Type() Type { return HashType }

// Len is the number of fields, expired ones included that nobody has removed.
func (h *Hash) Len() int {
	if d := h.large(); d != nil {
		return d.live
	}
	return h.small.len() / 2
}

// Live is the number of fields that have not expired.
func (h *Hash) Live(now int64) int {
	if !h.due(now) {
		return h.Len()
	}
	return h.Len() - h.more.times.due(now)
}

// Bytes is the memory that the hash takes.
func (h *Hash) Bytes() int64 {
	n := hashOverhead + h.small.bytes()
	if h.more != nil {
		n += moreOverhead + h.more.fields.bytes()
		if h.more.times != nil {
			n += h.more.times.bytes()
		}
	}
	return n
}

// Encoding is what OBJECT ENCODING says.
func (h *Hash) Encoding() string {
	switch {
	case h.large() != nil:
		return "hashtable"
	case h.more != nil:
		return "listpackex"
	}
	return packedEncoding
}

// Clone returns a copy, expiries included.
func (h *Hash) Clone() Object {
	c := &Hash{small: h.small.clone(), limits: h.limits}
	if h.more == nil {
		return c
	}
	c.more = new(hashMore)
	if d := h.large(); d != nil {
		c.more.fields = d.clone(func(x *cell) *cell { return newFieldCell(x.key(), x.value()) })
	}
	if h.more.times != nil {
		c.more.times = h.more.times.clone()
	}
	return c
}

// large is the table, nil while the hash is small.
func (h *Hash) large() *dict {
	if h.more == nil || h.more.fields.tables == nil {
		return nil
	}
	return &h.more.fields
}

// due tells whether any field has expired.
func (h *Hash) due(now int64) bool {
	at := h.Due()
	return at != 0 && now > at
}

// expired tells whether a field has a time and it is over.
func (h *Hash) expired(field []byte, now int64) bool {
	if !h.due(now) {
		return false
	}
	at, ok := h.more.times.get(field)
	return ok && now > at
}

// Get is the value of a field.
func (h *Hash) Get(field []byte, now int64) (value Elem, ok bool) {
	if d := h.large(); d != nil {
		c := d.get(field)
		if c == nil || h.expired(field, now) {
			return Elem{}, false
		}
		return Elem{Str: c.value()}, true
	}
	off, ok := h.small.find(elemOf(field), 0, 2)
	if !ok || h.expired(field, now) {
		return Elem{}, false
	}
	value, _ = h.small.at(h.small.skip(off, 1))
	return value, true
}

// Set gives a field a value, and no expiry, and tells whether the field is new.
func (h *Hash) Set(field, value []byte, now int64) (created bool) {
	created = h.put(field, value)
	if h.more != nil && h.more.times != nil {
		if at, ok := h.more.times.drop(field); ok && now > at {
			created = true
		}
	}
	return created
}

// Update is Set for a field that keeps its expiry.
func (h *Hash) Update(field, value []byte, now int64) (created bool) {
	if h.expired(field, now) {
		return h.Set(field, value, now)
	}
	return h.put(field, value)
}

// Reserve makes room for fields and values, in turn, that Set is to be called
// with.
func (h *Hash) Reserve(words [][]byte) {
	if h.large() == nil && int64(len(words)/2) <= h.limits.Fields.Load() {
		h.small.reserve(words)
	}
}

func (h *Hash) put(field, value []byte) (created bool) {
	if h.large() == nil {
		if most := h.limits.Value.Load(); int64(len(field)) <= most && int64(len(value)) <= most {
			return h.putSmall(elemOf(field), elemOf(value))
		}
		h.enlarge()
	}
	d := h.large()
	hash := d.hash(field)
	size := fieldCellSize(len(field), len(value))
	p := d.find(hash, field)
	if p.c == nil {
		d.add(hash, newFieldCell(field, value), size)
		return true
	}
	if old := p.c.value(); len(old) == len(value) {
		p.c.setValue(value)
	} else {
		d.cells += size - fieldCellSize(len(field), len(old))
		p.swap(newFieldCell(field, value))
	}
	return false
}

func (h *Hash) putSmall(field, value Elem) (created bool) {
	if off, ok := h.small.find(field, 0, 2); ok {
		h.small.replace(h.small.skip(off, 1), value)
		return false
	}
	h.small.insert(h.small.end(), field, value)
	if int64(h.small.len()/2) > h.limits.Fields.Load() {
		h.enlarge()
	}
	return true
}

// enlarge makes a table of a small hash.
func (h *Hash) enlarge() {
	if h.more == nil {
		h.more = new(hashMore)
	}
	d := &h.more.fields
	d.init(h.small.len()/2 + 1)
	var f, v []byte
	for off := 0; off < h.small.end(); {
		var e Elem
		e, off = h.small.at(off)
		f = e.Append(f[:0])
		e, off = h.small.at(off)
		v = e.Append(v[:0])
		d.add(d.hash(f), newFieldCell(f, v), fieldCellSize(len(f), len(v)))
	}
	h.small = packed{}
}

// Delete takes out a field and tells whether there was one that had not expired.
func (h *Hash) Delete(field []byte, now int64) (was bool) {
	if !h.remove(field) {
		return false
	}
	if h.more != nil && h.more.times != nil {
		if at, ok := h.more.times.drop(field); ok && now > at {
			return false
		}
	}
	return true
}

func (h *Hash) remove(field []byte) bool {
	if d := h.large(); d != nil {
		hash := d.hash(field)
		p := d.find(hash, field)
		if p.c == nil {
			return false
		}
		d.remove(hash, p, fieldCellSize(len(field), len(p.c.value())))
		return true
	}
	off, ok := h.small.find(elemOf(field), 0, 2)
	if ok {
		h.small.delete(off, 2)
	}
	return ok
}
