package command

import (
	"errors"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/store"
)

func get(c *Context) error {
	val, ok, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.BulkOrNull(val, ok)
	return nil
}

func getDel(c *Context) error {
	key := c.Args[1]
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	c.Reply.BulkOrNull(val, ok)
	if ok {
		c.drop(key)
	}
	return nil
}

// drop deletes key, logged as DEL.
func (c *Context) drop(key []byte) {
	if c.Tx.Delete(key) {
		c.Effect(argvDel, key)
		c.Notify(NotifyGeneric, "del", key)
	}
}

func getEx(c *Context) error {
	o, err := c.options(2, optTimes|optPersist, false)
	if err != nil {
		return err
	}
	key := c.Args[1]
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	if !ok {
		c.Reply.Null()
		return nil
	}
	at, err := o.expiry(c)
	if err != nil {
		return err
	}
	c.Reply.Bulk(val)
	switch {
	case at != store.NoExpiry && at <= c.Now:
		c.drop(key)
	case at != store.NoExpiry:
		c.Tx.SetExpiry(key, at)
		c.Effect(argvPExpireAt, key, c.Decimal(at))
		c.Notify(NotifyGeneric, "expire", key)
	case o.has(optPersist):
		if at, _ := c.Tx.ExpireAt(key); at != store.NoExpiry {
			c.Tx.SetExpiry(key, store.NoExpiry)
			c.Effect(argvPersist, key)
			c.Notify(NotifyGeneric, "persist", key)
		}
	}
	return nil
}

func strLen(c *Context) error {
	n, err := c.Tx.StrLen(c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Int(int64(n))
	return nil
}

func mget(c *Context) error {
	start := c.Reply.Len()
	c.Reply.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		val, ok, err := c.Tx.String(key)
		if err != nil && !errors.Is(err, store.ErrWrongType) { // which counts as none
			c.Reply.Truncate(start)
			return err
		}
		c.Reply.BulkOrNull(val, ok)
	}
	return nil
}

func getRange(c *Context) error {
	start, err := c.Int64(2)
	if err != nil {
		return err
	}
	end, err := c.Int64(3)
	if err != nil {
		return err
	}
	val, _, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	from, to := cut(start, end, len(val))
	c.Reply.Bulk(val[from:to])
	return nil
}

// cut turns a first and a last index, either of which may count from the end,
// into slice bounds within n.
func cut(start, end int64, n int) (from, to int) {
	size := int64(n)
	if start < 0 && end < 0 && start > end {
		return 0, 0
	}
	if start < 0 {
		start = max(start+size, 0)
	}
	if end < 0 {
		end = max(end+size, 0)
	}
	if end = min(end, size-1); start > end {
		return 0, 0
	}
	return int(start), int(end) + 1
}

func setRange(c *Context) error {
	off, err := c.Int64(2)
	if err != nil {
		return err
	}
	if off < 0 {
		return ErrOffset
	}
	key, data := c.Args[1], c.Args[3]
	n, err := c.Tx.StrLen(key)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		c.Reply.Int(int64(n))
		return nil
	}
	if err := c.roomFor(off, int64(len(data))); err != nil {
		return err
	}
	if n, err = c.Tx.WriteRange(key, int(off), data); err != nil {
		return err
	}
	c.Notify(NotifyString, "setrange", key)
	c.Reply.Int(int64(n))
	return nil
}

func appendTo(c *Context) error {
	key, data := c.Args[1], c.Args[2]
	n, err := c.Tx.StrLen(key)
	if err != nil {
		return err
	}
	if err := c.roomFor(int64(n), int64(len(data))); err != nil {
		return err
	}
	if n, err = c.Tx.Append(key, data); err != nil {
		return err
	}
	c.Notify(NotifyString, "append", key)
	c.Reply.Int(int64(n))
	return nil
}

// maxString is the size that no string may exceed.
func (c *Context) maxString() int64 {
	return c.Server.Config().Int(config.ProtoMaxBulkLen)
}

// roomFor refuses a string that would grow beyond what is allowed.
func (c *Context) roomFor(size, more int64) error {
	if limit := c.maxString(); size > limit || more > limit-size {
		return ErrTooLong
	}
	return nil
}

var readString = []KeySpec{Key(1, RO|Reads)}

var stringCommands = []Spec{
	{
		Name: "GET", Usage: "key", Arity: 2, Group: String, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: readString, Run: get,
		Summary: "Gets the string at a key.",
	},
	{
		Name: "GETDEL", Usage: "key", Arity: 2, Group: String, Since: "6.2.0", Complexity: "O(1)",
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Deletes)}, Run: getDel,
		Summary: "Gets the string at a key and deletes the key.",
	},
	{
		Name: "GETEX", Arity: -2, Group: String, Since: "6.2.0", Complexity: "O(1)",
		Usage: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
		Flags: Write | Fast, Run: getEx,
		Keys: []KeySpec{{Access: RW | Reads | Updates, index: 1, step: 1,
			Notes: "RW and UPDATE because it changes the TTL"}},
		Summary: "Gets the string at a key and sets or removes the key's expiry.",
	},
	{
		Name: "STRLEN", Usage: "key", Arity: 2, Group: String, Since: "2.2.0", Complexity: "O(1)",
		Flags: Readonly | Fast, Keys: []KeySpec{Key(1, RO)}, Run: strLen,
		Summary: "Tells how many bytes the string at a key has.",
	},
	{
		Name: "MGET", Usage: "key...", Arity: -2, Group: String, Since: "1.0.0",
		Complexity: "O(N) where N is the number of keys", Tips: []string{"request_policy:multi_shard"},
		Flags: Readonly | Fast, Keys: []KeySpec{Keys(1, -1, 1, RO|Reads)}, Run: mget,
		Summary: "Gets the strings at several keys at one moment.",
	},
	{
		Name: "GETRANGE", Usage: "key start end", Arity: 4, Group: String, Since: "2.4.0",
		Complexity: "O(N) where N is the number of bytes returned",
		Flags:      Readonly | Short, Keys: readString, Run: getRange,
		Summary: "Gets a part of the string at a key.",
	},
	{
		Name: "SUBSTR", Usage: "key start end", Arity: 4, Group: String, Since: "1.0.0",
		Complexity: "O(N) where N is the number of bytes returned", Deprecated: "2.0.0", ReplacedBy: "`GETRANGE`",
		Flags: Readonly | Short, Keys: readString, Run: getRange,
		Summary: "Gets a part of the string at a key.",
	},
	{
		Name: "SETRANGE", Usage: "key offset value", Arity: 4, Group: String, Since: "2.2.0",
		Complexity: "O(M) where M is the number of bytes written, and those of zeros put before them",
		Flags:      Write | DenyOOM, Keys: []KeySpec{Key(1, RW|Updates)}, Run: setRange,
		Summary: "Overwrites a part of the string at a key, which grows as needed.",
	},
	{
		Name: "APPEND", Usage: "key value", Arity: 3, Group: String, Since: "2.0.0",
		Complexity: "O(M) amortized, where M is the number of bytes appended",
		Flags:      Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Inserts)}, Run: appendTo,
		Summary: "Appends to the string at a key, which is made if there is none.",
	},
}
