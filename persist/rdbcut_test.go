package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

const cutNow = int64(1_000_000)

func edit(ks *store.Keyspace, db int, fn func(tx *store.Tx)) {
	var tx store.Tx
	tx.Begin(ks, store.Alone, db, cutNow, nil)
	defer tx.End()
	fn(&tx)
	tx.Publish()
}

// grow adds to the value of key i, whose type is that of i.
func grow(t require.TestingT, tx *store.Tx, i int, word string) {
	key := []byte(fmt.Sprint("k", i))
	switch i % 6 {
	case 0:
		tx.SetString(key, []byte(word), cutNow+5)
	case 1:
		l, err := tx.EditList(key, true)
		require.NoError(t, err)
		l.PushBack([]byte(word))
	case 2:
		s, err := tx.EditSet(key, true)
		require.NoError(t, err)
		s.Add([]byte(word))
	case 3:
		z, err := tx.EditZSet(key, true)
		require.NoError(t, err)
		z.Set([]byte(word), float64(len(word)))
	case 4:
		h, err := tx.EditHash(key, true)
		require.NoError(t, err)
		h.Set([]byte(word), []byte("v"), cutNow)
		if i%12 == 4 {
			h.SetExpiry([]byte(word), cutNow+99)
		}
	case 5:
		x, err := tx.EditStream(key, true)
		require.NoError(t, err)
		x.Append(store.StreamID{Ms: uint64(x.Added() + 1)}, [][]byte{[]byte("f"), []byte(word)})
	}
}

// written is what a cut writes: by database and key the value's bytes.
func written(t require.TestingT, r *rdbCut) map[string]string {
	var file bytes.Buffer
	require.NoError(t, r.run(&file, func() error { return nil }))
	from := rdb.NewReader(&file)
	values := map[string]string{}
	for {
		k, err := from.Next()
		if errors.Is(err, io.EOF) {
			return values
		}
		require.NoError(t, err)
		var value told
		require.NoError(t, from.Value(&value))
		name := fmt.Sprintf("%d %s %d", k.DB, k.Name, k.ExpireAt)
		require.NotContains(t, values, name)
		values[name] = string(value)
	}
}

// A cut that is written while its keys are edited, deleted and made is the same as
// one that is written before.
func TestRDBCutIsOfItsInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ks := store.New(store.Options{Shards: 2, Databases: 3})
		change := func(n int) {
			for range n {
				i, db := rapid.IntRange(0, 40).Draw(t, "key"), rapid.IntRange(0, 2).Draw(t, "db")
				word := rapid.StringN(0, 9, 9).Draw(t, "word")
				edit(ks, db, func(tx *store.Tx) {
					if rapid.IntRange(0, 9).Draw(t, "delete") == 0 {
						tx.Delete([]byte(fmt.Sprint("k", i)))
						return
					}
					grow(t, tx, i, word)
				})
			}
		}
		change(rapid.IntRange(0, 60).Draw(t, "before"))
		times := rapid.Bool().Draw(t, "times")
		first, err := beginRDB(ks, times)
		require.NoError(t, err)
		want := written(t, first)
		second, err := beginRDB(ks, times)
		require.NoError(t, err)
		change(rapid.IntRange(0, 60).Draw(t, "meanwhile"))
		require.Equal(t, want, written(t, second))
		require.Len(t, want, int(second.cut.Keys()))
	})
}

// Who gives a cut up is asked often enough, and a cut that is over lets another begin.
func TestRDBCutIsGivenUp(t *testing.T) {
	ks := store.New(store.Options{Shards: 1, Databases: 1})
	for i := range 1000 {
		edit(ks, 0, func(tx *store.Tx) { tx.SetString([]byte(fmt.Sprint(i)), make([]byte, 1000), 0) })
	}
	r, err := beginRDB(ks, false)
	require.NoError(t, err)
	asked, gone := 0, errors.New("gone")
	var file bytes.Buffer
	require.ErrorIs(t, r.run(&file, func() error {
		if asked++; asked == 3 {
			return gone
		}
		return nil
	}), gone)
	require.Less(t, file.Len(), 500_000)
	full := &failing{left: 100_000}
	r, err = beginRDB(ks, false)
	require.NoError(t, err)
	require.ErrorIs(t, r.run(full, func() error { return nil }), io.ErrShortWrite)
	r, err = beginRDB(ks, false)
	require.NoError(t, err)
	require.Len(t, written(t, r), 1000)
}

// failing is a file on a disk that becomes full.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

// told is a value as text, part by part.
type told string

func (s *told) add(format string, args ...any) { *s += told(fmt.Sprintf(format+";", args...)) }

func (s *told) String(v []byte)                     { s.add("string %q", v) }
func (s *told) List(int)                            { s.add("list") }
func (s *told) Element(v []byte)                    { s.add("%q", v) }
func (s *told) Set(int)                             { s.add("set") }
func (s *told) Member(v []byte)                     { s.add("%q", v) }
func (s *told) ZSet(int)                            { s.add("zset") }
func (s *told) Scored(m []byte, score float64)      { s.add("%q %v", m, score) }
func (s *told) Hash(int, bool)                      { s.add("hash") }
func (s *told) Field(n, v []byte, at int64)         { s.add("%q %q %d", n, v, at) }
func (s *told) Stream(int)                          { s.add("stream") }
func (s *told) Entry(id store.StreamID, f [][]byte) { s.add("%v %q", id, f) }
func (s *told) State(st store.StreamState)          { s.add("%v", st) }
func (s *told) Group(g store.GroupHead)             { s.add("group %v", g) }
func (s *told) Consumer(c store.ConsumerHead)       { s.add("consumer %v", c) }
func (s *told) Pending(p store.PendingEntry)        { s.add("pending %v", p) }
