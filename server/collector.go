package server

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/ferricd/ferricd/config"
)

// What Go's collector is told. bench/RESULTS.md has the measurements behind the numbers.
const (
	// gcPercent is GOGC: garbage may grow to this share of what is alive before it is
	// collected.
	gcPercent = 50
	// smallGarbage is how much may gather in any case. A small heap is collected so often
	// that memory saved there is dearly paid.
	smallGarbage, mostPercent = 32 << 20, 400
	// groupShare of a control group's limit is for the heap; the rest, up to groupReserve,
	// is for what the group counts too: sockets' buffers, pages of files being written.
	groupShare, groupReserve = 0.9, 1 << 30
	// Room above maxmemory, and above what is alive when that is more. A quarter costs as
	// much as GOGC=25 would, twice of what it costs without a limit; a limit below what is
	// alive would have the collector run without an end.
	roomShare, roomFixed = 4, 64 << 20
	// tuneEvery is how often the heap is looked at.
	tuneEvery = 100 * time.Millisecond
)

// Sources of the limit, as INFO names them.
const (
	byNobody = "none"
	byEnv    = "GOMEMLIMIT"
	byGroup  = "cgroup"
	byMax    = "maxmemory"
)

// A collector adjusts Go's collector, of which a process has one, to the heap. What the
// environment says by GOGC and GOMEMLIMIT stays.
type collector struct {
	givenPercent, givenLimit bool
	group                    int64 // the limit of the control group; 0: none

	mu sync.Mutex // guards what was decided last
	collection
}

// A collection is what Go's collector is told.
type collection struct {
	percent int
	limit   int64 // math.MaxInt64: none
	by      string
}

// A heap is what of it counts here, in bytes.
type heap struct {
	live  int64 // at the last collection
	other int64 // taken from the system and neither objects nor free: stacks, the runtime's own, gaps
}

// newCollector looks at the process's environment and control group.
func newCollector() *collector {
	c := &collector{
		givenPercent: os.Getenv("GOGC") != "", givenLimit: os.Getenv("GOMEMLIMIT") != "",
		group:      groupLimit(os.DirFS("/")),
		collection: collection{readPercent(), debug.SetMemoryLimit(-1), byNobody},
	}
	if c.givenLimit {
		c.by = byEnv
	}
	return c
}

// decide is what the collector is to be told while h is on the heap.
func (c *collector) decide(h heap, maxmemory int64) collection {
	to := collection{percent: gcPercent, limit: math.MaxInt64, by: byNobody}
	if h.live > 0 {
		to.percent = int(min(max(gcPercent, 100*smallGarbage/h.live), mostPercent))
	}
	if c.group > 0 {
		to.limit, to.by = max(int64(groupShare*float64(c.group)), c.group-groupReserve), byGroup
	}
	if maxmemory > 0 && maxmemory < math.MaxInt64/2 {
		// Buffers of clients and what noeviction lets in come on top of maxmemory.
		if room := roomAbove(max(maxmemory, h.live)) + h.other; room < to.limit {
			to.limit, to.by = room, byMax
		}
	}
	return to
}

func roomAbove(n int64) int64 { return n + n/roomShare + roomFixed }

// tune tells Go's collector what is decided, where that is not about what it does.
func (c *collector) tune(h heap, maxmemory int64) {
	to := c.decide(h, maxmemory)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.givenPercent || about(int64(to.percent), int64(c.percent)) {
		to.percent = c.percent
	} else {
		debug.SetGCPercent(to.percent)
	}
	if c.givenLimit || to.by == c.by && about(to.limit, c.limit) {
		to.limit, to.by = c.limit, c.by
	} else {
		debug.SetMemoryLimit(to.limit)
	}
	c.collection = to
}

// about: a is within a thirtieth of b. Less is not worth the runtime's attention.
func about(a, b int64) bool { return max(a-b, b-a) <= b/30 }

// openCollector adjusts the collector from here on: loading fills the heap, too.
func (s *Server) openCollector(own bool) {
	if own {
		s.gc = newCollector()
		s.tuneCollector()
		s.spawn("collector", s.tendCollector)
	}
}

// tendCollector keeps Go's collector adjusted until the server ends.
func (s *Server) tendCollector() {
	tick := time.NewTicker(tuneEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
			s.tuneCollector()
		}
	}
}

func (s *Server) tuneCollector() {
	if s.gc != nil {
		s.gc.tune(readHeap(), s.cfg.Int(config.MaxMemory))
	}
}

// readHeap asks the runtime, which stops nobody for it.
func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return heap{live: n(0), other: n(1) - n(2) - n(3) - n(4)}
}

// infoCollector shows what Go's collector is told, be it by us or by the environment.
func (s *Server) infoCollector(t *infoText) {
	percent, limit, by := readPercent(), debug.SetMemoryLimit(-1), byNobody
	if s.gc != nil {
		s.gc.mu.Lock()
		by = s.gc.by
		s.gc.mu.Unlock()
	}
	if limit == math.MaxInt64 {
		limit = 0
	}
	t.field("ferricd_gc_percent", percent)
	t.bytes("ferricd_memory_limit", limit)
	t.field("ferricd_memory_limit_by", by)
	t.field("ferricd_collections_at_rest", s.rest.runs.Load())
}

func readPercent() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
