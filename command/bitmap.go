package command

import "math"

// maxBitOffset is beyond every bit that a string may have.
func (c *Context) maxBitOffset() int64 {
	if limit := c.maxString(); limit < math.MaxInt64/8 {
		return limit * 8
	}
	return math.MaxInt64
}

// bitOffset reads argument i as the position of a bit.
func (c *Context) bitOffset(i int) (int64, error) {
	return c.IntIn(i, 0, c.maxBitOffset()-1, ErrBitOffset)
}

func setBit(c *Context) error {
	off, err := c.bitOffset(2)
	if err != nil {
		return err
	}
	on, err := c.IntIn(3, 0, 1, ErrBit)
	if err != nil {
		return err
	}
	key := c.Args[1]
	val, _, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	at, mask := int(off>>3), byte(0x80)>>(off&7)
	old := at < len(val) && val[at]&mask != 0
	changes := at >= len(val) || old != (on == 1)
	if err := c.writeBit(key, at, mask, on == 1, changes); err != nil {
		return err
	}
	c.replyBit(old)
	return nil
}

// writeBit sets or clears the bits of mask in the byte at. Where none changes,
// only the encoding does.
func (c *Context) writeBit(key []byte, at int, mask byte, on, changes bool) error {
	if !changes {
		return c.Tx.MakeRaw(key)
	}
	b, err := c.Tx.EditString(key, at+1)
	if err != nil {
		return err
	}
	b[at] &^= mask
	if on {
		b[at] |= mask
	}
	c.Notify(NotifyString, "setbit", key)
	return nil
}

func (c *Context) replyBit(on bool) {
	if on {
		c.Reply.Int(1)
	} else {
		c.Reply.Int(0)
	}
}

func getBit(c *Context) error {
	off, err := c.bitOffset(2)
	if err != nil {
		return err
	}
	val, _, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	at := int(off >> 3)
	c.replyBit(at < len(val) && val[at]&(0x80>>(off&7)) != 0)
	return nil
}

// bitCount looks at its other arguments only when the key exists.
func bitCount(c *Context) error {
	val, ok, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	if !ok {
		c.Reply.Int(0)
		return nil
	}
	from, to := 0, len(val)*8
	switch len(c.Args) {
	case 2:
	case 4, 5:
		if from, to, err = c.countRange(len(val)); err != nil {
			return err
		}
	default:
		return ErrSyntax
	}
	c.Reply.Int(int64(countBits(val, from, to)))
	return nil
}

// countRange reads the range of BITCOUNT as bits from and up to.
func (c *Context) countRange(size int) (from, to int, err error) {
	start, err := c.Int64(2)
	if err != nil {
		return 0, 0, err
	}
	end, err := c.Int64(3)
	if err != nil {
		return 0, 0, err
	}
	if start < 0 && end < 0 && start > end {
		return 0, 0, nil
	}
	unit := 8
	if len(c.Args) == 5 {
		if unit, err = c.bitUnit(4); err != nil {
			return 0, 0, err
		}
	}
	from, to = cut(start, end, size*8/unit)
	return from * unit, to * unit, nil
}

// bitUnit reads argument i as the unit of a range: how many bits it has.
func (c *Context) bitUnit(i int) (int, error) {
	switch {
	case c.Is(i, "BYTE"):
		return 8, nil
	case c.Is(i, "BIT"):
		return 1, nil
	}
	return 0, ErrSyntax
}

func bitPos(c *Context) error {
	bit, err := c.Int64(2)
	if err != nil {
		return err
	}
	if bit != 0 && bit != 1 {
		return ErrBitArgument
	}
	val, ok, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	if !ok { // as if it were zeros without an end
		c.Reply.Int(-bit)
		return nil
	}
	from, to, open, err := c.posRange(len(val))
	if err != nil {
		return err
	}
	pos := findBit(val, from, to, bit == 1)
	if pos < 0 && bit == 0 && open && from < to {
		pos = to // behind the string are zeros, if nobody asked for a part of it
	}
	c.Reply.Int(int64(pos))
	return nil
}

// posRange reads the range of BITPOS as bits from and up to; open means that its
// end was not given.
func (c *Context) posRange(size int) (from, to int, open bool, err error) {
	start, end, unit := int64(0), int64(-1), 8
	if len(c.Args) > 6 {
		return 0, 0, false, ErrSyntax
	}
	if len(c.Args) > 3 {
		if start, err = c.Int64(3); err != nil {
			return 0, 0, false, err
		}
	}
	if len(c.Args) == 6 {
		if unit, err = c.bitUnit(5); err != nil {
			return 0, 0, false, err
		}
	}
	if len(c.Args) > 4 {
		if end, err = c.Int64(4); err != nil {
			return 0, 0, false, err
		}
	}
	n := int64(size * 8 / unit)
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	if end = min(end, n-1); start > end {
		return 0, 0, false, nil
	}
	return int(start) * unit, int(end+1) * unit, len(c.Args) < 5, nil
}

var bitmapCommands = []Spec{
	{
		Name: "SETBIT", Usage: "key offset value:integer", Arity: 4, Group: Bitmap, Since: "2.2.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Short, Keys: []KeySpec{Key(1, RW|Reads|Updates)}, Run: setBit,
		Summary: "Sets or clears one bit of the string at a key, which grows as needed, and tells what it was.",
	},
	{
		Name: "GETBIT", Usage: "key offset", Arity: 3, Group: Bitmap, Since: "2.2.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: readString, Run: getBit,
		Summary: "Tells one bit of the string at a key.",
	},
	{
		Name: "BITCOUNT", Usage: "key [{start end [BYTE | BIT]:unit}:range]", Arity: -2, Group: Bitmap, Since: "2.6.0",
		Complexity: "O(N) where N is the number of bytes looked at",
		Flags:      Readonly, Keys: readString, Run: bitCount,
		History: []Change{{"7.0.0", "BYTE and BIT came."}},
		Summary: "Counts the bits that are set in the string at a key, or in a part of it.",
	},
	{
		Name: "BITPOS", Usage: "key bit [{start [{end [BYTE | BIT]:unit}:end-unit-block]}:range]", Arity: -3,
		Group: Bitmap, Since: "2.8.7", Complexity: "O(N) where N is the number of bytes looked at",
		Flags: Readonly, Keys: readString, Run: bitPos,
		History: []Change{{"7.0.0", "BYTE and BIT came."}},
		Summary: "Finds the first bit of a kind in the string at a key, or in a part of it.",
	},
}
