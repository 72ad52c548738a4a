package store

import (
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"
)

// A Group is a group of consumers that share the reading of a stream. What was
// given to a consumer is pending until it is acknowledged.
type Group struct {
	s         *Stream
	name      string
	last      StreamID // the last entry that was given out
	read      int64    // how many entries were, ReadUnknown if that cannot be said
	pending   ordered[Pending]
	consumers []*Consumer // by name
}

// ReadUnknown is the count of entries read where it cannot be said.
const ReadUnknown = -1

// A Pending is an entry that was given to a consumer and not acknowledged.
type Pending struct {
	ID       StreamID
	Consumer *Consumer
	At       int64 // when it was given last, Unix ms
	Count    int64 // how often
}

func (p Pending) id() StreamID { return p.ID }

// A Consumer is a member of a group.
type Consumer struct {
	name    string
	seen    atomic.Int64 // also stored by calls that edit nothing else
	pending ordered[StreamID]
}

const (
	groupOverhead    = int64(unsafe.Sizeof(Group{})) + 8
	consumerOverhead = int64(unsafe.Sizeof(Consumer{})) + 8
)

// Groups are the groups of the stream, by name.
func (s *Stream) Groups() []*Group { return s.groups }

// Group is the group of this name, or nil.
func (s *Stream) Group(name []byte) *Group {
	if i, ok := s.findGroup(name); ok {
		return s.groups[i]
	}
	return nil
}

func (s *Stream) findGroup(name []byte) (int, bool) {
	return slices.BinarySearchFunc(s.groups, name, func(g *Group, name []byte) int {
		return strings.Compare(g.name, string(name))
	})
}

// CreateGroup adds a group, of which there is none of this name.
func (s *Stream) CreateGroup(name []byte, last StreamID, read int64) *Group {
	i, _ := s.findGroup(name)
	g := &Group{s: s, name: string(name), last: last, read: read}
	g.pending.total = &s.bytes
	s.groups = slices.Insert(s.groups, i, g)
	s.bytes += groupOverhead + int64(len(name))
	return g
}

// DestroyGroup takes a group out and tells whether it was there.
func (s *Stream) DestroyGroup(name []byte) bool {
	i, ok := s.findGroup(name)
	if !ok {
		return false
	}
	g := s.groups[i]
	s.groups = slices.Delete(s.groups, i, i+1)
	for _, c := range g.consumers {
		c.pending.release()
		s.bytes -= consumerOverhead + int64(len(c.name))
	}
	g.pending.release()
	s.bytes -= groupOverhead + int64(len(g.name))
	return true
}

// copyTo makes the same group of another stream.
func (g *Group) copyTo(s *Stream) {
	d := s.CreateGroup([]byte(g.name), g.last, g.read)
	made := make(map[*Consumer]*Consumer, len(g.consumers))
	for _, c := range g.consumers {
		e := d.CreateConsumer([]byte(c.name), c.Seen())
		e.pending = c.pending.copy(&s.bytes, func(id StreamID) StreamID { return id })
		made[c] = e
	}
	d.pending = g.pending.copy(&s.bytes, func(p Pending) Pending {
		p.Consumer = made[p.Consumer]
		return p
	})
}

// Name is the group's name.
func (g *Group) Name() string { return g.name }

// LastID is the last entry that was given out.
func (g *Group) LastID() StreamID { return g.last }

// Read is how many entries were given out, or ReadUnknown.
func (g *Group) Read() int64 { return g.read }

// Set sets what was given out last, and how many entries that makes.
func (g *Group) Set(last StreamID, read int64) { g.last, g.read = last, read }

// Pending is the number of entries that are pending.
func (g *Group) Pending() int { return g.pending.len() }

// Consumers are the group's consumers, by name.
func (g *Group) Consumers() []*Consumer { return g.consumers }

// Consumer is the consumer of this name, or nil.
func (g *Group) Consumer(name []byte) *Consumer {
	if i, ok := g.findConsumer(name); ok {
		return g.consumers[i]
	}
	return nil
}

func (g *Group) findConsumer(name []byte) (int, bool) {
	return slices.BinarySearchFunc(g.consumers, name, func(c *Consumer, name []byte) int {
		return strings.Compare(c.name, string(name))
	})
}

// CreateConsumer adds a consumer, of which there is none of this name.
func (g *Group) CreateConsumer(name []byte, now int64) *Consumer {
	i, _ := g.findConsumer(name)
	c := &Consumer{name: string(name)}
	c.seen.Store(now)
	c.pending.total = &g.s.bytes
	g.consumers = slices.Insert(g.consumers, i, c)
	g.s.bytes += consumerOverhead + int64(len(name))
	return c
}

// DeleteConsumer takes a consumer out, with what is pending for it, and tells
// how much that was.
func (g *Group) DeleteConsumer(c *Consumer) (pending int) {
	pending = c.pending.len()
	if pending > g.pending.len()/16 {
		g.pending.filter(func(p *Pending) bool { return p.Consumer != c })
	} else {
		c.pending.each(StreamID{}, func(id *StreamID) bool {
			_, at := g.pending.find(*id)
			g.pending.remove(at)
			return true
		})
	}
	c.pending.release()
	i, _ := g.findConsumer([]byte(c.name))
	g.consumers = slices.Delete(g.consumers, i, i+1)
	g.s.bytes -= consumerOverhead + int64(len(c.name))
	return pending
}

// Find is what is pending of this ID, or nil. What it points to may be changed
// by an editor but for the ID and the consumer.
func (g *Group) Find(id StreamID) *Pending {
	p, _ := g.pending.find(id)
	return p
}

// From is the first pending entry that is not before id, or nil.
func (g *Group) From(id StreamID) *Pending { return g.pending.at(g.pending.seek(id)) }

// LastPending is the last pending entry, or nil.
func (g *Group) LastPending() *Pending { return g.pending.last() }

// Each calls fn for what is pending from id on, until it returns false.
func (g *Group) Each(from StreamID, fn func(*Pending) bool) { g.pending.each(from, fn) }

// Give notes that an entry was given to a consumer, whoever had it before.
func (g *Group) Give(id StreamID, c *Consumer, at, count int64) {
	p, where := g.pending.find(id)
	if p == nil {
		g.pending.insert(where, Pending{id, c, at, count})
		c.add(id)
		return
	}
	if p.Consumer != c {
		p.Consumer.remove(id)
		c.add(id)
	}
	p.Consumer, p.At, p.Count = c, at, count
}

// Ack takes an entry out of what is pending and tells whether it was there.
func (g *Group) Ack(id StreamID) bool {
	p, at := g.pending.find(id)
	if p == nil {
		return false
	}
	p.Consumer.remove(id)
	g.pending.remove(at)
	return true
}

func (c *Consumer) add(id StreamID) {
	_, at := c.pending.find(id)
	c.pending.insert(at, id)
}

func (c *Consumer) remove(id StreamID) {
	_, at := c.pending.find(id)
	c.pending.remove(at)
}

// Name is the consumer's name.
func (c *Consumer) Name() string { return c.name }

// Seen is when the consumer was last heard of, Unix ms.
func (c *Consumer) Seen() int64 { return c.seen.Load() }

// Saw notes that the consumer was heard of. Whoever holds the latch may, also
// beside readers.
func (c *Consumer) Saw(now int64) { c.seen.Store(now) }

// Pending is the number of entries that are pending for the consumer.
func (c *Consumer) Pending() int { return c.pending.len() }

// Each calls fn for what is pending for the consumer from id on, until it
// returns false.
func (c *Consumer) Each(from StreamID, fn func(StreamID) bool) {
	c.pending.each(from, func(id *StreamID) bool { return fn(*id) })
}
