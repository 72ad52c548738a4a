package command

import (
	"crypto/sha1" //nolint:gosec // what DEBUG DIGEST is made of
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// A dataDigest is a signature of data, the same as redis-server's for the same data
// whatever the order in which it lies. Ordered parts are mixed in: the state and
// the part's hash, by exclusive or, are hashed again. Unordered ones are only
// added, by exclusive or of their hashes.
type dataDigest [sha1.Size]byte

// add puts in a part whose place says nothing.
func (d *dataDigest) add(part []byte) {
	for i, b := range sha1.Sum(part) {
		d[i] ^= b
	}
}

// mix puts in a part that comes after those before it.
func (d *dataDigest) mix(part []byte) {
	d.add(part)
	*d = sha1.Sum(d[:])
}

func (d *dataDigest) mixInt(n int) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	d.mix(b[:])
}

func (d *dataDigest) String() string { return hex.EncodeToString(d[:]) }

// digestTypes are redis-server's numbers of the types.
var digestTypes = map[store.Type]int{
	store.StringType: 0, store.ListType: 1, store.SetType: 2, store.ZSetType: 3, store.HashType: 4, store.StreamType: 6,
}

var digestExpires = []byte("!!expire!!")

// value puts in a value: a string's text, or another type's object. When it
// expires does not count, only that it does.
func (d *dataDigest) value(t store.Type, text []byte, o store.Object, expires bool) {
	d.mixInt(digestTypes[t])
	switch o := o.(type) {
	case *store.List:
		var b []byte
		o.Each(0, false, func(_ int, e store.Elem) bool {
			b = e.Append(b[:0])
			d.mix(b)
			return true
		})
	case *store.ZSet:
		var b []byte
		o.Each(0, false, func(e store.Elem, score float64) bool {
			var member dataDigest
			b = e.Append(b[:0])
			member.mix(b)
			member.mix(resp.AppendDouble(b[:0], score))
			d.add(member[:])
			return true
		})
	case *store.Set:
		var b []byte
		o.Each(func(e store.Elem) bool {
			b = e.Append(b[:0])
			d.add(b)
			return true
		})
	case *store.Hash:
		d.hash(o)
	case *store.Stream:
		d.stream(o)
	default:
		d.mix(text)
	}
	if expires {
		d.add(digestExpires)
	}
}

var digestFieldExpires = []byte("!!hexpire!!")

// hash puts in all fields, also those whose time is over.
func (d *dataDigest) hash(h *store.Hash) {
	var b []byte
	h.Each(0, func(f, v store.Elem) bool {
		var field dataDigest
		b = f.Append(b[:0])
		at, _ := h.ExpireAt(b, 0)
		field.mix(b)
		field.mix(v.Append(b[:0]))
		if at != store.NoExpiry {
			field.add(digestFieldExpires)
		}
		d.add(field[:])
		return true
	})
}

// stream puts in the entries; groups do not count.
func (d *dataDigest) stream(s *store.Stream) {
	var b []byte
	s.Each(store.StreamID{}, store.MaxStreamID, func(e *store.StreamEntry) bool {
		b = strconv.AppendUint(b[:0], e.ID.Ms, 10)
		b = append(b, '.')
		d.mix(strconv.AppendUint(b, e.ID.Seq, 10))
		e.Each(func(field, value store.Elem) {
			b = field.Append(b[:0])
			d.mix(b)
			b = value.Append(b[:0])
			d.mix(b)
		})
		return true
	})
}

// dataset is the digest of all keys in all databases, as a walk without latches
// finds them: it stands for one moment only if nobody writes meanwhile.
func dataset(ks *store.Keyspace, now int64) dataDigest {
	var all dataDigest
	var text []byte
	for db := range ks.Databases() {
		empty := true
		ks.Each(db, now, func(e store.Entry) bool {
			if empty {
				empty = false
				all.mixInt(db)
			}
			var d dataDigest
			d.mix(e.Key)
			if e.Type == store.StringType {
				text = e.String(text[:0])
				d.value(e.Type, text, nil, e.ExpireAt != 0)
			} else {
				e.Object(func(o store.Object) { d.value(e.Type, nil, o, e.ExpireAt != 0) })
			}
			all.add(d[:])
			return true
		})
	}
	return all
}

// digestValue is the digest of one key's value, all zeros when it is missing.
func (c *Context) digestValue(key []byte) (d dataDigest, err error) {
	info, ok := c.Tx.Peek(key)
	if !ok {
		return d, nil
	}
	if info.Type == store.StringType {
		text, _, err := c.Tx.String(key)
		if err != nil {
			return d, err
		}
		d.value(info.Type, text, nil, info.ExpireAt != 0)
		return d, nil
	}
	o, err := c.Tx.Object(key, info.Type)
	if err != nil {
		return d, err
	}
	d.value(info.Type, nil, o, info.ExpireAt != 0)
	return d, nil
}
