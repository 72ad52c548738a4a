package config

import (
	"math"
	"strconv"
	"strings"
)

// A SavePoint asks for a snapshot after Seconds when at least Changes were made.
type SavePoint struct {
	Seconds int64
	Changes int64
}

func parseSave(old value, args []string) (value, error) {
	bad := textError("Invalid save parameters")
	if len(args) == 0 {
		return saveValue(nil), nil
	}
	if len(args)%2 != 0 {
		return value{}, bad
	}
	before, _ := old.obj.([]SavePoint)
	points := append([]SavePoint(nil), before...)
	for i := 0; i < len(args); i += 2 {
		seconds, err1 := strconv.ParseInt(args[i], 10, 64)
		changes, err2 := strconv.ParseInt(args[i+1], 10, 32)
		if err1 != nil || err2 != nil || seconds < 1 || changes < 0 {
			return value{}, bad
		}
		points = append(points, SavePoint{seconds, changes})
	}
	return saveValue(points), nil
}

func saveValue(points []SavePoint) value {
	var texts []string
	for _, p := range points {
		texts = append(texts, p.String())
	}
	return value{text: strings.Join(texts, " "), obj: points}
}

func (p SavePoint) String() string {
	return strconv.FormatInt(p.Seconds, 10) + " " + strconv.FormatInt(p.Changes, 10)
}

func saveLines(v value) [][]string {
	points := v.obj.([]SavePoint)
	if len(points) == 0 {
		return [][]string{{""}}
	}
	var lines [][]string
	for _, p := range points {
		lines = append(lines, strings.Fields(p.String()))
	}
	return lines
}

// An OutputLimit says when a client that does not read its replies is closed: at
// once beyond Hard bytes, or after Seconds in a row beyond Soft bytes. 0 is no
// limit.
type OutputLimit struct {
	Hard, Soft int64
	Seconds    int64
}

// OutputLimits are the limits by class of client.
type OutputLimits struct {
	Normal, Replica, PubSub OutputLimit
}

func (l *OutputLimits) class(name string) *OutputLimit {
	switch strings.ToLower(name) {
	case "normal":
		return &l.Normal
	case "slave", "replica":
		return &l.Replica
	case "pubsub":
		return &l.PubSub
	}
	return nil
}

// parseOutputLimits changes the classes that are named and keeps the others.
func parseOutputLimits(old value, args []string) (value, error) {
	if len(args)%4 != 0 {
		return value{}, textError("Wrong number of arguments in buffer limit configuration.")
	}
	limits, _ := old.obj.(OutputLimits)
	for i := 0; i < len(args); i += 4 {
		class := limits.class(args[i])
		if class == nil {
			return value{}, textError("Invalid client class specified in buffer limit configuration.")
		}
		hard, ok1 := parseMemory(args[i+1])
		soft, ok2 := parseMemory(args[i+2])
		seconds, err := strconv.ParseInt(args[i+3], 10, 32)
		if !ok1 || !ok2 || err != nil || seconds < 0 {
			return value{}, textError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		*class = OutputLimit{int64(min(hard, maxLong)), int64(min(soft, maxLong)), seconds}
	}
	var texts []string
	for _, line := range outputLimitLines(value{obj: limits}) {
		texts = append(texts, strings.Join(line, " "))
	}
	return value{text: strings.Join(texts, " "), obj: limits}, nil
}

func outputLimitLines(v value) [][]string {
	limits := v.obj.(OutputLimits)
	line := func(class string, l OutputLimit) []string {
		return []string{class, strconv.FormatInt(l.Hard, 10), strconv.FormatInt(l.Soft, 10), strconv.FormatInt(l.Seconds, 10)}
	}
	return [][]string{line("normal", limits.Normal), line("slave", limits.Replica), line("pubsub", limits.PubSub)}
}

// Classes of keyspace notifications: the bits of Int(NotifyKeyspaceEvents).
const (
	NotifyGeneric  = 1 << iota // g
	NotifyString               // $
	NotifyList                 // l
	NotifySet                  // s
	NotifyHash                 // h
	NotifyZset                 // z
	NotifyExpired              // x
	NotifyEvicted              // e
	NotifyStream               // t
	NotifyModule               // d
	NotifyNew                  // n
	NotifyKeyspace             // K
	NotifyKeyevent             // E
	NotifyKeyMiss              // m

	NotifyAll = NotifyNew - 1 // A
)

// notifyLetters has the letter of each bit.
const notifyLetters = "g$lshzxetdnKEm"

func parseNotify(_ value, args []string) (value, error) {
	var n int64
	for _, c := range strings.Join(args, " ") {
		if c == 'A' {
			n |= NotifyAll
			continue
		}
		bit := strings.IndexRune(notifyLetters, c)
		if bit < 0 {
			return value{}, textError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
		n |= 1 << bit
	}
	// redis-server leaves out n beside A when it prints.
	shown := n
	if n&NotifyAll == NotifyAll {
		shown &^= NotifyNew
	}
	return value{num: n, text: notifyText(shown)}, nil
}

func notifyText(n int64) string {
	var b strings.Builder
	if n&NotifyAll == NotifyAll {
		b.WriteByte('A')
		n &^= NotifyAll
	}
	for i := range notifyLetters {
		if n&(1<<i) != 0 {
			b.WriteByte(notifyLetters[i])
		}
	}
	return b.String()
}

func notifyLines(v value) [][]string { return [][]string{{notifyText(v.num)}} }

const maxBindAddresses = 16

func parseBind(_ value, args []string) (value, error) {
	if len(args) > maxBindAddresses {
		return value{}, textError("Too many bind addresses specified.")
	}
	return value{text: strings.Join(args, " ")}, nil
}

func parseOOMScores(_ value, args []string) (value, error) {
	if len(args) != 3 {
		return value{}, errWrongNumber
	}
	texts := make([]string, len(args))
	for i, a := range args {
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil || n < -2000 || n > 2000 {
			return value{}, textError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
		}
		texts[i] = strconv.FormatInt(n, 10)
	}
	return value{text: strings.Join(texts, " ")}, nil
}

func parsePercentiles(_ value, args []string) (value, error) {
	list := make([]float64, len(args))
	texts := make([]string, len(args))
	for i, a := range args {
		f, err := strconv.ParseFloat(a, 64)
		if math.IsNaN(f) || (err != nil && !math.IsInf(f, 0)) {
			return value{}, textError("Invalid latency-tracking-info-percentiles parameters")
		}
		if f < 0 || f > 100 {
			return value{}, textError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		list[i] = f
		texts[i] = FormatPercentile(f)
	}
	return value{text: strings.Join(texts, " "), obj: list}, nil
}

// FormatPercentile writes a percentile as CONFIG GET and INFO latencystats do: at
// most six decimals, none that say nothing.
func FormatPercentile(f float64) string {
	s := strconv.FormatFloat(f, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// parseReplicaOf knows "no one"; following another server is not possible here.
func parseReplicaOf(_ value, args []string) (value, error) {
	if len(args) == 0 {
		return value{}, nil
	}
	if len(args) != 2 {
		return value{}, errWrongNumber
	}
	if strings.EqualFold(args[0], "no") && strings.EqualFold(args[1], "one") {
		return value{}, nil
	}
	return value{}, textError("replicaof is not available: this server cannot follow another one")
}
