package command

import "github.com/ferricd/ferricd/store"

func hincrby(c *Context) error {
	by, err := c.Int64(3)
	if err != nil {
		return err
	}
	key, field := c.Args[1], c.Args[2]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	n := int64(0)
	if v, ok := c.fieldOf(h, field); ok {
		if n, ok = elemInt(v); !ok {
			return ErrHashInt
		}
	}
	if n, err = addInt64(n, by); err != nil {
		return err
	}
	if h, err = c.Tx.EditHash(key, true); err != nil {
		return err
	}
	h.Update(field, c.Decimal(n), c.Now)
	c.Notify(NotifyHash, "hincrby", key)
	c.Reply.Int(n)
	return nil
}

// elemInt is an element as an integer.
func elemInt(e store.Elem) (int64, bool) {
	if e.IsInt() {
		return e.Int, true
	}
	return ParseInt(e.Str)
}

var argvHSet, argvHSetEx = []byte("HSET"), []byte("HSETEX")

// hincrbyfloat is logged as what it has set, for a sum of floats may come out
// otherwise elsewhere.
func hincrbyfloat(c *Context) error {
	by, ok := ParseLongDouble(c.Args[3])
	switch {
	case !ok:
		return ErrNotFloat
	case by.IsInf():
		return ErrInfinite
	}
	key, field := c.Args[1], c.Args[2]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	n := newLongDouble()
	if v, ok := c.fieldOf(h, field); ok {
		var room [20]byte
		if n, ok = ParseLongDouble(v.Text(room[:0])); !ok {
			return ErrHashFloat
		}
	}
	if n.IsInf() {
		return ErrNaN
	}
	if n = AddLongDouble(n, by); n.IsInf() {
		return ErrNaN
	}
	if h, err = c.Tx.EditHash(key, true); err != nil {
		return err
	}
	text := AppendLongDouble(nil, n)
	h.Update(field, text, c.Now)
	if at, _ := h.ExpireAt(field, c.Now); at != store.NoExpiry {
		c.Effect(argvHSetEx, key, argvKeepTTL, argvFields, argvOne, field, text)
	} else {
		c.Effect(argvHSet, key, field, text)
	}
	c.Notify(NotifyHash, "hincrbyfloat", key)
	c.Reply.Bulk(text)
	return nil
}

var updatesField = []KeySpec{Key(1, RW|Reads|Updates)}

var hashIncrCommands = []Spec{
	{
		Name: "HINCRBY", Usage: "key field increment:integer", Arity: 4, Group: Hash, Since: "2.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updatesField, Run: hincrby,
		Summary: "Adds to the integer in a field of a hash, starting from 0.",
	},
	{
		Name: "HINCRBYFLOAT", Usage: "key field increment:double", Arity: 4, Group: Hash, Since: "2.6.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updatesField, Run: hincrbyfloat,
		Summary: "Adds to the floating point number in a field of a hash, starting from 0.",
	},
}
