package tracking

import (
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"
)

// A Table is what a server remembers. See New.
type Table struct {
	on     atomic.Int64 // clients whose tracking is on
	keys   atomic.Int64
	items  atomic.Int64 // readers of all keys
	seed   maphash.Seed
	stripe [256]stripe

	mu      sync.Mutex // held while clients come, go and change their prefixes
	clients *xsync.MapOf[uint64, *Client]
	groups  groups
}

// A stripe is the keys of which a hash says so.
type stripe struct {
	mu sync.Mutex // guards by
	by map[string]*Readers
}

func (t *Table) at(key []byte) *stripe {
	return &t.stripe[maphash.Bytes(t.seed, key)%uint64(len(t.stripe))]
}

// New returns an empty table.
func New() *Table {
	t := &Table{seed: maphash.MakeSeed(), clients: xsync.NewMapOf[uint64, *Client]()}
	t.groups.init()
	return t
}

// Active tells whether any client's tracking is on.
func (t *Table) Active() bool { return t.on.Load() > 0 }

// Clients is how many clients that are.
func (t *Table) Clients() int64 { return t.on.Load() }

// Keys is how many keys are remembered.
func (t *Table) Keys() int64 { return t.keys.Load() }

// Items is how many readers are, counted for each key.
func (t *Table) Items() int64 { return t.items.Load() }

// Prefixes is how many prefixes somebody wants to hear of.
func (t *Table) Prefixes() int { return t.groups.by.Size() }

// Each calls fn for every client whose tracking is on.
func (t *Table) Each(fn func(c *Client)) {
	t.clients.Range(func(_ uint64, c *Client) bool {
		fn(c)
		return true
	})
}

// Remember notes that c is about to look at a key.
func (t *Table) Remember(c *Client, key []byte) {
	p := t.at(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.by[string(key)]
	if r == nil {
		if p.by == nil {
			p.by = map[string]*Readers{}
		}
		r = new(Readers)
		p.by[string(key)] = r
		t.keys.Add(1)
	}
	t.items.Add(int64(r.add(c)))
}

// Forget takes out the readers of a key that has been changed, and returns them: nil
// if there are none.
func (t *Table) Forget(key []byte) *Readers {
	p := t.at(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.by[string(key)]
	if r != nil {
		delete(p.by, string(key))
		t.drop(r)
	}
	return r
}

func (t *Table) drop(r *Readers) {
	t.keys.Add(-1)
	t.items.Add(-int64(r.len()))
}

// Trim forgets keys, by chance, until no more than limit are left, or so many have
// been forgotten. It calls fn for every reader of theirs.
func (t *Table) Trim(limit int64, most int, fn func(key string, c *Client)) {
	for misses := 0; t.keys.Load() > limit && most > 0 && misses < len(t.stripe); {
		p := &t.stripe[rand.IntN(len(t.stripe))]
		p.mu.Lock()
		key, r := anyOf(p.by)
		if r == nil {
			p.mu.Unlock()
			misses++
			continue
		}
		delete(p.by, key)
		t.drop(r)
		p.mu.Unlock()
		r.Each(func(c *Client) { fn(key, c) })
		most--
	}
}

// anyOf returns any entry; which one, Go's maps leave to chance.
func anyOf(by map[string]*Readers) (string, *Readers) {
	for key, r := range by {
		return key, r
	}
	return "", nil
}

// Clear forgets all keys. Nobody may be between Remember and look.
func (t *Table) Clear() {
	for i := range t.stripe {
		p := &t.stripe[i]
		p.mu.Lock()
		for _, r := range p.by {
			t.drop(r)
		}
		p.by = nil
		p.mu.Unlock()
	}
}
