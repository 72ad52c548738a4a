// Package bench measures what contended keys cost: commands that read, modify
// and write, from 1 to 64 clients, on keys that everybody or nobody wants. It
// holds nothing that the server uses.
//
//	go test -bench . ./bench                            everything, some three minutes
//	go test -bench 'INCR/hot' ./bench                   one command, one hot key
//	go test -bench . -benchtime 1s -timeout 60m ./bench longer, for figures to be kept
//
// # What is run
//
// A benchmark is called command/keys/clients/system:
//
//	INCR APPEND GETSET LPUSH LMOVE     as a client would send them, run by the handlers of package
//	                                   command on the store; strings and lists are cut back every 64
//	                                   calls so that they do not grow
//	hot zipf uniform                   one key; 10000 keys, of which the first gets a tenth or so of the
//	                                   calls (zipf, s = 1.1); 10000 keys evenly. LMOVE moves between a
//	                                   key and its neighbour, and claims both
//	clients=1 4 16 64                  goroutines that call as fast as they can, and yield every 16 calls
//	                                   as a connection does between its batches
//
// The systems share handlers, store and keys, and differ in who keeps two calls
// from one key:
//
//	ferricd     package rmw: a latch per key, lines for those who lose
//	in-line     the same, but every call stands in line: what contention costs at worst
//	router      ferricd with all that a command passes between the wire and its reply:
//	            lookup, the gate entered and left, the clock, counters, sink. It allocates one
//	            copy of the reply, which connections do not
//	mutex       baseline: one sync.Mutex per shard
//	map         baseline: an xsync.MapOf as the table of latches; an entry lives as long as
//	            somebody holds it or waits, and goes from hand to hand
//	goroutine   baseline: one goroutine per shard runs everything, clients wait for it
//
// There are no sockets: a socket costs more than all of this together. What is
// shown is what is left of the cores when many want one key.
//
// # What is told
//
//	ns/op       time of all clients together divided by their calls: less is more throughput
//	cpu-ns/op   processor time per call, the collector's included: what is left to others. It does
//	            not suffer from what else the machine does
//	p99-ns      of 100 calls 99 took at most that long, from asking to having run; p99.9-ns alike.
//	            Every 7th call is timed. With more clients than cores it includes the time for which
//	            the scheduler let others run
//	fair        calls of the slowest client divided by those of the fastest: 1 is fair
//	fast%       calls that found their latches free; of ferricd only
//	line%       calls that stood in line. What is missing to 100 got the latch by a short look
//	allocs/op   allocations per call
//
// # Memory
//
// TestMemory, which make memory runs, fills ferricd and redis-server with the same
// elements and prints what each takes: of the resident set after MEMORY PURGE, and of
// what the servers themselves say that they use.
//
// # Beside redis-server
//
// Package compare, which make compare runs, measures whole servers over the network.
//
// Compare systems within one run, on one machine, with nothing else on it; the
// ratio between two lines means more than either. RESULTS.md holds figures.
package bench
