package router

import (
	"fmt"
	"strconv"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/store"
)

// A Loader puts back what snapshot and log hold, with the gate closed: it needs
// no latch and tells the log nothing. Several may work at once, on
// different keys. It is used by one goroutine at a time.
type Loader struct{ s *session }

// NewLoader returns a loader. The caller ends it with Close.
func (r *Router) NewLoader() *Loader { return &Loader{r.NewInternal().s} }

// Close ends the loader.
func (l *Loader) Close() { l.s.close() }

// Load runs the commands of one unit of the log as they were run at the time now,
// beginning in database db: what had not expired then has not expired for them,
// and they delete nothing on their own.
func (l *Loader) Load(db int, now int64, records []Record) error {
	for _, args := range records {
		if len(args) == 2 && string(args[0]) == "SELECT" {
			n, err := strconv.Atoi(string(args[1]))
			if err != nil {
				return fmt.Errorf("SELECT %q", args[1])
			}
			db = n
			continue
		}
		if err := l.one(db, now, args); err != nil {
			return err
		}
	}
	return nil
}

func (l *Loader) one(db int, now int64, args Record) error {
	s := l.s
	if db < 0 || db >= s.r.ks.Databases() {
		return fmt.Errorf("database %d of %d: raise the parameter databases", db, s.r.ks.Databases())
	}
	spec, err := s.lookup(args)
	if err == nil && spec.Run == nil {
		err = command.ErrArity(spec)
	}
	if err != nil {
		return err
	}
	s.client.SetDB(db)
	s.ctx.Reply.Reset(2)
	s.ctx.DB, s.ctx.InExec = db, true // it may not wait
	s.ctx.Begin(spec, args, now, 0)
	if spec.Path() == command.Alone || spec.Path() == command.Local {
		s.flushed(func() { err = s.handle(spec) })
		if err == nil && flushes(spec) {
			s.r.invalidateAll()
		}
	} else {
		err = l.tx(spec)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", spec.Name, command.Wire(err))
	}
	return nil
}

// tx runs a command on keys.
func (l *Loader) tx(spec *command.Spec) error {
	s := l.s
	if err := s.findKeys(spec); err != nil {
		s.refs = s.refs[:0]
	}
	s.tx.Begin(s.r.ks, store.Alone, s.ctx.DB, s.ctx.Now, s.refs)
	s.tx.Follows, s.tx.NoTouch = true, true
	defer func() {
		s.tx.End()
		s.tx.Follows = false
	}()
	err := s.handle(spec)
	switch {
	case err == nil:
		s.tx.Publish()
		s.followed()
	case s.panicked:
		s.tx.Abort()
	default:
		s.tx.Undo()
	}
	return err
}

// followed tells a follower's clients what a record has changed: those who watch, who
// wait, who may have cached it. The gate is closed; whoever is woken looks when it is
// open again.
func (s *session) followed() {
	r := s.r
	if r.watches.n.Load() == 0 && r.blocked.n.Load() == 0 && !r.tracking.Active() {
		return
	}
	s.changed = s.changed[:0]
	s.tx.EachChanged(s.noteChanged)
	s.touchWatched()
	if r.blocked.n.Load() > 0 {
		s.wakeWaiters()
	}
	s.invalidate(s.changed)
}

// Replaced tells everybody that all data was replaced by other: who watches a key
// must look again, and so must who has cached one. The gate is closed.
func (r *Router) Replaced() {
	r.watches.each(func(_ keyID, watchers []*session) {
		for _, x := range watchers {
			x.client.SetFlag(command.ClientDirty, true)
		}
	})
	r.invalidateAll()
}
