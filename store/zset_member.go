package store

import (
	"bytes"
	"crypto/rand"
	"math"
	"slices"
	"unsafe"
)

// A zmember is a member of a large sorted set with its score, in one allocation
// that holds no pointer: the score's word, the length as a byte, the name. Names
// of 255 bytes and more have a word for the length, and begin behind it. Only the
// score is ever changed.
type zmember struct {
	score float64
	short uint8
}

const (
	zmemberName     = 9
	zmemberLongName = 24
	zmemberLong     = math.MaxUint8
)

func zmemberBytes(name []byte) int {
	if len(name) < zmemberLong {
		return (zmemberName + len(name) + 7) &^ 7
	}
	return (zmemberLongName + len(name) + 7) &^ 7
}

func newZmember(name []byte, score float64) *zmember {
	m := (*zmember)(unsafe.Pointer(unsafe.SliceData(make([]uint64, zmemberBytes(name)/8))))
	m.score = score
	if len(name) < zmemberLong {
		m.short = uint8(len(name))
	} else {
		m.short = zmemberLong
		*m.long() = uint64(len(name))
	}
	copy(m.name(), name)
	return m
}

func (m *zmember) long() *uint64 { return (*uint64)(unsafe.Add(unsafe.Pointer(m), 16)) }

func (m *zmember) name() []byte {
	if m.short < zmemberLong {
		return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(m), zmemberName)), int(m.short))
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(m), zmemberLongName)), int(*m.long()))
}

// A ztable finds members by name. It is a directory, by the first bits of a
// member's hash, of buckets that split and join alone, so that growing and
// shrinking never moves more than one of them; the directory itself is doubled
// or halved as a whole, which is a copy of one word for a dozen members or more.
type ztable struct {
	dir   []*zbucket // 1<<depth, a bucket of less depth stands several times
	depth uint8
	deep  int // buckets that are as deep as the directory
	len   int
	bytes int64
}

// A zbucket holds the members whose hashes begin with its prefix, in no order.
type zbucket struct {
	tags    []byte // a byte of each one's hash
	members []*zmember
	depth   uint8
}

const (
	zbucketSplit = 64 // so many members split a bucket,
	zbucketJoin  = 24 // and two buckets with no more than this become one
	zmaxDepth    = 32
)

var zbucketOverhead = sizeClass(int(unsafe.Sizeof(zbucket{})))

func (b *zbucket) size() int64 {
	return zbucketOverhead + sizeClass(cap(b.tags)) + sizeClass(8*cap(b.members))
}

func (t *ztable) init() {
	t.dir, t.deep = []*zbucket{{}}, 1
	t.bytes = 8 + t.dir[0].size()
}

// zsetSeed keeps strangers from choosing members that fall together.
var zsetSeed = func() seed {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return newSeed(b)
}()

// hashMember is the hash that places a member: directory and cursor take it from
// the top, the tag is its last byte.
func hashMember(name []byte) uint64 { return zsetSeed.hash(name) }

func (t *ztable) bucket(hash uint64) *zbucket { return t.dir[hash>>(64-t.depth)] }

func (b *zbucket) find(hash uint64, name []byte) int {
	for i := 0; ; i++ {
		j := bytes.IndexByte(b.tags[i:], byte(hash))
		if j < 0 {
			return -1
		}
		if i += j; bytes.Equal(b.members[i].name(), name) {
			return i
		}
	}
}

func (t *ztable) find(name []byte) *zmember {
	h := hashMember(name)
	b := t.bucket(h)
	if i := b.find(h, name); i >= 0 {
		return b.members[i]
	}
	return nil
}

// add takes in a member that is not there.
func (t *ztable) add(m *zmember) {
	h := hashMember(m.name())
	b := t.bucket(h)
	for len(b.members) >= zbucketSplit && t.split(b, h) {
		b = t.bucket(h)
	}
	t.bytes -= b.size()
	b.push(byte(h), m)
	t.bytes += b.size()
	t.len++
}

func (b *zbucket) push(tag byte, m *zmember) {
	b.tags = append(grown(b.tags), tag)
	b.members = append(grown(b.members), m)
}

// grown sees that one more fits, giving a full slice a quarter more room.
func grown[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return append(roomFor[T](len(s)+len(s)/4+1), s...)
}

// roomFor returns an empty slice for n elements that fills its size class.
func roomFor[T any](n int) []T { return slices.Grow([]T(nil), n) }

// shrunk gives up room when it is more than half.
func shrunk[T any](s []T) []T {
	if cap(s) <= 8 || len(s) > cap(s)/2 {
		return s
	}
	return append(roomFor[T](len(s)+len(s)/4), s...)
}

// split makes two of the bucket that hash falls into. It returns false when the
// directory would become too large for that: the hashes are all alike.
func (t *ztable) split(b *zbucket, hash uint64) bool {
	if b.depth == t.depth && !t.double() {
		return false
	}
	if b.depth == t.depth-1 {
		t.deep += 2
	}
	bit := uint64(1) << (63 - b.depth)
	lo, hi := &zbucket{depth: b.depth + 1}, &zbucket{depth: b.depth + 1}
	for _, m := range b.members {
		h := hashMember(m.name())
		if h&bit == 0 {
			lo.push(byte(h), m)
		} else {
			hi.push(byte(h), m)
		}
	}
	t.bytes += lo.size() + hi.size() - b.size()
	t.point(hash&^(bit-1)&^bit, lo)
	t.point(hash&^(bit-1)|bit, hi)
	return true
}

// point lets all entries of the directory that begin with b's prefix, which
// hash has, lead to b.
func (t *ztable) point(hash uint64, b *zbucket) {
	n := 1 << (t.depth - b.depth)
	first := int(hash>>(64-t.depth)) &^ (n - 1)
	for i := range n {
		t.dir[first+i] = b
	}
}

func (t *ztable) double() bool {
	if t.depth == zmaxDepth || len(t.dir) > t.len {
		return false
	}
	dir := make([]*zbucket, 2*len(t.dir))
	for i, b := range t.dir {
		dir[2*i], dir[2*i+1] = b, b
	}
	t.bytes += sizeClass(8*len(dir)) - sizeClass(8*len(t.dir))
	t.dir, t.deep = dir, 0
	t.depth++
	return true
}

func (t *ztable) halve() {
	dir := make([]*zbucket, len(t.dir)/2)
	t.depth--
	t.deep = 0
	for i := range dir {
		dir[i] = t.dir[2*i]
		if dir[i].depth == t.depth {
			t.deep++
		}
	}
	t.bytes += sizeClass(8*len(dir)) - sizeClass(8*len(t.dir))
	t.dir = dir
}

// remove takes out a member that is there.
func (t *ztable) remove(name []byte) {
	h := hashMember(name)
	b := t.bucket(h)
	i, last := b.find(h, name), len(b.members)-1
	t.bytes -= b.size()
	b.tags[i], b.members[i] = b.tags[last], b.members[last]
	b.members[last] = nil
	b.tags, b.members = shrunk(b.tags[:last]), shrunk(b.members[:last])
	t.bytes += b.size()
	t.len--
	t.join(b, h)
}

// join makes one of b and the bucket beside it, as long as both are nearly empty.
func (t *ztable) join(b *zbucket, hash uint64) {
	for b.depth > 0 && len(b.members) <= zbucketJoin {
		other := t.bucket(hash ^ 1<<(64-b.depth))
		if other.depth != b.depth || len(b.members)+len(other.members) > zbucketJoin {
			return
		}
		t.bytes -= b.size() + other.size()
		if b.depth == t.depth {
			t.deep -= 2
		}
		b.tags = append(b.tags, other.tags...)
		b.members = append(b.members, other.members...)
		b.depth--
		t.bytes += b.size()
		t.point(hash, b)
		if t.deep == 0 && t.depth > 0 {
			t.halve()
		}
	}
}

// scan calls fn for members from the cursor on, for at least count of them if
// there are so many, and returns the cursor that goes on, 0 at the end. The
// cursor is how far through the hashes it has come, in units of 2^32: whatever
// happens to the buckets, a member that stays is passed once.
func (t *ztable) scan(cursor uint64, count int, fn func(m *zmember)) (next uint64) {
	for cursor < 1<<32 {
		b := t.bucket(cursor << 32)
		width := uint64(1) << (32 - b.depth)
		inside := cursor&(width-1) != 0
		for _, m := range b.members {
			if !inside || hashMember(m.name())>>32 >= cursor {
				fn(m)
				count--
			}
		}
		cursor = cursor&^(width-1) + width
		if count <= 0 {
			break
		}
	}
	if cursor >= 1<<32 {
		return 0
	}
	return cursor
}
