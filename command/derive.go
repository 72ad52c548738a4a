package command

import (
	"math"
	"regexp"
	"strings"
)

// The functions of this file derive from a row what COMMAND shows of it.

// flagNames are Redis' names of the flags, in its order. MovableKeys is not
// declared but follows from the key specs; MayReplicate Redis does not show.
var flagNames = [...]struct {
	flag Flags
	name string
}{
	{Write, "write"}, {Readonly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"}, {PubSub, "pubsub"},
	{NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"}, {Stale, "stale"},
	{SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Asking, "asking"}, {Fast, "fast"},
	{NoAuth, "no_auth"}, {NoMandatoryKeys, "no_mandatory_keys"},
	{NoAsyncLoading, "no_async_loading"}, {NoMulti, "no_multi"}, {MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"},
}

// FlagNames are the command's flags as COMMAND prints them.
func (s *Spec) FlagNames() []string {
	flags := s.Flags &^ MovableKeys
	if s.LegacyKeys().Movable {
		flags |= MovableKeys
	}
	var names []string
	for _, f := range flagNames {
		if flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

var accessNames = [...]string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

// Names are the words of a key specification's flags.
func (a Access) Names() []string {
	var names []string
	for i, n := range accessNames {
		if a&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Legacy is what COMMAND told about keys before there were key specifications:
// one range, and whether it leaves keys out.
type Legacy struct {
	First, Last, Step int
	Movable           bool
}

// LegacyKeys sums the key specs up in one range: those that are ranges at fixed
// places and follow each other without gap. A lone one may have any step.
func (s *Spec) LegacyKeys() Legacy {
	if len(s.Keys) == 1 && s.Keys[0].fixed() {
		k := &s.Keys[0]
		return Legacy{k.index, k.lastArg(), k.step, k.Access&Incomplete != 0}
	}
	l := Legacy{First: math.MaxInt}
	for i := range s.Keys {
		k := &s.Keys[i]
		if !k.fixed() || k.step != 1 || k.Access&Incomplete != 0 || l.Last != 0 && l.Last != k.index-1 {
			l.Movable = true
			continue
		}
		l.First = min(l.First, k.index)
		if last := k.lastArg(); uint(last) > uint(l.Last) { // negative ones reach furthest
			l.Last = last
		}
	}
	if l.First == math.MaxInt {
		return Legacy{Movable: l.Movable}
	}
	l.Step = 1
	return l
}

// fixed tells whether the spec is a range at a fixed place.
func (s *KeySpec) fixed() bool { return s.find == nil && s.keyword == "" && !s.counted }

// lastArg is the argument of a fixed range's last key.
func (s *KeySpec) lastArg() int {
	if s.last < 0 {
		return s.last
	}
	return s.index + s.last
}

// hasKeys tells whether a call may have keys at all.
func (s *Spec) hasKeys() bool {
	for i := range s.Keys {
		if s.Keys[i].Access&NotKey == 0 {
			return true
		}
	}
	return false
}

// Arguments is the tree of the usage line; the table's tests check that it can
// be read.
func (s *Spec) Arguments() []Argument {
	args, err := ParseUsage(s.Usage)
	if err != nil {
		panic(err)
	}
	return args
}

// usageNotes are the types of values and the names of groups in a usage line.
var usageNotes = regexp.MustCompile(`:(?:` + strings.Join(valueTypes, "|") + `)\b|([\]>}]):[a-z_-]+`)

// usageToken is a token in braces, which give it room for a name.
var usageToken = regexp.MustCompile(`\{([^ {}]+)\}`)

// Synopsis is how a call is written, for people.
func (s *Spec) Synopsis() string {
	usage := usageToken.ReplaceAllString(usageNotes.ReplaceAllString(s.Usage, "$1"), "$1")
	return strings.TrimSpace(strings.ReplaceAll(s.Name, "|", " ") + " " + usage)
}
