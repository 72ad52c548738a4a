package store

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/grace"
)

// A telling writes down what it is told of a value.
type telling struct{ strings.Builder }

func (d *telling) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *telling) String(v []byte)                    { d.add("string %q", v) }
func (d *telling) List(n int)                         { d.add("list %d", n) }
func (d *telling) Element(v []byte)                   { d.add("%q", v) }
func (d *telling) Set(n int)                          { d.add("set %d", n) }
func (d *telling) Member(v []byte)                    { d.add("%q", v) }
func (d *telling) ZSet(n int)                         { d.add("zset %d", n) }
func (d *telling) Scored(v []byte, score float64)     { d.add("%q %v", v, score) }
func (d *telling) Hash(n int, times bool)             { d.add("hash %d %v", n, times) }
func (d *telling) Field(name, v []byte, at int64)     { d.add("%q %q %d", name, v, at) }
func (d *telling) Stream(n int)                       { d.add("stream %d", n) }
func (d *telling) Entry(id StreamID, fields [][]byte) { d.add("%v %q", id, fields) }
func (d *telling) State(s StreamState)                { d.add("%+v", s) }
func (d *telling) Group(g GroupHead)                  { d.add("group %q %+v", g.Name, g) }
func (d *telling) Consumer(c ConsumerHead)            { d.add("consumer %q", c.Name) }
func (d *telling) Pending(p PendingEntry) {
	d.add("pending %v %q %d %d", p.ID, p.Consumer, p.At, p.Count)
}
func (d *telling) text() string { return d.Builder.String() }

// cutName is how the tests know a key.
func cutName(db int, key []byte) string { return fmt.Sprintf("%d/%s", db, key) }

// image is all that is in ks, read with the gate closed and without a cut.
func image(ks *Keyspace) map[string]string {
	m := map[string]string{}
	for db := range ks.Databases() {
		ks.Each(db, 0, func(e Entry) bool {
			var d telling
			k := CutKey{block: e.block}
			k.Visit(&d)
			d.add("expires %d", e.ExpireAt)
			m[cutName(db, e.Key)] = d.text()
			return true
		})
	}
	return m
}

// A toldCut collects what a cut tells.
type toldCut struct {
	mu    sync.Mutex
	keys  map[string]string
	hands int
	twice []string
}

func (w *toldCut) tell(k *CutKey) {
	var d telling
	k.Visit(&d)
	d.add("expires %d", k.ExpireAt)
	w.mu.Lock()
	defer w.mu.Unlock()
	name := cutName(k.DB, k.Key)
	if _, ok := w.keys[name]; ok {
		w.twice = append(w.twice, name)
	}
	w.keys[name] = d.text()
}

func (w *toldCut) hand(k *CutKey) {
	w.tell(k)
	w.mu.Lock()
	w.hands++
	w.mu.Unlock()
}

func (w *toldCut) check(t require.TestingT, want map[string]string) {
	require.Empty(t, w.twice, "told twice")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, ok := w.keys[name]
		require.True(t, ok, "%s is missing; it was\n%s", name, want[name])
		require.Equal(t, want[name], got, name)
	}
	for name := range w.keys {
		require.Contains(t, want, name)
	}
}

// cutWorld is a keyspace with what a router holds while it changes it.
type cutWorld struct {
	ks      *Keyspace
	gate    sync.RWMutex
	latches [64]sync.Mutex
	names   int
}

const cutDatabases = 3

// newCutWorld returns a world whose tables split at most groups: with 2, few keys
// make many tables; from 16 on they also merge.
func newCutWorld(shards, most, names int) *cutWorld {
	w := &cutWorld{ks: New(Options{Shards: shards, Databases: cutDatabases, Seed: [16]byte{7}, Grace: grace.New(2)}), names: names}
	for i := range w.ks.shards {
		w.ks.shards[i].most = most
	}
	w.ks.SetHashLimits(6, 20)
	w.ks.SetZSetLimits(ZSetLimits{6, 20})
	return w
}

// A cutWorker makes calls by chance.
type cutWorker struct {
	w    *cutWorld
	r    *rand.Rand
	tx   Tx
	keys [][]byte
	now  int64
}

func (c *cutWorker) key() []byte { return fmt.Appendf(nil, "key-%d", c.r.IntN(c.w.names)) }

// call makes one call on up to three keys, as a router does. From time to time it
// fails and is undone, or panics.
func (c *cutWorker) call() {
	c.w.gate.RLock()
	defer c.w.gate.RUnlock()
	defer c.w.ks.grace.Begin(c.r.IntN(2)).End()
	c.now = testNow + c.r.Int64N(20)
	c.keys = c.keys[:0]
	for range 1 + c.r.IntN(3) {
		c.keys = append(c.keys, c.key())
	}
	var locks []int
	for _, k := range c.keys {
		h := fnv.New32()
		h.Write(k)
		locks = append(locks, int(h.Sum32()%uint32(len(c.w.latches))))
	}
	slices.Sort(locks)
	locks = slices.Compact(locks)
	for _, i := range locks {
		c.w.latches[i].Lock()
		defer c.w.latches[i].Unlock()
	}
	mode := Claimed
	if len(c.keys) == 1 && c.r.IntN(2) == 0 {
		mode = InLine
	}
	if errors.Is(c.run(mode), ErrLocked) {
		if err := c.run(Claimed); errors.Is(err, ErrLocked) {
			panic("a call in its own goroutine met ErrLocked")
		}
	}
}

// run is the call in one mode.
func (c *cutWorker) run(mode Mode) error {
	var refs []Ref
	for _, k := range c.keys {
		for db := range cutDatabases {
			refs = append(refs, Ref{Key: k, DB: db, Hash: c.w.ks.Hash(db, k)})
		}
	}
	tx := &c.tx
	tx.Begin(c.w.ks, mode, 0, c.now, refs)
	defer tx.End()
	steps := 1
	if mode == Claimed {
		steps = 1 + c.r.IntN(3)
	}
	for range steps {
		tx.In(c.r.IntN(cutDatabases))
		if err := c.step(); err != nil {
			tx.Undo()
			c.mend(refs)
			return err
		}
		tx.Publish()
	}
	if mode == Claimed && c.r.IntN(4) == 0 {
		tx.Abort()
		c.mend(refs)
	}
	return nil
}

// mend deletes the keys that the call has damaged: as long as there is one, no
// cut is whole.
func (c *cutWorker) mend(refs []Ref) {
	tx := &c.tx
	tx.End()
	tx.Begin(c.w.ks, Claimed, 0, c.now, refs)
	for _, r := range refs {
		tx.In(r.DB)
		if _, err := tx.Object(r.Key, tx.Type(r.Key)); errors.Is(err, ErrDamaged) {
			tx.Delete(r.Key)
		}
	}
	tx.Publish()
}

func (c *cutWorker) text() []byte {
	if c.r.IntN(3) == 0 {
		return []byte(strconv.Itoa(c.r.IntN(100)))
	}
	return []byte(strings.Repeat("v", c.r.IntN(30)) + strconv.Itoa(c.r.IntN(10)))
}

var errCut = errors.New("an error")

// step is one command.
func (c *cutWorker) step() error {
	tx, key, other := &c.tx, c.keys[0], c.keys[len(c.keys)-1]
	if c.r.IntN(2) == 0 {
		key = other
	}
	switch c.r.IntN(16) {
	case 0, 1:
		tx.SetString(key, c.text(), []int64{0, 0, testNow + 100, testNow + 10}[c.r.IntN(4)])
	case 2, 3, 4:
		n, _, err := tx.Int(key)
		if err != nil {
			tx.SetString(key, []byte("1"), NoExpiry)
			return nil
		}
		tx.SetInt(key, n+1)
	case 5, 6:
		tx.SetExpiry(key, []int64{0, testNow + 200 + c.r.Int64N(50)}[c.r.IntN(2)])
	case 7:
		tx.Delete(key)
	case 8:
		tx.Rename(key, other)
	case 9:
		to := c.r.IntN(cutDatabases)
		if db := tx.DB(); to != db && !c.isThere(key, to) {
			tx.Move(key, to)
		}
	case 10:
		tx.Copy(key, other, c.r.IntN(cutDatabases), c.r.IntN(2) == 0)
	case 11:
		if c.r.IntN(4) == 0 {
			return errCut // after what the call has published
		}
	case 12:
		_, err := tx.Append(key, []byte(strings.Repeat("a", c.r.IntN(400))))
		return free(err)
	default:
		return c.edit(key)
	}
	return nil
}

// free forgets the errors with which a call may go on.
func free(err error) error {
	if errors.Is(err, ErrLocked) {
		return err
	}
	return nil
}

func (c *cutWorker) isThere(key []byte, db int) bool {
	was := c.tx.DB()
	c.tx.In(db)
	defer c.tx.In(was)
	return c.tx.Exists(key)
}

// edit edits a collection, of whatever type it is.
func (c *cutWorker) edit(key []byte) error {
	tx := &c.tx
	t := tx.Type(key)
	if t == None || t == StringType && c.r.IntN(2) == 0 {
		tx.Delete(key)
		t = []Type{ListType, SetType, ZSetType, HashType, StreamType}[c.r.IntN(5)]
	}
	v := c.text()
	switch t {
	case ListType:
		l, err := tx.EditList(key, true)
		if err != nil {
			return free(err)
		}
		if l.PushBack(v); c.r.IntN(3) == 0 {
			l.Trim(c.r.IntN(2), -1)
		}
	case SetType:
		s, err := tx.EditSet(key, true)
		if err != nil {
			return free(err)
		}
		if s.Add(v); c.r.IntN(4) == 0 {
			s.Remove(v)
		}
	case ZSetType:
		z, err := tx.EditZSet(key, true)
		if err != nil {
			return free(err)
		}
		if z.Set(v, c.r.NormFloat64()); c.r.IntN(4) == 0 {
			z.Remove(v)
		}
	case HashType:
		return c.editHash(key, v)
	case StreamType:
		return c.editStream(key, v)
	}
	return nil
}

func (c *cutWorker) editHash(key, v []byte) error {
	h, err := c.tx.EditHash(key, true)
	if err != nil {
		return free(err)
	}
	h.Set(v, c.text(), c.now)
	switch c.r.IntN(5) {
	case 0:
		h.Delete(v, c.now)
	case 1:
		h.SetExpiry(v, testNow+c.r.Int64N(40))
	case 2:
		_, _, err = c.tx.TakeExpired(key, 2)
	}
	return free(err)
}

func (c *cutWorker) editStream(key, v []byte) error {
	s, err := c.tx.EditStream(key, true)
	if err != nil {
		return free(err)
	}
	id, _ := s.LastID().Next()
	if s.Append(id, [][]byte{v, v}); c.r.IntN(4) == 0 {
		s.Delete(id)
	}
	g := s.Group([]byte("g"))
	switch {
	case g == nil:
		g = s.CreateGroup([]byte("g"), StreamID{}, 0)
		g.CreateConsumer([]byte("c"), 1)
	case c.r.IntN(3) == 0:
		s.DestroyGroup([]byte("g"))
	case c.r.IntN(2) == 0:
		g.Give(id, g.Consumers()[0], 5, 6)
	default:
		if p := g.LastPending(); p != nil {
			g.Ack(p.ID)
		}
	}
	return nil
}

// alone does what needs the gate closed: it flushes, swaps, or is an EXEC that
// fails after it.
func (c *cutWorker) alone() {
	c.w.gate.Lock()
	defer c.w.gate.Unlock()
	a, b := c.r.IntN(cutDatabases), c.r.IntN(cutDatabases)
	switch c.r.IntN(3) {
	case 0:
		c.w.ks.FlushDB(a)
	case 1:
		c.w.ks.Swap(a, b)
	case 2:
		key := c.key()
		c.tx.Begin(c.w.ks, Alone, a, testNow, nil)
		c.tx.SetString(key, []byte("x"), NoExpiry)
		c.tx.Publish()
		c.w.ks.Swap(a, b)
		c.tx.Undo()
		c.tx.End()
	}
}

// purge deletes most keys of a database, so that tables shrink and merge.
func (c *cutWorker) purge() {
	c.tx.Begin(c.w.ks, Alone, c.r.IntN(cutDatabases), testNow, nil)
	for i := range c.w.names {
		if c.r.IntN(10) > 0 {
			c.tx.Delete(fmt.Appendf(nil, "key-%d", i))
			c.tx.Publish()
		}
	}
	c.tx.End()
}

// begin makes a cut and an image of what it has to tell.
func (w *cutWorld) begin(t require.TestingT) (*Cut, *toldCut, map[string]string) {
	w.gate.Lock()
	defer w.gate.Unlock()
	told := &toldCut{keys: map[string]string{}}
	c, err := w.ks.BeginCut(told.hand)
	require.NoError(t, err)
	_, err = w.ks.BeginCut(told.hand)
	require.ErrorIs(t, err, ErrCutting)
	want := image(w.ks)
	require.EqualValues(t, len(want), c.Keys())
	return c, told, want
}

// Calls and steps of the walk, one after the other in any order.
func TestCutModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newCutWorld(1<<rapid.IntRange(0, 2).Draw(t, "shards"),
			rapid.SampledFrom([]int{2, 16}).Draw(t, "most"), rapid.SampledFrom([]int{8, 60, 300}).Draw(t, "names"))
		w.ks.inline = rapid.SampledFrom([]int{-1, 40, inlineMax}).Draw(t, "inline")
		seed := rapid.Uint64().Draw(t, "seed")
		c := &cutWorker{w: w, r: rand.New(rand.NewPCG(seed, 1))}
		for range rapid.IntRange(0, 600).Draw(t, "before") {
			c.call()
		}
		for range rapid.IntRange(1, 3).Draw(t, "cuts") {
			cut, told, want := w.begin(t)
			abandon := rapid.IntRange(0, 3).Draw(t, "abandon") == 0
			pace := rapid.IntRange(1, 30).Draw(t, "pace")
			for done := false; !done; {
				for range c.r.IntN(4) {
					c.call()
				}
				if c.r.IntN(100) == 0 {
					c.alone()
				}
				if c.r.IntN(200) == 0 {
					c.purge()
				}
				n := c.r.IntN(pace)
				var err error
				done, err = cut.Next(func(k *CutKey) bool {
					told.tell(k)
					n--
					return n > 0
				})
				require.NoError(t, err)
				if abandon && c.r.IntN(50) == 0 {
					break
				}
			}
			require.Empty(t, told.twice)
			if !abandon {
				told.check(t, want)
			}
			cut.Abandon()
			require.Zero(t, cut.Kept())
			checkSpaces(t, w.ks)
		}
	})
}

// The same with everybody at work at once.
func TestCutBesideWriters(t *testing.T) {
	w := newCutWorld(4, 2, 400)
	w.ks.inline = 60 // some collections are in blocks, some are not
	seed := rand.Uint64()
	t.Log("seed", seed)
	fill := &cutWorker{w: w, r: rand.New(rand.NewPCG(seed, 0))}
	for range 4000 {
		fill.call()
	}
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 {
		c := &cutWorker{w: w, r: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		wg.Go(func() {
			for !stop.Load() {
				if c.call(); c.r.IntN(2000) == 0 {
					c.alone()
				}
				calls.Add(1)
			}
		})
	}
	hands := 0
	for range 4 {
		cut, told, want := w.begin(t)
		for done := false; !done; {
			n := 0
			var err error
			before := calls.Load()
			done, err = cut.Next(func(k *CutKey) bool {
				told.tell(k)
				n++
				return n < 16
			})
			require.NoError(t, err)
			for tries := 0; calls.Load() == before && tries < 1000; tries++ {
				runtime.Gosched()
			}
		}
		told.check(t, want)
		hands += told.hands
	}
	stop.Store(true)
	wg.Wait()
	require.NotZero(t, hands)
	checkSpaces(t, w.ks)
	require.Greater(t, w.ks.grace.Now(), uint64(grace.Over), "no block was used again")
}
