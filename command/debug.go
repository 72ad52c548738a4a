package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/internal/glob"
)

// A debugWord is a subcommand of DEBUG. They are not rows of the table since
// COMMAND does not show them.
type debugWord struct {
	name, usage, summary string
	min, max             int // arguments behind the name
	run                  Handler
}

// debugWords is made in init: HELP, which is in it, looks at it.
var debugWords []debugWord

func init() {
	debugWords = []debugWord{
		{"CHANGE-REPL-ID", "", "Does nothing: no replica knows the id.", 0, 0, debugNothing},
		{"DIGEST", "", "Prints a signature of all data, that of redis-server for the same data.", 0, 0, debugDigest},
		{"DIGEST-VALUE", "[<key> ...]", "Prints signatures of the values of keys.", 0, math.MaxInt, debugDigestValue},
		{"HTSTATS-KEY", "<key>", "Answers that the value is no hash table, for none is one as redis-server has it.", 1, 1, debugHTStatsKey},
		{"JMAP", "", "Does nothing.", 0, 0, debugNothing},
		{"LOADAOF", "", "Empties memory and loads what the log has kept.", 0, 0, debugLoadAOF},
		{"LOG", "<message>", "Writes a message to the server's log.", 1, 1, debugLog},
		{"OBJECT", "<key>", "Shows how a value is kept.", 1, 1, debugObject},
		{"PAUSE-CRON", "<0|1>", "Stops the work that the server does on its own, and lets it go on.", 1, 1, debugPauseCron},
		{"POPULATE", "<count> [<prefix>] [<size>]", "Makes strings <prefix>:<number> that are missing, with values of a size; the prefix is key.", 1, 3, debugPopulate},
		{"PROTOCOL", "<type>", "Answers with a value of the type: " + strings.ReplaceAll(protocolTypes, "|", ", ") + ".", 1, 1, debugProtocol},
		{"QUICKLIST-PACKED-THRESHOLD", "<size>", "Checks the size; lists here have no such threshold.", 1, 1, debugPackedThreshold},
		{"RELOAD", "", "Takes a snapshot, empties memory and loads it.", 0, 1, debugReload},
		{"REPLYBUFFER", "<PEAK-RESET-TIME <NEVER|RESET|time> | RESIZING <0|1>>", "Does nothing.", 2, 2, debugReplyBuffer},
		{"SET-ACTIVE-EXPIRE", "<0|1>", "Stops the search for expired keys that nobody asks for, and lets it go on.", 1, 1, debugActiveExpire},
		{"SLEEP", "<seconds>", "Answers after some time; other clients do not notice.", 1, 1, debugSleep},
		{"STRINGMATCH-LEN", "<pattern> <string>", "Tells whether a pattern matches, as KEYS would.", 2, 2, debugStringMatch},
		{"SWEEP-LATCHES", "[<shard>]", "Frees latches whose owners are gone, in all shards or one, and counts them.", 0, 1, debugSweep},
		{"HELP", "", "Prints this help.", 0, 0, debugHelp},
	}
}

func debug(c *Context) error {
	n := len(c.Args) - 2
	for i := range debugWords {
		if w := &debugWords[i]; c.Is(1, w.name) && n >= w.min && n <= w.max {
			return w.run(c)
		}
	}
	return ErrSubSyntax(c)
}

// debugRefs are the keys that DEBUG looks at, which its spec does not show.
func debugRefs(args [][]byte, db int, add func(db int, key []byte)) {
	if foldEqual(args[1], "OBJECT") || foldEqual(args[1], "DIGEST-VALUE") || foldEqual(args[1], "HTSTATS-KEY") {
		for _, key := range args[2:] {
			add(db, key)
		}
	}
}

func debugHelp(c *Context) error {
	lines := []string{"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, w := range debugWords {
		lines = append(lines, strings.TrimSpace(w.name+" "+w.usage))
		lines = append(lines, wrap(w.summary, helpWidth)...)
	}
	c.Reply.Array(len(lines))
	for _, l := range lines {
		c.Reply.Simple(l)
	}
	return nil
}

func debugNothing(c *Context) error {
	c.Reply.OK()
	return nil
}

func debugDigest(c *Context) error {
	d := dataset(c.Server.Keyspace(), c.Now)
	c.Reply.Simple(d.String())
	return nil
}

func debugDigestValue(c *Context) error {
	c.Tx.NoTouch = true
	c.Reply.Array(len(c.Args) - 2)
	for _, key := range c.Args[2:] {
		d, err := c.digestValue(key)
		if err != nil {
			return err
		}
		c.Reply.Simple(d.String())
	}
	return nil
}

func debugHTStatsKey(c *Context) error {
	if !c.Tx.Exists(c.Args[2]) {
		return ErrNoKey
	}
	return WireError("ERR The value stored at the specified key is not represented using an hash table")
}

func debugLog(c *Context) error {
	c.Server.Log("DEBUG LOG: " + string(c.Args[2]))
	c.Reply.OK()
	return nil
}

// debugObject prints the fields that tests of clients and of Redis look for.
// There is no address to show; the access clock is what OBJECT IDLETIME tells.
func debugObject(c *Context) error {
	info, ok := c.Tx.Peek(c.Args[2])
	if !ok {
		return ErrNoKey
	}
	text := fmt.Sprintf("Value at:0x%012x refcount:1 encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d",
		0, info.Encoding, info.Len, (c.Now/1000-info.Idle)&(1<<24-1), info.Idle)
	c.Reply.Simple(text)
	return nil
}

func debugActiveExpire(c *Context) error {
	c.Server.SetActiveExpire(isTrue(c.Args[2]))
	c.Reply.OK()
	return nil
}

func debugPauseCron(c *Context) error {
	c.Server.PauseCron(isTrue(c.Args[2]))
	c.Reply.OK()
	return nil
}

// isTrue reads a switch as C's atoi does.
func isTrue(b []byte) bool {
	n, err := strconv.Atoi(string(b))
	return err == nil && n != 0
}

// debugPopulate makes keys as any client would, through latches and log.
func debugPopulate(c *Context) error {
	if c.InExec {
		return ErrNotInMulti
	}
	count, err := c.Positive(2)
	if err != nil {
		return err
	}
	prefix, size := "key", int64(0)
	if len(c.Args) > 3 {
		prefix = string(c.Args[3])
	}
	if len(c.Args) > 4 {
		if size, err = c.IntIn(4, 0, 512<<20, ErrNotPositive); err != nil {
			return err
		}
	}
	set, nx := []byte("SET"), []byte("NX")
	var value []byte
	for i := range count {
		value = append(append(value[:0], "value:"...), strconv.FormatInt(i, 10)...)
		if size > 0 {
			value = append(value, make([]byte, max(0, size-int64(len(value))))...)[:size]
		}
		key := []byte(prefix + ":" + strconv.FormatInt(i, 10))
		if err := c.Server.Do(c.DB, set, key, value, nx); err != nil {
			return err
		}
		if c.gone() {
			break
		}
	}
	c.Reply.OK()
	return nil
}

// gone tells whether nobody waits for the answer any more.
func (c *Context) gone() bool {
	if c.Client.Conn == nil {
		return false
	}
	select {
	case <-c.Client.Conn.Gone():
		return true
	default:
		return false
	}
}

// debugSleep sleeps, but never inside of a transaction, which holds latches.
func debugSleep(c *Context) error {
	// What is no number sleeps as long as the number it begins with, or not at all.
	seconds, err := strconv.ParseFloat(string(c.Args[2]), 64)
	if err != nil || math.IsNaN(seconds) {
		seconds = 0
	}
	if ms := int64(min(seconds*1000, math.MaxInt32)); ms > 0 && c.MayWait() {
		c.sleep(ms)
	}
	c.Reply.OK()
	return nil
}

func debugStringMatch(c *Context) error {
	n := int64(0)
	if glob.Match(c.Args[2], c.Args[3]) {
		n = 1
	}
	c.Reply.Int(n)
	return nil
}

func debugSweep(c *Context) error {
	shard := int64(-1)
	if len(c.Args) > 2 {
		var err error
		if shard, err = c.IntIn(2, 0, math.MaxInt32, ErrNotInteger); err != nil {
			return err
		}
	}
	freed, err := c.Server.SweepLatches(int(shard))
	if err != nil {
		return err
	}
	c.Reply.Int(int64(freed))
	return nil
}

// debugPackedThreshold takes what redis-server does: a size with or without a
// unit, below 4 GB.
func debugPackedThreshold(c *Context) error {
	const most = 1<<32 - 1<<20
	text := strings.ToLower(string(c.Args[2]))
	digits := strings.TrimRight(text, "bkmg")
	unit, known := map[string]uint64{
		"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30,
	}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !known || n > most/unit {
		return WireError("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
	}
	c.Reply.OK()
	return nil
}

func debugReplyBuffer(c *Context) error {
	switch {
	case c.Is(2, "PEAK-RESET-TIME"):
		if !c.Is(3, "NEVER") && !c.Is(3, "RESET") {
			if _, err := c.Int64(3); err != nil {
				return err
			}
		}
	case !c.Is(2, "RESIZING"):
		return ErrSubSyntax(c)
	}
	c.Reply.OK()
	return nil
}

const protocolTypes = "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"

// debugProtocol answers with one value of each kind, so that clients can be
// tested; the values are redis-server's.
func debugProtocol(c *Context) error {
	w := c.Reply
	three := func() {
		for i := range int64(3) {
			w.Int(i)
		}
	}
	switch strings.ToLower(string(c.Args[2])) {
	case "string":
		w.BulkString("Hello World")
	case "integer":
		w.Int(12345)
	case "double":
		w.Double(3.141)
	case "bignum":
		w.BigNumber("1234567999999999999999999999999999999")
	case "null":
		w.Null()
	case "array":
		w.Array(3)
		three()
	case "set":
		w.Set(3)
		three()
	case "map":
		w.Map(3)
		for i := range int64(3) {
			w.Int(i)
			w.Bool(i == 1)
		}
	case "attrib":
		if w.Proto() == 3 {
			w.Attribute(1)
			w.BulkString("key-popularity")
			w.Array(2)
			w.BulkString("key:123")
			w.Int(90)
		}
		w.BulkString("Some real reply following the attribute")
	case "push":
		return debugPush(c)
	case "verbatim":
		w.Verbatim("txt", "This is a verbatim\nstring")
	case "true":
		w.Bool(true)
	case "false":
		w.Bool(false)
	default:
		return WireError("ERR Wrong protocol type name. Please use one of the following: " + protocolTypes)
	}
	return nil
}

func debugPush(c *Context) error {
	w := c.Reply
	if w.Proto() != 3 {
		return WireError("ERR RESP2 is not supported by this command")
	}
	w.Push(2)
	w.BulkString("server-cpu-usage")
	w.Int(42)
	w.BulkString("Some real reply following the push reply")
	return nil
}

var debugCommands = []Spec{
	{
		Name: "DEBUG", Usage: "subcommand [arg...]", Arity: -2, Group: ServerGroup, Since: "1.0.0", Complexity: "Depends on subcommand.",
		Flags: Admin | NoScript | Loading | Stale | OffGate | Protected | AnyNode, Refs: debugRefs, Run: debug,
		Summary: "For tests of clients and of the server; enable-debug-command says who may use it.",
	},
}
