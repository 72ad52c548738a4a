package cluster

import (
	"net"
	"strconv"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/replica"
)

// Replication is what INFO, ROLE and SENTINEL show.
func (n *Node) Replication() command.Replication {
	view := n.view()
	r := command.Replication{
		Clustered: true, Name: n.me.Name, ClusterID: n.o.Keeper.Cluster(),
		AckPolicy: "insync", MinInSync: int(n.o.Config.Int(config.MinInSyncReplicas)),
		End: n.o.Sink.End(), Applied: n.o.Sink.End(), Durable: n.o.Sink.Sink.Durable(), Commit: n.o.Sink.Durable(),
	}
	if n.o.Config.Int(config.AckPolicy) == config.AckAsync {
		r.AckPolicy = "async"
	}
	for _, m := range view.InSync {
		r.InSync = append(r.InSync, m.Name)
	}
	for i := range view.Nodes {
		r.Nodes = append(r.Nodes, n.known(view, &view.Nodes[i]))
	}
	if view.Leader != nil {
		r.LeaderHost, r.LeaderPort = split(view.Leader.Client)
	}
	if s := n.failover.Load(); s != nil {
		r.FailoverState = *s
	}
	if t := n.term.Load(); t != nil && n.Leads() {
		n.leads(&r, view, t)
	} else {
		n.followsNow(&r)
	}
	return r
}

// view is what etcd is known to hold: nothing while this node is being started.
func (n *Node) view() election.View {
	select {
	case <-n.started:
		return n.co.View()
	default:
		return election.View{}
	}
}

func (n *Node) known(view election.View, x *election.NodeStatus) command.ClusterNode {
	out := command.ClusterNode{Name: x.Name, Role: "follower", Online: true, InSync: view.Holds(x.Member())}
	out.Host, out.Port = split(x.Client)
	out.Offset = x.LSN
	if view.Leader != nil && view.Leader.ID == x.ID {
		out.Role = "leader"
	}
	return out
}

func (n *Node) leads(r *command.Replication, view election.View, t *term) {
	r.Leader, r.Epoch, r.LeaseRemaining = true, t.Epoch(), t.Remaining()
	r.Commit = t.committed(r.Durable)
	if me := view.Node(n.me.Name); me != nil {
		r.LeaderHost, r.LeaderPort = split(me.Client)
	}
	for _, p := range n.hub.Followers() {
		f := command.Follower{
			Name: p.Name, State: followerState(p.State), Received: p.Received, Applied: p.Applied, Durable: p.Durable, LastAck: p.LastAck,
		}
		if x := view.Node(p.Name); x != nil {
			f.Host, f.Port = split(x.Client)
		} else {
			f.Host, _, _ = net.SplitHostPort(p.Addr)
		}
		r.Followers = append(r.Followers, f)
	}
}

// SessionsEnded counts, by their cause, the followers' sessions that have ended since
// this process began.
func (n *Node) SessionsEnded() map[string]uint64 { return n.hub.Ended() }

// followerState is a state as Redis names it.
func followerState(s replica.State) string {
	switch s {
	case replica.Streaming:
		return command.Online
	case replica.Copying:
		return "send_bulk"
	}
	return "wait_bgsave"
}

func (n *Node) followsNow(r *command.Replication) {
	if s := n.standby.Load(); s != nil {
		r.End, r.Applied, r.Durable = s.Positions()
	}
	r.Link = command.LinkConnect
	l := n.link.Load()
	if l == nil {
		return
	}
	r.Epoch = l.epoch
	if down := l.down.Load(); down > 0 {
		r.LinkDown = time.Unix(0, down)
	}
	st := l.state.Load()
	if st == nil {
		return
	}
	r.LastIO, r.Commit, r.Link = st.Heard, st.Commit, linkWord(st.State)
	if st.State == replica.Copying || st.State == replica.Installing {
		r.SyncTotal, r.SyncLeft = st.CopyTotal, max(0, st.CopyTotal-st.CopyDone)
	}
}

// linkWord is a phase as ROLE names it.
func linkWord(s replica.State) string {
	switch s {
	case replica.Connecting, replica.Comparing, replica.Gone:
		return command.LinkConnecting
	case replica.Streaming:
		return command.LinkConnected
	}
	return command.LinkSync
}

func address(addr string) command.Address {
	host, port := split(addr)
	return command.Address{Host: host, Port: port}
}

func split(addr string) (host string, port int) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

// tell keeps what etcd shows of this node.
func (n *Node) tell() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	var dropped uint64
	for {
		n.co.SetStatus(n.status())
		if oldest := n.o.Keeper.OldestLSN(); oldest != dropped {
			dropped = oldest
			n.hub.Dropped(oldest)
		}
		select {
		case <-every.C:
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) status() election.Status {
	r := n.Replication()
	s := election.Status{Role: "follower", Epoch: r.Epoch, LSN: r.End, Lag: -1}
	switch {
	case r.Leader:
		s.Role, s.Lag = "leader", 0
	case r.Link == command.LinkConnected:
		if st := n.link.Load().state.Load(); st != nil {
			s.Lag = max(0, int64(st.End)-int64(r.Applied))
		}
	}
	return s
}
