package config

const memory section = "Memory"

// Order of the options of MaxMemoryPolicy.
const (
	VolatileLRU = iota
	VolatileLFU
	VolatileRandom
	VolatileTTL
	AllKeysLRU
	AllKeysLFU
	AllKeysRandom
	NoEviction
)

// How much memory may be used, and what goes first.
var (
	MaxMemory       = memory.memory("maxmemory", "0", 0, maxLong, saturates, "Bytes of data beyond which keys are evicted or writes refused; 0 is no limit.")
	MaxMemoryPolicy = memory.enum("maxmemory-policy", "noeviction",
		"volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction", 0, "Which keys are evicted first.")
	MaxMemorySamples          = memory.int("maxmemory-samples", "5", 1, maxInt, 0, "Keys looked at to find one to evict.")
	MaxMemoryEvictionTenacity = memory.int("maxmemory-eviction-tenacity", "10", 0, 100, idle, "How much time eviction may take before a write.")
	LFULogFactor              = memory.int("lfu-log-factor", "10", 0, maxInt, 0, "How slowly the use counter of LFU grows.")
	LFUDecayTime              = memory.int("lfu-decay-time", "1", 0, maxInt, 0, "Minutes after which it shrinks by one.")
	ActiveExpireEffort        = memory.int("active-expire-effort", "1", 1, 10, 0, "How hard expired keys are looked for.")

	_ = memory.bool("replica-ignore-maxmemory", "yes", idle, "Whether a replica leaves eviction to its primary.").alias("slave-ignore-maxmemory")
	_ = memory.bool("lazyfree-lazy-eviction", "no", idle, "Memory is always given back in the background, here and below.")
	_ = memory.bool("lazyfree-lazy-expire", "no", idle, "Expired keys.")
	_ = memory.bool("lazyfree-lazy-server-del", "no", idle, "Keys that another command replaces.")
	_ = memory.bool("lazyfree-lazy-user-del", "no", idle, "DEL.")
	_ = memory.bool("lazyfree-lazy-user-flush", "no", idle, "FLUSHALL and FLUSHDB.")
	_ = memory.bool("replica-lazy-flush", "no", idle, "A replica's old data.").alias("slave-lazy-flush")
	_ = memory.bool("activerehashing", "yes", idle, "Tables grow a part at a time, without idle work.")
	_ = memory.bool("activedefrag", "no", idle, "Memory is Go's to compact, here and below.")
	_ = memory.int("active-defrag-cycle-min", "1", 1, 99, idle, "Least effort.")
	_ = memory.int("active-defrag-cycle-max", "25", 1, 99, idle, "Most effort.")
	_ = memory.memory("active-defrag-ignore-bytes", "104857600", 1, maxLong, idle, "Waste to begin at.")
	_ = memory.int("active-defrag-threshold-lower", "10", 0, 1000, idle, "Percentage of waste to begin at.")
	_ = memory.int("active-defrag-threshold-upper", "100", 0, 1000, idle, "Percentage of waste for most effort.")
	_ = memory.int("active-defrag-max-scan-fields", "1000", 1, maxLong, idle, "Elements looked at in one go.")
	_ = memory.bool("jemalloc-bg-thread", "yes", idle, "A thread of an allocator that is not used here.")
)

const objects section = "Data types"

// Up to which size collections are kept compact.
var (
	HashMaxListpackEntries = objects.int("hash-max-listpack-entries", "512", 0, maxLong, 0, "Fields of a compact hash.").alias("hash-max-ziplist-entries")
	HashMaxListpackValue   = objects.memory("hash-max-listpack-value", "64", 0, maxLong, 0, "Bytes of a field or value in one.").alias("hash-max-ziplist-value")
	ListMaxListpackSize    = objects.int("list-max-listpack-size", "-2", minInt, maxInt, 0, "Size of a list's node: elements, or -1 to -5 for 4 to 64 kb.").alias("list-max-ziplist-size")
	ListCompressDepth      = objects.int("list-compress-depth", "0", 0, maxInt, idle, "Nodes at a list's ends that are not compressed; none is.")
	SetMaxIntsetEntries    = objects.int("set-max-intset-entries", "512", 0, maxLong, 0, "Elements of a compact set of integers.")
	SetMaxListpackEntries  = objects.int("set-max-listpack-entries", "128", 0, maxLong, 0, "Elements of a compact set of other things; OBJECT ENCODING calls it hashtable, as Redis 7.0 does.")
	SetMaxListpackValue    = objects.memory("set-max-listpack-value", "64", 0, maxLong, 0, "Bytes of an element in one.")
	ZsetMaxListpackEntries = objects.int("zset-max-listpack-entries", "128", 0, maxLong, 0, "Elements of a compact sorted set.").alias("zset-max-ziplist-entries")
	ZsetMaxListpackValue   = objects.memory("zset-max-listpack-value", "64", 0, maxLong, 0, "Bytes of an element in one.").alias("zset-max-ziplist-value")
	HLLSparseMaxBytes      = objects.memory("hll-sparse-max-bytes", "3000", 0, maxLong, 0, "Bytes up to which a HyperLogLog is sparse.")
	StreamNodeMaxBytes     = objects.memory("stream-node-max-bytes", "4096", 0, maxLong, 0, "Bytes of a stream's node.")
	StreamNodeMaxEntries   = objects.int("stream-node-max-entries", "100", 0, maxLong, 0, "Entries of a stream's node.")
)

const watching section = "Watching the server"

// What is measured and told.
var (
	SlowlogLogSlowerThan = watching.int("slowlog-log-slower-than", "10000", -1, maxLong, 0, "Microseconds from which a command stands in SLOWLOG; -1 logs none.")
	SlowlogMaxLen        = watching.int("slowlog-max-len", "128", 0, maxLong, 0, "Length of SLOWLOG.")

	LatencyMonitorThreshold        = watching.int("latency-monitor-threshold", "0", 0, maxLong, 0, "Milliseconds from which LATENCY remembers an event; 0 remembers none.")
	LatencyTracking                = watching.bool("latency-tracking", "yes", 0, "Whether each command's latency is measured.")
	LatencyTrackingInfoPercentiles = watching.special("latency-tracking-info-percentiles", "50 99 99.9", 0, parsePercentiles, "Percentiles in INFO latencystats.")

	NotifyKeyspaceEvents = watching.special("notify-keyspace-events", "", 0, parseNotify, "Classes of events that are published, by letter.").
				with(func(p *param) { p.flags &^= words }).lines(notifyLines)
)

const scripts section = "Scripts"

// For a server that runs scripts, which this one does not.
var (
	_ = scripts.int("busy-reply-threshold", "5000", 0, maxLong, idle, "Milliseconds after which a script makes others answer BUSY.").alias("lua-time-limit")
	_ = scripts.bool("lua-enable-deprecated-api", "no", hidden|immutable|idle, "Old names inside scripts.")
)

const contention section = "Contended keys"

// How calls that meet on one key are run.
var (
	Shards = contention.int("shards", "64", 1, 1024, immutable|ours, "Parts that the keys are spread over, a power of two.").check(powerOfTwo)

	RMWWait             = contention.int("rmw-wait", "10000", 1, maxInt, ours, "Milliseconds that a call stands in line for its key before it answers an error.")
	RMWMaxQueuePerKey   = contention.int("rmw-max-queue-per-key", "16384", 1, maxInt, ours, "Calls that may stand in line for one key.")
	RMWMaxQueuePerShard = contention.int("rmw-max-queue-per-shard", "65536", 1, maxInt, ours, "Calls that may stand in line in one shard.")
	LatchSweep          = contention.int("latch-sweep", "5000", 1, maxInt, ours, "Milliseconds between searches for latches whose owner is gone.")

	LatchSlots     = contention.int("latch-slots", "256", 1, 65536, immutable|hidden|ours, "Latches of a shard, a power of two; for tests.").check(powerOfTwo)
	RMWAlwaysQueue = contention.bool("rmw-always-queue", "no", immutable|hidden|ours, "Sends every call into line; for tests.")
)
