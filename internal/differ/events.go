package differ

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/internal/transcript"
)

// notifyAll are the classes of events that are compared: all that belong to a
// type or to keys as such.
const notifyAll = "AE"

// A listener receives the keyspace events of a server.
type listener struct{ c *transcript.Client }

const endOfPlay = "differ:end" // a channel

func listen(dial transcript.Dial) (*listener, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	l := &listener{transcript.NewClient(conn, patience)}
	for _, argv := range [][]string{{"PSUBSCRIBE", "__keyevent@*"}, {"SUBSCRIBE", endOfPlay}} {
		v, err := l.c.Do(argv...)
		if err == nil && v.IsError() {
			err = fmt.Errorf("%s", v)
		}
		if err != nil {
			l.c.Close()
			return nil, fmt.Errorf("%s: %w", argv[0], err)
		}
	}
	return l, nil
}

// events are what has come, a line each, up to the end of the play. What expires
// does so when the server finds it.
func (l *listener) events() (lines []string, err error) {
	for {
		v, err := l.c.Next()
		if err != nil {
			return lines, err
		}
		if len(v.Elems) == 3 && v.Elems[1].Str == endOfPlay {
			return lines, nil
		}
		if len(v.Elems) == 4 && !strings.HasSuffix(v.Elems[2].Str, ":expired") {
			lines = append(lines, Line([]string{v.Elems[2].Str, v.Elems[3].Str}))
		}
	}
}

// compareEvents ends the play and compares what the listeners have heard.
func (r *round) compareEvents() (*Difference, error) {
	if err := r.must([]string{"PUBLISH", endOfPlay, ""}); err != nil {
		return nil, err
	}
	want, err := r.hears[1].events()
	if err != nil {
		return nil, fmt.Errorf("redis-server's events: %w", err)
	}
	d := &Difference{Row: "the events", Argv: []string{"(the events)"}}
	got, err := r.hears[0].events()
	if err != nil {
		d.Want, d.Got = strings.Join(want, "\n"), err.Error()
		return d, nil
	}
	if len(r.waits) > 0 { // those who wait at different keys are served at once
		byKey(want)
		byKey(got)
	}
	if slices.Equal(want, got) {
		return nil, nil
	}
	same := 0
	for same < min(len(want), len(got)) && want[same] == got[same] {
		same++
	}
	const shown = 5
	cut := func(lines []string) string {
		return strings.Join(lines[same:min(same+shown, len(lines))], "\n")
	}
	d.Want, d.Got = cut(want), cut(got)
	return d, nil
}

// byKey brings events into the order of their keys, those of each key as they came.
func byKey(lines []string) {
	slices.SortStableFunc(lines, func(a, b string) int {
		_, x, _ := strings.Cut(a, " ")
		_, y, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
}
