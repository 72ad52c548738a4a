package server

import (
	"sync"

	"github.com/ferricd/ferricd/command"
)

// waits are the clients that sleep in WAIT and the like: who may be woken by
// CLIENT UNBLOCK, and all of them when the server ends.
type waits struct {
	mu    sync.Mutex // guards the fields below
	by    map[uint64]*waiter
	ended bool
}

type waiter struct {
	wake  chan struct{}
	woken bool
}

// Waiting says that c sleeps from now on.
func (s *Server) Waiting(c *command.Client) <-chan struct{} {
	w := &waiter{wake: make(chan struct{})}
	s.waits.mu.Lock()
	defer s.waits.mu.Unlock()
	if s.waits.by == nil {
		s.waits.by = map[uint64]*waiter{}
	}
	s.waits.by[c.ID] = w
	c.SetFlag(command.ClientBlocked, true)
	if s.waits.ended {
		w.rouse()
	}
	return w.wake
}

// Waited says that c sleeps no more.
func (s *Server) Waited(c *command.Client) {
	s.waits.mu.Lock()
	defer s.waits.mu.Unlock()
	delete(s.waits.by, c.ID)
	c.SetFlag(command.ClientBlocked, false)
}

// Unblock wakes a client that sleeps or waits for a key.
func (s *Server) Unblock(id uint64, withError bool) bool {
	if s.router.Unblock(id, withError) {
		return true
	}
	s.waits.mu.Lock()
	defer s.waits.mu.Unlock()
	w := s.waits.by[id]
	return w != nil && w.rouse()
}

func (w *waiter) rouse() bool {
	if w.woken {
		return false
	}
	w.woken = true
	close(w.wake)
	return true
}

func (w *waits) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, x := range w.by {
		x.rouse()
	}
}

// count is the number of clients that sleep.
func (w *waits) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.by)
}
