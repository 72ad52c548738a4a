package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/replica"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
)

// Options are what a Node works with. All but TLS are needed.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Keeper *persist.Keeper
	Router *router.Router
	Runner *rmw.Runner
	Sink   *Sink
	Me     election.Node
	// Server and Client are TLS between nodes, for who accepts and who dials; nil: none.
	Server, Client *tls.Config
	// Elect begins this node's part in the election. healthy is asked whether this
	// node may lead.
	Elect func(healthy func() bool) (election.Coordinator, error)
	// Proxied serves a client that another node has brought.
	Proxied func(nc net.Conn, hello []byte)
	// Switched is told where clients reach the leader when that is another node; from
	// is empty the first time.
	Switched func(from, to command.Address)
	// Moved is told when a follower has acknowledged, come or gone, or this node's
	// part has changed.
	Moved func()
	// Failed is told why the process cannot go on.
	Failed func(error)
}

// A Node is this process' part in the cluster.
type Node struct {
	o       Options
	log     *slog.Logger
	me      election.Member
	self    replica.Identity
	secrets [][]byte
	hub     *replica.Hub
	co      election.Coordinator // once started is closed
	started chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup

	standby  atomic.Pointer[persist.Standby] // nil while it leads
	term     atomic.Pointer[term]            // nil while it does not lead
	link     atomic.Pointer[link]            // the leader that is or was followed
	disk     diskWatch
	orders   chan order
	stale    chan struct{} // capacity 1: somebody knows of a newer leader
	failover atomic.Pointer[string]
	aborts   atomic.Pointer[context.CancelFunc] // of the FAILOVER that is under way
	moved    chan struct{}                      // capacity 1: Options.Moved is to be told
	snapshot atomic.Uint64                      // position of the last one
}

// ErrForeign is why a node with other data does not start.
var ErrForeign = errors.New("the data directory is not this cluster's")

// errStorage is why a node gives up: what it has on its disk is not to be trusted.
var errStorage = errors.New("the disk failed")

// New makes a node that takes no part yet. It refuses other nodes until Start.
func New(o Options) *Node {
	n := &Node{
		o: o, log: o.Log, me: o.Me.Member(), started: make(chan struct{}),
		orders: make(chan order), stale: make(chan struct{}, 1), moved: make(chan struct{}, 1),
	}
	n.self = replica.Identity{Name: o.Me.Name, ID: o.Me.ID, Incarnation: o.Me.Incarnation}
	for secret := range strings.SplitSeq(o.Config.String(config.ReplicationSecret), ",") {
		n.secrets = append(n.secrets, []byte(secret))
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.hub = replica.NewHub(replica.HubOptions{
		Me: n.self, Cluster: o.Keeper.Cluster, Secrets: n.secrets, TLS: o.Server, Log: o.Log,
		CopyRate: func() int64 { return o.Config.Int(config.ReplicationCopyRate) },
		Proxy:    o.Proxied, OnJoin: n.joined, OnAck: n.acked, OnGone: n.gone, BeforeFullCopy: n.beforeCopy, OnStale: n.superseded,
	})
	return n
}

// Listen takes the connections of other nodes.
func (n *Node) Listen(ln net.Listener) { n.hub.Listen(ln) }

// patience is how long a start waits for etcd's first answer.
const patience = 5 * time.Second

// Start begins as a follower, which the router is already. It returns when it is
// known whether this node may be part of the cluster, or etcd does not answer.
func (n *Node) Start() error {
	standby, err := n.o.Keeper.Standby()
	if err != nil {
		return err
	}
	n.standby.Store(standby)
	n.o.Keeper.SetKeep(n.keepLog)
	if err := n.ApplyPolicy(); err != nil {
		return err
	}
	if n.co, err = n.o.Elect(n.healthy); err != nil {
		return err
	}
	close(n.started)
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	switch err := n.ready(ctx); {
	case errors.Is(err, election.ErrUnreachable):
		n.log.Warn("etcd does not answer: this node serves as a follower and goes on trying")
	case err != nil:
		return err
	}
	n.spawn("node", n.run)
	n.spawn("status", n.tell)
	n.spawn("acknowledgements", n.passMoves)
	return nil
}

// ready waits until the node is registered and has seen the cluster that it belongs to.
func (n *Node) ready(ctx context.Context) error {
	if err := n.co.Ready(ctx); err != nil {
		return err
	}
	for {
		changed := n.co.Changed()
		if view := n.co.View(); view.Known {
			return n.belongs(view)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return election.ErrUnreachable
		}
	}
}

// keepLog keeps the log since the last snapshot but one, so that who was away for a
// while need not copy everything, and what a follower has yet to be sent.
func (n *Node) keepLog(lsn uint64) uint64 {
	from := n.snapshot.Swap(lsn)
	if needs, ok := n.hub.Needs(); ok {
		from = min(from, needs)
	}
	return from
}

// SnapshotHint tells the followers that a snapshot was asked for.
func (n *Node) SnapshotHint() { n.hub.SnapshotHint() }

// belongs is an error if this node can never be part of the cluster as it is in etcd.
func (n *Node) belongs(view election.View) error {
	k := n.o.Keeper
	mine, empty := k.Cluster(), k.Empty()
	was, _ := k.Member()
	switch {
	case !view.Exists, view.Cluster == mine:
		return nil
	case view.Cluster != "" && empty:
		return k.Adopt(view.Cluster)
	case view.Cluster != "":
		return fmt.Errorf("%w: it holds data of %s, the cluster's is %s; start with an empty directory", ErrForeign, mine, view.Cluster)
	case empty, view.First == n.me.Name:
		return nil
	case view.First != "" && was:
		return nil // whether it is the old cluster anew, its first node decides
	case view.First != "":
		return fmt.Errorf("%w: it holds data, and node %s is to be the first of this new cluster", ErrForeign, view.First)
	case was:
		return fmt.Errorf("%w: it holds data of another one, and this one is new; \"ferricd cluster init --first %s\" would make this node its first", ErrForeign, n.me.Name)
	}
	return nil
}

// run is the node's life: it follows, stands for election, and leads.
func (n *Node) run() {
	for n.ctx.Err() == nil {
		changed := n.co.Changed()
		view := n.co.View()
		err := registered(view)
		if err == nil && view.Known {
			err = n.belongs(view)
		}
		switch {
		case err != nil:
		case n.leaderOf(view) != nil:
			err = n.follow(view)
		case n.candidate(view):
			err = n.stands(changed)
		default:
			n.pause(changed, time.Second)
		}
		if err != nil {
			n.log.Error("this node cannot be part of the cluster any more", "error", err)
			n.o.Failed(err)
			return
		}
	}
}

// registered is an error if another process has this node's name: no waiting helps.
func registered(view election.View) error {
	if errors.Is(view.Err, election.ErrNameTaken) || errors.Is(view.Err, election.ErrReplaced) {
		return view.Err
	}
	return nil
}

// leaderOf is the leader to follow: somebody else.
func (n *Node) leaderOf(view election.View) *election.Node {
	if view.Leader == nil || view.Leader.ID == n.me.ID {
		return nil
	}
	return view.Leader
}

// candidate tells whether it is worth asking etcd for the leadership.
func (n *Node) candidate(view election.View) bool {
	switch {
	case !view.Known || !view.Exists || view.Err != nil || view.Leader != nil:
		return false
	case view.Cluster == "":
		return view.First == "" || view.First == n.me.Name
	}
	return view.Holds(n.me)
}

// stands asks for the leadership once, and leads if it gets it.
func (n *Node) stands(changed <-chan struct{}) error {
	was, epoch := n.o.Keeper.Member()
	won, err := n.co.Campaign(n.ctx, election.Claim{Cluster: n.o.Keeper.Cluster(), MinEpoch: epoch, Member: was})
	switch {
	case err == nil:
		return n.lead(won)
	case errors.Is(err, election.ErrRolledBack):
		n.log.Error("not leading: etcd has forgotten leaderships that this node has seen; restore etcd, or found the cluster anew with \"ferricd cluster init --first\"", "error", err)
		n.pause(changed, 10*time.Second)
	case n.ctx.Err() == nil:
		n.log.Debug("not elected", "error", err)
		n.pause(changed, 200*time.Millisecond)
	}
	return nil
}

// pause waits for a change, or for a while.
func (n *Node) pause(changed <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-n.ctx.Done():
	}
}

// spawn starts a goroutine of the node.
func (n *Node) spawn(name string, fn func()) {
	n.work.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				n.log.Error("panic", "in", name, "panic", v, "stack", string(debug.Stack()))
				n.o.Failed(fmt.Errorf("panic in %s: %v", name, v))
			}
		}()
		fn()
	})
}

// healthy tells whether this node may lead: whoever cannot write its log, or has
// waited for its disk for longer than a lease, may not.
func (n *Node) healthy() bool {
	stats, failed, on := n.o.Keeper.Log()
	if !on || failed != nil {
		return false
	}
	if stats.Syncing && time.Since(time.UnixMilli(stats.OldestUnsynced)) >= n.ttl() {
		return false
	}
	return n.disk.idle(stats.End, stats.Written, time.Now()) < n.ttl()
}

// A diskWatch sees whether the log is written. A disk may hang in a write as well as
// in a sync.
type diskWatch struct {
	mu      sync.Mutex
	written uint64
	since   time.Time // nothing was written although something was to be
}

// idle returns for how long there has been something to write and nothing was.
func (w *diskWatch) idle(end, written uint64, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if end <= written || written != w.written || w.since.IsZero() {
		w.written, w.since = written, now
	}
	return now.Sub(w.since)
}

func (n *Node) ttl() time.Duration {
	return time.Duration(n.o.Config.Int(config.LeaseTTL)) * time.Second
}

// Close ends the node's part. Nothing is handed over.
func (n *Node) Close() error {
	n.cancel()
	n.closeStandby() // what waits in it ends
	err := n.hub.Close()
	n.work.Wait()
	n.closeStandby() // another one, of who has led until now
	select {
	case <-n.started:
		err = errors.Join(err, n.co.Close())
	default:
	}
	return err
}

// closeStandby ends it; what it has failed with was told to who appends.
func (n *Node) closeStandby() {
	if s := n.standby.Load(); s != nil {
		_ = s.Close()
	}
}

// DialLeader connects to the leader for a client of this node. It waits for one
// while there is none, and fails when this node itself leads.
func (n *Node) DialLeader(ctx context.Context, hello []byte) (net.Conn, error) {
	select {
	case <-n.started:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for retry := firstRetry; ; retry = min(2*retry, lastDial) {
		changed := n.co.Changed()
		if n.Leads() {
			return nil, ErrLeads
		}
		if leader := n.leaderOf(n.co.View()); leader != nil {
			nc, err := n.dial().Proxy(ctx, leader.Replication, n.self, hello)
			if err == nil {
				return nc, nil
			}
			n.log.Debug("the leader takes no connection", "leader", leader.Name, "error", err)
		}
		t := time.NewTimer(retry)
		select {
		case <-changed:
			retry = firstRetry
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
		t.Stop()
	}
}

func (n *Node) dial() replica.Dial {
	return replica.Dial{Secrets: n.secrets, TLS: n.o.Client, Cluster: n.o.Keeper.Cluster()}
}

// Leadership tells which epoch DialLeader leads to, 0 while none is known, and what is
// closed when that may have changed.
func (n *Node) Leadership() (epoch uint64, changed <-chan struct{}) {
	select {
	case <-n.started:
	default:
		return 0, n.started
	}
	changed = n.co.Changed()
	if view := n.co.View(); view.Leader != nil {
		epoch = view.Epoch
	}
	return epoch, changed
}

// ErrLeads is why a leader does not connect to the leader.
var ErrLeads = errors.New("this node leads")

// Leads tells whether this node serves as the leader.
func (n *Node) Leads() bool { return n.o.Router.Role() == router.RoleLeader }

// LeaderAddress is where clients reach the leader; an empty host: nobody is known
// to lead.
func (n *Node) LeaderAddress() (host string, port int) {
	if view := n.view(); view.Leader != nil {
		return split(view.Leader.Client)
	}
	return "", 0
}

// The followers of this leader, as the hub tells of them.

func (n *Node) joined(p *replica.Peer) {
	if t := n.term.Load(); t != nil {
		t.quorum.joined(p.Identity().ID, time.Now())
	}
	n.log.Info("a follower follows", "node", p.Identity().Name, "addr", p.Addr())
	poke(n.moved)
}

func (n *Node) acked(p *replica.Peer, a replica.Ack) {
	if t := n.term.Load(); t != nil && a.Epoch == t.Epoch() {
		id := p.Identity()
		t.quorum.acked(election.Member{Name: id.Name, ID: id.ID}, a.Durable, time.Now())
	}
	poke(n.moved)
}

func (n *Node) gone(p *replica.Peer, _ error) {
	if t := n.term.Load(); t != nil {
		t.quorum.left(p.Identity().ID)
	}
	poke(n.moved)
}

// superseded is told that a peer, who knows the secret, has seen a later epoch.
func (n *Node) superseded(epoch uint64) {
	n.log.Warn("another node knows of a newer leader", "epoch", epoch)
	poke(n.stale)
}

// beforeCopy returns when etcd would not accept the follower as leader any more.
func (n *Node) beforeCopy(ctx context.Context, p *replica.Peer) error {
	t := n.term.Load()
	if t == nil {
		return errNotLeader
	}
	return t.quorum.leave(ctx, p.Identity().ID, "its log is not the leader's, or has a gap")
}

// passMoves tells of acknowledgements, many at once, away from who receives them.
func (n *Node) passMoves() {
	for {
		select {
		case <-n.moved:
			n.o.Moved()
		case <-n.ctx.Done():
			return
		}
	}
}

// poke wakes whoever reads from c, whose capacity is 1.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func names(list []election.Member) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.Name
	}
	slices.Sort(out)
	return out
}
