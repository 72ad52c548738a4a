// Package replica is the wire between nodes: a follower copies the leader's log and
// files and tells how far it has come. It knows nothing of commands, keys or roles;
// who leads, and in which epoch, is told to it.
//
//	Hub        the accepting end of every node: its followers, while it leads, and
//	           the connections of clients that other nodes bring
//	Follow     one session of a follower
//	Dial.Proxy brings a client's connection to another node
//
// Source and Standby are the data behind the two ends.
//
// # What the leader's end can do
//
//	listen            Hub.Listen
//	append            the Tail that a Source gives; messages Frames
//	replace           message Segment, and Staging.Install for all files at once
//	delete            Hub.Dropped, message Drop
//	register a file   a Tail tells of each segment as it begins
//	files with hashes Pinned.Files, message Files
//	open a file       Pinned.Open
//	followers         Hub.Followers
//	clear             Hub.Resign
//	close             Hub.Close
//
// # How a session runs
//
// F is the follower, which connects, L the leader.
//
//	F Hello     L Hello      who is there; a nonce of each
//	F Proof     L Welcome    each shows that it knows the secret
//	F Position               history and end of its log
//	L Continue               the follower's log is a part of the leader's: stream
//	L CutBack                it is until there: F cuts, and sends its Position again,
//	                         or NeedCopy
//	L FullCopy  L Files      neither: here are a snapshot and the log behind it
//	F Request                what of it is missing, and from which offset on
//	L Chunk …   L FilesDone
//	F Installed L Continue
//	L Frames, Segment, Heartbeat, Drop, SnapshotHint, Goodbye
//	F Ack                    where log, memory and disk have come to
//	F Alive                  instead of Ack while there is no stream
//
// The chunks of all copies together keep to a rate: whoever joins takes processor and
// disk from clients otherwise. During a copy the log goes on. Nothing of that is held in memory: when the files
// are sent the leader's tail stands at their end and reads what has come since.
//
// The sender of a follower reads the log from its files. Who writes to the log never
// waits for a socket, and a follower that is slow costs its own two buffers.
//
// An acknowledgement is a position of the leader's log. So none is sent, and none is
// taken, before Continue: the same number in a log that has parted from it means
// something else. It never says more than was sent, and never goes back.
//
// # The machines
//
// dialer, acceptor, leader and follower take one event after the other and return
// what is to be done; they have no goroutine, socket or clock. testdata has their
// transcripts. The loops around them (Hub.shake, session, link) do what they say.
//
// # Frames of the wire
//
// Little endian; nothing is read beyond a length that was checked first, and memory
// is allocated only as bytes arrive.
//
//	0  u32  length of the payload
//	4  u32  CRC32C of the kind and the payload; in Frames of the kind and the first
//	        8 bytes of the payload, since the frames of the log have their own
//	8  u8   kind
//	9       payload
//
// str is a u16 length and bytes, list a u32 count and elements. A payload has
// nothing behind its last field.
//
//	 1 Hello         8 bytes magic, u16 version, u8 purpose, str cluster, str name,
//	                 str id, str incarnation, u64 highest epoch known, 32 bytes nonce,
//	                 str what a proxied connection says of its client
//	 2 Proof         u8 count, that many × 32 bytes
//	 3 Welcome       32 bytes, u64 epoch, str cluster
//	 4 Refuse        u16 code, str text, str name of the leader, u64 highest epoch known
//	 5 Position      list of (u64 epoch, u64 first), u64 end
//	 6 Continue      u64 epoch, u64 from
//	 7 CutBack       u64 epoch, u64 to
//	 8 NeedCopy
//	 9 FullCopy      u64 epoch
//	10 Files         list of (str name, i64 size, 32 bytes SHA-256, u8 sealed)
//	11 Request       list of (str name, i64 offset)
//	12 Chunk         str name, i64 offset, bytes
//	13 FilesDone     u64 end of the log in the files, u64 its epoch, str cluster
//	14 Installed     u64 end
//	15 Frames        u64 first, frames of the log
//	16 Segment       u64 first, u64 epoch
//	17 Heartbeat     u64 end, u64 commit, i64 Unix time in ms
//	18 Drop          u64 before
//	19 SnapshotHint
//	20 Goodbye       str reason, str name of the next leader
//	21 Alive
//	22 Ack           u64 epoch, u64 received, u64 applied, u64 durable, i64 Unix time in ms
//
// Header, magic and version are the same in all versions; so is Refuse.
//
// # The secret
//
// A proof is HMAC-SHA256 over a label that says which side signs, 32 bytes bound to
// the TLS session if there is one, and both Hellos with their nonces; the Welcome's
// covers epoch and cluster too. A nonce is never used again, so nothing that was
// overheard is of use. The dialler proves first. Two secrets are accepted, so that
// they can be changed one node after the other. Without TLS what follows the
// handshake is neither secret nor signed.
//
// # Deadlines
//
// The handshake has one, 5 s, and the number of connections in it is bounded. After
// it, on both sides: 64 KiB must leave within a timeout, and something must be heard
// within another. Each side tells every half second that it lives, but the leader
// not while the follower compares, cuts or installs: then it does not read. How long
// that may take has a bound of its own. To end a session its socket is closed first.
package replica
