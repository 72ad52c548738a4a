package command

const errNoCluster WireError = "ERR This instance has cluster support disabled"

// clusterOff answers whatever belongs to cluster mode, which there is not.
func clusterOff(*Context) error { return errNoCluster }

func cluster(c *Context) error {
	if !c.Is(1, "HELP") || len(c.Args) > 2 {
		return errNoCluster
	}
	c.Reply.Array(3)
	c.Reply.Simple("CLUSTER <subcommand> [<arg> [value] [opt] ...]. There is no cluster mode.")
	c.Reply.Simple("HELP")
	c.Reply.Simple("    Prints this help.")
	return nil
}

// readonly lets the connection read at a follower, or no more. Where there are no
// followers it is what it is in Redis without cluster mode.
func readonly(on bool) Handler {
	return func(c *Context) error {
		if !c.Server.Replication().Clustered {
			return errNoCluster
		}
		c.Client.SetFlag(ClientReadonly, on)
		c.Reply.OK()
		return nil
	}
}

const clusterGroup Group = "cluster"

var clusterCommands = []Spec{
	{
		Name: "CLUSTER", Usage: "subcommand [arg...]", Arity: -2, Group: clusterGroup, Since: "3.0.0", Complexity: "O(1)",
		Flags: AnyNode, Run: cluster, Summary: "Answers that there is no cluster mode.",
	},
	{
		Name: "READONLY", Arity: 1, Group: clusterGroup, Since: "3.0.0", Complexity: "O(1)",
		Flags: Loading | Stale | Fast | AnyNode, Categories: CatConnection, Run: readonly(true),
		Summary: "Lets the connection read at a follower.",
	},
	{
		Name: "READWRITE", Arity: 1, Group: clusterGroup, Since: "3.0.0", Complexity: "O(1)",
		Flags: Loading | Stale | Fast | AnyNode, Categories: CatConnection, Run: readonly(false),
		Summary: "Sends the connection's reads to the leader again.",
	},
	{
		Name: "ASKING", Arity: 1, Group: clusterGroup, Since: "3.0.0", Complexity: "O(1)",
		Flags: Fast | AnyNode, Categories: CatConnection, Run: clusterOff,
		Summary: "Answers that there is no cluster mode.",
	},
}
