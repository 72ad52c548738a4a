package server

import (
	"runtime/debug"
	"time"

	"github.com/ferricd/ferricd/config"
)

// spawn runs fn in a goroutine that Shutdown waits for; a panic ends fn, not
// the process.
func (s *Server) spawn(name string, fn func()) {
	s.work.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				s.log.Error("background work panicked", "work", name, "panic", v, "stack", string(debug.Stack()))
			}
		}()
		fn()
	})
}

// cron does what is due hz times a second: expiry, rates, latency of clocks.
func (s *Server) cron() {
	period := s.period()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		s.tick(period)
		if p := s.period(); p != period {
			period = p
			tick.Reset(p)
		}
	}
}

func (s *Server) period() time.Duration {
	return time.Second / time.Duration(max(1, s.cfg.Int(config.Hz)))
}

func (s *Server) tick(period time.Duration) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("cron panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.cronTicks.Add(1)
	if s.cronPaused.Load() {
		return
	}
	s.router.ExpireCycle(period)
	s.evictClients()
	s.router.TrimTracking()
	t := s.wire.Totals()
	s.rates.sample(time.Now(), s.router.Counters().Commands.Load(), t.NetIn, t.NetOut)
	s.peak.observe(s.router.Used())
	s.saveWhenDue()
	s.tendReplicas()
}
