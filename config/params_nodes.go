package config

const nodes section = "Nodes and election"

// Order of the options of AckPolicy.
const (
	AckInSync = iota
	AckAsync
)

// Order of the options of FollowerMode.
const (
	FollowerProxy = iota
	FollowerReadonly
	FollowerRedirect
)

// Several nodes with one leader. Nothing of this runs without EtcdEndpoints.
var (
	EtcdEndpoints = nodes.string("etcd-endpoints", "", ours|immutable, "URLs of the etcd that elects the leader, with commas between them. Empty: this server is alone.").check(checkEndpoints)
	EtcdUsername  = nodes.string("etcd-username", "", ours|immutable, "User of etcd.")
	EtcdPassword  = nodes.string("etcd-password", "", ours|immutable|secret|veiled, "Its password. CONFIG GET shows nothing.")
	EtcdCert      = nodes.string("etcd-cert", "", ours|immutable, "Certificate to show to etcd, PEM.")
	EtcdKey       = nodes.string("etcd-key", "", ours|immutable, "Its private key, PEM.")
	EtcdCACert    = nodes.string("etcd-cacert", "", ours|immutable, "Authorities that etcd's certificate is checked against, PEM; empty: the system's.")

	ClusterName = nodes.string("cluster-name", "ferricd", ours|immutable, "Name of the cluster in etcd, and for SENTINEL.").check(checkNodeName("cluster-name", false))
	NodeName    = nodes.string("node-name", "", ours|immutable, "Name of this node, unlike that of any other; empty: the host's.").check(checkNodeName("node-name", true))
	LeaseTTL    = nodes.int("lease-ttl", "5", 3, 60, ours|immutable, "Seconds after which a leader that is not heard of may be replaced.")

	ReplicationBind     = nodes.special("replication-bind", "", ours|immutable, parseBind, "Addresses to listen on for other nodes, written as in `bind`; empty: those of `bind`.")
	ReplicationPort     = nodes.int("replication-port", "0", 0, 65535, ours|immutable, "Port to listen on for other nodes; 0: 10000 above the clients' port.")
	ReplicationSecret   = nodes.string("replication-secret", "", ours|immutable|secret|veiled, "What the nodes of a cluster prove to each other that they know. Two with a comma between them are both accepted, so that it can be changed one node after the other; a secret has no comma in it. CONFIG GET shows nothing.")
	ReplicationCopyRate = nodes.memory("replication-copy-rate", "25165824", 0, maxLong, ours, "Bytes a second that full copies of the data take of the leader at most, so that its clients are served meanwhile; 0 is no limit.")

	AnnounceIP              = nodes.string("announce-ip", "", ours|immutable, "Address by which clients and nodes reach this one; empty: the one that is bound or, if that is all, the one that reaches etcd.").check(checkAnnounced)
	AnnouncePort            = nodes.int("announce-port", "0", 0, 65535, ours|immutable, "Port by which clients do; 0: the one that is listened on.")
	AnnounceReplicationPort = nodes.int("announce-replication-port", "0", 0, 65535, ours|immutable, "Port by which nodes do; 0: the one that is listened on.")

	AckPolicy         = nodes.enum("ack-policy", "insync", "insync async", ours, "When a write is answered: once it is on the disks of the whole in-sync set, whatever appendfsync says, or once it is done here.")
	MinInSyncReplicas = nodes.int("min-insync-replicas", "1", 1, maxInt, ours, "Size of the in-sync set, the leader counted, below which writes are refused with NOREPLICAS.")
	InSyncTimeout     = nodes.int("insync-timeout", "3000", 100, maxInt, ours|immutable, "Milliseconds without progress after which a member leaves the in-sync set.")
	FollowerMode      = nodes.enum("follower-mode", "proxy", "proxy readonly redirect", ours, "What a follower does for a client that wants the leader: passes it on, refuses it with READONLY, or tells who leads if the client has said CLIENT CAPA redirect.")
	ProxyWait         = nodes.int("proxy-wait", "15000", 0, maxInt, ours|immutable, "Milliseconds that a follower holds a command back while nobody leads.")
)
