package command

import (
	"math"
	"strings"
	"time"
)

func info(c *Context) error {
	sections := make([]string, 0, len(c.Args)-1)
	for _, a := range c.Args[1:] {
		sections = append(sections, strings.ToLower(string(a)))
	}
	c.Reply.Verbatim("txt", c.Server.Info(sections))
	return nil
}

func timeNow(c *Context) error {
	now := time.Now()
	c.Reply.Array(2)
	c.Reply.BulkInt(now.Unix())
	c.Reply.BulkInt(int64(now.Nanosecond() / 1000))
	return nil
}

func monitor(c *Context) error {
	c.Server.Monitor(c.Client)
	c.Reply.OK()
	return nil
}

func shutdown(c *Context) error {
	var opt ShutdownOptions
	abort := false
	for i := 1; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "NOSAVE"):
			opt.NoSave = true
		case c.Is(i, "SAVE"):
			opt.Save = true
		case c.Is(i, "NOW"):
			opt.Now = true
		case c.Is(i, "FORCE"):
			opt.Force = true
		case c.Is(i, "ABORT"):
			abort = true
		default:
			return ErrSyntax
		}
	}
	if abort && len(c.Args) > 2 || opt.Save && opt.NoSave {
		return ErrSyntax
	}
	if abort {
		if !c.Server.AbortShutdown() {
			return WireError("ERR No shutdown in progress.")
		}
		c.Reply.OK()
		return nil
	}
	if err := c.Server.Shutdown(opt); err != nil {
		return err
	}
	c.Client.SetFlag(ClientCloseAfter, true)
	return nil
}

// sleep waits for ms milliseconds, for ever if that is 0, or until the client
// has left.
func (c *Context) sleep(ms int64) {
	var timeout <-chan time.Time
	if ms > 0 {
		t := time.NewTimer(time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
		defer t.Stop()
		timeout = t.C
	}
	wake := c.Server.Waiting(c.Client)
	defer c.Server.Waited(c.Client)
	select {
	case <-timeout:
	case <-wake:
	case <-c.Client.Conn.Gone():
	}
}

func moduleList(c *Context) error {
	c.Reply.Array(0)
	return nil
}

// noModule refuses to load one: there is no way to.
func noModule(*Context) error {
	return WireError("ERR Error loading the extension. Please check the server logs.")
}

func moduleUnload(*Context) error {
	return WireError("ERR Error unloading module: no such module with that name")
}

func lolwut(c *Context) error {
	if c.Is(1, "VERSION") && len(c.Args) > 2 {
		if _, err := c.Int64(2); err != nil {
			return err
		}
	}
	text := "A latch, a line, a key that all want:\nfirst come, first served, and none goes without.\n"
	c.Reply.Verbatim("txt", text+"ferricd "+c.Server.Identity().Version+"\n")
	return nil
}

var serverCommands = []Spec{
	{
		Name: "INFO", Usage: "[section...]", Arity: -1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Loading | Stale | AnyNode, Categories: CatDangerous, Run: info,
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Tells about the server and its statistics.",
	},
	{
		Name: "TIME", Usage: "", Arity: 1, Group: ServerGroup, Since: "2.6.0", Complexity: "O(1)",
		Flags: Loading | Stale | Fast | AnyNode, Tips: []string{"nondeterministic_output"}, Run: timeNow,
		Summary: "Tells the server's time.",
	},
	{
		Name: "MONITOR", Usage: "", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "",
		Flags: Admin | NoScript | Loading | Stale | AnyNode, Run: monitor,
		Summary: "Shows every command that the server runs, as it comes.",
	},
	{
		Name: "SHUTDOWN", Usage: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", Arity: -1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
		Flags: Admin | NoScript | Loading | Stale | NoMulti | AllowBusy | OffGate | AnyNode, Run: shutdown,
		History: []Change{{"7.0.0", "NOW, FORCE and ABORT were added."}},
		Summary: "Stops the server.",
	},
	{
		Name: "MODULE", Usage: "", Arity: -2, Group: ServerGroup, Since: "4.0.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "About modules, of which this server has none.",
	},
	{
		Name: "MODULE|LIST", Usage: "", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "O(N) where N is the number of loaded modules.",
		Flags: Admin | NoScript | AnyNode, Tips: []string{"nondeterministic_output_order"}, Run: moduleList,
		Summary: "Lists no modules.",
	},
	{
		Name: "MODULE|LOAD", Usage: "path [arg...]", Arity: -3, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | NoAsyncLoading | Protected | AnyNode, Run: noModule,
		Summary: "Is refused: modules are not available.",
	},
	{
		Name: "MODULE|LOADEX", Usage: "path [CONFIG {name value}]... [ARGS args...]", Arity: -3, Group: ServerGroup, Since: "7.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | NoAsyncLoading | Protected | AnyNode, Run: noModule,
		Summary: "Is refused: modules are not available.",
	},
	{
		Name: "MODULE|UNLOAD", Usage: "name", Arity: 3, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | NoAsyncLoading | Protected | AnyNode, Run: moduleUnload,
		Summary: "Is refused: no module is loaded.",
	},
	{
		Name: "MODULE|HELP", Usage: "", Arity: 2, Group: ServerGroup, Since: "5.0.0", Complexity: "O(1)", Flags: helpFlags, Run: help,
		Summary: "Prints this help.",
	},
	{
		Name: "LOLWUT", Usage: "[VERSION version:integer]", Arity: -1, Group: ServerGroup, Since: "5.0.0", Complexity: "",
		Flags: Readonly | Fast | AnyNode, Run: lolwut,
		Summary: "Shows a verse and the version.",
	},
}
