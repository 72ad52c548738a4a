package router

import (
	"slices"
	"strconv"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

// multi is a client's transaction: what it watches and what it has queued.
type multi struct {
	on      bool
	broken  bool // a command could not be queued
	queue   []queued
	watched []watchedKey
}

// A queued command has its own copy of the arguments.
type queued struct {
	spec *command.Spec
	args [][]byte
	db   int // the database it will run in
}

// Multi begins a transaction.
func (s *session) Multi() error {
	if s.multi.on {
		return command.ErrNestedMulti
	}
	s.multi.on = true
	s.client.SetFlag(command.ClientMulti, true)
	s.client.SetQueued(0)
	return nil
}

// Discard ends a transaction that has not run.
func (s *session) Discard() error {
	if !s.multi.on {
		return command.ErrDiscardNoMulti
	}
	s.endMulti()
	return nil
}

func (s *session) endMulti() {
	s.Unwatch()
	s.multi = multi{}
	s.client.SetFlag(command.ClientMulti, false)
	s.client.SetQueued(-1)
}

// grows tells whether a queued command may need memory.
func (m *multi) grows() bool {
	for i := range m.queue {
		if m.queue[i].spec.Has(command.DenyOOM) {
			return true
		}
	}
	return false
}

// writes tells whether a queued command may write.
func (m *multi) writes() bool {
	for i := range m.queue {
		if m.queue[i].spec.Flags&command.Write != 0 {
			return true
		}
	}
	return false
}

// immediate are the commands that are not queued.
var immediate = map[string]bool{"EXEC": true, "DISCARD": true, "MULTI": true, "WATCH": true, "QUIT": true, "RESET": true}

// enqueue keeps a command for EXEC.
func (s *session) enqueue(spec *command.Spec, args [][]byte) error {
	if spec.Has(command.NoMulti) {
		s.multi.broken = true
		return command.ErrNotInMulti
	}
	n := 0
	for _, a := range args {
		n += len(a)
	}
	flat, own := make([]byte, 0, n), make([][]byte, len(args))
	for i, a := range args {
		at := len(flat)
		flat = append(flat, a...)
		own[i] = flat[at:len(flat):len(flat)]
	}
	s.multi.queue = append(s.multi.queue, queued{spec: spec, args: own})
	s.client.SetQueued(len(s.multi.queue))
	s.ctx.Reply.Simple("QUEUED")
	return nil
}

// Exec runs the queue: under all its latches and those of what is watched, with
// the slots of its keys closed and one record in the log; or, if one of its
// commands may touch any key, with the gate closed.
func (s *session) Exec(c *command.Context) error {
	m := &s.multi
	if !m.on {
		return command.ErrExecNoMulti
	}
	ran := false
	defer func() {
		if ran {
			s.endMulti()
		}
	}()
	if m.broken {
		ran = true
		return command.ErrExecAbort
	}
	spec, args, db, began := c.Spec, c.Args, c.DB, s.stop
	defer func() {
		if s.parked {
			args = s.keptArgs
		}
		c.Spec, c.Args, c.DB, c.InExec, s.stop = spec, args, db, false, began
	}()
	s.refs = s.refs[:0]
	alone := s.findExecKeys(db)
	c.Args = args // what is kept, should it park
	w := &execWork{s: s}
	if alone {
		s.refs = s.refs[:0]
		s.pass.Leave()
		defer s.pass.Enter()
		s.park()
		err := s.r.runner.Exclusive(0, func() { w.run(store.Alone) })
		ran = w.err != errMoved
		if err != nil {
			return s.lineError(err)
		}
		return w.err
	}
	k := &rmw.Call{Owner: s.owner, Latches: s.latchesOf(s.refs), Closes: true, Work: w}
	k.CloseLatches = s.latchesOf(s.refs[:s.written])
	if s.conn != nil {
		k.Gone = s.conn.Gone()
	}
	err := s.r.runner.Run(s.pass, k)
	ran = w.err != errMoved
	if err != nil {
		return s.lineError(err)
	}
	return w.err
}

// findExecKeys collects the keys of the queue, those of its writers first, and of
// what is watched, and tells whether the gate must be closed instead.
func (s *session) findExecKeys(db int) (alone bool) {
	var readers []store.Ref
	for i := range s.multi.queue {
		q := &s.multi.queue[i]
		q.db = db
		if q.spec.Name == "SELECT" {
			if n, ok := command.ParseInt(q.args[1]); ok && n >= 0 && n < int64(s.r.ks.Databases()) {
				db = int(n)
			}
		}
		if q.spec.Path() == command.Alone || q.spec.Gate != nil && q.spec.Gate(q.args) {
			alone = true
		}
		from := len(s.refs)
		s.ctx.DB, s.ctx.Args = q.db, q.args
		if err := q.spec.EachKey(q.args, s.addKey); err == nil && q.spec.Refs != nil {
			q.spec.Refs(q.args, q.db, s.addRef)
		}
		if q.spec.Flags&(command.Write|command.MayReplicate) == 0 {
			readers = append(readers, s.refs[from:]...)
			s.refs = s.refs[:from]
		}
	}
	s.written = len(s.refs)
	s.refs = append(s.refs, readers...)
	for _, w := range s.multi.watched {
		s.refs = append(s.refs, store.Ref{Key: []byte(w.id.key), DB: w.id.db, Hash: w.hash})
	}
	return alone
}

// latchesOf are the latches of keys, ascending and each once.
func (s *session) latchesOf(refs []store.Ref) []latch.ID {
	ids := make([]latch.ID, 0, len(refs))
	for i := range refs {
		ids = append(ids, s.r.latches.ID(refs[i].Hash))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// execWork is the body of a transaction.
type execWork struct {
	s       *session
	err     error
	records []Record
	first   int // the database that the record begins in
	db      int // the one that it is in
	events  []command.Event
}

// Run is the body as a call.
func (w *execWork) Run(bool) rmw.Verdict {
	w.run(store.Claimed)
	return rmw.Done
}

// BeforePark sends what the client is owed.
func (w *execWork) BeforePark() { w.s.park() }

func (w *execWork) run(mode store.Mode) {
	s := w.s
	if w.barred() {
		w.err = errMoved
		return
	}
	s.ctx.Now = s.clock()
	s.answering()
	s.tx.Follows = s.keeps()
	mark := s.ctx.Reply.Len()
	refs := s.refs
	if mode == store.Alone {
		refs = nil
	}
	s.tx.Begin(s.r.ks, mode, s.client.DB(), s.ctx.Now, refs)
	defer s.tx.End()
	if s.dirty() {
		s.commitExpired()
		s.ctx.Reply.NullArray()
		s.sees()
		return
	}
	w.first = s.client.DB()
	w.db = w.first
	s.ctx.Reply.Array(len(s.multi.queue))
	s.ctx.InExec = true
	for i := range s.multi.queue {
		if w.one(&s.multi.queue[i]) {
			s.tx.Abort() // the handler panicked: nothing of the transaction stays
			s.ctx.Reply.Truncate(mark)
			w.err = command.ErrInternal
			return
		}
	}
	if len(w.records) > 0 {
		s.append(w.first, s.ctx.Now, w.records)
	}
	s.published(w.events)
	s.sees()
	if slices.ContainsFunc(s.multi.queue, func(q queued) bool { return q.spec.Path() == command.Walk }) {
		s.seesAll()
	}
}

// barred is the session's of the whole transaction: one that changes nothing may run
// where its EXEC was admitted.
func (w *execWork) barred() bool {
	s := w.s
	mode := s.r.roles.mode.Load()
	return mode&following != 0 && s.conn != nil && !s.here || mode&(following|holding) != 0 && s.multi.writes()
}

// dirty tells whether something that is watched has changed, or expired, since.
func (s *session) dirty() bool {
	if s.client.Has(command.ClientDirty) {
		return true
	}
	for _, w := range s.multi.watched {
		s.tx.In(w.id.db)
		s.tx.NoTouch = true
		s.tx.Exists([]byte(w.id.key))
	}
	s.tx.NoTouch = false
	// WATCH has deleted what had expired by then: what is found expired now has
	// expired since.
	return s.tx.Dirty()
}

// commitExpired deletes what was found expired, and nothing else.
func (s *session) commitExpired() {
	s.tx.EachExpired(s.expired)
	s.tx.Publish()
	s.published(nil)
}

// one runs a queued command and writes its reply; it tells whether the handler
// panicked.
func (w *execWork) one(q *queued) (panicked bool) {
	s := w.s
	r := s.r
	s.ctx.DB = s.client.DB()
	s.ctx.Begin(q.spec, q.args, s.ctx.Now, command.NotifyClass(r.watched.Load()))
	s.tx.In(s.ctx.DB)
	s.tx.NoTouch = s.noTouch(q.spec)
	s.trackQueued(q.spec, q.args)
	mark := s.ctx.Reply.Len()
	s.stop = r.nano()
	var err error
	if q.spec.Path() == command.Alone {
		s.flushed(func() { err = s.handle(q.spec) })
		if err == nil && flushes(q.spec) {
			s.r.invalidateAll()
		}
	} else {
		err = s.handle(q.spec)
	}
	if s.panicked {
		return true
	}
	if r.monitors.active() {
		r.monitors.feed(s, q.spec, q.args)
	}
	if err == nil {
		w.keep(q)
	} else {
		s.ctx.Reply.Truncate(mark)
		s.replyError(err)
		s.tx.Drop()
	}
	s.account(q.spec, q.args, err != nil)
	return false
}

// keep publishes what a command has done (its slots are closed) and keeps its
// records and events for the end: they are good only until the next command.
func (w *execWork) keep(q *queued) {
	s := w.s
	s.tx.EachExpired(func(ref store.Ref) {
		w.add(ref.DB, Record{delWord, ref.Key})
		s.r.counters.Expired.Add(1)
		if s.r.wants(command.NotifyExpired) {
			w.events = append(w.events, command.Event{Class: command.NotifyExpired, Name: "expired", DB: ref.DB, Key: slices.Clone(ref.Key)})
		}
	})
	records, own := s.ctx.Effects()
	if !own && (s.tx.Changes() || q.spec.Path() == command.Alone) && q.spec.Flags&(command.Write|command.MayReplicate) != 0 {
		w.add(s.ctx.DB, q.args)
	}
	for _, r := range records {
		w.add(s.ctx.DB, cloneRecord(r))
	}
	misses := s.misses()
	s.tx.Publish()
	for _, e := range s.events(misses) {
		e.Key = slices.Clone(e.Key)
		w.events = append(w.events, e)
	}
}

func cloneRecord(r Record) Record {
	out := make(Record, len(r))
	for i, word := range r {
		out[i] = slices.Clone(word)
	}
	return out
}

var selectWord = []byte("SELECT")

// add puts a command into the transaction's record, behind a SELECT where it runs
// in another database than the one before.
func (w *execWork) add(db int, r Record) {
	if db != w.db {
		w.records = append(w.records, Record{selectWord, []byte(strconv.Itoa(db))})
		w.db = db
	}
	w.records = append(w.records, r)
}

// rejected is what a command that does not run means for the transaction: EXEC
// ends it, and says why, all others leave it broken.
func (s *session) rejected(spec *command.Spec, err error) error {
	if spec != nil && spec.Name == "EXEC" {
		s.endMulti()
		return command.ErrExecAbortBy(command.Wire(err))
	}
	s.multi.broken = s.multi.broken || s.multi.on
	return err
}
