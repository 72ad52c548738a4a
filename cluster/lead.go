package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/router"
)

// A term is a leadership of this node.
type term struct {
	election.Term
	quorum *quorum
	began  time.Time
	handed atomic.Bool // in order: what ran as leader's may be answered, though the term is over
}

// answers tells whether a reply may go out that rests on this node leading.
func (t *term) answers() bool { return t.Valid() || t.handed.Load() }

// committed is the position that is durable on all who may lead.
func (t *term) committed(local uint64) uint64 { return min(local, t.quorum.floor.Load()) }

// size is how many nodes may lead, this one too.
func (t *term) size() int64 { return int64(t.quorum.size()) + 1 }

// lead is a leadership, from the election to the moment in which this node is a
// follower again. An error is errStorage.
func (n *Node) lead(won election.Term) error {
	t := &term{Term: won, began: time.Now()}
	why, kept := "it could not be begun", false
	err := n.promote(t)
	if err == nil {
		why, kept = n.reign(t)
	} else {
		why += ": " + err.Error()
		n.resign(t, "")
	}
	n.log.Warn("this node leads no longer", "epoch", t.Epoch(), "because", why)
	return errors.Join(err, n.demote(t, kept))
}

// promote makes a follower the leader. What can fail was done when the process
// started: sockets are open, and what was received is in memory or about to be.
func (n *Node) promote(t *term) error {
	others := slices.DeleteFunc(slices.Clone(t.InSync()), func(m election.Member) bool { return m.ID == n.me.ID })
	timeout := time.Duration(n.o.Config.Int(config.InSyncTimeout)) * time.Millisecond
	t.quorum = newQuorum(timeout, n.o.Sink.End, n.written, others, t.began)
	if err := n.o.Keeper.NoteMember(t.Epoch()); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	n.standby.Store(nil)
	if _, err := n.o.Keeper.Lead(t.Epoch()); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	n.o.Sink.quorum.Store(t.quorum)
	n.term.Store(t)
	if err := n.ApplyPolicy(); err != nil {
		return err
	}
	n.Gate()
	n.hub.Lead(t.Epoch(), source{n, t})
	err := n.o.Runner.Exclusive(-1, func() {
		n.o.Router.SetAuthority(t.answers)
		n.o.Router.SetRole(router.RoleLeader)
	})
	if err != nil {
		return err
	}
	n.noteLeader(&link{leader: n.o.Me, epoch: t.Epoch()})
	n.o.Moved()
	n.log.Info("this node leads", "epoch", t.Epoch(), "position", n.o.Sink.End(), "in-sync", names(t.InSync()), "after", time.Since(t.began))
	return nil
}

// written is up to where the kernel has the log, and followers can be sent it.
func (n *Node) written() uint64 {
	stats, _, _ := n.o.Keeper.Log()
	return stats.Written
}

// reign keeps the in-sync set as it is to be, until the term is over. kept tells
// that the leadership was handed over: nothing was lost and clients may stay.
func (n *Node) reign(t *term) (why string, kept bool) {
	look := time.NewTicker(max(t.quorum.timeout/10, 50*time.Millisecond))
	defer look.Stop()
	select { // of an earlier term
	case <-n.stale:
	default:
	}
	refused := "" // the last wish in etcd that came to nothing: it stands there for a while
	for {
		changed := n.co.Changed()
		to := n.co.View().Handover
		if to == "" || to == n.me.Name {
			refused = ""
		} else if to != refused {
			refused = to
			if n.obey(t, order{to: to, within: 2 * n.ttl(), done: make(chan error, 1)}) {
				return "it was handed over to " + to, t.handed.Load()
			}
		}
		select {
		case <-n.ctx.Done():
			n.resign(t, "")
			return "the node ends", false
		case <-t.Lost():
			return "the lease could not be renewed in time, or was given up", false
		case o := <-n.orders:
			if n.obey(t, o) {
				return "it was handed over", t.handed.Load()
			}
		case <-n.stale:
			n.resign(t, "")
			return "there is a newer leader", false
		case <-changed:
		case <-t.quorum.poke:
			n.review(t)
		case <-look.C:
			n.review(t)
			if !n.healthy() {
				n.resign(t, "")
				return "the log does not take records any more", false
			}
		}
	}
}

// review looks at the followers, and tells etcd first who is in sync from now on.
func (n *Node) review(t *term) {
	r := t.quorum.look(time.Now(), n.alive)
	if !r.changes() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.why)) {
		n.log.Warn("a follower leaves the in-sync set", "node", name, "because", r.why[name])
	}
	if err := t.SetInSync(n.ctx, append(slices.Clone(r.list), n.me)); err != nil {
		n.log.Warn("the in-sync set could not be changed", "error", err)
		return // the term is over, or it is tried again
	}
	t.quorum.listed(r)
	n.log.Info("the in-sync set is another one", "in-sync", names(append(r.list, n.me)))
	n.Gate()
	poke(n.moved)
}

// Gate lets writes run only while the in-sync set is large enough.
func (n *Node) Gate() {
	t := n.term.Load()
	n.o.Router.SetNoReplicas(t != nil && t.size() < n.o.Config.Int(config.MinInSyncReplicas))
}

// alive tells whether a node of this name is registered in etcd.
func (n *Node) alive(name string) bool { return n.co.View().Node(name) != nil }

// demote makes this node a follower again. Nothing is answered any more that was not
// known to be committed: unless all of it was (kept), waits end in doubt.
func (n *Node) demote(t *term, kept bool) error {
	if !kept {
		t.quorum.fail(command.ErrDeposed)
	}
	n.follows(kept)
	n.hub.Resign("this node leads no longer", "") // which waits until followers have been told
	n.o.Sink.quorum.CompareAndSwap(t.quorum, nil)
	n.term.CompareAndSwap(t, nil)
	n.Gate()
	n.o.Moved()
	if _, failed, on := n.o.Keeper.Log(); !on || failed != nil {
		return fmt.Errorf("%w: %w", errStorage, failed)
	}
	standby, err := n.o.Keeper.Standby()
	if err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	n.standby.Store(standby)
	return nil
}

// follows makes the router a follower's. Clients that rest on what this node was
// are let go; with kept the others stay, and are served by the new leader.
func (n *Node) follows(kept bool) {
	_ = n.o.Runner.Exclusive(-1, func() { n.o.Router.SetRole(router.RoleFollower) })
	n.o.Router.DropClients("this node is not the leader any more", kept && n.o.Config.Int(config.FollowerMode) == config.FollowerProxy)
}

// resign gives the leadership back.
func (n *Node) resign(t *term, to string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := t.Resign(ctx, to); err != nil {
		n.log.Warn("the leadership could not be given back, it runs out", "error", err)
	}
}

// ApplyPolicy makes replies wait as ack-policy says.
func (n *Node) ApplyPolicy() error {
	async := n.o.Config.Int(config.AckPolicy) == config.AckAsync
	n.o.Sink.async.Store(async)
	return n.o.Keeper.SetForceAlways(!async)
}
