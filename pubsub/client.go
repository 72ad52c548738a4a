package pubsub

import (
	"slices"
	"sync/atomic"
)

// A Client is what one listener has subscribed to. It is for the listener's own
// goroutine, but for Count. A nil one has subscribed to nothing.
type Client struct {
	hub  *Hub
	to   Subscriber
	subs [kinds]map[string]*subscription
	n    [kinds]atomic.Int32
}

// NewClient returns a client whose messages go to a Subscriber.
func (h *Hub) NewClient(to Subscriber) *Client { return &Client{hub: h, to: to} }

// Subscribe lets messages come. It returns false if they do already.
func (c *Client) Subscribe(k Kind, name []byte) bool {
	if c.subs[k][string(name)] != nil {
		return false
	}
	if c.subs[k] == nil {
		c.subs[k] = map[string]*subscription{}
	}
	s := &subscription{name: string(name), to: c.to}
	c.subs[k][s.name] = s
	c.n[k].Add(1)
	c.hub.add(k, s)
	return true
}

// Unsubscribe ends a subscription. What is being delivered at the moment by others
// may still come. It returns false if there was none.
func (c *Client) Unsubscribe(k Kind, name []byte) bool {
	if c == nil {
		return false
	}
	s := c.subs[k][string(name)]
	if s == nil {
		return false
	}
	delete(c.subs[k], s.name)
	c.n[k].Add(-1)
	c.hub.remove(k, s)
	return true
}

// Names are the names of a kind that the client has subscribed to, in alphabetical
// order.
func (c *Client) Names(k Kind) []string {
	if c == nil {
		return nil
	}
	names := make([]string, 0, len(c.subs[k]))
	for name := range c.subs[k] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Count is their number. It may be called from any goroutine.
func (c *Client) Count(k Kind) int {
	if c == nil {
		return 0
	}
	return int(c.n[k].Load())
}

// Total is the number of subscriptions of all kinds. It may be called from any
// goroutine.
func (c *Client) Total() int { return c.Count(Channel) + c.Count(Pattern) + c.Count(Shard) }

// Close ends all subscriptions.
func (c *Client) Close() {
	if c == nil {
		return
	}
	for k := range kinds {
		for _, s := range c.subs[k] {
			c.hub.remove(k, s)
		}
		c.subs[k] = nil
		c.n[k].Store(0)
	}
}
