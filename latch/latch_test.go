package latch

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/internal/invariants"
)

func TestTableTakesShardFromHighAndSlotFromLowBits(t *testing.T) {
	tab := NewTable(64, 256)
	id := tab.ID(0xfc00_0000_0000_00ab)
	require.Equal(t, ID(63*256+0xab), id)
	require.Equal(t, 63, tab.Shard(id))
	require.Equal(t, 0xab, tab.Slot(id))
	require.Equal(t, id, tab.At(63, 0xab))
	require.Equal(t, 64, tab.Shards())
	require.Equal(t, 256, tab.Slots())

	one := NewTable(1, 1)
	require.Equal(t, ID(0), one.ID(^uint64(0)))
	require.Equal(t, 0, one.Shard(0))
}

func TestTableRefusesWhatIsNoPowerOfTwo(t *testing.T) {
	for _, n := range [][2]int{{0, 1}, {1, 0}, {3, 4}, {4, 12}, {-2, 4}, {1 << 20, 1 << 20}} {
		require.Panics(t, func() { NewTable(n[0], n[1]) }, "%v", n)
	}
}

// modelWord is the word as a person would write it down.
type modelWord struct {
	owner  Owner
	waited bool
}

func TestWordAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := NewTable(2, 2)
		var words [4]modelWord
		pick := func(t *rapid.T) (ID, *modelWord, Owner) {
			id := rapid.IntRange(0, 3).Draw(t, "id")
			return ID(id), &words[id], Owner(rapid.SampledFrom([]uint64{1, 2, uint64(MaxOwner)}).Draw(t, "owner"))
		}
		claim := func(m *modelWord, o Owner) bool {
			free := m.owner == 0 && !m.waited
			if free {
				m.owner = o
			}
			return free
		}
		t.Repeat(map[string]func(*rapid.T){
			"TryClaim": func(t *rapid.T) {
				id, m, o := pick(t)
				require.Equal(t, claim(m, o), tab.TryClaim(id, o))
			},
			"ClaimOrMark": func(t *rapid.T) {
				if invariants.Enabled {
					t.Skip("the model's owners wait in any order")
				}
				id, m, o := pick(t)
				want := claim(m, o)
				m.waited = m.waited || !want
				require.Equal(t, want, tab.ClaimOrMark(id, o))
			},
			"Release": func(t *rapid.T) {
				id, m, o := pick(t)
				if m.owner != o {
					require.Panics(t, func() { tab.Release(id, o) })
					return
				}
				m.owner = 0
				require.Equal(t, m.waited, tab.Release(id, o))
			},
			"HandOver": func(t *rapid.T) {
				if invariants.Enabled {
					t.Skip("the model's owners wait in any order")
				}
				id, m, o := pick(t)
				_, _, to := pick(t)
				if m.owner != o {
					require.Panics(t, func() { tab.HandOver(id, o, to) })
					return
				}
				m.owner = to
				tab.HandOver(id, o, to)
			},
			"Mark":   func(t *rapid.T) { id, m, _ := pick(t); m.waited = true; tab.Mark(id) },
			"Unmark": func(t *rapid.T) { id, m, _ := pick(t); m.waited = false; tab.Unmark(id) },
			"TakeFromLine": func(t *rapid.T) {
				id, m, o := pick(t)
				want := m.owner == 0 && m.waited
				if want {
					m.owner = o
				}
				require.Equal(t, want, tab.TakeFromLine(id, o))
			},
			"": func(t *rapid.T) {
				for i, m := range words {
					o, isHeld, isWaited := tab.Holder(ID(i))
					require.Equal(t, m, modelWord{o, isWaited})
					require.Equal(t, m.owner != 0, isHeld)
				}
			},
		})
	})
}

func TestSeqIsOddWhileClosed(t *testing.T) {
	tab := NewTable(2, 4)
	id := tab.ID(1<<63 | 2)
	require.Zero(t, tab.Seq(id))
	tab.Close(id)
	require.EqualValues(t, 1, tab.SeqOf(1<<63|2))
	require.Zero(t, tab.SeqOf(2), "the other shard's is its own")
	tab.Open(id)
	require.EqualValues(t, 2, tab.Seq(id))
	require.True(t, tab.TryClaim(id, 7), "closing is not claiming")
}

func TestClaimExcludes(t *testing.T) {
	const workers, rounds = 4, 2000
	tab := NewTable(1, 1)
	n := 0
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range rounds {
				for !tab.TryClaim(0, Owner(w+1)) {
					runtime.Gosched()
				}
				n++ // the race detector sees a claim that does not exclude
				if rand.Uint32()&7 == 0 {
					runtime.Gosched()
				}
				require.False(t, tab.Release(0, Owner(w+1)))
			}
		})
	}
	wg.Wait()
	require.Equal(t, workers*rounds, n)
}

// A mark set while the holder releases is seen by one of the two: by the marker,
// who claims instead, or by the holder, who is told.
func TestMarkIsNeverLost(t *testing.T) {
	const rounds = 20_000
	tab := NewTable(1, 1)
	var round, answered atomic.Int64 // both sides start together, as nearly as can be
	until := func(n *atomic.Int64, at int64) {
		for spins := 0; n.Load() < at; spins++ {
			if spins > 100 {
				runtime.Gosched()
			}
		}
	}
	claimed := false
	var marker sync.WaitGroup
	defer marker.Wait()
	defer round.Store(rounds)
	marker.Go(func() {
		for i := range int64(rounds) {
			until(&round, i+1)
			claimed = tab.ClaimOrMark(0, 2)
			answered.Store(i + 1)
		}
	})
	for i := range int64(rounds) {
		require.True(t, tab.TryClaim(0, 1))
		round.Store(i + 1)
		told := tab.Release(0, 1)
		until(&answered, i+1)
		require.NotEqual(t, told, claimed, "in round %d", i)
		if claimed {
			tab.Release(0, 2)
		}
		tab.Unmark(0)
	}
}

func TestInvariantsSeeWaitingOutOfOrder(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs -tags invariants")
	}
	tab := NewTable(1, 4)
	require.True(t, tab.TryClaim(2, 1))
	require.True(t, tab.TryClaim(1, 1), "trying is allowed")
	require.True(t, tab.ClaimOrMark(3, 1))
	require.Panics(t, func() { tab.ClaimOrMark(0, 1) })
	tab.Release(1, 1)
	tab.Release(2, 1)
	tab.Release(3, 1)
	require.True(t, tab.ClaimOrMark(0, 1))
	tab.Close(0)
	require.Panics(t, func() { tab.Close(0) })
}
