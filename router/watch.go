package router

import (
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/store"
)

// watches are the keys that transactions depend on, and whose. A writer looks
// here after publishing and before its latch is released; EXEC looks whether it
// has become dirty while it holds the latches of what it watches: no writer is
// then between the two.
type watches struct {
	n      atomic.Int64 // watched keys, each as often as it is watched
	stripe [64]struct {
		mu sync.Mutex // guards by
		by map[keyID][]*session
	}
}

// A keyID names a key of a database as clients number it.
type keyID struct {
	db  int
	key string
}

func (w *watches) add(id keyID, hash uint64, s *session) {
	p := &w.stripe[hash%uint64(len(w.stripe))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[keyID][]*session{}
	}
	p.by[id] = append(p.by[id], s)
	w.n.Add(1)
}

func (w *watches) remove(id keyID, hash uint64, s *session) {
	p := &w.stripe[hash%uint64(len(w.stripe))]
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.by[id]
	for i, x := range list {
		if x != s {
			continue
		}
		w.n.Add(-1)
		if len(list) == 1 {
			delete(p.by, id)
			return
		}
		p.by[id] = append(append([]*session(nil), list[:i]...), list[i+1:]...)
		return
	}
}

// touchWatched makes everyone dirty who watches a key that the call has changed.
func (s *session) touchWatched() {
	if w := &s.r.watches; w.n.Load() > 0 {
		s.tx.EachLoud(w.touch)
	}
}

// touch makes everyone dirty who watches the key.
func (w *watches) touch(ref store.Ref) {
	p := &w.stripe[ref.Hash%uint64(len(w.stripe))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.by) == 0 {
		return
	}
	for _, s := range p.by[keyID{ref.DB, string(ref.Key)}] {
		s.client.SetFlag(command.ClientDirty, true)
	}
}

// each calls fn for every watched key; the gate is closed.
func (w *watches) each(fn func(id keyID, watchers []*session)) {
	for i := range w.stripe {
		p := &w.stripe[i]
		p.mu.Lock()
		for id, list := range p.by {
			fn(id, list)
		}
		p.mu.Unlock()
	}
}

// Watch makes Exec fail if one of the keys changes. Their latches are held.
func (s *session) Watch(db int, keys [][]byte) error {
	if s.multi.on {
		return command.ErrWatchInMulti
	}
	for _, k := range keys {
		id := keyID{db, string(k)}
		if !s.multi.watches(id) {
			hash := s.r.ks.Hash(db, k)
			s.multi.watched = append(s.multi.watched, watchedKey{id, hash})
			s.watching.Store(true)
			s.r.watches.add(id, hash, s)
		}
	}
	return nil
}

// Unwatch forgets what is watched.
func (s *session) Unwatch() {
	for _, w := range s.multi.watched {
		s.r.watches.remove(w.id, w.hash, s)
	}
	s.multi.watched = nil
	s.watching.Store(false)
	s.client.SetFlag(command.ClientDirty, false)
}

type watchedKey struct {
	id   keyID
	hash uint64
}

func (m *multi) watches(id keyID) bool {
	for i := range m.watched {
		if m.watched[i].id == id {
			return true
		}
	}
	return false
}

// flushed makes everyone dirty whose key a command with the gate closed has taken
// away or swapped; run runs that command. A key counts that was there before or
// is there after.
func (s *session) flushed(run func()) {
	w := &s.r.watches
	if w.n.Load() == 0 {
		run()
		return
	}
	hit := s.affected()
	var there []keyID
	var tx store.Tx
	exists := func(id keyID) bool {
		tx.Begin(s.r.ks, store.Alone, id.db, s.ctx.Now, nil)
		defer tx.End()
		tx.NoTouch = true
		return tx.Exists([]byte(id.key))
	}
	w.each(func(id keyID, _ []*session) {
		if hit(id.db) && exists(id) {
			there = append(there, id)
		}
	})
	run()
	w.each(func(id keyID, watchers []*session) {
		was := false
		for _, x := range there {
			was = was || x == id
		}
		if hit(id.db) && (was || exists(id)) {
			for _, x := range watchers {
				x.client.SetFlag(command.ClientDirty, true)
			}
		}
	})
}

// flushes tells whether a command with the gate closed takes away or swaps whole
// databases.
func flushes(spec *command.Spec) bool {
	return spec.Name == "FLUSHDB" || spec.Name == "FLUSHALL" || spec.Name == "SWAPDB"
}

// affected tells of a command that needs the gate closed which databases it
// changes as a whole.
func (s *session) affected() func(db int) bool {
	switch s.ctx.Spec.Name {
	case "FLUSHDB":
		db := s.ctx.DB
		return func(x int) bool { return x == db }
	case "SWAPDB":
		a, _ := command.ParseInt(s.ctx.Args[1])
		b, _ := command.ParseInt(s.ctx.Args[2])
		return func(x int) bool { return int64(x) == a || int64(x) == b }
	case "FLUSHALL":
		return func(int) bool { return true }
	}
	return func(int) bool { return false }
}
