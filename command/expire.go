package command

import "math"

// The options of the EXPIRE family.
const (
	expireNX = 1 << iota
	expireXX
	expireGT
	expireLT
)

var (
	argvDel       = []byte("DEL")
	argvPExpireAt = []byte("PEXPIREAT")
)

func expire(c *Context) error    { return expireKey(c, c.Now, 1000) }
func pexpire(c *Context) error   { return expireKey(c, c.Now, 1) }
func expireAt(c *Context) error  { return expireKey(c, 0, 1000) }
func pexpireAt(c *Context) error { return expireKey(c, 0, 1) }

// expireKey sets the expiry of argument 1 to base plus argument 2, which counts
// units of so many milliseconds.
func expireKey(c *Context, base, unit int64) error {
	options, err := expireOptions(c.Args[3:])
	if err != nil {
		return err
	}
	n, err := c.Int64(2)
	if err != nil {
		return err
	}
	when, ok := expiryTime(n, base, unit)
	if !ok {
		return ErrExpireTime(c.Spec)
	}
	key := c.Args[1]
	now, exists := c.Tx.ExpireAt(key)
	if !exists || !expireAllowed(options, now, when) {
		c.Reply.Int(0)
		return nil
	}
	if when <= c.Now {
		c.Tx.Delete(key)
		c.Effect(argvDel, key)
		c.Notify(NotifyGeneric, "del", key)
	} else {
		c.Tx.SetExpiry(key, when)
		c.Effect(argvPExpireAt, key, c.Decimal(when))
		c.Notify(NotifyGeneric, "expire", key)
	}
	c.Reply.Int(1)
	return nil
}

// expiryTime is n units after base in milliseconds, if that can be told.
func expiryTime(n, base, unit int64) (when int64, ok bool) {
	if n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return 0, false
	}
	if n *= unit; n > math.MaxInt64-base {
		return 0, false
	}
	return n + base, true
}

func expireOptions(args [][]byte) (options int, err error) {
	for _, a := range args {
		switch {
		case foldEqual(a, "NX"):
			options |= expireNX
		case foldEqual(a, "XX"):
			options |= expireXX
		case foldEqual(a, "GT"):
			options |= expireGT
		case foldEqual(a, "LT"):
			options |= expireLT
		default:
			return 0, Errorf("ERR Unsupported option %s", a)
		}
	}
	if options&expireNX != 0 && options != expireNX {
		return 0, ErrExpireNX
	}
	if options&expireGT != 0 && options&expireLT != 0 {
		return 0, ErrExpireGTLT
	}
	return options, nil
}

// expireAllowed tells whether the options let the expiry become when. now is
// the present one, 0 for none, which counts as later than any.
func expireAllowed(options int, now, when int64) bool {
	switch {
	case options&expireNX != 0 && now != 0,
		options&expireXX != 0 && now == 0,
		options&expireGT != 0 && (now == 0 || when <= now),
		options&expireLT != 0 && now != 0 && when >= now:
		return false
	}
	return true
}

func ttl(c *Context) error {
	return tellExpiry(c, func(at, now int64) int64 { return (max(at-now, 0) + 500) / 1000 })
}

func pttl(c *Context) error {
	return tellExpiry(c, func(at, now int64) int64 { return max(at-now, 0) })
}

func expireTime(c *Context) error {
	return tellExpiry(c, func(at, _ int64) int64 { return at/1000 + (at%1000+500)/1000 })
}

func pexpireTime(c *Context) error {
	return tellExpiry(c, func(at, _ int64) int64 { return at })
}

// tellExpiry replies with the key's expiry, in the form that tell gives it.
func tellExpiry(c *Context, tell func(at, now int64) int64) error {
	at, ok := c.Tx.ExpireAt(c.Args[1])
	switch {
	case !ok:
		c.Reply.Int(-2)
	case at == 0:
		c.Reply.Int(-1)
	default:
		c.Reply.Int(tell(at, c.Now))
	}
	return nil
}

func persist(c *Context) error {
	key := c.Args[1]
	if at, ok := c.Tx.ExpireAt(key); !ok || at == 0 {
		c.Reply.Int(0)
		return nil
	}
	c.Tx.SetExpiry(key, 0)
	c.Notify(NotifyGeneric, "persist", key)
	c.Reply.Int(1)
	return nil
}

var expireKeys = []KeySpec{Key(1, RW|Updates)}

var readExpiryKeys = []KeySpec{Key(1, RO|Reads)}

var expireHistory = []Change{{"7.0.0", "NX, XX, GT and LT came."}}

var ttlHistory = []Change{{"2.8.0", "Answers -2 for a key that does not exist."}}

var expireCommands = []Spec{
	{
		Name: "EXPIRE", Usage: "key seconds [NX | XX | GT | LT]:condition", Arity: -3, Group: Generic, Since: "1.0.0",
		Complexity: "O(1)", Flags: Write | Fast, Keys: expireKeys, Run: expire, History: expireHistory,
		Summary: "Lets a key expire after so many seconds.",
	},
	{
		Name: "PEXPIRE", Usage: "key milliseconds [NX | XX | GT | LT]:condition", Arity: -3, Group: Generic, Since: "2.6.0",
		Complexity: "O(1)", Flags: Write | Fast, Keys: expireKeys, Run: pexpire, History: expireHistory,
		Summary: "Lets a key expire after so many milliseconds.",
	},
	{
		Name: "EXPIREAT", Usage: "key unix-time-seconds [NX | XX | GT | LT]:condition", Arity: -3, Group: Generic, Since: "1.2.0",
		Complexity: "O(1)", Flags: Write | Fast, Keys: expireKeys, Run: expireAt, History: expireHistory,
		Summary: "Lets a key expire at a Unix time in seconds.",
	},
	{
		Name: "PEXPIREAT", Usage: "key unix-time-milliseconds [NX | XX | GT | LT]:condition", Arity: -3, Group: Generic, Since: "2.6.0",
		Complexity: "O(1)", Flags: Write | Fast, Keys: expireKeys, Run: pexpireAt, History: expireHistory,
		Summary: "Lets a key expire at a Unix time in milliseconds.",
	},
	{
		Name: "TTL", Usage: "key", Arity: 2, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast | NoTouch, Keys: readExpiryKeys, Run: ttl,
		Tips: []string{"nondeterministic_output"}, History: ttlHistory,
		Summary: "Tells in how many seconds a key expires.",
	},
	{
		Name: "PTTL", Usage: "key", Arity: 2, Group: Generic, Since: "2.6.0", Complexity: "O(1)",
		Flags: Readonly | Fast | NoTouch, Keys: readExpiryKeys, Run: pttl,
		Tips: []string{"nondeterministic_output"}, History: ttlHistory,
		Summary: "Tells in how many milliseconds a key expires.",
	},
	{
		Name: "EXPIRETIME", Usage: "key", Arity: 2, Group: Generic, Since: "7.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast | NoTouch, Keys: readExpiryKeys, Run: expireTime,
		Summary: "Tells the Unix time in seconds at which a key expires.",
	},
	{
		Name: "PEXPIRETIME", Usage: "key", Arity: 2, Group: Generic, Since: "7.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast | NoTouch, Keys: readExpiryKeys, Run: pexpireTime,
		Summary: "Tells the Unix time in milliseconds at which a key expires.",
	},
	{
		Name: "PERSIST", Usage: "key", Arity: 2, Group: Generic, Since: "2.2.0", Complexity: "O(1)",
		Flags: Write | Fast, Keys: expireKeys, Run: persist,
		Summary: "Takes the expiry off a key.",
	},
}
