package router

import (
	"bytes"
	"errors"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/store"
)

// Bounds of a run, and of what of it holds a latch. What that costs others is that they
// wait for it: a stretch that finds its latch free is to be over before a loser, who
// looks for some microseconds, goes to stand in line. Whoever is in line already waits
// for the line's turn anyway.
const (
	runMost       = 64      // commands
	runBytes      = 4 << 10 // of arguments, and the command that goes beyond
	runReplies    = 4 << 10 // bytes of replies, beyond the last command's
	runSlowlog    = 1000    // µs; who logs what takes less wants to know of each command
	stretchAtOnce = 8       // commands under a latch that was free
	stretchMost   = 32      // commands with one place in line
)

// A run is several commands of one batch, one behind the other and of one name. They
// share look-up, admission and statistics. Those of a run of writers that are for one
// key are a stretch: they share hash and claim too, and a single place in line should
// the latch be taken. Each command is a call of its own otherwise: it is logged,
// published and told of before the next begins, and a reader without a latch may look
// in between.
//
// A run ends with a command that had to wait, for what was admitted may be no more.
type run struct {
	s         *session
	batch     *resp.Batch // nil: no run is served
	next, end int         // of the batch: the command in hand, and the end of its stretch
	last      int         // the end of the run
	at        int         // where the reply of the command in hand begins

	// What those before the command in hand have come to, from counted on.
	counted      int
	failed       int
	hits, misses int
	changes      int
}

// serveRun serves the run that begins at command i, and returns how many commands
// it has served: none if there is no run, or if they are to be looked at one by one.
func (s *session) serveRun(b *resp.Batch, i int) (n int) {
	if i+1 >= b.Len() || !bytes.Equal(b.Args(i)[0], b.Args(i + 1)[0]) {
		return 0
	}
	first := b.Args(i)
	spec := s.r.table.Find(first[0])
	if spec == nil || !s.r.runs[spec.ID()] || !s.mayRun() {
		return 0
	}
	last := runEnd(spec, b, i)
	if last-i < 2 {
		return 0
	}
	s.mark = s.ctx.Reply.Len()
	s.moved, s.here = false, false
	if s.admit(spec, first) == nil {
		w := &s.together
		*w = run{s: s, batch: b, next: i, last: last, counted: i}
		s.client.Note(spec, s.ctx.Now)
		s.ctx.DB = s.client.DB()
		if spec.Path() == command.Read {
			w.read(spec)
		} else {
			w.write(spec)
		}
		n = w.next - i
		s.ruled = s.ruled || n > 0
		w.account()
		w.batch = nil
	}
	if s.parked {
		s.unpark()
	}
	return n
}

// alike tells whether two commands may be of one stretch.
func alike(a, b [][]byte) bool {
	if len(a) < 2 || len(b) < 2 {
		return false
	}
	k, l := a[1], b[1]
	n := len(k)
	return n == len(l) && n > 0 && k[n-1] == l[n-1] && bytes.Equal(k, l) && bytes.Equal(a[0], b[0])
}

// mayRunTogether tells whether commands of a row may be run together: they are short,
// their one key stands first, and nothing but their place in the batch tells them apart.
func mayRunTogether(spec *command.Spec) bool {
	const never = command.Blocking | command.OffGate | command.Protected | command.MayReplicate | command.Admin | command.InCluster
	short := spec.Has(command.Fast) || spec.Has(command.Short)
	reads := spec.Path() == command.Read && spec.Has(command.Readonly)
	writes := spec.Path() == command.Claim && spec.Has(command.Write)
	return short && (reads || writes) && spec.Flags&never == 0 &&
		spec.KeyPos() == 1 && spec.Run != nil && spec.Gate == nil && spec.Refs == nil && len(spec.Subcommands()) == 0
}

// mayRun tells whether nobody wants to see the commands one by one, and nothing is
// to be decided anew for each.
func (s *session) mayRun() bool {
	r := s.r
	if s.multi.on || s.client.ReplyMode != command.ReplyOn || s.client.Tracking().Options() != nil || s.client.Subs().Total() > 0 {
		return false
	}
	if r.roles.mode.Load() != 0 || r.pause.on.Load() || r.monitors.active() || !r.sink.Room() {
		return false
	}
	limit := r.cfg.Int(config.SlowlogLogSlowerThan)
	return (limit < 0 || limit >= runSlowlog) && r.cfg.Int(config.LatencyMonitorThreshold) <= 0
}

// runEnd is the end of the run that begins at command i.
func runEnd(spec *command.Spec, b *resp.Batch, i int) int {
	name := b.Args(i)[0]
	end, size := i, 0
	for end < b.Len() && end-i < runMost && size <= runBytes {
		args := b.Args(end)
		if !spec.ArityOK(len(args)) || len(args) < 2 || end > i && !bytes.Equal(name, args[0]) {
			break
		}
		size += b.Size(end)
		end++
	}
	return end
}

// read serves a run of readers.
func (w *run) read(spec *command.Spec) {
	s := w.s
	begin, watched := s.ctx.Reply.Len(), command.NotifyClass(s.r.watched.Load())
	for w.next < w.last && s.ctx.Reply.Len()-begin <= runReplies && !s.parked {
		w.at = s.ctx.Reply.Len()
		args := w.batch.Args(w.next)
		s.ctx.Begin(spec, args, s.ctx.Now, watched)
		s.refs = s.refs[:0]
		s.refOf(s.ctx.DB, args[1], s.hashes[w.next])
		err := s.read(spec)
		if err == errMoved {
			s.ctx.Reply.Truncate(w.at)
			return // what is left is looked at anew
		}
		w.hits, w.misses = w.hits+s.tx.Hits, w.misses+s.tx.Misses
		w.next++
		if err != nil {
			w.fail(err)
		}
	}
}

// write serves a run of writers, stretch by stretch.
func (w *run) write(spec *command.Spec) {
	s := w.s
	begin := s.ctx.Reply.Len()
	for w.next < w.last && s.ctx.Reply.Len()-begin <= runReplies && !s.parked {
		args := w.batch.Args(w.next)
		w.end = w.next + 1
		for w.end < w.last && w.end-w.next < stretchMost && alike(args, w.batch.Args(w.end)) {
			w.end++
		}
		s.ctx.Begin(spec, args, s.ctx.Now, 0)
		s.refs = s.refs[:0]
		s.refOf(s.ctx.DB, args[1], s.hashes[w.next])
		s.err = nil
		if err := s.claimFor(spec, w, w.end-w.next); err != nil {
			w.refuse(err)
		}
		if s.err == errMoved {
			return // what is left is looked at anew
		}
	}
}

// Run is the body of a stretch, with the latch and the gate held. When its own
// goroutine has to go on for the coordinator it goes on where that has stopped.
func (w *run) Run(byCoordinator bool) rmw.Verdict {
	s := w.s
	mode := store.Claimed
	if byCoordinator {
		mode = store.InLine
	}
	s.resume()
	begin := s.ctx.Reply.Len()
	spec, watched := s.ctx.Spec, command.NotifyClass(s.r.watched.Load())
	// Whoever is woken by a command comes before the next: the latch must be let go.
	// While it is held nobody parks at its keys.
	switch {
	case s.r.blocked.n.Load() > 0:
		w.end = w.next + 1
	case !s.parked:
		w.end = min(w.end, w.next+stretchAtOnce)
	}
	for w.next < w.end && s.ctx.Reply.Len()-begin <= runReplies {
		w.at = s.ctx.Reply.Len()
		args := w.batch.Args(w.next)
		s.refs[0].Key = args[1] // the same, and then known without being hashed again
		s.ctx.Begin(spec, args, s.ctx.Now, watched)
		if s.once(mode) == rmw.HandOver {
			return rmw.HandOver
		}
		if s.err == errMoved {
			return rmw.Done
		}
		w.next++
		if s.err != nil {
			w.fail(s.err)
		}
	}
	return rmw.Done
}

// BeforePark is as for a single call. The batch stays where it is while its client
// is parked.
func (w *run) BeforePark() { w.s.BeforePark() }

func (w *run) fail(err error) {
	w.failed++
	w.s.ctx.Reply.Truncate(w.at)
	w.s.replyError(err)
}

// refuse answers for what has not run: all that is left of the stretch, or the command
// that has panicked outside its handler.
func (w *run) refuse(err error) {
	w.s.err = nil
	if errors.Is(err, rmw.ErrPanic) {
		w.next++
		w.fail(command.ErrInternal)
		return
	}
	err = w.s.lineError(err)
	for ; w.next < w.end; w.next++ {
		w.at = w.s.ctx.Reply.Len()
		w.fail(err)
	}
}

// account adds what the commands have come to that are done to the statistics. The clock
// is read once: each counts for its share. One that took long is the last, for a run is
// accounted before one that has to wait, and ends with one whose arguments or reply are
// large.
func (w *run) account() {
	n := w.next - w.counted
	if n == 0 {
		return
	}
	s, r, spec := w.s, w.s.r, w.s.ctx.Spec
	id, start := s.client.ID, s.stop
	s.stop = r.nano()
	took := s.stop - start
	r.counters.Commands.Add(id, int64(n))
	r.stats.Commands.RecordRun(id, spec.ID(), n, took, w.failed)
	if limit := r.cfg.Int(config.SlowlogLogSlowerThan); limit >= 0 && took >= limit*1000 && !spec.Has(command.SkipSlowlog) {
		r.slow(s, spec, w.batch.Args(w.next-1), took)
	}
	r.counters.Changes.AddSome(id, int64(w.changes))
	r.counters.Hits.AddSome(id, int64(w.hits))
	r.counters.Misses.AddSome(id, int64(w.misses))
	w.counted, w.failed, w.hits, w.misses, w.changes = w.next, 0, 0, 0, 0
	s.tx.Hits, s.tx.Misses = 0, 0 // of writers nobody counts them
}

var _ rmw.Work = (*run)(nil)
