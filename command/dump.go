package command

import (
	"errors"
	"math"

	"github.com/ferricd/ferricd/rdb"
)

// The refusals of RESTORE.
const (
	ErrRestoreTTL  WireError = "ERR Invalid TTL value, must be >= 0"
	ErrRestoreIdle WireError = "ERR Invalid IDLETIME value, must be >= 0"
	ErrRestoreFreq WireError = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	ErrRestoreSum  WireError = "ERR DUMP payload version or checksum are wrong"
	ErrRestoreData WireError = "ERR Bad data format"
)

var argvAbsTTL = []byte("ABSTTL")

func dumpKey(c *Context) error {
	e := rdb.NewEncoder(rdb.MaxVersion)
	ok, err := c.Tx.Visit(c.Args[1], e)
	if err != nil {
		return err
	}
	if !ok {
		c.Reply.Null()
		return nil
	}
	payload, err := e.Payload()
	if err != nil {
		return err
	}
	c.Reply.Bulk(payload)
	return nil
}

// restoreOptions are what stands behind the payload of RESTORE.
type restoreOptions struct {
	replace, absTTL bool
	idle            int64 // -1: not given
	freq            int   // -1: not given
}

func (c *Context) restoreOptions() (o restoreOptions, err error) {
	o.idle, o.freq = -1, -1
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "REPLACE"):
			o.replace = true
		case c.Is(i, "ABSTTL"):
			o.absTTL = true
		case c.Is(i, "IDLETIME") && more && o.freq < 0:
			i++
			if o.idle, err = c.atLeastZero(i, math.MaxInt64, ErrRestoreIdle); err != nil {
				return o, err
			}
		case c.Is(i, "FREQ") && more && o.idle < 0:
			i++
			freq, err := c.atLeastZero(i, math.MaxUint8, ErrRestoreFreq)
			if err != nil {
				return o, err
			}
			o.freq = int(freq)
		default:
			return o, ErrSyntax
		}
	}
	return o, nil
}

// atLeastZero reads argument i as an integer of at most that; text refuses another
// one.
func (c *Context) atLeastZero(i int, most int64, text WireError) (int64, error) {
	n, err := c.Int64(i)
	if err == nil && (n < 0 || n > most) {
		err = text
	}
	return n, err
}

func restoreKey(c *Context) error {
	key := c.Args[1]
	o, err := c.restoreOptions()
	if err != nil {
		return err
	}
	if !o.replace && c.Tx.Exists(key) {
		return ErrBusyKey
	}
	at, err := c.atLeastZero(2, math.MaxInt64, ErrRestoreTTL)
	if err != nil {
		return err
	}
	built := c.Tx.NewBuilder()
	if err := rdb.Restore(c.Args[3], built); errors.Is(err, rdb.ErrSum) {
		return ErrRestoreSum
	} else if err != nil || built.Finish() != nil {
		return ErrRestoreData
	}
	relative := at != 0 && !o.absTTL
	if relative {
		at += c.Now // beyond the last of all times it has expired, as in Redis
	}
	if at != 0 && at <= c.Now {
		if c.Tx.Delete(key) {
			c.Effect(argvDel, key)
			c.Notify(NotifyGeneric, "del", key)
		}
		c.Reply.OK()
		return nil
	}
	if err := c.Tx.SetBuilt(key, built, at); err != nil {
		return err
	}
	c.Tx.SetAccess(key, o.idle, o.freq)
	c.effectRestore(at, relative)
	c.Notify(NotifyGeneric, "restore", key)
	c.Reply.OK()
	return nil
}

// effectRestore logs the call with the time itself instead of what is left to it.
func (c *Context) effectRestore(at int64, relative bool) {
	if !relative {
		return
	}
	argv := append(make([][]byte, 0, len(c.Args)+1), c.Args...)
	argv[2] = c.Decimal(at)
	c.Effect(append(argv, argvAbsTTL)...)
}

const restoreUsage = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"

var restoreHistory = []Change{
	{"3.0.0", "REPLACE came."},
	{"5.0.0", "ABSTTL, IDLETIME and FREQ came."},
}

var dumpCommands = []Spec{
	{
		Name: "DUMP", Usage: "key", Arity: 2, Group: Generic, Since: "2.6.0", Complexity: "O(N) with N the size of the value",
		Flags: Readonly, Keys: []KeySpec{Key(1, RO|Reads)}, Run: dumpKey, Tips: []string{"nondeterministic_output"},
		Summary: "Writes a value as bytes from which RESTORE makes it again.",
	},
	{
		Name: "RESTORE", Usage: restoreUsage, Arity: -4, Group: Generic, Since: "2.6.0",
		Complexity: "O(N) with N the size of the value, for sorted sets O(N*log(N))",
		Flags:      Write | DenyOOM, Categories: CatDangerous, Keys: []KeySpec{Key(1, OW|Updates)}, Run: restoreKey,
		History: restoreHistory,
		Summary: "Makes a value of the bytes that DUMP has written, here or in Redis.",
	},
	{
		Name: "RESTORE-ASKING", Usage: restoreUsage, Arity: -4, Group: ServerGroup, Since: "3.0.0",
		Complexity: "O(N) with N the size of the value, for sorted sets O(N*log(N))",
		Flags:      Write | DenyOOM | Asking, Categories: CatDangerous | CatKeyspace, Keys: []KeySpec{Key(1, OW|Updates)}, Run: restoreKey,
		History: restoreHistory,
		Summary: "Is RESTORE in a cluster, while keys move from one node to another.",
	},
}
