package store

import (
	"math/rand/v2"
	"sync/atomic"
)

// A block's clock tells when it was last used. Under an LRU policy (and under
// none) it is the time in seconds; under an LFU policy the low 8 bits are a
// counter that grows with the logarithm of the uses and the next 16 bits the
// minute at which it was last made smaller.
type access struct {
	lfu       atomic.Bool
	logFactor atomic.Int64
	decay     atomic.Int64 // minutes that make the counter one less; 0: none do
}

const (
	lfuInit    = 5 // so that new keys are not the first to go
	minuteMask = 1<<16 - 1
)

// SetAccess says what accesses are remembered: how often, if lfu, or else when
// the last one was. The other two are lfu-log-factor and lfu-decay-time.
func (ks *Keyspace) SetAccess(lfu bool, logFactor, decayMinutes int) {
	ks.access.logFactor.Store(int64(logFactor))
	ks.access.decay.Store(int64(decayMinutes))
	ks.access.lfu.Store(lfu)
}

func minute(now int64) uint32 { return uint32(now/60000) & minuteMask }

// fresh is the clock of a new key.
func (a *access) fresh(now int64) uint32 {
	if a.lfu.Load() {
		return minute(now)<<8 | lfuInit
	}
	return uint32(now / 1000)
}

// touch remembers an access. It stores only what has changed, so that a key
// that many read does not become a line that many write.
func (a *access) touch(b *block, now int64) {
	c := b.clock.Load()
	n := uint32(now / 1000)
	if a.lfu.Load() {
		n = minute(now)<<8 | a.grown(a.freq(c, now))
	}
	if n != c {
		b.clock.Store(n)
	}
}

// grown is a counter after one more use: the larger it is, the less likely it
// becomes larger.
func (a *access) grown(n uint32) uint32 {
	if n == 255 {
		return n
	}
	over := int64(max(n, lfuInit) - lfuInit)
	if rand.Float64() < 1/float64(over*a.logFactor.Load()+1) {
		n++
	}
	return n
}

// freq is the counter as it is now, after the minutes in which it was not used.
func (a *access) freq(clock uint32, now int64) uint32 {
	n, decay := clock&255, a.decay.Load()
	if decay <= 0 {
		return n
	}
	passed := (minute(now) - clock>>8) & minuteMask
	return n - min(n, uint32(int64(passed)/decay))
}

// idle is how many seconds a key has not been used.
func (a *access) idle(clock uint32, now int64) int64 {
	return max(int64(int32(uint32(now/1000)-clock)), 0)
}

// show fills in what is known of the last access.
func (a *access) show(clock uint32, now int64) (idle int64, freq int) {
	if a.lfu.Load() {
		return 0, int(a.freq(clock, now))
	}
	return a.idle(clock, now), 0
}
