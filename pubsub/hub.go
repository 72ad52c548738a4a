package pubsub

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/puzpuzpuz/xsync/v3"

	"github.com/ferricd/ferricd/internal/glob"
)

// A Kind is what a subscription is to.
type Kind uint8

// The kinds. Shard channels are a world of their own: what is published to a
// channel does not reach the shard channel of that name.
const (
	Channel Kind = iota
	Pattern
	Shard

	kinds
)

// A Message is what a Subscriber is given. Its bytes are the publisher's: they are
// good until Deliver returns.
type Message struct {
	Kind    Kind
	Pattern string // the pattern that matched, if Kind is Pattern
	Channel []byte
	Payload []byte

	// Encoded is for Subscribers to share what they have made of this message.
	// All are called by one goroutine, one after the other.
	Encoded [4][]byte
}

// A Subscriber takes messages.
type Subscriber interface {
	// Deliver takes a message without waiting. It may be called from any
	// goroutine, also by several at once.
	Deliver(m *Message)
}

// A Hub is what the subscribers of a server have in common. Its zero value is not
// ready; see NewHub.
type Hub struct {
	topics [kinds]*xsync.MapOf[string, *topic]

	mu       sync.Mutex               // held while patterns are changed
	patterns atomic.Pointer[[]*topic] // only ever appended to
}

// NewHub returns a hub without subscribers.
func NewHub() *Hub {
	h := new(Hub)
	for k := range h.topics {
		h.topics[k] = xsync.NewMapOf[string, *topic]()
	}
	h.patterns.Store(new([]*topic))
	return h
}

// Publish delivers to who has subscribed to the channel, then to who has
// subscribed to a pattern that it matches, and tells how many that were.
func (h *Hub) Publish(channel, payload []byte) (receivers int) {
	receivers = h.deliver(Channel, channel, payload)
	for _, t := range *h.patterns.Load() {
		if glob.MatchString(t.name, view(channel)) {
			receivers += t.deliver(&Message{Kind: Pattern, Pattern: t.name, Channel: channel, Payload: payload})
		}
	}
	return receivers
}

// PublishShard delivers to who has subscribed to the shard channel.
func (h *Hub) PublishShard(channel, payload []byte) (receivers int) {
	return h.deliver(Shard, channel, payload)
}

func (h *Hub) deliver(k Kind, channel, payload []byte) int {
	if t, ok := h.topics[k].Load(view(channel)); ok {
		return t.deliver(&Message{Kind: k, Channel: channel, Payload: payload})
	}
	return 0
}

// Idle tells that nobody listens to channels or patterns.
func (h *Hub) Idle() bool {
	return len(*h.patterns.Load()) == 0 && h.topics[Channel].Size() == 0
}

// Len is the number of names of a kind that somebody has subscribed to.
func (h *Hub) Len(k Kind) int { return h.topics[k].Size() }

// Names calls fn for every such name.
func (h *Hub) Names(k Kind, fn func(name string)) {
	h.topics[k].Range(func(name string, _ *topic) bool {
		fn(name)
		return true
	})
}

// Subscribers is the number of subscriptions to a name.
func (h *Hub) Subscribers(k Kind, name []byte) int {
	if t, ok := h.topics[k].Load(view(name)); ok {
		return int(t.live.Load())
	}
	return 0
}

func (h *Hub) add(k Kind, s *subscription) {
	t, _ := h.topics[k].Compute(s.name, func(t *topic, there bool) (*topic, bool) {
		if !there {
			t = newTopic(s.name)
		}
		t.add(s)
		return t, false
	})
	if k == Pattern {
		h.listPattern(t)
	}
}

func (h *Hub) remove(k Kind, s *subscription) {
	var last *topic
	h.topics[k].Compute(s.name, func(t *topic, there bool) (*topic, bool) {
		if !there || !t.remove(s) {
			return t, !there
		}
		last = t
		return nil, true
	})
	if k == Pattern && last != nil {
		h.dropPattern(last)
	}
}

// listPattern lets Publish know a pattern; its caller has subscribed to it.
func (h *Hub) listPattern(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.listed {
		return
	}
	t.listed = true
	list := append(*h.patterns.Load(), t) // who publishes at the moment does not look beyond its length
	h.patterns.Store(&list)
}

func (h *Hub) dropPattern(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.patterns.Load()
	list := make([]*topic, 0, len(old)-1)
	for _, x := range old {
		if x != t {
			list = append(list, x)
		}
	}
	h.patterns.Store(&list)
}

// view is b as a string that shares its bytes; it must not outlive the call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
