package router

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

// blocked are the calls that wait for a key to hold something, in the order in
// which they came. A call is entered and taken out with the latches of its keys
// held; who leaves something at a key readies the first that wants it before it
// gives the key's latch back, so that nobody sleeps beside an element.
type blocked struct {
	n      atomic.Int64 // entries
	choosy atomic.Int64 // calls that are not plain
	calls  atomic.Int64 // clients
	stripe [64]struct {
		mu sync.Mutex // guards by
		by map[keyID][]*waiter
	}
}

// A waiter is a parked call. It stays entered under all its keys, at the place
// at which it came, until it is served or leaves.
type waiter struct {
	s       *session
	wait    *command.Wait
	ids     []keyID
	hashes  []uint64
	ticket  *rmw.Call
	woken   atomic.Pointer[keyID] // why it is about to look again; nil while it is parked and while it looks
	unblock chan struct{}
	err     error // what it is unblocked with, nil: as if its time had run out; written before unblock is closed
	told    sync.Once
}

// enter adds w under its keys; their latches are held.
func (b *blocked) enter(w *waiter) {
	b.calls.Add(1)
	if !w.plain() {
		b.choosy.Add(1)
	}
	for i, id := range w.ids {
		p := &b.stripe[w.hashes[i]%uint64(len(b.stripe))]
		p.mu.Lock()
		if p.by == nil {
			p.by = map[keyID][]*waiter{}
		}
		p.by[id] = append(p.by[id], w)
		b.n.Add(1)
		p.mu.Unlock()
	}
}

// leave takes w out.
func (b *blocked) leave(w *waiter) {
	b.calls.Add(-1)
	if !w.plain() {
		b.choosy.Add(-1)
	}
	for i, id := range w.ids {
		p := &b.stripe[w.hashes[i]%uint64(len(b.stripe))]
		p.mu.Lock()
		list := p.by[id]
		if at := slices.Index(list, w); at >= 0 {
			b.n.Add(-1)
			if list = slices.Delete(list, at, at+1); len(list) == 0 {
				delete(p.by, id)
			} else {
				p.by[id] = list
			}
		}
		p.mu.Unlock()
	}
}

// ready wakes who waits for what a key holds now. The key's latch is held, and
// kept until ready has returned; tx sees the key.
func (b *blocked) ready(r *Router, tx *store.Tx, ref *store.Ref) {
	p := &b.stripe[ref.Hash%uint64(len(b.stripe))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.by) == 0 {
		return
	}
	list := p.by[keyID{ref.DB, string(ref.Key)}]
	if len(list) == 0 {
		return
	}
	k := &wokenKey{r: r, tx: tx, ref: ref, id: keyID{ref.DB, string(ref.Key)}, t: tx.Type(ref.Key)}
	for _, w := range list {
		if w.plain() && w.wait.Type == k.t && k.wake(w) {
			break
		}
	}
	if b.choosy.Load() > 0 {
		k.wakeChoosy(list)
	}
}

// plain tells whether a call is one of those of which the first is woken, as
// soon as its key is of its type.
func (w *waiter) plain() bool { return !w.wait.All && w.wait.Turn == "" }

// A wokenKey is a key at which calls are woken.
type wokenKey struct {
	r   *Router
	tx  *store.Tx
	ref *store.Ref
	id  keyID
	t   store.Type
}

// wake wakes a call and tells whether nobody needs to be woken in its stead. One
// that is on its way to this key already is not overtaken.
func (k *wokenKey) wake(w *waiter) bool {
	if on := w.woken.Load(); on != nil {
		return *on == k.id
	}
	if !k.r.runner.Ready(w.ticket, k.r.latches.ID(k.ref.Hash)) {
		return false
	}
	w.woken.Store(&k.id) // it cannot look before it has the latch that we hold
	return true
}

// wakeChoosy wakes the calls that say themselves what they wait for: all of them,
// or the first of each turn.
func (k *wokenKey) wakeChoosy(list []*waiter) {
	var turns map[string]bool // those that need no other
	for _, w := range list {
		there := w.wait.Type == k.t
		switch {
		case w.plain() || !there && !w.wait.Gone || turns[w.wait.Turn]:
			continue
		case there && !w.wait.Looks(k.tx, k.ref.Key): // nor do the others of its turn
		case !k.wake(w) || !there:
			continue
		}
		if w.wait.Turn != "" {
			if turns == nil {
				turns = map[string]bool{}
			}
			turns[w.wait.Turn] = true
		}
	}
}

// block parks the call in hand for what its handler waits for. Its latches are
// held.
func (s *session) block(wait *command.Wait) {
	s.keepArgs()
	w := &waiter{s: s, wait: wait, unblock: make(chan struct{})}
	for _, k := range wait.Keys {
		id := keyID{s.ctx.DB, string(k)}
		if !slices.Contains(w.ids, id) {
			w.ids, w.hashes = append(w.ids, id), append(w.hashes, s.r.ks.Hash(id.db, k))
		}
	}
	wait.Keys = nil // they point into what is read next
	w.ticket = &rmw.Call{Owner: s.owner, Latches: slices.Clone(s.ids), Closes: s.call.Closes, Gone: s.call.Gone, Work: (*blockedWork)(w)}
	s.waiter.Store(w)
	s.r.blocked.enter(w)
	w.ticket.Park()
	s.parkAgain()
}

// parkAgain lets messages come while a call waits that has no answer yet.
func (s *session) parkAgain() {
	if s.parked && s.conn != nil {
		s.conn.ReleasePushes()
	}
}

// blockedWork is what a woken call does: it runs its handler again.
type blockedWork waiter

// Run looks again, and parks again if somebody was quicker.
func (b *blockedWork) Run(bool) rmw.Verdict {
	w := (*waiter)(b)
	s := w.s
	if s.barred(s.ctx.Spec) {
		return b.demoted()
	}
	s.ctx.Begin(s.ctx.Spec, s.ctx.Args, s.clock(), command.NotifyClass(s.r.watched.Load()))
	s.ctx.Woken, s.ctx.Kept = []byte(w.woken.Swap(nil).key), w.wait.Kept
	defer func() { s.ctx.Woken, s.ctx.Kept = nil, nil }()
	s.answering()
	mark := s.ctx.Reply.Len()
	s.track(s.ctx.Spec, s.refs)
	s.tx.Follows = s.keeps()
	s.tx.Begin(s.r.ks, store.Claimed, s.ctx.DB, s.ctx.Now, s.refs)
	defer s.tx.End()
	s.err = s.handle(s.ctx.Spec)
	s.sees()
	var wait *command.Wait
	switch {
	case s.panicked:
		s.tx.Abort()
	case errors.As(s.err, &wait):
		s.tx.Undo()
		s.ctx.Reply.Truncate(mark)
		w.ticket.Park()
		s.parkAgain()
		return rmw.Done
	case s.err != nil:
		s.tx.Undo()
	default:
		s.err = s.commit()
	}
	s.r.blocked.leave(w)
	s.waiter.Store(nil)
	if !w.wait.All { // all others were woken with it
		s.readyNext(w)
	}
	return rmw.Done
}

// demoted ends the wait of a call that was woken on a node that may not run it.
func (b *blockedWork) demoted() rmw.Verdict {
	s := b.s
	s.r.blocked.leave((*waiter)(b))
	s.waiter.Store(nil)
	s.err = command.ErrRoleChanged
	return rmw.Done
}

// BeforePark is asked before every sleep.
func (b *blockedWork) BeforePark() { b.s.park() }

// readyNext wakes who waits behind w at its keys, whose latches are held: what
// woke w may be there still.
func (s *session) readyNext(w *waiter) {
	var tx store.Tx
	for i, id := range w.ids {
		ref := store.Ref{Key: []byte(id.key), DB: id.db, Hash: w.hashes[i]}
		refs := [1]store.Ref{ref}
		tx.Begin(s.r.ks, store.Claimed, id.db, s.ctx.Now, refs[:])
		tx.NoTouch = true
		if tx.Type(ref.Key) != store.None {
			s.r.blocked.ready(s.r, &tx, &ref)
		}
		tx.End()
	}
}

// await sleeps until the parked call has been served or has to leave. The pass is
// held before and after.
func (s *session) await(w *waiter) error {
	s.client.SetFlag(command.ClientBlocked, true)
	defer s.client.SetFlag(command.ClientBlocked, false)
	for {
		err := s.r.runner.Await(s.pass, w.ticket, w.wait.Until, w.unblock)
		if err == nil {
			if w.ticket.Parked() {
				continue
			}
			return s.err
		}
		s.waiter.Store(nil)
		s.r.blocked.leave(w)
		if w.ticket.Readied() {
			s.passOn(w)
		}
		return s.unserved(w, err)
	}
}

// unserved is what a call answers that leaves without what it waited for.
func (s *session) unserved(w *waiter, err error) error {
	switch {
	case errors.Is(err, rmw.ErrUnblocked) && w.err != nil:
		return w.err
	case errors.Is(err, rmw.ErrTimeout), errors.Is(err, rmw.ErrUnblocked):
		w.wait.OnTimeout(&s.ctx)
		return nil
	case errors.Is(err, rmw.ErrGone):
		s.closing = true
		return nil
	case errors.Is(err, rmw.ErrBusy):
		return command.ErrContended
	}
	return s.lineError(err)
}

// passOn hands a readiness on that its waiter could not use: it claims the keys
// and wakes the next at each.
func (s *session) passOn(w *waiter) {
	s.r.wakeAt(s.pass, s.owner, w.ids, w.hashes)
}

// wakeAt claims keys and wakes who waits at them, if there is something for them.
// It does not give up while the server runs: a readiness that is lost is a
// client that sleeps beside an element.
func (r *Router) wakeAt(p *rmw.Pass, o latch.Owner, ids []keyID, hashes []uint64) {
	var latches []latch.ID
	for _, h := range hashes {
		latches = append(latches, r.latches.ID(h))
	}
	slices.Sort(latches)
	latches = slices.Compact(latches)
	for {
		err := r.runner.Run(p, &rmw.Call{Owner: o, Latches: latches, Must: true, Wait: time.Hour, Work: &wakeWork{r, ids, hashes}})
		if !errors.Is(err, rmw.ErrBusy) {
			return
		}
		r.log.Warn("clients that wait for a key are woken late: it is held for too long")
	}
}

type wakeWork struct {
	r      *Router
	ids    []keyID
	hashes []uint64
}

// Run wakes with the latches held.
func (w *wakeWork) Run(bool) rmw.Verdict {
	var tx store.Tx
	for i, id := range w.ids {
		ref := store.Ref{Key: []byte(id.key), DB: id.db, Hash: w.hashes[i]}
		tx.Begin(w.r.ks, store.Claimed, id.db, w.r.now().UnixMilli(), []store.Ref{ref})
		tx.NoTouch = true
		w.r.blocked.ready(w.r, &tx, &ref)
		tx.End()
	}
	return rmw.Done
}

// BeforePark does nothing: the client is parked already, or there is none.
func (w *wakeWork) BeforePark() {}

// keys are all keys of some databases at which somebody waits.
func (b *blocked) keys(hit func(db int) bool) (ids []keyID, hashes []uint64) {
	for i := range b.stripe {
		p := &b.stripe[i]
		p.mu.Lock()
		for id, list := range p.by {
			if hit(id.db) && len(list) > 0 {
				at := slices.Index(list[0].ids, id)
				ids, hashes = append(ids, id), append(hashes, list[0].hashes[at])
			}
		}
		p.mu.Unlock()
	}
	return ids, hashes
}

// Unblock ends the wait of a blocked client, as if its time had run out or with
// an error.
func (r *Router) Unblock(id uint64, withError bool) bool {
	if withError {
		return r.unblock(id, command.ErrUnblocked)
	}
	return r.unblock(id, nil)
}

func (r *Router) unblock(id uint64, err error) bool {
	s, ok := r.clients.Load(id)
	if !ok {
		return false
	}
	w := s.waiter.Load()
	if w == nil {
		return false
	}
	told := false
	w.told.Do(func() {
		w.err = err
		close(w.unblock)
		told = true
	})
	return told
}

// Blocked is the number of clients that wait for a key.
func (r *Router) Blocked() int64 { return r.blocked.calls.Load() }

// UnblockAll ends every wait with an error: the server stops.
func (r *Router) UnblockAll() {
	r.clients.Range(func(id uint64, _ *session) bool {
		r.Unblock(id, true)
		return true
	})
}
