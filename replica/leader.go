package replica

import (
	"fmt"

	"github.com/ferricd/ferricd/aof"
)

// A leader is the leader's end of one session, behind the handshake.
type leader struct {
	epoch   uint64
	cluster string

	state   leaderState
	from    uint64 // what the tail was asked for
	cut     uint64 // where the follower was asked to cut
	wasCut  bool
	copying bool // preparing is for a full copy, not for a cut
	offered map[string]FileInfo
	lsn     uint64 // where the copy's log ends
	copyTo  uint64 // its epoch
	sent    uint64 // the end of what has been put into the stream
	last    ack    // the one before
}

type leaderState int

const (
	awaitPosition leaderState = iota
	opening                   // a tail, to continue or behind a cut
	preparing                 // the node makes sure that nobody counts on this follower
	pinning
	awaitRequest
	copyingFiles
	openingCopy // a tail from the end of the copy
	awaitInstalled
	leading // the stream runs
)

var leaderStates = [...]string{"await-position", "opening", "preparing", "pinning", "await-request",
	"copying", "opening-copy", "await-installed", "streaming"}

func (s leaderState) String() string { return leaderStates[s] }

// Facts about the leader's node.
type (
	// placed is the event that goes with a follower's position: what this node's
	// log says about it.
	placed struct {
		shared uint64 // the last position that both logs have in common
		end    uint64 // of the follower's log
	}
	tailOpened struct{}
	tailGone   struct{}
	prepared   struct{}
	pinnedNow  struct {
		files      []FileInfo
		lsn, epoch uint64
	}
	filesSent struct{}
	// sentTo: the stream has been sent up to end.
	sentTo struct{ end uint64 }
)

// What the leader's node is to do.
type (
	// place asks where the follower's log stands to this one; answered by placed.
	place struct{ p *position }
	// openTail is answered by tailOpened or tailGone.
	openTail struct{ from uint64 }
	// prepare is answered by prepared: the follower is not counted on any more.
	prepare struct{}
	// pin is answered by pinnedNow; unpin lets go again.
	pin   struct{}
	unpin struct{}
	// sendFiles is answered by filesSent.
	sendFiles struct{ list []Want }
	// stream: the tail is to be sent from now on, and acknowledgements count.
	stream struct{ from uint64 }
	// acked hands an acknowledgement on.
	acked struct{ a ack }
	// told is what the follower knows: there is a leader of a higher epoch.
	told struct{ epoch uint64 }
)

// theirTurn tells that the follower has work to do that may take long, in which it
// does not read.
func (l *leader) theirTurn() bool {
	return l.state == awaitPosition || l.state == awaitRequest || l.state == awaitInstalled
}

// shows is the follower's state as others see it.
func (l *leader) shows() State {
	switch l.state {
	case leading:
		return Streaming
	case pinning, awaitRequest, copyingFiles, openingCopy:
		return Copying
	case awaitInstalled:
		return Installing
	case preparing, awaitPosition:
		if l.wasCut || l.cut != 0 {
			return Cutting
		}
	}
	return Comparing
}

func (l *leader) step(e event) []output {
	switch m := e.(type) {
	case malformed:
		return over(m.err)
	case *alive:
		return nil
	case *refuse:
		if m.code == refusalCode(ErrStale) && m.epoch > l.epoch {
			return []output{told{m.epoch}, fail{m.asError()}}
		}
		return []output{fail{m.asError()}}
	case *position:
		if l.state == awaitPosition {
			return l.positioned(m)
		}
	case placed:
		if l.state == opening {
			return l.placed(m)
		}
	case *needCopy:
		if l.state == awaitPosition && l.wasCut {
			return l.fullCopy()
		}
	case tailOpened:
		return l.tailOpened()
	case tailGone:
		return l.tailGone()
	case prepared:
		if l.state == preparing {
			return l.prepared()
		}
	case *request:
		if l.state == awaitRequest {
			return l.requested(m)
		}
	case *installed:
		if l.state == awaitInstalled && m.lsn == l.lsn {
			return l.resume(l.lsn)
		}
	case *ack:
		if l.state == leading {
			return l.acknowledged(m)
		}
	case sentTo:
		l.sent = max(l.sent, m.end)
		return nil
	default:
		return l.copyStep(e)
	}
	return l.outOfPlace(e)
}

// copyStep takes the facts of a full copy.
func (l *leader) copyStep(e event) []output {
	switch m := e.(type) {
	case pinnedNow:
		if l.state == pinning {
			return l.pinned(m)
		}
	case filesSent:
		if l.state == copyingFiles {
			l.state = openingCopy
			return []output{openTail{l.lsn}}
		}
	}
	return l.outOfPlace(e)
}

func (l *leader) outOfPlace(e event) []output {
	return over(violation("%s out of place in the state %s", named(e), l.state))
}

func (l *leader) positioned(m *position) []output {
	if err := checkHistory(m.history, m.end); err != nil {
		return over(err)
	}
	if n := len(m.history); n > 0 && m.history[n-1].Epoch > l.epoch {
		epoch := m.history[n-1].Epoch
		return []output{
			told{epoch},
			send{&refuse{code: refusalCode(ErrStale), text: ErrStale.Error(), epoch: epoch}},
			fail{ErrStale},
		}
	}
	l.state = opening
	return []output{place{m}}
}

// checkHistory says whether a history can be one: epochs rise, and each begins
// where the log had come to.
func checkHistory(history []aof.EpochStart, end uint64) error {
	for i, e := range history {
		if i > 0 && (e.Epoch <= history[i-1].Epoch || e.First < history[i-1].First) || e.First > end {
			return violation("a history of %s up to %d", historyText(history), end)
		}
	}
	return nil
}

func (l *leader) placed(m placed) []output {
	switch {
	case m.shared > m.end:
		return []output{fail{fmt.Errorf("replica: %d bytes shared of a log of %d", m.shared, m.end)}}
	case m.shared == m.end:
		l.cut = 0
	case m.shared == 0 || l.wasCut:
		return l.fullCopy()
	default:
		l.cut = m.shared
	}
	l.from = m.shared
	return []output{openTail{l.from}}
}

func (l *leader) tailOpened() []output {
	switch {
	case l.state == opening && l.cut == 0:
		return l.resume(l.from)
	case l.state == opening:
		l.state, l.copying = preparing, false
		return []output{prepare{}}
	case l.state == openingCopy:
		l.state = awaitInstalled
		return []output{unpin{}, send{&filesDone{lsn: l.lsn, epoch: l.copyTo, cluster: l.cluster}}}
	}
	return l.outOfPlace(tailOpened{})
}

func (l *leader) tailGone() []output {
	switch l.state {
	case opening:
		return l.fullCopy()
	case openingCopy:
		// The files were sent for nothing, but the follower keeps them: the next
		// session sends what has come since.
		return []output{unpin{}, fail{aof.ErrGone}}
	}
	return l.outOfPlace(tailGone{})
}

func (l *leader) fullCopy() []output {
	l.state, l.copying = preparing, true
	return []output{prepare{}}
}

func (l *leader) prepared() []output {
	if l.copying {
		l.state = pinning
		return []output{send{&fullCopy{epoch: l.epoch}}, pin{}}
	}
	l.state, l.wasCut = awaitPosition, true
	return []output{send{&cutBack{epoch: l.epoch, to: l.cut}}}
}

func (l *leader) pinned(m pinnedNow) []output {
	l.offered = map[string]FileInfo{}
	for _, f := range m.files {
		l.offered[f.Name] = f
	}
	l.lsn, l.copyTo = m.lsn, m.epoch
	l.state = awaitRequest
	return []output{send{&files{list: m.files}}}
}

// requested lets through what was offered only, each file once.
func (l *leader) requested(m *request) []output {
	for _, w := range m.list {
		f, ok := l.offered[w.Name]
		if !ok {
			return over(violation("a request of %q, which was not offered", w.Name))
		}
		if w.Offset > f.Size {
			return over(violation("a request of %q from %d on, of %d", w.Name, w.Offset, f.Size))
		}
		delete(l.offered, w.Name)
	}
	l.offered = nil
	l.state = copyingFiles
	return []output{sendFiles{m.list}}
}

func (l *leader) resume(from uint64) []output {
	l.state = leading
	l.sent, l.last.received = from, from
	return []output{send{&resume{epoch: l.epoch, from: from}}, stream{from}}
}

// acknowledged lets an acknowledgement count only if it can be true. Without this
// a follower that is out of its mind makes the leader promise what nobody has.
func (l *leader) acknowledged(m *ack) []output {
	switch {
	case m.epoch != l.epoch:
		return over(violation("an acknowledgement of epoch %d in %d", m.epoch, l.epoch))
	case m.received > l.sent:
		return over(violation("%d acknowledged, %d sent", m.received, l.sent))
	case m.applied > m.received || m.durable > m.received:
		return over(violation("%d applied and %d durable of %d received", m.applied, m.durable, m.received))
	case m.received < l.last.received || m.applied < l.last.applied || m.durable < l.last.durable:
		return over(violation("an acknowledgement goes back"))
	}
	l.last = *m
	return []output{acked{*m}}
}
