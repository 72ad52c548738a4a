package aof

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
)

// A history is what was appended, by whoever did it, and what was acknowledged.
type history struct {
	mu    sync.Mutex
	units map[uint64]string // by LSN
	acked uint64
}

func (h *history) append(l *Log, who, i int, size int) uint64 {
	r := record("SET", fmt.Sprint(who, "-", i), strings.Repeat("v", size))
	lsn := l.Append(who, int64(i), []Record{r})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.units[lsn] = unit(&Frame{DB: who, Now: int64(i), Epoch: l.o.Epoch, Records: []Record{r}})
	return lsn
}

func (h *history) ack(lsn uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = max(h.acked, lsn)
}

// check holds what was read against the history: its beginning, without a gap, and
// at least what was acknowledged. What is not there has never been.
func (h *history) check(t require.TestingT, from uint64, got []string, found Found) {
	var lsns []uint64
	for lsn := range h.units {
		if lsn > from {
			lsns = append(lsns, lsn)
		}
	}
	slices.Sort(lsns)
	require.LessOrEqual(t, len(got), len(lsns))
	for i, text := range got {
		require.Equal(t, h.units[lsns[i]], text)
	}
	if len(got) > 0 {
		require.Equal(t, lsns[len(got)-1], found.End)
	}
	require.GreaterOrEqual(t, found.End, h.acked, "an acknowledged record is missing")
	for lsn := range h.units {
		if lsn > found.End {
			delete(h.units, lsn)
		}
	}
}

// TestACrashLosesNothingAcknowledged lets the machine crash in the middle of random
// work, again and again, with whatever the disk happens to keep.
func TestACrashLosesNothingAcknowledged(t *testing.T) {
	acked, crashes, holes := uint64(0), 0, 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := &history{units: map[uint64]string{}}
		m := newDir(t)
		from := uint64(0) // of a snapshot
		for life := range 4 {
			got, found, err := recovered(t, m, from)
			if broken := (*BrokenError)(nil); errors.As(err, &broken) {
				// The disk kept a record and not the one before it. That may happen to
				// what nobody was told is durable, and it takes a repair.
				holes++
				require.GreaterOrEqual(t, found.End, h.acked, "seed %d life %d: %v", seed, life, err)
				s := source(m)
				s.From = from
				_, err = Repair(s)
				require.NoError(t, err)
				got, found, err = recovered(t, m, from)
			}
			require.NoError(t, err, "seed %d life %d", seed, life)
			h.check(t, from, got, found)

			after := m
			f := vfs.NewFaulty(m)
			f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: rng.IntN(60), Times: 1, Before: func(vfs.Call) { after = m.Crash(rng) }})
			o := options(f)
			o.From, o.Epoch = found.End, uint64(life)
			o.Policy = Policy(seed % 3)
			o.SegmentBytes = 1000
			if l, err := Open(o); err == nil {
				from = h.work(l, rng.Uint64(), from)
				_ = l.Close() // it may have crashed
			}
			if after != m {
				crashes++
			}
			m = after
		}
		acked += h.acked
	}
	require.Greater(t, crashes, 100)
	require.Less(t, holes, crashes/4)
	require.NotZero(t, acked)
}

// work appends from several goroutines until the log fails, or for a while.
func (h *history) work(l *Log, seed, from uint64) uint64 {
	var all sync.WaitGroup
	for who := range 3 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(who)))
			for i := range 40 {
				lsn := h.append(l, who, i, rng.IntN(60))
				if rng.IntN(3) > 0 && Policy(l.policy.Load()) != EverySec {
					if l.AwaitDurable(lsn, nil) != nil {
						return
					}
					h.ack(lsn)
				} else if rng.IntN(20) == 0 {
					if l.Sync() != nil {
						return
					}
					h.ack(lsn)
				}
			}
		})
	}
	all.Go(func() { // a snapshot is taken at some point, and what is before it goes
		rng := rand.New(rand.NewPCG(seed, 99))
		for range 2 {
			for range rng.IntN(20) {
				if l.Sync() != nil {
					return
				}
			}
			first, err := l.Rotate()
			if err != nil || l.Sync() != nil {
				return
			}
			from = first
			if l.DropBefore(first) != nil {
				return
			}
		}
	})
	all.Wait()
	return from
}

// TestEveryFault lets each operation of a scenario fail once, in every way.
func TestEveryFault(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EMFILE} {
		for n, hit := 0, true; hit; n++ {
			h := &history{units: map[uint64]string{}}
			m := newDir(t)
			f := vfs.NewFaulty(m)
			f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: n, Times: 1, Err: errno, Short: 30})
			o := options(f)
			o.SegmentBytes = 400
			told := 0
			o.OnFail = func(error) { told++ }
			l, err := Open(o)
			if err == nil {
				err = h.scenario(t, l)
				closed := l.Close()
				if err != nil {
					require.Equal(t, err, closed, "the failure is the answer of everything")
				}
				err = closed
				require.Equal(t, err, l.Err())
			}
			hit = f.Count(vfs.OpChange) > n
			if hit {
				require.ErrorIs(t, err, errno, "operation %d", n)
				require.LessOrEqual(t, told, 1)
			} else {
				require.NoError(t, err)
				require.Greater(t, n, 30)
			}

			for _, m := range []*vfs.Mem{disk(t, image(t, m)), m.Crash(nil)} { // the process ends, or the machine
				got, found, err := recovered(t, m, 0)
				require.NoError(t, err)
				h.check(t, 0, got, found)
			}
		}
	}
}

// scenario appends, waits and rotates until something fails. After that nothing
// may succeed.
func (h *history) scenario(t *testing.T, l *Log) error {
	for i := range 20 {
		failed := l.Err()
		lsn := h.append(l, 0, i, 10*i)
		if i%7 == 3 {
			if _, err := l.Rotate(); err != nil {
				return err
			}
		}
		err := l.AwaitDurable(lsn, nil)
		if err == nil {
			require.NoError(t, failed)
			h.ack(lsn)
			continue
		}
		durable := l.Durable()
		require.Less(t, durable, lsn)
		require.Equal(t, err, l.AwaitDurable(h.append(l, 0, 100, 1), nil))
		require.Equal(t, err, l.Sync())
		require.Equal(t, durable, l.Durable())
		require.False(t, l.Room())
		return err
	}
	return nil
}

// TestWhatARestartServesIsDurable: a process that was killed leaves records that only
// the kernel has. Who starts again and answers with them must not lose them later.
func TestWhatARestartServesIsDurable(t *testing.T) {
	m := newDir(t)
	o := options(m)
	o.Policy = No
	killed := open(t, o)
	lsn := killed.Append(0, 1, []Record{record("x")})
	await(t, "it is written", func() bool { return killed.Written() == lsn })
	require.Less(t, killed.Durable(), lsn)

	_, found := readAll(t, source(m))
	o.From = found.End
	l := open(t, o)
	require.Equal(t, lsn, l.Durable())
	units, _ := readAll(t, source(m.Crash(nil)))
	require.Equal(t, []string{`1/0/0 ["x"]`}, units)
}

// TestNothingIsDurableAfterAFailure: not even what a sync finishes that was under way.
func TestNothingIsDurableAfterAFailure(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	o := options(f)
	o.Policy = EverySec
	l := open(t, o)
	entered, release := f.Block(vfs.OpSync, "")
	lsn := l.Append(0, 1, []Record{record("x")})
	<-entered
	f.Add(vfs.Rule{Ops: vfs.OpWrite, Err: syscall.EIO})
	l.Append(0, 1, []Record{record("y")})
	await(t, "the write fails", func() bool { return l.Err() != nil })
	require.ErrorIs(t, l.AwaitDurable(lsn, nil), syscall.EIO)
	release()
	require.ErrorIs(t, l.Close(), syscall.EIO)
	require.Zero(t, l.Durable())
}

// TestNobodySyncsAfterAFailedSync: the log has failed before anybody else may sync the
// file, since the second sync could say that all is well.
func TestNobodySyncsAfterAFailedSync(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	o := options(f)
	o.Policy = No
	l := open(t, o)
	lsn := l.Append(0, 1, []Record{record("x")})
	await(t, "it is written", func() bool { return l.Written() == lsn })
	f.Add(vfs.Rule{Ops: vfs.OpSync, Times: 1, Err: syscall.EIO})
	require.ErrorIs(t, l.sync(), syscall.EIO)
	require.ErrorIs(t, l.Err(), syscall.EIO)
	require.ErrorIs(t, l.sync(), syscall.EIO)
	require.Zero(t, l.Durable())
}

// TestNoSegmentFollowsOneThatIsNotDurable: recovery takes it for damage when a segment
// is torn that is not the last. The syncer fails while the writer wants to rotate.
func TestNoSegmentFollowsOneThatIsNotDurable(t *testing.T) {
	m := newDir(t)
	f := vfs.NewFaulty(m)
	o := options(f)
	o.Policy, o.SegmentBytes = EverySec, 100
	l := open(t, o)
	entered, release := make(chan struct{}), make(chan struct{})
	f.Add(vfs.Rule{Ops: vfs.OpSync, Times: 1, Err: syscall.EIO, Before: func(vfs.Call) { close(entered); <-release }})
	l.Append(0, 1, []Record{record("x")})
	<-entered
	full := l.Append(0, 1, []Record{record("SET", "k", "v")})
	require.Greater(t, full, uint64(o.SegmentBytes))
	l.Append(0, 1, []Record{record("y")})
	await(t, "the segment is full", func() bool { return l.Written() == full })
	close(release)
	require.ErrorIs(t, l.Close(), syscall.EIO)
	list, err := Segments(m, dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// TestAFailedLogHoldsNoMemory, whatever the writer still had in its hands.
func TestAFailedLogHoldsNoMemory(t *testing.T) {
	f := vfs.NewFaulty(newDir(t))
	o := options(f)
	o.Policy = EverySec
	l := open(t, o)
	syncing, fail := make(chan struct{}), make(chan struct{})
	f.Add(vfs.Rule{Ops: vfs.OpSync, Times: 1, Err: syscall.EIO, Before: func(vfs.Call) { close(syncing); <-fail }})
	l.Append(0, 1, []Record{record("x")})
	<-syncing
	writing, goOn := f.Block(vfs.OpWrite, "")
	l.Append(0, 1, []Record{record("y")})
	<-writing
	close(fail)
	await(t, "it has failed", func() bool { return l.Err() != nil })
	goOn()
	require.ErrorIs(t, l.Close(), syscall.EIO)
	require.Zero(t, l.Stats().BufferBytes)
	require.Empty(t, l.spare)
}

// TestFailpoints runs a log on the machine's disk past all points that it names.
func TestFailpoints(t *testing.T) {
	var mu sync.Mutex
	passed := map[string]bool{}
	o := Options{Dir: t.TempDir(), Fail: func(point string) {
		mu.Lock()
		defer mu.Unlock()
		passed[point] = true
	}}
	l := open(t, o)
	lsn := l.Append(0, 1, []Record{record("x")})
	require.NoError(t, l.AwaitDurable(lsn, nil))
	_, err := l.Rotate()
	require.NoError(t, err)
	await(t, "it has rotated", func() bool { return l.Stats().Segments == 2 })
	require.NoError(t, l.DropBefore(lsn))
	l.Append(0, 2, []Record{record("y")})
	require.NoError(t, l.Close())
	for _, point := range Failpoints() {
		require.True(t, passed[point], point)
	}
	require.Len(t, passed, len(Failpoints()))
	units, found := readAll(t, Source{Dir: o.Dir, From: lsn})
	require.Equal(t, []string{`2/0/0 ["y"]`}, units)
	require.Equal(t, l.End(), found.End)
}
