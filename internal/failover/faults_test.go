//go:build linux

package failover

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/faultnet"
)

// What is to be seen of a fault while it lasts.
type effect int

const (
	nothingChanges effect = iota // the same leadership goes on, and calls are acknowledged
	anotherLeads                 // one of the others, which acknowledge calls
	nobodyLeads                  // for longer than a lease
)

// A fault is done to a cluster under load, lasts, and is mended.
type fault struct {
	name   string
	long   bool // CI has no time for it
	effect effect
	args   []string
	do     func(t *testing.T, s *scene)
	mend   func(t *testing.T, s *scene)
	lasts  float64 // leases beyond the effect
}

// A scene is what a fault is done to.
type scene struct {
	c        *cluster
	leader   *node
	follower *node // one of the two
	other    *node // the other one
	epoch    int64
	load     *load
}

func killed(n *node)  { n.crash() }
func healed(s *scene) { s.c.heal() }

var faults = []fault{
	{
		name: "the leader is killed", effect: anotherLeads,
		do:   func(_ *testing.T, s *scene) { killed(s.leader) },
		mend: func(t *testing.T, s *scene) { s.leader.start(t) },
	}, {
		name: "the leader is frozen", effect: anotherLeads, lasts: 1,
		do:   func(t *testing.T, s *scene) { s.leader.stop(t) },
		mend: func(t *testing.T, s *scene) { s.leader.cont(t) },
	}, {
		name: "the leader is cut from etcd", effect: anotherLeads,
		do:   func(_ *testing.T, s *scene) { s.leader.cutFromEtcd(faultnet.Cut) },
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "what etcd answers the leader is lost", effect: anotherLeads, long: true,
		do: func(_ *testing.T, s *scene) {
			s.leader.cutFromEtcd(faultnet.Link{ToClient: faultnet.Path{Hold: true}})
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "the leader is cut from the followers", effect: nothingChanges, lasts: 2,
		do:   func(_ *testing.T, s *scene) { s.leader.cutFromNodes(faultnet.Cut) },
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "what the followers acknowledge is lost", effect: nothingChanges, long: true,
		do: func(_ *testing.T, s *scene) {
			s.leader.fromNodes.Set(faultnet.Everyone, faultnet.Link{ToTarget: faultnet.Path{Hold: true}})
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "the leader is cut from all", effect: anotherLeads, lasts: 1,
		do: func(_ *testing.T, s *scene) {
			s.leader.cutFromNodes(faultnet.Cut)
			s.leader.cutFromEtcd(faultnet.Cut)
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "a follower is killed", effect: nothingChanges,
		do:   func(_ *testing.T, s *scene) { killed(s.follower) },
		mend: func(t *testing.T, s *scene) { s.follower.start(t) },
	}, {
		name: "a follower is frozen", effect: nothingChanges, lasts: 2, long: true,
		do:   func(t *testing.T, s *scene) { s.follower.stop(t) },
		mend: func(t *testing.T, s *scene) { s.follower.cont(t) },
	}, {
		name: "a follower is cut from the leader", effect: nothingChanges, lasts: 1, long: true,
		do:   func(_ *testing.T, s *scene) { s.leader.fromNodes.Set(s.follower.name, faultnet.Cut) },
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "a follower is cut from etcd", effect: nothingChanges, lasts: 2, long: true,
		do:   func(_ *testing.T, s *scene) { s.follower.cutFromEtcd(faultnet.Cut) },
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "a follower is cut from all", effect: nothingChanges, lasts: 2, long: true,
		do: func(_ *testing.T, s *scene) {
			s.follower.cutFromNodes(faultnet.Cut)
			s.follower.cutFromEtcd(faultnet.Cut)
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "both followers are killed", effect: nothingChanges, long: true,
		do: func(_ *testing.T, s *scene) {
			killed(s.follower)
			killed(s.other)
		},
		mend: func(t *testing.T, s *scene) {
			s.follower.start(t)
			s.other.start(t)
		},
	}, {
		name: "leader and a follower are killed", effect: anotherLeads, long: true,
		do: func(_ *testing.T, s *scene) {
			killed(s.follower)
			killed(s.leader)
		},
		mend: func(t *testing.T, s *scene) {
			s.follower.start(t)
			s.leader.start(t)
		},
	}, {
		name: "all are killed", effect: nobodyLeads, long: true,
		do: func(_ *testing.T, s *scene) {
			for _, n := range s.c.nodes {
				killed(n)
			}
		},
		mend: func(t *testing.T, s *scene) {
			for _, n := range s.c.nodes {
				n.start(t)
			}
		},
	}, {
		name: "all links between nodes are reset", effect: nothingChanges, long: true,
		do: func(t *testing.T, s *scene) {
			for range 5 {
				s.leader.fromNodes.Reset(faultnet.Everyone)
				s.load.goesOn(t, 100)
			}
		},
		mend: func(*testing.T, *scene) {},
	}, {
		name: "the links to followers are closed by halves", effect: nothingChanges, long: true,
		do: func(t *testing.T, s *scene) {
			s.leader.fromNodes.HalfClose(s.follower.name, faultnet.ToClient)
			s.leader.fromNodes.HalfClose(s.other.name, faultnet.ToTarget)
			s.load.goesOn(t, 300)
		},
		mend: func(*testing.T, *scene) {},
	}, {
		name: "the links between nodes are slow", effect: nothingChanges, lasts: 1, long: true,
		do: func(_ *testing.T, s *scene) {
			slow := faultnet.Path{Delay: 50e6}
			s.leader.cutFromNodes(faultnet.Link{ToTarget: slow, ToClient: slow})
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		name: "etcd is slow", effect: nothingChanges, lasts: 2, long: true,
		do: func(_ *testing.T, s *scene) {
			slow := faultnet.Path{Delay: 150e6}
			for _, n := range s.c.nodes {
				n.cutFromEtcd(faultnet.Link{ToTarget: slow, ToClient: slow})
			}
		},
		mend: func(_ *testing.T, s *scene) { healed(s) },
	}, {
		// The only etcd is away for longer than a short lease lasts on a busy machine.
		name: "etcd is restarted", effect: nothingChanges, lasts: 1, args: []string{"--lease-ttl", "15"},
		do: func(t *testing.T, s *scene) {
			s.c.etcd.stop(t)
			s.c.etcd.start(t)
		},
		mend: func(*testing.T, *scene) {},
	}, {
		name: "etcd is frozen", effect: nobodyLeads, long: true,
		do:   func(t *testing.T, s *scene) { s.c.etcd.signal(t, syscall.SIGSTOP) },
		mend: func(t *testing.T, s *scene) { s.c.etcd.signal(t, syscall.SIGCONT) },
	}, {
		name: "etcd is gone", effect: nobodyLeads, lasts: 1,
		do:   func(_ *testing.T, s *scene) { s.c.etcd.kill() },
		mend: func(t *testing.T, s *scene) { s.c.etcd.start(t) },
	},
}

// TestFaults lets each fault happen to a cluster of its own.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if f.long {
				long(t)
			}
			f.run(t, newCluster(t, f.args...))
		})
	}
}

func (f fault) run(t *testing.T, c *cluster) {
	s := &scene{c: c, leader: c.leader(t)}
	followers := c.others(s.leader)
	s.follower, s.other = followers[0], followers[1]
	s.epoch = s.leader.info().number("ferricd_epoch")
	s.load = newLoad(t, c.nodes, 9)
	s.load.goesOn(t, 300)

	f.do(t, s)
	switch f.effect {
	case nothingChanges:
		s.load.goesOn(t, 300)
	case anotherLeads:
		c.leads(t, s.epoch+1, s.leader)
		s.load.goesOn(t, 300)
	case nobodyLeads:
		leases(1.5)
		s.nobody(t)
	}
	leases(f.lasts)
	if f.effect == nobodyLeads {
		s.nobody(t)
	}
	f.mend(t, s)

	c.whole(t)
	s.load.goesOn(t, 300)
	if f.effect == nothingChanges {
		require.Equal(t, s.epoch, c.epoch(), "a new leadership")
		require.True(t, s.leader.info().leads())
	}
	s.load.check(t, c)
	c.same(t)
}

// nobody makes sure that no call is acknowledged.
func (s *scene) nobody(t *testing.T) {
	t.Helper()
	for _, n := range s.c.nodes {
		require.False(t, n.info().leads(), n.name)
	}
	before := s.load.acked.Load()
	leases(0.5)
	require.Equal(t, before, s.load.acked.Load(), "calls are acknowledged although nobody may lead")
}
