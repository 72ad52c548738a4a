package main_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a field of INFO memory.
func (p *process) memory(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(p.tool(t, "", "redis-cli", "INFO", "memory")) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("INFO memory has no %s", name)
	return ""
}

func TestTheMemoryLimitFollowsMaxMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	p := start(t, "--maxmemory", "40mb")
	require.Equal(t, "maxmemory", p.memory(t, "ferricd_memory_limit_by"))
	small := p.memory(t, "ferricd_memory_limit_human")
	require.Regexp(t, `^1[0-4]\d\.\d\dM$`, small, "a quarter more, a fixed room, and what the runtime takes")
	p.tool(t, "", "redis-cli", "CONFIG", "SET", "maxmemory", "80mb")
	require.Regexp(t, `^1[6-9]\d\.\d\dM$`, p.memory(t, "ferricd_memory_limit_human"))
	p.tool(t, "", "redis-cli", "CONFIG", "SET", "maxmemory", "0")
	require.NotEqual(t, "maxmemory", p.memory(t, "ferricd_memory_limit_by"))
}

func TestTheEnvironmentRulesTheCollector(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "300MiB")
	t.Setenv("GOGC", "33")
	p := start(t, "--maxmemory", "40mb")
	p.tool(t, "", "redis-cli", "CONFIG", "SET", "maxmemory", "50mb")
	require.Equal(t, "GOMEMLIMIT", p.memory(t, "ferricd_memory_limit_by"))
	require.Equal(t, "300.00M", p.memory(t, "ferricd_memory_limit_human"))
	require.Equal(t, "33", p.memory(t, "ferricd_gc_percent"))
}

// A small heap may waste more than a large one, and the server sees it grow.
func TestTheCollectorIsStricterWithALargeHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	p := start(t, "--appendonly", "no", "--enable-debug-command", "yes")
	p.tool(t, "", "redis-cli", "MEMORY", "PURGE") // a collection, so that it is known how much is alive
	require.Eventually(t, func() bool { return p.memory(t, "ferricd_gc_percent") == "400" }, 10*time.Second, time.Millisecond)
	require.Equal(t, "OK\n", p.tool(t, "", "redis-cli", "DEBUG", "POPULATE", "1000000"))
	p.tool(t, "", "redis-cli", "MEMORY", "PURGE")
	require.Eventually(t, func() bool {
		percent := p.memory(t, "ferricd_gc_percent")
		return len(percent) < 3 && percent < "90"
	}, 10*time.Second, time.Millisecond)
}

// Who has much deleted and then nothing to do gives it back, once.
func TestAnIdleServerGivesBack(t *testing.T) {
	t.Setenv("GOGC", "")
	p := start(t, "--appendonly", "no", "--save", "", "--enable-debug-command", "yes")
	require.Equal(t, "OK\n", p.tool(t, "", "redis-cli", "DEBUG", "POPULATE", "300000", "key", "300"))
	runs := func() string { return p.memory(t, "ferricd_collections_at_rest") }
	before := runs()
	require.Equal(t, "OK\n", p.tool(t, "", "redis-cli", "FLUSHALL"))
	require.Eventually(t, func() bool { return runs() != before }, 20*time.Second, time.Millisecond)
	resident, err := strconv.Atoi(p.memory(t, "used_memory_rss"))
	require.NoError(t, err)
	require.Less(t, resident, 80<<20)
}
