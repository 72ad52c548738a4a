package pubsub

import "sync/atomic"

// A topic is a name and who has subscribed to it. Changes come one at a time (the
// registry's entry is locked meanwhile); deliveries pass by without a lock.
type topic struct {
	name   string
	live   atomic.Int64                    // subscriptions that are not over
	subs   atomic.Pointer[[]*subscription] // also some that are over; only ever appended to
	listed bool                            // among the hub's patterns; guarded by its mutex
}

// A subscription is one client's to one name.
type subscription struct {
	name string
	to   Subscriber
	over atomic.Bool
}

func newTopic(name string) *topic {
	t := &topic{name: name}
	t.subs.Store(new([]*subscription))
	return t
}

// add appends s. Who delivers at the moment holds the slice as it was, and does not
// look beyond its length.
func (t *topic) add(s *subscription) {
	subs := append(*t.subs.Load(), s)
	t.subs.Store(&subs)
	t.live.Add(1)
}

// remove ends s and tells whether it was the last. Its place is kept until half of
// them are empty: a thousand clients that leave together cost no thousand copies.
func (t *topic) remove(s *subscription) (last bool) {
	s.over.Store(true)
	live := t.live.Add(-1)
	if old := *t.subs.Load(); int(live) <= len(old)/2 {
		subs := make([]*subscription, 0, live)
		for _, x := range old {
			if !x.over.Load() {
				subs = append(subs, x)
			}
		}
		t.subs.Store(&subs)
	}
	return live == 0
}

func (t *topic) deliver(m *Message) (receivers int) {
	for _, s := range *t.subs.Load() {
		if !s.over.Load() {
			s.to.Deliver(m)
			receivers++
		}
	}
	return receivers
}
