package store

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// A Cut is the keyspace as it was at one instant, told key by key while writers
// go on. It copies nothing at the start; what makes it exact:
//
//   - Every block carries the epoch in which it was published, every holder the
//     one in which it was born or last told. A cut raises the epoch with the
//     gate closed, so what is older was there at the cut and what is not was not.
//   - The walk goes through each shard in the order of databases and hashes. Its
//     position is one of those, which splitting and merging tables do not
//     disturb: under the shard's mutex it takes the pointers of one table and
//     moves the position behind it, and tells them without any lock.
//   - Who replaces or removes an older block that the position has not passed
//     leaves the pointer to the walk, in the hold of the mutex that publishes.
//   - An older block is not changed in place, but replaced by a copy, be it
//     passed or not: its pointer may lie with the walk. For the same reason what
//     Undo puts back is a copy.
//   - An older object is told before it is edited: by the walk or by its editor,
//     whoever is first, under the object's mutex, and then carries the new epoch.
//     Its name and expiry are those of the entry that the walk has or will have.
//     When an object gets another entry, the first one is noted for its editor.
//   - FLUSHDB leaves what it drops to the walk, as a whole.
//
// A key that had expired at the cut, but was still there, is told like any other.
// The access clock is not part of a cut.
type Cut struct {
	ks     *Keyspace
	epoch  uint32
	hand   func(*CutKey)
	client []int // by stored database

	kept  atomic.Int64 // bytes that only the cut holds
	told  atomic.Int64 // keys
	total int64
	over  atomic.Bool

	mu      sync.Mutex
	origins map[*holder]leftBlock // objects that have got another entry

	// What the walk has taken and not yet told.
	shard  int
	blocks []*block
	db     uint32 // of blocks
	from   uint64 // of blocks, hashes below it were told before; 0: none
	left   *leftovers
	key    CutKey
}

// A CutKey is a key with its value as of a cut. It is valid until the func that
// it is given to returns.
type CutKey struct {
	DB       int // as clients numbered it at the cut
	Key      []byte
	ExpireAt int64 // Unix ms, 0: never

	block  *block
	digits []byte
}

// Visit tells c what the value consists of. Fields that have expired are told.
func (k *CutKey) Visit(c Contents) {
	switch k.block.kind() {
	case kindObject:
		Visit(k.block.entry().holder.obj, 0, c)
	case kindInt:
		k.digits = strconv.AppendInt(k.digits[:0], k.block.num().Load(), 10)
		c.String(k.digits)
	case kindStr, kindRaw:
		c.String(k.block.str())
	default:
		d := view(nil, k.block)
		defer d.done()
		Visit(d.obj, 0, c)
	}
}

// Type is the type of the value.
func (k *CutKey) Type() Type { return k.block.typ() }

// Size is the approximate memory of key and value.
func (k *CutKey) Size() int64 { return k.block.size() }

// ErrCutting is the error of BeginCut while another cut is under way.
var ErrCutting = errors.New("store: a cut is under way")

// BeginCut makes a cut of what is there now. The gate is closed and no call is
// under way, not even one that has closed it. There is one cut at a time, until
// its Next says done or it is abandoned.
//
// hand is told an object by the call that is about to edit it, before Next comes
// by: in that call's goroutine, with the object locked, at the same time as other
// calls and Next. It is to be quick, to wait for nothing and to touch no key. All
// such calls have returned when Next says done; after Abandon one that has begun
// may still be running.
func (ks *Keyspace) BeginCut(hand func(*CutKey)) (*Cut, error) {
	if ks.cut.Load() != nil {
		return nil, ErrCutting
	}
	ks.epoch++
	c := &Cut{
		ks: ks, epoch: ks.epoch, hand: hand,
		client: make([]int, len(ks.stored)), origins: map[*holder]leftBlock{},
	}
	for db := range ks.stored {
		c.client[ks.stored[db].Load()] = db
		c.total += ks.Len(db)
	}
	states := make([]shardCut, len(ks.shards))
	for i := range ks.shards {
		sh, sc := &ks.shards[i], &states[i]
		sc.cut = c
		sc.first = uint64(i) << ks.shift
		sc.pos = sc.first
		sh.mu.Lock()
		sh.epoch, sh.cut = c.epoch, sc
		sh.mu.Unlock()
	}
	ks.cut.Store(c)
	return c, nil
}

// Keys is how many keys the cut has, expired ones included.
func (c *Cut) Keys() int64 { return c.total }

// Told is how many of them have been told.
func (c *Cut) Told() int64 { return c.told.Load() }

// Kept is about how much memory is held for the cut alone: what was replaced,
// deleted or flushed since and has not been told. What hand keeps is not in it.
func (c *Cut) Kept() int64 { return c.kept.Load() }

// drainBytes is how much may be left to the walk before it takes that first.
const drainBytes = 1 << 20

// Next tells fn keys until fn returns false, or all have been told by fn and
// hand together, each once; then the cut is over. One goroutine calls it. fn must
// not edit or wait for an editor: an object is locked for reading while fn is
// told of it. After an error, or a panic of fn, the cut cannot become whole: it
// is to be abandoned.
func (c *Cut) Next(fn func(*CutKey) bool) (done bool, err error) {
	for {
		for c.left != nil {
			l := c.left.pop()
			if c.left.n == 0 {
				c.left = c.left.next
			}
			more, err := c.tell(l.block, l.db, fn)
			c.kept.Add(-l.size)
			if err != nil || !more {
				return false, err
			}
		}
		for n := len(c.blocks); n > 0; n = len(c.blocks) {
			b := c.blocks[n-1]
			c.blocks = c.blocks[:n-1]
			if b.epoch == c.epoch || c.from != 0 && c.ks.seed.hash(b.key()) < c.from {
				continue
			}
			if more, err := c.tell(b, c.db, fn); err != nil || !more {
				return false, err
			}
		}
		if !c.refill() {
			return true, c.finish()
		}
	}
}

// finish ends the cut. That it has told as many keys as there were is a last
// guard against writing down less than that.
func (c *Cut) finish() error {
	told := c.told.Load()
	c.end()
	if told != c.total {
		return fmt.Errorf("store: a cut of %d keys has told %d", c.total, told)
	}
	return nil
}

// Abandon ends the cut before it is done. It is for who calls Next; after the end
// it does nothing.
func (c *Cut) Abandon() {
	if !c.over.Load() {
		c.end()
	}
}

func (c *Cut) end() {
	c.over.Store(true)
	for i := range c.ks.shards {
		sh := &c.ks.shards[i]
		sh.mu.Lock()
		sh.cut = nil
		sh.mu.Unlock()
	}
	c.ks.cut.Store(nil)
	c.mu.Lock()
	c.origins = nil
	c.mu.Unlock()
	c.blocks, c.left, c.key = nil, nil, CutKey{}
	c.kept.Store(0)
}

// refill takes what was left to the walk, or else a table. It returns false when
// there is nothing any more.
func (c *Cut) refill() bool {
	walked := c.shard == len(c.ks.shards)
	if walked || c.kept.Load() > drainBytes {
		for i := range c.ks.shards {
			c.ks.shards[i].takeLeft(&c.left)
		}
	}
	if walked {
		return c.left != nil
	}
	if c.left == nil && !c.ks.shards[c.shard].takeTable(c) {
		c.shard++
	}
	return true
}

// tell tells fn a block as of the cut, unless it is an entry whose object an
// editor has told.
func (c *Cut) tell(b *block, db uint32, fn func(*CutKey) bool) (more bool, err error) {
	k := &c.key
	k.DB, k.Key, k.ExpireAt, k.block = c.client[db], b.key(), b.expireAt(), b
	if b.kind() != kindObject {
		c.told.Add(1)
		return fn(k), nil
	}
	h := b.entry().holder
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case !c.owes(h):
		return true, nil
	case h.damaged():
		return false, fmt.Errorf("key %q of database %d: %w", k.Key, k.DB, ErrDamaged)
	}
	more = fn(k)
	h.stamp(c.epoch)
	c.told.Add(1)
	return more, nil
}

// owes tells whether an object was there at the cut and has not been told.
func (c *Cut) owes(h *holder) bool {
	e := h.epoch()
	return e != 0 && e != c.epoch
}

// older tells whether a published block was there at the cut.
func (c *Cut) older(b *block) bool { return b.epoch != c.epoch }

// beforeEdit tells hand the object h, if that is still to be done. Its editor has
// locked it and b, published under db, is the entry that it knows.
func (c *Cut) beforeEdit(h *holder, b *block, db uint32) {
	if !c.owes(h) || c.over.Load() {
		return
	}
	c.mu.Lock()
	if o, ok := c.origins[h]; ok {
		b, db = o.block, o.db
	}
	c.mu.Unlock()
	c.hand(&CutKey{DB: c.client[db], Key: b.key(), ExpireAt: b.expireAt(), block: b})
	h.stamp(c.epoch)
	c.told.Add(1)
	c.mu.Lock()
	delete(c.origins, h)
	c.mu.Unlock()
}

// keepName notes under what name, and with what expiry, an object was known at
// the cut: it is about to get another entry instead of b.
func (c *Cut) keepName(b *block, db uint32) {
	h := b.entry().holder
	if b.epoch == 0 || !c.owes(h) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.origins[h]; !ok && c.origins != nil {
		c.origins[h] = leftBlock{block: b, db: db}
	}
}
