package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// content is what a reader finds in a file.
func content(t require.TestingT, fsys FS, name string) string {
	text, err := ReadFile(fsys, name, 1<<20)
	require.NoError(t, err)
	return string(text)
}

func write(t require.TestingT, fsys FS, name, text string) File {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, FilePerm)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	return f
}

// TestMemIsLikeTheMachine does the same random things to a Mem and to a directory.
func TestMemIsLikeTheMachine(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		pair := [2]FS{OS, NewMem()}
		for _, fsys := range pair {
			require.NoError(t, fsys.MkdirAll(filepath.Join(dir, "sub"), DirPerm))
		}
		both := func(do func(FS) (string, error)) {
			a, errA := do(pair[0])
			b, errB := do(pair[1])
			require.Equal(t, a, b)
			require.Equal(t, errA == nil, errB == nil, "%v / %v", errA, errB)
			for _, is := range []error{fs.ErrNotExist, fs.ErrExist} {
				require.Equal(t, errors.Is(errA, is), errors.Is(errB, is), "%v / %v", errA, errB)
			}
		}
		name := func() string {
			return filepath.Join(dir, rapid.SampledFrom([]string{"a", "b", "c", "sub/a", "sub/b", "sub", "none/a", "a/x"}).Draw(t, "name"))
		}
		flags := rapid.SampledFrom([]int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_APPEND,
			os.O_RDWR | os.O_CREATE | os.O_TRUNC, os.O_RDWR | os.O_CREATE | os.O_EXCL})
		t.Repeat(map[string]func(*rapid.T){
			"file": func(t *rapid.T) {
				n, flag, size := name(), flags.Draw(t, "flag"), rapid.Int64Range(0, 9).Draw(t, "size")
				text := rapid.StringN(0, 8, 8).Draw(t, "text")
				steps := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 6).Draw(t, "steps")
				both(func(fsys FS) (string, error) { return useFile(fsys, n, flag, steps, text, size) })
			},
			"rename": func(*rapid.T) {
				from, to := name(), name()
				if filepath.Base(from) == "sub" || filepath.Base(to) == "sub" {
					return // directories are not renamed
				}
				both(func(fsys FS) (string, error) { return "", fsys.Rename(from, to) })
			},
			"remove": func(*rapid.T) {
				n := name()
				if filepath.Base(n) == "sub" {
					return // the directory stays for the others
				}
				both(func(fsys FS) (string, error) { return "", fsys.Remove(n) })
			},
			"list": func(*rapid.T) {
				n := rapid.SampledFrom([]string{"", "sub", "none"}).Draw(t, "dir")
				both(func(fsys FS) (string, error) {
					list, err := fsys.ReadDir(filepath.Join(dir, n))
					return fmt.Sprint(list), err
				})
			},
			"stat": func(*rapid.T) {
				n := name()
				both(func(fsys FS) (string, error) {
					info, err := fsys.Stat(n)
					if err != nil || info.IsDir() {
						return "", err
					}
					return fmt.Sprint(info.Name(), info.Size(), info.Mode()), nil
				})
			},
			"syncDir": func(*rapid.T) { both(func(fsys FS) (string, error) { return "", fsys.SyncDir(dir) }) },
		})
	})
}

// useFile does some steps with one file and returns what it saw.
func useFile(fsys FS, name string, flag int, steps []int, text string, size int64) (string, error) {
	if filepath.Base(name) == "sub" {
		return "", nil
	}
	f, err := fsys.OpenFile(name, flag, FilePerm)
	if err != nil {
		return "", err
	}
	saw := ""
	for _, step := range steps {
		p := make([]byte, 5)
		var n int
		var err error
		switch step {
		case 0:
			n, err = f.Write([]byte(text))
		case 1:
			n, err = f.Read(p)
		case 2:
			n, err = f.ReadAt(p, size)
		case 3:
			err = f.Truncate(size)
		case 4:
			err = f.Sync()
		}
		length, _ := f.Size()
		saw += fmt.Sprint(n, string(p), err == nil, err == io.EOF, length, ";")
	}
	return saw, f.Close()
}

func TestLock(t *testing.T) {
	for _, fsys := range []FS{OS, NewMem()} {
		dir := filepath.Join(t.TempDir(), "d")
		require.NoError(t, fsys.MkdirAll(dir, DirPerm))
		name := filepath.Join(dir, "LOCK")
		held, err := fsys.Lock(name)
		require.NoError(t, err)
		_, err = fsys.Lock(name)
		require.ErrorIs(t, err, ErrLocked)
		require.NoError(t, held.Close())
		held, err = fsys.Lock(name)
		require.NoError(t, err)
		require.NoError(t, held.Close())
	}
}

func TestCrashForgetsWhatWasNotSynced(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.MkdirAll("d", DirPerm))
	require.NoError(t, m.SyncDir("/"))
	a := write(t, m, "d/a", "one")
	require.NoError(t, a.Sync())
	b := write(t, m, "d/b", "bytes")
	require.NoError(t, m.SyncDir("d"))
	_, err := a.Write([]byte("two"))
	require.NoError(t, err)
	c := write(t, m, "d/c", "no name")
	require.NoError(t, c.Sync())
	require.NoError(t, b.Sync())
	require.NoError(t, m.Rename("d/b", "d/e"))
	require.Equal(t, "onetwo", content(t, m, "d/a"))

	after := m.Crash(nil)
	_, err = a.Write([]byte("three"))
	require.ErrorIs(t, err, ErrCrashed)
	require.ErrorIs(t, m.Remove("d/a"), ErrCrashed)
	list, err := after.ReadDir("d")
	require.NoError(t, err)
	require.Len(t, list, 2, "a and b: neither creation of c nor renaming to e was durable")
	require.Equal(t, "one", content(t, after, "d/a"))
	require.Equal(t, "bytes", content(t, after, "d/b"))

	require.NoError(t, after.Remove("d/a"))
	require.Equal(t, "one", content(t, after.Crash(nil), "d/a"), "a removal is not durable by itself")
}

func TestCrashLosesADirectoryThatWasNotSynced(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.MkdirAll("d", DirPerm))
	require.NoError(t, write(t, m, "d/a", "x").Sync())
	require.NoError(t, m.SyncDir("d"))
	_, err := m.Crash(nil).Stat("d")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestCrashMayKeepMore holds a random crash to what it may do: what was synced
// stays, what was appended since is kept up to some point, with zeros in it.
func TestCrashMayKeepMore(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	kept, zeros, named := map[int]bool{}, 0, 0
	for range 400 {
		m := NewMem()
		f := write(t, m, "a", "synced")
		require.NoError(t, f.Sync())
		require.NoError(t, m.SyncDir("."))
		tail := make([]byte, 2000)
		for i := range tail {
			tail[i] = 'x'
		}
		_, err := f.Write(tail)
		require.NoError(t, err)
		write(t, m, "b", "b")
		after := m.Crash(rng)
		text := content(t, after, "a")
		require.Equal(t, "synced", text[:6])
		kept[len(text)] = true
		for _, c := range []byte(text[6:]) {
			require.True(t, c == 'x' || c == 0)
			if c == 0 {
				zeros++
			}
		}
		if _, err := after.Stat("b"); err == nil {
			named++
		}
	}
	require.Greater(t, len(kept), 50)
	require.NotZero(t, zeros)
	require.Greater(t, named, 50)
	require.Less(t, named, 350)
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	for n := 0; ; n++ {
		m := NewMem()
		require.NoError(t, WriteFile(m, ".", "f", []byte("old")))
		f := NewFaulty(m)
		f.Add(Rule{Ops: OpChange, Skip: n, Times: 1, Err: syscall.ENOSPC, Short: 1})
		err := WriteFile(f, ".", "f", []byte("new"))
		text := content(t, m.Crash(nil), "f")
		if err == nil {
			require.Equal(t, "new", text)
			require.Equal(t, 5, n, "open, write, sync, rename, sync of the directory")
			return
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Equal(t, "old", text)
	}
}

func TestFaulty(t *testing.T) {
	f := NewFaulty(NewMem())
	f.Add(Rule{Ops: OpWrite, Name: "log-*", Skip: 1, Times: 1, Err: syscall.EIO, Short: 2})
	for _, name := range []string{"other", "log-1"} {
		file := write(t, f, name, "abc")
		n, err := file.Write([]byte("def"))
		if name == "other" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, syscall.EIO)
		require.Equal(t, 2, n)
		require.Equal(t, "abcde", content(t, f, name))
		_, err = file.Write([]byte("x"))
		require.NoError(t, err, "the rule is used up")
	}
	require.Equal(t, 5, f.Count(OpWrite))

	entered, release := f.Block(OpSyncDir, "")
	done := make(chan error)
	go func() { done <- f.SyncDir(".") }()
	<-entered
	select {
	case err := <-done:
		t.Fatal("it did not wait", err)
	default:
	}
	release()
	require.NoError(t, <-done)
	require.NoError(t, f.SyncDir("."))

	f.Clear()
	f.Add(Rule{Err: syscall.EMFILE})
	_, err := f.Open("other")
	require.ErrorIs(t, err, syscall.EMFILE)
	_, err = f.Lock("other")
	require.ErrorIs(t, err, syscall.EMFILE)
	_, err = f.ReadDir(".")
	require.ErrorIs(t, err, syscall.EMFILE)
}

func TestReadFileIsBounded(t *testing.T) {
	m := NewMem()
	write(t, m, "f", "12345")
	_, err := ReadFile(m, "f", 4)
	require.ErrorContains(t, err, "too long")
	require.Equal(t, "12345", content(t, m, "f"))
}
