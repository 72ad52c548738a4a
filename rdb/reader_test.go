package rdb_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rdb"
)

// fileOf is a small file.
func fileOf(t *testing.T) []byte {
	var file bytes.Buffer
	w := rdb.NewWriter(&file, rdb.Version)
	w.Select(3, 1, 0)
	w.Key(rdb.Key{DB: 3, Name: []byte("k"), ExpireAt: 7, Idle: -1, Freq: -1}).String([]byte("value"))
	require.NoError(t, w.Close())
	return file.Bytes()
}

func tapes() *tape { return new(tape) }

// Every bit of a file counts, and every byte is needed; a checksum of 0 is none.
func TestBrokenFilesAreRefused(t *testing.T) {
	file := fileOf(t)
	require.NoError(t, readAll(file, tapes))
	for i := range file {
		require.ErrorIs(t, readAll(file[:i], tapes), rdb.ErrFormat, "cut at %d", i)
		if i >= 5 && i < 9 {
			continue // of the version some other one may be
		}
		for bit := range 8 {
			broken := bytes.Clone(file)
			broken[i] ^= 1 << bit
			require.ErrorIs(t, readAll(broken, tapes), rdb.ErrFormat, "byte %d, bit %d", i, bit)
		}
	}
	unchecked := append(bytes.Clone(file[:len(file)-8]), make([]byte, 8)...)
	require.NoError(t, readAll(unchecked, tapes))
	for _, version := range []string{"0000", "0013", "+012", "x"} {
		require.ErrorIs(t, readAll([]byte("REDIS"+version+"\xff00000000"), tapes), rdb.ErrFormat)
	}
	no := errors.New("no")
	r := rdb.NewReader(io.MultiReader(bytes.NewReader(file[:12]), iotest.ErrReader(no)))
	_, err := r.Next()
	require.ErrorIs(t, err, no)
	require.ErrorContains(t, err, "at byte 1")
}

// What is no key is passed, and what is lost by that is told.
func TestReaderTellsWhatItLeavesOut(t *testing.T) {
	file := "REDIS0012\xfa\x01a\x01b\xf5\x03abc\xf4\x01\x02\x03" +
		"\xf7\x81\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x01\x07\x02\x08\x03abcd\x04abcdefgh\x05\x01x\x00" +
		"\xfe\x02\xfd\x07\x00\x00\x00\xf8\x05\x00\x01k\x01v" + "\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xf9\x09\x00\x01l\x01w" + "\xff\x00\x00\x00\x00\x00\x00\x00\x00"
	r := rdb.NewReader(bytes.NewReader([]byte(file)))
	var notes []string
	r.Note = func(what string) { notes = append(notes, what) }
	require.ErrorIs(t, r.Value(tapes()), rdb.ErrFormat, "no key was read")
	k, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, rdb.Key{DB: 2, Name: []byte("k"), ExpireAt: 7000, Idle: 5, Freq: -1}, k)
	_, err = r.Next()
	require.ErrorIs(t, err, rdb.ErrFormat, "the value was not read")
	require.NoError(t, r.Value(tapes()))
	k, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, rdb.Key{DB: 2, Name: []byte("l"), ExpireAt: 1, Idle: -1, Freq: 9}, k, "before all time is long ago")
	require.NoError(t, r.Value(tapes()))
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "b", r.Aux("a"))
	require.Equal(t, []string{
		"A library of functions was left out, of 3 bytes.",
		"What the module AAAAAAAAA has written was left out.",
	}, notes)
	for _, broken := range []string{"\xf6", "\xf7\x01\x01\x01", "\xf7\x01\x02\x01\x09", "\xfe\xc0", "\xfe\x81\x01\x01\x01\x01\x01\x01\x01\x01"} {
		require.ErrorIs(t, readAll([]byte("REDIS0012"+broken+"aaaaaaaaa"), tapes), rdb.ErrFormat)
	}
}
