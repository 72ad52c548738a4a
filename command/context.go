package command

import (
	"strconv"

	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// Context is one call. It is valid until its handler returns: the next call, which may
// be another client's, gets the same one. Nothing may keep a *Context, or a slice that
// belongs to it, past its handler; what a goroutine or a Wait needs later is copied.
type Context struct {
	Spec   *Spec
	Args   [][]byte     // Args[0] is the name as sent; valid until the handler returns
	Tx     *store.Tx    // the keys this call may touch, and no others
	Reply  *resp.Writer //
	Client *Client      //
	DB     int          // the database that the keys are in
	Now    int64        // Unix milliseconds; the log's clock on replay
	Server Server       //
	InExec bool         // inside of a transaction
	Woken  []byte       // a parked call looks again, because of this key
	Kept   any          // and what it has kept in its Wait

	effects [][][]byte
	words   [][]byte // what the effects are made of
	digits  []byte   // what Decimal has printed
	silent  bool
	events  []Event
	watched NotifyClass
}

// An Event is a keyspace notification that is sent when the call is done.
type Event struct {
	Class NotifyClass
	Name  string
	DB    int
	Key   []byte
}

// Begin makes c ready for a call; its slices keep their room.
func (c *Context) Begin(s *Spec, args [][]byte, now int64, watched NotifyClass) {
	c.Spec, c.Args, c.Now, c.watched = s, args, now, watched
	c.effects, c.words, c.digits = c.effects[:0], c.words[:0], c.digits[:0]
	c.events, c.silent = c.events[:0], false
}

// Notify says what happened to key, for keyspace notifications. It costs
// nothing when nobody has asked for the class.
func (c *Context) Notify(class NotifyClass, name string, key []byte) {
	c.NotifyDB(class, name, c.DB, key)
}

// NotifyDB is Notify for a key of another database.
func (c *Context) NotifyDB(class NotifyClass, name string, db int, key []byte) {
	if c.watched&class != 0 {
		c.events = append(c.events, Event{class, name, db, key})
	}
}

// Events are the notifications of this call, in order.
func (c *Context) Events() []Event { return c.events }

// Effect replaces what is written to the log for this call: argv in a form that
// can be replayed at any time with the same outcome. Several calls make several
// records, all or none of which are applied. Without it the call is logged as
// it was sent, if it changed anything. What the words point to must stay as it is
// until the next Begin.
func (c *Context) Effect(argv ...[]byte) {
	n := len(c.words)
	c.words = append(c.words, argv...)
	c.effects = append(c.effects, c.words[n:len(c.words):len(c.words)])
}

// Decimal prints n as a word of an effect.
func (c *Context) Decimal(n int64) []byte {
	start := len(c.digits)
	c.digits = strconv.AppendInt(c.digits, n, 10)
	return c.digits[start:len(c.digits):len(c.digits)]
}

// NoEffect keeps this call out of the log although it changed something that
// the log does not keep.
func (c *Context) NoEffect() { c.silent = true }

// Effects are the records for the log; own is false if the call is to be
// logged as it was sent.
func (c *Context) Effects() (records [][][]byte, own bool) {
	return c.effects, len(c.effects) > 0 || c.silent
}
