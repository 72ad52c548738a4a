package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const latencySamples = 160

// LatencyMonitor keeps, for every event that has been slow, when and how slow:
// the data of LATENCY LATEST, HISTORY, GRAPH and DOCTOR.
type LatencyMonitor struct {
	mu     sync.Mutex
	events map[string]*latencySeries
}

type latencySeries struct {
	max     int64
	samples []LatencySample // oldest at start once it is full
	start   int
}

// LatencySample is the longest delay of one second.
type LatencySample struct {
	Time int64 // unix seconds
	Ms   int64
}

// LatencyEvent is the state of one event.
type LatencyEvent struct {
	Name   string
	Latest LatencySample
	MaxMs  int64 // since the last reset
}

// LatencyAnalysis is what an event's samples say together.
type LatencyAnalysis struct {
	Samples      int
	MinMs, MaxMs int64
	AllTimeMs    int64
	AvgMs        int64
	DeviationMs  int64 // mean absolute deviation
	PeriodS      int64 // seconds between two samples
}

// NewLatencyMonitor returns one without events.
func NewLatencyMonitor() *LatencyMonitor {
	return &LatencyMonitor{events: map[string]*latencySeries{}}
}

// Add notes that an event took so many milliseconds. Names are the server's
// own: nothing bounds how many there are.
func (m *LatencyMonitor) Add(event string, now time.Time, ms int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.events[event]
	if s == nil {
		s = new(latencySeries)
		m.events[event] = s
	}
	s.add(LatencySample{Time: now.Unix(), Ms: ms})
}

func (s *latencySeries) add(x LatencySample) {
	s.max = max(s.max, x.Ms)
	n := len(s.samples)
	if n > 0 {
		if last := &s.samples[(s.start+n-1)%n]; last.Time == x.Time {
			last.Ms = max(last.Ms, x.Ms)
			return
		}
	}
	if n < latencySamples {
		s.samples = append(s.samples, x)
		return
	}
	s.samples[s.start] = x
	s.start = (s.start + 1) % n
}

// history is a copy of the samples, oldest first.
func (s *latencySeries) history() []LatencySample {
	return append(slices.Clone(s.samples[s.start:]), s.samples[:s.start]...)
}

// Latest returns the state of every event, in order of their names.
func (m *LatencyMonitor) Latest() []LatencyEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []LatencyEvent
	for _, name := range slices.Sorted(maps.Keys(m.events)) {
		s := m.events[name]
		n := len(s.samples)
		list = append(list, LatencyEvent{Name: name, Latest: s.samples[(s.start+n-1)%n], MaxMs: s.max})
	}
	return list
}

// History returns an event's samples, oldest first, at most 160, and the
// longest delay since the last reset; none for an event that has not been slow.
func (m *LatencyMonitor) History(event string) (samples []LatencySample, maxMs int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.events[event]
	if s == nil {
		return nil, 0
	}
	return s.history(), s.max
}

// Analyze sums up an event's samples.
func (m *LatencyMonitor) Analyze(event string, now time.Time) LatencyAnalysis {
	samples, most := m.History(event)
	a := LatencyAnalysis{Samples: len(samples), AllTimeMs: most}
	if len(samples) == 0 {
		return a
	}
	a.MinMs = samples[0].Ms
	var sum int64
	for _, s := range samples {
		a.MinMs, a.MaxMs = min(a.MinMs, s.Ms), max(a.MaxMs, s.Ms)
		sum += s.Ms
	}
	n := int64(len(samples))
	a.AvgMs = sum / n
	var off int64
	for _, s := range samples {
		off += max(s.Ms-a.AvgMs, a.AvgMs-s.Ms)
	}
	a.DeviationMs = off / n
	a.PeriodS = max(1, (now.Unix()-samples[0].Time)/n)
	return a
}

// Reset forgets the named events, or all when none is named, and tells how many
// there were.
func (m *LatencyMonitor) Reset(events ...string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(events) == 0 {
		n := len(m.events)
		clear(m.events)
		return n
	}
	n := 0
	for _, name := range events {
		if _, ok := m.events[name]; ok {
			delete(m.events, name)
			n++
		}
	}
	return n
}
