package differ

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/transcript"
)

// Rules say how the replies of a server are judged.
type Rules struct {
	LeftOut map[string]string // commands that are not sent, and why
	How     map[string]How    // commands that are not compared byte by byte
	Chance  map[string]string // commands that change their first key as chance or habit has it, and why; it is deleted afterwards
	Untold  map[string]bool   // commands that change what is watched and of which redis-server tells nobody
	Apart   []Apart
}

// Apart is a difference on purpose.
type Apart struct {
	Reason  string
	Command string // its row, or "" for any
	Same    func(argv []string, want, got transcript.Value) bool
	Parts   bool // the data are not the same from then on: the play is over
}

// A Plan is one sequence and how it is played.
type Plan struct {
	Seed   uint64
	RESP3  bool
	Batch  int // how many calls are sent before their replies are read
	Mode   int // which of our servers
	Config [][2]string
	Calls  []Call
}

// A Call is sent by a client: 1 awaits its reply, others may be left waiting.
type Call struct {
	Client int
	Argv   []string
}

// A Difference is a call that was not answered alike.
type Difference struct {
	Argv      []string
	Client    int // who sent it, if it was not the first
	Want, Got string
	Row       string // of the call
}

// A Match is two servers that are compared: ours in several modes, and theirs.
type Match struct {
	Rules  Rules
	Ours   []transcript.Dial
	Theirs transcript.Dial
	Events bool                       // keyspace events are compared
	After  func(mode int) *Difference // looks further at our server when all was alike; may be nil
}

const patience = 10 * time.Second

// forever is what no play takes: one that does hangs, and its stacks say where.
const forever = 5 * time.Minute

// A round is one play of a plan.
type round struct {
	*Match
	ours, theirs *transcript.Client
	hears        []*listener // to ours, to theirs
	control      [2]*transcript.Client
	waits        map[int]*waiting // by client
	multi        bool
	queued       [][]string // since MULTI
	stored       bool       // the last call may have put its result over another key
	untold       bool       // there was a call of which redis-server does not tell who watches
	open         bool       // the servers have parted on purpose: the play is over
}

// Play plays the plan on emptied servers and returns the first difference, if
// there is one. An error is about the servers, not about what they answer.
func (m *Match) Play(p *Plan) (d *Difference, err error) {
	watchdog := time.AfterFunc(forever, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("differ: seed %d: the play does not end", p.Seed))
	})
	defer watchdog.Stop()
	r := &round{Match: m, waits: map[int]*waiting{}}
	if err := r.connect(p); err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.must(p.setUp()...); err != nil {
		return nil, err
	}
	if d, err := r.calls(p); d != nil || err != nil || r.open {
		return d, err
	}
	d, err = r.walk()
	if d == nil && err == nil && m.Events {
		d, err = r.compareEvents()
	}
	if d == nil && err == nil && m.After != nil {
		d = m.After(p.Mode)
	}
	return d, err
}

// calls plays the calls of a plan. With others than the first client in it, all
// is quiet before each call.
func (r *round) calls(p *Plan) (*Difference, error) {
	alone := !slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Client > 1 })
	calls := r.settled(p.Calls)
	if alone {
		for batch := range slices.Chunk(calls, p.Batch) {
			if d, err := r.exchange(argvs(batch)); d != nil || err != nil || r.open {
				return d, err
			}
		}
		return nil, nil
	}
	for i, dial := range []transcript.Dial{r.Ours[p.Mode], r.Theirs} {
		conn, err := dial()
		if err != nil {
			return nil, err
		}
		r.control[i] = transcript.NewClient(conn, patience)
	}
	for _, call := range calls {
		var d *Difference
		var err error
		if call.Client > 1 {
			err = r.wait(p, call)
		} else {
			d, err = r.exchange([][]string{call.Argv})
		}
		if d == nil && err == nil {
			d, err = r.settle()
		}
		if d != nil || err != nil || r.open {
			return d, err
		}
	}
	return r.unblock()
}

func argvs(calls []Call) (out [][]string) {
	for _, c := range calls {
		out = append(out, c.Argv)
	}
	return out
}

// Params are the parameters that plans change, with their defaults.
var Params = [][2]string{
	{"list-max-listpack-size", "-2"}, {"hash-max-listpack-entries", "512"}, {"hash-max-listpack-value", "64"},
	{"set-max-intset-entries", "512"}, {"zset-max-listpack-entries", "128"}, {"zset-max-listpack-value", "64"},
	{"stream-node-max-entries", "100"}, {"hll-sparse-max-bytes", "3000"}, {"maxmemory-policy", "noeviction"},
}

func (p *Plan) setUp() [][]string {
	values := map[string]string{}
	for _, c := range append(Params[:len(Params):len(Params)], p.Config...) {
		values[c[0]] = c[1]
	}
	set := []string{"CONFIG", "SET"}
	for _, c := range Params {
		set = append(set, c[0], values[c[0]])
	}
	set = append(set, "notify-keyspace-events", notifyAll)
	calls := [][]string{{"FLUSHALL"}, set}
	if p.RESP3 {
		calls = append(calls, []string{"HELLO", "3"})
	}
	return calls
}

// settled adds to calls after which the servers need not be alike the deletion
// of their first key. A word * may be an ID that the clock makes.
func (m *Match) settled(calls []Call) (out []Call) {
	for _, call := range calls {
		argv := call.Argv
		out = append(out, call)
		s := rowOf(argv)
		if s == nil || !s.ArityOK(len(argv)) {
			continue
		}
		if m.Rules.Chance[s.Name] != "" || s.Name == "XADD" && slices.Contains(argv, "*") {
			out = append(out, Call{1, append([]string{"DEL", argv[1]}, anyOrder(argv)...)})
		}
	}
	return out
}

// anyOrder is where a SORT stores elements whose order nobody says: by weights
// as text, which may all be missing.
func anyOrder(argv []string) []string {
	var by, alpha bool
	var to []string
	for i, w := range argv {
		by = by || strings.EqualFold(w, "BY")
		alpha = alpha || strings.EqualFold(w, "ALPHA")
		if strings.EqualFold(w, "STORE") && i+1 < len(argv) {
			to = append(to, argv[i+1])
		}
	}
	if by && alpha {
		return to
	}
	return nil
}

func rowOf(argv []string) *command.Spec {
	if len(argv) == 0 {
		return nil
	}
	return command.All().Lookup(toBytes(argv))
}

// rowName is the name of the row that a call runs.
func rowName(argv []string) string {
	if s := rowOf(argv); s != nil {
		return s.Name
	}
	return ""
}

func toBytes(argv []string) [][]byte {
	args := make([][]byte, len(argv))
	for i, w := range argv {
		args[i] = []byte(w)
	}
	return args
}

func (r *round) connect(p *Plan) error {
	ours, err := r.Ours[p.Mode]()
	if err != nil {
		return err
	}
	theirs, err := r.Theirs()
	if err != nil {
		ours.Close()
		return err
	}
	r.ours, r.theirs = transcript.NewClient(ours, patience), transcript.NewClient(theirs, patience)
	if !r.Events {
		return nil
	}
	for _, dial := range []transcript.Dial{r.Ours[p.Mode], r.Theirs} {
		l, err := listen(dial)
		if err != nil {
			r.close()
			return err
		}
		r.hears = append(r.hears, l)
	}
	return nil
}

func (r *round) close() {
	r.ours.Close()
	r.theirs.Close()
	for _, l := range r.hears {
		l.c.Close()
	}
	r.closeWaiters()
}

// must sends what both must accept.
func (r *round) must(calls ...[]string) error {
	for _, c := range []*transcript.Client{r.ours, r.theirs} {
		values, err := Ask(c, calls)
		if err != nil {
			return err
		}
		for i, v := range values {
			if v.IsError() {
				return fmt.Errorf("%s: %s", Line(calls[i]), v)
			}
		}
	}
	return nil
}

// Ask sends calls at once and returns their replies.
func Ask(c *transcript.Client, calls [][]string) (values []transcript.Value, err error) {
	for _, argv := range calls {
		if err := c.Send(argv...); err != nil {
			return nil, fmt.Errorf("%s: %w", Line(argv), err)
		}
	}
	for _, argv := range calls {
		v, err := c.Receive(false)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Line(argv), err)
		}
		values = append(values, v)
	}
	return values, nil
}

// exchange sends calls to both servers at once and compares their replies.
func (r *round) exchange(calls [][]string) (*Difference, error) {
	for _, argv := range calls {
		if err := r.theirs.Send(argv...); err != nil {
			return nil, fmt.Errorf("redis-server: %w", err)
		}
	}
	for _, argv := range calls {
		if err := r.ours.Send(argv...); err != nil {
			return &Difference{Argv: argv, Want: "(a reply)", Got: err.Error()}, nil
		}
	}
	var first *Difference
	for _, argv := range calls {
		want, err := r.theirs.Receive(false)
		if err != nil {
			return nil, fmt.Errorf("redis-server: %s: %w", Line(argv), err)
		}
		got, err := r.ours.Receive(false)
		if err != nil {
			return &Difference{Argv: argv, Row: rowName(argv), Want: want.String(), Got: err.Error()}, nil
		}
		// After a difference the rest is only awaited: both must be done before
		// the next play.
		if first == nil && !r.judge(argv, want, got) {
			first = &Difference{Argv: argv, Row: rowName(argv), Want: want.String(), Got: got.String()}
			if first.Got == first.Want {
				first.Want, first.Got = first.Want+wire(want), first.Got+wire(got)
			}
		}
	}
	return first, nil
}

// wire tells the types of a reply that print alike.
func wire(v transcript.Value) string {
	var b strings.Builder
	b.WriteString(" sent as " + string(v.Kind))
	for _, e := range v.Elems {
		b.WriteString(string(e.Kind))
	}
	return b.String()
}

// judge compares two replies and follows the state of a transaction.
func (r *round) judge(argv []string, want, got transcript.Value) bool {
	name := strings.ToUpper(argv[0])
	queued := r.queued
	switch {
	case r.open:
		return true
	case r.multi && want.Str == "QUEUED":
		r.queued = append(r.queued, argv)
		return same(want, got)
	case name == "MULTI" && want.Str == "OK":
		r.multi, r.queued = true, nil
	case r.multi && (name == "EXEC" || name == "DISCARD" || name == "RESET") && (!want.IsError() || strings.HasPrefix(want.Str, "EXECABORT")):
		r.multi, r.queued = false, nil
		if name == "EXEC" && r.untold && len(want.Elems) > 0 && got.Null {
			r.open = true
			return true
		}
		r.note(queued...)
		if name == "EXEC" && len(want.Elems) == len(queued) && len(got.Elems) == len(queued) && want.Kind == got.Kind {
			for i := range queued {
				if !r.agree(queued[i], want.Elems[i], got.Elems[i]) {
					return false
				}
			}
			return true
		}
	}
	r.note(argv)
	return r.agree(argv, want, got)
}

// note notes of calls that have run what matters for others.
func (r *round) note(calls ...[]string) {
	r.stored = false
	for _, argv := range calls {
		root, _, _ := strings.Cut(rowName(argv), "|")
		r.untold = r.untold || r.Rules.Untold[root]
		r.stored = r.stored || strings.HasSuffix(root, "STORE") ||
			slices.ContainsFunc(argv, func(w string) bool { return strings.EqualFold(w, "STORE") })
	}
}

func (r *round) agree(argv []string, want, got transcript.Value) bool {
	name := rowName(argv)
	how := r.Rules.How[name]
	if how == Exact && slices.Contains(argv, "*") && name == "XADD" {
		how = Shape
	}
	if how.Agree(want, got) {
		return true
	}
	for _, k := range r.Rules.Apart {
		if (k.Command == "" || k.Command == name) && k.Same(argv, want, got) {
			r.open = r.open || k.Parts
			return true
		}
	}
	return false
}
