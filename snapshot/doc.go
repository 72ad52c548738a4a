// Package snapshot writes the keyspace as it was at one instant into a file, and
// reads such files.
//
// A file is named after the log position that it stands at: it holds exactly what
// the log's records before that position have made. Taken is the way from a
// store.Cut, while writers go on; Writer writes one from any source of keys.
//
//	snapshot-<lsn, 20 digits>.fer
//
//	header   64 bytes: magic, format, databases, LSN, epoch, time; CRC-32C
//	chunks   24 bytes of head: length, kind, database, commands, keys, CRC-32C of
//	         head and payload. The payload is commands in RESP, each whole, that
//	         make the keys; those of a large value go on in the next chunk.
//	end      a chunk of its own kind: the counts of all that, and a CRC-32C of the
//	         file before it
//
// Numbers are little-endian. A file without its end is no snapshot. It is written
// under a temporary name and renamed when it is durable, so only damage makes a
// snapshot broken. A broken newest one is an error: what is older is used only if
// the log reaches back to it, and then that is said (Newest).
//
// What the commands do not carry: when consumers were last seen, access clocks,
// and whether a string that reads as an integer is kept as one.
//
// The package knows nothing of the log; who takes a snapshot keeps the log from
// its position on.
package snapshot
