package store

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/grace"
)

// Readers of one key that changes all the time see whole values only.
func TestConcurrentReadersSeeWholeValues(t *testing.T) {
	slots := new(fakeSlots)
	ks := New(Options{Shards: 1, Slots: slots})
	ref := ks.ref("k", 0)
	set := func(tx *Tx, n int) {
		tx.Begin(ks, Claimed, 0, testNow, []Ref{ref})
		defer tx.End()
		switch n % 3 {
		case 0:
			tx.SetString(ref.Key, []byte(fmt.Sprintf("%d-%d", n, n)), testNow+int64(n))
		case 1:
			tx.SetString(ref.Key, []byte(strconv.Itoa(n)), testNow+int64(n))
		case 2:
			l, err := tx.EditList(ref.Key, true)
			if err != nil {
				l = NewList(-2)
				tx.NewObject(ref.Key, l, testNow+int64(n))
			}
			l.PushBack([]byte(strconv.Itoa(n)))
			l.PushBack([]byte(strconv.Itoa(n)))
		}
		tx.Publish()
	}
	var w Tx
	set(&w, 0)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var r Tx
			for !stop.Load() {
				if !r.BeginRead(ks, 0, testNow, []Ref{ref}) {
					continue
				}
				var v string
				var l *List
				b, ok, err := r.String(ref.Key)
				if err != nil {
					l, _ = r.List(ref.Key)
					if l != nil {
						a, _ := l.Index(0)
						z, _ := l.Index(1)
						v = a.String() + "-" + z.String()
					}
				} else {
					v = string(b)
				}
				at, there := r.ExpireAt(ref.Key)
				if !r.EndRead() {
					continue
				}
				if !ok && l == nil || !there || !wholeValue(v, at-testNow) {
					t.Errorf("read %q with expiry %d", v, at-testNow)
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

// wholeValue tells whether v is what the test above writes together with at.
func wholeValue(v string, at int64) bool {
	n := strconv.FormatInt(at, 10)
	return v == n || v == n+"-"+n
}

// The Tx against a map: strings, expiry, rename, copy, delete, undo.
func TestTxModel(t *testing.T) {
	type val struct {
		s  string
		at int64
	}
	rapid.Check(t, func(t *rapid.T) {
		ks := small(2, 2)
		periods := grace.New(1)
		if rapid.Bool().Draw(t, "recycles") {
			ks.grace = periods
		}
		model := map[string]val{}
		now := testNow
		names := []string{"a", "b", "c", "dd", "eee", "f", "g", "h", "i", "j", "k", ""}
		var tx Tx
		for range rapid.IntRange(1, 30).Draw(t, "calls") {
			now += rapid.Int64Range(0, 20).Draw(t, "later")
			for k, v := range model {
				if v.at != 0 && now > v.at {
					delete(model, k)
				}
			}
			keys := rapid.SliceOfN(rapid.SampledFrom(names), 1, 11).Draw(t, "keys")
			var refs []Ref
			for _, k := range keys {
				refs = append(refs, ks.ref(k, 0))
			}
			before := map[string]val{}
			for k, v := range model {
				before[k] = v
			}
			section := periods.Begin(0)
			tx.Begin(ks, rapid.SampledFrom([]Mode{Claimed, InLine, Alone}).Draw(t, "mode"), 0, now, refs)
			for range rapid.IntRange(1, 6).Draw(t, "steps") {
				i := rapid.IntRange(0, len(keys)-1).Draw(t, "i")
				k, key := keys[i], refs[i].Key
				if rapid.Bool().Draw(t, "another slice") {
					key = []byte(k)
				}
				v, has := model[k]
				at := rapid.SampledFrom([]int64{0, now + 5, now + 15}).Draw(t, "at")
				switch rapid.IntRange(0, 12).Draw(t, "op") {
				case 0, 1:
					s := rapid.SampledFrom([]string{"", "x", "12", "-7", "012", "some longer value"}).Draw(t, "val")
					tx.SetString(key, []byte(s), at)
					model[k] = val{s, at}
				case 2:
					n, ok, err := tx.Int(key)
					want, isInt := canonicalInt([]byte(v.s))
					require.Equal(t, has && !isInt, err != nil)
					if err == nil {
						require.Equal(t, has, ok)
						require.Equal(t, want, n)
						tx.SetInt(key, n+1)
						model[k] = val{strconv.FormatInt(n+1, 10), v.at}
					}
				case 3:
					data := rapid.SampledFrom([]string{"1", "ab", string(make([]byte, 300))}).Draw(t, "data")
					n, err := tx.Append(key, []byte(data))
					require.NoError(t, err)
					require.Equal(t, len(v.s)+len(data), n)
					model[k] = val{v.s + data, v.at}
				case 4:
					off := rapid.IntRange(0, 600).Draw(t, "off")
					_, err := tx.WriteRange(key, off, []byte("XY"))
					require.NoError(t, err)
					b := make([]byte, max(len(v.s), off+2))
					copy(b, v.s)
					copy(b[off:], "XY")
					model[k] = val{string(b), v.at}
				case 5:
					require.Equal(t, has, tx.SetExpiry(key, at))
					if has {
						model[k] = val{v.s, at}
					}
				case 6:
					require.Equal(t, has, tx.Delete(key))
					delete(model, k)
				case 7:
					j := rapid.IntRange(0, len(keys)-1).Draw(t, "j")
					require.Equal(t, has, tx.Rename(key, refs[j].Key))
					if has {
						delete(model, k)
						model[keys[j]] = v
					}
				case 8:
					j := rapid.IntRange(0, len(keys)-1).Draw(t, "j")
					replace := rapid.Bool().Draw(t, "replace")
					_, there := model[keys[j]]
					ok := tx.Copy(key, refs[j].Key, 0, replace)
					require.Equal(t, has && (!there || replace), ok)
					if ok {
						model[keys[j]] = v
					}
				case 9:
					if rapid.Bool().Draw(t, "publish") {
						tx.Publish()
					}
				case 10:
					info, ok := tx.Peek(key)
					require.Equal(t, has, ok)
					require.Equal(t, len(v.s), info.Len)
					require.Equal(t, v.at, info.ExpireAt)
				case 11:
					n := rapid.SampledFrom([]int{1, 3, 40, 700}).Draw(t, "n")
					b, err := tx.EditString(key, n)
					require.NoError(t, err)
					require.Len(t, b, max(len(v.s), n))
					require.Equal(t, v.s+string(make([]byte, len(b)-len(v.s))), string(b))
					b[n-1] = 'e'
					model[k] = val{string(b), v.at}
				case 12:
					b := tx.MakeString(key, rapid.SampledFrom([]int{0, 1, 30, 700}).Draw(t, "n"), at)
					require.Equal(t, make([]byte, len(b)), append([]byte{}, b...))
					for i := range b {
						b[i] = '5'
					}
					model[k] = val{string(b), at}
				}
				got, ok, err := tx.String(key)
				require.NoError(t, err)
				v, has = model[k]
				require.Equal(t, has, ok)
				require.Equal(t, v.s, string(got))
			}
			if rapid.IntRange(0, 3).Draw(t, "fails") == 0 && len(tx.editing) == 0 {
				tx.Undo()
				model = before
			} else {
				tx.Publish()
			}
			tx.End()
			section.End()
			checkSpaces(t, ks)
		}
		now += 100
		do(ks, now, func(tx *Tx) {
			for _, k := range names {
				v, has := model[k]
				has = has && (v.at == 0 || now <= v.at)
				got, ok, err := tx.String([]byte(k))
				require.NoError(t, err)
				require.Equal(t, has, ok)
				if has {
					require.Equal(t, v.s, string(got))
				}
			}
		})
		checkSpaces(t, ks)
	})
}

func TestHotPathsAllocateNothingButTheBlock(t *testing.T) {
	ks := New(Options{})
	var c caller
	k, n, val := []byte("key"), []byte("number"), []byte("some value")
	c.set(ks, k, val)
	c.set(ks, n, []byte("1"))
	get := func(key []byte) func() {
		return func() {
			c.BeginRead(ks, 0, testNow, c.of(ks, key))
			_, _, _ = c.String(key)
			c.EndRead()
		}
	}
	require.Zero(t, testing.AllocsPerRun(100, get(k)))
	require.Zero(t, testing.AllocsPerRun(100, get(n)))
	require.EqualValues(t, 1, testing.AllocsPerRun(100, func() { c.set(ks, k, val) }))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Begin(ks, Claimed, 0, testNow, c.of(ks, n))
		i, _, _ := c.Int(n)
		c.SetInt(n, i+1)
		c.Publish()
		c.End()
	}))
	missing := []byte("missing")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Begin(ks, Claimed, 0, testNow, c.of(ks, missing))
		c.Delete(missing)
		c.Publish()
		c.End()
	}))
}
