package command

import "math"

const slowlogDefault = 10

func slowlogGet(c *Context) error {
	count := int64(slowlogDefault)
	switch len(c.Args) {
	case 2:
	case 3:
		var err error
		if count, err = c.IntIn(2, -1, math.MaxInt64, errSlowlogCount); err != nil {
			return err
		}
	default:
		return ErrSubSyntax(c)
	}
	entries := c.Server.Stats().SlowLog.Get(int(count))
	w := c.Reply
	w.Array(len(entries))
	for _, e := range entries {
		w.Array(6)
		w.Int(e.ID)
		w.Int(e.Time)
		w.Int(e.Usec)
		w.Array(len(e.Args))
		for _, a := range e.Args {
			w.BulkString(a)
		}
		w.BulkString(e.Addr)
		w.BulkString(e.Name)
	}
	return nil
}

const errSlowlogCount WireError = "ERR count should be greater than or equal to -1"

func slowlogLen(c *Context) error {
	c.Reply.Int(int64(c.Server.Stats().SlowLog.Len()))
	return nil
}

func slowlogReset(c *Context) error {
	c.Server.Stats().SlowLog.Reset()
	c.Reply.OK()
	return nil
}

const slowlogFlags = Admin | Loading | Stale | AnyNode

var slowlogCommands = []Spec{
	{
		Name: "SLOWLOG", Arity: -2, Group: ServerGroup, Since: "2.2.12", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "The latest commands that took too long; slowlog-log-slower-than says what that is.",
	},
	{
		Name: "SLOWLOG|GET", Usage: "[count:integer]", Arity: -2, Group: ServerGroup, Since: "2.2.12",
		Complexity: "O(N) where N is the number of entries", Flags: slowlogFlags, Run: slowlogGet,
		Tips:    []string{"request_policy:all_nodes", "nondeterministic_output"},
		History: []Change{{"4.0.0", "Shows the client's address and name."}},
		Summary: "Shows the latest entries, newest first: 10, or count, or with -1 all.",
	},
	{
		Name: "SLOWLOG|LEN", Arity: 2, Group: ServerGroup, Since: "2.2.12", Complexity: "O(1)", Flags: slowlogFlags, Run: slowlogLen,
		Tips:    []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
		Summary: "Counts the entries.",
	},
	{
		Name: "SLOWLOG|RESET", Arity: 2, Group: ServerGroup, Since: "2.2.12", Complexity: "O(N) where N is the number of entries",
		Flags: slowlogFlags, Run: slowlogReset, Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
		Summary: "Forgets all entries.",
	},
	{
		Name: "SLOWLOG|HELP", Arity: 2, Group: ServerGroup, Since: "6.2.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help, Summary: "Prints this help.",
	},
}
