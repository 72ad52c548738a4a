package replica

import (
	"fmt"
	"strings"
	"time"

	"github.com/ferricd/ferricd/aof"
)

// Version of the protocol. Two nodes talk only if theirs are equal.
const Version = 1

const magic = "FERRREPL"

// Purpose is what a connection is for.
type Purpose uint8

const (
	// PurposeStream: the dialler wants to follow.
	PurposeStream Purpose = 1
	// PurposeProxy: behind the handshake the connection is a client's.
	PurposeProxy Purpose = 2
)

// Bounds of what a peer may make us hold.
const (
	maxName    = 255     // names, ids, incarnations, cluster ids
	maxText    = 512     // what is for people
	maxExtra   = 4 << 10 // what a proxied connection says of its client
	maxEpochs  = 1024    // of a history
	maxFiles   = 1 << 16
	maxChunk   = 256 << 10
	maxSecrets = 2
	macSize    = 32
	nonceSize  = 32
	hashSize   = 32
)

type kind uint8

// The kinds of message; their numbers are the wire's.
const (
	kindHello kind = iota + 1
	kindProof
	kindWelcome
	kindRefuse
	kindPosition
	kindContinue
	kindCutBack
	kindNeedCopy
	kindFullCopy
	kindFiles
	kindRequest
	kindChunk
	kindFilesDone
	kindInstalled
	kindFrames
	kindSegment
	kindHeartbeat
	kindDrop
	kindSnapshotHint
	kindGoodbye
	kindAlive
	kindAck
	kinds
)

// A message is what one frame of the wire carries.
type message interface {
	kind() kind
	fields(*fields)
}

type (
	// hello is the first message of both sides.
	hello struct {
		version uint16
		purpose Purpose
		cluster string // "" for who has no data yet
		id      Identity
		epoch   uint64 // the highest one seen
		nonce   [nonceSize]byte
		extra   []byte // PurposeProxy
	}
	// proof shows that the dialler knows a secret: one code for each it has.
	proof struct{ macs [][macSize]byte }
	// welcome shows that the accepting side knows it too, and ends the handshake.
	welcome struct {
		mac     [macSize]byte
		epoch   uint64 // of the leadership; 0 for a proxied connection
		cluster string
	}
	refuse struct {
		code   uint16
		text   string
		leader string
		epoch  uint64
	}

	// position is where the follower's log ends, and how it came there.
	position struct {
		history []aof.EpochStart
		end     uint64
	}
	// resume is the message Continue: the stream begins at from.
	resume struct{ epoch, from uint64 }
	// cutBack asks the follower to cut its log and to send its position anew.
	cutBack struct{ epoch, to uint64 }
	// needCopy is the answer of who cannot.
	needCopy struct{}
	// fullCopy announces files.
	fullCopy struct{ epoch uint64 }
	files    struct{ list []FileInfo }
	request  struct{ list []Want }
	// chunk is a part of the file that is being sent.
	chunk struct {
		name   string
		offset int64
		data   []byte
	}
	// filesDone: everything that was requested was sent. lsn is where the log in
	// the files ends.
	filesDone struct {
		lsn, epoch uint64
		cluster    string
	}
	installed struct{ lsn uint64 }

	// frames of the log, whole and verbatim, the first one beginning at first.
	frames struct {
		first uint64
		data  []byte
	}
	segment   struct{ first, epoch uint64 }
	heartbeat struct {
		end, commit uint64
		now         int64 // Unix time in ms
	}
	// drop tells that the leader has removed what is before.
	drop struct{ before uint64 }
	// snapshotHint tells that the leader was asked to take a snapshot.
	snapshotHint struct{}
	goodbye      struct{ reason, next string }
	// alive is sent by a follower that is not in the stream yet.
	alive struct{}
	ack   struct {
		epoch, received, applied, durable uint64
		now                               int64
	}
)

func (*hello) kind() kind        { return kindHello }
func (*proof) kind() kind        { return kindProof }
func (*welcome) kind() kind      { return kindWelcome }
func (*refuse) kind() kind       { return kindRefuse }
func (*position) kind() kind     { return kindPosition }
func (*resume) kind() kind       { return kindContinue }
func (*cutBack) kind() kind      { return kindCutBack }
func (*needCopy) kind() kind     { return kindNeedCopy }
func (*fullCopy) kind() kind     { return kindFullCopy }
func (*files) kind() kind        { return kindFiles }
func (*request) kind() kind      { return kindRequest }
func (*chunk) kind() kind        { return kindChunk }
func (*filesDone) kind() kind    { return kindFilesDone }
func (*installed) kind() kind    { return kindInstalled }
func (*frames) kind() kind       { return kindFrames }
func (*segment) kind() kind      { return kindSegment }
func (*heartbeat) kind() kind    { return kindHeartbeat }
func (*drop) kind() kind         { return kindDrop }
func (*snapshotHint) kind() kind { return kindSnapshotHint }
func (*goodbye) kind() kind      { return kindGoodbye }
func (*alive) kind() kind        { return kindAlive }
func (*ack) kind() kind          { return kindAck }

var kindNames = [kinds]string{
	kindHello: "hello", kindProof: "proof", kindWelcome: "welcome", kindRefuse: "refuse",
	kindPosition: "position", kindContinue: "continue", kindCutBack: "cut-back", kindNeedCopy: "need-copy",
	kindFullCopy: "full-copy", kindFiles: "files", kindRequest: "request", kindChunk: "chunk",
	kindFilesDone: "files-done", kindInstalled: "installed", kindFrames: "frames", kindSegment: "segment",
	kindHeartbeat: "heartbeat", kindDrop: "drop", kindSnapshotHint: "snapshot-hint", kindGoodbye: "goodbye",
	kindAlive: "alive", kindAck: "ack",
}

func (k kind) String() string {
	if k == 0 || k >= kinds {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// named is how a log or a refusal calls an event.
func named(e event) string {
	if m, ok := e.(message); ok {
		return m.kind().String()
	}
	return fmt.Sprintf("%T", e)
}

// empty returns a message of a kind to be filled in, or nil.
func (k kind) empty() message {
	switch k {
	case kindHello:
		return &hello{}
	case kindProof:
		return &proof{}
	case kindWelcome:
		return &welcome{}
	case kindRefuse:
		return &refuse{}
	case kindPosition:
		return &position{}
	case kindContinue:
		return &resume{}
	case kindCutBack:
		return &cutBack{}
	case kindNeedCopy:
		return &needCopy{}
	case kindFullCopy:
		return &fullCopy{}
	case kindFiles:
		return &files{}
	case kindRequest:
		return &request{}
	case kindChunk:
		return &chunk{}
	case kindFilesDone:
		return &filesDone{}
	case kindInstalled:
		return &installed{}
	case kindFrames:
		return &frames{}
	case kindSegment:
		return &segment{}
	case kindHeartbeat:
		return &heartbeat{}
	case kindDrop:
		return &drop{}
	case kindSnapshotHint:
		return &snapshotHint{}
	case kindGoodbye:
		return &goodbye{}
	case kindAlive:
		return &alive{}
	case kindAck:
		return &ack{}
	}
	return nil
}

// maxPayload is the most that a message of a kind may take.
func (k kind) maxPayload() uint32 {
	switch k {
	case kindHello:
		return 8 + 2 + 1 + 8 + nonceSize + 4*(2+maxName) + 2 + maxExtra
	case kindProof:
		return 1 + maxSecrets*macSize
	case kindWelcome:
		return macSize + 8 + 2 + maxName
	case kindRefuse:
		return 2 + 2 + maxText + 2 + maxName + 8
	case kindPosition:
		return 4 + maxEpochs*16 + 8
	case kindFiles:
		return 4 + maxFiles*(2+maxName+8+hashSize+1)
	case kindRequest:
		return 4 + maxFiles*(2+maxName+8)
	case kindChunk:
		return 2 + maxName + 8 + 4 + maxChunk
	case kindFrames:
		return maxFramesPayload
	case kindFilesDone:
		return 8 + 8 + 2 + maxName
	case kindGoodbye:
		return 2 + maxText + 2 + maxName
	}
	return 40 // the fixed ones
}

// maxFramesPayload bounds a message of frames. A frame of the log that is larger
// than that cannot be sent.
const maxFramesPayload = 1<<32 - 1 - 64

func millis(t time.Time) int64 { return t.UnixMilli() }

func historyText(history []aof.EpochStart) string {
	var b strings.Builder
	for i, e := range history {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d@%d", e.Epoch, e.First)
	}
	return b.String()
}
