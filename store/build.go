package store

import (
	"errors"
	"math"
)

// ErrEmpty is what Finish says of a collection without parts: no key holds one.
var ErrEmpty = errors.New("store: collection is empty")

// What is wrong with contents that no command could have made.
var (
	errNoValue   = errors.New("store: no value")
	errTwoValues = errors.New("store: more than one value")
	errMisplaced = errors.New("store: part of another value")
	errTwice     = errors.New("store: member, field, group or consumer is there twice")
	errNaN       = errors.New("store: score is not a number")
	errFieldTime = errors.New("store: field has no valid expiry")
	errEntry     = errors.New("store: entry of a stream has no fields or is too large")
	errOrder     = errors.New("store: IDs do not ascend")
	errState     = errors.New("store: stream has an impossible state")
	errPending   = errors.New("store: pending entry of no consumer")
)

// A Builder is a Contents that makes a value of what it is told, by the limits of
// its keyspace as they are now. The value is nobody's until a Tx takes it with
// SetBuilt.
//
// What could not have come about by commands is an error, which Finish tells;
// from the first one on the Builder takes nothing in. What it takes in it keeps a
// copy of, and never makes room for parts that are only announced.
type Builder struct {
	ks   *Keyspace
	obj  Object // nil: none yet, or a string
	text []byte // the string, which is not nil
	err  error

	state    bool // the stream's was told
	group    *Group
	consumer *Consumer // whose pending entry came last
	pending  StreamID  // it
}

// NewBuilder returns a builder of values of ks.
func (ks *Keyspace) NewBuilder() *Builder { return &Builder{ks: ks} }

// NewBuilder returns a builder of values of the call's keyspace.
func (tx *Tx) NewBuilder() *Builder { return tx.ks.NewBuilder() }

// Reset makes b ready for another value.
func (b *Builder) Reset() { *b = Builder{ks: b.ks} }

// Err is what is wrong so far.
func (b *Builder) Err() error { return b.err }

// Finish tells whether what b was told makes a value.
func (b *Builder) Finish() error {
	switch o := b.obj.(type) {
	case nil:
		if b.text == nil {
			b.fail(errNoValue)
		}
	case *Stream:
		if !b.state {
			b.fail(errState)
		}
	default:
		if o.Len() == 0 {
			b.fail(ErrEmpty)
		}
	}
	return b.err
}

// SetBuilt lets key hold what b has made, whatever it held before, and makes b
// ready for another value. expireAt is a time or NoExpiry.
func (tx *Tx) SetBuilt(key []byte, b *Builder, expireAt int64) error {
	if err := b.Finish(); err != nil {
		return err
	}
	if b.obj != nil {
		tx.NewObject(key, b.obj, expireAt)
	} else {
		tx.SetString(key, b.text, expireAt)
	}
	b.Reset()
	return nil
}

// SetAccess lets key look as if it had not been used for so many seconds or, under
// an LFU policy, as often as freq says. Either is -1 if nobody knows it.
func (tx *Tx) SetAccess(key []byte, idle int64, freq int) {
	s := tx.see(key)
	if !s.there() {
		return
	}
	switch lfu := tx.ks.access.lfu.Load(); {
	case lfu && freq >= 0:
		s.cur.clock.Store(minute(tx.now)<<8 | uint32(min(freq, math.MaxUint8)))
	case !lfu && idle >= 0:
		s.cur.clock.Store(uint32(tx.now/1000) - uint32(min(idle, math.MaxInt32)))
	}
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// begin begins an object.
func (b *Builder) begin(o Object) {
	if b.obj != nil || b.text != nil {
		b.fail(errTwoValues)
		return
	}
	b.obj = o
}

// part is the object that a part belongs to, nil if it is none of this type or
// there has been an error.
func part[O Object](b *Builder) (o O) {
	if b.err == nil {
		var ok bool
		if o, ok = b.obj.(O); !ok {
			b.fail(errMisplaced)
		}
	}
	return o
}

// String begins and ends a string.
func (b *Builder) String(v []byte) {
	if b.obj != nil || b.text != nil {
		b.fail(errTwoValues)
		return
	}
	b.text = append([]byte{}, v...)
}

// List begins a list.
func (b *Builder) List(int) { b.begin(NewList(int(b.ks.listFill.Load()))) }

// Element adds to the list.
func (b *Builder) Element(v []byte) {
	if l := part[*List](b); l != nil {
		l.PushBack(v)
	}
}

// Set begins a set.
func (b *Builder) Set(int) { b.begin(NewSet(&b.ks.setLimits)) }

// Member adds to the set.
func (b *Builder) Member(v []byte) {
	if s := part[*Set](b); s != nil && !s.Add(v) {
		b.fail(errTwice)
	}
}

// ZSet begins a sorted set.
func (b *Builder) ZSet(int) { b.begin(NewZSet(b.ks.ZSetLimits())) }

// Scored adds to the sorted set.
func (b *Builder) Scored(member []byte, score float64) {
	z := part[*ZSet](b)
	switch {
	case z == nil:
	case math.IsNaN(score):
		b.fail(errNaN)
	case !z.Set(member, score):
		b.fail(errTwice)
	}
}

// Hash begins a hash.
func (b *Builder) Hash(int, bool) { b.begin(NewHash(&b.ks.hashLimits)) }

// Field adds to the hash. One that has expired is taken in too: it goes the way
// of all expired fields.
func (b *Builder) Field(name, value []byte, expireAt int64) {
	h := part[*Hash](b)
	switch {
	case h == nil:
	case expireAt < 0:
		b.fail(errFieldTime)
	case !h.Set(name, value, 0):
		b.fail(errTwice)
	case expireAt > 0:
		h.SetExpiry(name, expireAt)
	}
}

// Stream begins a stream.
func (b *Builder) Stream(int) { b.begin(NewStream(b.ks.StreamLimits())) }

// Entry adds to the stream.
func (b *Builder) Entry(id StreamID, fields [][]byte) {
	s := part[*Stream](b)
	switch {
	case s == nil:
	case b.state:
		b.fail(errMisplaced)
	case len(fields) == 0 || len(fields)%2 != 0 || !FitsStream(fields):
		b.fail(errEntry)
	case !s.last.Less(id):
		b.fail(errOrder)
	default:
		b.append(s, id, fields)
	}
}

// append adds an entry. A node holds the names of its fields once, so however few
// bytes an entry of large names took that does not repeat them, it takes few here
// too: such names do not fill a node as they would fill it by XADD.
func (b *Builder) append(s *Stream, id StreamID, fields [][]byte) {
	names := int64(0)
	for i := 0; i < len(fields); i += 2 {
		names += int64(len(fields[i]))
	}
	limits := s.limits
	if names > max(limits.NodeBytes/4, largeNames) && s.nodes.len() > 0 && s.tail().same(fields) {
		s.limits = StreamLimits{NodeBytes: 2*names + max(limits.NodeBytes, names)}
	}
	s.Append(id, fields)
	s.limits = limits
}

// largeNames is how many bytes of names would make a node for a few entries dear.
const largeNames = 1024

// State ends the entries of the stream.
func (b *Builder) State(st StreamState) {
	s := part[*Stream](b)
	switch {
	case s == nil:
	case b.state:
		b.fail(errMisplaced)
	case st.Last.Less(s.last) || st.Added < int64(s.len):
		b.fail(errState)
	default:
		s.last, s.maxDeleted, s.added = st.Last, st.MaxDeleted, st.Added
		b.state = true
	}
}

// Group adds a group to the stream.
func (b *Builder) Group(g GroupHead) {
	s := part[*Stream](b)
	switch {
	case s == nil:
	case !b.state:
		b.fail(errMisplaced)
	case g.Read < ReadUnknown:
		b.fail(errState)
	case s.Group(g.Name) != nil:
		b.fail(errTwice)
	default:
		b.group = s.CreateGroup(g.Name, g.Last, g.Read)
		b.consumer, b.pending = nil, StreamID{}
	}
}

// Consumer adds a consumer to the last group.
func (b *Builder) Consumer(c ConsumerHead) {
	s := part[*Stream](b)
	switch {
	case s == nil:
	case b.group == nil || b.group.Pending() > 0:
		b.fail(errMisplaced)
	case b.group.Consumer(c.Name) != nil:
		b.fail(errTwice)
	default:
		b.group.CreateConsumer(c.Name, c.Seen)
	}
}

// Pending lets an entry be pending for a consumer of the last group. The entry
// itself may have been deleted.
func (b *Builder) Pending(p PendingEntry) {
	s := part[*Stream](b)
	if s == nil {
		return
	}
	if b.group == nil {
		b.fail(errMisplaced)
		return
	}
	if b.consumer == nil || b.consumer.name != string(p.Consumer) {
		if b.consumer = b.group.Consumer(p.Consumer); b.consumer == nil {
			b.fail(errPending)
			return
		}
	}
	if b.group.Pending() > 0 && !b.pending.Less(p.ID) || p.Count < 0 {
		b.fail(errOrder)
		return
	}
	b.pending = p.ID
	b.group.Give(p.ID, b.consumer, p.At, p.Count)
}
