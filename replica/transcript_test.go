package replica

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
)

var update = flag.Bool("update", false, "write what the machines say into testdata")

// TestTranscripts plays what a machine gets ("<" from the peer, "=" from its own
// node) and compares what it says (">"). A line without a mark sets a machine up.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			got := play(t, string(text))
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(text), got)
		})
	}
}

type stepper interface{ step(event) []output }

func play(t *testing.T, text string) string {
	var machine stepper
	var b strings.Builder
	say := func(out []output) {
		for _, o := range out {
			fmt.Fprintf(&b, "> %s\n", describe(o))
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		b.WriteString(line + "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "< "), strings.HasPrefix(line, "= "):
			require.NotNil(t, machine, line)
			say(machine.step(parseEvent(t, words(line[2:]))))
		default:
			var out []output
			machine, out = newMachine(t, words(line))
			say(out)
		}
	}
	return b.String()
}

// A phrase is a word and its fields.
type phrase struct {
	word string
	all  map[string]string
}

func words(line string) phrase {
	p := phrase{all: map[string]string{}}
	for i, field := range strings.Fields(line) {
		if key, value, ok := strings.Cut(field, "="); ok {
			p.all[key] = value
		} else if i == 0 {
			p.word = field
		} else {
			p.all[""] = field
		}
	}
	return p
}

func (p phrase) str(key string) string { return p.all[key] }

func (p phrase) u64(key string) uint64 {
	if p.all[key] == "" {
		return 0
	}
	n, err := strconv.ParseUint(p.all[key], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (p phrase) history() (h []aof.EpochStart) {
	for _, pair := range p.each("history") {
		h = append(h, aof.EpochStart{Epoch: pair[0].u64("n"), First: pair[1].u64("n")})
	}
	return h
}

// each splits a list of pairs: a@1,b@2.
func (p phrase) each(key string) (pairs [][2]phrase) {
	if p.all[key] == "" {
		return nil
	}
	for pair := range strings.SplitSeq(p.all[key], ",") {
		a, b, _ := strings.Cut(pair, "@")
		pairs = append(pairs, [2]phrase{{all: map[string]string{"n": a}}, {all: map[string]string{"n": b}}})
	}
	return pairs
}

func (p phrase) files() (list []FileInfo) {
	for _, pair := range p.each("files") {
		list = append(list, FileInfo{Name: pair[0].str("n"), Size: int64(pair[1].u64("n"))})
	}
	return list
}

func (p phrase) wants() (list []Want) {
	for _, pair := range p.each("files") {
		list = append(list, Want{Name: pair[0].str("n"), Offset: int64(pair[1].u64("n"))})
	}
	return list
}

func (p phrase) bytes() []byte { return make([]byte, p.u64("bytes")) }

func (p phrase) id() Identity {
	return Identity{Name: p.str("name"), ID: p.str("id"), Incarnation: p.str("incarnation")}
}

func (p phrase) secrets() (list [][]byte) {
	for s := range strings.SplitSeq(p.str("secrets"), ",") {
		list = append(list, []byte(s))
	}
	return secretsOf(list)
}

func (p phrase) hello() *hello {
	purpose := PurposeStream
	if p.str("purpose") == "proxy" {
		purpose = PurposeProxy
	}
	return &hello{version: Version, purpose: purpose, cluster: p.str("cluster"), id: p.id(), epoch: p.u64("epoch")}
}

func newMachine(t *testing.T, p phrase) (stepper, []output) {
	switch p.word {
	case "leader":
		return &leader{epoch: p.u64("epoch"), cluster: p.str("cluster")}, nil
	case "follower":
		return &follower{epoch: p.u64("epoch"), cluster: p.str("cluster")}, nil
	case "dialer":
		d := &dialer{mine: p.hello(), secrets: p.secrets()}
		return d, d.start()
	case "acceptor":
		return &acceptor{mine: p.hello(), secrets: p.secrets()}, nil
	}
	require.Fail(t, "no such machine", p.word)
	return nil, nil
}

func parseEvent(t *testing.T, p phrase) event {
	switch p.word {
	case "malformed":
		return malformed{map[string]error{"protocol": ErrProtocol, "version": ErrVersion, "eof": io.EOF}[p.all[""]]}
	case "refuse":
		return &refuse{code: refusalCode(reasonOf(p.all[""])), text: p.str("text"), leader: p.str("leader"), epoch: p.u64("epoch")}
	case "hello":
		return p.hello()
	case "position":
		return &position{history: p.history(), end: p.u64("end")}
	case "continue":
		return &resume{epoch: p.u64("epoch"), from: p.u64("from")}
	case "cut-back":
		return &cutBack{epoch: p.u64("epoch"), to: p.u64("to")}
	case "need-copy":
		return &needCopy{}
	case "full-copy":
		return &fullCopy{epoch: p.u64("epoch")}
	case "files":
		return &files{list: p.files()}
	case "request":
		return &request{list: p.wants()}
	case "chunk":
		return &chunk{name: p.str("name"), offset: int64(p.u64("offset")), data: p.bytes()}
	case "files-done":
		return &filesDone{lsn: p.u64("lsn"), epoch: p.u64("epoch"), cluster: p.str("cluster")}
	case "installed":
		return &installed{lsn: p.u64("lsn")}
	case "frames":
		return &frames{first: p.u64("first"), data: p.bytes()}
	case "segment":
		return &segment{first: p.u64("first"), epoch: p.u64("epoch")}
	case "heartbeat":
		return &heartbeat{end: p.u64("end"), commit: p.u64("commit"), now: int64(p.u64("now"))}
	case "drop":
		return &drop{before: p.u64("before")}
	case "snapshot-hint":
		return &snapshotHint{}
	case "goodbye":
		return &goodbye{reason: p.str("reason"), next: p.str("next")}
	case "alive":
		return &alive{}
	case "ack":
		return &ack{epoch: p.u64("epoch"), received: p.u64("received"), applied: p.u64("applied"), durable: p.u64("durable")}
	}
	return parseFact(t, p)
}

func parseFact(t *testing.T, p phrase) event {
	switch p.word {
	case "placed":
		return placed{shared: p.u64("shared"), end: p.u64("end")}
	case "tail-opened":
		return tailOpened{}
	case "tail-gone":
		return tailGone{}
	case "prepared":
		return prepared{}
	case "pinned":
		return pinnedNow{files: p.files(), lsn: p.u64("lsn"), epoch: p.u64("epoch")}
	case "files-sent":
		return filesSent{}
	case "sent":
		return sentTo{end: p.u64("end")}
	case "stands":
		return stands{history: p.history(), end: p.u64("end")}
	case "cannot-cut":
		return cannotCut{}
	case "missing":
		return missing{list: p.wants()}
	case "in-place":
		return nowInPlace{}
	case "standing":
		return standing{
			epoch: p.u64("epoch"), cluster: p.str("cluster"), leader: p.str("leader"),
			highest: p.u64("highest"), proxies: p.str("proxies") == "yes", err: reasonOf(p.str("err")),
		}
	}
	require.Fail(t, "no such event", p.word)
	return nil
}

var reasons = map[string]error{
	"protocol": ErrProtocol, "version": ErrVersion, "secret": ErrSecret, "cluster": ErrCluster, "self": ErrSelf,
	"not-leader": ErrNotLeader, "stale": ErrStale, "busy": ErrBusy, "purpose": ErrPurpose,
	"gone": aof.ErrGone, "goodbye": ErrGoodbye, "eof": io.EOF,
}

func reasonOf(word string) error { return reasons[word] }

func reasonWord(err error) string {
	for word, reason := range reasons {
		if errors.Is(err, reason) {
			return word
		}
	}
	return "unknown"
}

// describe writes an output or a message in one line.
func describe(o any) string {
	switch o := o.(type) {
	case send:
		return "send " + describe(o.m)
	case fail:
		return fmt.Sprintf("fail %s: %s", reasonWord(o.err), o.err)
	case *refuse:
		return fmt.Sprintf("refuse %s leader=%s epoch=%d: %s", reasonWord(refusals[o.code]), o.leader, o.epoch, o.text)
	case *hello:
		return fmt.Sprintf("hello name=%s id=%s purpose=%d cluster=%s epoch=%d", o.id.Name, o.id.ID, o.purpose, o.cluster, o.epoch)
	case *proof:
		return fmt.Sprintf("proof %x", o.macs)
	case *welcome:
		return fmt.Sprintf("welcome %x epoch=%d cluster=%s", o.mac, o.epoch, o.cluster)
	case heard:
		return "heard " + describe(o.m)
	case judge:
		return "judge " + o.theirs.id.Name
	case accepted:
		return "accepted " + o.theirs.id.Name
	case dialed:
		return fmt.Sprintf("dialed %s epoch=%d cluster=%s", o.peer.Name, o.epoch, o.cluster)
	case place:
		return "place " + describe(o.p)
	case acked:
		return "acked " + describe(&o.a)
	}
	v := reflect.Indirect(reflect.ValueOf(o))
	if m, ok := o.(message); ok {
		return describeFields(m.kind().String(), v)
	}
	return describeFields(v.Type().Name(), v)
}

func describeFields(name string, v reflect.Value) string {
	var b strings.Builder
	b.WriteString(name)
	for i := range v.NumField() {
		fmt.Fprintf(&b, " %s=", v.Type().Field(i).Name)
		switch f := v.Field(i); {
		case f.Kind() != reflect.Slice:
			fmt.Fprint(&b, f)
		case f.Type().Elem().Kind() == reflect.Uint8:
			fmt.Fprintf(&b, "%d bytes", f.Len())
		default:
			b.WriteString(describeList(f))
		}
	}
	return b.String()
}

// describeList writes the first two fields of each element, as they are read.
func describeList(list reflect.Value) string {
	var parts []string
	for i := range list.Len() {
		e := list.Index(i)
		parts = append(parts, fmt.Sprintf("%v@%v", e.Field(0), e.Field(1)))
	}
	return strings.Join(parts, ",")
}
