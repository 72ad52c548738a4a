package snapshot

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is edited before the walk comes by is written as it was, and counted as
// long as it waits in memory.
func TestEditedObjectsAreHandedOver(t *testing.T) {
	ks := store.New(store.Options{})
	push := func(element string) {
		for db := range 2 {
			do(ks, db, func(tx *store.Tx) {
				l, _ := tx.EditList([]byte("l"), true)
				l.PushBack([]byte(element))
			})
		}
	}
	long := strings.Repeat("old", 200) // a short list would be handed over as strings are
	push(long)
	do(ks, 1, func(tx *store.Tx) { tx.SetString([]byte("s"), []byte("old"), 0) })
	o := memory()
	require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
	taking, err := Begin(ks, o, Header{LSN: 1})
	require.NoError(t, err)
	push("new")
	do(ks, 1, func(tx *store.Tx) { tx.SetString([]byte("s"), []byte("new"), 0) })
	p := taking.Progress()
	require.EqualValues(t, 3, p.Keys)
	require.EqualValues(t, 2, p.Told)
	require.EqualValues(t, 2*len("*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$600\r\n"+long+"\r\n"), p.Handover)
	require.Greater(t, p.Kept, p.Handover)
	r, err := taking.Run(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 3, r.Keys)
	require.ElementsMatch(t, []string{"0: RPUSH l " + long, "1: RPUSH l " + long, "1: SET s old"}, commands(t, o, r.Name))
	p = taking.Progress()
	require.Equal(t, Progress{Keys: 3, Told: 3, Written: p.Written}, p)
}

// The disk is slow: calls go on meanwhile, and what they edit is not in the file.
func TestWritersDoNotWaitForTheDisk(t *testing.T) {
	ks := store.New(store.Options{Shards: 4})
	const keys = 200
	// Every other list is too long for a block.
	element := func(i, n int) []byte { return fmt.Appendf(nil, "%0*d", 1+i%2*600, n) }
	edit := func(i, n int) {
		var tx store.Tx
		key := fmt.Appendf(nil, "list-%d", i)
		tx.Begin(ks, store.Claimed, 0, testNow, []store.Ref{{Key: key, Hash: ks.Hash(0, key)}})
		defer tx.End()
		l, err := tx.EditList(key, true)
		if err == nil {
			l.PushBack(element(i, n))
			tx.Publish()
		}
	}
	for i := range keys {
		edit(i, 0)
	}
	mem := memory()
	require.NoError(t, mem.FS.MkdirAll(mem.Dir, vfs.DirPerm))
	faulty := vfs.NewFaulty(mem.FS)
	entered, release := faulty.Block(vfs.OpWrite, "*")
	taking, err := Begin(ks, Options{FS: faulty, Dir: mem.Dir}, Header{LSN: 1})
	require.NoError(t, err)
	var wg sync.WaitGroup
	var r Result
	wg.Go(func() { r, err = taking.Run(context.Background()) })
	<-entered
	for i := range keys / 2 {
		edit(i, 1)
	}
	release()
	for i := range keys {
		edit(i, 2)
	}
	wg.Wait()
	require.NoError(t, err)
	lines := commands(t, mem, r.Name)
	require.Len(t, lines, keys)
	for i := range keys {
		require.Contains(t, lines, fmt.Sprintf("0: RPUSH list-%d %s", i, element(i, 0)))
	}
}

func FuzzRead(f *testing.F) {
	b, _ := whole(f)
	f.Add(b)
	f.Add(b[:headerSize])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		o := memory()
		require.NoError(t, o.FS.MkdirAll(o.Dir, vfs.DirPerm))
		put(t, o, Name(7), b)
		n := 0
		info, err := Read(o.FS, o.path(Name(7)), func(int, [][]byte) error { n++; return nil }, nil)
		if err == nil {
			require.EqualValues(t, n, info.Commands)
			require.EqualValues(t, len(b), info.Bytes)
		}
		_, _, _ = Newest(o, func(uint64) bool { return true })
	})
}

// What is taken for a command is written back as the same bytes.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{
		"*1\r\n$4\r\nPING\r\n", "*2\r\n$0\r\n\r\n$1\r\nx\r\nrest", "*0\r\n", "*-1\r\n", "*1\r\n$99999999999\r\n",
		"*99999999999\r\n", "*1\r\n$1\r\nxx\r\n", "$1\r\nx\r\n", "*1\r", "*",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		args, n := parseCommand(nil, b)
		if n == 0 {
			return
		}
		c := NewCommands(1<<30, nil)
		c.head(len(args))
		for _, a := range args {
			c.bytes(a)
		}
		again, m := parseCommand(nil, c.buf)
		require.Equal(t, len(c.buf), m)
		require.Equal(t, args, again)
		require.LessOrEqual(t, m, n) // a length may have leading zeros
	})
}
