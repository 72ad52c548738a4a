package cluster

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/election"
)

// A quorum knows which followers must have a record on their disks before it counts,
// and up to where they have. It is the leader's, for one term.
//
// What makes it safe: whoever etcd would accept as the next leader is a member.
// Who joins is waited for before it is listed in etcd, and it is listed when it has
// all that was answered without it. Who leaves is waited for until etcd has taken it
// off the list. Nothing else changes members.
type quorum struct {
	timeout time.Duration // a member that stands still for so long leaves
	end     func() uint64 // of the log
	written func() uint64 // up to where followers can have been sent it

	floor atomic.Uint64 // all members have everything up to it; all bits set without members

	mu      sync.Mutex // guards what is below
	members map[string]*member
	waits   []*waiting
	err     error // of all waits from now on
	target  uint64
	since   time.Time // of target: members that are behind it are late
	poke    chan struct{}
	changed chan struct{} // closed and replaced when the list in etcd was
}

var errLeft = errors.New("the client has left")

type member struct {
	election.Member
	listed    bool   // in etcd
	needs     uint64 // to be listed: all that was answered without it
	durable   uint64
	moved     time.Time // durable did, or the connection came
	connected bool
	leaves    string // why; it is waited for until it is off the list
}

type waiting struct {
	lsn  uint64
	done chan struct{}
}

const everything = math.MaxUint64

// newQuorum begins with who is in sync besides the leader: nobody knows yet what
// they have.
func newQuorum(timeout time.Duration, end, written func() uint64, others []election.Member, now time.Time) *quorum {
	q := &quorum{
		timeout: timeout, end: end, written: written, members: map[string]*member{}, since: now,
		poke: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	for _, m := range others {
		q.members[m.ID] = &member{Member: m, listed: true, moved: now}
	}
	q.settle()
	return q
}

// settle computes the floor and lets go who has waited for it; the caller holds mu,
// or is newQuorum.
func (q *quorum) settle() {
	if q.err != nil {
		return
	}
	floor := uint64(everything)
	for _, m := range q.members {
		floor = min(floor, m.durable)
	}
	q.floor.Store(floor)
	q.waits = slices.DeleteFunc(q.waits, func(w *waiting) bool {
		if w.lsn <= floor {
			close(w.done)
			return true
		}
		return false
	})
}

// rouse has the members looked at.
func (q *quorum) rouse() { poke(q.poke) }

// await returns nil when all members have everything up to lsn. gone may be nil.
func (q *quorum) await(lsn uint64, gone <-chan struct{}) error {
	if lsn <= q.floor.Load() {
		return nil
	}
	q.mu.Lock()
	if q.err != nil || lsn <= q.floor.Load() {
		defer q.mu.Unlock()
		if lsn <= q.floor.Load() {
			return nil
		}
		return q.err
	}
	w := &waiting{lsn: lsn, done: make(chan struct{})}
	q.waits = append(q.waits, w)
	for _, m := range q.members {
		if !m.connected {
			q.rouse()
			break
		}
	}
	q.mu.Unlock()
	select {
	case <-w.done:
	case <-gone:
		q.mu.Lock()
		q.waits = slices.DeleteFunc(q.waits, func(x *waiting) bool { return x == w })
		q.mu.Unlock()
		select {
		case <-w.done:
		default:
			return errLeft
		}
	}
	if lsn <= q.floor.Load() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// fail ends all waits: nobody will ever know.
func (q *quorum) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.floor.Store(0)
	for _, w := range q.waits {
		close(w.done)
	}
	q.waits = nil
	q.signal()
}

// joined is told of a connection of a follower, left of its end.
func (q *quorum) joined(id string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.members[id]; m != nil {
		m.connected, m.moved = true, now
	}
}

func (q *quorum) left(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.members[id]; m != nil {
		m.connected = false
		q.rouse()
	}
}

// acked is told how far a follower is. Who follows closely becomes a member.
func (q *quorum) acked(who election.Member, durable uint64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.members[who.ID]
	if m == nil {
		if q.err == nil && durable+closely >= q.end() {
			// From here on it is waited for. What was answered before is not beyond
			// the end of the log as it is read after that.
			m = &member{Member: who, durable: durable, moved: now, connected: true}
			q.members[who.ID] = m
			q.settle()
			m.needs = q.end()
			q.rouse()
		}
		return
	}
	m.connected = true
	if durable > m.durable {
		before := m.durable
		m.durable, m.moved = durable, now
		if !m.listed && before < m.needs && durable >= m.needs {
			q.rouse()
		}
		if before == q.floor.Load() {
			q.settle()
		}
	}
}

// closely is how many bytes behind a follower may be to become a member.
const closely = 1 << 20

// A review is what is to become of the list in etcd.
type review struct {
	list   []election.Member // without the leader
	add    []string          // IDs of who is new in it
	remove []string
	why    map[string]string
}

func (r review) changes() bool { return len(r.add)+len(r.remove) > 0 }

// look decides who joins and who leaves. alive tells whether etcd knows of a node
// with this name that lives.
func (q *quorum) look(now time.Time, alive func(name string) bool) review {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.floor.Load() >= q.target {
		if end := q.written(); end > q.target {
			q.target, q.since = end, now
		}
	}
	r := review{why: map[string]string{}}
	for id, m := range q.members {
		if m.leaves == "" {
			m.leaves = q.late(m, now, alive)
		}
		switch {
		case m.leaves != "" && !m.listed:
			delete(q.members, id)
			q.signal()
		case m.leaves != "":
			r.remove = append(r.remove, id)
			r.why[m.Name] = m.leaves
		case m.listed:
			r.list = append(r.list, m.Member)
		case m.durable >= m.needs:
			r.list = append(r.list, m.Member)
			r.add = append(r.add, id)
		}
	}
	q.settle()
	slices.SortFunc(r.list, func(a, b election.Member) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

// late tells why a member is to leave; "" while it may stay. Members are not blamed for
// a leader whose own disk takes nothing: it would take them off the list, and be the
// only one that may lead.
func (q *quorum) late(m *member, now time.Time, alive func(string) bool) string {
	wanted := q.target
	for _, w := range q.waits {
		wanted = max(wanted, w.lsn)
	}
	if m.durable >= min(wanted, q.written()) {
		return ""
	}
	since := m.moved
	if q.since.After(since) {
		since = q.since
	}
	switch stood := now.Sub(since) >= q.timeout; {
	case !m.connected && len(q.waits) > 0 && !alive(m.Name):
		return "it is gone"
	case !m.connected && stood:
		return "it has no connection"
	case stood:
		return "it does not acknowledge"
	}
	return ""
}

// leave takes a follower off the list for another reason than that it is late, and
// returns when that is in etcd.
func (q *quorum) leave(ctx context.Context, id, why string) error {
	for {
		q.mu.Lock()
		m, changed, err := q.members[id], q.changed, q.err
		if m != nil && m.leaves == "" {
			m.leaves = why
		}
		q.mu.Unlock()
		if m == nil || err != nil {
			return err
		}
		q.rouse()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listed is told that the list of a review is in etcd.
func (q *quorum) listed(r review) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range r.add {
		if m := q.members[id]; m != nil {
			m.listed = true
		}
	}
	for _, id := range r.remove {
		delete(q.members, id)
	}
	q.settle()
	q.signal()
}

func (q *quorum) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// size is how many members are listed.
func (q *quorum) size() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.members {
		if m.listed {
			n++
		}
	}
	return n
}
