package command

import (
	"strings"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/store"
)

// objectOf looks at the key of an OBJECT call. When it is missing the call has
// been answered.
func (c *Context) objectOf() (store.Info, bool) {
	info, ok := c.Tx.Peek(c.Args[2])
	if !ok {
		c.Reply.Null()
	}
	return info, ok
}

func objectEncoding(c *Context) error {
	if info, ok := c.objectOf(); ok {
		c.Reply.BulkString(info.Encoding)
	}
	return nil
}

func objectFreq(c *Context) error {
	info, ok := c.objectOf()
	switch {
	case !ok:
	case !strings.HasSuffix(c.policy(), "lfu"):
		return ErrNotLFU
	default:
		c.Reply.Int(int64(info.Freq))
	}
	return nil
}

func objectIdleTime(c *Context) error {
	info, ok := c.objectOf()
	switch {
	case !ok:
	case strings.HasSuffix(c.policy(), "lfu"):
		return ErrNotLRU
	default:
		c.Reply.Int(info.Idle)
	}
	return nil
}

func (c *Context) policy() string { return c.Server.Config().String(config.MaxMemoryPolicy) }

// In Redis values that are small integers are one object for all keys, which
// counts as referred to this often, unless eviction needs an access time for
// each. Here no two keys share a value; only the answer is the same.
const (
	sharedIntegers = 10000
	sharedRefCount = 1<<31 - 1
)

func objectRefCount(c *Context) error {
	info, ok := c.objectOf()
	if !ok {
		return nil
	}
	if info.Encoding == "int" && c.sharesIntegers() {
		if n, _, err := c.Tx.Int(c.Args[2]); err != nil {
			return err
		} else if n >= 0 && n < sharedIntegers {
			c.Reply.Int(sharedRefCount)
			return nil
		}
	}
	c.Reply.Int(1)
	return nil
}

func (c *Context) sharesIntegers() bool {
	p := c.policy()
	return c.Server.Config().Int(config.MaxMemory) == 0 || !strings.HasSuffix(p, "lru") && !strings.HasSuffix(p, "lfu")
}

var objectKeys = []KeySpec{Key(2, RO)}

var objectCommands = []Spec{
	{
		Name: "OBJECT", Arity: -2, Group: Generic, Since: "2.2.3", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "Tells about the value of a key.",
	},
	{
		Name: "OBJECT|ENCODING", Usage: "key", Arity: 3, Group: Generic, Since: "2.2.3", Complexity: "O(1)",
		Flags: Readonly | NoTouch, Keys: objectKeys, Run: objectEncoding, Tips: []string{"nondeterministic_output"},
		Summary: "Tells how the value of a key is represented.",
	},
	{
		Name: "OBJECT|FREQ", Usage: "key", Arity: 3, Group: Generic, Since: "4.0.0", Complexity: "O(1)",
		Flags: Readonly | NoTouch, Keys: objectKeys, Run: objectFreq, Tips: []string{"nondeterministic_output"},
		Summary: "Tells how often a key was accessed, as a logarithmic counter that decays. The policy must be an LFU one.",
	},
	{
		Name: "OBJECT|HELP", Arity: 2, Group: Generic, Since: "6.2.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help,
		Summary: "Prints this help.",
	},
	{
		Name: "OBJECT|IDLETIME", Usage: "key", Arity: 3, Group: Generic, Since: "2.2.3", Complexity: "O(1)",
		Flags: Readonly | NoTouch, Keys: objectKeys, Run: objectIdleTime, Tips: []string{"nondeterministic_output"},
		Summary: "Tells how many seconds ago a key was accessed. The policy must not be an LFU one.",
	},
	{
		Name: "OBJECT|REFCOUNT", Usage: "key", Arity: 3, Group: Generic, Since: "2.2.3", Complexity: "O(1)",
		Flags: Readonly | NoTouch, Keys: objectKeys, Run: objectRefCount, Tips: []string{"nondeterministic_output"},
		Summary: "Tells how many references a value has, as Redis would count them.",
	},
}
