package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadsWithoutALatch(t *testing.T) {
	slots := new(fakeSlots)
	ks := New(Options{Slots: slots})
	ref := ks.ref("k", 0)
	do(ks, testNow, func(tx *Tx) { tx.SetString(ref.Key, []byte("1"), NoExpiry) })
	var r Tx

	slots.step(ref.Hash)
	require.False(t, r.BeginRead(ks, 0, testNow, []Ref{ref}), "the slot is closed")
	slots.step(ref.Hash)

	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	slots.step(ref.Hash) // an EXEC closes between look and load
	do(ks, testNow, func(tx *Tx) { tx.SetInt(ref.Key, 2) })
	_ = str(t, &r, "k")
	slots.step(ref.Hash)
	require.False(t, r.EndRead(), "what was read may have been half of an EXEC")

	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	require.Equal(t, "2", str(t, &r, "k"))
	require.True(t, r.EndRead())
}

func TestReadsOfObjects(t *testing.T) {
	slots := new(fakeSlots)
	ks := New(Options{Slots: slots}).inHolders()
	ref := ks.ref("l", 0)
	push := func(v string) {
		do(ks, testNow, func(tx *Tx) {
			l, err := tx.EditList(ref.Key, true)
			require.NoError(t, err)
			l.PushBack([]byte(v))
		})
	}
	push("a")
	var r Tx

	// The object is locked from the look to EndRead.
	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	l, err := r.List(ref.Key)
	require.NoError(t, err)
	require.Equal(t, 1, l.Len())
	var w Tx
	w.Begin(ks, InLine, 0, testNow, []Ref{ref})
	_, err = w.EditList(ref.Key, false)
	require.ErrorIs(t, err, ErrLocked, "the coordinator waits for no reader")
	w.Undo()
	w.End()
	require.True(t, r.EndRead())
	push("b")

	// A slot that was closed and opened again: the object may be half of an EXEC.
	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	require.Equal(t, ListType, r.Type(ref.Key))
	slots.step(ref.Hash)
	slots.step(ref.Hash)
	_, err = r.List(ref.Key)
	require.ErrorIs(t, err, ErrRetry)
	require.False(t, r.EndRead())

	// The object has left its name between finding and locking it.
	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	require.Equal(t, ListType, r.Type(ref.Key))
	do(ks, testNow, func(tx *Tx) { require.True(t, tx.Rename(ref.Key, []byte("other"))) })
	_, err = r.List(ref.Key)
	require.ErrorIs(t, err, ErrRetry)
	require.False(t, r.EndRead())
	do(ks, testNow, func(tx *Tx) {
		l, err := tx.EditList([]byte("other"), false) // free, or this waits for ever
		require.NoError(t, err)
		require.Equal(t, 2, l.Len())
		tx.Unedited([]byte("other"))
		require.False(t, tx.Dirty())
	})
	checkSpaces(t, ks)
}

// A read that panics leaves no lock behind.
func TestTxIsUsableAfterAPanic(t *testing.T) {
	ks := New(Options{}).inHolders()
	ref := ks.ref("l", 0)
	do(ks, testNow, func(tx *Tx) { l, _ := tx.EditList(ref.Key, true); l.PushBack([]byte("a")) })
	var r Tx
	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}))
	_, err := r.List(ref.Key)
	require.NoError(t, err)
	require.True(t, r.BeginRead(ks, 0, testNow, []Ref{ref}), "EndRead never came")
	require.True(t, r.EndRead())
	do(ks, testNow, func(tx *Tx) { l, _ := tx.EditList(ref.Key, true); l.PushBack([]byte("b")) })
}

func TestEmptiedCollectionsGo(t *testing.T) {
	ks := New(Options{})
	l, s := []byte("l"), []byte("s")
	do(ks, testNow, func(tx *Tx) {
		list, err := tx.EditList(l, true)
		require.NoError(t, err)
		require.False(t, tx.Exists(l), "nothing in it yet")
		list.PushBack([]byte("a"))
		require.True(t, tx.Exists(l))
	})
	require.EqualValues(t, 1, ks.Len(0))
	do(ks, testNow, func(tx *Tx) {
		list, err := tx.EditList(l, false)
		require.NoError(t, err)
		list.PopFront()
		require.False(t, tx.Exists(l))
		require.Equal(t, None, tx.Type(l))
		again, err := tx.EditList(l, true)
		require.NoError(t, err)
		require.Same(t, list, again, "LMOVE l l puts it back")
		tx.Publish()
		var told []string
		tx.EachEmptied(func(r Ref) { told = append(told, string(r.Key)) })
		require.Equal(t, []string{"l"}, told)
		require.False(t, tx.Exists(l))
	})
	require.Zero(t, ks.Len(0))

	// Created and left empty: never there.
	do(ks, testNow, func(tx *Tx) {
		_, err := tx.EditList(s, true)
		require.NoError(t, err)
	})
	require.Zero(t, ks.Len(0))
	checkSpaces(t, ks)
}

func TestWrongTypes(t *testing.T) {
	ks := New(Options{})
	l, s := []byte("l"), []byte("s")
	do(ks, testNow, func(tx *Tx) {
		list, _ := tx.EditList(l, true)
		list.PushBack([]byte("a"))
		tx.SetString(s, []byte("abc"), NoExpiry)
	})
	do(ks, testNow, func(tx *Tx) {
		_, _, err := tx.String(l)
		require.ErrorIs(t, err, ErrWrongType)
		_, _, err = tx.Int(l)
		require.ErrorIs(t, err, ErrWrongType)
		_, err = tx.StrLen(l)
		require.ErrorIs(t, err, ErrWrongType)
		_, err = tx.Append(l, []byte("x"))
		require.ErrorIs(t, err, ErrWrongType)
		_, err = tx.WriteRange(l, 0, []byte("x"))
		require.ErrorIs(t, err, ErrWrongType)
		_, err = tx.List(s)
		require.ErrorIs(t, err, ErrWrongType)
		_, err = tx.EditList(s, true)
		require.ErrorIs(t, err, ErrWrongType)
		_, _, err = tx.Int(s)
		require.ErrorIs(t, err, ErrNotInteger)
		require.False(t, tx.Dirty())
	})
}

func TestLongStringsGrowInPlace(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	want := ""
	for i := range 300 {
		piece := fmt.Sprint("piece ", i, ";")
		want += piece
		do(ks, testNow, func(tx *Tx) {
			n, err := tx.Append(k, []byte(piece))
			require.NoError(t, err)
			require.Equal(t, len(want), n)
		})
	}
	require.Equal(t, kindObject, ks.find(0, ks.Hash(0, k), k).kind())
	do(ks, testNow, func(tx *Tx) {
		require.Equal(t, want, str(t, tx, "k"))
		n, err := tx.StrLen(k)
		require.NoError(t, err)
		require.Equal(t, len(want), n)
		require.Equal(t, StringType, tx.Type(k))
		info, _ := tx.Peek(k)
		require.Equal(t, "raw", info.Encoding)
		require.True(t, tx.Copy(k, []byte("copy"), 0, false))
		_, err = tx.WriteRange(k, 0, []byte("PIECE"))
		require.NoError(t, err)
		require.Equal(t, want, str(t, tx, "copy"))
	})
	checkSpaces(t, ks)
}

func TestAbortPutsBackWhatWasPublished(t *testing.T) {
	ks := New(Options{})
	var tx Tx
	do(ks, testNow, func(tx *Tx) {
		tx.SetString([]byte("s"), []byte("old"), testNow+99)
		tx.SetInt([]byte("n"), 1)
		tx.SetString([]byte("e"), []byte("x"), testNow+50)
		tx.SetString([]byte("gone"), []byte("x"), NoExpiry)
		l, _ := tx.EditList([]byte("l"), true)
		l.PushBack([]byte("a"))
		l, _ = tx.EditList([]byte("moved"), true)
		l.PushBack([]byte("m"))
	})
	k := begin(ks, &tx, Alone, "s", "n", "e", "gone", "new", "l", "moved", "to")
	tx.SetString(k[0], []byte("new value"), NoExpiry)
	tx.SetInt(k[1], 2)
	tx.Publish()
	tx.SetInt(k[1], 3)
	tx.SetExpiry(k[2], testNow+60)
	require.True(t, tx.Delete(k[3]))
	tx.SetString(k[4], []byte("x"), NoExpiry)
	require.True(t, tx.Rename(k[6], k[7]))
	tx.Publish()
	tx.SetString(k[4], []byte("y"), NoExpiry) // staged when the panic comes
	tx.Abort()
	tx.End()
	do(ks, testNow, func(tx *Tx) {
		require.Equal(t, "old", str(t, tx, "s"))
		at, _ := tx.ExpireAt([]byte("s"))
		require.Equal(t, testNow+99, at)
		require.Equal(t, "1", str(t, tx, "n"))
		at, _ = tx.ExpireAt([]byte("e"))
		require.Equal(t, testNow+50, at)
		require.Equal(t, "x", str(t, tx, "gone"))
		require.False(t, tx.Exists([]byte("new")))
		require.False(t, tx.Exists([]byte("to")))
		l, err := tx.List([]byte("moved"))
		require.NoError(t, err, "renaming does not edit it")
		require.Equal(t, 1, l.Len())
	})
	checkSpaces(t, ks)
}

func TestDamagedObjects(t *testing.T) {
	l := []byte("l")
	// Each fails in another way and says whether the list is damaged by it.
	for name, c := range map[string]struct {
		fail    func(tx *Tx, list *List)
		damaged bool
	}{
		"error before any edit":     {func(tx *Tx, _ *List) { tx.Undo() }, false},
		"error after an edit":       {func(tx *Tx, l *List) { l.PushBack([]byte("x")); tx.Undo() }, true},
		"panic":                     {func(tx *Tx, l *List) { tx.Abort() }, true},
		"panic that only End sees":  {func(tx *Tx, l *List) {}, true},
		"panic, known to be whole":  {func(tx *Tx, _ *List) { tx.Unedited([]byte("l")); tx.Abort() }, false},
		"one command of several":    {func(tx *Tx, _ *List) { tx.Drop() }, false},
		"panic in the next command": {func(tx *Tx, l *List) { l.PushBack([]byte("x")); tx.Publish(); tx.Abort() }, true},
		"success":                   {func(tx *Tx, l *List) { l.PushBack([]byte("x")); tx.Publish() }, false},
		"panic when it was emptied": {func(tx *Tx, l *List) { l.PopBack(); tx.Publish(); tx.Abort() }, true},
	} {
		ks := New(Options{}).inHolders()
		do(ks, testNow, func(tx *Tx) { l, _ := tx.EditList(l, true); l.PushBack([]byte("a")) })
		var tx Tx
		k := begin(ks, &tx, Claimed, "l")[0]
		list, err := tx.EditList(k, false)
		require.NoError(t, err)
		c.fail(&tx, list)
		tx.End()
		do(ks, testNow, func(tx *Tx) {
			_, err := tx.List(l)
			if !c.damaged {
				require.NoError(t, err, name)
				return
			}
			require.ErrorIs(t, err, ErrDamaged, name)
			_, err = tx.EditList(l, true)
			require.ErrorIs(t, err, ErrDamaged, name)
			require.Equal(t, ListType, tx.Type(l), name)
			require.True(t, tx.Delete(l), name)
			tx.Publish()
			_, err = tx.EditList(l, true)
			require.NoError(t, err, name)
		})
		checkSpaces(t, ks)
	}
}

func TestAbortDoesNotFillAFlushedDatabase(t *testing.T) {
	ks := New(Options{})
	var tx Tx
	do(ks, testNow, func(tx *Tx) { tx.SetInt([]byte("k"), 1) })
	k := begin(ks, &tx, Alone, "k")[0]
	tx.Delete(k)
	tx.Publish()
	ks.FlushDB(0)
	tx.Abort()
	tx.End()
	require.Zero(t, ks.Len(0))
}
