package router

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
	"github.com/ferricd/ferricd/tracking"
)

// Client-side caching. A reader is remembered before it looks, a writer tells after
// its change can be seen, and what a client is told comes after the reply of the
// command during which it came: so it never keeps, from a reply that it reads after
// the message, what the message was about.

// tracks tells whether the keys of a call are to be remembered for its client.
func (s *session) tracks(spec *command.Spec) bool {
	t := s.client.Tracking()
	o := t.Options()
	return o != nil && !o.Broadcast && spec.Has(command.Readonly) && (!o.OptIn || t.Caching) && (!o.OptOut || !t.Caching)
}

// track remembers the keys of a call that is about to look at them. Its latches or
// the gate's token are held: whoever empties the table has closed the gate.
func (s *session) track(spec *command.Spec, refs []store.Ref) {
	if !s.tracks(spec) {
		return
	}
	r := s.r
	for i := range refs {
		r.tracking.Remember(s.client.Tracking(), refs[i].Key)
	}
	if limit := r.cfg.Int(config.TrackingTableMaxKeys); limit > 0 && r.tracking.Keys() > limit {
		r.trimTracking(limit, 2*len(refs))
	}
}

// trackQueued is track for one command of a transaction, or of one whose keys are
// found by itself.
func (s *session) trackQueued(spec *command.Spec, args [][]byte) {
	if !s.tracks(spec) {
		return
	}
	var refs []store.Ref
	if spec.EachKey(args, func(i int, _ command.Access) {
		refs = append(refs, store.Ref{Key: args[i]})
	}) == nil {
		s.track(spec, refs)
	}
}

// TrimTracking holds the table to its limit after that was lowered.
func (r *Router) TrimTracking() {
	const perTick = 10000
	if limit := r.cfg.Int(config.TrackingTableMaxKeys); limit > 0 {
		r.trimTracking(limit, perTick)
	}
}

func (r *Router) trimTracking(limit int64, most int) {
	r.tracking.Trim(limit, most, func(key string, c *tracking.Client) {
		r.tell(c, &notice{keys: [][]byte{[]byte(key)}})
	})
}

// invalidate tells who may have cached one of the keys that have been changed. The
// change can be seen by now, and the latches are still held.
func (s *session) invalidate(refs []store.Ref) {
	r := s.r
	if !r.tracking.Active() {
		return
	}
	for i := range refs {
		if readers := r.tracking.Forget(refs[i].Key); readers != nil {
			s.tellReaders(readers, refs[i].Key)
		}
	}
	if r.tracking.Broadcasts() {
		s.broadcast(refs)
	}
}

func (s *session) tellReaders(readers *tracking.Readers, key []byte) {
	n := &notice{keys: [][]byte{key}}
	readers.Each(func(c *tracking.Client) {
		if o := c.Options(); o != nil && !o.Broadcast && !(o.NoLoop && c == s.client.Tracking()) {
			s.r.tell(c, n)
		}
	})
}

// broadcast tells who wants to hear of all keys with some prefix: once for each
// prefix, of all keys of the call.
func (s *session) broadcast(refs []store.Ref) {
	var groups map[*tracking.Group]*notice // nil as long as nobody listens
	for i := range refs {
		s.r.tracking.Listeners(refs[i].Key, func(g *tracking.Group) {
			n := groups[g]
			if n == nil {
				if groups == nil {
					groups = map[*tracking.Group]*notice{}
				}
				n = new(notice)
				groups[g] = n
			}
			n.keys = append(n.keys, refs[i].Key)
		})
	}
	if groups == nil {
		return
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b *tracking.Group) int { return strings.Compare(a.Prefix, b.Prefix) })
	for _, g := range order {
		n := groups[g]
		slices.SortFunc(n.keys, bytes.Compare)
		n.keys = slices.CompactFunc(n.keys, bytes.Equal) // of several databases
		for _, c := range g.Clients {
			if o := c.Options(); o != nil && !(o.NoLoop && c == s.client.Tracking()) {
				s.r.tell(c, n)
			}
		}
	}
}

// invalidateAll tells everyone that any key may have changed. The gate is closed.
func (r *Router) invalidateAll() {
	if !r.tracking.Active() {
		return
	}
	r.tracking.Clear()
	n := new(notice)
	r.tracking.Each(func(c *tracking.Client) { r.tell(c, n) })
}

// A notice says that keys have changed: those, or any.
type notice struct {
	keys    [][]byte
	encoded [4][]byte // by protocol version
}

// tell sends a notice to c, or to whom it has named instead.
func (r *Router) tell(c *tracking.Client, n *notice) {
	o := c.Options()
	to := r.Client(c.ID)
	if o == nil || to == nil {
		return
	}
	if o.Redirect != 0 {
		target := r.Client(o.Redirect)
		if target == nil {
			c.Broken.Store(true)
			if to.Proto() == 3 {
				to.Conn.Push(command.Encode(3, func(w *resp.Writer) {
					w.Push(2)
					w.BulkString("tracking-redir-broken")
					w.Int(int64(o.Redirect))
				}))
			}
			return
		}
		to = target
	}
	// In RESP2 a message has a form only for those who listen to messages at all.
	if proto := to.Proto(); proto == 3 || o.Redirect != 0 && to.Has(command.ClientPubSub) {
		b := &n.encoded[proto]
		if *b == nil {
			*b = command.Encode(proto, n.write)
		}
		to.Conn.Push(*b)
	}
}

func (n *notice) write(w *resp.Writer) {
	if w.Proto() == 3 {
		w.Push(2)
		w.BulkString("invalidate")
	} else {
		w.Push(3)
		w.BulkString("message")
		w.BulkString("__redis__:invalidate")
	}
	if n.keys == nil {
		w.Null()
		return
	}
	w.Array(len(n.keys))
	for _, k := range n.keys {
		w.Bulk(k)
	}
}

// endCaching ends what CLIENT CACHING has said, with the command or the transaction
// that follows it.
func (s *session) endCaching(spec *command.Spec) {
	if s.multi.on || spec != nil && (spec.Name == "CLIENT" || spec.Parent() != nil && spec.Parent().Name == "CLIENT") {
		return
	}
	if t := s.client.Tracking(); t != nil {
		t.Caching = false
	}
}
