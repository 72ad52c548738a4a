package command

import (
	"bytes"
	"slices"
	"sync"

	"github.com/ferricd/ferricd/internal/glob"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/resp"
)

// Deliver takes a message for a subscriber. It is encoded once for all who speak
// the same protocol version.
func (cl *Client) Deliver(m *pubsub.Message) {
	b := &m.Encoded[cl.Proto()]
	if *b == nil {
		*b = Encode(cl.Proto(), func(w *resp.Writer) { writeMessage(w, m) })
	}
	cl.Conn.Push(*b)
}

var _ pubsub.Subscriber = (*Client)(nil)

var messageWords = [...]string{pubsub.Channel: "message", pubsub.Pattern: "pmessage", pubsub.Shard: "smessage"}

func writeMessage(w *resp.Writer, m *pubsub.Message) {
	if m.Kind == pubsub.Pattern {
		w.Push(4)
		w.BulkString(messageWords[m.Kind])
		w.BulkString(m.Pattern)
	} else {
		w.Push(3)
		w.BulkString(messageWords[m.Kind])
	}
	w.Bulk(m.Channel)
	w.Bulk(m.Payload)
}

var encoders = sync.Pool{New: func() any { return new(resp.Writer) }}

// Encode is what fn writes, for clients of a protocol version.
func Encode(proto int, fn func(w *resp.Writer)) []byte {
	w := encoders.Get().(*resp.Writer)
	w.Reset(proto)
	fn(w)
	b := bytes.Clone(w.Bytes())
	if cap(w.Bytes()) <= 64<<10 {
		encoders.Put(w)
	}
	return b
}

// subscribeWords name the replies to a subscription and to its end.
var subscribeWords = [...][2]string{
	pubsub.Channel: {"subscribe", "unsubscribe"},
	pubsub.Pattern: {"psubscribe", "punsubscribe"},
	pubsub.Shard:   {"ssubscribe", "sunsubscribe"},
}

func subscribe(k pubsub.Kind) Handler {
	return func(c *Context) error {
		for _, name := range c.Args[1:] {
			c.Client.listener().Subscribe(k, name)
			c.subscription(k, subscribeWords[k][0], name, true)
		}
		c.Client.setPubSub()
		return nil
	}
}

func unsubscribe(k pubsub.Kind) Handler {
	return func(c *Context) error {
		names := c.Args[1:]
		if len(names) == 0 {
			for _, name := range c.Client.Subs().Names(k) {
				names = append(names, []byte(name))
			}
		}
		for _, name := range names {
			c.Client.Subs().Unsubscribe(k, name)
			c.subscription(k, subscribeWords[k][1], name, true)
		}
		if len(names) == 0 {
			c.subscription(k, subscribeWords[k][1], nil, false)
		}
		c.Client.setPubSub()
		return nil
	}
}

// subscription tells the client how many subscriptions it now has.
func (c *Context) subscription(k pubsub.Kind, word string, name []byte, named bool) {
	subs := c.Client.Subs()
	n := subs.Count(pubsub.Shard)
	if k != pubsub.Shard {
		n = subs.Count(pubsub.Channel) + subs.Count(pubsub.Pattern)
	}
	c.Reply.Push(3)
	c.Reply.BulkString(word)
	c.Reply.BulkOrNull(name, named)
	c.Reply.Int(int64(n))
}

// setPubSub notes whether the client is a subscriber.
func (cl *Client) setPubSub() {
	on := cl.Subs().Total() > 0
	if cl.Has(ClientPubSub) == on {
		return
	}
	cl.SetFlag(ClientPubSub, on)
	class := resp.ClassNormal
	if on {
		class = resp.ClassPubSub
	}
	if cl.Conn != nil {
		cl.Conn.SetClass(class)
	}
}

// Unsubscribe ends all subscriptions of a client that goes or is reset.
func (cl *Client) Unsubscribe() {
	cl.Subs().Close()
	cl.setPubSub()
}

// MaySend tells whether a subscriber that speaks RESP2 may send a command: it could
// not tell the replies of others from messages. A replica asks for no key: its copy is
// made of what it is sent.
func (cl *Client) MaySend(s *Spec) error {
	if cl.Has(ClientReplica) && s.Flags&(Write|Readonly|MayReplicate) != 0 {
		return WireError("ERR Replica can't interact with the keyspace")
	}
	if cl.Has(ClientReplica) && s.Name == "RESET" {
		return WireError("ERR can only reset normal client connections")
	}
	if !cl.Has(ClientPubSub) || cl.Proto() == 3 || s.Has(Listening) {
		return nil
	}
	return Errorf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", s.Lower())
}

func publish(c *Context) error {
	c.Reply.Int(int64(c.Server.PubSub().Publish(c.Args[1], c.Args[2])))
	return nil
}

func publishShard(c *Context) error {
	c.Reply.Int(int64(c.Server.PubSub().PublishShard(c.Args[1], c.Args[2])))
	return nil
}

func pubsubNames(k pubsub.Kind) Handler {
	return func(c *Context) error {
		if len(c.Args) > 3 {
			return ErrSubSyntax(c)
		}
		var names []string
		c.Server.PubSub().Names(k, func(name string) {
			if len(c.Args) == 2 || glob.MatchString(string(c.Args[2]), name) {
				names = append(names, name)
			}
		})
		slices.Sort(names)
		c.Reply.Array(len(names))
		for _, name := range names {
			c.Reply.BulkString(name)
		}
		return nil
	}
}

func pubsubNumSub(k pubsub.Kind) Handler {
	return func(c *Context) error {
		names := c.Args[2:]
		c.Reply.Array(2 * len(names))
		for _, name := range names {
			c.Reply.Bulk(name)
			c.Reply.Int(int64(c.Server.PubSub().Subscribers(k, name)))
		}
		return nil
	}
}

func pubsubNumPat(c *Context) error {
	c.Reply.Int(int64(c.Server.PubSub().Len(pubsub.Pattern)))
	return nil
}

const (
	subscribeFlags = PubSub | NoScript | Loading | Stale | Listening
	pubsubFlags    = PubSub | Loading | Stale
)

var pubsubCommands = []Spec{
	{
		Name: "SUBSCRIBE", Usage: "channel...", Arity: -2, Group: PubSubGroup, Since: "2.0.0", Complexity: "O(N) where N is the number of channels to subscribe to.",
		Flags: subscribeFlags, Run: subscribe(pubsub.Channel),
		Summary: "Listens to channels.",
	},
	{
		Name: "UNSUBSCRIBE", Usage: "[channel...]", Arity: -1, Group: PubSubGroup, Since: "2.0.0", Complexity: "O(N) where N is the number of clients already subscribed to a channel.",
		Flags: subscribeFlags, Run: unsubscribe(pubsub.Channel),
		Summary: "Listens to some channels, or all, no longer.",
	},
	{
		Name: "PSUBSCRIBE", Usage: "pattern...", Arity: -2, Group: PubSubGroup, Since: "2.0.0", Complexity: "O(N) where N is the number of patterns the client is already subscribed to.",
		Flags: subscribeFlags, Run: subscribe(pubsub.Pattern),
		Summary: "Listens to all channels that match one of the patterns.",
	},
	{
		Name: "PUNSUBSCRIBE", Usage: "[pattern...]", Arity: -1, Group: PubSubGroup, Since: "2.0.0", Complexity: "O(N+M) where N is the number of patterns the client is already subscribed and M is the number of total patterns subscribed in the system (by any client).",
		Flags: subscribeFlags, Run: unsubscribe(pubsub.Pattern),
		Summary: "Listens to what matches some patterns, or all it has named, no longer.",
	},
	{
		Name: "SSUBSCRIBE", Usage: "shardchannel...", Arity: -2, Group: PubSubGroup, Since: "7.0.0", Complexity: "O(N) where N is the number of shard channels to subscribe to.",
		Flags: subscribeFlags, Keys: []KeySpec{Keys(1, -1, 1, NotKey)}, Run: subscribe(pubsub.Shard),
		Summary: "Listens to shard channels.",
	},
	{
		Name: "SUNSUBSCRIBE", Usage: "[shardchannel...]", Arity: -1, Group: PubSubGroup, Since: "7.0.0", Complexity: "O(N) where N is the number of clients already subscribed to a shard channel.",
		Flags: subscribeFlags, Keys: []KeySpec{Keys(1, -1, 1, NotKey)}, Run: unsubscribe(pubsub.Shard),
		Summary: "Listens to some shard channels, or all, no longer.",
	},
	{
		Name: "PUBLISH", Usage: "channel message", Arity: 3, Group: PubSubGroup, Since: "2.0.0", Complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
		Flags: pubsubFlags | Fast | MayReplicate, Run: publish,
		Summary: "Sends a message to everyone who listens to the channel.",
	},
	{
		Name: "SPUBLISH", Usage: "shardchannel message", Arity: 3, Group: PubSubGroup, Since: "7.0.0", Complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
		Flags: pubsubFlags | Fast | MayReplicate, Keys: []KeySpec{Key(1, NotKey)}, Run: publishShard,
		Summary: "Sends a message to everyone who listens to the shard channel.",
	},
	{
		Name: "PUBSUB", Usage: "", Arity: -2, Group: PubSubGroup, Since: "2.8.0", Complexity: "Depends on subcommand.", Flags: Container, Categories: CatNotGroup,
		Summary: "Tells who listens to what.",
	},
	{
		Name: "PUBSUB|CHANNELS", Usage: "[pattern]", Arity: -2, Group: PubSubGroup, Since: "2.8.0",
		Complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
		Flags:      pubsubFlags, Run: pubsubNames(pubsub.Channel),
		Summary: "Lists the channels that somebody listens to.",
	},
	{
		Name: "PUBSUB|NUMPAT", Usage: "", Arity: 2, Group: PubSubGroup, Since: "2.8.0", Complexity: "O(1)", Flags: pubsubFlags, Run: pubsubNumPat,
		Summary: "Counts the patterns that somebody listens to.",
	},
	{
		Name: "PUBSUB|NUMSUB", Usage: "[channel...]", Arity: -2, Group: PubSubGroup, Since: "2.8.0", Complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
		Flags: pubsubFlags, Run: pubsubNumSub(pubsub.Channel),
		Summary: "Counts who listens to each of some channels, those not counted who listen to patterns.",
	},
	{
		Name: "PUBSUB|SHARDCHANNELS", Usage: "[pattern]", Arity: -2, Group: PubSubGroup, Since: "7.0.0",
		Complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
		Flags:      pubsubFlags, Run: pubsubNames(pubsub.Shard),
		Summary: "Lists the shard channels that somebody listens to.",
	},
	{
		Name: "PUBSUB|SHARDNUMSUB", Usage: "[shardchannel...]", Arity: -2, Group: PubSubGroup, Since: "7.0.0",
		Complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
		Flags:      pubsubFlags, Run: pubsubNumSub(pubsub.Shard),
		Summary: "Counts who listens to each of some shard channels.",
	},
	{
		Name: "PUBSUB|HELP", Usage: "", Arity: 2, Group: PubSubGroup, Since: "6.2.0", Complexity: "O(1)", Flags: helpFlags, Categories: CatNotGroup, Run: help,
		Summary: "Prints this help.",
	},
}
