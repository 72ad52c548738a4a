package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/ferricd/ferricd/aof"
)

// fields goes over the fields of a message in the order of the wire, either
// appending them to b or taking them from it. So one method per message is both
// its encoder and its decoder, and they cannot disagree. The first error stays.
type fields struct {
	b      []byte
	decode bool
	err    error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = violation(format, args...)
	}
}

// take removes n bytes from the front; nil when they are not there.
func (f *fields) take(n int) []byte {
	if f.err != nil {
		return nil
	}
	if n > len(f.b) {
		f.fail("a message is cut short")
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) u8(v *uint8) {
	if !f.decode {
		f.b = append(f.b, *v)
	} else if p := f.take(1); p != nil {
		*v = p[0]
	}
}

func (f *fields) u16(v *uint16) {
	if !f.decode {
		f.b = binary.LittleEndian.AppendUint16(f.b, *v)
	} else if p := f.take(2); p != nil {
		*v = binary.LittleEndian.Uint16(p)
	}
}

func (f *fields) u32(v *uint32) {
	if !f.decode {
		f.b = binary.LittleEndian.AppendUint32(f.b, *v)
	} else if p := f.take(4); p != nil {
		*v = binary.LittleEndian.Uint32(p)
	}
}

func (f *fields) u64(v *uint64) {
	if !f.decode {
		f.b = binary.LittleEndian.AppendUint64(f.b, *v)
	} else if p := f.take(8); p != nil {
		*v = binary.LittleEndian.Uint64(p)
	}
}

func (f *fields) i64(v *int64) {
	u := uint64(*v)
	f.u64(&u)
	*v = int64(u)
}

// size is a length or an offset: never negative.
func (f *fields) size(v *int64) {
	f.i64(v)
	if *v < 0 {
		f.fail("a size or offset of %d", *v)
	}
}

func (f *fields) flag(v *bool) {
	var u uint8
	if *v {
		u = 1
	}
	f.u8(&u)
	if u > 1 {
		f.fail("a flag of %d", u)
	}
	*v = u == 1
}

func (f *fields) array(v []byte) {
	if !f.decode {
		f.b = append(f.b, v...)
	} else if p := f.take(len(v)); p != nil {
		copy(v, p)
	}
}

// bytes has a length of 16 bits and at most limit bytes. Decoded bytes are a copy.
func (f *fields) bytes(v *[]byte, limit int) {
	n := uint16(min(len(*v), limit+1))
	f.u16(&n)
	if int(n) > limit {
		f.fail("a field of more than %d bytes", limit)
		return
	}
	if !f.decode {
		f.b = append(f.b, *v...)
	} else if p := f.take(int(n)); p != nil {
		*v = append([]byte(nil), p...)
	}
}

func (f *fields) text(v *string, limit int) {
	b := []byte(*v)
	f.bytes(&b, limit)
	*v = string(b)
}

// rest is what is left of the message. Decoded it is not copied.
func (f *fields) rest(v *[]byte) {
	if !f.decode {
		f.b = append(f.b, *v...)
		return
	}
	*v = f.take(len(f.b))
}

// count is the length of a list whose elements take at least size bytes each: one
// that the message cannot hold is refused before anything is allocated.
func (f *fields) count(n, limit, size int) int {
	u := uint32(n)
	f.u32(&u)
	if uint64(u) > uint64(limit) {
		f.fail("a list of %d, at most %d", u, limit)
		return 0
	}
	if f.decode && f.err == nil && int(u)*size > len(f.b) {
		f.fail("a list of %d in %d bytes", u, len(f.b))
	}
	if f.err != nil {
		return 0
	}
	return int(u)
}

// list goes over a list's elements.
func list[T any](f *fields, v *[]T, limit, size int, each func(*T)) {
	n := f.count(len(*v), limit, size)
	if f.decode && n > 0 {
		*v = make([]T, n)
	}
	for i := range n {
		each(&(*v)[i])
	}
}

// encode appends the payload of a message to b. The error is that of a field that
// the protocol has no room for.
func encode(b []byte, m message) ([]byte, error) {
	f := fields{b: b}
	m.fields(&f)
	return f.b, f.err
}

// decode takes a payload apart. What m holds of frames and chunks lies in b.
func decode(k kind, b []byte) (message, error) {
	m := k.empty()
	if m == nil {
		return nil, violation("a message of %s, which there is not", k)
	}
	if uint64(len(b)) > uint64(k.maxPayload()) {
		return nil, violation("%d bytes in a %s", len(b), k)
	}
	f := fields{b: b, decode: true}
	m.fields(&f)
	if f.err == nil && len(f.b) > 0 {
		f.fail("%d bytes too many in a %s", len(f.b), k)
	}
	return m, f.err
}

func (m *hello) fields(f *fields) {
	b := []byte(magic)
	f.array(b)
	if string(b) != magic {
		f.fail("the peer is not a ferricd")
	}
	f.u16(&m.version)
	// The fields of another version are not ours to read.
	if f.err == nil && m.version != Version {
		f.err = fmt.Errorf("%w: %d, not %d", ErrVersion, m.version, Version)
		return
	}
	f.u8((*uint8)(&m.purpose))
	f.text(&m.cluster, maxName)
	m.id.fields(f)
	f.u64(&m.epoch)
	f.array(m.nonce[:])
	f.bytes(&m.extra, maxExtra)
}

func (id *Identity) fields(f *fields) {
	f.text(&id.Name, maxName)
	f.text(&id.ID, maxName)
	f.text(&id.Incarnation, maxName)
}

func (m *proof) fields(f *fields) {
	n := uint8(min(len(m.macs), maxSecrets+1))
	f.u8(&n)
	if n < 1 || n > maxSecrets {
		f.fail("%d proofs", n)
		return
	}
	if f.decode {
		m.macs = make([][macSize]byte, n)
	}
	for i := range m.macs {
		f.array(m.macs[i][:])
	}
}

func (m *welcome) fields(f *fields) {
	f.array(m.mac[:])
	f.u64(&m.epoch)
	f.text(&m.cluster, maxName)
}

func (m *refuse) fields(f *fields) {
	f.u16(&m.code)
	f.text(&m.text, maxText)
	f.text(&m.leader, maxName)
	f.u64(&m.epoch)
}

func (m *position) fields(f *fields) {
	list(f, &m.history, maxEpochs, 16, func(e *aof.EpochStart) {
		f.u64(&e.Epoch)
		f.u64(&e.First)
	})
	f.u64(&m.end)
}

func (m *resume) fields(f *fields) {
	f.u64(&m.epoch)
	f.u64(&m.from)
}

func (m *cutBack) fields(f *fields) {
	f.u64(&m.epoch)
	f.u64(&m.to)
}

func (m *needCopy) fields(*fields) {}

func (m *fullCopy) fields(f *fields) { f.u64(&m.epoch) }

func (m *files) fields(f *fields) {
	list(f, &m.list, maxFiles, 2+8+hashSize+1, func(i *FileInfo) {
		f.text(&i.Name, maxName)
		f.size(&i.Size)
		f.array(i.SHA256[:])
		f.flag(&i.Sealed)
	})
}

func (m *request) fields(f *fields) {
	list(f, &m.list, maxFiles, 2+8, func(w *Want) {
		f.text(&w.Name, maxName)
		f.size(&w.Offset)
	})
}

func (m *chunk) fields(f *fields) {
	f.text(&m.name, maxName)
	f.size(&m.offset)
	f.rest(&m.data)
	if len(m.data) > maxChunk {
		f.fail("a chunk of %d bytes", len(m.data))
	}
}

func (m *filesDone) fields(f *fields) {
	f.u64(&m.lsn)
	f.u64(&m.epoch)
	f.text(&m.cluster, maxName)
}

func (m *installed) fields(f *fields) { f.u64(&m.lsn) }

func (m *frames) fields(f *fields) {
	f.u64(&m.first)
	f.rest(&m.data)
}

func (m *segment) fields(f *fields) {
	f.u64(&m.first)
	f.u64(&m.epoch)
}

func (m *heartbeat) fields(f *fields) {
	f.u64(&m.end)
	f.u64(&m.commit)
	f.i64(&m.now)
}

func (m *drop) fields(f *fields) { f.u64(&m.before) }

func (m *snapshotHint) fields(*fields) {}

func (m *goodbye) fields(f *fields) {
	f.text(&m.reason, maxText)
	f.text(&m.next, maxName)
}

func (m *alive) fields(*fields) {}

func (m *ack) fields(f *fields) {
	f.u64(&m.epoch)
	f.u64(&m.received)
	f.u64(&m.applied)
	f.u64(&m.durable)
	f.i64(&m.now)
}
