package bench

import (
	"slices"
	"sync"

	"github.com/puzpuzpuz/xsync/v3"

	"github.com/ferricd/ferricd/store"
)

// mutexes is a mutex per shard.
type mutexes struct {
	baseline
	locks [shards]struct {
		sync.Mutex
		_ [56]byte
	}
}

func openMutexes() system { return &mutexes{baseline: newBaseline()} }

type mutexClient struct {
	*baselineClient
	s *mutexes
}

func (s *mutexes) client() client { return mutexClient{s.baseline.client(), s} }

func (c mutexClient) do(args [][]byte) ([]byte, error) {
	if err := c.locate(args); err != nil {
		return nil, err
	}
	for _, i := range c.shards {
		c.s.locks[i].Lock()
	}
	c.run(store.Claimed)
	for _, i := range c.shards {
		c.s.locks[i].Unlock()
	}
	return c.finish()
}

// latchMap has an entry for every key that somebody holds.
type latchMap struct {
	baseline
	held *xsync.MapOf[string, *mapTicket]
}

func openMap() system { return &latchMap{newBaseline(), xsync.NewMapOf[string, *mapTicket]()} }

// A mapTicket stands for a client at one key: as the holder's it is in the map,
// and the tickets of those who wait hang on it, first come first.
type mapTicket struct {
	next, last *mapTicket
	turn       chan struct{}
}

type mapClient struct {
	*baselineClient
	s       *latchMap
	tickets [2]*mapTicket
}

func (s *latchMap) client() client {
	c := &mapClient{baselineClient: s.baseline.client(), s: s}
	for i := range c.tickets {
		c.tickets[i] = &mapTicket{turn: make(chan struct{}, 1)}
	}
	return c
}

func (c *mapClient) do(args [][]byte) ([]byte, error) {
	if err := c.prepare(args); err != nil {
		return nil, err
	}
	if len(c.refs) > 1 {
		slices.SortFunc(c.refs, byKey)
		c.refs = slices.CompactFunc(c.refs, func(a, b store.Ref) bool { return byKey(a, b) == 0 })
	}
	for i := range c.refs {
		c.claim(string(c.refs[i].Key), c.tickets[i])
	}
	c.run(store.Claimed)
	for i := range c.refs {
		c.release(string(c.refs[i].Key), c.tickets[i])
	}
	return c.finish()
}

func (c *mapClient) claim(key string, mine *mapTicket) {
	mine.next, mine.last = nil, nil
	if _, loaded := c.s.held.LoadOrStore(key, mine); !loaded {
		return
	}
	waits := false
	c.s.held.Compute(key, func(holder *mapTicket, loaded bool) (*mapTicket, bool) {
		if waits = loaded; !waits {
			return mine, false
		}
		if holder.last == nil {
			holder.next = mine
		} else {
			holder.last.next = mine
		}
		holder.last = mine
		return holder, false
	})
	if waits {
		<-mine.turn
	}
}

func (c *mapClient) release(key string, mine *mapTicket) {
	var heir *mapTicket
	c.s.held.Compute(key, func(*mapTicket, bool) (*mapTicket, bool) {
		if heir = mine.next; heir != nil && heir != mine.last {
			heir.last = mine.last
		}
		return heir, heir == nil
	})
	if heir != nil {
		heir.turn <- struct{}{}
	}
}

// goroutines is one goroutine per shard, which alone touches it.
type goroutines struct {
	baseline
	inboxes [shards]chan *goroutineClient
	ended   sync.WaitGroup
}

func openGoroutines() system {
	s := &goroutines{baseline: newBaseline()}
	for i := range s.inboxes {
		s.inboxes[i] = make(chan *goroutineClient, 64)
		s.ended.Go(func() {
			for c := range s.inboxes[i] {
				c.served()
			}
		})
	}
	return s
}

func (s *goroutines) stop() {
	for _, inbox := range s.inboxes {
		close(inbox)
	}
	s.ended.Wait()
}

type goroutineClient struct {
	*baselineClient
	s       *goroutines
	done    chan struct{} // one per shard of the call
	release chan struct{} // ends the standstill of a shard; unbuffered, or the next call's shard might take it
}

func (s *goroutines) client() client {
	return &goroutineClient{s.baseline.client(), s, make(chan struct{}, 2), make(chan struct{})}
}

// served is called by the goroutine of each of the call's shards.
func (c *goroutineClient) served() {
	if len(c.shards) == 1 {
		c.run(store.Claimed)
		c.done <- struct{}{}
		return
	}
	c.done <- struct{}{} // it stands still while the client runs the call itself
	<-c.release
}

func (c *goroutineClient) do(args [][]byte) ([]byte, error) {
	if err := c.locate(args); err != nil {
		return nil, err
	}
	for _, i := range c.shards {
		c.s.inboxes[i] <- c
		<-c.done
	}
	if len(c.shards) > 1 {
		c.run(store.Claimed)
		for range c.shards {
			c.release <- struct{}{}
		}
	}
	return c.finish()
}
