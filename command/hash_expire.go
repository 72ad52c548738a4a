package command

import (
	"math"

	"github.com/ferricd/ferricd/store"
)

var (
	argvFields     = []byte("FIELDS")
	argvOne        = []byte("1")
	argvHDel       = []byte("HDEL")
	argvHPExpireAt = []byte("HPEXPIREAT")
	argvHPersist   = []byte("HPERSIST")
)

// fieldTimeMax is the latest time at which a field may expire: what fits into the
// 46 bits that Redis has for it.
const fieldTimeMax = 1<<46 - 1

// fieldTime is n units after base in milliseconds.
func (c *Context) fieldTime(n, base, unit int64) (at int64, err error) {
	switch {
	case n < 0:
		return 0, ErrFieldTime
	case n > fieldTimeMax/unit || n*unit > fieldTimeMax-base:
		return 0, ErrExpireTime(c.Spec)
	}
	return n*unit + base, nil
}

// fields reads FIELDS at argument i and the number of fields, and returns them.
// notPositive is the refusal of a number that is none.
func (c *Context) fields(i int, notPositive WireError) ([][]byte, error) {
	if !c.Is(i, "FIELDS") {
		return nil, ErrNoFields
	}
	if i+1 >= len(c.Args) {
		return nil, notPositive
	}
	n, err := c.IntIn(i+1, 1, math.MaxInt64, notPositive)
	if err != nil {
		return nil, err
	}
	if n != int64(len(c.Args)-i-2) {
		return nil, ErrFieldCount
	}
	return c.Args[i+2:], nil
}

// What is replied about a field.
const (
	expiryNoField  = -2
	expiryNoExpiry = -1
	expiryRefused  = 0
	expirySet      = 1
	expiryDeleted  = 2
)

func (c *Context) replyEach(n int, with int64) {
	c.Reply.Array(n)
	for range n {
		c.Reply.Int(with)
	}
}

func hexpire(c *Context) error    { return expireFields(c, c.Now, 1000) }
func hpexpire(c *Context) error   { return expireFields(c, c.Now, 1) }
func hexpireat(c *Context) error  { return expireFields(c, 0, 1000) }
func hpexpireat(c *Context) error { return expireFields(c, 0, 1) }

// expireFields sets the expiry of fields to base plus argument 2, which counts
// units of so many milliseconds.
func expireFields(c *Context, base, unit int64) error {
	key := c.Args[1]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	n, err := c.Int64(2)
	if err != nil {
		return err
	}
	at, err := c.fieldTime(n, base, unit)
	if err != nil {
		return err
	}
	options, i := 0, 3
	for _, o := range [...]struct {
		word   string
		option int
	}{{"NX", expireNX}, {"XX", expireXX}, {"GT", expireGT}, {"LT", expireLT}} {
		if c.Is(3, o.word) {
			options, i = o.option, 4
		}
	}
	fields, err := c.fields(i, ErrNumFields)
	if err != nil {
		return err
	}
	if h == nil {
		c.replyEach(len(fields), expiryNoField)
		return nil
	}
	if err := c.yield(len(fields)); err != nil {
		return err
	}
	if h, err = c.Tx.EditHash(key, false); err != nil {
		return err
	}
	t := c.touching(key, h)
	c.Reply.Array(len(fields))
	for _, f := range fields {
		c.Reply.Int(t.expire(f, at, options))
	}
	t.done(at)
	return nil
}

// A touch gives fields of a hash a new expiry, or deletes those whose expiry is
// past, and tells of it.
type touch struct {
	c                       *Context
	key                     []byte
	h                       *store.Hash
	set, persisted, deleted [][]byte
}

func (c *Context) touching(key []byte, h *store.Hash) *touch {
	return &touch{c: c, key: key, h: h}
}

func (t *touch) expire(f []byte, at int64, options int) int64 {
	old, ok := t.h.ExpireAt(f, t.c.Now)
	switch {
	case !ok:
		return expiryNoField
	case !expireAllowed(options, old, at):
		return expiryRefused
	case at <= t.c.Now:
		t.h.Delete(f, t.c.Now)
		t.deleted = append(t.deleted, f)
		return expiryDeleted
	}
	t.h.SetExpiry(f, at)
	t.set = append(t.set, f)
	return expirySet
}

func (t *touch) persist(f []byte) int64 {
	old, ok := t.h.ExpireAt(f, t.c.Now)
	switch {
	case !ok:
		return expiryNoField
	case old == store.NoExpiry:
		return expiryNoExpiry
	}
	t.h.SetExpiry(f, store.NoExpiry)
	t.persisted = append(t.persisted, f)
	return expirySet
}

func (t *touch) delete(f []byte) {
	if t.h.Delete(f, t.c.Now) {
		t.deleted = append(t.deleted, f)
	}
}

// done writes the records and sends the notifications; at is the expiry of those
// that were set.
func (t *touch) done(at int64) {
	c := t.c
	if len(t.set)+len(t.persisted)+len(t.deleted) == 0 {
		c.Tx.Unedited(t.key)
		return
	}
	if len(t.set) > 0 {
		c.effectFields(t.set, argvHPExpireAt, t.key, c.Decimal(at), argvFields, c.Decimal(int64(len(t.set))))
		c.Notify(NotifyHash, "hexpire", t.key)
	}
	if len(t.persisted) > 0 {
		c.effectFields(t.persisted, argvHPersist, t.key, argvFields, c.Decimal(int64(len(t.persisted))))
		c.Notify(NotifyHash, "hpersist", t.key)
	}
	if len(t.deleted) > 0 {
		c.effectFields(t.deleted, argvHDel, t.key)
		c.deletedFields(t.key, t.h)
	}
}

// effectFields is Effect of some words and then the fields.
func (c *Context) effectFields(fields [][]byte, words ...[]byte) {
	c.Effect(append(words, fields...)...)
}

func hpersist(c *Context) error {
	key := c.Args[1]
	h, err := c.Tx.Hash(key)
	if err != nil {
		return err
	}
	fields, err := c.fields(2, ErrFieldsPositive)
	if err != nil {
		return err
	}
	if h == nil {
		c.replyEach(len(fields), expiryNoField)
		return nil
	}
	if err := c.yield(len(fields)); err != nil {
		return err
	}
	if h, err = c.Tx.EditHash(key, false); err != nil {
		return err
	}
	t := c.touching(key, h)
	c.Reply.Array(len(fields))
	for _, f := range fields {
		c.Reply.Int(t.persist(f))
	}
	t.done(0)
	return nil
}

func httl(c *Context) error {
	return tellFields(c, func(at, now int64) int64 { return (at - now + 999) / 1000 })
}

func hpttl(c *Context) error {
	return tellFields(c, func(at, now int64) int64 { return at - now })
}

func hexpiretime(c *Context) error {
	return tellFields(c, func(at, _ int64) int64 { return (at + 999) / 1000 })
}

func hpexpiretime(c *Context) error {
	return tellFields(c, func(at, _ int64) int64 { return at })
}

// tellFields replies with the expiries of fields, in the form that tell gives
// them.
func tellFields(c *Context, tell func(at, now int64) int64) error {
	h, err := c.Tx.Hash(c.Args[1])
	if err != nil {
		return err
	}
	fields, err := c.fields(2, ErrFieldsPositive)
	if err != nil {
		return err
	}
	if h == nil {
		c.replyEach(len(fields), expiryNoField)
		return nil
	}
	c.Reply.Array(len(fields))
	for _, f := range fields {
		at, ok := h.ExpireAt(f, c.Now)
		switch {
		case !ok:
			c.Reply.Int(expiryNoField)
		case at == store.NoExpiry:
			c.Reply.Int(expiryNoExpiry)
		default:
			c.Reply.Int(tell(at, c.Now))
		}
	}
	return nil
}

const (
	usageFields = " FIELDS {numfields:integer field...}:fields"
	usageIf     = " [NX | XX | GT | LT]:condition"
)

var hashExpireCommands = []Spec{
	{
		Name: "HEXPIRE", Usage: "key seconds" + usageIf + usageFields, Arity: -6, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Write | Fast, Keys: setsFields, Run: hexpire,
		Summary: "Lets fields of a hash expire after so many seconds.",
	},
	{
		Name: "HPEXPIRE", Usage: "key milliseconds" + usageIf + usageFields, Arity: -6, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Write | Fast, Keys: setsFields, Run: hpexpire,
		Summary: "Lets fields of a hash expire after so many milliseconds.",
	},
	{
		Name: "HEXPIREAT", Usage: "key unix-time-seconds" + usageIf + usageFields, Arity: -6, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Write | Fast, Keys: setsFields, Run: hexpireat,
		Summary: "Lets fields of a hash expire at a Unix time in seconds.",
	},
	{
		Name: "HPEXPIREAT", Usage: "key unix-time-milliseconds" + usageIf + usageFields, Arity: -6, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Write | Fast, Keys: setsFields, Run: hpexpireat,
		Summary: "Lets fields of a hash expire at a Unix time in milliseconds.",
	},
	{
		Name: "HTTL", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Readonly | Fast, Keys: readsField, Run: httl, Tips: []string{"nondeterministic_output"},
		Summary: "Tells in how many seconds fields of a hash expire.",
	},
	{
		Name: "HPTTL", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Readonly | Fast, Keys: readsField, Run: hpttl, Tips: []string{"nondeterministic_output"},
		Summary: "Tells in how many milliseconds fields of a hash expire.",
	},
	{
		Name: "HEXPIRETIME", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Readonly | Fast, Keys: readsField, Run: hexpiretime,
		Summary: "Tells the Unix times in seconds at which fields of a hash expire.",
	},
	{
		Name: "HPEXPIRETIME", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Readonly | Fast, Keys: readsField, Run: hpexpiretime,
		Summary: "Tells the Unix times in milliseconds at which fields of a hash expire.",
	},
	{
		Name: "HPERSIST", Usage: "key" + usageFields, Arity: -5, Group: Hash, Since: "7.4.0", Complexity: costFields,
		Flags: Write | Fast, Keys: setsFields, Run: hpersist,
		Summary: "Takes the expiry off fields of a hash.",
	},
}
