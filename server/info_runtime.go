package server

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	stats "github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/resp"
)

// rates are what INFO shows as instantaneous.
type rates struct {
	mu          sync.Mutex // guards last
	last        time.Time
	ops         stats.Rate
	input, outp stats.Rate
}

// sample notes the totals, about ten times a second however often it is called.
func (r *rates) sample(now time.Time, ops int64, in, out uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last) < 90*time.Millisecond {
		return
	}
	r.last = now
	r.ops.Sample(now, ops)
	r.input.Sample(now, int64(in))
	r.outp.Sample(now, int64(out))
}

// now are commands per second, and kilobytes per second in and out.
func (r *rates) now() (ops int64, in, out float64) {
	return r.ops.PerSecond(), float64(r.input.PerSecond()) / 1024, float64(r.outp.PerSecond()) / 1024
}

// peak is the most memory there was.
type peak struct{ n atomic.Int64 }

func (p *peak) observe(n int64) int64 {
	for {
		old := p.n.Load()
		if n <= old || p.n.CompareAndSwap(old, n) {
			return max(n, old)
		}
	}
}

// traffic is what the wire had counted when statistics were last reset.
type traffic struct {
	mu     sync.Mutex // guards before
	before resp.Totals
}

func (t *traffic) reset(now resp.Totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before = now
}

// since is what was counted after the last reset.
func (t *traffic) since(now resp.Totals) resp.Totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	now.Accepted -= t.before.Accepted
	now.Rejected -= t.before.Rejected
	now.NetIn -= t.before.NetIn
	now.NetOut -= t.before.NetOut
	now.Reads -= t.before.Reads
	now.Writes -= t.before.Writes
	now.QueryLimitDisconnect -= t.before.QueryLimitDisconnect
	now.OutputLimitDisconnect -= t.before.OutputLimitDisconnect
	return now
}

func (s *Server) resetStats() {
	s.traffic.reset(s.wire.Totals())
	s.stats.Commands.Reset()
	s.stats.Errors.Reset()
	s.rates.ops.Reset()
	s.rates.input.Reset()
	s.rates.outp.Reset()
	s.router.ResetCounters()
	s.runner.ResetStats()
	s.peak.n.Store(0)
	s.evictedClients.Store(0)
}

func (s *Server) infoCPU(t *infoText) {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	seconds := func(tv syscall.Timeval) string {
		return fmt.Sprintf("%d.%06d", tv.Sec, tv.Usec)
	}
	t.field("used_cpu_sys", seconds(self.Stime))
	t.field("used_cpu_user", seconds(self.Utime))
	t.field("used_cpu_sys_children", seconds(children.Stime))
	t.field("used_cpu_user_children", seconds(children.Utime))
	t.field("used_cpu_sys_main_thread", seconds(self.Stime)) // no thread is the main one
	t.field("used_cpu_user_main_thread", seconds(self.Utime))
}

func (s *Server) infoCommands(t *infoText) {
	for _, spec := range command.All().Rows() {
		c := s.stats.Commands.Stats(spec.ID())
		if c.Calls+c.Rejected+c.Failed == 0 {
			continue
		}
		t.field("cmdstat_"+spec.Lower(), fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			c.Calls, c.Usec, c.UsecPerCall(), c.Rejected, c.Failed))
	}
}

func (s *Server) infoErrors(t *infoText) {
	for _, e := range s.stats.Errors.All() {
		t.field("errorstat_"+e.Code, fmt.Sprintf("count=%d", e.Count))
	}
}

func (s *Server) infoLatency(t *infoText) {
	percentiles := s.cfg.Percentiles()
	for _, spec := range command.All().Rows() {
		h := s.stats.Commands.Latency(spec.ID())
		if h == nil || h.Count() == 0 {
			continue
		}
		var parts []string
		for _, p := range percentiles {
			parts = append(parts, fmt.Sprintf("p%s=%.3f", config.FormatPercentile(p), float64(h.Percentile(p))/1000))
		}
		t.field("latency_percentiles_usec_"+spec.Lower(), strings.Join(parts, ","))
	}
}

func osName() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return "Linux " + strings.TrimSpace(string(b)) + " " + runtime.GOARCH
}

// infoRMW shows how calls got at their keys, and who had to wait.
func (s *Server) infoRMW(t *infoText) {
	st := s.runner.Total()
	mean := func(total time.Duration, n uint64) string {
		if n == 0 {
			return "0.000"
		}
		return fmt.Sprintf("%.3f", float64(total.Nanoseconds())/float64(n)/1000)
	}
	usec := func(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d.Nanoseconds())/1000) }
	t.field("rmw_fast", st.Fast)
	t.field("rmw_probe_won", st.ProbeWon)
	t.field("rmw_queued", st.Slow)
	t.field("rmw_by_coordinator", st.ByCoordinator)
	t.field("rmw_handed_over", st.HandedOver)
	t.field("rmw_readied", st.Readied)
	t.field("rmw_batches", st.Batches)
	t.field("rmw_batch_max", st.BatchMax)
	t.field("rmw_queue_depth", st.Depth)
	t.field("rmw_queue_depth_max", st.DepthMax)
	t.field("rmw_wait_usec_mean", mean(st.WaitTotal, st.Waits))
	t.field("rmw_wait_usec_max", usec(st.WaitMax))
	t.field("rmw_hold_usec_mean", mean(st.HoldTotal, st.Holds))
	t.field("rmw_hold_usec_max", usec(st.HoldMax))
	t.field("rmw_timeouts", st.Timeouts)
	t.field("rmw_clients_gone", st.Gone)
	t.field("rmw_queue_full", st.Full)
	t.field("rmw_panics", st.Panics)
	t.field("rmw_coordinator_restarts", st.Restarts)
	t.field("rmw_latches_swept", st.Swept)
	t.field("rmw_long_holds", st.LongHolds)
	for i := range s.ks.Shards() {
		if sh := s.runner.Stats(i); sh.Slow > 0 || sh.Panics > 0 || sh.Swept > 0 {
			t.field(fmt.Sprintf("rmw_shard%d", i), fmt.Sprintf("fast=%d,queued=%d,depth=%d,depth_max=%d,wait_usec_max=%s,hold_usec_max=%s,timeouts=%d,panics=%d,swept=%d",
				sh.Fast, sh.Slow, sh.Depth, sh.DepthMax, usec(sh.WaitMax), usec(sh.HoldMax), sh.Timeouts, sh.Panics, sh.Swept))
		}
	}
}
