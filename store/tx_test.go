package store

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/stretchr/testify/require"
)

// fakeSlots are latch slots whose sequence numbers tests set.
type fakeSlots struct{ seq [256]atomic.Uint64 }

func (f *fakeSlots) SeqOf(hash uint64) uint64 { return f.seq[hash&255].Load() }

func (f *fakeSlots) step(hash uint64) { f.seq[hash&255].Add(1) }

const testNow = int64(1_000_000)

// begin begins a call on keys of database 0, which it returns as declared.
func begin(ks *Keyspace, tx *Tx, m Mode, keys ...string) [][]byte {
	var refs []Ref
	var args [][]byte
	for _, k := range keys {
		args = append(args, []byte(k))
		refs = append(refs, ks.ref(k, 0))
	}
	tx.Begin(ks, m, 0, testNow, refs)
	copyRefs(refs, args)
	return args
}

// copyRefs lets args be the very keys that were declared.
func copyRefs(refs []Ref, args [][]byte) {
	for i := range refs {
		args[i] = refs[i].Key
	}
}

func (ks *Keyspace) ref(key string, db int) Ref {
	return Ref{Key: []byte(key), DB: db, Hash: ks.Hash(db, []byte(key))}
}

// do runs fn as one call with the gate closed, and publishes.
func do(ks *Keyspace, now int64, fn func(tx *Tx)) {
	var tx Tx
	tx.Begin(ks, Alone, 0, now, nil)
	defer tx.End()
	fn(&tx)
	tx.Publish()
}

func str(t require.TestingT, tx *Tx, key string) string {
	v, ok, err := tx.String([]byte(key))
	require.NoError(t, err)
	if !ok {
		return "(nil)"
	}
	return string(v)
}

func TestEncodings(t *testing.T) {
	ks := New(Options{})
	long := "0123456789012345678901234567890123456789abcde"
	for _, c := range []struct{ val, want string }{
		{"12", "int"}, {"-1", "int"}, {"0", "int"}, {"9223372036854775807", "int"}, {"-9223372036854775808", "int"},
		{"9223372036854775808", "embstr"}, {"012", "embstr"}, {"-0", "embstr"}, {"+1", "embstr"}, {" 1", "embstr"},
		{"", "embstr"}, {long[:44], "embstr"}, {long, "raw"},
	} {
		do(ks, testNow, func(tx *Tx) {
			tx.SetString([]byte("k"), []byte(c.val), NoExpiry)
			for range 2 {
				info, ok := tx.Peek([]byte("k"))
				require.True(t, ok)
				require.Equal(t, c.want, info.Encoding, "%q", c.val)
				require.Equal(t, len(c.val), info.Len)
				require.Equal(t, c.val, str(t, tx, "k"))
				tx.Publish()
			}
		})
	}
	do(ks, testNow, func(tx *Tx) {
		k := []byte("a")
		n, err := tx.Append(k, []byte("12"))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		info, _ := tx.Peek(k)
		require.Equal(t, "int", info.Encoding)
		_, err = tx.Append(k, []byte("3"))
		require.NoError(t, err)
		info, _ = tx.Peek(k)
		require.Equal(t, "raw", info.Encoding)
		i, ok, err := tx.Int(k)
		require.True(t, ok && err == nil)
		require.EqualValues(t, 123, i)
		tx.SetInt(k, 124)
		info, _ = tx.Peek(k)
		require.Equal(t, "int", info.Encoding)
	})
}

func TestNothingIsSeenBeforePublish(t *testing.T) {
	ks := New(Options{})
	var w Tx
	k := begin(ks, &w, Claimed, "k")[0]
	w.SetString(k, []byte("v"), NoExpiry)
	require.Equal(t, "v", str(t, &w, "k"), "the call itself sees it")
	do(ks, testNow, func(tx *Tx) { require.False(t, tx.Exists(k)) })
	require.True(t, w.Dirty())
	w.Publish()
	require.False(t, w.Dirty())
	do(ks, testNow, func(tx *Tx) { require.Equal(t, "v", str(t, tx, "k")) })
	w.End()

	k = begin(ks, &w, Claimed, "k")[0]
	w.SetInt(k, 5)
	require.True(t, w.SetExpiry(k, testNow+10))
	w.Undo()
	w.End()
	do(ks, testNow, func(tx *Tx) { require.Equal(t, "v", str(t, tx, "k")) })
}

func TestIntegersAndExpiriesAreStoredInPlace(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	do(ks, testNow, func(tx *Tx) { tx.SetString(k, []byte("5"), testNow+50) })
	b := ks.find(0, ks.Hash(0, k), k)
	do(ks, testNow, func(tx *Tx) {
		tx.SetInt(k, 6)
		require.Equal(t, "6", str(t, tx, "k"))
		require.EqualValues(t, 5, b.num().Load(), "before Publish")
	})
	require.EqualValues(t, 6, b.num().Load())
	do(ks, testNow, func(tx *Tx) { require.True(t, tx.SetExpiry(k, testNow+70)) })
	require.Equal(t, testNow+70, b.expireAt())
	require.Same(t, b, ks.find(0, ks.Hash(0, k), k))

	// Both at once are one publication: a reader sees neither or both.
	do(ks, testNow, func(tx *Tx) {
		tx.SetInt(k, 7)
		tx.SetExpiry(k, 0)
		at, ok := tx.ExpireAt(k)
		require.True(t, ok && at == 0)
	})
	require.EqualValues(t, 6, b.num().Load())
	do(ks, testNow, func(tx *Tx) {
		require.Equal(t, "7", str(t, tx, "k"))
		at, _ := tx.ExpireAt(k)
		require.Zero(t, at)
	})
	checkSpaces(t, ks)
}

func TestExpiredKeysAreMissingAndGo(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	do(ks, testNow, func(tx *Tx) { tx.SetString(k, []byte("v"), testNow+10) })
	do(ks, testNow+10, func(tx *Tx) {
		require.True(t, tx.Exists(k), "it lives until its time is over")
		require.False(t, tx.Dirty())
	})

	var r Tx
	require.True(t, r.BeginRead(ks, 0, testNow+11, []Ref{ks.ref("k", 0)}))
	require.False(t, r.Exists(k))
	require.True(t, r.EndRead())
	require.EqualValues(t, 1, ks.Len(0), "a reader deletes nothing")

	follower := Tx{Follows: true}
	follower.Begin(ks, Claimed, 0, testNow+11, []Ref{ks.ref("k", 0)})
	require.False(t, follower.Exists(k))
	require.False(t, follower.Dirty(), "a replica deletes nothing either")
	follower.End()

	var told []string
	tell := func(r Ref) { told = append(told, string(r.Key)) }
	do(ks, testNow+11, func(tx *Tx) {
		require.False(t, tx.Exists(k))
		require.False(t, tx.Delete(k))
		require.True(t, tx.Dirty())
		require.False(t, tx.Changes())
		tx.EachExpired(tell)
		tx.EachExpired(tell)
		require.Equal(t, []string{"k"}, told, "each once")
		tx.Publish()
		tx.EachExpired(tell)
		require.Len(t, told, 1)
		tx.EachChanged(tell)
		require.Len(t, told, 2)
	})
	require.Zero(t, ks.Len(0))
	checkSpaces(t, ks)
}

func TestKeepExpiry(t *testing.T) {
	ks := New(Options{})
	k := []byte("k")
	do(ks, testNow, func(tx *Tx) { tx.SetString(k, []byte("v"), testNow+10) })
	do(ks, testNow, func(tx *Tx) {
		tx.SetString(k, []byte("w"), KeepExpiry)
		tx.SetInt(k, 3)
		_, err := tx.Append(k, []byte("x"))
		require.NoError(t, err)
		_, err = tx.WriteRange(k, 2000, []byte("y"))
		require.NoError(t, err)
		at, _ := tx.ExpireAt(k)
		require.Equal(t, testNow+10, at)
	})
	do(ks, testNow, func(tx *Tx) {
		at, _ := tx.ExpireAt(k)
		require.Equal(t, testNow+10, at)
		tx.SetString(k, []byte("v"), NoExpiry)
		at, ok := tx.ExpireAt(k)
		require.True(t, ok && at == 0)
		tx.SetString([]byte("new"), []byte("v"), KeepExpiry)
		at, ok = tx.ExpireAt([]byte("new"))
		require.True(t, ok && at == 0)
	})
	checkSpaces(t, ks)
}

func TestManyKeysStayLinear(t *testing.T) {
	ks := New(Options{})
	var keys []string
	for i := range 2000 {
		keys = append(keys, fmt.Sprint(i%1500))
	}
	var tx Tx
	args := begin(ks, &tx, Claimed, keys...)
	for i, k := range args {
		tx.SetString(k, []byte(fmt.Sprint("v", i)), NoExpiry)
	}
	for i := 1999; i >= 0; i-- {
		want := i
		if i < 500 {
			want = i + 1500
		}
		require.Equal(t, fmt.Sprint("v", want), str(t, &tx, keys[i]), "the last of equal keys wins")
	}
	tx.Publish()
	n := 0
	tx.EachChanged(func(Ref) { n++ })
	require.Equal(t, 1500, n)
	tx.End()
	require.EqualValues(t, 1500, ks.Len(0))
	checkSpaces(t, ks)
}

// Alone, keys need not be declared; there may be many of them.
func TestAloneTouchesAnyKey(t *testing.T) {
	ks := New(Options{})
	for _, n := range []int{3, 8, 9, 40, 300} {
		do(ks, testNow, func(tx *Tx) {
			for i := range n {
				tx.SetInt([]byte(strconv.Itoa(i)), int64(i))
			}
			for i := range n {
				require.Equal(t, strconv.Itoa(i), str(t, tx, strconv.Itoa(i)))
				require.True(t, tx.Delete([]byte(strconv.Itoa(i))))
				tx.SetInt([]byte(strconv.Itoa(i)), int64(-i))
			}
		})
		require.EqualValues(t, n, ks.Len(0))
		do(ks, testNow, func(tx *Tx) { require.Equal(t, "-2", str(t, tx, "2")) })
	}
}

func TestDatabases(t *testing.T) {
	ks := New(Options{Databases: 4})
	k := []byte("k")
	do(ks, testNow, func(tx *Tx) {
		tx.SetString(k, []byte("zero"), testNow+9)
		tx.In(1)
		require.False(t, tx.Exists(k))
		tx.SetString(k, []byte("one"), NoExpiry)
		tx.In(0)
		require.True(t, tx.Move(k, 2))
		require.False(t, tx.Exists(k))
		require.False(t, tx.Copy(k, k, 3, false))
		tx.In(2)
		require.Equal(t, "zero", str(t, tx, "k"))
		require.True(t, tx.Copy(k, k, 3, false))
		require.False(t, tx.Copy(k, k, 1, false), "it is there")
	})
	require.Equal(t, []int64{0, 1, 1, 1}, []int64{ks.Len(0), ks.Len(1), ks.Len(2), ks.Len(3)})
	require.EqualValues(t, 1, ks.Expires(3))
	h := ks.Hash(0, k)
	ks.Swap(0, 1)
	require.Equal(t, h, ks.Hash(0, k), "a hash outlives a SWAPDB")
	do(ks, testNow, func(tx *Tx) {
		require.Equal(t, "one", str(t, tx, "k"))
		tx.In(1)
		require.False(t, tx.Exists(k))
	})
	ks.FlushDB(2)
	require.Zero(t, ks.Len(2))
	require.EqualValues(t, 1, ks.Len(3))
	checkSpaces(t, ks)
	ks.FlushAll()
	require.Zero(t, ks.Len(0)+ks.Len(1)+ks.Len(2)+ks.Len(3))
	require.Zero(t, ks.Bytes())
}

func TestAvgTTL(t *testing.T) {
	ks := New(Options{})
	require.Zero(t, ks.AvgTTL(0, testNow))
	do(ks, testNow, func(tx *Tx) {
		tx.SetString([]byte("a"), nil, testNow+10_000)
		tx.SetString([]byte("b"), nil, testNow+30_000)
		tx.SetString([]byte("c"), nil, NoExpiry)
	})
	require.InDelta(t, 20_000, ks.AvgTTL(0, testNow), 1000)
}

func TestUndeclaredKeysPanic(t *testing.T) {
	ks := New(Options{})
	var tx Tx
	begin(ks, &tx, Claimed, "a", "b")
	defer tx.End()
	touch := func() { tx.Exists([]byte("c")) }
	if invariants.Enabled {
		require.Panics(t, touch)
	} else {
		require.NotPanics(t, touch)
	}
}

// A string that is called raw from now on is the same: nobody is told, and what
// the call does to it besides counts as before.
func TestMakeRawIsNoChange(t *testing.T) {
	encoding := func(ks *Keyspace, key string) (text string) {
		do(ks, testNow, func(tx *Tx) {
			info, _ := tx.Peek([]byte(key))
			text = info.Encoding + " " + strconv.FormatInt(info.ExpireAt, 10)
		})
		return text
	}
	ks := New(Options{Slots: new(fakeSlots)})
	do(ks, testNow, func(tx *Tx) {
		tx.SetString([]byte("s"), []byte("abc"), testNow+5)
		tx.SetString([]byte("n"), []byte("12"), NoExpiry)
	})
	var tx Tx
	keys := begin(ks, &tx, Claimed, "s", "n", "none")
	for _, k := range keys {
		require.NoError(t, tx.MakeRaw(k))
	}
	require.True(t, tx.Dirty())
	require.False(t, tx.Changes())
	tx.Publish()
	tx.EachChanged(func(r Ref) { t.Errorf("%s has changed", r.Key) })
	tx.End()
	require.Equal(t, "raw 1000005", encoding(ks, "s"))
	require.Equal(t, "raw 0", encoding(ks, "n"))
	require.Equal(t, " 0", encoding(ks, "none"))

	do(ks, testNow, func(tx *Tx) { tx.SetString([]byte("n"), []byte("12"), NoExpiry) })
	keys = begin(ks, &tx, Claimed, "n")
	require.NoError(t, tx.MakeRaw(keys[0]))
	b, err := tx.EditString(keys[0], 3)
	require.NoError(t, err)
	b[2] = '3'
	require.True(t, tx.Changes())
	tx.Publish()
	n := 0
	tx.EachChanged(func(Ref) { n++ })
	tx.Undo()
	tx.End()
	require.Equal(t, 1, n)
	require.Equal(t, "int 0", encoding(ks, "n"))
}
