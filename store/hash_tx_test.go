package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// with runs fn as one call at a time now, with all keys claimed.
func with(ks *Keyspace, now int64, fn func(tx *Tx)) {
	var tx Tx
	tx.Begin(ks, Alone, 0, now, nil)
	defer tx.End()
	fn(&tx)
	tx.Publish()
}

func hsetAt(t *testing.T, ks *Keyspace, key string, at int64, fields ...string) {
	with(ks, 1, func(tx *Tx) {
		h, err := tx.EditHash([]byte(key), true)
		require.NoError(t, err)
		for _, f := range fields {
			h.Set([]byte(f), []byte("v"), 1)
			h.SetExpiry([]byte(f), at)
		}
	})
}

func dueKeys(ks *Keyspace, now int64) []string {
	var keys []string
	for range 4 {
		ks.ExpireDue(0, now, 1000, func(r Ref) { keys = append(keys, string(r.Key)) })
	}
	return keys
}

// takeDue takes the expired fields of key, by limit at a time.
func takeDue(t *testing.T, ks *Keyspace, key string, now int64, limit int) (n int) {
	for more := true; more; {
		with(ks, now, func(tx *Tx) {
			var fields [][]byte
			var err error
			fields, more, err = tx.TakeExpired([]byte(key), limit)
			require.NoError(t, err)
			n += len(fields)
		})
	}
	return n
}

// The keyspace knows of which hashes fields have expired, whatever name they were
// given and wherever their tables went, and says so until the fields are taken.
func TestExpireDueTellsOfHashes(t *testing.T) {
	ks := New(Options{Shards: 1})
	hsetAt(t, ks, "a", 100, "f", "g")
	hsetAt(t, ks, "b", 200, "f")
	hsetAt(t, ks, "none", 0, "f")
	require.Equal(t, int64(2), ks.PartExpires(0))
	require.Zero(t, ks.Expires(0))
	require.Empty(t, dueKeys(ks, 100), "a time is over when it has passed")
	require.Contains(t, dueKeys(ks, 101), "a")

	with(ks, 1, func(tx *Tx) {
		require.True(t, tx.Rename([]byte("a"), []byte("c")))
		require.True(t, tx.Copy([]byte("b"), []byte("d"), 0, false))
	})
	require.Equal(t, int64(3), ks.PartExpires(0))
	for i := range 5000 { // tables split
		with(ks, 1, func(tx *Tx) { tx.SetString(fmt.Append(nil, "key", i), []byte("v"), NoExpiry) })
	}
	due := dueKeys(ks, 101)
	require.Contains(t, due, "c")
	require.NotContains(t, due, "b")

	require.Equal(t, 2, takeDue(t, ks, "c", 101, 1))
	require.Equal(t, int64(2), ks.PartExpires(0), "the hash went with its last field")
	require.Empty(t, dueKeys(ks, 101))
	require.Subset(t, dueKeys(ks, 201), []string{"b", "d"})

	with(ks, 1, func(tx *Tx) {
		h, _ := tx.EditHash([]byte("b"), false)
		h.SetExpiry([]byte("f"), NoExpiry)
		tx.Delete([]byte("d"))
	})
	require.Zero(t, ks.PartExpires(0))
	require.Empty(t, dueKeys(ks, 1000))
	require.Zero(t, takeDue(t, ks, "b", 1000, 5))
}

// A hash that is overwritten takes its times along, and FLUSHDB all of them.
func TestPartExpiresForgets(t *testing.T) {
	ks := New(Options{Shards: 1})
	hsetAt(t, ks, "a", 100, "f")
	with(ks, 1, func(tx *Tx) { tx.SetString([]byte("a"), []byte("v"), NoExpiry) })
	require.Zero(t, ks.PartExpires(0))
	hsetAt(t, ks, "b", 100, "f")
	ks.FlushDB(0)
	require.Zero(t, ks.PartExpires(0))
	require.Empty(t, dueKeys(ks, 1000))
}

// What TakeExpired does not find it leaves alone.
func TestTakeExpiredOfOtherKeys(t *testing.T) {
	ks := New(Options{Shards: 1})
	with(ks, 1, func(tx *Tx) { tx.SetString([]byte("s"), []byte("v"), NoExpiry) })
	hsetAt(t, ks, "h", 100, "f")
	for _, key := range []string{"s", "missing", "h"} {
		with(ks, 50, func(tx *Tx) {
			fields, more, err := tx.TakeExpired([]byte(key), 5)
			require.NoError(t, err)
			require.Empty(t, fields)
			require.False(t, more)
			require.False(t, tx.Dirty(), key)
		})
	}
}

// The memory of large collections is accounted, and given back.
func TestCollectionsAreAccounted(t *testing.T) {
	ks := New(Options{Shards: 1})
	with(ks, 1, func(tx *Tx) { tx.SetString([]byte("first"), nil, NoExpiry) })
	empty := ks.Bytes()
	with(ks, 1, func(tx *Tx) {
		h, _ := tx.EditHash([]byte("h"), true)
		s, _ := tx.EditSet([]byte("s"), true)
		for i := range 10000 {
			h.Set(fmt.Append(nil, "field", i), []byte("value"), 1)
			s.Add(fmt.Append(nil, "member", i))
		}
		h.SetExpiry([]byte("field1"), 100)
	})
	full := ks.Bytes() - empty
	require.Greater(t, full, int64(10000*(2*16+8+16)))
	require.Less(t, full, int64(10000*(32+16+2*32)))
	with(ks, 1, func(tx *Tx) {
		h, _ := tx.EditHash([]byte("h"), false)
		s, _ := tx.EditSet([]byte("s"), false)
		for i := range 10000 {
			h.Delete(fmt.Append(nil, "field", i), 1)
			s.Remove(fmt.Append(nil, "member", i))
		}
	})
	require.Equal(t, empty, ks.Bytes())
	require.Equal(t, int64(1), ks.Len(0))
}
