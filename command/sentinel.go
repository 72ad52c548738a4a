package command

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/config"
)

// Every node of a cluster answers what clients ask of a Sentinel, from what it knows
// of the cluster. No Sentinel runs: etcd elects.

const errNoMaster WireError = "ERR No such master with that name"

// named returns how things stand if the cluster has the name in argument 2.
func (c *Context) named() (Replication, bool) {
	part := c.Server.Replication()
	return part, string(c.Args[2]) == c.Server.Config().String(config.ClusterName)
}

// nodeID is what a node is called where Sentinel shows a run id: 40 hex digits, the
// same whoever is asked.
func (p *Replication) nodeID(name string) string {
	sum := sha256.Sum256([]byte(p.ClusterID + "/" + name))
	return hex.EncodeToString(sum[:20])
}

// leads tells whether n is the node that this one follows or is.
func (p *Replication) leads(n *ClusterNode) bool {
	return p.LeaderHost != "" && n.Host == p.LeaderHost && n.Port == p.LeaderPort
}

// leaderName is empty when nobody leads, or no node is known to be there.
func (p *Replication) leaderName() string {
	for i := range p.Nodes {
		if p.leads(&p.Nodes[i]) {
			return p.Nodes[i].Name
		}
	}
	return ""
}

// fields are names and values by turns.
type fields []string

func (f *fields) add(pairs ...string) { *f = append(*f, pairs...) }

func (f fields) reply(c *Context) {
	c.Reply.Map(len(f) / 2)
	for _, s := range f {
		c.Reply.BulkString(s)
	}
}

// instance are the fields that Sentinel shows of everyone.
func (c *Context) instance(name, host string, port int, runID, flags string) fields {
	down := strconv.FormatInt(1000*c.Server.Config().Int(config.LeaseTTL), 10)
	return fields{
		"name", name, "ip", host, "port", strconv.Itoa(port), "runid", runID, "flags", flags,
		"link-pending-commands", "0", "link-refcount", "1", "last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
		"down-after-milliseconds", down,
	}
}

// flagsOf are the words of an instance; down if it is not there.
func flagsOf(kind string, there bool) string {
	if there {
		return kind
	}
	return kind + ",s_down,disconnected"
}

func (c *Context) masterFields(part *Replication) fields {
	flags := "master"
	if part.LeaderHost == "" {
		flags = "master,s_down,o_down,disconnected"
	}
	others := strconv.Itoa(max(0, len(part.Nodes)-1))
	runID := ""
	if name := part.leaderName(); name != "" {
		runID = part.nodeID(name)
	}
	f := c.instance(c.Server.Config().String(config.ClusterName), part.LeaderHost, part.LeaderPort, runID, flags)
	down := f[len(f)-1]
	f.add("info-refresh", "0", "role-reported", "master", "role-reported-time", "0",
		"config-epoch", strconv.FormatUint(part.Epoch, 10), "num-slaves", others, "num-other-sentinels", others, "quorum", "1",
		"failover-timeout", down, "parallel-syncs", "1")
	return f
}

func sentinelAddr(c *Context) error {
	part, ok := c.named()
	if !ok || part.LeaderHost == "" {
		c.Reply.NullArray()
		return nil
	}
	c.Reply.Array(2)
	c.Reply.BulkString(part.LeaderHost)
	c.Reply.BulkInt(int64(part.LeaderPort))
	return nil
}

func sentinelMaster(c *Context) error {
	part, ok := c.named()
	if !ok {
		return errNoMaster
	}
	c.masterFields(&part).reply(c)
	return nil
}

func sentinelMasters(c *Context) error {
	part := c.Server.Replication()
	c.Reply.Array(1)
	c.masterFields(&part).reply(c)
	return nil
}

// offsetOf is what a node has applied, as far as this one knows.
func (p *Replication) offsetOf(n *ClusterNode) uint64 {
	if n.Name == p.Name {
		return p.Applied
	}
	for i := range p.Followers {
		if p.Followers[i].Name == n.Name {
			return p.Followers[i].Applied
		}
	}
	return n.Offset
}

func sentinelReplicas(c *Context) error {
	part, ok := c.named()
	if !ok {
		return errNoMaster
	}
	var all []fields
	for i := range part.Nodes {
		n := &part.Nodes[i]
		if part.leads(n) {
			continue
		}
		link, host, port := "ok", part.LeaderHost, part.LeaderPort
		if !n.Online || host == "" {
			link = "err"
		}
		if host == "" {
			host = "?"
		}
		f := c.instance(net.JoinHostPort(n.Host, strconv.Itoa(n.Port)), n.Host, n.Port, part.nodeID(n.Name), flagsOf("slave", n.Online))
		f.add("info-refresh", "0", "role-reported", "slave", "role-reported-time", "0", "master-link-down-time", "0",
			"master-link-status", link, "master-host", host, "master-port", strconv.Itoa(port), "slave-priority", "100",
			"slave-repl-offset", strconv.FormatUint(part.offsetOf(n), 10), "replica-announced", "1")
		all = append(all, f)
	}
	c.replyFields(all)
	return nil
}

func sentinelSentinels(c *Context) error {
	part, ok := c.named()
	if !ok {
		return errNoMaster
	}
	var all []fields
	for i := range part.Nodes {
		n := &part.Nodes[i]
		if n.Name == part.Name {
			continue
		}
		id := part.nodeID(n.Name)
		f := c.instance(id, n.Host, n.Port, id, flagsOf("sentinel", n.Online))
		f.add("last-hello-message", "0", "voted-leader", "?", "voted-leader-epoch", "0")
		all = append(all, f)
	}
	c.replyFields(all)
	return nil
}

func (c *Context) replyFields(all []fields) {
	c.Reply.Array(len(all))
	for _, f := range all {
		f.reply(c)
	}
}

// sentinelCkQuorum tells whether somebody could take over now: a node of the in-sync
// set that is there and does not lead.
func sentinelCkQuorum(c *Context) error {
	part, ok := c.named()
	if !ok {
		return errNoMaster
	}
	usable, could := 0, false
	for i := range part.Nodes {
		if n := &part.Nodes[i]; n.Online {
			usable++
			could = could || n.InSync && !part.leads(n)
		}
	}
	if !could {
		return Errorf("NOQUORUM %d usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover", usable)
	}
	c.Reply.Simple("OK " + strconv.Itoa(usable) + " usable Sentinels. Quorum and failover authorization can be reached")
	return nil
}

func sentinelMyID(c *Context) error {
	part := c.Server.Replication()
	c.Reply.BulkString(part.nodeID(part.Name))
	return nil
}

const (
	sentinelGroup Group = "sentinel"
	sentinelFlags       = Admin | Loading | Stale | AnyNode | InCluster
)

func sentinelSpec(name, usage, since, complexity, summary string, run Handler) Spec {
	return Spec{
		Name: "SENTINEL|" + name, Usage: usage, Arity: 2 + len(strings.Fields(usage)), Group: sentinelGroup, Since: since,
		Complexity: complexity, Flags: sentinelFlags, Summary: summary, Run: run,
	}
}

var sentinelCommands = []Spec{
	{
		Name: "SENTINEL", Arity: -2, Group: sentinelGroup, Since: "2.8.4", Complexity: "Depends on subcommand.", Flags: Admin | Container | InCluster,
		Summary: "Answers as a Sentinel that watches this cluster.",
	},
	sentinelSpec("CKQUORUM", "master-name", "2.8.4", "O(N) where N is the number of nodes", "Tells whether a node could take over the lead at once.", sentinelCkQuorum),
	sentinelSpec("GET-MASTER-ADDR-BY-NAME", "master-name", "2.8.4", "O(1)", "Tells the leader's address; none while nobody leads.", sentinelAddr),
	sentinelSpec("MASTER", "master-name", "2.8.4", "O(1)", "Describes the leader.", sentinelMaster),
	sentinelSpec("MASTERS", "", "2.8.4", "O(1)", "Describes the leader, as the only one.", sentinelMasters),
	sentinelSpec("MYID", "", "6.2.0", "O(1)", "Tells this node's number among the Sentinels.", sentinelMyID),
	sentinelSpec("REPLICAS", "master-name", "5.0.0", "O(N) where N is the number of nodes", "Describes the other nodes as replicas.", sentinelReplicas),
	sentinelSpec("SENTINELS", "master-name", "2.8.4", "O(N) where N is the number of nodes", "Describes the other nodes as Sentinels.", sentinelSentinels),
	{
		Name: "SENTINEL|SLAVES", Usage: "master-name", Arity: 3, Group: sentinelGroup, Since: "2.8.0", Complexity: "O(N) where N is the number of nodes",
		Flags: sentinelFlags, Run: sentinelReplicas, Deprecated: "5.0.0", ReplacedBy: "`SENTINEL REPLICAS`",
		Summary: "Is SENTINEL REPLICAS' older name.",
	},
	{
		Name: "SENTINEL|HELP", Arity: 2, Group: sentinelGroup, Since: "6.2.0", Complexity: "O(1)", Flags: helpFlags | Admin | InCluster, Run: help,
		Summary: "Prints this help.",
	},
}
