package aof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferricd/ferricd/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testCluster = [16]byte{1, 2, 3}

const dir = "data"

func newDir(t require.TestingT) *vfs.Mem {
	m := vfs.NewMem()
	require.NoError(t, m.MkdirAll(dir, vfs.DirPerm))
	require.NoError(t, m.SyncDir("."))
	return m
}

func options(fsys vfs.FS) Options { return Options{FS: fsys, Dir: dir, Cluster: testCluster} }

func source(fsys vfs.FS) Source { return Source{FS: fsys, Dir: dir, Cluster: testCluster} }

// open opens a log that is closed with the test.
func open(t *testing.T, o Options) *Log {
	l, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // its error is for the tests that ask for it
	return l
}

func record(words ...string) Record {
	var r Record
	for _, w := range words {
		r = append(r, []byte(w))
	}
	return r
}

// unit is a Frame as text.
func unit(f *Frame) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d/%d", f.Now, f.DB, f.Epoch)
	for _, r := range f.Records {
		fmt.Fprintf(&b, " %q", r)
	}
	return b.String()
}

// readAll returns all units and what Recover says.
func readAll(t require.TestingT, s Source) (units []string, found Found) {
	found, err := Recover(s, func(f *Frame) error {
		units = append(units, unit(f))
		return nil
	})
	require.NoError(t, err)
	return units, found
}

// await waits until something holds that nobody tells of.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		require.True(t, time.Now().Before(end), "never: %s", what)
		time.Sleep(100 * time.Microsecond)
	}
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	for _, policy := range []Policy{Always, EverySec, No} {
		m := newDir(t)
		o := options(m)
		o.Policy, o.Epoch, o.SegmentBytes = policy, 7, 500
		l := open(t, o)
		var want []string
		rng := rand.New(rand.NewPCG(1, uint64(policy)))
		for i := range 200 {
			var records []Record
			for range 1 + rng.IntN(3) {
				r := record("SET")
				for range rng.IntN(4) {
					r = append(r, []byte(strings.Repeat("x\r\n", rng.IntN(12))))
				}
				records = append(records, r)
			}
			before := l.End()
			lsn := l.Append(i%16, int64(i), records)
			require.Equal(t, lsn, l.End())
			require.Equal(t, before+frameHeader+uint64(payloadSize(records)), lsn)
			want = append(want, unit(&Frame{Now: int64(i), DB: i % 16, Epoch: 7, Records: records}))
			if i%50 == 49 {
				require.NoError(t, l.Sync())
				require.Equal(t, lsn, l.Durable())
				require.Equal(t, lsn, l.Written())
			}
			if i%67 == 0 { // and go on in another life
				require.NoError(t, l.Close())
				o.From = lsn
				l = open(t, o)
			}
		}
		require.NoError(t, l.Close())
		require.Greater(t, l.Stats().Segments, 5)
		units, found := readAll(t, source(m))
		require.Equal(t, want, units)
		require.Equal(t, Found{End: l.End(), Epoch: 7, Records: 200, Bytes: int64(l.End()), Segments: l.Stats().Segments}, found)
	}
}

func TestNothingIsAppendedForNothing(t *testing.T) {
	l := open(t, options(newDir(t)))
	require.Zero(t, l.Append(0, 1, nil))
	require.Zero(t, l.Append(0, 1, []Record{{}}))
	lsn := l.Append(0, 1, []Record{{}, record("a"), {}})
	require.EqualValues(t, frameHeader+len("*1\r\n$1\r\na\r\n"), lsn)
	require.NoError(t, l.AwaitDurable(lsn, nil))
	units, _ := readAll(t, source(l.o.FS))
	require.Equal(t, []string{`1/0/0 ["a"]`}, units)
}

func TestBigRecords(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Policy = No
	l := open(t, o)
	var want []string
	for i, size := range []int{1, bigFrame - frameHeader, bigFrame, maxChunk - 60, maxChunk, 3 << 20, 5} {
		r := record("SET", "k", strings.Repeat(string(rune('a'+i)), size))
		l.Append(0, int64(i), []Record{r})
		want = append(want, unit(&Frame{Now: int64(i), Records: []Record{r}}))
	}
	require.NoError(t, l.Close())
	units, found := readAll(t, source(m))
	require.True(t, slices.Equal(want, units))
	require.Equal(t, l.End(), found.End)
}

// TestGroupCommit counts syncs: those who come while one is under way share the next.
func TestGroupCommit(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	l := open(t, options(f))
	entered, release := f.Block(vfs.OpSync, "")
	const n = 50
	errs := make(chan error, n+1)
	wait := func() { errs <- l.AwaitDurable(l.Append(0, 1, []Record{record("x")}), nil) }
	go wait()
	<-entered
	before := l.Stats().Syncs
	for range n {
		go wait()
	}
	await(t, "all have appended", func() bool { return l.End() == (n+1)*51 })
	require.Zero(t, l.Durable())
	require.Empty(t, errs)
	release()
	for range n + 1 {
		require.NoError(t, <-errs)
	}
	require.Less(t, l.Stats().Syncs-before, int64(n/2))
}

func TestAlwaysNeedsNobodyToWait(t *testing.T) {
	l := open(t, options(newDir(t)))
	lsn := l.Append(0, 1, []Record{record("x")})
	await(t, "it is durable", func() bool { return l.Durable() == lsn })
}

// TestTheWriterSleeps also while somebody waits for what is yet to come.
func TestTheWriterSleeps(t *testing.T) {
	l := open(t, options(newDir(t)))
	lsn := l.Append(0, 1, []Record{record("x")})
	done := make(chan error)
	go func() { done <- l.AwaitDurable(lsn+1, nil) }()
	await(t, "it waits, and the writer sleeps", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.waits.later != nil && l.asleep == idle && l.durable.Load() == lsn
	})
	l.Append(0, 1, []Record{record("x")})
	require.NoError(t, <-done)
}

func TestEverySecSyncsBySelf(t *testing.T) {
	o := options(newDir(t))
	o.Policy, o.SyncEvery = EverySec, time.Millisecond
	l := open(t, o)
	for range 3 {
		require.NoError(t, l.AwaitDurable(l.Append(0, 1, []Record{record("x")}), nil))
	}

	// It is not synced for who appends when it was a moment ago.
	o = options(newDir(t))
	o.Policy, o.SyncEvery = EverySec, time.Hour
	l = open(t, o)
	first := l.Append(0, 1, []Record{record("x")})
	require.NoError(t, l.AwaitDurable(first, nil))
	lsn := l.Append(0, 5, []Record{record("x")})
	await(t, "it is written", func() bool { return l.Written() == lsn })
	cancel := make(chan struct{})
	close(cancel)
	require.ErrorIs(t, l.AwaitDurable(lsn, cancel), ErrCanceled)
	require.Equal(t, first, l.Durable())
	require.EqualValues(t, 5, l.Stats().OldestUnsynced)
	require.NoError(t, l.Sync())
	require.Equal(t, lsn, l.Durable())
	require.Zero(t, l.Stats().OldestUnsynced)

	// A change of policy does not leave anybody waiting.
	lsn = l.Append(0, 6, []Record{record("x")})
	done := make(chan error)
	go func() { done <- l.AwaitDurable(lsn, nil) }()
	await(t, "somebody waits", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.waits.later != nil
	})
	l.SetPolicy(No)
	require.NoError(t, <-done)
	lsn = l.Append(0, 6, []Record{record("x")})
	await(t, "it is written", func() bool { return l.Written() == lsn })
	require.Less(t, l.Durable(), lsn)
	l.SetPolicy(Always)
	await(t, "it is durable", func() bool { return l.Durable() == lsn })
}

// TestSlowDisk lets a disk stand still: appends go on, nobody is let in beyond the
// bound, and all go on with the disk.
func TestSlowDisk(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpSync} {
		f := vfs.NewFaulty(newDir(t))
		o := options(f)
		o.BufferBytes = 64 << 10
		l := open(t, o)
		entered, release := f.Block(op, "log-*")
		l.Append(0, 1, []Record{record("x")})
		<-entered
		n := 1
		for ; l.Room(); n++ {
			l.Append(0, 1, []Record{record("SET", "key", strings.Repeat("v", 900))})
		}
		require.Greater(t, n, 40)
		require.Less(t, n, 80)
		l.Append(0, 1, []Record{record("one that was let in before")})
		cancel := make(chan struct{})
		waits := make(chan error, 2)
		go func() { waits <- l.AwaitRoom(cancel) }()
		await(t, "it waits", func() bool { return l.Stats().RoomWaiters == 1 })
		close(cancel)
		require.ErrorIs(t, <-waits, ErrCanceled)
		for range 2 {
			go func() { waits <- l.AwaitRoom(nil) }()
		}
		await(t, "both wait", func() bool { return l.Stats().RoomWaiters == 2 })
		require.Empty(t, waits)
		require.GreaterOrEqual(t, l.Stats().BufferBytes, o.BufferBytes)
		release()
		require.NoError(t, <-waits)
		require.NoError(t, <-waits)
		require.NoError(t, l.Close())
		_, found := readAll(t, source(f))
		require.EqualValues(t, n+1, found.Records)
	}
}

// TestSlowSyncUnderEverySec: the writer goes on while the disk syncs.
func TestSlowSyncUnderEverySec(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	o := options(f)
	o.Policy, o.SyncEvery = EverySec, time.Nanosecond
	l := open(t, o)
	entered, release := f.Block(vfs.OpSync, "")
	defer release()
	l.Append(0, 1, []Record{record("x")})
	<-entered
	for range 100 {
		lsn := l.Append(0, 2, []Record{record("y")})
		await(t, "it is written", func() bool { return l.Written() == lsn })
	}
	require.Zero(t, l.Durable())
	require.True(t, l.Stats().Syncing)
	require.EqualValues(t, 1, l.Stats().OldestUnsynced)
	release()
	await(t, "all is durable", func() bool { return l.Durable() == l.End() })
}

func TestBuffersShrinkAfterABurst(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	l := open(t, options(f))
	entered, release := f.Block(vfs.OpWrite, "")
	l.Append(0, 1, []Record{record("x")})
	<-entered
	value := []Record{record("SET", "k", strings.Repeat("v", 10<<10))}
	for range 3000 {
		l.Append(0, 1, value)
	}
	release()
	require.NoError(t, l.Sync())
	l.mu.Lock()
	defer l.mu.Unlock()
	require.LessOrEqual(t, len(l.spare), spareChunks)
	require.Zero(t, l.held)
	require.LessOrEqual(t, cap(l.buf), 2*manyChunks)
}

func TestRotateAndDrop(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	o := options(f)
	o.Policy = No
	l := open(t, o)
	first, err := l.Rotate()
	require.NoError(t, err)
	require.Zero(t, first, "a segment begins there already")
	var begins []uint64
	for i := range 5 {
		l.Append(0, int64(i), []Record{record("x")})
		first, err = l.Rotate()
		require.NoError(t, err)
		require.Equal(t, l.End(), first)
		again, err := l.Rotate()
		require.NoError(t, err)
		require.Equal(t, first, again)
		begins = append(begins, first)
	}
	await(t, "it has rotated", func() bool { return l.Stats().Segments == 6 })
	list, err := Segments(f, dir)
	require.NoError(t, err)
	for i, s := range list[1:] {
		require.Equal(t, begins[i], s.First)
	}
	require.Equal(t, begins[4], l.Durable(), "a sealed segment is durable")
	var size int64
	for _, s := range list {
		size += s.Size
	}
	require.Equal(t, size, l.Stats().DiskBytes)

	require.NoError(t, l.DropBefore(begins[2]+1))
	list, err = Segments(f, dir)
	require.NoError(t, err)
	require.Equal(t, begins[2], list[0].First)
	f.Add(vfs.Rule{Ops: vfs.OpRemove, Skip: 1, Times: 1, Err: syscall.EROFS})
	require.ErrorIs(t, l.DropBefore(l.End()), syscall.EROFS)
	require.NoError(t, l.DropBefore(l.End()))
	require.Equal(t, 1, l.Stats().Segments)
	l.Append(0, 9, []Record{record("y")})
	require.NoError(t, l.Close())
	s := source(f)
	s.From = begins[4]
	units, _ := readAll(t, s)
	require.Equal(t, []string{`9/0/0 ["y"]`}, units)
	_, err = l.Rotate()
	require.ErrorIs(t, err, ErrClosed)
}

// TestRotateWaitsForNoDisk: the caller holds the gate.
func TestRotateWaitsForNoDisk(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	l := open(t, options(f))
	entered, release := f.Block(vfs.OpSync, "")
	defer release()
	l.Append(0, 1, []Record{record("x")})
	<-entered
	first, err := l.Rotate()
	require.NoError(t, err)
	l.Append(0, 1, []Record{record("y")})
	release()
	require.NoError(t, l.Close())
	require.Equal(t, first, l.Stats().SegmentFirst)
}

func TestClose(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Policy, o.SyncEvery = EverySec, time.Hour
	l := open(t, o)
	require.NoError(t, l.Sync())
	lsn := l.Append(0, 1, []Record{record("x")})
	require.NoError(t, l.Close())
	require.NoError(t, l.Close(), "twice is once")
	require.NoError(t, l.AwaitDurable(lsn, nil))
	_, found := readAll(t, source(m.Crash(nil)))
	require.Equal(t, lsn, found.End)

	more := l.Append(0, 1, []Record{record("x")})
	require.Greater(t, more, lsn)
	require.ErrorIs(t, l.AwaitDurable(more, nil), ErrClosed)
	require.ErrorIs(t, l.AwaitRoom(nil), ErrClosed)
	require.False(t, l.Room())
	require.NoError(t, l.Err())
}

func TestTheFirstFailureIsFinal(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpSync} {
		f := vfs.NewFaulty(newDir(t))
		var failures atomic.Int32
		told := make(chan error, 10)
		o := options(f)
		o.OnFail = func(err error) { failures.Add(1); told <- err }
		l := open(t, o)
		good := l.Append(0, 1, []Record{record("good")})
		require.NoError(t, l.AwaitDurable(good, nil))
		f.Add(vfs.Rule{Ops: op, Name: "log-*", Times: 1, Err: syscall.ENOSPC, Short: 10})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				lsn := l.Append(0, 1, []Record{record("bad")})
				if err := l.AwaitDurable(lsn, nil); !strings.Contains(fmt.Sprint(err), "no space left") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.ErrorIs(t, l.Err(), syscall.ENOSPC)
		require.ErrorIs(t, <-told, syscall.ENOSPC)
		require.NoError(t, l.AwaitDurable(good, nil), "what was durable is")
		require.Equal(t, good, l.Durable())
		end := l.End()
		require.Greater(t, l.Append(0, 1, []Record{record("counted")}), end)
		require.ErrorIs(t, l.AwaitRoom(nil), syscall.ENOSPC)
		require.ErrorIs(t, l.Sync(), syscall.ENOSPC)
		_, err := l.Rotate()
		require.ErrorIs(t, err, syscall.ENOSPC)
		l.SetPolicy(No)
		writes := f.Count(vfs.OpWrite | vfs.OpSync)
		require.ErrorIs(t, l.Close(), syscall.ENOSPC)
		require.Equal(t, writes, f.Count(vfs.OpWrite|vfs.OpSync), "no second try")
		require.EqualValues(t, 1, failures.Load())
	}
}

func TestAPanicIsAFailure(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	f.Add(vfs.Rule{Ops: vfs.OpSync, Skip: 1, Before: func(vfs.Call) { panic("boom") }})
	l := open(t, options(f))
	require.ErrorContains(t, l.AwaitDurable(l.Append(0, 1, []Record{record("x")}), nil), "boom")
	require.ErrorContains(t, l.Close(), "boom")
}

func TestAppendAllocatesNothing(t *testing.T) {
	o := options(newDir(t))
	o.Policy = No
	l := open(t, o)
	records := []Record{record("SET", "key:1234", strings.Repeat("v", 64))}
	for range 20000 {
		l.Append(0, 1, records)
	}
	require.NoError(t, l.Sync())
	l.mu.Lock() // the spare chunks are enough for what follows
	require.NotEmpty(t, l.spare)
	l.mu.Unlock()
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Append(0, 1, records) }))
}

func BenchmarkAppend(b *testing.B) {
	for _, parallel := range []int{1, 8} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			o := Options{Dir: b.TempDir(), Policy: No, FS: discard{vfs.OS}}
			l, err := Open(o)
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, l.Close()) })
			records := []Record{record("SET", "key:1234", strings.Repeat("v", 64))}
			b.ReportAllocs()
			b.SetBytes(int64(frameHeader + payloadSize(records)))
			var wg sync.WaitGroup
			for range parallel {
				wg.Go(func() {
					for range b.N / parallel {
						if !l.Room() {
							if l.AwaitRoom(nil) != nil {
								return
							}
						}
						l.Append(0, 1, records)
					}
				})
			}
			wg.Wait()
		})
	}
}
