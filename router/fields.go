package router

import (
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/store"
)

// expireFields is how many fields of a hash are deleted under one claim.
const expireFields = 512

var hdelWord = []byte("HDEL")

// takeFields deletes expired fields of the hash at ref, if that is what it is, and
// tells whether there are more. The pass is held.
func (d *remover) takeFields(ref store.Ref, now int64) (deleted int, more bool) {
	s := d.s
	d.ids[0] = s.r.latches.ID(ref.Hash)
	ok := s.r.runner.Try(s.pass, d.ids[:], s.owner, func() {
		if s.keeps() {
			return
		}
		s.refs = append(s.refs[:0], ref)
		// As in line: a reader that takes long is not waited for.
		s.tx.Begin(s.r.ks, store.InLine, ref.DB, now, s.refs)
		s.tx.NoTouch = true
		defer s.tx.End()
		fields, left, err := s.tx.TakeExpired(ref.Key, expireFields)
		if err != nil || len(fields) == 0 {
			return
		}
		deleted, more = len(fields), left
		record := append(make(Record, 0, 2+len(fields)), hdelWord, ref.Key)
		s.records = append(s.records[:0], append(record, fields...))
		s.append(ref.DB, now, s.records)
		emptied := !s.tx.Exists(ref.Key)
		s.tx.Publish()
		s.published(nil)
		s.notify(command.NotifyHash, "hexpired", ref)
		if emptied {
			s.notify(command.NotifyGeneric, "del", ref)
		}
	})
	if !ok {
		d.miss++
	}
	return deleted, more
}
