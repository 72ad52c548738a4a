package command

import (
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/tracking"
)

// A Session is what commands ask of their client's place in the router.
type Session interface {
	// Multi begins to queue commands.
	Multi() error
	// Exec runs the queue as one call, or replies that it may not run.
	Exec(c *Context) error
	// Discard forgets the queue and what is watched.
	Discard() error
	// Watch makes Exec fail if one of the keys changes before.
	Watch(db int, keys [][]byte) error
	// Unwatch forgets what is watched.
	Unwatch()
	// AwaitLog waits until all that the client has written is durable.
	AwaitLog(gone <-chan struct{}) error
	// Written is the log's position behind what the client has written last.
	Written() uint64
	// NewSubs and NewTracking are made when the client first asks to be told something.
	NewSubs() *pubsub.Client
	NewTracking() *tracking.Client
}

func multi(c *Context) error {
	if err := c.Client.Session.Multi(); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

func exec(c *Context) error { return c.Client.Session.Exec(c) }

func discard(c *Context) error {
	if err := c.Client.Session.Discard(); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

// watch holds the latches of its keys: one that has expired is deleted here, so
// that its later deletion by somebody else is no change.
func watch(c *Context) error {
	for _, key := range c.Args[1:] {
		c.Tx.Exists(key)
	}
	if err := c.Client.Session.Watch(c.DB, c.Args[1:]); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

func unwatch(c *Context) error {
	c.Client.Session.Unwatch()
	c.Reply.OK()
	return nil
}

const (
	ErrExecNoMulti    WireError = "ERR EXEC without MULTI"
	ErrDiscardNoMulti WireError = "ERR DISCARD without MULTI"
	ErrWatchInMulti   WireError = "ERR WATCH inside MULTI is not allowed"
)

var transactionCommands = []Spec{
	{
		Name: "MULTI", Usage: "", Arity: 1, Group: Transactions, Since: "1.2.0", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | AllowBusy, Run: multi,
		Summary: "Begins a transaction: commands are queued until EXEC.",
	},
	{
		Name: "EXEC", Usage: "", Arity: 1, Group: Transactions, Since: "1.2.0", Complexity: "Depends on commands in the transaction",
		Flags: NoScript | Loading | Stale | SkipSlowlog, Run: exec,
		Summary: "Runs the queued commands as one.",
	},
	{
		Name: "DISCARD", Usage: "", Arity: 1, Group: Transactions, Since: "2.0.0", Complexity: "O(N), when N is the number of queued commands",
		Flags: NoScript | Loading | Stale | Fast | AllowBusy, Run: discard,
		Summary: "Forgets the queued commands.",
	},
	{
		Name: "WATCH", Usage: "key...", Arity: -2, Group: Transactions, Since: "2.2.0", Complexity: "O(1) for every key.",
		Flags: NoScript | Loading | Stale | Fast | AllowBusy | NoTouch | Claims, Keys: []KeySpec{Keys(1, -1, 1, RO)}, Run: watch,
		Summary: "Lets EXEC run only if the keys stay as they are until then.",
	},
	{
		Name: "UNWATCH", Usage: "", Arity: 1, Group: Transactions, Since: "2.2.0", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | AllowBusy, Run: unwatch,
		Summary: "Forgets which keys are watched.",
	},
}
