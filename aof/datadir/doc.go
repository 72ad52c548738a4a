// Package datadir opens a data directory: it makes one, locks it against other
// processes, and reads and writes the manifest, which says whose the directory is
// and in which format it is kept.
//
//	LOCK                  held while a process uses the directory; has its number
//	manifest.json         format, cluster, node, hash seed, epoch
//	log-<position>.fer    segments of the log (package aof)
//	snapshot-<lsn>.fer    snapshots (package snapshot)
//	staging-<name>        a file of another node's data that is being fetched (package persist)
//	staging.json          such data is being put in place; a start finishes that
//
// The cluster is whose log it is, the node which copy of it. A repair that takes
// something away makes the directory another node, and so does a backup: what a
// cluster knows of the old one, above all what it has confirmed, no longer holds.
// The epoch is the highest that the node has heard of. LOCK, manifest and snapshots
// are each node's own; segments are the same on all.
//
// What is in logs and snapshots it does not know; it only sees that there are none
// in a directory without a manifest, since nobody could tell whose they are.
package datadir
