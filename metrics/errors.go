package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// MaxErrorCodes is how many codes are told apart. Scripts can make up codes, so
// without a bound they could fill the memory.
const MaxErrorCodes = 128

// Errors counts error replies by their code, the first word.
type Errors struct {
	total    atomic.Int64
	overflow atomic.Int64
	codes    atomic.Pointer[map[string]*atomic.Int64] // never changed, only replaced
	mu       sync.Mutex                               // held by who replaces it
}

// ErrorCount is how often a code was answered.
type ErrorCount struct {
	Code  string
	Count int64
}

// NewErrors returns empty counts.
func NewErrors() *Errors {
	e := new(Errors)
	e.codes.Store(&map[string]*atomic.Int64{})
	return e
}

// Add counts an error reply.
func (e *Errors) Add(code string) {
	e.total.Add(1)
	n := (*e.codes.Load())[code]
	if n == nil {
		n = e.insert(code)
	}
	n.Add(1)
}

// insert makes the count of a new code; past the bound it is the common one.
func (e *Errors) insert(code string) *atomic.Int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := *e.codes.Load()
	if n := old[code]; n != nil {
		return n
	}
	if len(old) >= MaxErrorCodes {
		return &e.overflow
	}
	fresh, n := maps.Clone(old), new(atomic.Int64)
	fresh[strings.Clone(code)] = n
	e.codes.Store(&fresh)
	return n
}

// Total is how many error replies there were.
func (e *Errors) Total() int64 { return e.total.Load() }

// Overflow is how many of them had a code that came after the bound was reached.
func (e *Errors) Overflow() int64 { return e.overflow.Load() }

// All returns the counts in order of their codes.
func (e *Errors) All() []ErrorCount {
	var list []ErrorCount
	for code, n := range *e.codes.Load() {
		list = append(list, ErrorCount{Code: code, Count: n.Load()})
	}
	slices.SortFunc(list, func(a, b ErrorCount) int { return cmp.Compare(a.Code, b.Code) })
	return list
}

// Reset forgets all of them.
func (e *Errors) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.codes.Store(&map[string]*atomic.Int64{})
	e.total.Store(0)
	e.overflow.Store(0)
}
