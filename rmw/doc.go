// Package rmw runs calls under the latches of their keys: what reads, modifies
// and writes a key does so alone.
//
//	call ──► claim the latches (one CAS each) ──► run inline ──► release
//	             │ lost
//	             ▼
//	         a short look (2 µs, if nobody else waits)
//	             │ lost
//	             ▼
//	         the latch's line ──► the shard's coordinator ──► runs it, if it is short
//	          (first come,                               └──► hands the latch over, and the
//	           first served)                                  call runs in its own goroutine
//
// The fast path switches no goroutine, takes no lock and allocates nothing. The
// slow path is for the contended: losers stand in a line per latch, asleep, and
// one goroutine per shard, the coordinator, serves the lines. It runs up to
// Options.Drain short calls under one claim, and then the next line; whatever
// takes longer gets the latch handed over, so that a long call or a latch that is
// never released delays nobody at another latch.
//
// A call may be several commands of one client for one latch (Call.Size). They
// share the claim, or else the place in line, and of what a coordinator runs
// under one claim they count as so many.
//
// # What is guaranteed
//
//   - A call runs alone among the calls that share a latch with it, and under the
//     gate (see below).
//   - While somebody waits for a latch nobody passes him: the latch goes to the
//     line, in the order of arrival. A blocked call that has been readied goes to
//     the front of it.
//   - Run answers exactly once. An error other than a *PanicError means that the
//     call has not run and never will: one ticket, moved by compare-and-swap from
//     queued to claimed or to withdrawn, decides. It is claimed after the latch
//     is taken, and a withdrawn call is never used again.
//   - Waiting ends: by the latch, after Call.Wait, when the client leaves, or at
//     Stop. Lines are bounded per latch and per shard.
//   - Work that panics leaves its latches free and open. A coordinator that
//     panics is replaced; the new one keeps the lines, and the call in hand is
//     answered.
//
// # The gate
//
// Every call runs, and never waits, under a read token of the gate, the Pass.
// Exclusive closes the gate; with it closed nothing is half done anywhere. A Pass
// is held for a whole batch of calls. Run gives it back while a call waits, so
// the gate can be closed while calls stand in line, hold lower latches, or are
// parked.
//
// # Goroutines
//
// The sweeper runs from New to Stop. Coordinators are started one by one, when
// for the first time somebody has to wait in their shard; from then on they are
// parked while nobody does and cost their stack.
//
// # What it is not
//
// It knows no commands, keys, values or protocol; calls come with latches and an
// owner. It has no timetable for blocked calls: who waits for which key, and in
// which order, is the router's to keep.
package rmw
