package config

const persistence section = "Persistence"

// The numbers of appendfsync.
const (
	FsyncEverySec = iota
	FsyncAlways
	FsyncNo
)

var (
	Save                     = persistence.special("save", "", accumulates, parseSave, "Snapshot after so many seconds with so many changes; several pairs. redis-server has a default; here it is none, for the log keeps the data and its growth leads to snapshots.").lines(saveLines)
	AppendOnly               = persistence.bool("appendonly", "yes", 0, "Whether writes are logged. redis-server's default is no.")
	AppendFsync              = persistence.enum("appendfsync", "everysec", "everysec always no", 0, "When the log is forced to disk: once a second, before every reply that rests on it, or when the system likes.")
	AutoAOFRewritePercentage = persistence.int("auto-aof-rewrite-percentage", "100", 0, maxInt, 0, "Growth of the log, in percent of the last snapshot, that leads to the next; 0: none does.")
	AutoAOFRewriteMinSize    = persistence.memory("auto-aof-rewrite-min-size", "67108864", 0, maxLong, 0, "Size of the log from which that counts.")
	StopWritesOnBgsaveError  = persistence.bool("stop-writes-on-bgsave-error", "yes", 0, "Whether writes stop after a snapshot by a save rule has failed.")
	DBFilename               = persistence.string("dbfilename", "dump.rdb", protected, "Name of Redis' snapshot, which is taken over at the start if the data directory holds nothing else.").check(plainName("dbfilename", "filename", true))
	AppendFilename           = persistence.string("appendfilename", "appendonly.aof", immutable, "Name of a log of Redis before version 7. A server does not start from a directory that holds it and no data of its own: `ferricd import` reads it.").check(plainName("appendfilename", "filename", false))
	AppendDirname            = persistence.string("appenddirname", "appendonlydir", immutable, "Directory of a log of Redis, of which the same is true.").check(plainName("appenddirname", "dirname", false))
	LogSegmentSize           = persistence.memory("log-segment-size", "67108864", 1<<16, 1<<40, ours|immutable, "Size at which the log goes on in a new file.")
	LogBufferSize            = persistence.memory("log-buffer-size", "67108864", 1<<16, 1<<40, ours|immutable, "Bytes that may wait for the disk; beyond, writes wait.")

	_ = persistence.bool("no-appendfsync-on-rewrite", "no", idle, "Whether the log may wait while a snapshot is written.")
	_ = persistence.bool("aof-load-truncated", "yes", idle, "Whether a log that was cut short is loaded.")
	_ = persistence.bool("aof-use-rdb-preamble", "yes", idle, "Form of a rewritten log.")
	_ = persistence.bool("aof-timestamp-enabled", "no", idle, "Times in the log.")
	_ = persistence.bool("aof-disable-auto-gc", "no", idle, "Whether old log files stay.")
	_ = persistence.bool("aof-rewrite-incremental-fsync", "yes", idle, "Whether a rewrite is forced to disk in pieces.")
	_ = persistence.bool("rdbcompression", "yes", idle, "Whether snapshots are compressed.")
	_ = persistence.bool("rdbchecksum", "yes", immutable|idle, "Whether snapshots are checked.")
	_ = persistence.bool("rdb-del-sync-files", "no", idle, "Whether a replica's snapshots are deleted.")
	_ = persistence.bool("rdb-save-incremental-fsync", "yes", idle, "Whether a snapshot is forced to disk in pieces.")
	_ = persistence.int("rdb-key-save-delay", "0", minInt, maxInt, hidden|idle, "Slows saving down, for tests of redis-server.")
	_ = persistence.int("key-load-delay", "0", minInt, maxInt, hidden|idle, "Slows loading down, for tests of redis-server.")
	_ = persistence.int("loading-process-events-interval-bytes", "2097152", 1024, maxInt, hidden|idle, "How often clients are served while loading.")
)

const replication section = "Replication"

// This server follows nobody; others may follow it.
var (
	_                     = replication.special("replicaof", "", immutable, parseReplicaOf, "The server to follow. Only `no one` is accepted.").alias("slaveof")
	_                     = replication.string("masterauth", "", secret|idle, "Password for the primary.")
	_                     = replication.string("masteruser", "", secret|idle, "User for the primary.")
	_                     = replication.bool("replica-serve-stale-data", "yes", idle, "Whether a replica without its primary answers.").alias("slave-serve-stale-data")
	_                     = replication.bool("replica-read-only", "yes", idle, "Whether a replica refuses writes.").alias("slave-read-only")
	_                     = replication.int("replica-priority", "100", 0, maxInt, idle, "Which replica a sentinel prefers.").alias("slave-priority")
	_                     = replication.bool("replica-announced", "yes", idle, "Whether a sentinel names this replica.")
	_                     = replication.string("replica-announce-ip", "", idle, "Address that a replica tells its primary.").alias("slave-announce-ip")
	_                     = replication.int("replica-announce-port", "0", 0, 65535, idle, "Port that it tells.").alias("slave-announce-port")
	_                     = replication.bool("replica-ignore-disk-write-errors", "no", idle, "Whether a replica goes on when its disk fails.")
	_                     = replication.enum("propagation-error-behavior", "ignore", "ignore panic panic-on-replicas", idle, "What a replica does when a replicated command fails.")
	_                     = replication.bool("repl-diskless-sync", "yes", idle, "Whether a full copy is sent without a file.")
	_                     = replication.int("repl-diskless-sync-delay", "5", 0, maxInt, idle, "Seconds to wait for more replicas before.")
	_                     = replication.int("repl-diskless-sync-max-replicas", "0", 0, maxInt, idle, "Replicas that end this wait.")
	_                     = replication.enum("repl-diskless-load", "disabled", "disabled on-empty-db swapdb", idle, "How a replica loads such a copy.")
	_                     = replication.bool("repl-disable-tcp-nodelay", "no", idle, "Whether small packets to replicas are gathered.")
	ReplPingReplicaPeriod = replication.int("repl-ping-replica-period", "10", 1, maxInt, 0, "Seconds between pings to replicas.").alias("repl-ping-slave-period")
	ReplTimeout           = replication.int("repl-timeout", "60", 1, maxInt, 0, "Seconds of silence that end a link.")
	_                     = replication.memory("repl-backlog-size", "1048576", 1, maxLong, idle, "Bytes kept for replicas that come back, at least 16kb.").clamp(func(n int64) int64 { return max(n, 16<<10) })
	_                     = replication.int("repl-backlog-ttl", "3600", 0, maxLong, idle, "Seconds that they are kept without replicas.")
	_                     = replication.int("min-replicas-to-write", "0", 0, maxInt, idle, "Replicas without which writes are refused.").alias("min-slaves-to-write")
	_                     = replication.int("min-replicas-max-lag", "10", 0, maxInt, idle, "Seconds within which such a replica was heard of.").alias("min-slaves-max-lag")
)

const cluster section = "Redis Cluster"

// There is no cluster mode.
var (
	_ = cluster.bool("cluster-enabled", "no", immutable, "Cluster mode. Only `no` is accepted.").
		check(func(v value) error { return refuse(v.num != 0, "cluster-enabled yes is not available") })
	_ = cluster.string("cluster-config-file", "nodes.conf", immutable|idle, "File of the cluster's state.")
	_ = cluster.int("cluster-node-timeout", "15000", 0, maxLong, idle, "Milliseconds of silence after which a node is lost.")
	_ = cluster.int("cluster-port", "0", 0, 65535, immutable|idle, "Port of the cluster bus.")
	_ = cluster.int("cluster-replica-validity-factor", "10", 0, maxInt, idle, "How stale a replica may be that takes over.").alias("cluster-slave-validity-factor")
	_ = cluster.int("cluster-migration-barrier", "1", 0, maxInt, idle, "Replicas that a primary keeps.")
	_ = cluster.bool("cluster-allow-replica-migration", "yes", idle, "Whether replicas change their primary.")
	_ = cluster.bool("cluster-require-full-coverage", "yes", idle, "Whether a part of the slots is served alone.")
	_ = cluster.bool("cluster-replica-no-failover", "no", idle, "Whether replicas never take over.").alias("cluster-slave-no-failover")
	_ = cluster.bool("cluster-allow-reads-when-down", "no", idle, "Whether a broken cluster answers reads.")
	_ = cluster.bool("cluster-allow-pubsubshard-when-down", "yes", idle, "Whether it delivers messages.")
	_ = cluster.memory("cluster-link-sendbuf-limit", "0", 0, maxLong, saturates|idle, "Bytes waiting on a link of the bus.")
	_ = cluster.string("cluster-announce-ip", "", idle, "Address that the node tells others.")
	_ = cluster.int("cluster-announce-port", "0", 0, 65535, idle, "Port that it tells.")
	_ = cluster.int("cluster-announce-tls-port", "0", 0, 65535, idle, "TLS port that it tells.")
	_ = cluster.int("cluster-announce-bus-port", "0", 0, 65535, idle, "Bus port that it tells.")
	_ = cluster.string("cluster-announce-hostname", "", idle, "Host name that it tells.").check(checkHostName)
	_ = cluster.string("cluster-announce-human-nodename", "", idle, "Name for people.")
	_ = cluster.enum("cluster-preferred-endpoint-type", "ip", "ip hostname unknown-endpoint", idle, "What clients are sent to.")
)
