package command

import (
	"math"
	"math/big"

	"github.com/ferricd/ferricd/store"
)

func incr(c *Context) error { return incrKey(c, 1) }
func decr(c *Context) error { return incrKey(c, -1) }

func incrBy(c *Context) error {
	n, err := c.Int64(2)
	if err != nil {
		return err
	}
	return incrKey(c, n)
}

func decrBy(c *Context) error {
	n, err := c.Int64(2)
	if err != nil {
		return err
	}
	if n == math.MinInt64 {
		return ErrDecrement
	}
	return incrKey(c, -n)
}

func incrKey(c *Context, by int64) error {
	key := c.Args[1]
	n, _, err := c.Tx.Int(key)
	if err != nil {
		return err
	}
	if n, err = addInt64(n, by); err != nil {
		return err
	}
	c.Tx.SetInt(key, n)
	c.Notify(NotifyString, "incrby", key)
	c.Reply.Int(n)
	return nil
}

func incrByFloat(c *Context) error {
	key := c.Args[1]
	n, err := c.longDouble(key)
	if err != nil {
		return err
	}
	by, ok := ParseLongDouble(c.Args[2])
	if !ok {
		return ErrNotFloat
	}
	if n.IsInf() || by.IsInf() {
		return ErrNaN
	}
	if n = AddLongDouble(n, by); n.IsInf() {
		return ErrNaN
	}
	text := AppendLongDouble(nil, n)
	c.Tx.SetText(key, text, store.KeepExpiry)
	c.effectSet(key, text, store.KeepExpiry)
	c.Notify(NotifyString, "incrbyfloat", key)
	c.Reply.Bulk(text)
	return nil
}

// longDouble is the number at key, 0 if there is none.
func (c *Context) longDouble(key []byte) (*big.Float, error) {
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return nil, err
	}
	if !ok {
		return newLongDouble(), nil
	}
	n, ok := ParseLongDouble(val)
	if !ok {
		return nil, ErrNotFloat
	}
	return n, nil
}

const incrExOptions = optIncrements | optLBound | optUBound | optSaturate | optTimes | optPersist | optENX

func incrEx(c *Context) error {
	o, err := c.options(2, incrExOptions, true)
	if err != nil {
		return err
	}
	if o.has(optENX) && !o.has(optTimes) {
		return ErrENX
	}
	if o.has(optByFloat) {
		return incrExFloat(c, &o)
	}
	return incrExInt(c, &o)
}

// incrExExpiry is what becomes of the key's expiry: NoExpiry, KeepExpiry or a
// time, which may be past.
func (o *options) incrExExpiry(c *Context) (int64, error) {
	if !o.has(optTimes | optPersist) {
		return store.KeepExpiry, nil
	}
	at, err := o.expiry(c)
	if err != nil {
		return 0, err
	}
	if o.has(optENX) {
		if old, _ := c.Tx.ExpireAt(c.Args[1]); old != store.NoExpiry {
			return store.KeepExpiry, nil
		}
	}
	return at, nil
}

func incrExInt(c *Context, o *options) error {
	by, lower, upper, err := o.integers(c)
	if err != nil {
		return err
	}
	expiry, err := o.incrExExpiry(c)
	if err != nil {
		return err
	}
	old, _, err := c.Tx.Int(c.Args[1])
	if err != nil {
		return err
	}
	n, within := addWithin(old, by, lower, upper)
	if !within && !o.has(optSaturate) {
		n = old
	}
	applied := n - old
	if (applied < 0) != (n < old) { // wrapped around
		return ErrAppliedOverflow
	}
	if within || o.has(optSaturate) {
		incrExStore(c, c.Decimal(n), expiry, "incrby")
	}
	c.Reply.Array(2)
	c.Reply.Int(n)
	c.Reply.Int(applied)
	return nil
}

// integers are the increment and the bounds.
func (o *options) integers(c *Context) (by, lower, upper int64, err error) {
	if by, err = o.integer(c, o.increment, "Increment", 1); err != nil {
		return 0, 0, 0, err
	}
	if lower, err = o.integer(c, o.lower, "LBOUND", math.MinInt64); err != nil {
		return 0, 0, 0, err
	}
	if upper, err = o.integer(c, o.upper, "UBOUND", math.MaxInt64); err != nil {
		return 0, 0, 0, err
	}
	if lower > upper {
		return 0, 0, 0, ErrBounds
	}
	return by, lower, upper, nil
}

// integer is the value of an option at argument i, or what it is by default.
func (o *options) integer(c *Context, i int, what string, byDefault int64) (int64, error) {
	if i == 0 {
		return byDefault, nil
	}
	n, ok := ParseInt(c.Args[i])
	if !ok {
		return 0, Errorf("ERR %s is not an integer or out of range", what)
	}
	return n, nil
}

// addWithin is a+b, or the bound that it would pass.
func addWithin(a, b, lower, upper int64) (sum int64, within bool) {
	sum = a + b
	switch {
	case b > 0 && sum < a || b <= 0 && sum > a: // past all of int64
		if b > 0 {
			return upper, false
		}
		return lower, false
	case sum > upper:
		return upper, false
	case sum < lower:
		return lower, false
	}
	return sum, true
}

func incrExFloat(c *Context, o *options) error {
	by, lower, upper, err := o.floats(c)
	if err != nil {
		return err
	}
	expiry, err := o.incrExExpiry(c)
	if err != nil {
		return err
	}
	old, err := c.longDouble(c.Args[1])
	if err != nil {
		return err
	}
	if old.IsInf() {
		return ErrValueInfinite
	}
	n, within := addFloatWithin(old, by, lower, upper)
	if !within && !o.has(optSaturate) {
		n = old
	}
	applied := n
	if !n.IsInf() {
		applied = AddLongDouble(n, newLongDouble().Neg(old))
	}
	if applied.IsInf() {
		return ErrAppliedInfinite
	}
	text := AppendLongDouble(nil, n)
	if within || o.has(optSaturate) {
		incrExStore(c, text, expiry, "incrbyfloat")
	}
	c.Reply.Array(2)
	replyLongDouble(c, text)
	replyLongDouble(c, AppendLongDouble(nil, applied))
	return nil
}

// floats are the increment, which must be finite, and the bounds.
func (o *options) floats(c *Context) (by, lower, upper *big.Float, err error) {
	if by, err = o.float(c, o.increment, "Increment", nil); err != nil { // always given
		return nil, nil, nil, err
	}
	if by.IsInf() {
		return nil, nil, nil, ErrIncrInfinite
	}
	if lower, err = o.float(c, o.lower, "LBOUND", longDoubleMin); err != nil {
		return nil, nil, nil, err
	}
	if upper, err = o.float(c, o.upper, "UBOUND", longDoubleMax); err != nil {
		return nil, nil, nil, err
	}
	if lower.Cmp(upper) > 0 {
		return nil, nil, nil, ErrBounds
	}
	return by, lower, upper, nil
}

// float is the value of an option at argument i, or what it is by default.
func (o *options) float(c *Context, i int, what string, byDefault *big.Float) (*big.Float, error) {
	if i == 0 {
		return byDefault, nil
	}
	n, ok := ParseLongDouble(c.Args[i])
	if !ok {
		return nil, Errorf("ERR %s is not a valid float", what)
	}
	return n, nil
}

// addFloatWithin is a+b, or the bound that it would pass. An infinite sum is
// past any bound.
func addFloatWithin(a, b, lower, upper *big.Float) (sum *big.Float, within bool) {
	sum = AddLongDouble(a, b)
	switch {
	case sum.Cmp(upper) > 0 || sum.IsInf() && !sum.Signbit():
		return upper, false
	case sum.Cmp(lower) < 0 || sum.IsInf():
		return lower, false
	}
	return sum, true
}

// replyLongDouble replies with what AppendLongDouble has printed.
func replyLongDouble(c *Context, text []byte) {
	if c.Reply.Proto() != 3 {
		c.Reply.Bulk(text)
		return
	}
	c.Reply.RawString(",")
	c.Reply.Raw(text)
	c.Reply.RawString("\r\n")
}

// incrExStore gives the key its new value and expiry; one that is past deletes
// it.
func incrExStore(c *Context, text []byte, expiry int64, event string) {
	key := c.Args[1]
	if expiry > 0 && expiry <= c.Now {
		c.drop(key)
		return
	}
	old, _ := c.Tx.ExpireAt(key)
	if n, ok := ParseInt(text); ok && expiry == store.KeepExpiry {
		c.Tx.SetInt(key, n) // in place, when it was an integer
	} else {
		c.Tx.SetString(key, text, expiry)
	}
	c.effectSet(key, text, expiry)
	c.Notify(NotifyString, event, key)
	switch {
	case expiry > 0:
		c.Notify(NotifyGeneric, "expire", key)
	case expiry == store.NoExpiry && old != store.NoExpiry:
		c.Notify(NotifyGeneric, "persist", key)
	}
}

var updateString = []KeySpec{Key(1, RW|Reads|Updates)}

var stringIncrCommands = []Spec{
	{
		Name: "INCR", Usage: "key", Arity: 2, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: incr,
		Summary: "Adds one to the integer at a key, starting from 0.",
	},
	{
		Name: "DECR", Usage: "key", Arity: 2, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: decr,
		Summary: "Takes one from the integer at a key, starting from 0.",
	},
	{
		Name: "INCRBY", Usage: "key increment:integer", Arity: 3, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: incrBy,
		Summary: "Adds to the integer at a key, starting from 0.",
	},
	{
		Name: "DECRBY", Usage: "key decrement:integer", Arity: 3, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: decrBy,
		Summary: "Takes from the integer at a key, starting from 0.",
	},
	{
		Name: "INCRBYFLOAT", Usage: "key increment:double", Arity: 3, Group: String, Since: "2.6.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: incrByFloat,
		Summary: "Adds to the floating point number at a key, starting from 0.",
	},
	{
		Name: "INCREX", Arity: -2, Group: String, Since: "8.8.0", Complexity: "O(1)",
		Usage: "key [BYFLOAT float:double | BYINT integer] [SATURATE] [LBOUND lowerbound:string] [UBOUND upperbound:string] " +
			"[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
		Flags: Write | DenyOOM | Fast, Keys: updateString, Run: incrEx,
		Summary: "Adds to the number at a key within bounds, and sets or removes the key's expiry.",
	},
}
