package replica

import (
	"context"
	"io"

	"github.com/ferricd/ferricd/aof"
)

// An Identity is what a node says of itself. Each field is at most maxName bytes.
type Identity struct {
	Name        string // of the node, for people
	ID          string // of its data directory
	Incarnation string // of this process, drawn at its start
}

// A Source is the leader's log and files, as a Hub reads them. Its methods are
// called by many at once. What takes long ends when its context does.
type Source interface {
	// Cluster is the id of the cluster the data belongs to.
	Cluster() string
	// History tells which epochs the log has, oldest first.
	History() []aof.EpochStart
	// End is the position behind what is written, Commit what is durable on all
	// nodes that may lead.
	End() uint64
	Commit() uint64
	// Tail reads the log from a frame boundary on; aof.ErrGone when it is not there.
	Tail(from uint64) (Tail, error)
	// Pin holds the files of one instant for a full copy.
	Pin(ctx context.Context) (Pinned, error)
}

// A Tail reads a log that is being written, for one goroutine.
type Tail interface {
	// Next waits for more and returns whole frames, about max bytes of them but at
	// least one, or the beginning of a segment. They are valid until the next call.
	// aof.ErrGone when the log has dropped what comes next.
	Next(ctx context.Context, max int) (aof.Chunk, error)
	Close() error
}

// A FileInfo describes a file of a full copy.
type FileInfo struct {
	Name   string
	Size   int64
	SHA256 [32]byte
	Sealed bool // it is never written to again
}

// Pinned are the files of one instant: a snapshot and the log behind it up to End.
// They stay readable until Release, whatever the node removes.
type Pinned interface {
	Files() []FileInfo
	End() uint64
	Epoch() uint64 // of the log at End
	Open(name string) (PinnedFile, error)
	Release()
}

// A PinnedFile is read at any offset.
type PinnedFile interface {
	io.ReaderAt
	io.Closer
}

// A Standby is the follower's side of the data: raw frames in, positions out.
// Append, Segment, CutBack and Stage are called by one goroutine; Positions and
// Moved by another one beside it. They are not interrupted when the context of
// Follow ends: who closes the Standby makes them return.
type Standby interface {
	// Append takes whole frames that continue the log, verbatim. It may wait for
	// room. The bytes are not valid after it.
	Append(frames []byte) error
	// Segment: the leader began a segment here, at the end of the log.
	Segment(first, epoch uint64) error
	// Positions are absolute: in the log, in memory, and on disk.
	Positions() (received, applied, durable uint64)
	// Moved is closed when one of the positions has moved since the call.
	Moved() <-chan struct{}
	History() []aof.EpochStart
	// CutBack makes to the end of log and memory; ErrCannotCut if only a full copy helps.
	CutBack(to uint64) error
	// Stage begins a full copy, or goes on with one that was interrupted.
	Stage() (Staging, error)
}

// Staging is where the files of a full copy gather until they are whole.
type Staging interface {
	// Want tells which of the leader's files are not there yet, and from which
	// offset on each is missing.
	Want(files []FileInfo) ([]Want, error)
	// Write appends to a file of Want's answer at the offset it has come to.
	Write(name string, offset int64, p []byte) error
	// Done verifies a file that is complete.
	Done(name string) error
	// Install puts the files in the place of the data; the Standby goes on at lsn.
	Install(lsn uint64, cluster string, epoch uint64) error
	// Close keeps what has gathered for the next time; it follows Install too.
	Close() error
}

// A Want asks for a file from an offset on.
type Want struct {
	Name   string
	Offset int64
}

// An Ack is how far a follower has come. Positions are absolute.
type Ack struct {
	Epoch                      uint64
	Received, Applied, Durable uint64
}
