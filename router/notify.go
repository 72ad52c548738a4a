package router

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/store"
)

// Watch says which classes of keyspace notifications somebody wants. Without
// NotifyKeyspace or NotifyKeyevent they have no channel to go to.
func (r *Router) Watch(classes command.NotifyClass) {
	if classes&(command.NotifyKeyspace|command.NotifyKeyevent) == 0 {
		classes = 0
	}
	r.watched.Store(uint32(classes))
}

func (r *Router) wants(class command.NotifyClass) bool {
	return command.NotifyClass(r.watched.Load())&class != 0
}

// notify sends a notification of what the server has done by itself.
func (s *session) notify(class command.NotifyClass, name string, ref store.Ref) {
	if s.r.wants(class) {
		s.sendEvent(&command.Event{Class: class, Name: name, DB: ref.DB, Key: ref.Key})
	}
}

// sendEvent publishes an event under the name of its key and under its own.
func (s *session) sendEvent(e *command.Event) {
	r := s.r
	if r.hub.Idle() {
		return
	}
	if r.wants(command.NotifyKeyspace) {
		s.channel = appendChannel(s.channel[:0], "__keyspace@", e.DB)
		s.channel = append(s.channel, e.Key...)
		r.hub.Publish(s.channel, []byte(e.Name))
	}
	if r.wants(command.NotifyKeyevent) {
		s.channel = appendChannel(s.channel[:0], "__keyevent@", e.DB)
		s.channel = append(s.channel, e.Name...)
		r.hub.Publish(s.channel, e.Key)
	}
	if cap(s.channel) > 4<<10 {
		s.channel = nil
	}
}

func appendChannel(b []byte, word string, db int) []byte {
	b = append(b, word...)
	b = strconv.AppendInt(b, int64(db), 10)
	return append(b, "__:"...)
}

// events are what the call in hand has to tell: which keys it looked for in vain,
// what its handler said, and in between which keys it has created. They are good
// until the next call.
func (s *session) events(misses []command.Event) []command.Event {
	own, events := s.ctx.Events(), misses
	switch {
	case s.r.wants(command.NotifyNew):
	case len(misses) == 0:
		return own
	default:
		return append(events, own...)
	}
	var created []store.Ref
	s.tx.EachCreated(func(ref store.Ref) { created = append(created, ref) })
	for _, e := range own {
		if replaces[e.Name] && !slices.ContainsFunc(created, func(ref store.Ref) bool { return concerns(e, ref) }) {
			created = append(created, store.Ref{Key: e.Key, DB: e.DB})
		}
	}
	announce := func(is func(ref store.Ref) bool) {
		created = slices.DeleteFunc(created, func(ref store.Ref) bool {
			if !is(ref) {
				return false
			}
			events = append(events, command.Event{Class: command.NotifyNew, Name: "new", DB: ref.DB, Key: ref.Key})
			return true
		})
	}
	for _, e := range own {
		// A key is new before anything else is said of it, and the new name of a
		// key before anything is said of the old one.
		moved := strings.HasSuffix(e.Name, "_from")
		announce(func(ref store.Ref) bool { return moved || concerns(e, ref) })
		events = append(events, e)
	}
	announce(func(store.Ref) bool { return true })
	return events
}

// replaces are the events by which Redis deletes what a key held, and makes it anew.
var replaces = map[string]bool{"rename_to": true, "copy_to": true, "restore": true}

func concerns(e command.Event, ref store.Ref) bool {
	return ref.DB == e.DB && bytes.Equal(ref.Key, e.Key)
}

// misses are the keys that the call wanted to read and did not find. The Tx knows
// until it publishes.
func (s *session) misses() (events []command.Event) {
	spec, args := s.ctx.Spec, s.ctx.Args
	if s.tx.Misses == 0 || !s.r.wants(command.NotifyMiss) {
		return nil
	}
	if strings.HasPrefix(spec.Name, "OBJECT|") || strings.HasPrefix(spec.Name, "MEMORY|") || spec.Name == "WATCH" {
		return nil // they look at what is known of a key, not at the key
	}
	reads := spec.Has(command.Readonly) || readsFirst(spec, args)
	_ = spec.EachKey(args, func(i int, a command.Access) {
		if (reads || a&command.RO != 0) && s.tx.Missed(args[i]) {
			events = append(events, command.Event{Class: command.NotifyMiss, Name: "keymiss", DB: s.ctx.DB, Key: args[i]})
		}
	})
	return events
}

// readsFirst tells of a command that changes its keys whether Redis counts it as a
// reader of them all the same.
func readsFirst(spec *command.Spec, args [][]byte) bool {
	switch spec.Name {
	case "GETSET", "GETDEL", "GETEX", "PFMERGE", "XACK", "XCLAIM", "XAUTOCLAIM":
		return true
	case "SET":
		return slices.ContainsFunc(args[3:], func(b []byte) bool { return bytes.EqualFold(b, []byte("GET")) })
	}
	return false
}
