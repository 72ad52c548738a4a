// Package cluster makes one of several nodes the leader and the others its followers.
//
// It brings together who leads (package election), how a follower gets the log
// (package replica), what a node has on its disk (package persist), and what its
// clients are answered (package router).
//
//	Node      one goroutine that is in turn follower, candidate and leader
//	quorum    the leader's: who must have a record before it counts, for one term
//	Sink      the router's: a record is durable when it is here and on every member
//
// # Why no acknowledged write is lost
//
// With ack-policy insync a reply waits until what it rests on is on the disk of the
// leader and of every node that etcd would accept as the next leader. A node that is
// late leaves that list first, by a transaction that fails when this leader is none
// any more, and only then is it no longer waited for. Who wins an election is on the
// list, so it has everything that was answered.
//
// # Why a deposed leader answers nothing
//
// A write needs the acknowledgements of members, and one of them leads already. A
// read is answered only while the lease cannot have run out, by a clock that was
// read before the renewal was sent (election.Term.Valid), looked at when the reply
// is released. What is not released is in doubt if it wrote, and otherwise as if it
// had not been asked.
package cluster
