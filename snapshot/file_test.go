package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/store"
)

// write writes a small snapshot of two databases.
func write(o Options, lsn uint64) (Counts, error) {
	w, err := Create(o, Header{LSN: lsn, Databases: 2})
	if err != nil {
		return Counts{}, err
	}
	for db := range 2 {
		for i := range 3 {
			_ = w.Key(db, fmt.Appendf(nil, "key-%d", i), 0, func(c store.Contents) error {
				c.List(-1)
				c.Element([]byte("a"))
				c.Element(nil)
				return nil
			})
		}
	}
	return w.Finish()
}

func names(t require.TestingT, o Options) (names []string) {
	entries, err := o.FS.ReadDir(o.Dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// whole returns the bytes of a snapshot, and a directory to put variants into.
func whole(t require.TestingT) (b []byte, o Options) {
	o = memory()
	require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
	n, err := write(o, 7)
	require.NoError(t, err)
	b, err = vfs.ReadFile(o.FS, o.path(Name(7)), 1<<20)
	require.NoError(t, err)
	require.EqualValues(t, len(b), n.Bytes)
	require.EqualValues(t, 6, n.Keys)
	require.EqualValues(t, 2, n.Chunks)
	return b, o
}

func put(t require.TestingT, o Options, name string, b []byte) {
	require.NoError(t, vfs.WriteFile(o.FS, o.Dir, o.path(name), b))
}

// Every bit counts, and so does every byte that is missing or too many.
func TestDamageIsFound(t *testing.T) {
	b, o := whole(t)
	check := func(b []byte, what string) {
		put(t, o, Name(7), b)
		_, err := Verify(o.FS, o.path(Name(7)), nil)
		var broken *BrokenError
		require.ErrorAs(t, err, &broken, what)
		require.Equal(t, o.path(Name(7)), broken.File)
		require.LessOrEqual(t, broken.Offset, int64(len(b)))
		require.ErrorContains(t, err, Name(7))
	}
	for i := range b {
		check(b[:i], fmt.Sprint("cut at ", i))
		bad := []byte(string(b))
		bad[i] ^= 1 << (i % 8)
		check(bad, fmt.Sprint("bit of byte ", i))
	}
	check(append([]byte(string(b)), 0), "one more")
	check(append([]byte(string(b)), b[headerSize:]...), "twice")
	put(t, o, Name(7), b)
	info, err := Verify(o.FS, o.path(Name(7)), nil)
	require.NoError(t, err)
	require.EqualValues(t, 6, info.Keys)
}

// Chunks that check but are not those that were written: one is missing, twice,
// or in another place.
func TestChunksAreCounted(t *testing.T) {
	b, o := whole(t)
	length := func(b []byte) int { return headSize + int(decodeHead(b).length) }
	first := b[headerSize : headerSize+length(b[headerSize:])]
	second := b[headerSize+len(first):]
	second = second[:length(second)]
	end := b[headerSize+len(first)+len(second):]
	for _, chunks := range [][][]byte{{first}, {second, first}, {first, first, second}, {}} {
		bad := []byte(string(b[:headerSize]))
		for _, c := range chunks {
			bad = append(bad, c...)
		}
		put(t, o, Name(7), append(bad, end...))
		_, err := Verify(o.FS, o.path(Name(7)), nil)
		var broken *BrokenError
		require.ErrorAs(t, err, &broken)
	}
}

// After any failed operation there is no new snapshot and no error that is lost.
func TestEveryFaultIsReported(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		for n := 0; ; n++ {
			require.Less(t, n, 100)
			mem := memory()
			require.NoError(t, mem.FS.MkdirAll(mem.Dir, vfs.DirPerm))
			_, err := write(mem, 5)
			require.NoError(t, err)
			faulty := vfs.NewFaulty(mem.FS)
			faulty.Add(vfs.Rule{Ops: vfs.OpChange | vfs.OpClose, Skip: n, Times: 1, Err: cause, Short: 3})
			o := Options{FS: faulty, Dir: mem.Dir}
			if _, err = write(o, 9); err == nil {
				require.Equal(t, []string{Name(5), Name(9)}, names(t, mem))
				require.Equal(t, n, faulty.Count(vfs.OpChange|vfs.OpClose), "a fault was passed over")
				break
			}
			require.ErrorIs(t, err, cause, n)
			require.Equal(t, []string{Name(5)}, names(t, mem), "operation %d", n)
		}
	}
}

// A crash at any step leaves the older snapshot, or both; what Finish has
// reported is there.
func TestCrashes(t *testing.T) {
	for n := 0; ; n++ {
		require.Less(t, n, 100)
		mem := vfs.NewMem()
		o := Options{FS: mem, Dir: "data"}
		require.NoError(t, mem.MkdirAll(o.Dir, vfs.DirPerm))
		require.NoError(t, mem.SyncDir("."))
		_, err := write(o, 5)
		require.NoError(t, err)
		points := 0
		after := mem
		o.Fail = func(string) {
			if points++; points == n {
				after = mem.Crash(rand.New(rand.NewPCG(1, uint64(n))))
			}
		}
		_, err = write(o, 9)
		if err == nil {
			err = RemoveOlder(o, 9)
		}
		if after == mem {
			require.NoError(t, err)
			require.Equal(t, []string{Name(9)}, names(t, o))
			after = mem.Crash(nil)
			o = Options{FS: after, Dir: o.Dir}
			require.Equal(t, []string{Name(9)}, names(t, o))
			break
		}
		require.ErrorIs(t, err, vfs.ErrCrashed)
		o = Options{FS: after, Dir: o.Dir}
		info, broken, err := Newest(o, func(uint64) bool { return false })
		require.NoError(t, err, n)
		require.Empty(t, broken)
		require.Contains(t, []uint64{5, 9}, info.LSN)
		_, err = Verify(after, info.Name, nil)
		require.NoError(t, err)
		require.NoError(t, RemoveOlder(o, info.LSN))
		require.Equal(t, []string{Name(info.LSN)}, names(t, o))
	}
}

func TestFinishedIsDurable(t *testing.T) {
	mem := vfs.NewMem()
	o := Options{FS: mem, Dir: "data"}
	require.NoError(t, mem.MkdirAll(o.Dir, vfs.DirPerm))
	require.NoError(t, mem.SyncDir("."))
	n, err := write(o, 9)
	require.NoError(t, err)
	o.FS = mem.Crash(nil)
	info, _, err := Newest(o, nil)
	require.NoError(t, err)
	require.EqualValues(t, 9, info.LSN)
	info, err = Verify(o.FS, info.Name, nil)
	require.NoError(t, err)
	require.Equal(t, n, info.Counts)
}

func TestNewest(t *testing.T) {
	b, o := whole(t)
	never := func(uint64) bool { return false }
	put(t, o, Name(3), b) // a copy under another name
	put(t, o, "snapshot-1.fer", nil)
	put(t, o, "other", nil)
	files, err := List(o)
	require.NoError(t, err)
	require.Equal(t, []File{{Name(7), 7, int64(len(b))}, {Name(3), 3, int64(len(b))}}, files)
	info, broken, err := Newest(o, never)
	require.NoError(t, err)
	require.Empty(t, broken)
	require.EqualValues(t, 7, info.LSN)

	_, err = write(o, 5)
	require.NoError(t, err)
	bad := []byte(string(b))
	bad[33] ^= 1 // of the time
	put(t, o, Name(7), bad)
	_, _, err = Newest(o, never)
	require.ErrorContains(t, err, "the header's checksum is wrong")
	put(t, o, Name(7), b[:len(b)-1])
	_, _, err = Newest(o, never)
	require.ErrorContains(t, err, "the log does not reach back to "+Name(5))
	require.ErrorContains(t, err, Name(7))
	info, broken, err = Newest(o, func(lsn uint64) bool { return lsn == 5 })
	require.NoError(t, err)
	require.Len(t, broken, 1)
	require.EqualValues(t, 5, info.LSN)

	require.NoError(t, o.FS.Remove(o.path(Name(5))))
	_, _, err = Newest(o, never)
	require.ErrorContains(t, err, Name(7))
	info, broken, err = Newest(o, func(lsn uint64) bool { return lsn == 0 })
	require.NoError(t, err)
	require.Len(t, broken, 2)
	require.Empty(t, info.Name)

	info, _, err = Newest(Options{FS: o.FS, Dir: "nowhere"}, never)
	require.NoError(t, err)
	require.Empty(t, info.Name)
}

func TestRemoveOlder(t *testing.T) {
	b, o := whole(t)
	for _, name := range []string{Name(3), Name(9), Name(2) + temp, Name(99) + temp, "other" + temp, "log-1.fer"} {
		put(t, o, name, b)
	}
	require.NoError(t, RemoveOlder(o, 7))
	require.Equal(t, []string{"log-1.fer", "other" + temp, Name(7), Name(9)}, names(t, o))
}

// An error of the disk is not taken for a broken file.
func TestErrorsOfTheDiskAreNotDamage(t *testing.T) {
	_, o := whole(t)
	faulty := vfs.NewFaulty(o.FS)
	faulty.Add(vfs.Rule{Ops: vfs.OpRead, Err: syscall.EIO})
	o.FS = faulty
	_, _, err := Newest(o, func(uint64) bool { return true })
	require.ErrorIs(t, err, syscall.EIO)
	_, err = Verify(faulty, o.path(Name(7)), nil)
	require.ErrorIs(t, err, syscall.EIO)
	_, err = Verify(faulty, o.path(Name(8)), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadStopsAtAnError(t *testing.T) {
	_, o := whole(t)
	oops := errors.New("oops")
	_, err := Read(o.FS, o.path(Name(7)), func(int, [][]byte) error { return oops }, nil)
	require.ErrorIs(t, err, oops)
}

func TestWriterPassesOnErrorsOfItsSource(t *testing.T) {
	o := memory()
	require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
	w, err := Create(o, Header{LSN: 1})
	require.NoError(t, err)
	oops := errors.New("oops")
	require.ErrorIs(t, w.Key(0, []byte("k"), 0, func(store.Contents) error { return oops }), oops)
	_, err = w.Finish()
	require.ErrorIs(t, err, oops)
	require.Empty(t, names(t, o))
}

// Elements larger than chunks make large chunks, many small ones many of them.
func TestChunkSizes(t *testing.T) {
	ks := store.New(store.Options{})
	do(ks, 0, func(tx *store.Tx) {
		tx.SetString([]byte("large"), []byte(strings.Repeat("x", 3*chunkBytes)), 0)
		l, _ := tx.EditList([]byte("list"), true)
		for range 100_000 {
			l.PushBack([]byte("some element"))
		}
	})
	o := memory()
	r := take(t, ks, o, 1)
	require.Greater(t, r.Chunks, int64(7))
	total := 0
	_, err := Read(o.FS, o.path(r.Name), func(_ int, args [][]byte) error {
		size := 0
		for _, a := range args {
			size += len(a)
		}
		require.True(t, len(args) <= commandElements+2 && size <= 2*commandBytes || string(args[1]) == "large")
		total += size
		return nil
	}, nil)
	require.NoError(t, err)
	require.Greater(t, total, 3*chunkBytes+1_200_000)
}

func TestCancelledAndFailedTakings(t *testing.T) {
	ks := store.New(store.Options{})
	do(ks, 0, func(tx *store.Tx) { tx.SetString([]byte("k"), []byte("v"), 0) })
	o := memory()
	require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
	fail := ""
	o.Fail = func(point string) {
		if point == fail {
			panic("oops")
		}
	}
	begin := func() *Taking {
		taking, err := Begin(ks, o, Header{LSN: 4})
		require.NoError(t, err)
		_, err = Begin(ks, o, Header{LSN: 4})
		require.ErrorIs(t, err, store.ErrCutting)
		return taking
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := begin().Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, o))
	begin().Abandon()
	for _, fail = range []string{"snapshot-create", "snapshot-write", "snapshot-sync", "snapshot-rename"} {
		_, err = begin().Run(context.Background())
		require.ErrorContains(t, err, "panic: oops", fail)
		require.Empty(t, names(t, o), fail)
	}
	fail = ""
	taking := begin()
	require.Equal(t, Progress{Keys: 1}, taking.Progress())
	_, err = taking.Run(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{Name(4)}, names(t, o))
	require.EqualValues(t, 1, taking.Progress().Told)
}
