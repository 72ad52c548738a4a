package store

// A Buffer is a long string that is edited in place. What View returns is valid
// until the next edit. A Buffer never becomes shorter, so what lies behind its
// end has never been written and is zero.
type Buffer struct {
	b []byte
}

const bufferOverhead = 24

// NewBuffer returns a buffer that holds a copy of v and has no room to spare.
func NewBuffer(v []byte) *Buffer {
	b := newBuffer(len(v))
	return &Buffer{b[:copy(b, v)]}
}

// Type is StringType.
func (b *Buffer) Type() Type { return StringType }

// Len is the length of the string.
func (b *Buffer) Len() int { return len(b.b) }

// Bytes is the memory that the buffer takes.
func (b *Buffer) Bytes() int64 { return bufferOverhead + int64(cap(b.b)) }

// Encoding is "raw".
func (b *Buffer) Encoding() string { return "raw" }

// Clone returns a copy without the room to spare.
func (b *Buffer) Clone() Object { return NewBuffer(b.b) }

// View is the string itself.
func (b *Buffer) View() []byte { return b.b }

// Append adds data at the end. It may not point into the buffer.
func (b *Buffer) Append(data []byte) { b.WriteAt(len(b.b), data) }

// WriteAt writes data at off, filling with zeros what lies between the end and
// there. data may not point into the buffer.
func (b *Buffer) WriteAt(off int, data []byte) {
	end := off + len(data)
	if len(data) == 0 {
		return
	}
	if end > len(b.b) {
		b.extend(end)
	}
	copy(b.b[off:], data)
}

// bufferSmall is the size up to which a buffer that grows keeps a quarter of
// itself to spare; larger ones keep an eighth.
const bufferSmall = 64 << 10

func (b *Buffer) extend(n int) {
	if n > cap(b.b) {
		extra := n / 8
		if n <= bufferSmall {
			extra = n / 4
		}
		grown := newBuffer(n + extra)
		copy(grown, b.b)
		b.b = grown
	}
	b.b = b.b[:n]
}
