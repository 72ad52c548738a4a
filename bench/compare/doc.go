// Package compare measures ferricd beside redis-server and, where it is installed,
// valkey-server. It is a test, which make compare runs:
//
//	make compare                             everything: half an hour
//	make compare ONLY='^(GET|SET) c50 P16'   scenarios whose name matches
//	make compare ROUNDS=1 SECONDS=0.2        a quick look
//	make compare SVG=bench/compare.svg       a chart too, of what has a goal
//
// # Method
//
// All servers of a group run at the same time on loopback, each filled with the same
// keys, all pinned to one core; the client is on another. They are loaded in turn, A B C
// A B C, in odd rounds the other way round, so that what else the machine does meets all
// of them. Figures are medians over the rounds. Ratios are to redis-server in the same
// run; they mean more than the figures.
//
// The client is a closed loop: each connection sends a batch, waits for all of its
// replies and sends the next. Requests are built before the clock starts and replies are
// counted, not decoded. What it costs itself is in the table: where that is not less than
// the servers' own, throughput and latency are the client's, and only the processor time
// means something. With one in flight it costs about what a server does, since both
// read and write once per command. What a server still does after its round, such as a
// collection, is in no figure of its own.
//
// # What is told
//
//	cpu µs      user and system time of the server by the kernel's account, per command. The
//	            kernel counts in 10 ms: of one second that is a hundredth
//	ops/s       commands per second, the last batch's replies included
//	p50 … µs    from sending a batch to its last reply. At saturation that is mostly the queue
//	client µs   processor time of the client per command
//
// The name of a scenario is its command, connections (c), commands in flight on each (P),
// how keys are drawn — evenly, all the same (hot), or by zipf — and the size of a value;
// then appendfsync, where there is a log. GET+SET is half of each, batch by batch, and tells
// the latency of GET. MSET sets ten keys and counts as one command. Keys of 1 KiB values are
// a tenth as many; 5x keys are five times as many.
//
// Memory is the growth of the resident set, from the empty server to a second after the
// load, with no collection asked for.
package compare
