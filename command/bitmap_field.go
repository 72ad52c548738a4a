package command

import (
	"encoding/binary"
	"math"
)

// A bitInt is an integer of 1 to 64 bits somewhere in a string.
type bitInt struct {
	at     int64 // its first bit, the highest
	bits   uint
	signed bool
}

// end is the position behind its last bit.
func (f bitInt) end() int64 { return f.at + int64(f.bits) }

// bytes are the bytes of b that f is in, and how many bits follow it in the last.
func (f bitInt) bytes(b []byte) (part []byte, behind uint) {
	last := (f.end() - 1) >> 3
	return b[f.at>>3 : last+1], uint(7 - (f.end()-1)&7)
}

// get reads the field; behind the end of b are zeros.
func (f bitInt) get(b []byte) int64 {
	var room [9]byte
	if f.at>>3 < int64(len(b)) {
		copy(room[:], b[f.at>>3:])
	}
	skip := uint(f.at & 7)
	v := binary.BigEndian.Uint64(room[:])<<skip | uint64(room[8])>>(8-skip)
	if f.signed {
		return int64(v) >> (64 - f.bits)
	}
	return int64(v >> (64 - f.bits))
}

// set writes the lowest bits of v into the field, which lies within b.
func (f bitInt) set(b []byte, v int64) {
	part, behind := f.bytes(b)
	left, rest := f.bits, uint64(v)
	for i := len(part) - 1; i >= 0; i-- {
		n := min(8-behind, left)
		mask := byte(1<<n-1) << behind
		part[i] = part[i]&^mask | byte(rest)<<behind&mask
		rest >>= n
		left -= n
		behind = 0
	}
}

// What is done with a number that a field is too small for.
type overflow uint8

const (
	overflowWrap overflow = iota
	overflowSat
	overflowFail
)

// add is what the field holds after incr is added to old; ok is false if nothing
// is to be written.
func (f bitInt) add(old, incr int64, o overflow) (v int64, ok bool) {
	lo, hi := f.limits()
	over, under := incr > 0 && incr > hi-old, incr < 0 && incr < lo-old
	if f.signed && f.bits == 64 {
		sum := old + incr
		over, under = incr > 0 && sum < old, incr < 0 && sum > old
	}
	return f.fit(old+incr, over, under, o)
}

// put is what the field holds after v is stored.
func (f bitInt) put(v int64, o overflow) (int64, bool) {
	lo, hi := f.limits()
	if !f.signed { // a negative number is a very large one
		return f.fit(v, uint64(v) > uint64(hi), false, o)
	}
	// What is so far below that the distance overflows, Redis takes for too large.
	far := f.bits < 64 && v < 0 && hi-v < 0
	return f.fit(v, v > hi || far, v < lo && !far, o)
}

// limits are the least and the greatest number that the field can hold.
func (f bitInt) limits() (lo, hi int64) {
	if f.signed {
		hi = math.MaxInt64 >> (64 - f.bits)
		return -hi - 1, hi
	}
	return 0, int64(uint64(math.MaxUint64) >> (64 - f.bits))
}

func (f bitInt) fit(v int64, over, under bool, o overflow) (int64, bool) {
	switch {
	case !over && !under:
		return v, true
	case o == overflowFail:
		return 0, false
	case o == overflowSat:
		lo, hi := f.limits()
		if under {
			return lo, true
		}
		return hi, true
	}
	v <<= 64 - f.bits
	if f.signed {
		return v >> (64 - f.bits), true
	}
	return int64(uint64(v) >> (64 - f.bits)), true
}

// A fieldOp is one operation of BITFIELD.
type fieldOp struct {
	bitInt
	kind     fieldKind
	overflow overflow
	arg      int64
}

type fieldKind uint8

const (
	fieldGet fieldKind = iota
	fieldSet
	fieldIncr
)

// fieldKindAt reads argument i as the name of an operation; size is how many
// arguments that has.
func (c *Context) fieldKindAt(i int) (k fieldKind, size int, err error) {
	left := len(c.Args) - i - 1
	switch {
	case c.Is(i, "GET") && left >= 2:
		return fieldGet, 3, nil
	case c.Is(i, "SET") && left >= 3:
		return fieldSet, 4, nil
	case c.Is(i, "INCRBY") && left >= 3:
		return fieldIncr, 4, nil
	}
	return 0, 0, ErrSyntax
}

// fieldOps reads the operations of BITFIELD, and how many bytes the string must
// have for those that write, 0 if none does.
func (c *Context) fieldOps(ops []fieldOp) (_ []fieldOp, size int, err error) {
	o := overflowWrap
	for i := 2; i < len(c.Args); {
		if c.Is(i, "OVERFLOW") && i+1 < len(c.Args) {
			if o, err = c.overflow(i + 1); err != nil {
				return nil, 0, err
			}
			i += 2
			continue
		}
		kind, n, err := c.fieldKindAt(i)
		if err != nil {
			return nil, 0, err
		}
		op := fieldOp{kind: kind, overflow: o}
		if op.bitInt, err = c.bitInt(i + 1); err != nil {
			return nil, 0, err
		}
		if kind != fieldGet {
			size = max(size, int((op.end()-1)>>3)+1)
			if op.arg, err = c.Int64(i + 3); err != nil {
				return nil, 0, err
			}
		}
		ops = append(ops, op)
		i += n
	}
	return ops, size, nil
}

func (c *Context) overflow(i int) (overflow, error) {
	switch {
	case c.Is(i, "WRAP"):
		return overflowWrap, nil
	case c.Is(i, "SAT"):
		return overflowSat, nil
	case c.Is(i, "FAIL"):
		return overflowFail, nil
	}
	return 0, ErrOverflowType
}

// bitInt reads argument i as the type of a field and the next one as its place: in
// bits or, with a # before it, in fields of this type.
func (c *Context) bitInt(i int) (f bitInt, err error) {
	kind := c.Args[i]
	if len(kind) > 0 && (kind[0] == 'i' || kind[0] == 'u') {
		n, ok := ParseInt(kind[1:])
		f.signed = kind[0] == 'i'
		if ok && n >= 1 && (n <= 63 || n == 64 && f.signed) {
			f.bits = uint(n)
		}
	}
	if f.bits == 0 {
		return f, ErrFieldType
	}
	place, unit := c.Args[i+1], int64(1)
	if len(place) > 0 && place[0] == '#' {
		place, unit = place[1:], int64(f.bits)
	}
	n, ok := ParseInt(place)
	if !ok || n < 0 || n > (c.maxBitOffset()-1)/unit {
		return f, ErrBitOffset
	}
	f.at = n * unit
	return f, nil
}

func bitField(c *Context) error {
	var room [8]fieldOp
	ops, size, err := c.fieldOps(room[:0])
	if err != nil {
		return err
	}
	key := c.Args[1]
	if size > 0 {
		return writeFields(c, key, ops, size)
	}
	val, _, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	c.Reply.Array(len(ops))
	for i := range ops {
		c.Reply.Int(ops[i].get(val))
	}
	return nil
}

func bitFieldRO(c *Context) error {
	var room [8]fieldOp
	_, size, err := c.fieldOps(room[:0])
	if err != nil {
		return err
	}
	if size > 0 {
		return ErrFieldReadonly
	}
	return bitField(c)
}

// writeFields runs operations of which one at least writes; the string then has
// at least size bytes. What changes no bit of it is no change, but for the
// encoding.
func writeFields(c *Context, key []byte, ops []fieldOp, size int) error {
	b, _, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	grows := len(b) < size
	if grows {
		b, err = c.Tx.EditString(key, size)
	} else {
		err = c.Tx.MakeRaw(key)
	}
	if err != nil {
		return err
	}
	editing, changed := grows, false
	c.Reply.Array(len(ops))
	for i := range ops {
		op := &ops[i]
		old := op.get(b)
		v, reply, ok := op.run(old)
		if !ok {
			c.Reply.Null()
			continue
		}
		c.Reply.Int(reply)
		if op.kind == fieldGet || v == old && !grows {
			continue
		}
		changed = true
		if !editing {
			editing = true
			if b, err = c.Tx.EditString(key, size); err != nil {
				return err
			}
		}
		op.set(b, v)
	}
	if changed {
		c.Notify(NotifyString, "setbit", key)
	}
	return nil
}

// run is what the field that holds old holds after the operation, and the reply;
// ok is false if it fails.
func (op *fieldOp) run(old int64) (v, reply int64, ok bool) {
	switch op.kind {
	case fieldSet:
		v, ok = op.put(op.arg, op.overflow)
		return v, old, ok
	case fieldIncr:
		v, ok = op.add(old, op.arg, op.overflow)
		return v, v, ok
	}
	return old, old, true
}

// fieldAccess tells whether a BITFIELD only reads.
func fieldAccess(args [][]byte) Access {
	for i := 2; i < len(args); i += 3 {
		if !foldEqual(args[i], "GET") || len(args)-i-1 < 2 {
			return RW | Reads | Updates
		}
	}
	return RO | Reads
}

var bitFieldCommands = []Spec{
	{
		Name: "BITFIELD", Arity: -2, Group: Bitmap, Since: "3.2.0", Complexity: "O(1) for each operation",
		Usage: "key [{GET {encoding offset}:get-block} | " +
			"{[OVERFLOW <WRAP | SAT | FAIL>:overflow-block] " +
			"<SET {encoding offset value:integer}:set-block | INCRBY {encoding offset increment}:increment-block>:write-operation}" +
			":write]:operation...",
		Flags: Write | DenyOOM | Short, Run: bitField,
		Keys: []KeySpec{{Access: RW | Reads | Updates | VariableFlags, index: 1, step: 1, vary: fieldAccess,
			Notes: "RW and UPDATE unless all operations are `GET`"}},
		Summary: "Reads and writes integers of any width at any place in the string at a key.",
	},
	{
		Name: "BITFIELD_RO", Usage: "key [GET {encoding offset}:get-block]...", Arity: -2, Group: Bitmap, Since: "6.0.0",
		Complexity: "O(1) for each operation",
		Flags:      Readonly | Fast, Keys: readString, Run: bitFieldRO,
		Summary: "Reads integers of any width at any place in the string at a key.",
	},
}
