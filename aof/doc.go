// Package aof is the log of a data directory: what every finished call did, in the
// order in which it took effect.
//
// # Positions
//
// An LSN is a position in the logical log, in bytes: all frames one behind the
// other, from the first that was ever written, without the headers of segments. The
// LSN of a record is the position just after its frame, so 0 means nothing, "not yet
// durable" is a subtraction, and finding a position in a file is one too. A segment
// is named after the position of its first frame; the next one's name says where it
// ends. frame.go and segment.go hold the formats.
//
// # Writing
//
// Append copies a call's records into a buffer under a short mutex. One goroutine
// takes what has gathered, computes checksums, writes, and changes segments; under
// Always it syncs as well, once for all who wait (group commit), under EverySec
// another goroutine does. An idle log has no timer and no work. When the disk is
// slower than the callers the buffer reaches its bound and Room says no: who is to
// write waits in AwaitRoom before it holds anything.
//
// The first write, sync, or new segment that fails ends the log: after a failed
// sync nobody knows what is on disk, and a second one on the same descriptor may
// lie. Nothing is durable after that; the process may go on to serve reads.
//
// # Reading
//
// Recover reads a log from a position, as a stream. Only the end of the last
// segment can be torn, since a segment is durable before the next one exists; it is
// cut off when no whole record follows the bad place. Whatever else does not fit is a
// BrokenError, which names file, offset and what would repair it. A whole record is
// one whose checksum fits and whose LSN is that of its place.
//
// # Following another log
//
// A log may be another one's copy: AppendFrames takes its frames as they are, if they
// fit at the end, RotateAt begins segments where it does, and SetFollowing keeps the
// log from beginning any of its own. So the bytes at one position are the same on all
// nodes, headers of segments included. They go through the same buffer, writer and
// policies as what Append takes.
//
// A Tail reads the files of a log while it is written, up to Written and not only to
// what is durable. It costs writers a look at a counter. It is woken, never polls,
// and goes on in a segment that DropBefore has removed.
//
// An epoch is a leadership. AppendEpoch begins one with a segment and a unit without
// records, so an epoch begins only where a segment does, and the headers are the
// log's History. Diverge compares two of them; Truncate cuts a log back.
//
// The package knows nothing of commands, keys or databases but their number.
package aof
