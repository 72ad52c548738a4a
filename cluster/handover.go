package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/router"
)

var (
	errNotLeader = errors.New("this node is not the leader")
	errNoTarget  = errors.New("no follower in the in-sync set is connected")
	errLate      = errors.New("the followers did not have everything in time")
	errAborted   = errors.New("the failover was called off")
)

// An order is a hand-over that somebody has asked for.
type order struct {
	to     string          // a node's name; "": whoever is furthest
	force  bool            // when time has run out, whatever the followers have
	within time.Duration   // 0: for ever
	abort  <-chan struct{} // nil: it cannot be called off
	done   chan error      // capacity 1
}

// Handover gives the leadership to another node: to one in the in-sync set that is
// named, or to the one that is furthest. It returns when this node is a follower, or
// goes on leading.
func (n *Node) Handover(ctx context.Context, to string, force bool, within time.Duration) error {
	if n.term.Load() == nil {
		return errNotLeader
	}
	o := order{to: to, force: force, within: within, abort: ctx.Done(), done: make(chan error, 1)}
	select {
	case n.orders <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return errNotLeader
	}
	return <-o.done
}

// Leave hands the leadership over if this node has it and there is somebody to take
// it. What comes in meanwhile is passed on.
func (n *Node) Leave(ctx context.Context) {
	if n.term.Load() == nil {
		return
	}
	within := n.ttl()
	if at, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(at))
	}
	if err := n.Handover(ctx, "", false, within); err != nil && !errors.Is(err, errNoTarget) {
		n.log.Warn("the leadership was not handed over", "error", err)
	}
}

// Failover is Handover as the command asks for it: it only begins it.
func (n *Node) Failover(r command.FailoverRequest) error {
	t := n.term.Load()
	if t == nil {
		return command.Errorf("ERR %v", errNotLeader)
	}
	if r.Abort {
		if cancel := n.aborts.Swap(nil); cancel != nil {
			(*cancel)()
		}
		return nil
	}
	to := ""
	if r.Host != "" {
		if to = n.nameOf(r.Host, r.Port); to == "" {
			return command.Errorf("ERR %v", errNoTarget)
		}
	}
	ctx, cancel := context.WithCancel(n.ctx)
	n.aborts.Store(&cancel)
	n.spawn("failover", func() {
		defer cancel()
		if err := n.Handover(ctx, to, r.Force, r.Timeout); err != nil {
			n.log.Warn("the failover came to nothing", "error", err)
		}
	})
	return nil
}

// nameOf finds a node by where clients reach it.
func (n *Node) nameOf(host string, port int) string {
	for _, x := range n.co.View().Nodes {
		if h, p := split(x.Client); h == host && p == port {
			return x.Name
		}
	}
	return ""
}

// obey carries out an order, and tells whether this node is a follower by it.
func (n *Node) obey(t *term, o order) bool {
	err := n.handover(t, o)
	o.done <- err
	if err != nil {
		n.log.Warn("the leadership is not handed over", "to", o.to, "error", err)
	}
	return err == nil || n.o.Router.Role() == router.RoleFollower
}

// handover runs in the node's own goroutine. Writes are held back until this node is
// a follower; then they, and what reads, are passed on to whoever leads.
func (n *Node) handover(t *term, o order) error {
	to, err := n.target(t, o.to)
	if err != nil {
		return err
	}
	n.tellFailover(command.FailoverWaiting)
	defer n.tellFailover(command.NoFailover)
	release := n.o.Router.HoldWrites()
	defer release()
	err = n.awaitAll(t, o)
	if err != nil && !(o.force && err == errLate) {
		return err
	}
	n.tellFailover(command.FailoverInProgress)
	n.follows(true)
	// What has run so far did while this node led, and nothing runs as the leader's any
	// more. If members have all of it, its replies may still go out.
	t.handed.Store(err == nil && t.Valid())
	n.resign(t, to.Name)
	return nil
}

// awaitAll waits until the members have all that was written, and looks after them
// meanwhile: one that is late leaves.
func (n *Node) awaitAll(t *term, o order) error {
	var late <-chan time.Time
	if o.within > 0 {
		timer := time.NewTimer(o.within)
		defer timer.Stop()
		late = timer.C
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	over := make(chan struct{})
	defer close(over)
	all := make(chan error, 1)
	end := n.o.Sink.End()
	n.spawn("await the followers", func() { all <- n.o.Sink.AwaitDurable(end, over) })
	for {
		select {
		case err := <-all:
			return err
		case <-t.quorum.poke:
			n.review(t)
		case <-look.C:
			n.review(t)
		case <-t.Lost():
			return errNotLeader
		case <-o.abort:
			return errAborted
		case <-late:
			return errLate
		case <-n.ctx.Done():
			return errNotLeader
		}
	}
}

// target is who is to lead next.
func (n *Node) target(t *term, name string) (election.Member, error) {
	best, most := election.Member{}, uint64(0)
	for _, m := range t.quorum.ready() {
		if m.Name == name {
			return m.Member, nil
		}
		if best.Name == "" || m.durable > most {
			best, most = m.Member, m.durable
		}
	}
	switch {
	case name != "":
		return best, fmt.Errorf("node %q is not a connected follower in the in-sync set", name)
	case best.Name == "":
		return best, errNoTarget
	}
	return best, nil
}

// ready are the members that may lead next.
func (q *quorum) ready() (list []member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.members {
		if m.listed && m.connected && m.leaves == "" {
			list = append(list, *m)
		}
	}
	return list
}

func (n *Node) tellFailover(state string) { n.failover.Store(&state) }
