package server

import (
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A server that has nothing to do collects once and gives back what it does not need, so
// that its resident set is near its data as long as it is idle, whatever garbage the last
// load has left, and however much was deleted: Go's collector works by what is allocated
// and so not at all any more, and its scavenger keeps what the last load has needed.
//
// That is paid by nobody: the collection gives way to who comes, and only what is given
// back then, some 90 µs for each MB, may have to be waited for where there is one processor.
const (
	// restAfter is how many looks, tuneEvery apart, find a server quiet before it rests.
	restAfter = 4
	// Between two looks one that rests runs no more commands, and allocates no more bytes,
	// than somebody who looks after it asks for.
	restCommands, restAllocated = 500, 1 << 20
	// What may be gained, beyond what the last time has left, is so much at least, and
	// this share of the data.
	restGain, restShare = 8 << 20, 8
)

// A rest finds out when a server rests and has something to give back.
type rest struct {
	commands, allocated int64 // at the last look
	quiet               int   // looks
	left                int64 // of the heap beside the data, that a collection has not freed; -1: just run
	runs                atomic.Int64
}

// An activity is what a look sees, in counts and bytes.
type activity struct {
	commands, allocated int64 // since the start
	data                int64 // as the keyspace accounts it
	held                int64 // of the heap, and not given back
}

// due tells whether a server with that activity is to collect now: when it rests, and not
// for what was left the last time.
func (r *rest) due(a activity) bool {
	loose := a.held - a.data
	if r.left < 0 || loose < r.left {
		r.left = max(loose, 0)
	}
	busy := a.commands-r.commands > restCommands || a.allocated-r.allocated > restAllocated
	r.commands, r.allocated = a.commands, a.allocated
	if busy {
		r.quiet = 0
		return false
	}
	r.quiet++
	return r.quiet >= restAfter && loose-r.left >= max(restGain, a.data/restShare)
}

// tendRest gives memory back whenever the server rests, until it ends. Who sets GOGC
// decides himself when is collected.
func (s *Server) tendRest() {
	if s.gc == nil || s.gc.givenPercent {
		return
	}
	tick := time.NewTicker(tuneEvery)
	defer tick.Stop()
	r := &s.rest
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		if r.due(s.activity()) {
			debug.FreeOSMemory()
			r.left = -1
			r.runs.Add(1)
		}
	}
}

func (s *Server) activity() activity {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return activity{
		commands: s.router.Counters().Commands.Load(), data: s.router.Used(),
		allocated: n(0), held: n(1) + n(2) + n(3),
	}
}
