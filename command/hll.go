package command

import (
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/hll"
	"github.com/ferricd/ferricd/store"
)

// hyperLogLog is the HyperLogLog at key, nil if the key is missing.
func (c *Context) hyperLogLog(key []byte) ([]byte, error) {
	val, ok, err := c.Tx.String(key)
	if err != nil || !ok {
		return nil, err
	}
	if !hll.Is(val) {
		return nil, ErrNotHLL
	}
	return val, nil
}

func (c *Context) maxSparse() int {
	return int(c.Server.Config().Int(config.HLLSparseMaxBytes))
}

// putHLL stores a HyperLogLog that was made anew.
func (c *Context) putHLL(key, b []byte) {
	copy(c.Tx.MakeString(key, len(b), store.KeepExpiry), b)
}

func pfAdd(c *Context) error {
	if err := c.yield(len(c.Args)); err != nil {
		return err
	}
	key, elems := c.Args[1], c.Args[2:]
	b, err := c.hyperLogLog(key)
	if err != nil {
		return err
	}
	changed := b == nil
	if changed {
		b = hll.New()
	}
	if hll.Dense(b) {
		changed, err = c.addDense(key, b, elems)
	} else {
		changed, err = c.addSparse(key, b, elems, changed)
	}
	if err != nil {
		return err
	}
	if changed {
		c.Notify(NotifyString, "pfadd", key)
	}
	c.replyBit(changed)
	return nil
}

// addDense adds elements to a dense HyperLogLog where it lies.
func (c *Context) addDense(key, b []byte, elems [][]byte) (changed bool, err error) {
	for _, e := range elems {
		if hll.Has(b, e) {
			continue
		}
		if !changed {
			changed = true
			if b, err = c.Tx.EditString(key, 0); err != nil {
				return false, err
			}
			hll.SetStale(b)
		}
		hll.Raise(b, e)
	}
	return changed, nil
}

// addSparse adds elements to a sparse HyperLogLog, which becomes longer and may
// become dense: it is stored anew if that changed anything, or is to be stored in
// any case.
func (c *Context) addSparse(key, b []byte, elems [][]byte, store bool) (changed bool, err error) {
	ed := hll.NewEditor(b, c.maxSparse())
	for _, e := range elems {
		if _, err := ed.Add(e); err != nil {
			return false, ErrCorruptHLL
		}
	}
	if store || ed.Changed() {
		b := ed.Bytes()
		hll.SetStale(b) // a new one too, as in Redis
		c.putHLL(key, b)
		return true, nil
	}
	return false, nil
}

// pfCount of one key remembers what it counted in the value itself, which is
// logged: the copies of a value are equal to the last byte.
func pfCount(c *Context) error {
	if len(c.Args) > 2 {
		return pfCountAll(c)
	}
	key := c.Args[1]
	b, err := c.hyperLogLog(key)
	if err != nil {
		return err
	}
	if b == nil {
		c.Reply.Int(0)
		return nil
	}
	n, ok := hll.Cached(b)
	if !ok {
		if n, err = hll.Count(b); err != nil {
			return ErrCorruptHLL
		}
		if b, err = c.Tx.EditString(key, 0); err != nil {
			return err
		}
		hll.SetCached(b, n)
		c.Effect(c.Args...)
	}
	c.Reply.Int(int64(n))
	return nil
}

func pfCountAll(c *Context) error {
	var all hll.Ranks
	if _, err := c.mergeAll(&all); err != nil {
		return err
	}
	c.Reply.Int(int64(all.Count()))
	return nil
}

// mergeAll merges the HyperLogLogs at all keys, from argument 1 on, and tells
// whether one of them is dense.
func (c *Context) mergeAll(all *hll.Ranks) (dense bool, err error) {
	for _, key := range c.Args[1:] {
		b, err := c.hyperLogLog(key)
		if err != nil {
			return false, err
		}
		if b == nil {
			continue
		}
		dense = dense || hll.Dense(b)
		if err := all.Merge(b); err != nil {
			return false, ErrCorruptHLL
		}
	}
	return dense, nil
}

func pfMerge(c *Context) error {
	var all hll.Ranks
	dense, err := c.mergeAll(&all)
	if err != nil {
		return err
	}
	key := c.Args[1]
	b, err := c.hyperLogLog(key)
	if err != nil {
		return err
	}
	if b == nil {
		b = hll.New()
	}
	ed := hll.NewEditor(b, c.maxSparse())
	if dense {
		err = ed.ToDense()
	}
	if err == nil {
		err = ed.Merge(&all)
	}
	if err != nil {
		return ErrCorruptHLL
	}
	c.putHLL(key, ed.Bytes())
	c.Notify(NotifyString, "pfadd", key)
	c.Reply.OK()
	return nil
}

func pfDebug(c *Context) error {
	b, err := c.hyperLogLog(c.Args[2])
	if err != nil {
		return err
	}
	if b == nil {
		return ErrDebugNoKey
	}
	switch {
	case c.Is(1, "GETREG"):
		return c.registers(b)
	case c.Is(1, "DECODE"):
		if hll.Dense(b) {
			return ErrNotSparse
		}
		c.Reply.Bulk(hll.Decode(b))
	case c.Is(1, "ENCODING"):
		if hll.Dense(b) {
			c.Reply.Simple("dense")
		} else {
			c.Reply.Simple("sparse")
		}
	case c.Is(1, "TODENSE"):
		changed, err := c.makeDense(b)
		if err != nil {
			return err
		}
		c.replyBit(changed)
	default:
		return Errorf("ERR Unknown PFDEBUG subcommand '%s'", c.Args[1])
	}
	return nil
}

// makeDense gives PFDEBUG's HyperLogLog the dense encoding.
func (c *Context) makeDense(b []byte) (changed bool, err error) {
	if hll.Dense(b) {
		return false, nil
	}
	ed := hll.NewEditor(b, 0)
	if ed.ToDense() != nil {
		return false, ErrCorruptHLL
	}
	c.putHLL(c.Args[2], ed.Bytes())
	return true, nil
}

// registers replies with all registers; the HyperLogLog is dense afterwards.
func (c *Context) registers(b []byte) error {
	if _, err := c.makeDense(b); err != nil {
		return err
	}
	var all hll.Ranks
	if all.Merge(b) != nil {
		return ErrCorruptHLL
	}
	c.Reply.Array(len(all))
	for _, rank := range all {
		c.Reply.Int(int64(rank))
	}
	return nil
}

// pfSelfTest fails only if this program was built wrong.
func pfSelfTest(c *Context) error {
	if err := hll.SelfTest(); err != nil {
		return Errorf("ERR %s", err)
	}
	c.Reply.OK()
	return nil
}

var hllCommands = []Spec{
	{
		Name: "PFADD", Usage: "key [element]...", Arity: -2, Group: HyperLogLog, Since: "2.8.9",
		Complexity: "O(1) for each element",
		Flags:      Write | DenyOOM | Fast, Keys: []KeySpec{Key(1, RW|Inserts)}, Run: pfAdd,
		Summary: "Adds elements to a HyperLogLog, which is made if there is none.",
	},
	{
		Name: "PFCOUNT", Usage: "key...", Arity: -2, Group: HyperLogLog, Since: "2.8.9",
		Complexity: "O(1) with one key, most of the time; otherwise O(N) with N the number of keys, and slow",
		Flags:      Readonly | MayReplicate, Run: pfCount,
		Keys: []KeySpec{{Access: RW | Reads, index: 1, last: -1, step: 1,
			Notes: "RW because the count of one key is remembered in its value"}},
		Summary: "Estimates how many different elements were added to HyperLogLogs.",
	},
	{
		Name: "PFMERGE", Usage: "destkey [sourcekey]...", Arity: -2, Group: HyperLogLog, Since: "2.8.9",
		Complexity: "O(N) with N the number of keys, and slow",
		Flags:      Write | DenyOOM, Run: pfMerge,
		Keys:    []KeySpec{Key(1, RW|Reads|Inserts), Keys(2, -1, 1, RO|Reads)},
		Summary: "Merges HyperLogLogs into one.",
	},
	{
		Name: "PFDEBUG", Usage: "subcommand key", Arity: 3, Group: HyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Flags: Write | DenyOOM | Admin, Keys: []KeySpec{Key(2, RW|Reads)}, Run: pfDebug,
		Summary: "Shows the inside of a HyperLogLog, or makes it dense.",
	},
	{
		Name: "PFSELFTEST", Arity: 1, Group: HyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Flags: Admin | OffGate, Run: pfSelfTest,
		Summary: "Checks that HyperLogLogs are counted right.",
	},
}
