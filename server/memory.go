package server

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
)

// Memory is what the process holds.
func (s *Server) Memory() command.MemoryStats {
	used := s.router.Used()
	live, total := heapBytes()
	m := command.MemoryStats{
		Used: used, Peak: s.peak.observe(used), Live: int64(live), Heap: int64(total), RSS: rss(),
	}
	for c := range s.wire.Conns() {
		m.Clients += int64(c.Stats().Memory)
	}
	return m
}

// FreeMemory collects garbage and gives back to the system what it can.
func (s *Server) FreeMemory() { debug.FreeOSMemory() }

// HeapReport lists every figure that Go's runtime has of its memory.
func (s *Server) HeapReport() string {
	var samples []metrics.Sample
	for _, d := range metrics.All() {
		if d.Kind == metrics.KindUint64 && (strings.HasPrefix(d.Name, "/memory/") || strings.HasPrefix(d.Name, "/gc/")) {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(samples)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, GOMAXPROCS %d\n", runtime.Version(), runtime.GOMAXPROCS(0))
	for _, m := range samples {
		fmt.Fprintf(&b, "%-52s %d\n", m.Name, m.Value.Uint64())
	}
	return b.String()
}

// heapBytes is what the Go runtime holds and uses, without stopping anyone.
func heapBytes() (live, total uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// rss is the memory of the process as the kernel counts it.
func rss() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		_, total := heapBytes()
		return int64(total)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func systemMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

func ratio(a, b int64) string {
	if b == 0 {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func (s *Server) infoMemory(t *infoText) {
	m := s.Memory()
	t.bytes("used_memory", m.Used)
	t.bytes("used_memory_rss", m.RSS)
	t.bytes("used_memory_peak", m.Peak)
	t.field("used_memory_peak_perc", percent(m.Used, m.Peak))
	t.field("used_memory_overhead", m.Clients)
	t.zero("used_memory_startup")
	t.field("used_memory_dataset", m.Used)
	t.field("used_memory_dataset_perc", percent(m.Used, m.Used))
	t.field("allocator_allocated", m.Live)
	t.field("allocator_active", m.Heap)
	t.field("allocator_resident", m.RSS)
	t.bytes("total_system_memory", systemMemory())
	t.bytes("used_memory_lua", 0)
	t.zero("used_memory_vm_eval", "used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions",
		"number_of_libraries", "used_memory_vm_functions", "used_memory_functions")
	t.bytes("used_memory_vm_total", 0)
	t.bytes("used_memory_scripts", 0)
	t.bytes("maxmemory", s.cfg.Int(config.MaxMemory))
	t.field("maxmemory_policy", s.cfg.String(config.MaxMemoryPolicy))
	t.field("allocator_frag_ratio", ratio(m.Heap, m.Live))
	t.field("allocator_frag_bytes", m.Heap-m.Live)
	t.field("allocator_rss_ratio", ratio(m.RSS, m.Heap))
	t.field("allocator_rss_bytes", m.RSS-m.Heap)
	t.field("rss_overhead_ratio", "1.00")
	t.zero("rss_overhead_bytes")
	t.field("mem_fragmentation_ratio", ratio(m.RSS, m.Used))
	t.field("mem_fragmentation_bytes", m.RSS-m.Used)
	t.zero("mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers", "mem_clients_slaves")
	t.field("mem_clients_normal", m.Clients)
	t.zero("mem_cluster_links", "mem_aof_buffer")
	t.field("mem_allocator", "go-"+strings.TrimPrefix(runtime.Version(), "go"))
	t.zero("active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects")
	s.infoCollector(t)
}

func percent(a, b int64) string {
	if b == 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(a)/float64(b))
}
