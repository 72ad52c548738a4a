package replica

import (
	"errors"
	"fmt"
)

// What ends a session or keeps one from beginning. A refusal that came over the
// wire is a *RefusedError around one of these.
var (
	// ErrProtocol: the peer does not speak this protocol, or not now.
	ErrProtocol = errors.New("the peer breaks the replication protocol")
	// ErrVersion: it speaks another version of it.
	ErrVersion = errors.New("the peer speaks another version of the replication protocol")
	// ErrSecret: it does not know the secret.
	ErrSecret = errors.New("the peer does not know the replication secret")
	// ErrCluster: it belongs to another cluster.
	ErrCluster = errors.New("the peer belongs to another cluster")
	// ErrSelf: it has the id of this node: it is this node, or has a copy of its directory.
	ErrSelf = errors.New("the peer has this node's own id")
	// ErrNotLeader: who was asked to be followed does not lead.
	ErrNotLeader = errors.New("the node is not the leader")
	// ErrStale: the leader's epoch is not the highest one known.
	ErrStale = errors.New("there is a newer leader")
	// ErrBusy: too many connections.
	ErrBusy = errors.New("the node has too many replication connections")
	// ErrPurpose: the node does not offer what the connection is for.
	ErrPurpose = errors.New("the node does not take connections of this kind")
	// ErrSilent: nothing was heard, or could be sent, for too long.
	ErrSilent = errors.New("the peer is silent")
	// ErrReplaced: the same node has connected anew.
	ErrReplaced = errors.New("the follower has connected anew")
	// ErrResigned: the leadership that the session belonged to has ended.
	ErrResigned = errors.New("the node leads no longer")
	// ErrGoodbye is what a *GoodbyeError is.
	ErrGoodbye = errors.New("the leader said goodbye")
	// ErrTooLarge: one frame of the log is larger than a message may be.
	ErrTooLarge = errors.New("the frame is too large to be sent")
	// ErrClosed: the hub is closed.
	ErrClosed = errors.New("the hub is closed")
	// ErrCannotCut is for a Standby: it cannot go back so far, only a full copy helps.
	ErrCannotCut = errors.New("the log cannot be cut back so far")
)

// refusals are the codes of the wire. A code that is not here is ErrProtocol.
var refusals = map[uint16]error{
	1: ErrProtocol,
	2: ErrVersion,
	3: ErrSecret,
	4: ErrCluster,
	5: ErrSelf,
	6: ErrNotLeader,
	7: ErrStale,
	8: ErrBusy,
	9: ErrPurpose,
}

// refusalCode finds the code for what is wrong.
func refusalCode(err error) uint16 {
	for code, reason := range refusals {
		if errors.Is(err, reason) {
			return code
		}
	}
	return 1
}

// A RefusedError is what the peer gave as its reason before it closed. On a
// connection without TLS nobody vouches for it: it is a hint for people and for
// whom to try next, and nothing is changed because of it.
type RefusedError struct {
	Reason error  // one of the errors above
	Text   string // what the peer said
	Leader string // the name of the leader as the peer knows it, or ""
	Epoch  uint64 // the highest one the peer knows, or 0
}

func (e *RefusedError) Error() string { return "refused by the peer: " + e.Text }

// Unwrap gives the reason to errors.Is.
func (e *RefusedError) Unwrap() error { return e.Reason }

// A GoodbyeError is how a leader ended a session that was in order.
type GoodbyeError struct {
	Reason string
	Next   string // the name of who is to lead next, or ""
}

func (e *GoodbyeError) Error() string { return "the leader said goodbye: " + e.Reason }

// Unwrap gives ErrGoodbye to errors.Is.
func (e *GoodbyeError) Unwrap() error { return ErrGoodbye }

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}
