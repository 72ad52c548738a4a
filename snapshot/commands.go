package snapshot

import (
	"math"
	"strconv"

	"github.com/ferricd/ferricd/store"
)

// Elements of a collection go into commands of at most so many, and about so many
// bytes.
const (
	commandElements = 64
	commandBytes    = 64 << 10
)

// Commands is a store.Contents that writes keys as the commands, in RESP, that
// make them. Between Begin and End it is told the contents of one key.
type Commands struct {
	limit    int
	full     func(b []byte) []byte
	buf      []byte // whole commands
	commands int    // in buf
	keys     int    // begun in buf

	key      []byte
	expireAt int64
	again    func(store.Contents)

	name  string // of the command that args belong to
	args  []byte // elements that have not become a command yet
	n     int    // arguments in args
	times fieldTimes
	s     stream
}

// fieldTimes are fields of a hash that expire at the same time.
type fieldTimes struct {
	at   int64
	args []byte
	n    int
}

// NewCommands returns a Commands that calls full with a buffer of whole commands
// whenever there are limit bytes, and by Flush with the rest. full returns the
// buffer to go on with, b itself if it does not keep it.
func NewCommands(limit int, full func(b []byte) []byte) *Commands {
	return &Commands{limit: limit, full: full}
}

// Begin begins a key; expireAt is in Unix milliseconds, 0 for never. again, which
// may be nil, tells the same contents to another Contents: pending entries of a
// stream whose entries were deleted can be made only by who knows them beforehand,
// without it they are lost. What key points to stays until End.
func (c *Commands) Begin(key []byte, expireAt int64, again func(store.Contents)) {
	c.key, c.expireAt, c.again = key, expireAt, again
	c.keys++
}

// End ends a key.
func (c *Commands) End() {
	c.flushBatch()
	if c.name == "XADD" {
		c.endStream()
	}
	if c.expireAt != 0 && c.name != "SET" {
		c.begin("PEXPIREAT", 1)
		c.integer(c.expireAt)
		c.whole()
	}
	c.key, c.again, c.name, c.s = nil, nil, "", stream{}
	if cap(c.args) > 2*commandBytes {
		c.args, c.times.args = nil, nil
	}
}

// Flush gives away what is in the buffer.
func (c *Commands) Flush() {
	if len(c.buf) > 0 {
		c.buf = c.full(c.buf)[:0]
		c.commands, c.keys = 0, 0
	}
}

// begin begins a command on the key with n more arguments.
func (c *Commands) begin(name string, n int) {
	c.head(n + 2)
	c.text(name)
	c.bytes(c.key)
}

func (c *Commands) head(n int) {
	c.buf = append(c.buf, '*')
	c.buf = strconv.AppendInt(c.buf, int64(n), 10)
	c.buf = append(c.buf, '\r', '\n')
}

func (c *Commands) bytes(b []byte) { c.buf = appendBulk(c.buf, b) }
func (c *Commands) text(s string)  { c.buf = appendBulk(c.buf, s) }

func (c *Commands) integer(n int64) {
	var b [20]byte
	c.bytes(strconv.AppendInt(b[:0], n, 10))
}

func (c *Commands) id(id store.StreamID) {
	var b [48]byte
	c.bytes(id.Append(b[:0]))
}

func appendBulk[T string | []byte](dst []byte, b T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, b...)
	return append(dst, '\r', '\n')
}

// whole ends a command.
func (c *Commands) whole() {
	c.commands++
	if len(c.buf) >= c.limit {
		c.Flush()
	}
}

// String is told a string.
func (c *Commands) String(v []byte) {
	c.name = "SET"
	if c.expireAt == 0 {
		c.begin(c.name, 1)
		c.bytes(v)
	} else {
		c.begin(c.name, 3)
		c.bytes(v)
		c.text("PXAT")
		c.integer(c.expireAt)
	}
	c.whole()
}

// List begins a list.
func (c *Commands) List(int) { c.name = "RPUSH" }

// Element is an element of the list.
func (c *Commands) Element(v []byte) {
	c.args = appendBulk(c.args, v)
	c.added(1)
}

// Set begins a set.
func (c *Commands) Set(int) { c.name = "SADD" }

// Member is a member of the set.
func (c *Commands) Member(v []byte) {
	c.args = appendBulk(c.args, v)
	c.added(1)
}

// ZSet begins a sorted set.
func (c *Commands) ZSet(int) { c.name = "ZADD" }

// Scored is a member of the sorted set. Its score reads back as the same number.
func (c *Commands) Scored(member []byte, score float64) {
	var b [32]byte
	text := b[:0]
	switch {
	case math.IsInf(score, 1):
		text = append(text, "inf"...)
	case math.IsInf(score, -1):
		text = append(text, "-inf"...)
	default:
		text = strconv.AppendFloat(text, score, 'g', -1, 64)
	}
	c.args = appendBulk(c.args, text)
	c.args = appendBulk(c.args, member)
	c.added(2)
}

// Hash begins a hash.
func (c *Commands) Hash(int, bool) { c.name = "HSET" }

// Field is a field of the hash.
func (c *Commands) Field(name, value []byte, expireAt int64) {
	t := &c.times
	if expireAt != 0 && t.n > 0 && t.at != expireAt {
		c.flushBatch()
	}
	if expireAt != 0 {
		t.at = expireAt
		t.args = appendBulk(t.args, name)
		t.n++
	}
	c.args = appendBulk(c.args, name)
	c.args = appendBulk(c.args, value)
	c.added(2)
}

// added counts arguments and makes a command of them when there are enough.
func (c *Commands) added(n int) {
	c.n += n
	if c.n >= commandElements || len(c.args) >= commandBytes {
		c.flushBatch()
	}
}

// flushBatch makes a command of the elements told since the last one, and then
// those that belong to it.
func (c *Commands) flushBatch() {
	if c.n > 0 {
		c.begin(c.name, c.n)
		c.buf = append(c.buf, c.args...)
		c.whole()
		c.args, c.n = c.args[:0], 0
	}
	if t := &c.times; t.n > 0 {
		c.begin("HPEXPIREAT", t.n+3)
		c.integer(t.at)
		c.text("FIELDS")
		c.integer(int64(t.n))
		c.buf = append(c.buf, t.args...)
		c.whole()
		t.args, t.n = t.args[:0], 0
	}
	c.flushClaim()
}
