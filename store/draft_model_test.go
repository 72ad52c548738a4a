package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A draftStep is one command of a call; it returns what a client would see.
type draftStep func(tx *Tx) string

var draftKeys = []string{"a", "b", "c", "dd"}

func drawDraftKey(t *rapid.T) []byte { return []byte(rapid.SampledFrom(draftKeys).Draw(t, "key")) }

// drawDraftValue draws texts that fill a block slowly, fast, or not at all.
func drawDraftValue(t *rapid.T) []byte {
	switch rapid.IntRange(0, 4).Draw(t, "kind of value") {
	case 0:
		return fmt.Append(nil, rapid.SampledFrom([]int64{0, 1, 7, -300, 70000, 1 << 40}).Draw(t, "int"))
	case 1:
		return []byte(strings.Repeat("long", rapid.IntRange(5, 18).Draw(t, "length")))
	default:
		return []byte(rapid.SampledFrom([]string{"", "x", "yy", "zebra", "012"}).Draw(t, "text"))
	}
}

// onList, onSet, onZSet and onHash draw one edit.
func onList(t *rapid.T) func(*List) string {
	v, n := drawDraftValue(t), rapid.IntRange(0, 3).Draw(t, "n")
	return [...]func(l *List) string{
		func(l *List) string { l.PushFront(v); return "" },
		func(l *List) string { l.PushBack(v); return "" },
		func(l *List) string { e, ok := l.PopFront(); return fmt.Sprint(e, ok) },
		func(l *List) string { e, ok := l.PopBack(); return fmt.Sprint(e, ok) },
		func(l *List) string { return fmt.Sprint(l.Set(n, v)) },
		func(l *List) string { l.Insert(min(n, l.Len()), v); return "" },
		func(l *List) string { return fmt.Sprint(l.Remove(n-1, v)) },
		func(l *List) string {
			if l.Len() > 0 {
				l.Trim(min(n/2, l.Len()-1), max(l.Len()-1-n, 0))
			}
			return ""
		},
	}[rapid.IntRange(0, 7).Draw(t, "edit of a list")]
}

func onSet(t *rapid.T) func(*Set) string {
	v := drawDraftValue(t)
	return [...]func(s *Set) string{
		func(s *Set) string { return fmt.Sprint(s.Add(v)) },
		func(s *Set) string { s.Reserve([][]byte{v}); return fmt.Sprint(s.Add(v)) },
		func(s *Set) string { return fmt.Sprint(s.Remove(v)) },
		func(s *Set) string { s.Compact(); return "" },
	}[rapid.IntRange(0, 3).Draw(t, "edit of a set")]
}

func onZSet(t *rapid.T) func(*ZSet) string {
	v, n := drawDraftValue(t), rapid.IntRange(-3, 3).Draw(t, "n")
	return [...]func(z *ZSet) string{
		func(z *ZSet) string { return fmt.Sprint(z.Set(v, float64(n)/3)) },
		func(z *ZSet) string { return fmt.Sprint(z.Set(v, float64(n))) },
		func(z *ZSet) string { return fmt.Sprint(z.Remove(v)) },
		func(z *ZSet) string {
			if z.Len() > 1 {
				z.RemoveRange(1, 1)
			}
			return ""
		},
	}[rapid.IntRange(0, 3).Draw(t, "edit of a sorted set")]
}

func onHash(t *rapid.T, now int64) func(*Hash) string {
	f, v, n := drawDraftValue(t), drawDraftValue(t), rapid.Int64Range(0, 40).Draw(t, "n")
	return [...]func(h *Hash) string{
		func(h *Hash) string { return fmt.Sprint(h.Set(f, v, now)) },
		func(h *Hash) string { h.Reserve([][]byte{f, v}); return fmt.Sprint(h.Set(f, v, now)) },
		func(h *Hash) string { return fmt.Sprint(h.Update(f, v, now)) },
		func(h *Hash) string { return fmt.Sprint(h.Delete(f, now)) },
		func(h *Hash) string {
			if _, ok := h.Get(f, now); ok {
				h.SetExpiry(f, now+n)
			}
			return ""
		},
		func(h *Hash) string { return fmt.Sprintf("%q", h.TakeExpired(now, 2)) },
	}[min(rapid.IntRange(0, 12).Draw(t, "edit of a hash")%6, 5)]
}

// several edits an object that is there, or was made, up to four times.
func several[O Object](t *rapid.T, key []byte, edit func(tx *Tx, key []byte, create bool) (O, error), draw func() func(O) string) draftStep {
	var edits []func(O) string
	for range rapid.IntRange(0, 4).Draw(t, "edits") {
		edits = append(edits, draw())
	}
	create := rapid.IntRange(0, 4).Draw(t, "create") > 0
	return func(tx *Tx) (said string) {
		if len(edits) == 0 {
			tx.Publish() // what was edited before is not to be Unedited
		}
		o, err := edit(tx, key, create)
		if err != nil || Object(o) == Object(*new(O)) {
			return fmt.Sprint(err)
		}
		for _, fn := range edits {
			said += fn(o) + ","
		}
		if len(edits) == 0 {
			tx.Unedited(key)
		}
		return said + fmt.Sprint(o.Len(), o.Encoding())
	}
}

func drawDraftStep(t *rapid.T, now int64) draftStep {
	key, other := drawDraftKey(t), drawDraftKey(t)
	at := rapid.SampledFrom([]int64{0, now + 5, now + 50}).Draw(t, "at")
	step := rapid.IntRange(0, 25).Draw(t, "step")
	if step > 15 { // mostly the type that the key has already
		step = slices.Index(draftKeys, string(key))
	}
	switch step {
	case 0, 4:
		return several(t, key, (*Tx).EditList, func() func(*List) string { return onList(t) })
	case 1, 5:
		return several(t, key, (*Tx).EditSet, func() func(*Set) string { return onSet(t) })
	case 2, 6:
		return several(t, key, (*Tx).EditZSet, func() func(*ZSet) string { return onZSet(t) })
	case 3, 7, 8:
		return several(t, key, (*Tx).EditHash, func() func(*Hash) string { return onHash(t, now) })
	case 9:
		return func(tx *Tx) string { return fmt.Sprint(tx.Delete(key)) }
	case 10:
		return func(tx *Tx) string { return fmt.Sprint(tx.Rename(key, other)) }
	case 11:
		replace := rapid.Bool().Draw(t, "replace")
		return func(tx *Tx) string { return fmt.Sprint(tx.Copy(key, other, 0, replace)) }
	case 12:
		return func(tx *Tx) string { return fmt.Sprint(tx.SetExpiry(key, at)) }
	case 13:
		return func(tx *Tx) string { _, _, err := tx.TakeExpired(key, 1); return fmt.Sprint(err) + shown(tx, key) }
	case 14:
		return drawDraftMade(t, key, at)
	default:
		return func(tx *Tx) string { return shown(tx, key) + shown(tx, other) }
	}
}

// drawDraftMade stores a value that was made elsewhere.
func drawDraftMade(t *rapid.T, key []byte, at int64) draftStep {
	if rapid.Bool().Draw(t, "a string") {
		return func(tx *Tx) string { tx.SetString(key, []byte("12"), at); return "" }
	}
	members := rapid.SliceOfN(rapid.Custom(drawDraftValue), 1, 12).Draw(t, "members")
	return func(tx *Tx) string {
		s := tx.NewSet()
		for _, v := range members {
			s.Add(v)
		}
		tx.NewObject(key, s, at)
		s.Add([]byte("last")) // as who has made it may
		return ""
	}
}

// shown is all that a call can see of a key.
func shown(tx *Tx, key []byte) string {
	info, ok := tx.Peek(key)
	said := tape{fmt.Sprint(ok, info.Type, info.Encoding, info.ExpireAt, info.Len, tx.Exists(key), tx.Type(key))}
	_, _, err := tx.String(key)
	said.add("%v", err)
	var value tape
	if _, err := tx.Visit(key, &value); err != nil {
		return strings.Join(append(said, err.Error()), " ")
	}
	o, _ := tx.Object(key, tx.Type(key))
	return strings.Join(append(said, value.sorted(o)...), " ") + "\n"
}

func shownAll(ks *Keyspace, now int64) string {
	var all strings.Builder
	do(ks, now, func(tx *Tx) {
		tx.NoTouch, tx.Follows = true, true
		for _, k := range draftKeys {
			all.WriteString(shown(tx, []byte(k)))
		}
	})
	return all.String()
}

// runDraft makes one call and tells all that came of it; end may take it back.
func runDraft(ks *Keyspace, now int64, mode Mode, steps []draftStep, publish []bool, end func(*Tx)) string {
	var refs []Ref
	for _, k := range draftKeys {
		refs = append(refs, ks.ref(k, 0))
	}
	var tx Tx
	var said strings.Builder
	tx.Begin(ks, mode, 0, now, refs)
	for i, step := range steps {
		said.WriteString(step(&tx) + ";")
		if publish[i] {
			fmt.Fprint(&said, tx.Dirty(), tx.Changes())
			tx.Publish()
		}
	}
	end(&tx)
	for _, each := range []func(func(Ref)){tx.EachChanged, tx.EachLoud, tx.EachEmptied, tx.EachCreated} {
		said.WriteString(" |")
		each(func(r Ref) { said.Write(r.Key) })
	}
	tx.End()
	return said.String()
}

// Collections in blocks are what collections in holders are: both are put through
// the same calls. Calls that fail are made of those in blocks only, where they
// must leave nothing behind.
func TestDraftModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ks, ref := small(2, 2), small(2, 2).inHolders()
		ks.inline = rapid.SampledFrom([]int{3, 20, 60, inlineMax, 4000}).Draw(t, "inline")
		for _, k := range []*Keyspace{ks, ref} {
			k.SetHashLimits(8, 64)
			k.SetSetLimits(6, 9, 64)
			k.SetZSetLimits(ZSetLimits{Members: 8, Value: 64})
		}
		now := testNow
		for range rapid.IntRange(10, 40).Draw(t, "calls") {
			now += rapid.Int64Range(0, 20).Draw(t, "later")
			var steps []draftStep
			var publish []bool
			for range rapid.IntRange(1, 5).Draw(t, "steps") {
				steps = append(steps, drawDraftStep(t, now))
				publish = append(publish, rapid.Bool().Draw(t, "publish"))
			}
			mode := rapid.SampledFrom([]Mode{Claimed, InLine, Alone}).Draw(t, "mode")
			if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
				before := shownAll(ks, now)
				runDraft(ks, now, mode, steps, publish, (*Tx).Abort)
				mendDrafts(t, ks, ref, now, before)
			} else {
				want := runDraft(ref, now, mode, steps, publish, (*Tx).Publish)
				require.Equal(t, want, runDraft(ks, now, mode, steps, publish, (*Tx).Publish))
			}
			require.Equal(t, shownAll(ref, now), shownAll(ks, now))
			checkSpaces(t, ks)
			checkSpaces(t, ref)
		}
	})
}

// mendDrafts follows a call that was taken back: only objects with a holder may be
// damaged by it, and they are deleted.
func mendDrafts(t *rapid.T, ks, ref *Keyspace, now int64, before string) {
	damaged := false
	for _, k := range draftKeys {
		key := []byte(k)
		do(ks, now, func(tx *Tx) {
			tx.Follows = true
			if _, err := tx.Object(key, tx.Type(key)); errors.Is(err, ErrDamaged) {
				require.Equal(t, kindObject, ks.find(0, ks.Hash(0, key), key).kind())
				tx.Delete(key)
				damaged = true
				do(ref, now, func(tx *Tx) { tx.Delete(key) })
			}
		})
	}
	if !damaged {
		require.Equal(t, before, shownAll(ks, now), "what was taken back has left something behind")
	}
}
