// Package compare measures ferricd beside redis-server and, where it is installed,
// valkey-server. It is a test, which make compare runs:
//
//	make compare                                everything that goals speak of, and more: some 25 minutes
//	make compare CONTINUE=1                     what an interrupted run of this commit has not measured
//	make compare CONTINUE=1 OUT=bench ONLY=GET  a piece of that
//	make compare ONLY='^(GET|SET) c50 P16'      a look at what has such a name; writes no file
//	make compare ONLY=. ROUNDS=1 SECONDS=0.1    a look at all
//	make compare EVERY=1 OUT=/tmp/every         every combination
//
// It prints each result when it is there and the goals at the end, and after each result
// writes bench/compare.md, with goals and tables, bench/compare.svg, a chart of what has a
// goal, and bench/compare.json, from which CONTINUE goes on. Ctrl-C ends a run after the
// scenario that is measured.
//
// # Method
//
// All servers of a group run at the same time on loopback, each filled with the same
// keys, all pinned to one core; the client is on another. They are loaded in turn, A B C
// A B C, in odd rounds the other way round, so that what else the machine does meets all
// of them. Figures are medians over the rounds. Ratios are to redis-server in the same
// run, with the same settings of the log; they mean more than the figures.
//
// The client is a closed loop: each connection sends a batch, waits for all of its
// replies and sends the next. Requests are built before the clock starts and replies are
// counted, not decoded. What it costs itself is in the table, and the report names the
// loads in which that was not less than what a server cost: there throughput and latency
// are as much the client's, and only the processor time means something. With one in
// flight both read and write once per command, so that the two are close. From one of its
// rounds to the next a server is stopped: what it would still do, such as a collection, it
// does in a round of its own, and not beside another server's.
//
// # What is told
//
//	cpu µs         user and system time of the server by the kernel's account, per command
//	in the rounds  the least and the greatest ratio of it in one round: how far to trust it
//	ops/s          commands per second, the last batch's replies included
//	p50 … µs       from sending a batch to its last reply. At saturation that is mostly the queue
//	client µs      processor time of the client per command
//	others         cores that were busy with neither the server nor the client
//
// In brackets stands the ratio to redis-server.
//
// The name of a scenario is its command, connections (c), commands in flight on each (P),
// how keys are drawn — evenly, all the same (hot), or by zipf — and the size of a value.
// What is called logged is measured on servers without a log, with everysec, and with
// always, in one turn. GET+SET is half of each, batch by batch, and tells the latency of
// GET. MSET sets ten keys and counts as one command. Keys of 1 KiB values are a tenth as
// many; 5x keys are five times as many. Where a load makes collections grow, the next
// begins with what was there before it.
//
// Memory is the growth of the resident set, from the empty server to a second after the
// load, with no collection asked for.
package compare
