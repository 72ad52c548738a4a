package command

import (
	"crypto/subtle"

	"github.com/ferricd/ferricd/config"
)

func ping(c *Context) error {
	if len(c.Args) > 2 {
		return ErrArity(c.Spec)
	}
	if c.Client.Has(ClientPubSub) && c.Reply.Proto() == 2 {
		c.Reply.Array(2)
		c.Reply.BulkString("pong")
		if len(c.Args) == 2 {
			c.Reply.Bulk(c.Args[1])
		} else {
			c.Reply.BulkString("")
		}
		return nil
	}
	if len(c.Args) == 2 {
		c.Reply.Bulk(c.Args[1])
	} else {
		c.Reply.Simple("PONG")
	}
	return nil
}

func echo(c *Context) error {
	c.Reply.Bulk(c.Args[1])
	return nil
}

func selectDB(c *Context) error {
	db, err := c.database(1)
	if err != nil {
		return err
	}
	c.Client.SetDB(db)
	c.Reply.OK()
	return nil
}

const (
	errNoPassword WireError = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	errHelloAuth  WireError = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	errClientName WireError = "ERR Client names cannot contain spaces, newlines or special characters."
)

// login checks a user's password, in a time that does not tell how much of it
// was right.
func (c *Context) login(user string, password []byte) error {
	want := c.Server.Config().String(config.RequirePass)
	right := user == "default" && (want == "" || subtle.ConstantTimeCompare(password, []byte(want)) == 1)
	if !right {
		c.Server.AuthFailed(c.Client)
		return ErrWrongPass
	}
	c.Client.User = user
	c.Client.Authenticated = true
	if c.Client.Conn != nil {
		c.Client.Conn.SetAuthenticated(true)
	}
	return nil
}

func auth(c *Context) error {
	var err error
	switch {
	case len(c.Args) > 3:
		return ErrSyntax
	case len(c.Args) == 3:
		err = c.login(string(c.Args[1]), c.Args[2])
	case c.Server.Config().String(config.RequirePass) == "":
		return errNoPassword
	default:
		err = c.login("default", c.Args[1])
	}
	if err == nil {
		c.Reply.OK()
	}
	return err
}

func hello(c *Context) error {
	proto := int64(0)
	if len(c.Args) > 1 {
		n, ok := ParseInt(c.Args[1])
		if !ok {
			return WireError("ERR Protocol version is not an integer or out of range")
		}
		if n != 2 && n != 3 {
			return WireError("NOPROTO unsupported protocol version")
		}
		proto = n
	}
	for i := 2; i < len(c.Args); {
		switch left := len(c.Args) - i - 1; {
		case c.Is(i, "AUTH") && left >= 2:
			if err := c.login(string(c.Args[i+1]), c.Args[i+2]); err != nil {
				return err
			}
			i += 3
		case c.Is(i, "SETNAME") && left >= 1:
			if !printable(c.Args[i+1]) {
				return errClientName
			}
			c.Client.SetName(string(c.Args[i+1]))
			i += 2
		default:
			return Errorf("ERR Syntax error in HELLO option '%s'", c.Args[i])
		}
	}
	if !c.Client.LoggedIn(c.Server.Config()) {
		return errHelloAuth
	}
	if proto != 0 {
		c.Reply.SetProto(int(proto))
		c.Client.SetProto(int(proto))
	}
	c.helloReply()
	return nil
}

func (c *Context) helloReply() {
	id := c.Server.Identity()
	w := c.Reply
	w.Map(7)
	w.BulkString("server")
	w.BulkString("redis")
	w.BulkString("version")
	w.BulkString(id.Redis)
	w.BulkString("proto")
	w.Int(int64(w.Proto()))
	w.BulkString("id")
	w.Int(int64(c.Client.ID))
	w.BulkString("mode")
	w.BulkString("standalone")
	w.BulkString("role")
	if _, follows := c.follows(); follows {
		w.BulkString("replica")
	} else {
		w.BulkString("master")
	}
	w.BulkString("modules")
	w.Array(0)
}

func quit(c *Context) error {
	c.Reply.OK()
	c.Client.SetFlag(ClientCloseAfter, true)
	return nil
}

func reset(c *Context) error {
	cl := c.Client
	c.Server.Unmonitor(cl)
	if cl.Session.Discard() != nil {
		cl.Session.Unwatch()
	}
	cl.Unsubscribe()
	cl.Tracking().Stop()
	cl.SetFlag(ClientNoEvict|ClientNoTouch|ClientReadonly|ClientRedirects, false)
	cl.ReplyMode = ReplyOn
	cl.SetDB(0)
	cl.SetName("")
	cl.User = "default"
	cl.Authenticated = c.Server.Config().String(config.RequirePass) == ""
	if cl.Conn != nil {
		cl.Conn.SetAuthenticated(cl.Authenticated)
	}
	c.Reply.SetProto(2)
	cl.SetProto(2)
	c.Reply.Simple("RESET")
	return nil
}

// printable tells whether b may be a name: it holds no space and nothing that
// would break a line of CLIENT LIST.
func printable(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

var connectionCommands = []Spec{
	{
		Name: "PING", Usage: "[message]", Arity: -1, Group: Connection, Since: "1.0.0", Complexity: "O(1)",
		Flags: Fast | Listening | AnyNode, Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Run: ping,
		Summary: "Answers PONG, or the message.",
	},
	{
		Name: "ECHO", Usage: "message", Arity: 2, Group: Connection, Since: "1.0.0", Complexity: "O(1)",
		Flags: Fast | Loading | Stale | AnyNode, Run: echo,
		Summary: "Answers the message.",
	},
	{
		Name: "SELECT", Usage: "index", Arity: 2, Group: Connection, Since: "1.0.0", Complexity: "O(1)",
		Flags: Loading | Stale | Fast | AnyNode, Run: selectDB,
		Summary: "Changes the database that the connection works on.",
	},
	{
		Name: "AUTH", Usage: "[username] password", Arity: -2, Group: Connection, Since: "1.0.0", Complexity: "O(N) where N is the number of passwords defined for the user",
		Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | AnyNode, Run: auth,
		History: []Change{{"6.0.0", "Takes a user name."}},
		Summary: "Logs the connection in.",
	},
	{
		Name: "HELLO", Usage: "[protover:integer [AUTH username password] [SETNAME clientname]]", Arity: -1, Group: Connection, Since: "6.0.0", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | AnyNode, Run: hello,
		History: []Change{{"6.2.0", "The protocol version may be left out."}},
		Summary: "Agrees on a protocol version, and logs in and names the connection on request.",
	},
	{
		Name: "QUIT", Usage: "", Arity: -1, Group: Connection, Since: "1.0.0", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | Listening | AnyNode, Run: quit, Deprecated: "7.2.0", ReplacedBy: "just closing the connection",
		Summary: "Closes the connection.",
	},
	{
		Name: "RESET", Usage: "", Arity: 1, Group: Connection, Since: "6.2.0", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | Listening | AnyNode, Run: reset,
		Summary: "Puts the connection back to the state it had when it came.",
	},
}
