package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An Admin looks at a cluster and arranges it, without being a node of it.
type Admin struct {
	d   driver
	ttl time.Duration
}

// OpenAdmin makes an Admin. etcd is asked first by its methods, which take as long as
// their context lets them.
func OpenAdmin(o Options) (*Admin, error) {
	if err := o.complete(false); err != nil {
		return nil, err
	}
	d, err := newEtcd(o)
	if err != nil {
		return nil, err
	}
	return &Admin{d: d, ttl: max(o.TTL, MinTTL)}, nil
}

// Close lets go of etcd.
func (a *Admin) Close() error {
	a.d.close()
	return nil
}

// Init creates the cluster, to be founded by the node first, or by any when it is
// empty. It reports whether the cluster is new.
func (a *Admin) Init(ctx context.Context, first string) (created bool, err error) {
	if first != "" {
		if err := CheckName(first); err != nil {
			return false, err
		}
	}
	s, err := readState(ctx, a.d)
	if err != nil {
		return false, a.failed(err)
	}
	t, missing := s.create(first)
	if !missing {
		return false, nil
	}
	created, _, err = a.d.commit(ctx, t)
	if err != nil {
		return false, a.failed(err)
	}
	return created, nil
}

// failed says of a call that failed what a person can do something about.
func (a *Admin) failed(err error) error {
	switch {
	case errors.Is(err, errRefused):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		if why := a.d.probe(context.Background()); why != nil {
			err = why
		}
	}
	return unreachable(err)
}

// View returns what etcd holds.
func (a *Admin) View(ctx context.Context) (View, error) {
	s, err := readState(ctx, a.d)
	if err != nil {
		return View{}, a.failed(err)
	}
	v := s.view()
	v.Known = true
	return v, nil
}

// Handover has the node to lead, or with an empty to the in-sync node that has most,
// and waits until it does. It returns the new leader.
func (a *Admin) Handover(ctx context.Context, to string) (NodeStatus, error) {
	before, err := a.View(ctx)
	if err != nil {
		return NodeStatus{}, err
	}
	if !before.Exists {
		return NodeStatus{}, ErrNoCluster
	}
	if to == "" {
		if to, err = before.heir(); err != nil {
			return NodeStatus{}, err
		}
	}
	lease, err := askHandover(ctx, a.d, to, 2*a.ttl)
	if lease != 0 {
		// The request ends with who made it.
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = a.d.revoke(ctx, lease)
		}()
	}
	if err != nil {
		return NodeStatus{}, err
	}
	return a.await(ctx, to, before.Epoch)
}

// heir is the registered member of the in-sync set with the highest position that does
// not lead.
func (v View) heir() (string, error) {
	if v.Leader == nil {
		return "", ErrNoLeader
	}
	best := -1
	for i, n := range v.Nodes {
		if n.Name == v.Leader.Name || !v.Holds(n.Member()) {
			continue
		}
		if best < 0 || n.LSN > v.Nodes[best].LSN {
			best = i
		}
	}
	if best < 0 {
		return "", fmt.Errorf("%w: no other member of the in-sync set is", ErrNotAlive)
	}
	return v.Nodes[best].Name, nil
}

// await returns when another epoch has begun.
func (a *Admin) await(ctx context.Context, to string, epoch uint64) (NodeStatus, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	woken := newBell()
	ended := make(chan error, 1)
	var after int64
	for {
		s, err := readState(ctx, a.d)
		if err != nil {
			return NodeStatus{}, unreachable(err)
		}
		if s.leader != nil && s.epoch() != epoch {
			n := NodeStatus{Node: *s.leader}
			if told := s.node(n.Name); told != nil {
				n.Status = told.Status
			}
			if n.Name != to {
				return n, fmt.Errorf("%w: %s won instead of %s", ErrTaken, n.Name, to)
			}
			return n, nil
		}
		if after == 0 {
			after = s.revision
			wg.Go(func() { ended <- a.follow(ctx, after, woken) })
		}
		select {
		case <-woken:
		case err := <-ended:
			return NodeStatus{}, unreachable(err)
		case <-ctx.Done():
			return NodeStatus{}, fmt.Errorf("the leader did not make way in time: %w", ctx.Err())
		}
	}
}

// follow watches until it cannot go on.
func (a *Admin) follow(ctx context.Context, after int64, woken bell) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return a.d.watch(ctx, after, woken.ring)
}
