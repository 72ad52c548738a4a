package latch

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/ferricd/ferricd/internal/invariants"
)

// SweeperOptions are what a sweeper must know. Panicked may be nil.
type SweeperOptions struct {
	Self     Owner                    // in whose name it takes words
	Every    func() time.Duration     // asked before every wait; 0 or less: only when told to
	Alive    func(Owner) bool         // once it has said no of an owner, it says no for ever
	Freed    func(id ID, marked bool) // a latch was freed; marked: somebody waits for it
	Panicked func(what any, stack []byte)
}

// A Sweeper frees latches whose owner is gone. A goroutine cannot vanish, calls
// release in a defer, and who gives up waiting holds nothing: what the sweeper
// finds is a bug, and how much it found is a number to be alarmed by.
type Sweeper struct {
	table *Table
	opt   SweeperOptions

	one  sync.Mutex // one walk at a time: there is one owner to take words for
	poke chan struct{}
	stop chan struct{}
	done chan struct{}

	start, end sync.Once
}

// NewSweeper makes a sweeper that walks when told to, and by itself once started.
func NewSweeper(t *Table, opt SweeperOptions) *Sweeper {
	return &Sweeper{
		table: t, opt: opt,
		poke: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Start lets it sweep by itself until Stop.
func (s *Sweeper) Start() { s.start.Do(func() { go s.run() }) }

// Stop ends what Start began and waits for it. A stopped sweeper starts no more,
// but may still be told to sweep.
func (s *Sweeper) Stop() {
	s.end.Do(func() { close(s.stop) })
	s.start.Do(func() { close(s.done) })
	<-s.done
}

// Changed makes it ask anew how often to sweep.
func (s *Sweeper) Changed() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

func (s *Sweeper) run() {
	defer close(s.done)
	for s.turn() {
	}
}

// turn waits until it is time and sweeps once; false means stop.
func (s *Sweeper) turn() (again bool) {
	defer func() {
		if v := recover(); v != nil {
			if s.opt.Panicked != nil {
				s.opt.Panicked(v, debug.Stack())
			}
			again = s.rest()
		}
	}()
	var tick <-chan time.Time
	if d := s.opt.Every(); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-s.stop:
		return false
	case <-s.poke: // the interval has changed
	case <-tick:
		s.SweepShard(-1)
	}
	return true
}

// rest keeps a sweeper that panics at every turn from spinning.
func (s *Sweeper) rest() (again bool) {
	select {
	case <-s.stop:
		return false
	case <-time.After(time.Second):
		return true
	}
}

// SweepShard walks one shard, or all of them for -1, and returns how many
// latches it freed.
func (s *Sweeper) SweepShard(shard int) (n int) {
	s.one.Lock()
	defer s.one.Unlock()
	from, to := 0, len(s.table.words)
	if shard >= 0 {
		from = shard * s.table.Slots()
		to = from + s.table.Slots()
	}
	for id := from; id < to; id++ {
		if s.sweep(ID(id)) {
			n++
		}
	}
	return n
}

// sweep takes the word as a whole: between the look and the swap the slot may
// have been released and claimed by somebody else.
func (s *Sweeper) sweep(id ID) bool {
	t := s.table
	for {
		w := t.words[id].Load()
		if w&held == 0 {
			return false
		}
		o := Owner(w &^ (held | waited))
		if s.opt.Alive(o) {
			return false
		}
		if !t.words[id].CompareAndSwap(w, held|w&waited|uint64(s.opt.Self)) {
			continue // marked, or another's by now: look again
		}
		if invariants.Enabled {
			t.ledger.remove(o, id)
			t.ledger.add(s.opt.Self, id)
		}
		if t.Seq(id)&1 == 1 {
			t.Open(id)
		}
		s.opt.Freed(id, t.Release(id, s.opt.Self))
		return true
	}
}
