package command

import (
	"strings"

	"github.com/ferricd/ferricd/store"
)

var bitOps = map[string]bitOp{
	"AND": bitAnd, "OR": bitOr, "XOR": bitXor, "NOT": bitNot,
	"DIFF": bitDiff, "DIFF1": bitDiff1, "ANDOR": bitAndOr, "ONE": bitOne,
}

func bitOpCommand(c *Context) error {
	name := strings.ToUpper(string(c.Args[1]))
	op, ok := bitOps[name]
	sources := c.Args[3:]
	switch {
	case !ok:
		return ErrSyntax
	case op == bitNot && len(sources) > 1:
		return ErrBitNotKeys
	case (op == bitDiff || op == bitDiff1 || op == bitAndOr) && len(sources) < 2:
		return Errorf("ERR BITOP %s must be called with at least two source keys.", name)
	}
	vals, longest := make([][]byte, len(sources)), 0
	for i, key := range sources {
		val, _, err := c.Tx.String(key)
		if err != nil {
			return err
		}
		vals[i] = val
		longest = max(longest, len(val))
	}
	dst := c.Args[2]
	c.Reply.Int(int64(longest))
	if longest == 0 {
		if c.Tx.Delete(dst) {
			c.Notify(NotifyGeneric, "del", dst)
		}
		return nil
	}
	op.combine(c.Tx.MakeString(dst, longest, store.NoExpiry), vals)
	c.Notify(NotifyString, "set", dst)
	return nil
}

var bitOpCommands = []Spec{
	{
		Name: "BITOP", Arity: -4, Group: Bitmap, Since: "2.6.0",
		Usage:      "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE>:operation destkey key...",
		Complexity: "O(N) where N is the length of the longest string, times the number of strings",
		Flags:      Write | DenyOOM, Keys: []KeySpec{Key(2, OW|Updates), Keys(3, -1, 1, RO|Reads)}, Run: bitOpCommand,
		History: []Change{{"8.2.0", "DIFF, DIFF1, ANDOR and ONE came."}},
		Summary: "Combines strings bit by bit and stores the outcome.",
	},
}
