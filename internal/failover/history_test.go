//go:build linux

package failover

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/transcript"
)

// An outcome is what a client knows of a call afterwards.
type outcome int

const (
	ran     outcome = iota // it was answered
	refused                // it has not run and never will
	unknown
)

// A record is one call.
type record struct {
	client     int
	argv       []string
	sent, back time.Duration
	outcome    outcome
	reply      string
	open       bool // any answer would do
}

// A history is what clients have seen, on one clock.
type history struct {
	start time.Time
	mu    sync.Mutex
	calls []record
}

func newHistory() *history { return &history{start: time.Now()} }

func (h *history) now() time.Duration { return time.Since(h.start) }

// clock is a time of the history as the logs show it.
func (h *history) clock(d time.Duration) string { return h.start.Add(d).Format("15:04:05.000") }

// add records a call that was sent then and has come back now.
func (h *history) add(client int, argv []string, sent time.Duration, what outcome, v transcript.Value) {
	reply := v.Str
	if v.Null {
		reply = "(nil)"
	}
	if v.Kind == '*' {
		for _, e := range v.Elems {
			reply += e.Str + ","
		}
	}
	r := record{client: client, argv: argv, sent: sent, back: h.now(), outcome: what, reply: reply}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, r)
}

// failures tells which calls were not answered with a result, and why.
func (h *history) failures() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var text strings.Builder
	var first, last record
	times := 0
	flush := func() {
		if times > 0 {
			fmt.Fprintf(&text, "\n%s … %s  %4d × %-8s %s", h.clock(first.sent), h.clock(last.back), times,
				[]string{"", "refused:", "unknown:"}[first.outcome], first.reply)
		}
		times = 0
	}
	for _, r := range h.calls {
		if r.outcome == ran {
			continue
		}
		if times > 0 && (r.reply != first.reply || r.outcome != first.outcome) {
			flush()
		}
		if times == 0 {
			first = r
		}
		last = r
		times++
	}
	flush()
	return "calls that failed:" + text.String()
}

// check tells what is wrong with the history, whose last calls have read all lists
// and counters.
func (h *history) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var faults []error
	for key, calls := range byKey(h.calls) {
		switch kind, _, _ := strings.Cut(key, ":"); kind {
		case "list":
			faults = append(faults, checkList(key, calls)...)
		case "counter":
			faults = append(faults, checkCounter(key, calls)...)
		}
		calls = settle(calls)
		switch porcupine.CheckOperationsTimeout(model, operations(calls), 2*time.Minute) {
		case porcupine.Illegal:
			faults = append(faults, fmt.Errorf("%s: no order of the calls explains the answers:\n%s", key, narrow(calls)))
		case porcupine.Unknown:
			faults = append(faults, fmt.Errorf("%s: the checker has found no answer in time", key))
		}
	}
	return errors.Join(faults...)
}

func byKey(calls []record) map[string][]record {
	keys := map[string][]record{}
	for _, r := range calls {
		keys[r.argv[1]] = append(keys[r.argv[1]], r)
	}
	return keys
}

// checkList compares the list that was read last with what was answered.
func checkList(key string, calls []record) (faults []error) {
	last := calls[len(calls)-1]
	var have []string
	if last.reply != "" {
		have = strings.Split(strings.TrimSuffix(last.reply, ","), ",")
	}
	times := map[string]int{}
	for _, e := range have {
		times[e]++
	}
	for _, r := range calls {
		if r.argv[0] != "RPUSH" {
			continue
		}
		e := r.argv[2]
		at, _ := strconv.Atoi(r.reply)
		n := times[e]
		delete(times, e)
		switch {
		case r.outcome == ran && n == 0:
			faults = append(faults, fmt.Errorf("%s: %s was acknowledged after %v and is lost", key, e, r.back))
		case r.outcome == ran && (at < 1 || at > len(have) || have[at-1] != e):
			faults = append(faults, fmt.Errorf("%s: %s was acknowledged at place %s and is not there", key, e, r.reply))
		case r.outcome == refused && n > 0:
			faults = append(faults, fmt.Errorf("%s: %s was refused after %v and is there", key, e, r.back))
		case n > 1:
			faults = append(faults, fmt.Errorf("%s: %s is there %d times", key, e, n))
		}
	}
	for e := range times {
		faults = append(faults, fmt.Errorf("%s: %s was never sent", key, e))
	}
	return faults
}

// checkCounter compares the counter that was read last with how often it was
// incremented for certain, and perhaps.
func checkCounter(key string, calls []record) (faults []error) {
	low, high := 0, 0
	for _, r := range calls {
		if r.argv[0] != "INCR" || r.outcome == refused {
			continue
		}
		high++
		if r.outcome == ran {
			low++
		}
	}
	n, _ := strconv.Atoi(calls[len(calls)-1].reply) // (nil): 0
	if n < low {
		faults = append(faults, fmt.Errorf("%s: %d INCRs were acknowledged, it is at %d", key, low, n))
	}
	if n > high {
		faults = append(faults, fmt.Errorf("%s: %d INCRs may have run, it is at %d", key, high, n))
	}
	return faults
}

// never is after the end of every history.
const never = time.Duration(1 << 62)

// operations are the calls as the checker takes them. What has not run is left out;
// what has run without an answer is still under way when all else is over.
func operations(calls []record) (ops []porcupine.Operation) {
	for _, r := range calls {
		back := r.back
		if r.outcome == unknown {
			back = never
		}
		ops = append(ops, porcupine.Operation{
			ClientId: r.client, Input: r, Call: int64(r.sent), Output: r, Return: int64(back),
		})
	}
	return ops
}

// settle takes out the calls that have not run, as far as later ones show it, and gives
// those that have run the answer that they would have got. The checker would find the
// same by trying all of 2ⁿ cases.
//
// A SET that nobody ever reads may as well not have run: it can be thought to have been
// the last. An RPUSH has run if its element is in the list that was read last. Numbers
// that no answered INCR has returned were returned by the others; as these have only a
// time before which they cannot have run, those that were sent first may be thought to
// have returned the lowest.
func settle(calls []record) (kept []record) {
	seen, numbers := map[string]bool{}, map[int]bool{}
	places := map[string]int{}
	last := 0
	for _, r := range calls {
		switch {
		case r.outcome != ran:
		case r.argv[0] == "GET":
			seen[r.reply] = true
			last, _ = strconv.Atoi(r.reply)
		case r.argv[0] == "INCR":
			n, _ := strconv.Atoi(r.reply)
			numbers[n] = true
		case r.argv[0] == "LRANGE":
			for i, e := range strings.Split(r.reply, ",") {
				places[e] = i + 1
			}
		}
	}
	next := 1
	calls = slices.Clone(calls)
	slices.SortStableFunc(calls, func(a, b record) int { return cmp.Compare(a.sent, b.sent) })
	for _, r := range calls {
		if r.outcome == refused {
			continue
		}
		if r.outcome == unknown {
			switch r.argv[0] {
			case "SET":
				if !seen[r.argv[2]] {
					continue
				}
				r.reply = "OK"
			case "RPUSH":
				if places[r.argv[2]] == 0 {
					continue
				}
				r.reply = strconv.Itoa(places[r.argv[2]])
			case "INCR":
				for numbers[next] {
					next++
				}
				if next > last {
					continue
				}
				r.reply = strconv.Itoa(next)
				numbers[next] = true
			default:
				continue // it only read
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// model is one key: a text that is "" when there is none. An RPUSH appends its element
// and a comma.
var model = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		s, r := state.(string), out.(record)
		switch r.argv[0] {
		case "GET":
			return r.open || r.reply == s || s == "" && r.reply == "(nil)", s
		case "LRANGE":
			return r.open || r.reply == s, s
		case "SET":
			return r.open || r.reply == "OK", r.argv[2]
		case "INCR":
			n, _ := strconv.Atoi(s)
			next := strconv.Itoa(n + 1)
			return r.open || r.reply == next, next
		case "RPUSH":
			next := s + r.argv[2] + ","
			return r.open || r.reply == strconv.Itoa(strings.Count(next, ",")), next
		}
		return false, s
	},
}

// narrow prints the calls around the shortest beginning of a settled history that cannot
// be explained.
func narrow(calls []record) string {
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b record) int { return cmp.Compare(a.back, b.back) })
	low, high := 0, len(calls) // the first low are explained, the first high are not
	for high-low > 1 {
		mid := (low + high) / 2
		// What comes back later is under way: its effect may be seen before.
		cut := slices.Clone(calls[:mid])
		for _, r := range calls[mid:] {
			if r.sent < calls[mid-1].back {
				r.outcome = unknown
				cut = append(cut, r)
			}
		}
		for i := range cut {
			cut[i].open = cut[i].outcome == unknown
		}
		if porcupine.CheckOperationsTimeout(model, operations(cut), 10*time.Second) == porcupine.Illegal {
			high = mid
		} else {
			low = mid
		}
	}
	var text strings.Builder
	for i := max(0, high-25); i < min(len(calls), high+3); i++ {
		mark := "  "
		if i == high-1 {
			mark = "! "
		}
		fmt.Fprintln(&text, mark+calls[i].String())
	}
	for _, r := range calls {
		if r.outcome == unknown {
			fmt.Fprintln(&text, "? "+r.String())
		}
	}
	return text.String()
}

func (r record) String() string {
	reply := r.reply
	if len(reply) > 60 {
		reply = "… " + reply[len(reply)-60:]
	}
	return fmt.Sprintf("%10.3f … %10.3f  client %d  %v → %s %s", r.sent.Seconds(), r.back.Seconds(), r.client,
		r.argv, []string{"", "refused: ", "unknown: "}[r.outcome], reply)
}

// TestTheChecksSayNo has histories that must be found wrong, and right ones beside
// them.
func TestTheChecksSayNo(t *testing.T) {
	call := func(client int, sent, back time.Duration, what outcome, reply string, argv ...string) record {
		return record{client: client, argv: argv, sent: sent * time.Second, back: back * time.Second, outcome: what, reply: reply}
	}
	set1 := call(0, 0, 1, ran, "OK", "SET", "register:0", "1")
	set2 := call(0, 2, 3, ran, "OK", "SET", "register:0", "2")
	maybe2 := call(0, 2, 3, unknown, "", "SET", "register:0", "2")
	not2 := call(0, 2, 3, refused, "READONLY", "SET", "register:0", "2")
	get := func(client int, sent, back time.Duration, reply string) record {
		return call(client, sent, back, ran, reply, "GET", "register:0")
	}
	incr := func(sent, back time.Duration, what outcome, reply string) record {
		return call(0, sent, back, what, reply, "INCR", "counter:0")
	}
	count := func(reply string) record { return call(0, 90, 91, ran, reply, "GET", "counter:0") }
	push := func(e string, sent, back time.Duration, what outcome, reply string) record {
		return call(0, sent, back, what, reply, "RPUSH", "list:0", e)
	}
	list := func(reply string) record { return call(0, 90, 91, ran, reply, "LRANGE", "list:0", "0", "-1") }
	for _, c := range []struct {
		name  string
		wrong string // "": it is right
		calls []record
	}{
		{"reads", "", []record{set1, get(1, 0, 1, "(nil)"), get(1, 2, 3, "1"), set2, get(1, 4, 5, "2")}},
		{"a stale read", "no order", []record{set1, set2, get(1, 4, 5, "1")}},
		{"an acknowledged write is lost", "no order", []record{set1, get(1, 4, 5, "(nil)")}},
		{"unknown, and it ran late", "", []record{set1, maybe2, get(1, 4, 5, "1"), get(1, 8, 9, "2")}},
		{"unknown, and it never ran", "", []record{set1, maybe2, get(1, 4, 5, "1"), get(1, 8, 9, "1")}},
		{"unknown, and it was taken back", "no order", []record{set1, maybe2, get(1, 4, 5, "2"), get(1, 8, 9, "1")}},
		{"refused, and it ran", "no order", []record{set1, not2, get(1, 4, 5, "2")}},
		{"counts", "", []record{incr(0, 1, ran, "1"), incr(2, 3, unknown, ""), incr(4, 5, ran, "3"), count("3")}},
		{"an INCR is lost", "INCRs were acknowledged", []record{incr(0, 1, ran, "1"), incr(2, 3, ran, "2"), count("1")}},
		{"an INCR ran twice", "INCRs may have run", []record{incr(0, 1, ran, "1"), incr(2, 3, ran, "2"), count("3")}},
		{"an INCR ran twice, before another", "no order", []record{incr(0, 1, ran, "1"), incr(2, 3, ran, "3"), count("3")}},
		{"a refused INCR ran", "INCRs may have run", []record{incr(0, 1, ran, "1"), incr(2, 3, refused, ""), count("2")}},
		{"appends", "", []record{push("a", 0, 1, ran, "1"), push("b", 2, 3, unknown, ""), push("c", 4, 5, ran, "3"), list("a,b,c,")}},
		{"an element is lost", "and is lost", []record{push("a", 0, 1, ran, "1"), push("b", 2, 3, ran, "2"), list("a,")}},
		{"an element is there twice", "is there 2 times", []record{push("a", 0, 1, unknown, "1"), list("a,a,")}},
		{"a refused element is there", "was refused", []record{push("a", 0, 1, refused, ""), list("a,")}},
		{"a strange element", "was never sent", []record{list("a,")}},
		{"elsewhere than answered", "is not there", []record{push("a", 0, 1, ran, "1"), push("b", 0, 1, ran, "2"), list("b,a,")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&history{calls: c.calls}).check()
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}

// TestJudge has the answers of which the checks make what they mean.
func TestJudge(t *testing.T) {
	for text, want := range map[string]outcome{
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": refused,
		"READONLY You can't write against a read only replica.":                            refused,
		"NOREPLICAS Not enough good replicas to write.":                                    refused,
		"INDOUBT the write may be lost":                                                    unknown,
	} {
		what, err := judge(transcript.Value{Kind: '-', Str: text}, nil)
		require.NoError(t, err)
		require.Equal(t, want, what, text)
	}
	what, err := judge(transcript.Value{}, errors.New("EOF"))
	require.NoError(t, err)
	require.Equal(t, unknown, what)
	_, err = judge(transcript.Value{Kind: '-', Str: "ERR internal error"}, nil)
	require.Error(t, err)
}
