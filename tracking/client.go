package tracking

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Options are how a client wants to be told.
type Options struct {
	Redirect  uint64 // the client that is told instead; 0: itself
	Broadcast bool   // of all keys with its prefixes, whether it has read them or not
	OptIn     bool   // of keys that it reads right after CLIENT CACHING YES only
	OptOut    bool   // not of keys that it reads right after CLIENT CACHING NO
	NoLoop    bool   // not of changes that it makes itself
}

// A Client is one client's end of a table. It is for the client's own goroutine,
// but for Options and Broken. A nil one's tracking is off.
type Client struct {
	ID      uint64
	Caching bool        // CLIENT CACHING was its last command, or it is in the transaction after that
	Broken  atomic.Bool // whom it redirects to is gone

	table    *Table
	options  atomic.Pointer[Options] // nil: off
	prefixes []string
}

// NewClient returns a client whose tracking is off.
func (t *Table) NewClient(id uint64) *Client { return &Client{ID: id, table: t} }

// Options are those that are in force, nil if tracking is off. It may be called
// from any goroutine.
func (c *Client) Options() *Options {
	if c == nil {
		return nil
	}
	return c.options.Load()
}

func (c *Client) on() bool { return c.options.Load() != nil }

// Prefixes are those that it has asked for.
func (c *Client) Prefixes() []string {
	if c == nil {
		return nil
	}
	return c.prefixes
}

// Overlap finds one of the given prefixes that begins with one that the client has
// already, or with another of the given ones, or the reverse.
func (c *Client) Overlap(prefixes []string) (which, with string, own, found bool) {
	overlap := func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
	for i, p := range prefixes {
		for _, q := range c.Prefixes() {
			if overlap(p, q) {
				return p, q, true, true
			}
		}
		for _, q := range prefixes[i+1:] {
			if overlap(p, q) {
				return p, q, false, true
			}
		}
	}
	return "", "", false, false
}

// Start switches tracking on, or changes how: what has been read stays remembered.
// Prefixes are for Broadcast and come on top of those the client has; none at all
// stand for every key.
func (c *Client) Start(o Options, prefixes []string) {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.on() {
		t.on.Add(1)
	}
	c.Broken.Store(false)
	c.options.Store(&o) // before it is listed: who finds it there sees it on
	t.clients.Store(c.ID, c)
	if !o.Broadcast {
		return
	}
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	for _, p := range prefixes {
		if !slices.Contains(c.prefixes, p) {
			c.prefixes = append(c.prefixes, p)
			t.groups.join(p, c)
		}
	}
	slices.Sort(c.prefixes)
}

// Stop switches tracking off. The last to do so empties the table.
func (c *Client) Stop() {
	if c == nil {
		return
	}
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Caching = false
	if !c.on() {
		return
	}
	c.options.Store(nil)
	c.Broken.Store(false)
	t.clients.Delete(c.ID)
	for _, p := range c.prefixes {
		t.groups.leave(p, c)
	}
	c.prefixes = nil
	if t.on.Add(-1) == 0 {
		t.Clear()
	}
}
