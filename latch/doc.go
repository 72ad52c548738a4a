// Package latch holds the words by which a call owns a key for as long as it
// runs: a flat table of 64-bit latch words, a second table of sequence numbers
// for readers that take no latch, and the sweeper that frees what a goroutine
// left behind.
//
// It is no lock: nobody waits in here, and nothing in here knows keys, commands
// or calls. Who loses a claim and what becomes of him is package rmw's business.
// A key has no latch of its own; it is hashed to a slot of its shard, and two
// keys in one slot wait for each other and are never wrong. Nothing is inserted,
// deleted or allocated once the table stands.
//
// # The word
//
//	[held:1][waited:1][owner:62]
//
//	free            0
//	fast claim      CAS 0 → held|owner                   fails if held or waited for
//	release         CAS held|w|owner → w (the mark)      whoever releases a marked one tells the line
//	claim or mark   CAS 0 → held|owner, or w → w|waited  by who will stand in line
//	mark            OR waited                            the line has somebody in it
//	unmark          AND ^waited                          the line is empty, held or not
//	take from line  CAS waited → held|waited|owner       the coordinator only
//	hand over       CAS held|w|from → held|w|to          the coordinator, to a call it has claimed
//
// The sequence number of a latch is even while readers may trust what they see
// and odd while a call that publishes more than once is at work.
//
// # What must hold
//
//  1. A key is changed only by the holder of its latch while the gate is
//     read-locked, or by who has closed the gate.
//  2. Who waits for a latch holds only lower ones, ordered by ID, and no token of
//     the gate. Out of order one may try, never wait.
//  3. A latch is released by the goroutine that runs the call, in a defer,
//     whatever the handler did.
//  4. While a latch is waited for only the line takes it: newcomers fail.
//  5. An owner's number is never used again, and an owner is gone only after its
//     goroutine has returned. So the sweeper cannot free a latch in use.
//  6. Calls that conflict appear in the log in the order in which they held the
//     latch, and before anyone can see what they did.
//  7. A coordinator never waits for a latch, a channel, a socket or a reader.
//     Background work tries, and when that fails too often stands in line with
//     nothing in its hands.
//  8. Who closes the gate holds no latch and no token.
//
// Of these the package itself enforces 4, its half of 5, and that a latch is
// released or handed on by its holder alone (it panics otherwise). Built with
// -tags invariants it also remembers who holds what and panics when somebody
// marks a latch, that is, is about to wait, below one that he holds.
package latch
