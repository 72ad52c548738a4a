package command

import (
	"math"
	"math/big"
	"time"

	"github.com/ferricd/ferricd/store"
)

// A Wait is what a handler returns when what it wants is not there yet: the call
// is parked, with its latches still held, until one of the keys has it.
type Wait struct {
	Keys      [][]byte         // in the order of preference
	Type      store.Type       // what a key must be for the call to look again
	All       bool             // everyone who waits at a key looks, not only the first
	Turn      string           // only the first of those who wait for the same looks
	Gone      bool             // the call also looks when the key is no more
	Until     time.Time        // zero: for ever
	OnTimeout func(c *Context) // the reply when time has run out
	Kept      any              // what the call finds in its Context when it looks again

	// Looks tells, for calls with All or Turn, whether the key holds what is
	// waited for. It is asked at each change, with the key's latch held.
	Looks func(tx *store.Tx, key []byte) bool
}

func (w *Wait) Error() string { return "command: the call waits" }

// MayWait tells whether the call may be parked: not inside of a transaction, nor
// for the server itself.
func (c *Context) MayWait() bool { return !c.InExec && c.Client.Conn != nil }

// BlockTimeout reads argument i as seconds, with a fraction, until a blocked
// call gives up; the zero time for 0, which is never.
func (c *Context) BlockTimeout(i int) (time.Time, error) {
	const exact = 1 << 50 // where the fast way and the precise one cannot differ in a millisecond
	if f, ok := ParseFloat(c.Args[i]); ok && f >= 0 && f*1000 < exact {
		return after(int64(math.Ceil(f * 1000))), nil
	}
	f, ok := ParseLongDouble(c.Args[i])
	if !ok {
		return time.Time{}, ErrTimeout
	}
	n, acc := f.Mul(f, big.NewFloat(1000)).Int64()
	if n < 0 || n == math.MaxInt64 && acc != big.Exact { // what no integer holds is a negative one in Redis
		return time.Time{}, ErrTimeoutNeg
	}
	return after(n), nil
}

// BlockMillis is BlockTimeout for whole milliseconds.
func (c *Context) BlockMillis(i int) (time.Time, error) {
	n, ok := ParseInt(c.Args[i])
	if !ok {
		return time.Time{}, WireError("ERR timeout is not an integer or out of range")
	}
	if n < 0 {
		return time.Time{}, ErrTimeoutNeg
	}
	return after(n), nil
}

// after is so many milliseconds from now, or no time for 0 and for what nobody
// lives to see.
func after(ms int64) time.Time {
	const centuries = math.MaxInt64 / int64(time.Millisecond) / 2
	if ms == 0 || ms > centuries {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(ms) * time.Millisecond)
}

// EachWaited calls fn for the keys in which a blocking command looks, best
// first, until fn returns false: those it was given or, when it was woken, the
// one that woke it before the others. Woken, a key of another type is as one
// that is not there.
func (c *Context) EachWaited(keys [][]byte, t store.Type, fn func(key []byte) bool) {
	if c.Woken == nil {
		for _, k := range keys {
			if !fn(k) {
				return
			}
		}
		return
	}
	look := func(k []byte) bool { return c.Tx.Type(k) != t || fn(k) }
	if !look(c.Woken) {
		return
	}
	for _, k := range keys {
		if string(k) != string(c.Woken) && !look(k) {
			return
		}
	}
}
