// Package clock is the time, as something that a test can turn on.
//
// It has the two kinds that must not be mixed up: the wall clock, in which
// expiries are written and which may jump, and the monotonic one, in which
// durations and deadlines are measured. It has no timers: what waits, waits on
// its own.
package clock
