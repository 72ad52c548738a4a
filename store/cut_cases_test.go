package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// rest tells told everything that is left of a cut.
func rest(t *testing.T, cut *Cut, told *toldCut) {
	done, err := cut.Next(func(k *CutKey) bool {
		told.tell(k)
		return true
	})
	require.NoError(t, err)
	require.True(t, done)
}

// What Undo has put back is not what the walk has: its expiry may change.
func TestCutAfterUndo(t *testing.T) {
	for _, inline := range []int{-1, inlineMax} {
		w := newCutWorld(1, 2, 1)
		w.ks.inline = inline
		testCutAfterUndo(t, w)
	}
}

func testCutAfterUndo(t *testing.T, w *cutWorld) {
	key := []byte("l")
	do(w.ks, testNow, func(tx *Tx) {
		l, _ := tx.EditList(key, true)
		l.PushBack(key)
		tx.SetExpiry(key, testNow+50)
	})
	cut, told, want := w.begin(t)
	var tx Tx
	tx.Begin(w.ks, Alone, 0, testNow, nil)
	tx.Delete(key)
	tx.Publish()
	tx.Undo()
	tx.End()
	do(w.ks, testNow, func(tx *Tx) { tx.SetExpiry(key, testNow+60) })
	do(w.ks, testNow, func(tx *Tx) {
		l, err := tx.EditList(key, false)
		require.NoError(t, err)
		l.PushBack(key)
	})
	rest(t, cut, told)
	told.check(t, want)
}

// Telling a large object takes long: the coordinator leaves it to the call's own
// goroutine, once.
func TestCutKeepsEditsOutOfTheLine(t *testing.T) {
	w := newCutWorld(1, 2, 1)
	w.ks.inHolders()
	edit := func(m Mode) error {
		var tx Tx
		begin(w.ks, &tx, m, "l")
		defer tx.End()
		l, err := tx.EditList([]byte("l"), true)
		if err == nil {
			l.PushBack([]byte("x"))
			tx.Publish()
		}
		return err
	}
	require.NoError(t, edit(InLine))
	cut, told, want := w.begin(t)
	require.ErrorIs(t, edit(InLine), ErrLocked)
	require.NoError(t, edit(Claimed))
	require.Equal(t, 1, told.hands)
	require.NoError(t, edit(InLine))
	rest(t, cut, told)
	told.check(t, want)
}

// Nobody knows what a damaged object was: the cut says so, until it is deleted.
func TestCutOfADamagedObject(t *testing.T) {
	w := newCutWorld(1, 2, 1)
	w.ks.inHolders()
	edit := func(tx *Tx) {
		l, err := tx.EditList([]byte("l"), true)
		require.NoError(t, err)
		l.PushBack([]byte("x"))
	}
	do(w.ks, testNow, edit)
	var tx Tx
	begin(w.ks, &tx, Claimed, "l")
	edit(&tx)
	tx.Abort()
	tx.End()
	cut, told, _ := w.begin(t)
	_, err := cut.Next(func(k *CutKey) bool {
		told.tell(k)
		return true
	})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, `key "l" of database 0`)
	cut.Abandon()
	do(w.ks, testNow, func(tx *Tx) { tx.Delete([]byte("l")) })
	cut, told, want := w.begin(t)
	rest(t, cut, told)
	told.check(t, want)
}

// A block is copied for a cut at most once, and changed in place before and after.
func TestCutCopiesOnce(t *testing.T) {
	w := newCutWorld(1, 2, 1)
	key := []byte("n")
	incr := func() *block {
		do(w.ks, testNow, func(tx *Tx) {
			n, _, _ := tx.Int(key)
			tx.SetInt(key, n+1)
		})
		return w.ks.find(0, w.ks.Hash(0, key), key)
	}
	first := incr()
	require.Same(t, first, incr())
	cut, told, want := w.begin(t)
	second := incr()
	require.NotSame(t, first, second)
	require.Same(t, second, incr())
	require.EqualValues(t, first.size(), cut.Kept())
	rest(t, cut, told)
	told.check(t, want)
	require.Same(t, second, incr())
	require.Zero(t, cut.Kept())
}

// An editor whose cut panics leaves the object as it was, and to the walk.
func TestCutWhoseHandPanics(t *testing.T) {
	w := newCutWorld(1, 2, 1)
	w.ks.inHolders()
	do(w.ks, testNow, func(tx *Tx) {
		l, _ := tx.EditList([]byte("l"), true)
		l.PushBack([]byte("x"))
	})
	want := image(w.ks)
	told := &toldCut{keys: map[string]string{}}
	cut, err := w.ks.BeginCut(func(*CutKey) { panic("oops") })
	require.NoError(t, err)
	var tx Tx
	begin(w.ks, &tx, Claimed, "l")
	require.Panics(t, func() { _, _ = tx.EditList([]byte("l"), true) })
	tx.Abort()
	tx.End()
	rest(t, cut, told)
	told.check(t, want)
	require.Equal(t, want, image(w.ks))
}

// Tables that merge behind and before the position are told once.
func TestCutOfMergingTables(t *testing.T) {
	for stop := 1; stop < 600; stop += 97 {
		w := newCutWorld(1, 16, 600)
		do(w.ks, testNow, func(tx *Tx) {
			for i := range w.names {
				tx.SetString(fmt.Appendf(nil, "key-%d", i), []byte("v"), NoExpiry)
				tx.Publish()
			}
		})
		tables := func() int { return len(w.ks.shards[0].space(0).dir.Load().tables) }
		before := tables()
		cut, told, want := w.begin(t)
		n := 0
		_, err := cut.Next(func(k *CutKey) bool {
			told.tell(k)
			n++
			return n < stop
		})
		require.NoError(t, err)
		do(w.ks, testNow, func(tx *Tx) {
			for i := range w.names {
				if i%12 != 0 {
					tx.Delete(fmt.Appendf(nil, "key-%d", i))
					tx.Publish()
				}
			}
		})
		require.Less(t, tables(), before)
		rest(t, cut, told)
		told.check(t, want)
	}
}
