package metrics

import (
	"fmt"
	"sync"
	"time"
)

// What the slow log keeps of a call.
const (
	slowMaxArgs  = 32
	slowMaxBytes = 128
)

// SlowLog keeps the latest calls that took too long. Which those are, its
// caller decides.
type SlowLog struct {
	mu     sync.Mutex
	nextID int64
	most   int
	ring   []SlowEntry // the oldest at start, n of them
	start  int
	n      int
}

// SlowEntry is one such call.
type SlowEntry struct {
	ID   int64
	Time int64 // unix seconds
	Usec int64
	Args []string // shortened
	Addr string   // the client's
	Name string   // the client's
}

// NewSlowLog keeps at most so many calls.
func NewSlowLog(most int) *SlowLog { return &SlowLog{most: max(most, 0)} }

// Add enters a call. The arguments are copied, as far as they are kept.
func (l *SlowLog) Add(now time.Time, usec int64, args [][]byte, addr, name string) {
	e := SlowEntry{Time: now.Unix(), Usec: usec, Args: shorten(args), Addr: addr, Name: name}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = l.nextID
	l.nextID++
	if l.most == 0 {
		return
	}
	if l.n == l.most {
		l.ring[l.start] = e
		l.start = (l.start + 1) % len(l.ring)
		return
	}
	if l.n == len(l.ring) {
		l.resize(min(max(2*l.n, 16), l.most))
	}
	l.ring[(l.start+l.n)%len(l.ring)] = e
	l.n++
}

// resize moves the latest entries into a ring of another size.
func (l *SlowLog) resize(size int) {
	ring := make([]SlowEntry, size)
	keep := min(l.n, size)
	for i := range keep {
		ring[i] = l.ring[(l.start+l.n-keep+i)%len(l.ring)]
	}
	l.ring, l.start, l.n = ring, 0, keep
}

// SetMaxLen changes how many calls are kept.
func (l *SlowLog) SetMaxLen(most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = max(most, 0)
	if l.n > l.most || len(l.ring) > l.most {
		l.resize(l.most)
	}
}

// Get returns the latest calls, newest first: as many as there are, but not
// more than count when it is not negative.
func (l *SlowLog) Get(count int) []SlowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if count < 0 || count > l.n {
		count = l.n
	}
	list := make([]SlowEntry, count)
	for i := range list {
		list[i] = l.ring[(l.start+l.n-1-i)%len(l.ring)]
	}
	return list
}

// Len is how many calls are kept.
func (l *SlowLog) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// Reset forgets the calls; the ids go on.
func (l *SlowLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.start, l.n = nil, 0, 0
}

func shorten(args [][]byte) []string {
	list := make([]string, min(len(args), slowMaxArgs))
	for i := range list {
		switch a := args[i]; {
		case i == slowMaxArgs-1 && len(args) > slowMaxArgs:
			list[i] = fmt.Sprintf("... (%d more arguments)", len(args)-slowMaxArgs+1)
		case len(a) > slowMaxBytes:
			list[i] = fmt.Sprintf("%s... (%d more bytes)", a[:slowMaxBytes], len(a)-slowMaxBytes)
		default:
			list[i] = string(a)
		}
	}
	return list
}
