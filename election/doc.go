// Package election decides by etcd which node leads, and which nodes may.
//
//	Open, Coordinator   a node's part in it: its lease, its view of the cluster, its status
//	Campaign, Term      one leadership: its epoch, its deadline, the in-sync set under its fence
//	Admin               what `ferricd cluster` does
//	Fake                an etcd in memory with the faults of a real one, for tests
//
// etcd's client is imported here and nowhere else.
//
// # Keys
//
// All lie under /ferricd/<cluster's name>/ and hold JSON:
//
//	meta           the cluster's id, who may found it, what is added to a revision to make an epoch
//	insync         the in-sync set: names and ids of the nodes that may lead
//	leader         the leader, under its lease
//	nodes/<name>   a node and what it tells about itself, under its lease
//	handover       who is to lead next, under a short lease of its own
//
// # What holds
//
//  1. The leader key is written by one transaction only, which demands that there is
//     no leader and that the in-sync set is the one that was read, with the candidate
//     in it by name and by the id of its directory. Nobody waits in a queue, so nobody
//     is a candidate longer than a member.
//  2. An epoch is the create revision of the leader key plus a base that is fixed when
//     the cluster is founded: it grows with each leadership and is never used again.
//  3. The in-sync set is changed by the leader only, in a transaction that demands its
//     own leader key and the set that it knows. A request that was given up on and
//     arrives late therefore changes nothing that was written after it.
//  4. A Term is valid until a deadline: the moment before its last successful renewal
//     was sent, plus the lease's time, less a margin for clocks that run unequally. etcd
//     counts from a later moment, so the term ends here before it can end there. The
//     clock is the one that goes on while the machine is suspended, and it is read each
//     time somebody asks; no goroutine has to run for a term to be over.
//  5. A term that has ended is never valid again, whatever etcd answers later.
//  6. An empty etcd is not a new cluster. `ferricd cluster init` makes one, and the first
//     leader is the first node that campaigns, or the one that init names. A directory
//     that has been in a cluster founds another only if it is named.
//  7. An etcd that knows less than a node has seen was restored from a backup: its
//     in-sync set may be old, and the node does not lead by it (ErrRolledBack).
//
// # A node
//
// It has one lease at a time, renewed every third of its time by a goroutine that does
// nothing else. The lease is given back when the node is not healthy: who cannot write
// its log must not lead. When it is lost a new one is taken and the node registers
// again. Registering deletes what an earlier process with the same directory left,
// which cannot live any more since it would hold the directory's lock.
//
// The view is read as a whole, whenever a watch says that something has changed and
// twice in a lease's time in any case; so a watch that has silently died costs a
// moment, not the view.
//
// etcd need not be there. Whoever waits for it tries again with a growing pause, and
// says so once, not each time.
//
// Nodes write their positions every few seconds. etcd keeps what it is told until it is
// compacted: it should run with --auto-compaction-retention.
package election
