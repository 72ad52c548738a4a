package latch

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sweeperSelf = MaxOwner

// sweeping makes a sweeper for which the owners in dead are gone.
func sweeping(tab *Table, dead *sync.Map, freed func(ID, bool)) *Sweeper {
	return NewSweeper(tab, SweeperOptions{
		Self:  sweeperSelf,
		Every: func() time.Duration { return 0 },
		Alive: func(o Owner) bool {
			runtime.Gosched() // the slot may change hands here
			_, gone := dead.Load(o)
			return !gone
		},
		Freed: freed,
	})
}

func TestSweepFreesOnlyWhatTheGoneHold(t *testing.T) {
	tab := NewTable(2, 4)
	var dead sync.Map
	dead.Store(Owner(2), true)
	var told []ID
	var marks []bool
	s := sweeping(tab, &dead, func(id ID, marked bool) { told, marks = append(told, id), append(marks, marked) })

	tab.TryClaim(0, 1) // alive
	tab.TryClaim(1, 2)
	tab.Close(1) // and gone in the middle of an EXEC
	tab.TryClaim(5, 2)
	tab.Mark(5)
	tab.Mark(6) // a line without a holder is none of the sweeper's business

	require.Equal(t, 1, s.SweepShard(1))
	require.Equal(t, []ID{5}, told)
	require.Equal(t, 1, s.SweepShard(-1))
	require.Equal(t, []ID{5, 1}, told)
	require.Equal(t, []bool{true, false}, marks)
	require.Zero(t, s.SweepShard(-1))

	o, isHeld, _ := tab.Holder(0)
	require.True(t, isHeld)
	require.EqualValues(t, 1, o)
	_, isHeld, isWaited := tab.Holder(5)
	require.False(t, isHeld)
	require.True(t, isWaited, "only the line may have it now")
	require.EqualValues(t, 2, tab.Seq(1), "open again")
	require.True(t, tab.TryClaim(1, 3))
}

// §12.9: by compare-and-swap on the whole word, also while the slot is being
// claimed anew. Owners here work, die holding, and are followed by the living,
// who would notice if their latch were taken from them: Release panics.
func TestSweepWhileTheSlotIsClaimedAnew(t *testing.T) {
	tab := NewTable(1, 1)
	var dead sync.Map
	var next atomic.Uint64
	var abandoned, freed atomic.Int64
	s := sweeping(tab, &dead, func(ID, bool) { freed.Add(1) })
	var workers, sweepers sync.WaitGroup
	stop := make(chan struct{})
	sweepers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.SweepShard(-1)
				runtime.Gosched()
			}
		}
	})
	for range 3 {
		workers.Go(func() {
			for i := range 1000 {
				o := Owner(next.Add(1))
				for !tab.TryClaim(0, o) {
					runtime.Gosched()
				}
				if i%3 == 0 {
					abandoned.Add(1)
					dead.Store(o, true)
					continue
				}
				runtime.Gosched()
				tab.Release(0, o)
				dead.Store(o, true) // who looked just before must not take it from the next
			}
		})
	}
	workers.Wait()
	close(stop)
	sweepers.Wait()
	s.SweepShard(-1)
	require.Equal(t, abandoned.Load(), freed.Load())
	_, isHeld, isWaited := tab.Holder(0)
	require.False(t, isHeld || isWaited)
}

func TestSweeperRunsAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := NewTable(1, 2)
		var every atomic.Int64 // 0: disabled
		freed := make(chan ID, 2)
		s := NewSweeper(tab, SweeperOptions{
			Self:  sweeperSelf,
			Every: func() time.Duration { return time.Duration(every.Load()) },
			Alive: func(Owner) bool { return false },
			Freed: func(id ID, _ bool) { freed <- id },
		})
		tab.TryClaim(1, 5)
		s.Start()
		defer s.Stop()
		time.Sleep(24 * time.Hour)
		require.Empty(t, freed)
		every.Store(int64(time.Minute))
		s.Changed()
		start := time.Now()
		require.Equal(t, ID(1), <-freed)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestSweeperSurvivesAPanic(t *testing.T) {
	tab := NewTable(1, 1)
	panics := make(chan any, 8)
	s := NewSweeper(tab, SweeperOptions{
		Self:     sweeperSelf,
		Every:    func() time.Duration { return time.Millisecond },
		Alive:    func(Owner) bool { panic("boom") },
		Freed:    func(ID, bool) {},
		Panicked: func(v any, stack []byte) { panics <- v },
	})
	tab.TryClaim(0, 1)
	s.Start()
	require.Equal(t, "boom", <-panics)
	s.Stop()
	s.Stop()
	require.Panics(t, func() { s.SweepShard(0) }, "the walk's mutex was let go")
}

func TestStopWithoutStart(t *testing.T) {
	s := sweeping(NewTable(1, 1), new(sync.Map), nil)
	s.Stop()
	s.Start()
}
