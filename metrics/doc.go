// Package metrics counts what a server does: counters, rates, latency
// histograms, calls per command, error replies by code, the slow log and the
// latency monitor.
//
// What a call touches on its way (Counter, Commands, Histogram) takes no lock
// and, after a command's first call, allocates nothing: an addition to a cell
// that the caller's id chooses, so that callers on different cores seldom meet.
// The rest is for what is rare, and is guarded by a mutex.
//
// Everything is plain data of an instance. It formats no INFO, knows no command
// by name and no clock: the caller gives row numbers, durations and the time.
package metrics
