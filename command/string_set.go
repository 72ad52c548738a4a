package command

import "github.com/ferricd/ferricd/store"

func set(c *Context) error {
	key, val := c.Args[1], c.Args[2]
	if len(c.Args) == 3 {
		c.put(key, val, store.NoExpiry)
		c.Reply.OK()
		return nil
	}
	o, err := c.options(3, optConditions|optGet|optTimes|optKeepTTL, false)
	if err != nil {
		return err
	}
	expiry, err := o.expiry(c)
	if err != nil {
		return err
	}
	met, err := o.met(c, key)
	if err != nil {
		return err
	}
	if err := replyToSet(c, key, met, o.has(optGet)); err != nil || !met {
		return err
	}
	c.put(key, val, expiry)
	c.effectSet(key, val, expiry)
	return nil
}

// replyToSet answers SET before it changes the key, whose old value it may have
// to give.
func replyToSet(c *Context, key []byte, met, old bool) error {
	switch {
	case old:
		val, ok, err := c.Tx.String(key)
		if err != nil {
			return err
		}
		c.Reply.BulkOrNull(val, ok)
	case met:
		c.Reply.OK()
	default:
		c.Reply.Null()
	}
	return nil
}

// put stores a string whatever was there before, and says so.
func (c *Context) put(key, val []byte, expiry int64) {
	c.Tx.SetString(key, val, expiry)
	c.Notify(NotifyString, "set", key)
	if expiry > 0 {
		c.Notify(NotifyGeneric, "expire", key)
	}
}

var (
	argvSet     = []byte("SET")
	argvPXAT    = []byte("PXAT")
	argvKeepTTL = []byte("KEEPTTL")
	argvPersist = []byte("PERSIST")
)

// effectSet logs the call as a plain SET.
func (c *Context) effectSet(key, val []byte, expiry int64) {
	switch expiry {
	case store.NoExpiry:
		c.Effect(argvSet, key, val)
	case store.KeepExpiry:
		c.Effect(argvSet, key, val, argvKeepTTL)
	default:
		c.Effect(argvSet, key, val, argvPXAT, c.Decimal(expiry))
	}
}

func setNX(c *Context) error {
	key := c.Args[1]
	if c.Tx.Exists(key) {
		c.Reply.Int(0)
		return nil
	}
	c.put(key, c.Args[2], store.NoExpiry)
	c.Reply.Int(1)
	return nil
}

func setEX(c *Context) error  { return setExpiring(c, 1000) }
func psetEX(c *Context) error { return setExpiring(c, 1) }

func setExpiring(c *Context, unit int64) error {
	at, err := c.expiryAt(2, unit, c.Now)
	if err != nil {
		return err
	}
	c.put(c.Args[1], c.Args[3], at)
	c.effectSet(c.Args[1], c.Args[3], at)
	c.Reply.OK()
	return nil
}

func getSet(c *Context) error {
	key := c.Args[1]
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	c.Reply.BulkOrNull(val, ok)
	c.put(key, c.Args[2], store.NoExpiry)
	return nil
}

func mset(c *Context) error {
	if len(c.Args)%2 == 0 {
		return ErrArity(c.Spec)
	}
	c.putPairs(c.Args[1:], store.NoExpiry)
	c.Reply.OK()
	return nil
}

func msetNX(c *Context) error {
	if len(c.Args)%2 == 0 {
		return ErrArity(c.Spec)
	}
	if c.anyKey(c.Args[1:], true) {
		c.Reply.Int(0)
		return nil
	}
	c.putPairs(c.Args[1:], store.NoExpiry)
	c.Reply.Int(1)
	return nil
}

// putPairs stores keys and values in turn.
func (c *Context) putPairs(pairs [][]byte, expiry int64) {
	for i := 0; i+1 < len(pairs); i += 2 {
		c.put(pairs[i], pairs[i+1], expiry)
	}
}

// anyKey tells whether one of the keys of the pairs exists, or does not.
func (c *Context) anyKey(pairs [][]byte, exists bool) bool {
	for i := 0; i < len(pairs); i += 2 {
		if c.Tx.Exists(pairs[i]) == exists {
			return true
		}
	}
	return false
}

func msetEX(c *Context) error {
	n, err := c.IntIn(1, 1, 1<<31-1, ErrNumKeys)
	if err != nil {
		return err
	}
	if n > int64(len(c.Args)-2)/2 {
		return ErrPairs
	}
	end := 2 + 2*int(n)
	o, err := c.options(end, optNX|optXX|optTimes|optKeepTTL, false)
	if err != nil {
		return err
	}
	expiry, err := o.expiry(c)
	if err != nil {
		return err
	}
	pairs := c.Args[2:end]
	if o.has(optNX) && c.anyKey(pairs, true) || o.has(optXX) && c.anyKey(pairs, false) {
		c.Reply.Int(0)
		return nil
	}
	c.putPairs(pairs, expiry)
	if o.has(optTimes) {
		c.Effect(append(c.Args[:end:end], argvPXAT, c.Decimal(expiry))...)
	}
	c.Reply.Int(1)
	return nil
}

// setAccess tells whether a SET looks at the string before it replaces it.
func setAccess(args [][]byte) Access {
	for _, a := range args[3:] {
		for _, w := range [...]string{"GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"} {
			if foldEqual(a, w) {
				return RW | Reads | Updates
			}
		}
	}
	return OW | Updates
}

var setHistory = []Change{
	{"2.6.12", "EX, PX, NX and XX came."},
	{"6.0.0", "KEEPTTL came."},
	{"6.2.0", "GET, EXAT and PXAT came."},
	{"7.0.0", "NX and GET may stand together."},
	{"8.4.0", "IFEQ, IFNE, IFDEQ and IFDNE came."},
}

var stringSetCommands = []Spec{
	{
		Name: "SET", Arity: -3, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Usage: "key value [NX | XX | IFEQ ifeq-value:string | IFNE ifne-value:string | " +
			"IFDEQ ifdeq-digest:string | IFDNE ifdne-digest:string] [GET] " +
			"[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
		Flags: Write | DenyOOM | Short, Run: set, History: setHistory,
		Keys: []KeySpec{{Access: RW | Reads | Updates | VariableFlags, index: 1, step: 1, vary: setAccess,
			Notes: "RW and ACCESS due to the optional `GET` argument"}},
		Summary: "Stores a string at a key, on conditions and with an expiry if asked to.",
	},
	{
		Name: "SETNX", Usage: "key value", Arity: 3, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, OW|Inserts)}, Run: setNX,
		Summary: "Stores a string at a key that does not exist.",
	},
	{
		Name: "SETEX", Usage: "key seconds value", Arity: 4, Group: String, Since: "2.0.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Short, Keys: []KeySpec{Key(1, OW|Updates)}, Run: setEX,
		Summary: "Stores a string that expires after so many seconds.",
	},
	{
		Name: "PSETEX", Usage: "key milliseconds value", Arity: 4, Group: String, Since: "2.6.0", Complexity: "O(1)",
		Flags: Write | DenyOOM | Short, Keys: []KeySpec{Key(1, OW|Updates)}, Run: psetEX,
		Summary: "Stores a string that expires after so many milliseconds.",
	},
	{
		Name: "GETSET", Usage: "key value", Arity: 3, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Deprecated: "6.2.0", ReplacedBy: "`SET` with the `GET` argument",
		Flags: Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Reads|Updates)}, Run: getSet,
		Summary: "Stores a string at a key and gets the one before it.",
	},
	{
		Name: "MSET", Usage: "{key value}...", Arity: -3, Group: String, Since: "1.0.1",
		Complexity: "O(N) where N is the number of keys",
		Tips:       []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		Flags:      Write | DenyOOM, Keys: []KeySpec{Keys(1, -1, 2, OW|Updates)}, Run: mset,
		Summary: "Stores strings at several keys at one moment.",
	},
	{
		Name: "MSETNX", Usage: "{key value}...", Arity: -3, Group: String, Since: "1.0.1",
		Complexity: "O(N) where N is the number of keys",
		Tips:       []string{"request_policy:multi_shard", "response_policy:agg_min"},
		Flags:      Write | DenyOOM, Keys: []KeySpec{Keys(1, -1, 2, OW|Inserts)}, Run: msetNX,
		Summary: "Stores strings at several keys, all or none: only if none of them exists.",
	},
	{
		Name: "MSETEX", Arity: -4, Group: String, Since: "8.4.0",
		Usage: "numkeys {key value}... [NX | XX] " +
			"[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
		Complexity: "O(N) where N is the number of keys",
		Tips:       []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		Flags:      Write | DenyOOM, Run: msetEX,
		Keys:    []KeySpec{{Access: OW | Updates, index: 1, counted: true, step: 2}},
		Summary: "Stores strings at several keys with one expiry, on conditions if asked to.",
	},
}
