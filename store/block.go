package store

import (
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A block is a key with its value: two header words, and behind them, in the
// same allocation, what the meta word says:
//
//	[expiry int64]   if hasExpiry
//	[number int64]   if the kind is kindInt
//	key
//	value            the bytes of a string, or the elements of a small collection
//
// Such a block holds no pointer, so the collector does not look into it. A block
// of kindObject is the head of an object entry instead.
//
// A collection is in a block while it is compact and key and elements are within
// Keyspace.inline bytes: it costs no more than they do, and its readers need no
// lock. Who edits it edits a draft, of which Publish makes another block.
//
// A published block is never changed but for the clock, the expiry and the
// number, each by one aligned atomic store. Once it has left the index its memory may
// become another block, but not before everybody has ended the section in which he
// may have found it: a reader without a latch may hold it as long as that.
type block struct {
	clock atomic.Uint32 // last access, see access.go
	epoch uint32        // in which it was published, 0: not yet; see Cut
	meta  uint64        // kind 3, hasExpiry 1, length of key 30, value 30 bits
}

const (
	kindStr    = iota
	kindRaw    // a string that OBJECT ENCODING calls raw however short it is
	kindInt    //
	kindObject // the value's bits hold the Type
	kindList   // and of collections that are in the block how many bytes and
	kindSet    // elements there are, and the mark; in the order of Types
	kindZSet
	kindHash

	kindMask   = 7
	expiryBit  = 8
	keyShift   = 4
	valShift   = 34
	lenMask    = 1<<30 - 1
	headSize   = 16
	maxInBlock = lenMask // longer keys and values live in an object entry

	// inlineMax is how many bytes key and elements of a collection that is in a
	// block may have together. An edit copies them twice, into memory of a block that
	// was replaced; an object is edited in place, but for its elements there are four
	// more places in memory to go to, each for the collector to look at and none likely
	// to be at hand. Where there are many keys 512 bytes cost less than 256, and 1024 no
	// less than that.
	inlineMax = 512

	countShift = valShift + 14
	markShift  = countShift + 14
	sizeMask   = 1<<14 - 1 // of bytes, and of elements

	// From this size on a string always has the word for the expiry, so that
	// EXPIRE and PERSIST never copy a long value.
	roomySize = 256

	// embstrMax is the length up to which OBJECT ENCODING says embstr.
	embstrMax = 44
)

// An entry is a block whose value is an object. Several entries never share a
// holder, except that RENAME gives it to the next one.
type entry struct {
	block
	expire atomic.Int64
	holder *holder
	key    string
}

// A holder is an object with the mutex that its editor and its readers hold.
// Which object it is never changes, nor does the object's Type.
type holder struct {
	mu    sync.RWMutex
	state atomic.Uint32 // epoch and damage, stored with mu held, if only for reading
	edit  int32         // its number in Tx.editing + 1, or 0; guarded by the key's latch
	obj   Object
	bytes atomic.Int64 // as last accounted, under the shard's mutex
	due   atomic.Int64 // when the next of a hash's fields expires, 0: none does; likewise
}

// The lowest bit of a holder's state says that it is damaged, the others are the
// epoch in which it was published or last told by a Cut, 0: not yet.
const (
	damagedBit = 1
	epochShift = 1
)

func (h *holder) damaged() bool { return h.state.Load()&damagedBit != 0 }

func (h *holder) damage() { h.state.Store(h.state.Load() | damagedBit) }

func (h *holder) epoch() uint32 { return h.state.Load() >> epochShift }

// born stamps a holder that becomes known.
func (h *holder) born(epoch uint32) {
	if h.epoch() == 0 {
		h.stamp(epoch)
	}
}

func (h *holder) stamp(epoch uint32) {
	h.state.Store(epoch<<epochShift | h.state.Load()&damagedBit)
}

// dueOf is when the first part of an object expires, 0 if none does.
func dueOf(o Object) int64 {
	if h, ok := o.(*Hash); ok {
		return h.Due()
	}
	return 0
}

// value says what newBlock puts behind the key.
type value struct {
	kind     int
	str      []byte
	room     int // bytes that str is to have at least, filled up with zeros
	num      int64
	count    uint32 // elements of a collection, whose bytes are str
	mark     uint8  // of its packed
	expireAt int64
}

// collection tells whether a kind is that of a collection in a block.
func collection(kind int) bool { return kind > kindObject }

// kindOf is the kind of a collection that is in a block.
func kindOf(t Type) int { return int(t) - int(ListType) + kindList }

// metaBits are the value's part of the meta word.
func (v *value) metaBits(size int) uint64 {
	if !collection(v.kind) {
		return uint64(size) << valShift
	}
	mark := bits.Len8(v.mark >> 1) // 0 to 3 for 0, 2, 4 and 8
	return uint64(size)<<valShift | uint64(v.count)<<countShift | uint64(mark)<<markShift
}

func newBlock(key []byte, v value, clock uint32) *block {
	var none *spares
	return none.newBlock(key, v, clock)
}

// newBlock makes a block, of a spare one if there is one of its size.
func (sp *spares) newBlock(key []byte, v value, clock uint32) *block {
	str := max(len(v.str), v.room)
	size := headSize + len(key) + str
	if v.kind == kindInt {
		size += 8
	}
	meta := uint64(v.kind) | uint64(len(key))<<keyShift | v.metaBits(str)
	if v.expireAt != 0 || size >= roomySize && !collection(v.kind) {
		size += 8
		meta |= expiryBit
	}
	b := sp.take(size)
	if b == nil {
		b = unfilled(size)
	}
	b.clock.Store(clock)
	b.meta = meta
	if meta&expiryBit != 0 {
		b.expiry().Store(v.expireAt)
	}
	if v.kind == kindInt {
		b.num().Store(v.num)
	}
	copy(b.key(), key)
	body := b.body()
	clear(body[copy(body, v.str):])
	return b
}

// unfilled returns room for a block of size bytes. Only the header of a large one is zero:
// clearing what is written at once takes a third of the time of a value of 1 MiB, and
// strings.Builder is how the runtime's uncleared memory is to be had.
func unfilled(size int) *block {
	if size <= maxSmall {
		return (*block)(unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8))))
	}
	var memory strings.Builder
	memory.Grow(size)
	memory.Write(make([]byte, headSize))
	return (*block)(unsafe.Pointer(unsafe.StringData(memory.String())))
}

func newEntry(key []byte, h *holder, expireAt int64, clock uint32) *block {
	e := &entry{holder: h, key: string(key)}
	e.meta = kindObject | expiryBit | uint64(h.obj.Type())<<valShift
	e.clock.Store(clock)
	e.expire.Store(expireAt)
	return &e.block
}

// copied returns a block of the same key, value and clock that was not published
// yet, with another expiry. Of an object both are entries.
func (b *block) copied(expireAt int64) *block {
	clock := b.clock.Load()
	switch b.kind() {
	case kindObject:
		return newEntry(b.key(), b.entry().holder, expireAt, clock)
	case kindInt:
		return newBlock(b.key(), value{kind: kindInt, num: b.num().Load(), expireAt: expireAt}, clock)
	}
	return newBlock(b.key(), b.value(expireAt), clock)
}

// value is that of a block which is no entry and has no number.
func (b *block) value(expireAt int64) value {
	v := value{kind: b.kind(), str: b.body(), expireAt: expireAt}
	if collection(v.kind) {
		v.count, v.mark = b.count(), b.mark()
	}
	return v
}

func (b *block) kind() int       { return int(b.meta & kindMask) }
func (b *block) hasExpiry() bool { return b.meta&expiryBit != 0 }

// entry is the object entry that b is the head of.
func (b *block) entry() *entry { return (*entry)(unsafe.Pointer(b)) }

func (b *block) at(off uint64) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(b), off) }

// expiry is the place of the expiry, in blocks that have one. Entries have it
// where other blocks do.
func (b *block) expiry() *atomic.Int64 { return (*atomic.Int64)(b.at(headSize)) }

// num is the place of the number, in blocks of kindInt.
func (b *block) num() *atomic.Int64 {
	return (*atomic.Int64)(b.at(headSize + b.meta&expiryBit))
}

// expireAt is when the key expires, 0 for never.
func (b *block) expireAt() int64 {
	if b.meta&expiryBit == 0 {
		return 0
	}
	return b.expiry().Load()
}

// partDue is when the first part of an object expires, as published; 0: none does.
func (b *block) partDue() int64 {
	if b == nil || b.meta&kindMask != kindObject {
		return 0
	}
	return b.entry().holder.due.Load()
}

// keyOffset is where the key begins, in blocks that are no entries.
func (b *block) keyOffset() uint64 {
	off := headSize + b.meta&expiryBit // which is 8
	if b.meta&kindMask == kindInt {
		off += 8
	}
	return off
}

func (b *block) key() []byte {
	if b.meta&kindMask == kindObject {
		e := b.entry()
		return unsafe.Slice(unsafe.StringData(e.key), len(e.key))
	}
	n := b.meta >> keyShift & lenMask
	if n == 0 {
		return nil // there may be nothing behind the header to point to
	}
	return unsafe.Slice((*byte)(b.at(b.keyOffset())), n)
}

// str is the value of kindStr and kindRaw; of other kinds it is empty.
func (b *block) str() []byte {
	if b.meta&kindMask >= kindInt {
		return nil
	}
	return b.body()
}

// body is what stands behind the key.
func (b *block) body() []byte {
	n := b.bodyLen()
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(b.at(b.keyOffset()+b.meta>>keyShift&lenMask)), n)
}

func (b *block) bodyLen() uint64 {
	switch k := b.meta & kindMask; {
	case k < kindInt:
		return b.meta >> valShift & lenMask
	case k > kindObject:
		return b.meta >> valShift & sizeMask
	}
	return 0
}

// count is how many elements a collection has, where a field and its value are
// two.
func (b *block) count() uint32 { return uint32(b.meta >> countShift & sizeMask) }

// mark is that of the collection's packed.
func (b *block) mark() uint8 { return 1 << (b.meta >> markShift) &^ 1 }

// len is how many members or fields a collection has.
func (b *block) len() int {
	if k := b.kind(); k == kindHash || k == kindZSet {
		return int(b.count() / 2)
	}
	return int(b.count())
}

// is tells whether b is the block of key.
func (b *block) is(key []byte) bool { return string(b.key()) == string(key) }

// holds tells whether b is an entry of that object.
func (b *block) holds(h *holder) bool {
	return b != nil && b.kind() == kindObject && b.entry().holder == h
}

func (b *block) typ() Type {
	switch k := b.kind(); {
	case k == kindObject:
		return Type(b.meta >> valShift & lenMask)
	case collection(k):
		return Type(k-kindList) + ListType
	}
	return StringType
}

// encoding is what OBJECT ENCODING says. That of an object may change under an
// editor's hands: the caller holds the latch or the mutex.
func (b *block) encoding() string {
	switch b.kind() {
	case kindObject:
		return b.entry().holder.obj.Encoding()
	case kindInt:
		return "int"
	case kindStr:
		if b.meta>>valShift&lenMask <= embstrMax {
			return "embstr"
		}
	case kindList:
		return listEncoding
	case kindSet:
		if b.mark() == 0 {
			return setEncoding
		}
		return intsetEncoding
	case kindZSet, kindHash:
		return packedEncoding
	}
	return "raw"
}

// size is the memory of the block and, for entries, of what was last accounted
// for the object.
func (b *block) size() int64 {
	if b.meta&kindMask == kindObject {
		e := b.entry()
		return entrySize + sizeClass(len(e.key)) + e.holder.bytes.Load()
	}
	n := int(b.keyOffset() + b.meta>>keyShift&lenMask + b.bodyLen())
	return sizeClass((n + 7) &^ 7)
}
