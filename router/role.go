package router

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
)

// A Role is a node's part among others.
type Role uint32

// The roles.
const (
	RoleAlone    Role = iota // there are no others
	RoleLeader               //
	RoleFollower             // or nobody leads
)

// A Standby is what a follower has for its clients.
type Standby struct {
	// Fresh tells whether what is here may be shown to those who have said READONLY.
	// nil: never.
	Fresh func() bool
	// Leader is where clients reach the leader; an empty host: nobody is known to lead.
	Leader func() (host string, port int)
	// Forward takes commands to the leader. nil: clients are told to go there.
	Forward Forwarder
}

// roles is what the node's part means for commands. A bit of mode changes what
// commands may do; while all are 0 that is all they look at.
type roles struct {
	mode      atomic.Uint32
	role      atomic.Uint32
	holds     atomic.Int32                // calls of HoldWrites that have not been released
	authority atomic.Pointer[func() bool] // nil: none is asked
	standby   atomic.Pointer[Standby]

	mu      sync.Mutex // guards changed
	changed chan struct{}
}

// The bits of roles.mode.
const (
	following uint32 = 1 << iota // this node does not lead
	holding                      // who would write waits
	lacking                      // there are too few replicas to write
)

func (r *roles) init() {
	r.changed = make(chan struct{})
	r.standby.Store(&Standby{})
}

// set changes a bit, and wakes who waits for a change.
func (r *roles) set(bit uint32, on bool) {
	was := uint32(0)
	if on {
		was = r.mode.Or(bit)
	} else {
		was = r.mode.And(^bit)
	}
	if was&bit != 0 == on {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait is closed at the next change.
func (r *roles) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *roles) follows() bool { return r.mode.Load()&following != 0 }

// SetRole says what part this node has. The gate is closed, so that no call is half
// of each: what was admitted before and has not run yet is looked at anew.
func (r *Router) SetRole(role Role) {
	r.roles.role.Store(uint32(role))
	r.roles.set(following, role == RoleFollower)
}

// Role is what SetRole has said.
func (r *Router) Role() Role { return Role(r.roles.role.Load()) }

// SetStandby says what a follower has for its clients.
func (r *Router) SetStandby(s Standby) { r.roles.standby.Store(&s) }

// SetAuthority gives what is asked whenever replies are released that rest on this
// node being the leader: false drops them. It is called often and waits for nothing.
// nil: nothing is asked.
func (r *Router) SetAuthority(valid func() bool) {
	if valid == nil {
		r.roles.authority.Store(nil)
		return
	}
	r.roles.authority.Store(&valid)
}

// SetNoReplicas says whether writes are refused because too few nodes would have
// them.
func (r *Router) SetNoReplicas(on bool) { r.roles.set(lacking, on) }

// HoldWrites lets every command wait that would write, until release is called. When
// HoldWrites has returned no write is half done, and nothing is appended to the log
// but by who applies records. Those who have waited are looked at anew.
func (r *Router) HoldWrites() (release func()) {
	r.roles.holds.Add(1)
	hold := func() { r.roles.set(holding, true) }
	if r.runner.Exclusive(0, hold) != nil {
		hold() // nothing runs any more
	}
	return sync.OnceFunc(func() {
		if r.roles.holds.Add(-1) == 0 {
			r.roles.set(holding, false)
		}
	})
}

// errMoved is what a command ends with that certainly did not run, and is to be
// looked at anew: the node's part has changed since it was admitted.
var errMoved = errors.New("router: to be looked at anew")

// admitRole says what the node's part means for a command; done: nothing else has to
// be asked. It comes behind everything that may have let the gate go.
func (s *session) admitRole(mode uint32, spec *command.Spec, args [][]byte) (done bool, err error) {
	switch {
	case mode&following != 0:
		s.here = true
		return true, s.admitFollower(spec, args)
	case !s.writes(spec):
		return false, nil
	case mode&holding != 0:
		s.waitChange(args)
		return true, errMoved
	case mode&lacking != 0:
		return true, command.ErrNoReplicas
	}
	return false, nil
}

// writes tells whether a command would write, be it by a transaction. A message to
// others counts: it goes with the writes before it.
func (s *session) writes(spec *command.Spec) bool {
	return spec.Flags&(command.Write|command.MayReplicate) != 0 || spec.Name == "EXEC" && s.multi.writes()
}

// barred tells, under the gate, that the call in hand was admitted when the node's
// part was another, and may not run.
func (s *session) barred(spec *command.Spec) bool {
	mode := s.r.roles.mode.Load()
	switch {
	case mode&(following|holding) == 0 || s.fixed != 0:
		return false
	case mode&following != 0 && s.conn != nil:
		return !s.here && !spec.Has(command.AnyNode)
	}
	return s.writes(spec)
}

// keeps tells whether what has expired is left where it is: only the leader deletes.
func (s *session) keeps() bool {
	return s.fixed != 0 || s.r.roles.mode.Load()&(following|holding) != 0
}

// waitChange waits, with neither gate nor latch, until the node's part changes.
func (s *session) waitChange(args [][]byte) {
	changed := s.r.roles.wait()
	if s.r.roles.mode.Load()&holding == 0 {
		return
	}
	s.sleep(args, changed, nil)
}

// admitFollower says whether a command that was not taken to the leader runs here.
func (s *session) admitFollower(spec *command.Spec, args [][]byte) error {
	st := s.r.roles.standby.Load()
	switch {
	case s.client.Has(command.ClientProxied): // one follower is enough
		return command.ErrMasterDown
	case spec.Name == "PSYNC" || spec.Name == "SYNC":
		return command.ErrNoMaster
	case spec.Has(command.AnyNode) || s.listensHere(spec, args):
		return nil
	}
	if st.mode(s) == config.FollowerRedirect && s.client.Has(command.ClientRedirects) &&
		(s.changes(spec) || spec.Has(command.Readonly) && !s.client.Has(command.ClientReadonly)) {
		host, port := st.leader()
		if s.multi.on && spec.Name == "EXEC" {
			s.endMulti()
		}
		if host == "" {
			return command.ErrMasterDown
		}
		return command.ErrRedirect(host, port)
	}
	if s.changes(spec) {
		return command.ErrReadonlyRepl
	}
	if !spec.Has(command.Stale) && !st.fresh() {
		return command.ErrMasterDown
	}
	return nil
}

// changes is writes for a follower: PUBLISH reaches its own subscribers there, as in
// Redis, and PFCOUNT would keep what it has counted.
func (s *session) changes(spec *command.Spec) bool {
	return s.writes(spec) && spec.Group != command.PubSubGroup
}

// mode is the follower-mode that counts for a client.
func (st *Standby) mode(s *session) int64 {
	switch mode := s.r.cfg.Int(config.FollowerMode); {
	case mode != config.FollowerProxy:
		return mode
	case st.Forward == nil || s.multi.on || len(s.multi.watched) > 0: // what it has begun here it ends here
		return config.FollowerReadonly
	}
	return config.FollowerProxy
}

func (st *Standby) fresh() bool { return st.Fresh != nil && st.Fresh() }

func (st *Standby) leader() (host string, port int) {
	if st.Leader == nil {
		return "", 0
	}
	return st.Leader()
}
