package router

import (
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/store"
)

// remover deletes keys for the server itself: expired ones and evicted ones.
// It goes through the latch like everybody, and tries only: it waits for nobody.
type remover struct {
	s    *session
	ids  [1]latch.ID
	miss int
}

func newRemover(r *Router) *remover {
	return &remover{s: r.NewInternal().s}
}

// remove deletes ref if check still says so under the latch. The pass is held.
func (d *remover) remove(ref store.Ref, now int64, event command.NotifyClass, name string, check func(tx *store.Tx) bool) (done bool) {
	s := d.s
	d.ids[0] = s.r.latches.ID(ref.Hash)
	ok := s.r.runner.Try(s.pass, d.ids[:], s.owner, func() {
		if s.keeps() {
			return
		}
		s.refs = append(s.refs[:0], ref)
		s.tx.Begin(s.r.ks, store.Claimed, ref.DB, now, s.refs)
		s.tx.NoTouch = true
		defer s.tx.End()
		if !check(&s.tx) {
			return
		}
		if !s.tx.Delete(ref.Key) {
			// It had expired: the look-up has noted it, and Publish removes it.
			if !s.tx.Dirty() {
				return
			}
		}
		s.records = append(s.records[:0], Record{delWord, ref.Key})
		s.append(ref.DB, now, s.records)
		s.tx.Publish()
		s.published(nil)
		s.notify(event, name, ref)
		done = true
	})
	if !ok {
		d.miss++
	}
	return ok && done
}
