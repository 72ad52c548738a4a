package command

func configGet(c *Context) error {
	patterns := make([]string, 0, len(c.Args)-2)
	for _, a := range c.Args[2:] {
		patterns = append(patterns, string(a))
	}
	pairs := c.Server.Config().Get(patterns...)
	c.Reply.Map(len(pairs))
	for _, p := range pairs {
		c.Reply.BulkString(p.Name)
		c.Reply.BulkString(p.Value)
	}
	return nil
}

// configSet runs off the gate: what follows from a change may read files.
func configSet(c *Context) error {
	args := make([]string, 0, len(c.Args)-2)
	for i, a := range c.Args[2:] {
		if i%2 == 0 && c.InExec && (foldEqual(a, "APPENDONLY") || foldEqual(a, "APPENDFSYNC")) {
			return WireError("ERR the log cannot be switched in a transaction, which holds what that waits for")
		}
		args = append(args, string(a))
	}
	if err := c.Server.Config().Set(c.Client.IsLocal(), args...); err != nil {
		return WireError("ERR " + err.Error())
	}
	c.Reply.OK()
	return nil
}

func configResetStat(c *Context) error {
	c.Server.Stats().Reset()
	c.Reply.OK()
	return nil
}

// configRewrite forces a file to disk: not while a transaction holds latches.
func configRewrite(c *Context) error {
	if c.InExec {
		return ErrNotInMulti
	}
	if err := c.Server.RewriteConfig(); err != nil {
		return WireError("ERR " + err.Error())
	}
	c.Reply.OK()
	return nil
}

const configFlags = Admin | NoScript | Loading | Stale | AnyNode

var configCommands = []Spec{
	{
		Name: "CONFIG", Arity: -2, Group: ServerGroup, Since: "2.0.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "Everything about the server's parameters.",
	},
	{
		Name: "CONFIG|GET", Usage: "parameter:string...", Arity: -3, Group: ServerGroup, Since: "2.0.0",
		Complexity: "O(N) where N is the number of parameters", Flags: configFlags, Run: configGet,
		History: []Change{{"7.0.0", "Takes several patterns."}},
		Summary: "Shows the parameters whose names match a pattern.",
	},
	{
		Name: "CONFIG|SET", Usage: "{parameter value}...", Arity: -4, Group: ServerGroup, Since: "2.0.0",
		Complexity: "O(N) where N is the number of parameters", Flags: configFlags | OffGate, Run: configSet,
		Tips:    []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
		History: []Change{{"7.0.0", "Sets several parameters at once."}},
		Summary: "Changes parameters, all of those named or none.",
	},
	{
		Name: "CONFIG|RESETSTAT", Arity: 2, Group: ServerGroup, Since: "2.0.0", Complexity: "O(1)",
		Flags: configFlags, Run: configResetStat, Summary: "Sets the statistics of INFO back to 0.",
	},
	{
		Name: "CONFIG|REWRITE", Arity: 2, Group: ServerGroup, Since: "2.8.0", Complexity: "O(1)",
		Flags: configFlags | OffGate, Run: configRewrite,
		Summary: "Writes what holds now into the configuration file, of which everything else stays as it is.",
	},
	{
		Name: "CONFIG|HELP", Arity: 2, Group: ServerGroup, Since: "5.0.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help, Summary: "Prints this help.",
	},
}
