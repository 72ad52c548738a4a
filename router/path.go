package router

import (
	"errors"
	"slices"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

// run takes a command the way its spec says and returns what it answers.
func (s *session) run(spec *command.Spec) error {
	s.answering() // a pause may have parked it
	switch spec.Path() {
	case command.Local:
		if spec.Has(command.OffGate) {
			return s.offGate(spec)
		}
		return s.handle(spec)
	case command.Walk:
		return s.walk(spec)
	case command.Alone:
		return s.alone(spec)
	}
	if spec.Gate != nil && spec.Gate(s.ctx.Args) {
		return s.gated(spec)
	}
	if s.findKeys(spec) != nil || len(s.refs) == 0 { // it will refuse its arguments, or needs no key
		if spec.Has(command.OffGate) {
			return s.offGate(spec)
		}
		return s.handle(spec)
	}
	if spec.Path() == command.Read {
		return s.read(spec)
	}
	return s.claim(spec)
}

// findKeys collects the keys of the call with their hashes.
func (s *session) findKeys(spec *command.Spec) error {
	s.refs = s.refs[:0]
	if p := spec.KeyPos(); p > 0 {
		if s.hashed && p == 1 {
			s.hashed = false
			s.refOf(s.ctx.DB, s.ctx.Args[p], s.hash)
		} else {
			s.ref(s.ctx.DB, s.ctx.Args[p])
		}
		return nil
	}
	if err := spec.EachKey(s.ctx.Args, s.addKey); err != nil {
		return err
	}
	if spec.Refs != nil {
		spec.Refs(s.ctx.Args, s.ctx.DB, s.addRef)
	}
	return nil
}

func (s *session) ref(db int, key []byte) { s.refOf(db, key, s.r.ks.Hash(db, key)) }

// refOf is ref for a key whose hash is known.
func (s *session) refOf(db int, key []byte, hash uint64) {
	if invariants.Enabled {
		invariants.Check(hash == s.r.ks.Hash(db, key), "router: the hash of another key")
	}
	// Field by field: to copy a Ref that was just put together waits for its parts.
	n := len(s.refs)
	if n == cap(s.refs) {
		s.refs = append(s.refs, store.Ref{})
	}
	s.refs = s.refs[:n+1]
	p := &s.refs[n]
	p.Key, p.DB, p.Hash = key, db, hash
}

// read runs a reader of one key without a latch. What it answered counts only
// if nothing closed its slot meanwhile; the second time that fails it claims.
func (s *session) read(spec *command.Spec) error {
	mark := s.ctx.Reply.Len()
	for range 2 {
		if !s.tx.BeginRead(s.r.ks, s.ctx.DB, s.ctx.Now, s.refs) {
			break
		}
		s.tx.NoTouch = s.noTouch(spec)
		s.track(spec, s.refs)
		err := s.handle(spec)
		misses := s.misses()
		if s.tx.EndRead() && !errors.Is(err, store.ErrRetry) {
			s.sees()
			s.sendEvents(misses)
			return err
		}
		s.ctx.Reply.Truncate(mark)
		s.ctx.Begin(spec, s.ctx.Args, s.ctx.Now, 0)
	}
	return s.claim(spec)
}

func (s *session) noTouch(spec *command.Spec) bool {
	return spec.Has(command.NoTouch) || s.client.Has(command.ClientNoTouch) && spec.Name != "TOUCH"
}

// claim runs a call under the latches of its keys, inline or in line.
func (s *session) claim(spec *command.Spec) error {
	if err := s.claimFor(spec, s, 1); err != nil {
		return s.lineError(err)
	}
	if w := s.waiter.Load(); w != nil {
		return s.await(w)
	}
	return s.err
}

// claimFor runs work, which is so many commands, under the latches of the keys that
// were found.
func (s *session) claimFor(spec *command.Spec, work rmw.Work, size int) error {
	k := s.call
	if !k.Reusable() { // it was withdrawn: its line may still know it, and its latches
		k = new(rmw.Call)
		s.call, s.ids = k, nil
	}
	s.ids = s.ids[:0]
	for i := range s.refs {
		s.ids = append(s.ids, s.r.latches.ID(s.refs[i].Hash))
	}
	if len(s.ids) > 1 {
		slices.Sort(s.ids)
		s.ids = slices.Compact(s.ids)
	}
	k.Owner, k.Latches, k.Work, k.Size = s.owner, s.ids, work, size
	k.Short = len(s.ids) == 1 && (spec.Has(command.Fast) || spec.Has(command.Short)) && !spec.Has(command.Blocking)
	k.Closes = len(s.refs) > 1 && spec.Has(command.Write)
	k.Gone = nil // BeforePark sets it: the first to ask makes a channel that the client then keeps
	if s.conn != nil && spec.Has(command.Blocking) {
		k.Gone = s.conn.Gone() // block hands it to the call that waits
	}
	return s.r.runner.Run(s.pass, k)
}

// lineError says why a call did not run.
func (s *session) lineError(err error) error {
	switch {
	case errors.Is(err, rmw.ErrBusy):
		s.r.log.Warn("call withdrawn: key is contended", "client", s.client.ID, "command", s.ctx.Spec.Lower())
		return command.ErrContended
	case errors.Is(err, rmw.ErrFull):
		return command.ErrQueueFull
	case errors.Is(err, rmw.ErrStopped):
		return command.ErrShutdown
	}
	return command.ErrInternal
}

// Run is the body of the call, with latches and gate held: in the client's own
// goroutine, or in the coordinator's.
func (s *session) Run(byCoordinator bool) rmw.Verdict {
	mode := store.Claimed
	if byCoordinator {
		mode = store.InLine
	}
	s.resume()
	return s.once(mode)
}

// resume is the first thing that a call does which may have stood in line: the time
// is another.
func (s *session) resume() {
	if s.parked {
		s.ctx.Now = s.clock()
		s.answering()
	}
}

// once runs the command in hand and commits what it has done.
func (s *session) once(mode store.Mode) rmw.Verdict {
	if s.barred(s.ctx.Spec) {
		s.err = errMoved
		return rmw.Done
	}
	mark := s.ctx.Reply.Len()
	s.track(s.ctx.Spec, s.refs)
	s.tx.Follows = s.keeps()
	s.tx.Begin(s.r.ks, mode, s.ctx.DB, s.ctx.Now, s.refs)
	s.tx.NoTouch = s.noTouch(s.ctx.Spec)
	defer s.tx.End()
	s.err = s.handle(s.ctx.Spec)
	s.sees()
	if s.err == nil {
		s.err = s.commit()
		return rmw.Done
	}
	if s.panicked {
		s.tx.Abort()
		return rmw.Done
	}
	s.tx.Undo()
	var wait *command.Wait
	if errors.As(s.err, &wait) {
		s.ctx.Reply.Truncate(mark)
		s.block(wait)
		return rmw.Done
	}
	if mode == store.InLine && errors.Is(s.err, store.ErrLocked) {
		s.ctx.Reply.Truncate(mark)
		s.ctx.Begin(s.ctx.Spec, s.ctx.Args, s.ctx.Now, command.NotifyClass(s.r.watched.Load()))
		return rmw.HandOver
	}
	return rmw.Done
}

// BeforePark is called before the call stands in line, holding nothing: the
// arguments point into the read buffer and must be kept, and the client gets
// what it is owed.
func (s *session) BeforePark() {
	if s.conn != nil {
		s.call.Gone = s.conn.Gone()
	}
	s.park()
}

// walk runs a command that looks at all shards. Who wants to close the gate waits
// for it with the gate open.
func (s *session) walk(spec *command.Spec) error {
	s.refs = s.refs[:0]
	defer s.sees()
	if spec.Has(command.Fast) {
		return s.handle(spec)
	}
	if s.conn != nil {
		s.conn.StepAside() // it may take long
	}
	s.pass.BeginLong()
	defer s.pass.EndLong()
	return s.handle(spec)
}

// alone runs a command with the gate closed. Its record is appended under the
// same hold, so that with the gate closed memory and log agree.
func (s *session) alone(spec *command.Spec) error {
	s.refs = s.refs[:0]
	s.pass.Leave()
	defer s.pass.Enter()
	s.park()
	var err error
	lineErr := s.r.runner.Exclusive(0, func() {
		if s.barred(spec) {
			err = errMoved
			return
		}
		s.ctx.Now = s.clock()
		s.answering()
		s.flushed(func() {
			if err = s.handle(spec); err == nil {
				s.record()
			}
		})
		if err == nil && flushes(spec) {
			s.r.invalidateAll()
		}
	})
	if lineErr != nil {
		return s.lineError(lineErr)
	}
	s.sees()
	if err == nil && s.r.blocked.n.Load() > 0 {
		s.wakeAfter()
	}
	return err
}

// gated runs a call whose keys nobody can name: with the gate closed it may touch
// any, and is otherwise like one that holds their latches.
func (s *session) gated(spec *command.Spec) error {
	s.refs = s.refs[:0]
	s.pass.Leave()
	defer s.pass.Enter()
	s.park()
	var err error
	lineErr := s.r.runner.Exclusive(0, func() {
		if s.barred(spec) {
			err = errMoved
			return
		}
		s.ctx.Now = s.clock()
		s.answering()
		s.trackQueued(spec, s.ctx.Args)
		s.tx.Follows = s.keeps()
		s.tx.Begin(s.r.ks, store.Alone, s.ctx.DB, s.ctx.Now, nil)
		s.tx.NoTouch = s.noTouch(spec)
		defer s.tx.End()
		switch err = s.handle(spec); {
		case err == nil:
			err = s.commit()
		case s.panicked:
			s.tx.Abort()
		default:
			s.tx.Undo()
		}
	})
	if lineErr != nil {
		return s.lineError(lineErr)
	}
	s.sees()
	return err
}

// wakeAfter wakes who waits at a key of a database that was swapped.
func (s *session) wakeAfter() {
	ids, hashes := s.r.blocked.keys(s.affected())
	if len(ids) > 0 {
		s.pass.Enter()
		s.r.wakeAt(s.pass, s.owner, ids, hashes)
		s.pass.Leave()
	}
}

// offGate runs a command that may wait, or that changes keys through others.
func (s *session) offGate(spec *command.Spec) error {
	s.pass.Leave()
	defer s.pass.Enter()
	s.park()
	return s.handle(spec)
}

// park makes the session ready to wait: once per command. The caller has no token.
func (s *session) park() {
	if s.parked {
		return
	}
	s.parked = true
	if s.together.batch != nil {
		s.together.account() // those before it have not waited
	}
	s.keepArgs()
	s.settle()
	if s.conn != nil {
		s.conn.BeforePark()
		s.mark = s.ctx.Reply.Len() // what was before it has been sent
	}
}

// answering says, before the call in hand looks at what it answers, that pushes
// come after its reply from now on, though it is parked.
func (s *session) answering() {
	if s.parked && s.conn != nil {
		s.conn.HoldPushes()
	}
}

// unpark ends what park began, when the command is done.
func (s *session) unpark() {
	s.parked = false
	if s.conn != nil {
		s.conn.AfterPark()
	}
	s.ctx.Now = s.clock()
	s.stop = s.r.nano()
}

// keepArgs copies the arguments, and lets the keys point to the copies.
func (s *session) keepArgs() {
	n := 0
	for _, a := range s.ctx.Args {
		n += len(a)
	}
	if cap(s.kept) < n || cap(s.kept) > 64<<10 {
		s.kept = make([]byte, 0, n)
	}
	s.kept, s.keptArgs = s.kept[:0], s.keptArgs[:0]
	for _, a := range s.ctx.Args {
		at := len(s.kept)
		s.kept = append(s.kept, a...)
		s.keptArgs = append(s.keptArgs, s.kept[at:len(s.kept):len(s.kept)])
	}
	j := 0 // keys stand in the order of the arguments, nearly always: each is looked for behind the one before
	for i := range s.refs {
		for range s.ctx.Args {
			j = (j + 1) % len(s.ctx.Args)
			if a := s.ctx.Args[j]; len(a) > 0 && len(s.refs[i].Key) == len(a) && &s.refs[i].Key[0] == &a[0] {
				s.refs[i].Key = s.keptArgs[j]
				break
			}
		}
	}
	s.ctx.Args = s.keptArgs
}

// admit says whether a command may run now; what may have to wait or evict
// does so here, with nothing held.
func (s *session) admit(spec *command.Spec, args [][]byte) error {
	if spec.Run == nil {
		return command.ErrArity(spec)
	}
	if spec.Has(command.Protected) {
		if err := spec.Protect(s.r.cfg, s.client); err != nil {
			return err
		}
	}
	if !spec.Has(command.NoAuth) && !s.client.LoggedIn(s.r.cfg) {
		return command.ErrNoAuth
	}
	if err := s.client.MaySend(spec); err != nil {
		return err
	}
	if s.r.loading.Load() && !spec.Has(command.Loading) {
		return command.ErrLoading
	}
	if s.r.pause.on.Load() && !spec.Has(command.Admin) {
		s.waitPause(spec, args)
	}
	return s.admitRoom(spec, args)
}

// admitRoom asks for what a command needs that runs here: the right to, and room. If
// the right changes while room is waited for it is asked anew.
func (s *session) admitRoom(spec *command.Spec, args [][]byte) error {
	mode := s.r.roles.mode.Load()
	if mode != 0 {
		if done, err := s.admitRole(mode, spec, args); done {
			return err
		}
	}
	if !s.r.sink.Room() {
		if err := s.noRoom(spec, args); err != nil {
			return err
		}
	}
	if limit := s.r.cfg.Int(config.MaxMemory); limit > 0 {
		if err := s.admitMemory(spec, limit); err != nil {
			return err
		}
	}
	if s.r.roles.mode.Load() != mode {
		return errMoved
	}
	return nil
}

var _ rmw.Work = (*session)(nil)
