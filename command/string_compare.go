package command

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"github.com/ferricd/ferricd/store"
)

// digestLen is the length of a digest: XXH3-64 in hexadecimal.
const digestLen = 16

type digest [digestLen]byte

func digestOf(val []byte) (d digest) {
	const hex = "0123456789abcdef"
	sum := xxh3.Hash(val)
	for i := range d {
		d[i] = hex[sum>>(60-4*i)&15]
	}
	return d
}

// is compares with a digest that a client sent, in either case.
func (d digest) is(with []byte) bool { return bytes.EqualFold(d[:], with) }

func digestKey(c *Context) error {
	val, ok, err := c.Tx.String(c.Args[1])
	if err != nil {
		return err
	}
	d := digestOf(val)
	c.Reply.BulkOrNull(d[:], ok)
	return nil
}

func delEX(c *Context) error {
	if len(c.Args) != 2 && len(c.Args) != 4 {
		return ErrArity(c.Spec)
	}
	key := c.Args[1]
	if !c.Tx.Exists(key) {
		c.Reply.Int(0)
		return nil
	}
	if len(c.Args) == 4 {
		met, err := delCondition(c, key)
		if err != nil {
			return err
		}
		if !met {
			c.Reply.Int(0)
			return nil
		}
	}
	c.drop(key)
	c.Reply.Int(1)
	return nil
}

func delCondition(c *Context, key []byte) (met bool, err error) {
	if c.Tx.Type(key) != store.StringType {
		return false, ErrDelexType
	}
	o, err := c.options(2, optIfEq|optIfNe|optIfDEq|optIfDNe, false)
	if err != nil {
		return false, ErrDelexCondition
	}
	return o.met(c, key)
}

func delIfEq(c *Context) error {
	key := c.Args[1]
	val, ok, err := c.Tx.String(key)
	if err != nil {
		return err
	}
	if !ok || !bytes.Equal(val, c.Args[2]) {
		c.Reply.Int(0)
		return nil
	}
	c.drop(key)
	c.Reply.Int(1)
	return nil
}

var stringCompareCommands = []Spec{
	{
		Name: "DIGEST", Usage: "key", Arity: 2, Group: String, Since: "8.4.0",
		Complexity: "O(N) where N is the length of the string",
		Flags:      Readonly | Fast, Keys: readString, Run: digestKey,
		Summary: "Tells the XXH3 digest of the string at a key, in hexadecimal.",
	},
	{
		Name: "DELEX", Arity: -2, Group: String, Since: "8.4.0",
		Usage: "key [IFEQ ifeq-value:string | IFNE ifne-value:string | IFDEQ ifdeq-digest:string | " +
			"IFDNE ifdne-digest:string]",
		Complexity: "O(1); O(N) for the digest of a string of length N",
		Flags:      Write | Fast, Keys: []KeySpec{Key(1, RW|Deletes|VariableFlags)}, Run: delEX,
		Summary: "Deletes a key if its string, or the string's digest, is as expected.",
	},
	{
		Name: "DELIFEQ", Usage: "key value", Arity: 3, Group: String, Since: "9.0.0",
		Complexity: "O(1)",
		Flags:      Write | Short, Keys: []KeySpec{Key(1, RM|Reads|Deletes)}, Run: delIfEq,
		Summary: "Deletes a key if its string is as expected.",
	},
}
