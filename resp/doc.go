// Package resp is the wire: it accepts connections, guards and parses what
// comes in, and encodes replies for RESP2 and RESP3. It knows no command.
//
// A connection's goroutine reads, lets the guard find whole commands, hands them
// as a Batch to the Handler and sends what the handler wrote to Conn.Reply, in
// one write if it is not large. While it waits for its client it holds no
// buffer. Three more goroutines exist at times, each ended before the connection
// is forgotten: the outbox's, which sends pushes while the connection waits or is
// parked; the watch's, which reads while it is parked; and, for the whole server,
// the ticker for idle clients.
//
// There are two transports, and no handler knows which one serves it. On Linux and
// for plain TCP a few loops wait for all clients over epoll: a loop's driver is the
// goroutine of one connection after the other. It reads and parses for all that are
// ready, lets the handler touch what they ask for, runs them, then sends what each
// was answered: who is first waits for the last of the turn, and all pay less. An idle
// connection has neither goroutine nor stack. TLS, Unix sockets and other systems,
// and everything with TransportGoroutine, have a goroutine for each connection's life. What must wait takes the driver with it:
// BeforePark, StepAside, and a flush that the socket does not take hand the loop to
// another goroutine and go on as on the other transport. When the connection next
// waits for its client the loop has it back. What must hold:
//
//   - A connection belongs to its loop or to a goroutine, never to both: the word
//     of its sock says to whom. The driver alone takes it from the loop; only its
//     own goroutine gives it back, and not while an event is noted that nobody has
//     looked at. Events are edges: one that is lost is a client that sleeps.
//   - What a loop is at stands in the loop. The driver keeps nothing of it in its
//     frames, for it may lose the loop in every call of the Handler.
//   - A descriptor is closed last, when the connection's goroutines have ended and
//     the loops' table has forgotten it: its number may be another's at once.
//   - A loop without work parks in the runtime's poller, which watches the loop's
//     own epoll descriptor, so that it holds no thread and nothing spins.
//
// The guard hands out the arguments itself: letting redcon parse what the guard
// had passed cost 55 ns for a SET, this costs 26. redcon's encoders are used,
// and its parser is what the guard is fuzzed against. An argument may not be
// longer than Redis allows, and a command has at most 2^20 of them, where Redis
// has no bound after AUTH.
//
// What differs between the two protocol versions is decided in Writer alone:
//
//	call          RESP2                     RESP3
//	Null          $-1                       _
//	NullArray     *-1                       _
//	Map(n)        *2n                       %n
//	Set(n)        *n                        ~n
//	Push(n)       *n                        >n
//	Bool          :1 :0                     #t #f
//	Double        bulk string               ,1.5
//	BigNumber     bulk string               (123
//	Verbatim      bulk string               =15:txt:…
package resp
