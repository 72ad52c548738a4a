package replica

import (
	"math"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/aof"
)

// A follower is the follower's end of one session, behind the handshake.
type follower struct {
	epoch   uint64 // of the leader, from the handshake
	cluster string // "" if this node has no data yet

	state   followerState
	end     uint64 // of the log here
	cut     uint64
	wasCut  bool
	offered []FileInfo
	sizes   map[string]int64
	wants   []Want // what is still to come, in order
	got     int64  // how far the first of them is
	lsn     uint64 // where the copy's log ends
}

type followerState int

const (
	unplaced followerState = iota
	awaitVerdict
	cutting
	awaitFiles
	comparing
	receiving
	installing
	awaitResume
	following // the stream runs
)

var followerStates = [...]string{"unplaced", "await-verdict", "cutting", "await-files", "comparing",
	"receiving", "installing", "await-resume", "following"}

func (s followerState) String() string { return followerStates[s] }

// maxCopy bounds the sum of the sizes of a copy's files, so that sums do not wrap.
const maxCopy = math.MaxInt64 / 2

// Facts about the follower's node.
type (
	// stands is where the log ends: the first event, and the answer to cutTo.
	stands struct {
		history []aof.EpochStart
		end     uint64
	}
	cannotCut  struct{}
	missing    struct{ list []Want }
	nowInPlace struct{}
)

// What the follower's node is to do.
type (
	// cutTo is answered by stands or cannotCut.
	cutTo struct{ to uint64 }
	// compare is answered by missing.
	compare struct{ list []FileInfo }
	store   struct {
		name   string
		offset int64
		data   []byte
	}
	verify struct{ name string }
	// install is answered by nowInPlace.
	install struct {
		lsn, epoch uint64
		cluster    string
	}
	// follow: the stream begins; from now on positions are acknowledged.
	follow struct{ from uint64 }
	extend struct{ data []byte }
	begin  struct{ first, epoch uint64 }
	// heard passes on what the leader tells of itself.
	heard struct{ m message }
)

func (f *follower) step(e event) []output {
	switch m := e.(type) {
	case malformed:
		return over(m.err)
	case *refuse:
		return []output{fail{m.asError()}}
	case *goodbye:
		return []output{fail{&GoodbyeError{Reason: m.reason, Next: m.next}}}
	case *heartbeat, *drop, *snapshotHint:
		return []output{heard{e.(message)}}
	case stands:
		if f.state == unplaced || f.state == cutting {
			return f.stands(m)
		}
	case *resume:
		if f.state == awaitVerdict || f.state == awaitResume {
			return f.resumed(m)
		}
	case *cutBack:
		if f.state == awaitVerdict && !f.wasCut {
			return f.cutBack(m)
		}
	case cannotCut:
		if f.state == cutting {
			f.state = awaitVerdict
			return []output{send{&needCopy{}}}
		}
	case *frames:
		if f.state == following {
			return f.frames(m)
		}
	case *segment:
		if f.state == following {
			return f.begins(m)
		}
	default:
		return f.copyStep(e)
	}
	return f.outOfPlace(e)
}

// copyStep takes the events of a full copy.
func (f *follower) copyStep(e event) []output {
	switch m := e.(type) {
	case *fullCopy:
		if f.state == awaitVerdict && m.epoch == f.epoch {
			f.state = awaitFiles
			return nil
		}
	case *files:
		if f.state == awaitFiles {
			return f.listed(m)
		}
	case missing:
		if f.state == comparing {
			return f.missing(m)
		}
	case *chunk:
		if f.state == receiving {
			return f.chunk(m)
		}
	case *filesDone:
		if f.state == receiving && len(f.wants) == 0 {
			return f.filesDone(m)
		}
	case nowInPlace:
		if f.state == installing {
			f.state, f.end = awaitResume, f.lsn
			return []output{send{&installed{lsn: f.lsn}}}
		}
	}
	return f.outOfPlace(e)
}

func (f *follower) outOfPlace(e event) []output {
	return over(violation("%s out of place in the state %s", named(e), f.state))
}

// stands sends the position. Of a long history the newest part is enough: the
// leader looks for the last position that is shared.
func (f *follower) stands(m stands) []output {
	if f.state == cutting && m.end != f.cut {
		return over(violation("the log was cut to %d, not to %d", m.end, f.cut))
	}
	history := m.history[max(0, len(m.history)-maxEpochs):]
	f.state, f.end = awaitVerdict, m.end
	return []output{send{&position{history: history, end: m.end}}}
}

func (f *follower) resumed(m *resume) []output {
	switch {
	case m.epoch != f.epoch:
		return over(violation("the leader of epoch %d goes on in %d", f.epoch, m.epoch))
	case m.from != f.end:
		return over(violation("the stream begins at %d, the log ends at %d", m.from, f.end))
	}
	f.state = following
	return []output{follow{m.from}}
}

func (f *follower) cutBack(m *cutBack) []output {
	if m.epoch != f.epoch || m.to == 0 || m.to >= f.end {
		return over(violation("cut to %d in epoch %d, the log ends at %d", m.to, m.epoch, f.end))
	}
	f.state, f.cut, f.wasCut = cutting, m.to, true
	return []output{cutTo{m.to}}
}

func (f *follower) listed(m *files) []output {
	var sum int64
	f.sizes = make(map[string]int64, len(m.list))
	for _, i := range m.list {
		if !isDataFile(i.Name) {
			return over(violation("a file %q, which is no snapshot or segment", i.Name))
		}
		if _, twice := f.sizes[i.Name]; twice {
			return over(violation("the file %q twice", i.Name))
		}
		if i.Size > maxCopy-sum {
			return over(violation("the file %q of %d bytes", i.Name, i.Size))
		}
		sum += i.Size
		f.sizes[i.Name] = i.Size
	}
	f.state, f.offered = comparing, m.list
	return []output{compare{m.list}}
}

// isDataFile tells whether name is one that a snapshot or a segment of the log can
// have: those are all that one node takes from another.
func isDataFile(name string) bool {
	number, ok := strings.CutPrefix(name, "log-")
	if !ok {
		number, ok = strings.CutPrefix(name, "snapshot-")
	}
	digits, whole := strings.CutSuffix(number, ".fer")
	if !ok || !whole || len(digits) != 20 {
		return false
	}
	_, err := strconv.ParseUint(digits, 10, 64)
	return err == nil
}

func (f *follower) missing(m missing) []output {
	f.state, f.wants = receiving, m.list
	f.offered = nil
	out := []output{send{&request{list: m.list}}}
	return append(out, f.nextFile()...)
}

// nextFile verifies the files that are complete already.
func (f *follower) nextFile() (out []output) {
	for len(f.wants) > 0 {
		w := f.wants[0]
		if f.got = w.Offset; f.got < f.sizes[w.Name] {
			break
		}
		out = append(out, verify{w.Name})
		f.wants = f.wants[1:]
	}
	return out
}

func (f *follower) chunk(m *chunk) []output {
	if len(f.wants) == 0 || m.name != f.wants[0].Name || m.offset != f.got {
		return over(violation("a part of %q at %d, which was not due", m.name, m.offset))
	}
	n := int64(len(m.data))
	if n == 0 || n > f.sizes[m.name]-f.got {
		return over(violation("%d bytes for %q at %d", n, m.name, m.offset))
	}
	out := []output{store{m.name, m.offset, m.data}}
	if f.got += n; f.got == f.sizes[m.name] {
		f.wants[0].Offset = f.got
		out = append(out, f.nextFile()...)
	}
	return out
}

func (f *follower) filesDone(m *filesDone) []output {
	if m.cluster == "" || f.cluster != "" && m.cluster != f.cluster {
		return over(ErrCluster)
	}
	if m.epoch > f.epoch {
		return over(violation("a copy of epoch %d from the leader of %d", m.epoch, f.epoch))
	}
	f.state, f.lsn = installing, m.lsn
	return []output{install{lsn: m.lsn, epoch: m.epoch, cluster: m.cluster}}
}

func (f *follower) frames(m *frames) []output {
	if m.first != f.end || len(m.data) == 0 || uint64(len(m.data)) > math.MaxUint64-f.end {
		return over(violation("%d bytes of the log from %d on, it ends at %d", len(m.data), m.first, f.end))
	}
	f.end += uint64(len(m.data))
	return []output{extend{m.data}}
}

// begins: whether an epoch goes back the log knows, which has the frames.
func (f *follower) begins(m *segment) []output {
	if m.first != f.end || m.epoch > f.epoch {
		return over(violation("a segment of epoch %d at %d, the log ends at %d", m.epoch, m.first, f.end))
	}
	return []output{begin{m.first, m.epoch}}
}
