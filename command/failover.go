package command

import (
	"math"
	"strings"
	"time"
)

const (
	errNoFailover  WireError = "ERR No failover in progress."
	errMasterPort  WireError = "ERR Invalid master port"
	errReplicaOf   WireError = "ERR REPLICAOF is not allowed: etcd decides who leads this cluster"
	errFollowAlone WireError = "ERR REPLICAOF is not available: followers are the nodes of a cluster, see etcd-endpoints"
)

// failoverRequest reads the words of FAILOVER.
func (c *Context) failoverRequest() (r FailoverRequest, err error) {
	if len(c.Args) == 2 && c.Is(1, "ABORT") {
		r.Abort = true
		return r, nil
	}
	targeted := false
	for i := 1; i < len(c.Args); i++ {
		left := len(c.Args) - 1 - i
		switch {
		case c.Is(i, "TIMEOUT") && left >= 1 && r.Timeout == 0:
			i++
			ms, err := c.Int64(i)
			if err != nil {
				return r, err
			}
			if ms <= 0 {
				return r, WireError("ERR FAILOVER timeout must be greater than 0")
			}
			r.Timeout = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		case c.Is(i, "TO") && left >= 2 && !targeted:
			port, err := c.Int64(i + 2)
			if err != nil {
				return r, err
			}
			targeted = true
			r.Host, r.Port = string(c.Args[i+1]), int(port)
			i += 2
		case c.Is(i, "FORCE") && !r.Force:
			r.Force = true
		default:
			return r, ErrSyntax
		}
	}
	return r, nil
}

func failover(c *Context) error {
	r, err := c.failoverRequest()
	if err != nil {
		return err
	}
	part, follows := c.follows()
	going := part.FailoverState != "" && part.FailoverState != NoFailover
	replicas, _ := c.Server.Replicas()
	switch {
	case r.Abort && !going:
		return errNoFailover
	case r.Abort:
	case going:
		return WireError("ERR FAILOVER already in progress.")
	case follows:
		return WireError("ERR FAILOVER is not valid when server is a replica.")
	case len(part.Followers) == 0 && (part.Clustered || len(replicas) == 0):
		return WireError("ERR FAILOVER requires connected replicas.")
	case r.Force && (r.Timeout == 0 || r.Host == ""):
		return WireError("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
	case r.Host != "" && part.Clustered:
		if err := part.mayLead(r.Host, r.Port); err != nil {
			return err
		}
	}
	if err := c.Server.Failover(r); err != nil {
		return err
	}
	c.Reply.OK()
	return nil
}

// mayLead tells why the follower at an address cannot be handed leadership.
func (p *Replication) mayLead(host string, port int) error {
	for i := range p.Followers {
		f := &p.Followers[i]
		if f.Port != port || !strings.EqualFold(f.Host, host) {
			continue
		}
		if f.State != Online {
			return WireError("ERR FAILOVER target replica is not online.")
		}
		return nil
	}
	return WireError("ERR FAILOVER target HOST and PORT is not a replica.")
}

// replicaOf follows nobody: who leads is not for a client to say. A server that
// leads already, or is alone, may be told to.
func replicaOf(c *Context) error {
	part, follows := c.follows()
	if c.Is(1, "NO") && c.Is(2, "ONE") {
		if follows {
			return errReplicaOf
		}
		c.Reply.OK()
		return nil
	}
	if port, ok := ParseInt(c.Args[2]); !ok || port < 0 || port > math.MaxUint16 {
		return errMasterPort
	}
	if part.Clustered {
		return errReplicaOf
	}
	return errFollowAlone
}

const replicaOfUsage = "<host port:integer | {NO} {ONE}>"

var failoverCommands = []Spec{
	{
		Name: "FAILOVER", Usage: "[TO {host port:integer [FORCE]}] [ABORT] [TIMEOUT milliseconds:integer]", Arity: -1, Group: ServerGroup, Since: "6.2.0", Complexity: "O(1)",
		Flags: Admin | NoScript | Stale | AnyNode, Run: failover,
		Summary: "Has a follower of the cluster take over the lead.",
	},
	{
		Name: "REPLICAOF", Usage: replicaOfUsage, Arity: 3, Group: ServerGroup, Since: "5.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | Stale | NoAsyncLoading | AnyNode, Run: replicaOf,
		Summary: "Is refused, but for NO ONE where that is so: nobody is followed because a client says so.",
	},
	{
		Name: "SLAVEOF", Usage: replicaOfUsage, Arity: 3, Group: ServerGroup, Since: "1.0.0", Complexity: "O(1)",
		Flags: Admin | NoScript | Stale | NoAsyncLoading | AnyNode, Run: replicaOf, Deprecated: "5.0.0", ReplacedBy: "`REPLICAOF`",
		Summary: "Is REPLICAOF's older name.",
	},
}
