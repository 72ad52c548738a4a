package router

import (
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/pubsub"
)

// DropClients ends the connections of those who could believe that this node is still
// the leader: whoever is in a transaction, watches keys, waits for one, is told of
// changes, or listens. The others go too unless keepPlain: they are served by the new
// leader from their next command on. So are the connections that followers pass on,
// in any case: the first answer that they get tells.
//
// Nobody is cut off in the middle of a command: what was begun is answered, as far as
// that is known, and nothing behind it is run. The role has been changed before.
func (r *Router) DropClients(why string, keepPlain bool) {
	r.clients.Range(func(id uint64, s *session) bool {
		if s.rests() || !keepPlain && !s.client.Has(command.ClientProxied) {
			s.conn.CloseWhenIdle(why)
		}
		if s.client.Has(command.ClientBlocked) && !r.unblock(id, command.ErrRoleChanged) && r.server != nil {
			r.server.Unblock(id, true) // it sleeps in WAIT
		}
		return true
	})
}

// rests tells whether something of this node's is kept for the client. It may be
// called from any goroutine.
func (s *session) rests() bool {
	return s.client.Has(command.ClientMulti) || s.client.Has(command.ClientMonitor) || s.client.Has(command.ClientReplica) ||
		s.watching.Load() || s.waiter.Load() != nil || s.listens.Load() || s.client.Tracking().Options() != nil
}

// switchChannels are those by which every node itself tells who leads, as Sentinels do.
var switchChannels = map[string]bool{
	"+switch-master": true, "+replica-reconf-done": true, "+slave-reconf-done": true, "+convert-to-slave": true,
	"+slave": true, "+sentinel": true, "+sdown": true, "-sdown": true, "+odown": true, "-odown": true, "+reboot": true,
	"+failover-end": true, "+elected-leader": true, "+try-failover": true,
}

// listensHere tells whether a command of a follower's client is about channels of the
// node's own. Who has subscribed to none at the leader ends what it has here.
func (s *session) listensHere(spec *command.Spec, args [][]byte) bool {
	switch spec.Name {
	case "SUBSCRIBE", "PSUBSCRIBE":
		for _, name := range args[1:] {
			if !switchChannels[string(name)] {
				return false
			}
		}
		return true
	case "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE":
		return true
	}
	return false
}

// noteListening keeps in mind whether the client listens to others' channels.
func (s *session) noteListening() {
	subs := s.client.Subs()
	if subs.Total() == 0 {
		s.listens.Store(false)
		return
	}
	others := subs.Count(pubsub.Shard) > 0
	for _, kind := range []pubsub.Kind{pubsub.Channel, pubsub.Pattern} {
		for _, name := range subs.Names(kind) {
			others = others || !switchChannels[name]
		}
	}
	s.listens.Store(others)
}
