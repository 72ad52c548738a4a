package command

import (
	"context"
	"math"
	"strings"
	"time"
)

// Primary is what lets others follow this server by PSYNC: redis-server as a
// replica, redis-cli and whoever else speaks it.
type Primary interface {
	// Follow sends the client all data, and then every change, for as long as it is
	// there. partial is PSYNC, which is answered before the data; it always begins
	// with all data, for no backlog is kept.
	Follow(c *Client, partial bool) error
	// Unfollow ends that; it is the last that is done for any client.
	Unfollow(c *Client)
	// Acknowledge notes up to where a replica has followed.
	Acknowledge(c *Client, offset int64)
	// Replicas are those that follow, by PSYNC or as nodes of the cluster, and the
	// offset of which theirs are a part.
	Replicas() ([]Replica, int64)
}

// ReplConf is what a client tells of itself before it follows.
type ReplConf struct {
	Port    int64
	IP      string
	RDBOnly bool // it wants the file and then goes
	NoKeys  bool // and no keys in it
}

// A Replica is one that follows.
type Replica struct {
	IP     string
	Port   int64
	State  string // as INFO names it
	Offset int64  // acknowledged
	Lag    int64  // seconds since it acknowledged last
}

// Online is the State of a replica that has all data.
const Online = "online"

func replconf(c *Context) error {
	if len(c.Args)%2 == 0 {
		return ErrSyntax
	}
	r := &c.Client.Repl
	for i := 1; i < len(c.Args); i += 2 {
		switch value := c.Args[i+1]; {
		case c.Is(i, "LISTENING-PORT"):
			port, err := c.Int64(i + 1)
			if err != nil {
				return err
			}
			r.Port = port
		case c.Is(i, "IP-ADDRESS"):
			const longest = 255
			if len(value) > longest {
				return Errorf("ERR REPLCONF ip-address provided by replica instance is too long: %d bytes", len(value))
			}
			r.IP = string(value)
		case c.Is(i, "CAPA"): // of no use here: the data is always sent as a file of known length
		case c.Is(i, "ACK"):
			if offset, ok := ParseInt(value); ok && c.Client.Has(ClientReplica) {
				c.Server.Acknowledge(c.Client, offset)
			}
			return nil
		case c.Is(i, "GETACK"): // a replica would answer it
			return nil
		case c.Is(i, "RDB-ONLY"):
			only, err := c.Int64(i + 1)
			if err != nil {
				return err
			}
			if only != 0 && only != 1 {
				return WireError("ERR value is out of range, value must between 0 and 1")
			}
			r.RDBOnly = only == 1
		case c.Is(i, "RDB-FILTER-ONLY"):
			r.NoKeys = false
			for _, part := range strings.Fields(string(value)) {
				if !strings.EqualFold(part, "functions") {
					return Errorf("ERR Unsupported rdb-filter-only option: %s", part)
				}
				r.NoKeys = true
			}
		default:
			return Errorf("ERR Unrecognized REPLCONF option: %s", c.Args[i])
		}
	}
	c.Reply.OK()
	return nil
}

func psync(c *Context) error {
	if _, err := c.Int64(2); err != nil {
		return err
	}
	return c.follow(true)
}

func syncAll(c *Context) error { return c.follow(false) }

func (c *Context) follow(partial bool) error {
	switch {
	case !c.MayWait():
		return ErrNotInMulti
	case c.Client.Has(ClientReplica):
		return nil
	}
	if _, follows := c.follows(); follows {
		return ErrNoMaster
	}
	return c.Server.Follow(c.Client, partial)
}

// follows returns the server's part in its cluster, and whether it is a follower's.
func (c *Context) follows() (part Replication, yes bool) {
	part = c.Server.Replication()
	return part, part.Clustered && !part.Leader
}

func role(c *Context) error {
	part, follows := c.follows()
	if follows {
		c.Reply.Array(5)
		c.Reply.BulkString("slave")
		c.Reply.BulkString(part.LeaderHost)
		c.Reply.Int(int64(part.LeaderPort))
		c.Reply.BulkString(part.Link)
		c.Reply.Int(int64(part.Applied))
		return nil
	}
	replicas, offset := c.Server.Replicas()
	c.Reply.Array(3)
	c.Reply.BulkString("master")
	c.Reply.Int(offset)
	online := replicas[:0]
	for _, r := range replicas {
		if r.State == Online {
			online = append(online, r)
		}
	}
	c.Reply.Array(len(online))
	for _, r := range online {
		c.Reply.Array(3)
		c.Reply.BulkString(r.IP)
		c.Reply.BulkInt(r.Port)
		c.Reply.BulkInt(r.Offset)
	}
	return nil
}

// wait counts the replicas that have what the connection wrote; of those by PSYNC
// those that have all that was written until now, by whomever.
func wait(c *Context) error {
	part, follows := c.follows()
	if follows {
		return errWaitReplica("WAIT")
	}
	want, err := c.Int64(1)
	if err != nil {
		return err
	}
	ms, ok := ParseInt(c.Args[2])
	if !ok {
		return WireError("ERR timeout is not an integer or out of range")
	}
	if ms < 0 {
		return ErrTimeoutNeg
	}
	if !c.MayWait() {
		want = 0
	}
	ctx, cancel := c.atMost(ms)
	defer cancel()
	n, err := c.Server.AwaitReplicas(ReplicaWait{Client: c.Client, Want: want, Epoch: part.Epoch, Stop: ctx.Done()})
	if err == nil {
		c.Reply.Int(int64(n))
	}
	return err
}

func errWaitReplica(name string) WireError {
	return WireError("ERR " + name + " cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.")
}

// atMost is done after ms milliseconds, never if that is 0, or when the client has
// left, was unblocked, or the server ends.
func (c *Context) atMost(ms int64) (context.Context, func()) {
	if c.Client.Conn == nil {
		return context.Background(), func() {}
	}
	ctx, cancel := c.whileWanted()
	if ms == 0 {
		return ctx, cancel
	}
	timed, stop := context.WithTimeout(ctx, time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond)))*time.Millisecond)
	return timed, func() {
		stop()
		cancel()
	}
}

var replicationCommands = []Spec{
	{
		Name: "PSYNC", Usage: "replicationid:string offset", Arity: -3, Group: ServerGroup, Since: "2.8.0", Complexity: "O(N) with N the number of keys",
		Flags: Admin | NoScript | NoAsyncLoading | NoMulti | OffGate | AnyNode, Run: psync,
		Summary: "Sends all data and then every change, as replicas ask for it.",
	},
	{
		Name: "SYNC", Arity: 1, Group: ServerGroup, Since: "1.0.0", Complexity: "O(N) with N the number of keys",
		Flags: Admin | NoScript | NoAsyncLoading | NoMulti | OffGate | AnyNode, Run: syncAll,
		Summary: "Is PSYNC of old replicas.",
	},
	{
		Name: "REPLCONF", Usage: "[{option value}...]", Arity: -1, Group: ServerGroup, Since: "3.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | Loading | Stale | AllowBusy | AnyNode, Run: replconf,
		Summary: "Tells what a replica is like, and up to where it has followed.",
	},
	{
		Name: "ROLE", Usage: "", Arity: 1, Group: ServerGroup, Since: "2.8.12", Complexity: "O(1)",
		Flags: NoScript | Loading | Stale | Fast | AnyNode, Categories: CatAdmin | CatDangerous, Run: role,
		Summary: "Tells the server's part in replication.",
	},
	{
		Name: "WAIT", Usage: "numreplicas:integer timeout:integer", Arity: 3, Group: Generic, Since: "3.0.0", Complexity: "O(1)",
		Flags: NoScript | OffGate, Categories: CatConnection | CatNotGroup,
		Tips: []string{"request_policy:all_shards", "response_policy:agg_min"}, Run: wait,
		Summary: "Waits until replicas have received what the connection wrote.",
	},
}
