package rdb_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

// readAll reads a file and tells its values.
func readAll[C store.Contents](file []byte, value func() C) error {
	r := rdb.NewReader(bytes.NewReader(file))
	for {
		if _, err := r.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := r.Value(value()); err != nil {
			return err
		}
	}
}

// FuzzDecode: any bytes are an error or a value, which takes no more memory than
// they can account for, and is the same after it was written and read again.
func FuzzDecode(f *testing.F) {
	for _, x := range forms {
		f.Add([]byte(x.value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		ks := store.New(store.Options{Shards: 1})
		b := ks.NewBuilder()
		if rdb.Decode(value, b) != nil || b.Finish() != nil {
			return
		}
		var tx store.Tx
		tx.Begin(ks, store.Alone, 0, 0, nil)
		defer tx.End()
		key := []byte("k")
		require.NoError(t, tx.SetBuilt(key, b, store.NoExpiry))
		info, _ := tx.Peek(key)
		require.Less(t, info.Bytes, int64(64<<10+1024*len(value)))

		var want, got tape
		_, err := tx.Visit(key, &want)
		require.NoError(t, err)
		e := rdb.NewEncoder(rdb.MaxVersion)
		_, err = tx.Visit(key, e)
		require.NoError(t, err)
		again, err := e.Bytes()
		require.NoError(t, err)
		require.NoError(t, rdb.Decode(again, &got))
		require.Equal(t, want, got)
	})
}

// FuzzFile: any bytes are a file or an error.
func FuzzFile(f *testing.F) {
	for _, x := range forms {
		f.Add([]byte("REDIS0012\xfa\x01a\x01b\xfe\x00\xfb\x01\x00\xfc" + at + "\xf8\x05" + x.value[:1] + "\x01k" + x.value[1:] + "\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	}
	f.Add([]byte("REDIS0003\xfd\xe8\x03\x00\x00\xf9\x07\x00\x01k\x01v\xff"))
	f.Add([]byte("REDIS0010\xf5\x03abc\xf4\x01\x02\x03\xf7\x81\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x01\x07\x05\x01x\x03abcd\x04abcdefgh\x00\xff"))
	f.Fuzz(func(_ *testing.T, file []byte) {
		ks := store.New(store.Options{Shards: 1})
		_ = readAll(file, ks.NewBuilder)
	})
}
