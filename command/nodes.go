package command

import "time"

// Nodes is what handlers ask about the cluster that this server is a node of, if
// it is.
type Nodes interface {
	// Replication is this node's part, as it is now.
	Replication() Replication
	// Failover starts to hand leadership over, or calls that off; it does not wait
	// until it is done. The request is one that the handler has found possible.
	Failover(r FailoverRequest) error
	// AwaitReplicas waits until so many replicas have what the client has written,
	// or is stopped, and tells how many have: followers of the cluster, and those by
	// PSYNC. It is an error when this node ceases to lead meanwhile.
	AwaitReplicas(w ReplicaWait) (int, error)
}

// A ReplicaWait is what WAIT or WAITAOF wait for.
type ReplicaWait struct {
	Client  *Client
	Want    int64
	Durable bool            // only followers count, and those that have it on disk
	Epoch   uint64          // of the leadership in which the call began
	Stop    <-chan struct{} // closed when time has run out, or the client has left
}

// Replication is a node's part in a cluster. The zero value is that of a server
// that is in none. Positions are those of the log, in bytes.
type Replication struct {
	Clustered bool
	Leader    bool // this node leads
	Name      string
	ClusterID string // hex
	Epoch     uint64 // of the leadership that this node leads or follows

	LeaderHost string // for clients; empty: nobody is known to lead
	LeaderPort int
	Link       string // a follower's: one of the Link words
	LastIO     time.Time
	LinkDown   time.Time // since when the link has been down, if it is
	SyncLeft   int64     // bytes of a full copy that are yet to come
	SyncTotal  int64     // 0: no copy is being made

	End     uint64 // of the log here
	Applied uint64
	Durable uint64
	Commit  uint64 // durable on the whole in-sync set

	Followers      []Follower // a leader's
	InSync         []string   // names
	AckPolicy      string     // insync or async
	MinInSync      int
	LeaseRemaining time.Duration // a leader's
	FailoverState  string        // one of the Failover words; empty is NoFailover
	Nodes          []ClusterNode // all that are known, this one too
}

// The words of Replication.Link, as ROLE has them.
const (
	LinkConnect    = "connect"    // no connection, or nobody to connect to
	LinkConnecting = "connecting" // the handshake
	LinkSync       = "sync"       // a full copy is being made
	LinkConnected  = "connected"  // the leader's log is followed
)

// An Address is where clients reach a node.
type Address struct {
	Host string
	Port int
}

// A Follower is one that follows this leader.
type Follower struct {
	Name     string
	Host     string // for clients
	Port     int
	State    string // Online, or what INFO shows until it is
	Received uint64
	Applied  uint64
	Durable  uint64
	LastAck  time.Time
}

// A ClusterNode is a node as the cluster knows it.
type ClusterNode struct {
	Name   string
	Host   string // for clients
	Port   int
	Role   string // leader or follower
	Offset uint64 // up to where it has applied the log, as it has said last
	InSync bool
	Online bool
}

// The words of Replication.FailoverState, as INFO has them.
const (
	NoFailover         = "no-failover"
	FailoverWaiting    = "waiting-for-sync" // writes are held until the target has all
	FailoverInProgress = "failover-in-progress"
)

// A FailoverRequest is what FAILOVER was told.
type FailoverRequest struct {
	Abort   bool
	Host    string // of the follower that is to lead; empty: any
	Port    int
	Force   bool          // hand over when time has run out, whatever the follower has
	Timeout time.Duration // for the follower to have everything; 0: for ever
}
