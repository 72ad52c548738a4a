package differ

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
)

// tame takes from a call what would make it depend on the clock, wait for long
// or eat memory: times that come while the test runs, timeouts, far offsets,
// and counts of random elements that may repeat.
func (g *Grammar) tame(c *call, argv []string) []string {
	s := c.spec
	if c.most > 0 && len(argv) > c.most { // a newer option's place
		argv = argv[:c.most]
	}
	for i := len(c.name); i < len(argv); i++ {
		if isTime(c, argv, i) && between(argv[i], 1, 99_999_999) {
			argv[i] = "123456789"
		}
		if grows[s.Name] && between(strings.TrimPrefix(argv[i], "#"), 50_000, 1<<32-1) {
			argv[i] = "77"
		}
		if strings.Contains(s.Name, "RAND") && between(argv[i], -1<<63+1, -100) {
			argv[i] = "-7"
		}
	}
	if i := lexKey(c, argv); i > 0 {
		argv[i] = lexKeys[len(argv)%len(lexKeys)]
	}
	if s.Has(command.Blocking) || s.Name == "WAIT" {
		hurry(c, argv)
	}
	return argv
}

// grows are the commands that make a string as long as an offset says.
var grows = map[string]bool{"SETBIT": true, "BITFIELD": true, "SETRANGE": true}

func between(word string, lo, hi int64) bool {
	n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
	return err == nil && lo <= n && n <= hi
}

var relative = []string{"EX", "PX"}

// isTime tells whether word i is a time from now.
func isTime(c *call, argv []string, i int) bool {
	if slices.Contains(relative, strings.ToUpper(argv[i-1])) {
		return true
	}
	at := i - len(c.name)
	return at < len(c.args) && at == 1 && (c.args[at].Name == "seconds" || c.args[at].Name == "milliseconds")
}

// Timeouts that are soon over.
const (
	soonSeconds = "0.004"
	soonMillis  = "4"
)

// hurry gives a call that may wait a timeout that is soon over. Timeouts stand
// first or last, or behind BLOCK.
func hurry(c *call, argv []string) {
	first, last := len(c.name), len(argv)-1
	soon := func(i int, word string) {
		f, err := strconv.ParseFloat(argv[i], 64)
		if err == nil && f >= 0 && f < 9.3e18 || strings.HasPrefix(argv[i], "0x") {
			argv[i] = word
		}
	}
	if last < first {
		return
	}
	if len(c.args) > 0 && c.args[0].Name == "timeout" {
		soon(first, soonSeconds)
	}
	for i := first; i <= last; i++ {
		if strings.EqualFold(argv[i-1], "BLOCK") {
			soon(i, soonMillis)
		}
	}
	if n := len(c.args); n > 0 && c.args[n-1].Name == "timeout" {
		if c.args[n-1].Type == "integer" {
			soon(last, soonMillis)
		} else {
			soon(last, soonSeconds)
		}
	}
}

// lexKeys hold sorted sets of which all scores are the same: of others nobody
// says what a range by name is.
var lexKeys = []string{"y1", "y2"}

// lexKey is the place of the key that a call takes a range by name of, or 0.
func lexKey(c *call, argv []string) int {
	name, at := c.spec.Name, 1
	if name == "ZRANGESTORE" {
		at = 2
	}
	lex := strings.HasSuffix(name, "LEX") || name == "ZLEXCOUNT" ||
		strings.HasPrefix(name, "ZRANGE") && slices.ContainsFunc(argv, func(w string) bool { return strings.EqualFold(w, "BYLEX") })
	if !lex || at >= len(argv) {
		return 0
	}
	return at
}

// lexAdd fills what lexKey is asked for.
func (d *drawer) lexAdd() []string {
	argv := []string{"ZADD", d.pick(lexKeys...)}
	for range 1 + d.IntN(4) {
		argv = append(argv, "0", d.pick(elements...))
	}
	return argv
}
