package command

import (
	"bytes"
	"math"
	"strconv"

	"github.com/ferricd/ferricd/internal/glob"
	"github.com/ferricd/ferricd/store"
)

func keys(c *Context) error {
	pattern := c.Args[1]
	all := glob.All(pattern)
	var found [][]byte
	c.Server.Keyspace().Each(c.DB, c.Now, func(e store.Entry) bool {
		if all || glob.Match(pattern, e.Key) {
			found = append(found, e.Key)
		}
		return true
	})
	c.replyKeys(found)
	return nil
}

func (c *Context) replyCursor(cursor uint64) { c.Reply.BulkString(strconv.FormatUint(cursor, 10)) }

func (c *Context) replyKeys(keys [][]byte) {
	c.Reply.Array(len(keys))
	for _, k := range keys {
		c.Reply.Bulk(k)
	}
}

// scanOptions are what SCAN and its relatives for collections take behind the
// cursor.
type scanOptions struct {
	count    int64
	pattern  []byte // nil: all
	typeName []byte // nil: all; SCAN only
	noValues bool   // HSCAN only
}

// scanOptions reads the options from argument i on.
func (c *Context) scanOptions(i int, withType bool) (scanOptions, error) {
	return c.readScanOptions(i, withType, false)
}

func (c *Context) readScanOptions(i int, withType, withNoValues bool) (o scanOptions, err error) {
	o.count = 10
	for ; i < len(c.Args); i += 2 {
		switch last := i+1 == len(c.Args); {
		case !last && c.Is(i, "COUNT"):
			if o.count, err = c.Int64(i + 1); err != nil {
				return o, err
			}
			if o.count < 1 {
				return o, ErrSyntax
			}
		case !last && c.Is(i, "MATCH"):
			o.pattern = c.Args[i+1]
		case !last && withType && c.Is(i, "TYPE"):
			o.typeName = c.Args[i+1]
		case withNoValues && c.Is(i, "NOVALUES"):
			o.noValues = true
			i-- // it stands alone
		default:
			return o, ErrSyntax
		}
	}
	if o.pattern != nil && glob.All(o.pattern) {
		o.pattern = nil
	}
	return o, nil
}

// matches tells whether an element passes MATCH.
func (o *scanOptions) matches(b []byte) bool { return o.pattern == nil || glob.Match(o.pattern, b) }

func scan(c *Context) error {
	cursor, err := parseCursor(c.Args[1])
	if err != nil {
		return err
	}
	o, err := c.scanOptions(2, true)
	if err != nil {
		return err
	}
	var found [][]byte
	count := int(min(o.count, math.MaxInt32))
	next := c.Server.Keyspace().Scan(c.DB, cursor, count, c.Now, func(e store.Entry) {
		if o.matches(e.Key) && (o.typeName == nil || equalFold(o.typeName, e.Type.String())) {
			found = append(found, e.Key)
		}
	})
	c.Reply.Array(2)
	c.replyCursor(next)
	c.replyKeys(found)
	return nil
}

// parseCursor reads a cursor as C's strtoul does in base 10: a sign may stand
// before the digits (a minus wraps round), nothing at all is 0.
func parseCursor(b []byte) (uint64, error) {
	b, _, _ = bytes.Cut(b, []byte{0})
	digits := b
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits = b[1:]
	}
	if len(digits) == 0 && len(b) > 0 {
		return 0, ErrInvalidCursor
	}
	var n uint64
	for _, d := range digits {
		d -= '0'
		if d > 9 || n > (math.MaxUint64-uint64(d))/10 {
			return 0, ErrInvalidCursor
		}
		n = n*10 + uint64(d)
	}
	if len(b) > 0 && b[0] == '-' {
		n = -n
	}
	return n, nil
}

// equalFold compares a client's word with a lower-case one, in any case.
func equalFold(b []byte, word string) bool {
	return len(b) == len(word) && bytes.EqualFold(b, []byte(word))
}

func randomKey(c *Context) error {
	c.Reply.BulkOrNull(c.Server.Keyspace().RandomKey(c.DB, c.Now))
	return nil
}

func dbSize(c *Context) error {
	c.Reply.Int(c.Server.Keyspace().Len(c.DB))
	return nil
}

func swapDB(c *Context) error {
	a, err := c.IntIn(1, math.MinInt32, math.MaxInt32, ErrSwapFirst)
	if err != nil {
		return err
	}
	b, err := c.IntIn(2, math.MinInt32, math.MaxInt32, ErrSwapSecond)
	if err != nil {
		return err
	}
	ks := c.Server.Keyspace()
	if n := int64(ks.Databases()); a < 0 || b < 0 || a >= n || b >= n {
		return ErrDBIndex
	}
	ks.Swap(int(a), int(b))
	c.Reply.OK()
	return nil
}

func flushDB(c *Context) error {
	if err := c.flushMode(); err != nil {
		return err
	}
	c.Server.Keyspace().FlushDB(c.DB)
	c.Reply.OK()
	return nil
}

func flushAll(c *Context) error {
	if err := c.flushMode(); err != nil {
		return err
	}
	c.Server.Keyspace().FlushAll()
	c.Reply.OK()
	return nil
}

// flushMode checks for ASYNC or SYNC, which make no difference: emptying drops
// the tables, and the collector frees them.
func (c *Context) flushMode() error {
	if len(c.Args) == 1 || len(c.Args) == 2 && (c.Is(1, "ASYNC") || c.Is(1, "SYNC")) {
		return nil
	}
	return ErrSyntax
}

var scanCommands = []Spec{
	{
		Name: "KEYS", Usage: "pattern", Arity: 2, Group: Generic, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys in the database",
		Flags:      Readonly | EveryShard, Categories: CatDangerous, Run: keys,
		Tips:    []string{"request_policy:all_shards", "nondeterministic_output_order"},
		Summary: "Lists the keys that match a pattern.",
	},
	{
		Name: "SCAN", Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Arity: -2, Group: Generic, Since: "2.8.0",
		Complexity: "O(1) for a call, O(N) for a whole iteration",
		Flags:      Readonly | EveryShard, Run: scan,
		Tips:    []string{"nondeterministic_output", "request_policy:special"},
		History: []Change{{"6.0.0", "TYPE came."}},
		Summary: "Goes through the keys in steps; keys that are there all the time are all returned.",
	},
	{
		Name: "RANDOMKEY", Arity: 1, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | EveryShard, Run: randomKey,
		Tips:    []string{"request_policy:all_shards", "nondeterministic_output"},
		Summary: "Picks any one key.",
	},
	{
		Name: "DBSIZE", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast | EveryShard, Categories: CatKeyspace, Run: dbSize,
		Tips:    []string{"request_policy:all_shards", "response_policy:agg_sum"},
		Summary: "Counts the keys of the database.",
	},
	{
		Name: "SWAPDB", Usage: "index1 index2", Arity: 3, Group: ServerGroup, Since: "4.0.0",
		Complexity: "O(N) with N the number of clients that watch or wait for keys of the two",
		Flags:      Write | Fast | Exclusive, Categories: CatKeyspace | CatDangerous, Run: swapDB,
		Summary: "Exchanges two databases under their clients.",
	},
	{
		Name: "FLUSHDB", Usage: "[ASYNC | SYNC]", Arity: -1, Group: ServerGroup, Since: "1.0.0",
		Complexity: "O(1); the memory is freed in the background",
		Flags:      Write | Exclusive, Categories: CatKeyspace | CatDangerous, Run: flushDB,
		Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		History: []Change{{"4.0.0", "ASYNC came."}, {"6.2.0", "SYNC came."}},
		Summary: "Deletes all keys of the database.",
	},
	{
		Name: "FLUSHALL", Usage: "[ASYNC | SYNC]", Arity: -1, Group: ServerGroup, Since: "1.0.0",
		Complexity: "O(1); the memory is freed in the background",
		Flags:      Write | Exclusive, Categories: CatKeyspace | CatDangerous, Run: flushAll,
		Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		History: []Change{{"4.0.0", "ASYNC came."}, {"6.2.0", "SYNC came."}},
		Summary: "Deletes all keys of all databases.",
	},
}
