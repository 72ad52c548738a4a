package proxy

import (
	"strconv"

	"github.com/ferricd/ferricd/command"
)

// kept is what the leader keeps for a client.
type kept struct {
	multi, watch, tracking bool
	unsure                 bool // it cannot be told what it will keep when the transaction has run
	sticky                 bool // nor what it keeps now: everything goes there until the end
}

func (k *kept) any() bool { return k.multi || k.watch || k.tracking || k.sticky }

// The kinds of subscriptions, as counted.
const (
	channels = iota
	patterns
	shards
	kinds
)

// subscriptions are what the leader's confirmations have told.
type subscriptions struct {
	n       [kinds]int64
	common  int64 // the last count of channels and patterns together
	awaited int   // commands that change them and have not been answered
}

func (s *subscriptions) any() bool {
	return s.awaited > 0 || s.n[channels]+s.n[patterns]+s.n[shards] > 0
}

// confirmed notes a confirmation with its count.
func (s *subscriptions) confirmed(kind int, count int64) {
	if kind == shards {
		s.n[shards] = count
		return
	}
	s.n[kind] = max(0, s.n[kind]+count-s.common)
	s.common = count
}

var confirmations = map[string]int{
	"subscribe": channels, "unsubscribe": channels, "psubscribe": patterns, "punsubscribe": patterns, "ssubscribe": shards, "sunsubscribe": shards,
}

var messages = map[string]bool{"message": true, "pmessage": true, "smessage": true}

// An expected reply is one that the leader owes.
type expected struct {
	effect   effect
	confirms int64 // confirmations that it consists of; allNames: as many as there are names
	kind     int   // of those
	muted    bool  // nobody wants it
	own      bool  // it answers no command of the client's
	tells    bool  // it is the client's id at the leader
	kept     bool  // the leader has kept something before this command
	end      int   // where the command ends in what is sent
}

// allNames stands for the confirmations of an UNSUBSCRIBE without names.
const allNames = -1

// An effect is what a command does to what the leader keeps.
type effect byte

const (
	effectNone  effect = iota
	effectMulti        // begins a transaction
	effectExec         // runs it
	effectDiscard
	effectWatch   //
	effectUnwatch //
	effectTrack   //
	effectUntrack //
	effectSelf    // changes what the client itself is: known here, unless it is queued
	effectListen  // subscribes, or ends that
)

var effects = map[string]effect{
	"MULTI": effectMulti, "EXEC": effectExec, "DISCARD": effectDiscard, "WATCH": effectWatch, "UNWATCH": effectUnwatch,
	"SELECT": effectSelf, "HELLO": effectSelf, "AUTH": effectSelf, "CLIENT|SETNAME": effectSelf, "CLIENT|SETINFO": effectSelf,
	"SUBSCRIBE": effectListen, "PSUBSCRIBE": effectListen, "SSUBSCRIBE": effectListen,
	"UNSUBSCRIBE": effectListen, "PUNSUBSCRIBE": effectListen, "SUNSUBSCRIBE": effectListen,
}

// after brings k up to date with a command that succeeded; queued: it will only run
// with its transaction.
func (k *kept) after(e effect, queued bool) {
	switch {
	case queued && e == effectNone, queued && e == effectUnwatch:
	case queued:
		k.unsure = true
	case e == effectMulti:
		k.multi = true
	case e == effectExec, e == effectDiscard:
		k.sticky = k.sticky || k.unsure && e == effectExec
		k.multi, k.watch, k.unsure = false, false, false
	case e == effectWatch:
		k.watch = true
	case e == effectUnwatch:
		k.watch = false
	case e == effectTrack, e == effectUntrack:
		k.tracking = e == effectTrack
	}
}

// note says what the reply of a command is like, and what the leader keeps after it if
// it succeeds. Whether it does is seen when the reply comes; what is sent behind it
// until then goes the same way in any case.
func (l *Link) note(spec *command.Spec, args [][]byte) (e expected) {
	e.kept = l.Pinned()
	if spec == nil {
		return e
	}
	e.effect = effects[spec.Name]
	switch {
	case spec.Name == "CLIENT|TRACKING" && len(args[2]) == len("ON"):
		e.effect = effectTrack
	case spec.Name == "CLIENT|TRACKING":
		e.effect = effectUntrack
	case e.effect == effectListen:
		e.kind = confirmations[spec.Lower()]
		if e.confirms = int64(len(args) - 1); e.confirms == 0 {
			e.confirms = allNames
		}
		l.mu.Lock()
		l.subs.awaited++
		l.mu.Unlock()
	}
	l.kept.after(e.effect, l.kept.multi && e.effect != effectExec && e.effect != effectDiscard)
	return e
}

// reworded is a command as the leader is to see it: what is one client's number here
// is another's there. In a transaction CLIENT REPLY would leave replies out that are
// waited for; cut short it is refused.
func (l *Link) reworded(spec *command.Spec, args [][]byte) [][]byte {
	switch {
	case spec == nil:
	case spec.Name == "CLIENT|REPLY":
		return args[:2]
	case spec.Name == "CLIENT|TRACKING":
		for i := 3; i+1 < len(args); i++ {
			id, err := strconv.ParseUint(string(args[i+1]), 10, 64)
			if len(args[i]) != len("REDIRECT") || args[i][0]|0x20 != 'r' || err != nil {
				continue
			}
			const nobody = 1 << 62
			there := l.proxy.idOf(id)
			if there == 0 {
				there = nobody
			}
			out := append([][]byte(nil), args...)
			out[i+1] = strconv.AppendUint(nil, there, 10)
			return out
		}
	}
	return args
}
