package election

import (
	"context"
	"errors"
	"time"
)

// Why a node does not lead, or is not part of the cluster.
var (
	// ErrUnreachable: etcd does not answer, or this node has no lease yet.
	ErrUnreachable = errors.New("etcd is out of reach")
	// ErrNoCluster: etcd answers and holds no cluster of this name.
	ErrNoCluster = errors.New("etcd holds no cluster of this name: create it with ferricd cluster init")
	// ErrNameTaken: a live node of this name has another data directory.
	ErrNameTaken = errors.New("a live node has this name and another data directory")
	// ErrReplaced: another live process has this node's name and data directory.
	ErrReplaced = errors.New("another process took this node's place: it has the same name and the same data directory")
	// ErrTaken: somebody leads.
	ErrTaken = errors.New("another node leads")
	// ErrNotInSync: this node is not in the in-sync set.
	ErrNotInSync = errors.New("this node is not in the in-sync set")
	// ErrNotFirst: the cluster has not been founded yet, and not by this node.
	ErrNotFirst = errors.New("the cluster is new, and this node may not found it")
	// ErrHeldBack: the leadership is being handed over to somebody else.
	ErrHeldBack = errors.New("the leadership is being handed over to another node")
	// ErrOtherCluster: this node's data is another cluster's.
	ErrOtherCluster = errors.New("the data directory belongs to another cluster")
	// ErrRolledBack: etcd has forgotten leaderships that this node has seen.
	ErrRolledBack = errors.New("etcd was restored from an old state and its in-sync set cannot be trusted")
	// ErrLost: the term is over.
	ErrLost = errors.New("the leadership is lost")
	// ErrNoLeader: nobody leads.
	ErrNoLeader = errors.New("no node leads")
	// ErrNotAlive: the node that was named is not registered.
	ErrNotAlive = errors.New("the node is not alive")
	// ErrMalformed: etcd holds something that no ferricd wrote.
	ErrMalformed = errors.New("a key in etcd is malformed")
	// ErrClosed: the Coordinator is closed.
	ErrClosed = errors.New("the coordinator is closed")
)

// A Node is one process: who it is and where it is reached.
type Node struct {
	Name        string `json:"name"`
	ID          string `json:"id"`          // of its data directory, in hex
	Incarnation string `json:"incarnation"` // of its process: another at each start
	Client      string `json:"client"`      // host:port for clients
	Replication string `json:"replication"` // host:port for nodes
}

// Member returns the node without its process.
func (n Node) Member() Member { return Member{Name: n.Name, ID: n.ID} }

// A Member names a node in the in-sync set.
type Member struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Status is what a node tells about itself.
type Status struct {
	Role  string `json:"role"`
	Epoch uint64 `json:"epoch"`
	LSN   uint64 `json:"lsn"`
	Lag   int64  `json:"lag"` // bytes behind the leader, -1 when it is not known
}

// A NodeStatus is a registered node and what it told last.
type NodeStatus struct {
	Node
	Status
}

// A View is what etcd said last. Nobody changes it or what it points to.
type View struct {
	Known    bool   // etcd has been read, and is not known to be out of reach
	Exists   bool   // there is a cluster of this name
	Cluster  string // its id, in hex; empty until it is founded
	First    string // the node that is to found it, empty: any
	Leader   *Node  // nil: none
	Epoch    uint64 // of the leader
	InSync   []Member
	Nodes    []NodeStatus // those that are registered, by name
	Handover string       // the node that is to lead next, empty: none
	Err      error        // why this node is not registered: ErrNoCluster, ErrNameTaken, ErrReplaced, ErrMalformed; nil while it is, or tries to be
}

// Node returns the registered node of a name, or nil.
func (v View) Node(name string) *NodeStatus {
	for i := range v.Nodes {
		if v.Nodes[i].Name == name {
			return &v.Nodes[i]
		}
	}
	return nil
}

// Holds reports whether m is in the in-sync set.
func (v View) Holds(m Member) bool {
	for _, other := range v.InSync {
		if other == m {
			return true
		}
	}
	return false
}

// A Claim is what a candidate says about its data.
type Claim struct {
	Cluster  string // the cluster's id in its directory, in hex
	MinEpoch uint64 // the highest epoch that it knows; what it wins is higher
	Member   bool   // it has been in a cluster: it founds a new one only if it is named
}

// A Coordinator is a node's part in its cluster. Its methods may be called by many
// at once.
type Coordinator interface {
	// View returns what etcd said last.
	View() View
	// Changed is closed at the next change of the View.
	Changed() <-chan struct{}
	// Ready waits until the node is registered. It returns ErrNameTaken, ErrReplaced,
	// ErrNoCluster or ErrMalformed as soon as etcd says so; the node goes on trying all
	// the same. When ctx ends first it returns ErrUnreachable.
	Ready(ctx context.Context) error
	// Campaign tries once to become leader, and does not wait for others. It returns
	// one of this package's errors when it did not win. A request whose outcome is not
	// known is settled before Campaign returns, at the latest when the lease ends.
	Campaign(ctx context.Context, c Claim) (Term, error)
	// SetStatus keeps what this node tells about itself. A new role or epoch is told at
	// once, the rest every few seconds.
	SetStatus(Status)
	// Handover asks the leader to make way for the node to. The leader sees it in
	// View.Handover.
	Handover(ctx context.Context, to string) error
	// Close ends the term, gives back the lease and waits for all goroutines.
	Close() error
}

// A Term is one leadership. Its methods may be called by many at once.
type Term interface {
	// Epoch is the leadership's number.
	Epoch() uint64
	// Valid reports whether the leadership has not ended yet. Once false, it stays so.
	Valid() bool
	// Remaining is the time until the deadline as it stands, zero when it has ended.
	Remaining() time.Duration
	// Lost is closed when the leadership has ended, for whatever reason. It may be late
	// where Valid is not: it takes a goroutine that runs.
	Lost() <-chan struct{}
	// InSync returns the set as this term has last written or read it.
	InSync() []Member
	// SetInSync makes members the in-sync set; the leader must be among them. When it
	// returns nil etcd holds the set. ErrLost: the term is over, and what the set is
	// now is another leader's business. Once the request is sent ctx does not end the
	// wait: a set of which nobody knows whether it was written is worse than waiting.
	SetInSync(ctx context.Context, members []Member) error
	// Resign ends the term, then deletes the leader key. With to, the others hold back
	// for one lease's time unless they are to. An error means that the key may stand until the
	// lease has ended; the term is over in any case.
	Resign(ctx context.Context, to string) error
}
