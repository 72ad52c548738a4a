package command

import (
	"fmt"
	"strings"
)

func memoryUsage(c *Context) error {
	for i := 3; i < len(c.Args); i += 2 {
		if !c.Is(i, "SAMPLES") || i+1 >= len(c.Args) {
			return ErrSyntax
		}
		n, err := c.Int64(i + 1)
		if err != nil {
			return err
		}
		if n < 0 {
			return ErrSyntax
		}
	}
	// Sizes are kept up to date by every edit, so that there is nothing to sample.
	info, ok := c.Tx.Peek(c.Args[2])
	if !ok {
		c.Reply.Null()
		return nil
	}
	c.Reply.Int(info.Bytes)
	return nil
}

// MemoryStats is the server's memory in the terms of MEMORY STATS and INFO.
type MemoryStats struct {
	Used    int64 // keys and values: what counts against maxmemory
	Peak    int64 // the most that Used has been
	Clients int64 // buffers of connections
	Live    int64 // on Go's heap, in objects that are in use or not yet collected
	Heap    int64 // taken from the system by Go's runtime
	RSS     int64 // of the process, as the kernel counts it
}

func ratioOf(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func memoryStats(c *Context) error {
	m, ks, w := c.Server.Memory(), c.Server.Keyspace(), c.Reply
	var keys int64
	var used []int
	for db := range ks.Databases() {
		if n := ks.Len(db); n > 0 {
			keys += n
			used = append(used, db)
		}
	}
	perKey := int64(0)
	if keys > 0 {
		perKey = m.Used / keys
	}
	num := func(name string, n int64) { w.BulkString(name); w.Int(n) }
	quotient := func(name string, f float64) { w.BulkString(name); w.Double(f) }
	w.Map(27 + len(used))
	num("peak.allocated", m.Peak)
	num("total.allocated", m.Used)
	num("startup.allocated", 0)
	num("replication.backlog", 0)
	num("clients.slaves", 0)
	num("clients.normal", m.Clients)
	num("cluster.links", 0)
	num("aof.buffer", 0)
	num("lua.caches", 0)
	num("functions.caches", 0)
	for _, db := range used {
		w.BulkString(fmt.Sprintf("db.%d", db))
		w.Map(3)
		num("overhead.hashtable.main", 0) // counted with the keys
		num("overhead.hashtable.expires", 0)
		num("overhead.hashtable.slot-to-keys", 0)
	}
	num("overhead.total", m.Clients)
	num("keys.count", keys)
	num("keys.bytes-per-key", perKey)
	num("dataset.bytes", m.Used)
	quotient("dataset.percentage", 100*ratioOf(m.Used, m.Used))
	quotient("peak.percentage", 100*ratioOf(m.Used, m.Peak))
	num("allocator.allocated", m.Live)
	num("allocator.active", m.Heap)
	num("allocator.resident", m.RSS)
	quotient("allocator-fragmentation.ratio", ratioOf(m.Heap, m.Live))
	num("allocator-fragmentation.bytes", m.Heap-m.Live)
	quotient("allocator-rss.ratio", ratioOf(m.RSS, m.Heap))
	num("allocator-rss.bytes", m.RSS-m.Heap)
	quotient("rss-overhead.ratio", 1)
	num("rss-overhead.bytes", 0)
	quotient("fragmentation", ratioOf(m.RSS, m.Used))
	num("fragmentation.bytes", m.RSS-m.Used)
	return nil
}

func memoryDoctor(c *Context) error {
	c.Reply.Verbatim("txt", memoryReport(c.Server.Memory()))
	return nil
}

// memoryReport says what is remarkable about the memory.
func memoryReport(m MemoryStats) string {
	const little = 5 << 20
	if m.Used < little {
		return "There is too little data to say anything about its memory.\n"
	}
	var b strings.Builder
	if m.Peak > m.Used+m.Used/2 {
		fmt.Fprintf(&b, "- Peak: at some time there was %.1f times as much data as now. What it took is free for new data; MEMORY PURGE gives it back to the system.\n",
			ratioOf(m.Peak, m.Used))
	}
	if m.Live > 3*m.Used {
		fmt.Fprintf(&b, "- Garbage: the heap holds %.1f times the data. Much of it is what was overwritten since the last collection; GOGC and GOMEMLIMIT in the environment say how much may gather.\n",
			ratioOf(m.Live, m.Used))
	}
	if m.Clients > m.Used/2 {
		fmt.Fprintf(&b, "- Clients: buffers of connections take %d bytes. CLIENT LIST shows in tot-mem whose they are.\n", m.Clients)
	}
	if b.Len() == 0 {
		return "Nothing is remarkable about the memory.\n"
	}
	return "What is remarkable about the memory:\n\n" + b.String()
}

func memoryPurge(c *Context) error {
	if c.InExec {
		return ErrNotInMulti
	}
	c.Server.FreeMemory()
	c.Reply.OK()
	return nil
}

func memoryMallocStats(c *Context) error {
	c.Reply.Verbatim("txt", c.Server.HeapReport())
	return nil
}

var memoryTips = []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}

var memoryCommands = []Spec{
	{
		Name: "MEMORY", Arity: -2, Group: ServerGroup, Since: "4.0.0", Complexity: "Depends on subcommand.", Flags: Container,
		Summary: "What takes how much memory.",
	},
	{
		Name: "MEMORY|DOCTOR", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: AnyNode, Tips: memoryTips, Run: memoryDoctor, Summary: "Reports on memory in words.",
	},
	{
		Name: "MEMORY|MALLOC-STATS", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: AnyNode, Tips: memoryTips, Run: memoryMallocStats, Summary: "Shows the figures of Go's heap.",
	},
	{
		Name: "MEMORY|PURGE", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "Depends on how much memory is in use.",
		Flags: OffGate | AnyNode, Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Run: memoryPurge,
		Summary: "Collects garbage and gives free memory back to the system.",
	},
	{
		Name: "MEMORY|STATS", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: AnyNode, Tips: memoryTips, Run: memoryStats, Summary: "Shows the figures of memory.",
	},
	{
		Name: "MEMORY|USAGE", Usage: "key [SAMPLES count]", Arity: -3, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: Readonly | NoTouch, Keys: []KeySpec{Key(2, RO)}, Run: memoryUsage,
		Summary: "Tells about how many bytes a key and its value take.",
	},
	{
		Name: "MEMORY|HELP", Arity: 2, Group: ServerGroup, Since: "4.0.0", Complexity: "O(1)",
		Flags: helpFlags, Run: help, Summary: "Prints this help.",
	},
}
