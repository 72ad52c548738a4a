package latch

import (
	"slices"
	"sync"

	"github.com/ferricd/ferricd/internal/invariants"
)

// ledger remembers who holds what. It is written only under the invariants
// build tag and costs nothing otherwise.
type ledger struct {
	mu   sync.Mutex
	held map[Owner][]ID
}

func (l *ledger) add(o Owner, id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[Owner][]ID{}
	}
	l.held[o] = append(l.held[o], id)
}

// remove does nothing for a stranger: the word itself will tell.
func (l *ledger) remove(o Owner, id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.held[o]
	if i := slices.Index(ids, id); i >= 0 {
		ids = slices.Delete(ids, i, i+1)
	}
	if len(ids) == 0 {
		delete(l.held, o)
		return
	}
	l.held[o] = ids
}

// mayWait checks that whatever the owner holds lies below id.
func (l *ledger) mayWait(o Owner, id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.held[o] {
		invariants.Check(h < id, "latch: waits for a latch below one it holds")
	}
}
