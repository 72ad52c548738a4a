// Package proxy takes the commands of a follower's clients to the leader.
//
//	Proxy   who leads, how to reach it, and all links
//	Link    one client's way to the leader: at most one connection, opened with the
//	        first command; the router's Upstream
//	scanner finds where replies end, and what they are, in the bytes as they come
//	Hello   what the leader is told of the client when the connection is opened
//
// A client's goroutine sends a run of commands in one write and waits until each has
// its reply. A goroutine per link reads. While a run is under way it hands all bytes
// over in the order in which they came; otherwise nothing but messages can come, and
// those go to the client's outbox. Nothing is translated. Little is gathered: replies
// pass through a buffer of fixed size, and the leader waits when it is full.
//
// # Counting replies
//
// Each command has one reply, but for SUBSCRIBE and its kin, of which each channel has
// one. What begins with > is a message unless it is such a confirmation and one is
// awaited; in RESP2 a subscriber's messages are told by their first word, and nothing
// else that a subscriber may send is answered by an array that begins so. How many
// confirmations an UNSUBSCRIBE without names has follows from the counts in those that
// came before.
//
// # When the leader goes
//
// What was not sent waits for the next leader, for a bounded time. So does what the
// leader has refused with MASTERDOWN or LOADING, and what stands behind that: a leader
// ends a connection that a follower passes on with the first such refusal. All else
// that has no answer is in doubt, and is never sent twice. A client of which the leader
// kept something, a transaction, watched keys, subscriptions, tracking, is let go.
package proxy
