package election

import (
	"fmt"
	"slices"
	"strings"
)

// Here is what a node may write, as functions of what it has read. Each returns a
// transaction whose conditions make sure that what was read still holds.

// A txn writes all of then if all of when holds, and nothing else.
type txn struct {
	when []test
	then []write
}

type aspect uint8

const (
	createdAt aspect = iota // zero: there is no such key
	modifiedAt
	leasedBy
)

type test struct {
	key string
	of  aspect
	is  int64
}

type write struct {
	key, value string
	lease      int64
	erase      bool
}

// generation is what the bases of successive foundings by data that has been in a
// cluster differ by: no node of the earlier one can have seen an epoch of the later.
const generation = 1 << 32

// campaign makes me leader.
func (s *state) campaign(me Node, lease int64, c Claim) (txn, error) {
	switch {
	case !s.exists:
		return txn{}, ErrNoCluster
	case s.leader != nil:
		return txn{}, ErrTaken
	case s.meta.Cluster != "" && s.meta.Cluster != c.Cluster:
		return txn{}, fmt.Errorf("%w: it is %q, etcd's is %q", ErrOtherCluster, c.Cluster, s.meta.Cluster)
	}
	t := txn{
		when: []test{
			{keyLeader, createdAt, 0},
			{keyInSync, modifiedAt, s.modified(keyInSync)},
			{keyMeta, modifiedAt, s.modified(keyMeta)},
		},
		then: []write{{key: keyLeader, value: encode(me), lease: lease}},
	}
	if s.meta.Cluster == "" && len(s.inSync) == 0 {
		found, err := s.found(me, c)
		if err != nil {
			return txn{}, err
		}
		t.then = append(t.then, found...)
		return t, nil
	}
	if !slices.Contains(s.inSync, me.Member()) {
		return txn{}, ErrNotInSync
	}
	// What is written now has a later revision than what was read.
	if next := s.meta.Base + uint64(s.revision) + 1; next <= c.MinEpoch {
		return txn{}, fmt.Errorf("%w: the next epoch would be about %d, and this node has seen %d", ErrRolledBack, next, c.MinEpoch)
	}
	if to := s.successor(); to != "" && to != me.Name && s.eligible(to) {
		return txn{}, fmt.Errorf("%w: %s", ErrHeldBack, to)
	}
	if s.handover != nil {
		t.then = append(t.then, write{key: keyHandover, erase: true})
	}
	return t, nil
}

// found writes what only the first leader of a cluster writes: its id, the base of
// its epochs, and itself as the one who has all data.
func (s *state) found(me Node, c Claim) ([]write, error) {
	switch {
	case s.meta.First != "" && s.meta.First != me.Name:
		return nil, fmt.Errorf("%w: %s is to", ErrNotFirst, s.meta.First)
	case s.meta.First == "" && c.Member:
		return nil, fmt.Errorf("%w: it has been in a cluster, so ferricd cluster init must name it with --first", ErrNotFirst)
	case c.Cluster == "":
		return nil, fmt.Errorf("%w: it has no data directory of its own yet", ErrNotFirst)
	}
	m := s.meta
	m.Cluster = c.Cluster
	switch {
	case c.Member:
		m.Base = (c.MinEpoch/generation + 1) * generation
	case c.MinEpoch > uint64(s.revision):
		m.Base = c.MinEpoch - uint64(s.revision)
	}
	return []write{
		{key: keyMeta, value: encode(m)},
		{key: keyInSync, value: encode([]Member{me.Member()})},
	}, nil
}

// eligible reports whether a node could win now.
func (s *state) eligible(name string) bool {
	n := s.node(name)
	return n != nil && slices.Contains(s.inSync, n.Member())
}

// won tells whether the leader key is me's under its lease, and of which revision.
func (s *state) won(me Node, lease int64) (created int64, ok bool) {
	if s.leader == nil || s.lease(keyLeader) != lease || s.leader.Incarnation != me.Incarnation {
		return 0, false
	}
	return s.created(keyLeader), true
}

// setInSync is the leader's, who knows the set as of revision modified.
func setInSync(created, modified int64, members []Member) txn {
	return txn{
		when: []test{{keyLeader, createdAt, created}, {keyInSync, modifiedAt, modified}},
		then: []write{{key: keyInSync, value: encode(members)}},
	}
}

// resign deletes the leader key, and tells who is to be next under a lease of its own.
func resign(created int64, epoch uint64, to string, lease int64) txn {
	t := txn{
		when: []test{{keyLeader, createdAt, created}},
		then: []write{{key: keyLeader, erase: true}},
	}
	if to != "" && lease != 0 {
		t.then = append(t.then, write{key: keyHandover, value: encode(handover{To: to, From: epoch}), lease: lease})
	}
	return t
}

// handOver asks the leader to make way for to.
func (s *state) handOver(to string, lease int64) (txn, error) {
	switch n := s.node(to); {
	case !s.exists:
		return txn{}, ErrNoCluster
	case s.leader == nil:
		return txn{}, ErrNoLeader
	case s.leader.Name == to:
		return txn{}, fmt.Errorf("%w: it is %s already", ErrTaken, to)
	case n == nil:
		return txn{}, fmt.Errorf("%w: %s", ErrNotAlive, to)
	case !slices.Contains(s.inSync, n.Member()):
		return txn{}, fmt.Errorf("%w: %s", ErrNotInSync, to)
	}
	return txn{
		when: []test{{keyLeader, createdAt, s.created(keyLeader)}, {keyInSync, modifiedAt, s.modified(keyInSync)}},
		then: []write{{key: keyHandover, value: encode(handover{To: to, From: s.epoch()}), lease: lease}},
	}, nil
}

// enrol registers me under its lease. Only the first time may it take the place of
// another process with the same directory: two of them would drive each other out for
// ever.
func (s *state) enrol(me Node, told Status, lease int64, again bool) (txn, error) {
	if !s.exists {
		return txn{}, ErrNoCluster
	}
	key := prefixNodes + me.Name
	if n := s.node(me.Name); n != nil {
		switch {
		case n.ID != me.ID:
			return txn{}, fmt.Errorf("%w: %s at %s", ErrNameTaken, n.Name, n.Replication)
		case n.Incarnation != me.Incarnation && again:
			return txn{}, ErrReplaced
		}
	}
	t := txn{
		when: []test{{key, modifiedAt, s.modified(key)}, {keyMeta, createdAt, s.created(keyMeta)}},
		then: []write{{key: key, value: encode(NodeStatus{me, told}), lease: lease}},
	}
	if l := s.leader; l != nil && l.Member() == me.Member() && s.lease(keyLeader) != lease {
		t.when = append(t.when, test{keyLeader, createdAt, s.created(keyLeader)})
		t.then = append(t.then, write{key: keyLeader, erase: true})
	}
	return t, nil
}

// tell replaces what me has told about itself, as long as the entry is its own.
func tell(me Node, told Status, lease int64) txn {
	key := prefixNodes + me.Name
	return txn{
		when: []test{{key, leasedBy, lease}},
		then: []write{{key: key, value: encode(NodeStatus{me, told}), lease: lease}},
	}
}

// disown deletes a leader key under my lease of which I hold no term: an attempt that
// was given up on has arrived.
func (s *state) disown() txn {
	return txn{
		when: []test{{keyLeader, createdAt, s.created(keyLeader)}},
		then: []write{{key: keyLeader, erase: true}},
	}
}

// create makes the cluster.
func (s *state) create(first string) (txn, bool) {
	if s.exists {
		return txn{}, false
	}
	t := txn{
		when: []test{{keyMeta, createdAt, 0}},
		then: []write{{key: keyMeta, value: encode(meta{First: first})}},
	}
	// A set without a cluster is a leftover and says nothing about the new one.
	t.then = append(t.then, write{key: keyInSync, value: encode([]Member{})})
	return t, true
}

// sorted returns members in the order in which they are written.
func sorted(members []Member) []Member {
	members = append(make([]Member, 0, len(members)), members...)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}
