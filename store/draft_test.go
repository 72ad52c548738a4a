package store

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func (ks *Keyspace) block(key string) *block { return ks.find(0, ks.Hash(0, []byte(key)), []byte(key)) }

// What small collections cost: the header, the key and the elements.
func TestBlocksOfCollections(t *testing.T) {
	ks := New(Options{})
	for _, c := range []struct {
		name, encoding string
		kind, len      int
		bytes          int64 // of key and elements
		make           func(tx *Tx, key []byte)
	}{
		{"list", "quicklist", kindList, 3, 4 + 2 + 5 + 3, func(tx *Tx, key []byte) {
			l, _ := tx.EditList(key, true)
			l.PushBack([]byte("7"))
			l.PushBack([]byte("abc"))
			l.PushFront([]byte("x"))
		}},
		{"ints", "intset", kindSet, 3, 4 + 3*2, func(tx *Tx, key []byte) {
			s, _ := tx.EditSet(key, true)
			for _, v := range []string{"1", "-2", "300"} {
				s.Add([]byte(v))
			}
		}},
		{"wide ints", "intset", kindSet, 2, 9 + 2*4, func(tx *Tx, key []byte) {
			s, _ := tx.EditSet(key, true)
			s.Add([]byte("70000"))
			s.Add([]byte("1"))
		}},
		{"widest ints", "intset", kindSet, 2, 11 + 2*8, func(tx *Tx, key []byte) {
			s, _ := tx.EditSet(key, true)
			s.Add([]byte("1"))
			s.Add([]byte("-9223372036854775808"))
		}},
		{"members", "hashtable", kindSet, 2, 7 + 2 + 4, func(tx *Tx, key []byte) {
			s, _ := tx.EditSet(key, true)
			s.Add([]byte("1"))
			s.Add([]byte("ab"))
		}},
		{"sorted", "listpack", kindZSet, 2, 6 + 3 + 2 + 3 + 6, func(tx *Tx, key []byte) {
			z, _ := tx.EditZSet(key, true)
			z.Set([]byte("b"), 0.5)
			z.Set([]byte("a"), 1)
		}},
		{"hash", "listpack", kindHash, 1, 4 + 3 + 4, func(tx *Tx, key []byte) {
			h, _ := tx.EditHash(key, true)
			h.Set([]byte("f"), []byte("vv"), testNow)
		}},
	} {
		do(ks, testNow, func(tx *Tx) { c.make(tx, []byte(c.name)) })
		b := ks.block(c.name)
		require.Equal(t, c.kind, b.kind(), c.name)
		require.Equal(t, c.len, b.len(), c.name)
		require.Equal(t, c.encoding, b.encoding(), c.name)
		require.Equal(t, sizeClass((headSize+int(c.bytes)+7)&^7), b.size(), c.name)
		d := view(ks, b)
		require.Equal(t, c.len, d.obj.Len(), c.name)
		require.Equal(t, c.encoding, d.obj.Encoding(), c.name)
		d.done()
	}
	checkSpaces(t, ks)
}

// A collection leaves its block with the byte that is too much, and does not come
// back while its key lives.
func TestCollectionsLeaveTheirBlock(t *testing.T) {
	ks := New(Options{})
	key := []byte("key")
	fill := func(n int) {
		do(ks, testNow, func(tx *Tx) {
			tx.Delete(key)
			l, _ := tx.EditList(key, true)
			l.PushBack([]byte(strings.Repeat("x", n)))
		})
	}
	fill(inlineMax - len(key) - 4) // head of two bytes, tail of two
	require.Equal(t, kindList, ks.block("key").kind())
	require.Len(t, ks.block("key").body(), inlineMax-len(key))
	fill(inlineMax - len(key) - 3)
	require.Equal(t, kindObject, ks.block("key").kind())
	do(ks, testNow, func(tx *Tx) {
		l, _ := tx.EditList(key, false)
		l.PushBack([]byte("a"))
		l.PopFront()
	})
	require.Equal(t, kindObject, ks.block("key").kind())
	do(ks, testNow, func(tx *Tx) {
		h, _ := tx.EditHash([]byte("h"), true)
		h.Set([]byte("f"), []byte("v"), testNow)
		h.SetExpiry([]byte("f"), testNow+9)
	})
	require.Equal(t, kindObject, ks.block("h").kind(), "a time of a field has no place in a block")
	require.EqualValues(t, 1, ks.PartExpires(0))
	checkSpaces(t, ks)
}

// An edit that nobody publishes has not happened, and the published block is
// never written to.
func TestDraftsThatAreForgotten(t *testing.T) {
	for name, end := range map[string]func(*Tx){
		"undo": (*Tx).Undo, "abort": (*Tx).Abort, "drop": (*Tx).Drop, "end": func(*Tx) {},
		"unedited": func(tx *Tx) { tx.Unedited([]byte("k")); tx.Publish() },
		"published, then a panic": func(tx *Tx) {
			tx.Publish()
			h, _ := tx.EditHash([]byte("k"), false)
			h.Delete([]byte("f"), testNow)
			tx.Abort()
		},
	} {
		ks := New(Options{})
		do(ks, testNow, func(tx *Tx) {
			h, _ := tx.EditHash([]byte("k"), true)
			h.Set([]byte("f"), []byte("old"), testNow)
		})
		b, bytes := ks.block("k"), string(ks.block("k").body())
		var tx Tx
		k := begin(ks, &tx, Claimed, "k")[0]
		h, err := tx.EditHash(k, false)
		require.NoError(t, err)
		h.Set([]byte("f"), []byte("new"), testNow)
		end(&tx)
		tx.End()
		require.Same(t, b, ks.block("k"), name)
		require.Equal(t, bytes, string(b.body()), name)
		checkSpaces(t, ks)
	}
}

// How long a key was not used, and when it expires, outlive its edits.
func TestDraftsKeepClockAndExpiry(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	ks.SetAccess(true, 10, 0)
	do(ks, testNow, func(tx *Tx) {
		s, _ := tx.EditSet(k, true)
		s.Add([]byte("1"))
		tx.SetAccess(k, -1, 77)
		tx.SetExpiry(k, testNow+500)
	})
	for i := range 3 {
		do(ks, testNow, func(tx *Tx) {
			tx.NoTouch = true
			s, _ := tx.EditSet(k, false)
			s.Add([]byte(strconv.Itoa(i + 2)))
			if i == 1 {
				require.True(t, tx.SetExpiry(k, testNow+600))
				at, _ := tx.ExpireAt(k)
				require.Equal(t, testNow+600, at)
			}
		})
		do(ks, testNow, func(tx *Tx) {
			info, ok := tx.Peek(k)
			require.True(t, ok)
			require.Equal(t, 77, info.Freq)
			require.Equal(t, testNow+500+100*int64(min(i, 1)), info.ExpireAt)
			require.Equal(t, i+2, info.Len)
		})
	}
	require.Equal(t, kindSet, ks.block("k").kind())
	checkSpaces(t, ks)
}

// An expiry that came beside an edit stays when the edit turns out to be none.
func TestExpiryOfADraftThatIsUnedited(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	for i := range 2 {
		do(ks, testNow, func(tx *Tx) {
			s, _ := tx.EditSet(k, true)
			s.Add([]byte("1"))
		})
		b := ks.block("k")
		require.Equal(t, i > 0, b.hasExpiry())
		do(ks, testNow, func(tx *Tx) {
			_, err := tx.EditSet(k, false)
			require.NoError(t, err)
			require.True(t, tx.SetExpiry(k, testNow+int64(i)))
			tx.Unedited(k)
			at, _ := tx.ExpireAt(k)
			require.Equal(t, testNow+int64(i), at)
		})
		require.Equal(t, "k", string(b.key()))
		require.Equal(t, testNow+int64(i), ks.block("k").expireAt())
		require.Equal(t, 1, ks.block("k").len())
		checkSpaces(t, ks)
	}
}

// Readers without a latch see all of an edit or nothing: two fields are always
// alike, whether the hash is in its block or has just left it.
func TestReadersOfBlocksOfCollections(t *testing.T) {
	ks := New(Options{Shards: 1})
	ref := ks.ref("k", 0)
	set := func(tx *Tx, n int) {
		tx.Begin(ks, Claimed, 0, testNow, []Ref{ref})
		defer tx.End()
		if n%50 == 0 {
			tx.Delete(ref.Key)
		}
		h, err := tx.EditHash(ref.Key, true)
		if err != nil {
			panic(err)
		}
		v := []byte(strings.Repeat(strconv.Itoa(n%10), 1+n%50*3))
		h.Set([]byte("a"), v, testNow)
		h.Set([]byte("b"), v, testNow)
		tx.Publish()
	}
	var w Tx
	set(&w, 1)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var r Tx
			for !stop.Load() {
				if !r.BeginRead(ks, 0, testNow, []Ref{ref}) {
					continue
				}
				var a, b string
				if h, err := r.Hash(ref.Key); err == nil && h != nil {
					x, _ := h.Get([]byte("a"), testNow)
					y, _ := h.Get([]byte("b"), testNow)
					a, b = x.String(), y.String()
				}
				if r.EndRead() && (a != b || a == "") {
					t.Errorf("read %q and %q", a, b)
					return
				}
			}
		})
	}
	for n := range 20000 {
		set(&w, n)
	}
	stop.Store(true)
	wg.Wait()
}

func TestSmallCollectionsAllocateTheirBlockOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector lets pools lose what they hold")
	}
	ks := New(Options{})
	var c caller
	call := func(key []byte, fn func(tx *Tx)) {
		c.Begin(ks, Claimed, 0, testNow, c.of(ks, key))
		fn(&c.Tx)
		c.Publish()
		c.End()
	}
	one, two := []byte("1"), []byte("2")
	h, s, z, l := []byte("h"), []byte("s"), []byte("z"), []byte("l")
	for name, fn := range map[string]func(){
		"HSET": func() { call(h, func(tx *Tx) { o, _ := tx.EditHash(h, true); o.Set(one, two, testNow) }) },
		"SADD": func() { call(s, func(tx *Tx) { o, _ := tx.EditSet(s, true); o.Add(one) }) },
		"ZADD": func() { call(z, func(tx *Tx) { o, _ := tx.EditZSet(z, true); o.Set(one, 2) }) },
		"LPUSH of a list that was popped empty": func() {
			call(l, func(tx *Tx) { o, _ := tx.EditList(l, true); o.PushFront(one) })
			call(l, func(tx *Tx) { o, _ := tx.EditList(l, false); o.PopBack() })
		},
	} {
		require.EqualValues(t, 1, testing.AllocsPerRun(100, fn), name)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.BeginRead(ks, 0, testNow, c.of(ks, h))
		o, _ := c.Hash(h)
		o.Get(one, testNow)
		c.EndRead()
	}))
}

// One call has as many drafts as it edits collections, and gives all back.
func TestDraftsOfManyKeys(t *testing.T) {
	ks := New(Options{})
	key := func(i int) []byte { return fmt.Append(nil, "set-", i) }
	for round := range 3 {
		do(ks, testNow, func(tx *Tx) {
			for i := range 200 {
				s, _ := tx.EditSet(key(i), true)
				s.Add([]byte(strconv.Itoa(i + round)))
			}
			for i := range 200 {
				s, _ := tx.Set(key(i))
				require.True(t, s.Has([]byte(strconv.Itoa(i+round))), "a look after the edit sees it")
				require.Equal(t, round+1, s.Len())
			}
			tx.Publish()
			require.Empty(t, tx.drafts)
		})
	}
	checkSpaces(t, ks)
}
