package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

// fieldOptions are what stands before FIELDS in HGETEX and HSETEX.
type fieldOptions struct {
	fnx, fxx bool
	keep     bool // KEEPTTL
	persist  bool
	timed    bool
	at       int64 // if timed
	first    int   // where the fields begin
}

// fieldOptions reads the options from argument 2 on and FIELDS, which ends them,
// with words arguments for each field. set says that they are those of HSETEX.
func (c *Context) fieldOptions(set bool, words int64) (o fieldOptions, err error) {
	once := ErrFieldTimes
	if set {
		once = ErrFieldKeep
	}
	for i := 2; i < len(c.Args); i++ {
		unit, base := c.fieldUnit(i)
		switch {
		case c.Is(i, "FIELDS"):
			o.first = i + 2
			return o, c.fieldNumber(i+1, words)
		case unit != 0:
			if o.timed || o.keep || o.persist {
				return o, once
			}
			if i++; i == len(c.Args) {
				return o, ErrNoFieldTime
			}
			if err := o.time(c, i, base, unit); err != nil {
				return o, err
			}
		case !set && c.Is(i, "PERSIST"), set && c.Is(i, "KEEPTTL"):
			if o.timed || o.keep || o.persist {
				return o, once
			}
			o.keep, o.persist = set, !set
		case set && (c.Is(i, "FNX") || c.Is(i, "FXX")):
			if o.fnx || o.fxx {
				return o, ErrFieldIf
			}
			o.fnx = c.Is(i, "FNX")
			o.fxx = !o.fnx
		default:
			return o, Errorf("ERR unknown argument: %s", c.Args[i])
		}
	}
	return o, ErrNoFields
}

// fieldUnit is the unit in milliseconds of an option that gives a time, 0 for
// other words, and what it counts from.
func (c *Context) fieldUnit(i int) (unit, base int64) {
	switch {
	case c.Is(i, "EX"):
		return 1000, c.Now
	case c.Is(i, "PX"):
		return 1, c.Now
	case c.Is(i, "EXAT"):
		return 1000, 0
	case c.Is(i, "PXAT"):
		return 1, 0
	}
	return 0, 0
}

func (o *fieldOptions) time(c *Context, i int, base, unit int64) error {
	n, err := c.Int64(i)
	if err != nil {
		return err
	}
	o.timed = true
	o.at, err = c.fieldTime(n, base, unit)
	return err
}

// fieldNumber checks the number of fields at argument i.
func (c *Context) fieldNumber(i int, words int64) error {
	if i+int(words) >= len(c.Args) {
		return ErrArity(c.Spec)
	}
	n, err := c.IntIn(i, 1, math.MaxInt32, ErrFieldNumber)
	if err != nil {
		return err
	}
	if n*words != int64(len(c.Args)-i-1) {
		return ErrArity(c.Spec)
	}
	return nil
}

// hgetdel is logged as the HDEL that it was.
func hgetdel(c *Context) error {
	key := c.Args[1]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	fields, err := c.fields(2, ErrFieldsPositive)
	if err != nil {
		return err
	}
	return c.takeFields(key, h, fields, func(t *touch, f []byte) { t.delete(f) }, 0)
}

func hgetex(c *Context) error {
	key := c.Args[1]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	o, err := c.fieldOptions(false, 1)
	if err != nil {
		return err
	}
	return c.takeFields(key, h, c.Args[o.first:], func(t *touch, f []byte) {
		switch {
		case o.timed:
			t.expire(f, o.at, 0)
		case o.persist:
			t.persist(f)
		}
	}, o.at)
}

// takeFields replies with the values of fields and does something with each.
func (c *Context) takeFields(key []byte, h *store.Hash, fields [][]byte, do func(*touch, []byte), at int64) (err error) {
	if h != nil {
		if err := c.yield(len(fields)); err != nil {
			return err
		}
		if h, err = c.Tx.EditHash(key, false); err != nil {
			return err
		}
	}
	c.Reply.Array(len(fields))
	t := c.touching(key, h)
	for _, f := range fields {
		if c.fieldValue(h, f) {
			do(t, f)
		}
	}
	if h != nil {
		t.done(at)
	}
	return nil
}

func hsetex(c *Context) error {
	key := c.Args[1]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	o, err := c.fieldOptions(true, 2)
	if err != nil {
		return err
	}
	pairs := c.Args[o.first:]
	for i := 0; i < len(pairs) && (o.fnx || o.fxx); i += 2 {
		if _, ok := c.fieldOf(h, pairs[i]); ok == o.fnx {
			c.Reply.Int(0)
			return nil
		}
	}
	if err := c.yield(len(pairs)); err != nil {
		return err
	}
	past := o.timed && o.at <= c.Now
	if past && h == nil {
		c.Reply.Int(1)
		return nil
	}
	if h, err = c.Tx.EditHash(key, !past); err != nil {
		return err
	}
	if past {
		t := c.touching(key, h)
		for i := 0; i < len(pairs); i += 2 {
			t.delete(pairs[i])
		}
		t.done(0)
	} else {
		o.set(c, h, key, pairs)
	}
	c.Reply.Int(1)
	return nil
}

// set gives fields their values and expiry.
func (o *fieldOptions) set(c *Context, h *store.Hash, key []byte, pairs [][]byte) {
	for i := 0; i < len(pairs); i += 2 {
		if o.keep {
			h.Update(pairs[i], pairs[i+1], c.Now)
		} else {
			h.Set(pairs[i], pairs[i+1], c.Now)
		}
		if o.timed {
			h.SetExpiry(pairs[i], o.at)
		}
	}
	c.Notify(NotifyHash, "hset", key)
	n := c.Decimal(int64(len(pairs) / 2))
	switch {
	case o.timed:
		c.Notify(NotifyHash, "hexpire", key)
		c.effectFields(pairs, argvHSetEx, key, argvPXAT, c.Decimal(o.at), argvFields, n)
	case o.keep:
		c.effectFields(pairs, argvHSetEx, key, argvKeepTTL, argvFields, n)
	default:
		c.effectFields(pairs, argvHSet, key)
	}
}

const usageTimes = "EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds"

var hashExCommands = []Spec{
	{
		Name: "HGETDEL", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "8.0.0", Complexity: costFields,
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Deletes)}, Run: hgetdel,
		Summary: "Gets the values of fields of a hash and deletes the fields.",
	},
	{
		Name: "HGETEX", Usage: "key [" + usageTimes + " | PERSIST]:expiration" + usageFields, Arity: -5,
		Group: Hash, Since: "8.0.0", Complexity: costFields,
		Flags: Write | Fast, Keys: updatesField, Run: hgetex,
		Summary: "Gets the values of fields of a hash, and sets or removes their expiry.",
	},
	{
		Name:  "HSETEX",
		Usage: "key [FNX | FXX]:condition [" + usageTimes + " | KEEPTTL]:expiration FIELDS {numfields:integer {field value}:data...}:fields",
		Arity: -6, Group: Hash, Since: "8.0.0", Complexity: costFields,
		Flags: Write | DenyOOM | Fast, Keys: setsFields, Run: hsetex,
		Summary: "Gives fields of a hash their values and their expiry, if all or none of them are there already.",
	},
}
