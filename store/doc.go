// Package store holds the data: databases, shards, entries and the objects in
// them, with their expiry times, sizes and access clocks.
//
// It knows no protocol and takes no latch. A Tx is the window through which one
// call sees the keys it declared; whoever begins a Tx says what it holds, and
// the rules of that Mode are what makes readers without a latch safe. The
// comments of Mode, Tx, block and group carry the invariants.
//
// From the outside in:
//
//	Keyspace   all databases; a hash says which shard and which latch slot   keyspace.go hash.go
//	shard      one partition, with the mutex that is held to publish         shard.go
//	directory  of the hash tables of a database in a shard                   index.go
//	block      a key with its value, immutable but for three fields          block.go
//	holder     a large object with its own mutex, edited in place            block.go list.go buffer.go
//
// A collection of few bytes has no holder: its elements are in the block, as a
// string's bytes are, and calls see it as a draft, which Publish makes a block of:
// draft.go.
//
// Hashes and sets are a packed while they are small and a dict when they are
// large: packed.go intset.go dict.go cell.go, and hash_object.go set.go on top of
// them. Fields of a hash that expire stand in hash_times.go.
//
// Walks (SCAN, KEYS, the active expire cycle, eviction) go over the same tables
// without any latch: scan.go expire.go evict.go.
//
// A Cut tells all keys as they were at one instant while calls go on, for
// snapshots: cut.go cut_shard.go.
package store
