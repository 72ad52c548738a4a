package router

import (
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

// A scratch is what a session needs while it runs calls, and not between batches: an
// idle client holds none, and those that are served one after the other use the same,
// which the processor then has at hand. Nothing in it is of meaning from one batch to
// the next.
type scratch struct {
	s    *session // that has borrowed it
	pass *rmw.Pass

	ctx      command.Context
	tx       store.Tx
	call     *rmw.Call
	together run
	refs     []store.Ref
	ids      []latch.ID
	addKey   func(i int, a command.Access)
	addRef   func(db int, key []byte)

	kept        []byte
	keptArgs    [][]byte
	records     []Record
	changed     []store.Ref
	expired     func(store.Ref)
	noteChanged func(store.Ref)
	channel     []byte   // of notifications
	hashes      []uint64 // of the first arguments of a batch, by command
	hash        uint64   // of them, that of the command in hand
	hashed      bool     // and it is good
}

func (r *Router) newScratch() *scratch {
	w := &scratch{pass: r.runner.NewPass(), call: new(rmw.Call)}
	w.ctx = command.Context{Tx: &w.tx, Server: r.server}
	w.addKey = func(i int, _ command.Access) { w.s.ref(w.ctx.DB, w.ctx.Args[i]) }
	w.addRef = func(db int, key []byte) { w.s.ref(db, key) }
	w.expired = func(ref store.Ref) { w.s.recordExpired(ref) }
	w.noteChanged = func(ref store.Ref) { w.changed = append(w.changed, ref) }
	return w
}

// borrow gets the session a scratch; reply is where its calls answer.
func (s *session) borrow(reply *resp.Writer) {
	w, ok := s.r.scratches.Get().(*scratch)
	if !ok {
		w = s.r.newScratch()
	}
	w.s, s.scratch = s, w
	w.ctx.Client, w.ctx.Reply = s.client, reply
}

// giveBack is not called after a panic: nobody knows what the scratch is like.
func (s *session) giveBack() {
	w := s.scratch
	s.scratch = nil
	w.s, w.ctx.Client, w.ctx.Reply, w.ctx.Args = nil, nil, nil, nil
	s.r.scratches.Put(w)
}
