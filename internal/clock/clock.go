package clock

import (
	"sync"
	"time"
)

// A Clock tells the time. Its methods may be called by many at once.
type Clock interface {
	// Now is the wall clock.
	Now() time.Time
	// UnixMilli is the wall clock in milliseconds, as expiries are kept.
	UnixMilli() int64
	// Nanos is the monotonic clock in nanoseconds, from an arbitrary start.
	Nanos() int64
}

type system struct{ start time.Time }

// System returns the machine's clock.
func System() Clock { return system{start: time.Now()} }

func (system) Now() time.Time   { return time.Now() }
func (system) UnixMilli() int64 { return time.Now().UnixMilli() }
func (s system) Nanos() int64   { return int64(time.Since(s.start)) }

// A Fake is a clock that stands still until it is told to go on.
type Fake struct {
	mu    sync.Mutex
	wall  time.Time
	nanos int64
}

// NewFake returns a clock whose wall shows start and whose monotonic side is at 0.
func NewFake(start time.Time) *Fake {
	return &Fake{wall: start.Round(0)} // without the machine's monotonic reading
}

// Now is the wall clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wall
}

// UnixMilli is the wall clock in milliseconds.
func (f *Fake) UnixMilli() int64 { return f.Now().UnixMilli() }

// Nanos is the monotonic clock.
func (f *Fake) Nanos() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nanos
}

// Advance lets d pass on both clocks; it panics when d is negative, since only
// the wall clock can go back.
func (f *Fake) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: time does not run backwards")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall = f.wall.Add(d)
	f.nanos += int64(d)
}

// Jump sets the wall clock, forwards or back, as an administrator does; no time
// passes on the monotonic one.
func (f *Fake) Jump(to time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall = to.Round(0)
}
