package command_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/differ"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

var (
	notifyFor  = flag.Duration("notifications", 5*time.Second, "how long TestNotificationsAgreeWithRedis draws calls")
	notifySeed = flag.Uint64("notifications-seed", 0, "seed of the only plan that it plays")
)

// A listener is a server with a client that sends calls, one that hears all
// keyspace notifications, and one that is told of all keys that change.
type listener struct {
	calls, events, changes *transcript.Client
}

func listen(t *testing.T, dial transcript.Dial) *listener {
	l := &listener{client(t, dial), client(t, dial), client(t, dial)}
	do(t, l.calls, "CONFIG", "SET", "notify-keyspace-events", "KEAnm")
	require.NoError(t, l.events.Send("PSUBSCRIBE", "__key*__:*"))
	_, err := l.events.Next()
	require.NoError(t, err)
	do(t, l.changes, "HELLO", "3")
	do(t, l.changes, "CLIENT", "TRACKING", "ON", "BCAST")
	return l
}

// heard is what a call makes known: its notifications in order, those of keys that
// were looked for in vain in no order, and the names of the keys that have changed
// and of those that were found expired, which is a matter of time.
func (l *listener) heard(t *testing.T) (events, misses, changes, expired []string) {
	changes = l.changed(t) // first: a key that has expired has its event before
	require.NoError(t, l.events.Send("PING", "end"))
	for {
		v, err := l.events.Next()
		require.NoError(t, err)
		if v.Elems[0].Str == "pong" {
			break
		}
		line := v.Elems[2].Str + " " + v.Elems[3].Str
		switch {
		case strings.HasSuffix(v.Elems[2].Str, ":expired"):
			expired = append(expired, v.Elems[3].Str)
		case strings.HasSuffix(line, " expired"): // the same, under the name of the key
		case strings.Contains(line, "keymiss"):
			misses = append(misses, line)
		default:
			events = append(events, line)
		}
	}
	slices.Sort(misses)
	return events, slices.Compact(misses), changes, expired
}

// changed are the names of the keys that have changed.
func (l *listener) changed(t *testing.T) (changes []string) {
	require.NoError(t, l.changes.Send("PING", "end"))
	for {
		v, err := l.changes.Next()
		require.NoError(t, err)
		if v.Kind != '>' {
			break
		}
		if v.Elems[1].Null {
			changes = append(changes, "(all)")
		}
		for _, k := range v.Elems[1].Elems {
			changes = append(changes, k.Str)
		}
	}
	slices.Sort(changes)
	return slices.Compact(changes)
}

// Whatever is drawn from the command table tells listeners of the same events in
// the same order, and who caches of the same keys.
func TestNotificationsAgreeWithRedis(t *testing.T) {
	theirs := transcript.TCP(transcript.StartRedis(t))
	ours := transcript.TCP(testserver.Start(t).Addr())
	m := &differ.Match{Rules: rules, Theirs: theirs, Ours: []transcript.Dial{ours}}
	leftOut := map[string]string{}
	for name, why := range rules.LeftOut {
		leftOut[name] = why
	}
	leftOut["SPOP"] = "is chance"
	leftOut["SWAPDB"] = "redis-server tells nobody: see testdata/connection/tracking_swapdb.txt"
	leftOut["HELLO"], leftOut["RESET"] = "is about the connection", "is about the connection"
	g, _ := differ.NewGrammar(command.All().Rows(), leftOut, differ.Asked(client(t, theirs), unsaid, nil))
	seed := uint64(time.Now().UnixNano())
	if os.Getenv("CI") != "" { // the same calls for every commit
		seed = 1
	}
	found := map[string]bool{}
	for end := time.Now().Add(*notifyFor); time.Now().Before(end) && len(found) < 10; seed++ {
		if *notifySeed != 0 {
			seed, end = *notifySeed, time.Now()
		}
		want, got := listen(t, theirs), listen(t, ours)
		for _, l := range []*listener{want, got} {
			do(t, l.calls, "FLUSHALL")
			l.heard(t)
		}
		var before []string
		for i, call := range m.NewPlan(g, seed).Calls {
			argv := call.Argv
			if call.Client > 1 || slices.Contains(argv, "*") && strings.EqualFold(argv[0], "XADD") {
				continue
			}
			a, b := do(t, want.calls, argv...), do(t, got.calls, argv...)
			events, misses, changes, expired := want.heard(t)
			ourEvents, ourMisses, ourChanges, ourExpired := got.heard(t)
			expired = append(expired, ourExpired...)
			gone := func(k string) bool { return slices.Contains(expired, k) || slices.Contains(before, k) }
			changes, ourChanges = slices.DeleteFunc(changes, gone), slices.DeleteFunc(ourChanges, gone)
			before = expired
			if a.IsError() || wayward[strings.ToUpper(argv[0])] != "" {
				misses, ourMisses = nil, nil // which look-ups come before the check that fails is nobody's promise
			}
			if untold[strings.ToUpper(argv[0])] {
				ourChanges = slices.DeleteFunc(ourChanges, func(k string) bool { return !slices.Contains(changes, k) })
			}
			events, ourEvents = append(events, misses...), append(ourEvents, ourMisses...)
			if slices.Equal(events, ourEvents) && slices.Equal(changes, ourChanges) {
				continue
			}
			if name := strings.ToUpper(argv[0]); !found[name] {
				found[name] = true
				t.Errorf("seed %d, call %d: %s\nreplies %s\n    and %s\nredis-server tells %s\n           ferricd %s\nof changes %s\n       and %s", seed, i,
					differ.Line(argv), a, b, lines(events), lines(ourEvents), lines(changes), lines(ourChanges))
			}
			break
		}
	}
}

// wayward are commands that redis-server tells otherwise of when a key is missing.
var wayward = map[string]string{
	"SORT": "it tells also of the keys that BY and GET make", "SORT_RO": "the same",
	"XREAD": "it tells also when it parks", "XREADGROUP": "the same",
	"EXEC": "any of them may be in it, and calls that fail",
}

// untold are commands of which redis-server does not always tell who caches, though
// they change something.
var untold = map[string]bool{"XSETID": true, "XGROUP": true, "XREADGROUP": true, "BITFIELD": true, "EXEC": true}

func lines(words []string) string { return fmt.Sprintf("%q", words) }
