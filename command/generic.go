package command

import "math"

// del serves UNLINK too: what is deleted is freed by the collector in any case.
func del(c *Context) error {
	n := 0
	for _, key := range c.Args[1:] {
		if c.Tx.Delete(key) {
			c.Notify(NotifyGeneric, "del", key)
			n++
		}
	}
	c.Reply.Int(int64(n))
	return nil
}

// exists serves TOUCH too, which differs in that it counts as an access.
func exists(c *Context) error {
	n := 0
	for _, key := range c.Args[1:] {
		if c.Tx.Exists(key) {
			n++
		}
	}
	c.Reply.Int(int64(n))
	return nil
}

func typeOf(c *Context) error {
	c.Reply.Simple(c.Tx.Type(c.Args[1]).String())
	return nil
}

func rename(c *Context) error {
	src, dst := c.Args[1], c.Args[2]
	if !c.Tx.Exists(src) {
		return ErrNoKey
	}
	if string(src) != string(dst) {
		renameKey(c, src, dst)
	}
	c.Reply.OK()
	return nil
}

func renameNX(c *Context) error {
	src, dst := c.Args[1], c.Args[2]
	if !c.Tx.Exists(src) {
		return ErrNoKey
	}
	if string(src) == string(dst) || c.Tx.Exists(dst) {
		c.Reply.Int(0)
		return nil
	}
	renameKey(c, src, dst)
	c.Reply.Int(1)
	return nil
}

func renameKey(c *Context, src, dst []byte) {
	c.Tx.Rename(src, dst)
	c.Notify(NotifyGeneric, "rename_from", src)
	c.Notify(NotifyGeneric, "rename_to", dst)
}

// copyOptions are what stands behind the two keys of COPY.
type copyOptions struct {
	db      int
	replace bool
}

func (c *Context) copyOptions() (o copyOptions, err error) {
	o.db = c.DB
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "REPLACE"):
			o.replace = true
		case c.Is(i, "DB") && i+1 < len(c.Args):
			i++
			if o.db, err = c.database(i); err != nil {
				return o, err
			}
		default:
			return o, ErrSyntax
		}
	}
	return o, nil
}

// database reads argument i as the number of a database that exists.
func (c *Context) database(i int) (int, error) {
	n, err := c.IntIn(i, math.MinInt32, math.MaxInt32, "")
	if err != nil {
		return 0, err
	}
	if n < 0 || n >= int64(c.Server.Keyspace().Databases()) {
		return 0, ErrDBIndex
	}
	return int(n), nil
}

func copyKey(c *Context) error {
	o, err := c.copyOptions()
	if err != nil {
		return err
	}
	src, dst := c.Args[1], c.Args[2]
	if o.db == c.DB && string(src) == string(dst) {
		return ErrSameObject
	}
	if c.Tx.Copy(src, dst, o.db, o.replace) {
		c.NotifyDB(NotifyGeneric, "copy_to", o.db, dst)
		c.Reply.Int(1)
	} else {
		c.Reply.Int(0)
	}
	return nil
}

// copyRefs names COPY's destination when it is in another database. What the
// handler will refuse names nothing.
func copyRefs(args [][]byte, db int, add func(db int, key []byte)) {
	dst := db
	for i := 3; i < len(args); i++ {
		if foldEqual(args[i], "DB") && i+1 < len(args) {
			i++
			n, ok := ParseInt(args[i])
			if !ok || n < 0 || n > math.MaxInt32 {
				return
			}
			dst = int(n)
		}
	}
	if dst != db {
		add(dst, args[2])
	}
}

func move(c *Context) error {
	db, err := c.database(2)
	if err != nil {
		return err
	}
	if db == c.DB {
		return ErrSameObject
	}
	key := c.Args[1]
	c.Tx.In(db)
	taken := c.Tx.Exists(key)
	c.Tx.In(c.DB)
	if taken || !c.Tx.Move(key, db) {
		c.Reply.Int(0)
		return nil
	}
	c.Notify(NotifyGeneric, "move_from", key)
	c.NotifyDB(NotifyGeneric, "move_to", db, key)
	c.Reply.Int(1)
	return nil
}

// moveRefs names the key in the database that MOVE takes it to.
func moveRefs(args [][]byte, db int, add func(db int, key []byte)) {
	n, ok := ParseInt(args[2])
	if ok && n >= 0 && n <= math.MaxInt32 && int(n) != db {
		add(int(n), args[1])
	}
}

var genericCommands = []Spec{
	{
		Name: "DEL", Usage: "key...", Arity: -2, Group: Generic, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys",
		Flags:      Write, Keys: []KeySpec{Keys(1, -1, 1, RM|Deletes)}, Run: del,
		Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Summary: "Deletes keys.",
	},
	{
		Name: "UNLINK", Usage: "key...", Arity: -2, Group: Generic, Since: "4.0.0",
		Complexity: "O(N) with N the number of keys",
		Flags:      Write | Fast, Keys: []KeySpec{Keys(1, -1, 1, RM|Deletes)}, Run: del,
		Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Summary: "Deletes keys; their memory is freed in the background, as it is by DEL here.",
	},
	{
		Name: "EXISTS", Usage: "key...", Arity: -2, Group: Generic, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys",
		Flags:      Readonly | Fast | NoTouch, Keys: []KeySpec{Keys(1, -1, 1, RO)}, Run: exists,
		Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		History: []Change{{"3.0.3", "Takes several keys."}},
		Summary: "Counts how many of the keys exist; a key named twice counts twice.",
	},
	{
		Name: "TOUCH", Usage: "key...", Arity: -2, Group: Generic, Since: "3.2.1",
		Complexity: "O(N) with N the number of keys",
		Flags:      Readonly | Fast, Keys: []KeySpec{Keys(1, -1, 1, RO)}, Run: exists,
		Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Summary: "Counts as an access to the keys and tells how many of them exist.",
	},
	{
		Name: "TYPE", Usage: "key", Arity: 2, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Readonly | Fast | NoTouch, Keys: []KeySpec{Key(1, RO)}, Run: typeOf,
		Summary: "Tells what type of value a key holds.",
	},
	{
		Name: "RENAME", Usage: "key newkey", Arity: 3, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write, Keys: []KeySpec{Key(1, RW|Reads|Deletes), Key(2, OW|Updates)}, Run: rename,
		Summary: "Renames a key, in place of what the new name held.",
	},
	{
		Name: "RENAMENX", Usage: "key newkey", Arity: 3, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Deletes), Key(2, OW|Inserts)}, Run: renameNX,
		History: []Change{{"3.2.0", "Equal names are no error."}},
		Summary: "Renames a key unless the new name is taken.",
	},
	{
		Name: "COPY", Usage: "source destination [DB destination-db] [REPLACE]", Arity: -3, Group: Generic,
		Since: "6.2.0", Complexity: "O(N) with N the number of elements; O(1) for strings",
		Flags: Write | DenyOOM, Keys: []KeySpec{Key(1, RO|Reads), Key(2, OW|Updates)}, Refs: copyRefs, Run: copyKey,
		Summary: "Copies a value, with its expiry, to another key.",
	},
	{
		Name: "MOVE", Usage: "key db", Arity: 3, Group: Generic, Since: "1.0.0", Complexity: "O(1)",
		Flags: Write | Fast, Keys: []KeySpec{Key(1, RW|Reads|Updates)}, Refs: moveRefs, Run: move,
		Summary: "Moves a key to another database, unless that has one of this name.",
	},
}
