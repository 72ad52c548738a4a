package command

import (
	"math"
	"slices"
	"time"
)

func clientID(c *Context) error {
	c.Reply.Int(int64(c.Client.ID))
	return nil
}

func clientInfo(c *Context) error {
	c.Reply.Verbatim("txt", string(c.Client.appendInfo(nil, time.Now()))+"\n")
	return nil
}

func clientList(c *Context) error {
	class, ids := "", []uint64(nil)
	switch n := len(c.Args); {
	case n == 2:
	case n == 4 && c.Is(2, "TYPE"):
		t, err := parseClientType(c.Args[3])
		if err != nil {
			return err
		}
		class = t
	case n > 3 && c.Is(2, "ID"):
		for i := 3; i < n; i++ {
			id, err := c.IntIn(i, math.MinInt64, math.MaxInt64, "ERR Invalid client ID")
			if err != nil {
				return err
			}
			ids = append(ids, uint64(id))
		}
	default:
		return ErrSyntax
	}
	var b []byte
	now := time.Now()
	c.Server.Clients(func(cl *Client) bool {
		if (class == "" || cl.clientType() == class) && (ids == nil || slices.Contains(ids, cl.ID)) {
			b = append(cl.appendInfo(b, now), '\n')
		}
		return true
	})
	c.Reply.Verbatim("txt", string(b))
	return nil
}

func clientSetName(c *Context) error {
	if !printable(c.Args[2]) {
		return errClientName
	}
	c.Client.SetName(string(c.Args[2]))
	c.Reply.OK()
	return nil
}

func clientGetName(c *Context) error {
	name := c.Client.Name()
	c.Reply.BulkOrNull([]byte(name), name != "")
	return nil
}

func clientSetInfo(c *Context) error {
	value := string(c.Args[3])
	attr := ""
	switch {
	case c.Is(2, "LIB-NAME"):
		attr = "lib-name"
	case c.Is(2, "LIB-VER"):
		attr = "lib-ver"
	default:
		return Errorf("ERR Unrecognized option '%s'", c.Args[2])
	}
	if !printable(c.Args[3]) {
		return Errorf("ERR %s cannot contain spaces, newlines or special characters.", attr)
	}
	if attr == "lib-name" {
		c.Client.SetLibrary(&value, nil)
	} else {
		c.Client.SetLibrary(nil, &value)
	}
	c.Reply.OK()
	return nil
}

func clientReply(c *Context) error {
	switch {
	case c.Is(2, "ON"):
		c.Client.ReplyMode = ReplyOn
		c.Reply.OK()
	case c.Is(2, "OFF"):
		c.Client.ReplyMode = ReplyOff
	case c.Is(2, "SKIP"):
		if c.Client.ReplyMode != ReplyOff {
			c.Client.ReplyMode = ReplySkip
		}
	default:
		return ErrSyntax
	}
	return nil
}

func clientSwitch(flag ClientFlags) Handler {
	return func(c *Context) error {
		switch {
		case c.Is(2, "ON"):
			c.Client.SetFlag(flag, true)
		case c.Is(2, "OFF"):
			c.Client.SetFlag(flag, false)
		default:
			return ErrSyntax
		}
		c.Reply.OK()
		return nil
	}
}

func clientPause(c *Context) error {
	writes := false
	if len(c.Args) > 4 {
		return ErrSubSyntax(c)
	}
	if len(c.Args) == 4 {
		switch {
		case c.Is(3, "WRITE"):
			writes = true
		case c.Is(3, "ALL"):
		default:
			return WireError("ERR CLIENT PAUSE mode must be WRITE or ALL")
		}
	}
	ms, ok := ParseInt(c.Args[2])
	if !ok {
		return WireError("ERR timeout is not an integer or out of range")
	}
	if ms < 0 {
		return ErrTimeoutNeg
	}
	const century = 100 * 365 * 24 * time.Hour
	d := time.Duration(min(ms, int64(century/time.Millisecond))) * time.Millisecond
	c.Server.Pause(writes, time.Now().Add(d))
	c.Reply.OK()
	return nil
}

func clientUnpause(c *Context) error {
	c.Server.Unpause()
	c.Reply.OK()
	return nil
}

func clientUnblock(c *Context) error {
	withError := false
	if len(c.Args) == 4 {
		switch {
		case c.Is(3, "TIMEOUT"):
		case c.Is(3, "ERROR"):
			withError = true
		default:
			return WireError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
		}
	} else if len(c.Args) > 4 {
		return ErrSubSyntax(c)
	}
	id, err := c.Int64(2)
	if err != nil {
		return err
	}
	n := int64(0)
	if id > 0 && c.Server.Unblock(uint64(id), withError) {
		n = 1
	}
	c.Reply.Int(n)
	return nil
}

// clientFilter is what CLIENT KILL selects by.
type clientFilter struct {
	id                            uint64
	addr, laddr, class, user, old string
	maxAge                        int64
	skipMe                        bool
}

func (f *clientFilter) match(cl *Client, now time.Time) bool {
	return (f.id == 0 || cl.ID == f.id) &&
		(f.addr == "" || cl.Conn.RemoteAddr() == f.addr) &&
		(f.laddr == "" || cl.Conn.LocalAddr() == f.laddr) &&
		(f.class == "" || cl.clientType() == f.class) &&
		(f.user == "" || cl.User == f.user) &&
		(f.maxAge == 0 || int64(now.Sub(cl.Started())/time.Second) >= f.maxAge)
}

func clientKill(c *Context) error {
	f, err := c.killFilter()
	if err != nil {
		return err
	}
	now, killed := time.Now(), int64(0)
	c.Server.Clients(func(cl *Client) bool {
		if f.skipMe && cl == c.Client || !f.match(cl, now) {
			return true
		}
		killed++
		if cl == c.Client {
			cl.SetFlag(ClientCloseAfter, true)
		} else {
			cl.Conn.Kill("CLIENT KILL")
		}
		return true
	})
	switch {
	case f.old == "":
		c.Reply.Int(killed)
	case killed == 0:
		return WireError("ERR No such client")
	default:
		c.Reply.OK()
	}
	return nil
}

func (c *Context) killFilter() (f clientFilter, err error) {
	if len(c.Args) == 3 {
		f.old = string(c.Args[2])
		f.addr = f.old
		return f, nil
	}
	f.skipMe = true
	for i := 2; i < len(c.Args); i += 2 {
		if i+1 >= len(c.Args) {
			return f, ErrSyntax
		}
		value := string(c.Args[i+1])
		switch {
		case c.Is(i, "ID"):
			id, ok := ParseInt(c.Args[i+1])
			if !ok || id < 1 {
				return f, WireError("ERR client-id should be greater than 0")
			}
			f.id = uint64(id)
		case c.Is(i, "TYPE"):
			if f.class, err = parseClientType(c.Args[i+1]); err != nil {
				return f, err
			}
		case c.Is(i, "USER"):
			if value != "default" {
				return f, Errorf("ERR No such user '%s'", value)
			}
			f.user = value
		case c.Is(i, "ADDR"):
			f.addr = value
		case c.Is(i, "LADDR"):
			f.laddr = value
		case c.Is(i, "MAXAGE"):
			n, ok := ParseInt(c.Args[i+1])
			if !ok || n < 1 {
				return f, WireError("ERR maxage is not an integer or out of range")
			}
			f.maxAge = n
		case c.Is(i, "SKIPME") && c.Is(i+1, "YES"):
			f.skipMe = true
		case c.Is(i, "SKIPME") && c.Is(i+1, "NO"):
			f.skipMe = false
		default:
			return f, ErrSyntax
		}
	}
	return f, nil
}

// clientCapa notes what the client can do; what is not known is ignored.
func clientCapa(c *Context) error {
	for i := 2; i < len(c.Args); i++ {
		if c.Is(i, "REDIRECT") {
			c.Client.SetFlag(ClientRedirects, true)
		}
	}
	c.Reply.OK()
	return nil
}

const clientFlags = NoScript | Loading | Stale | AnyNode

var clientCommands = []Spec{
	{
		Name: "CLIENT", Usage: "", Arity: -2, Group: Connection, Since: "2.4.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "Everything about connections.",
	},
	{
		Name: "CLIENT|ID", Usage: "", Arity: 2, Group: Connection, Since: "5.0.0", Complexity: "O(1)", Flags: clientFlags, Run: clientID,
		Summary: "Tells the connection's number.",
	},
	{
		Name: "CLIENT|INFO", Usage: "", Arity: 2, Group: Connection, Since: "6.2.0", Complexity: "O(1)", Flags: clientFlags, Run: clientInfo,
		Tips: []string{"nondeterministic_output"}, Summary: "Describes this connection.",
	},
	{
		Name: "CLIENT|LIST", Usage: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id...]", Arity: -2, Group: Connection, Since: "2.4.0",
		Complexity: "O(N) where N is the number of client connections", Flags: clientFlags | Admin, Run: clientList,
		Tips: []string{"nondeterministic_output"}, Summary: "Describes all connections, or some.",
	},
	{
		Name: "CLIENT|KILL", Usage: "<ip:port | <ID client-id | TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB> | USER username | ADDR ip:port | LADDR ip:port | SKIPME <YES | NO> | MAXAGE maxage>...>",
		Arity: -3, Group: Connection, Since: "2.4.0", Complexity: "O(N) where N is the number of client connections", Flags: clientFlags | Admin, Run: clientKill,
		Summary: "Closes connections.",
	},
	{
		Name: "CLIENT|SETNAME", Usage: "connection-name", Arity: 3, Group: Connection, Since: "2.6.9", Complexity: "O(1)", Flags: clientFlags, Run: clientSetName,
		Summary: "Names the connection.",
	},
	{
		Name: "CLIENT|GETNAME", Usage: "", Arity: 2, Group: Connection, Since: "2.6.9", Complexity: "O(1)", Flags: clientFlags, Run: clientGetName,
		Summary: "Tells the connection's name.",
	},
	{
		Name: "CLIENT|SETINFO", Usage: "<LIB-NAME libname | LIB-VER libver>", Arity: 4, Group: Connection, Since: "7.2.0", Complexity: "O(1)", Flags: clientFlags, Run: clientSetInfo,
		Summary: "Says which client library this is.",
	},
	{
		Name: "CLIENT|NO-EVICT", Usage: "<ON | OFF>", Arity: 3, Group: Connection, Since: "7.0.0", Complexity: "O(1)", Flags: clientFlags | Admin, Run: clientSwitch(ClientNoEvict),
		Summary: "Keeps the connection when clients are cut off to save memory.",
	},
	{
		Name: "CLIENT|NO-TOUCH", Usage: "<ON | OFF>", Arity: 3, Group: Connection, Since: "7.2.0", Complexity: "O(1)", Flags: clientFlags, Run: clientSwitch(ClientNoTouch),
		Summary: "Lets this connection's reads leave no trace in the keys' access times.",
	},
	{
		Name: "CLIENT|REPLY", Usage: "<ON | OFF | SKIP>", Arity: 3, Group: Connection, Since: "3.2.0", Complexity: "O(1)", Flags: clientFlags, Run: clientReply,
		Summary: "Switches replies off and on.",
	},
	{
		Name: "CLIENT|PAUSE", Usage: "timeout:integer [WRITE | ALL]", Arity: -3, Group: Connection, Since: "2.9.50", Complexity: "O(1)", Flags: clientFlags | Admin, Run: clientPause,
		Summary: "Holds back commands for some time.",
	},
	{
		Name: "CLIENT|UNPAUSE", Usage: "", Arity: 2, Group: Connection, Since: "6.2.0", Complexity: "O(N) Where N is the number of paused clients", Flags: clientFlags | Admin, Run: clientUnpause,
		Summary: "Ends a pause.",
	},
	{
		Name: "CLIENT|UNBLOCK", Usage: "client-id [TIMEOUT | ERROR]", Arity: -3, Group: Connection, Since: "5.0.0", Complexity: "O(log N) where N is the number of client connections", Flags: clientFlags | Admin, Run: clientUnblock,
		Summary: "Ends the wait of a blocked connection.",
	},
	{
		Name: "CLIENT|CAPA", Usage: "capability...", Arity: -3, Group: Connection, Since: "Valkey 8.0", Complexity: "O(1)", Flags: clientFlags, Run: clientCapa,
		Summary: "Says what the client can do, such as following a redirect.",
	},
	{
		Name: "CLIENT|HELP", Usage: "", Arity: 2, Group: Connection, Since: "5.0.0", Complexity: "O(1)", Flags: helpFlags, Run: help,
		Summary: "Prints this help.",
	},
}
