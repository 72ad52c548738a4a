// Package persist keeps the data on disk: it brings together the keyspace, the log
// (aof), snapshots, and the directory that both lie in.
//
//	Journal   the router's Sink: the log, or what stands in its place without one
//	Keeper    loads what is there, takes snapshots, switches the log on and off
//	Feed      the journal as a follower is told it, behind a Copy of all data
//
// A node of a cluster has
//
//	Keeper.Lead, Standby   to begin a leadership; to follow one
//	Standby                takes the leader's frames: logs them as they are, applies
//	                       them in batches with the gate closed, goes back (CutBack)
//	Keeper.Tail, Pin       what a leader gives: the log as it grows; all data as files
//	Staging                a full copy that is fetched beside the data and then takes
//	                       its place (Install)
//
// and it has what is done with a directory from outside:
//
//	Check, Repair      whether a server starts from it; what can be done if not
//	Dump, Backup       its contents as commands; a copy
//	ImportRDB          a file of Redis becomes one
//	Keeper.ImportLog   a log of Redis does
//	Keeper.Export      it becomes a file of Redis
//
// Check, Dump and Backup work beside a server: they pin the files of one instant
// (pin.go). Imports leave nothing behind when they fail.
//
// A directory holds the newest snapshot and the log from its position on. A
// snapshot begins with the gate closed for an instant: the log goes on in a new
// segment, the keyspace is cut, and everything else is done while calls go on. When
// the snapshot is durable, what is older goes.
//
// # As a standby
//
// A snapshot has the position up to which the log is applied, and lies in the middle
// of a segment: those begin where the leader's do. It waits until the log is durable
// up to there, or a crash would leave a log that ends before it. Nobody else writes;
// a call that does so nevertheless ends the standby, as a unit does that cannot be
// applied: memory is not saved any more, and only a full copy helps.
//
// CutBack removes snapshots behind the position, then what is behind it in the log,
// the newest first, and loads what is left. A full copy lies under names of its own
// until all of it is there, verified and read as a start would read it. Then a marker
// is made durable, and from there on the copy counts: what is not its is removed, its
// files get their names, the manifest says whose they are, the marker goes. Every
// step can be done twice, and a start does what a crash has left.
//
// # Switching the log on
//
// While appendonly is being switched on there is a log whose beginning no snapshot
// covers yet. The manifest names its first position until the snapshot is durable,
// and recovery takes such a log away: the switch had not been acknowledged.
package persist
