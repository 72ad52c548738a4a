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

// Bounds of a run. What it costs others is that they wait for it: one that finds its
// latch free is to be over before a loser, who looks for some microseconds, goes to
// stand in line. Whoever is in line already waits for the line's turn anyway.
const (
	runAtOnce  = 8       // commands under a latch that was free
	runMost    = 32      // commands with one place in line
	runBytes   = 4 << 10 // of arguments, beyond the first command's
	runReplies = 4 << 10 // bytes of replies, beyond the last command's
	runSlowlog = 1000    // µs; who logs what takes less wants to know of each command
)

// A run is several commands of one batch, one behind the other, of one name and for
// one key. They share look-up, admission, hash, claim and statistics, and a single
// place in line should the latch be taken. Each is a call of its own otherwise: it
// is logged, published and told of before the next begins, and a reader without a
// latch may look in between.
type run struct {
	s         *session
	batch     *resp.Batch
	next, end int // of the batch
	at        int // where that of the command in hand begins
	failed    int
}

// serveRun serves the run that begins at command i, and returns how many commands
// it has served: none if there is no run, or if they are to be looked at one by one.
func (s *session) serveRun(b *resp.Batch, i int) (n int) {
	if i+1 >= b.Len() || !alike(b.Args(i), b.Args(i+1)) {
		return 0
	}
	first := b.Args(i)
	spec := s.r.table.Find(first[0])
	if spec == nil || !runs(spec) || !s.mayRun() {
		return 0
	}
	w := &s.together
	w.end = runEnd(spec, b, i)
	if w.end-i < 2 {
		return 0
	}
	s.mark = s.ctx.Reply.Len()
	s.moved, s.here = false, false
	if s.admit(spec, first) == nil {
		w.s, w.batch, w.next, w.failed = s, b, i, 0
		s.client.Note(spec, s.ctx.Now)
		s.ctx.DB = s.client.DB()
		s.ctx.Begin(spec, first, s.ctx.Now, command.NotifyClass(s.r.watched.Load()))
		s.refs = s.refs[:0]
		s.ref(s.ctx.DB, first[1])
		if err := s.claimFor(spec, w, w.end-i); err != nil {
			w.refuse(err)
		}
		n = w.next - i
		s.ruled = s.ruled || n > 0
		s.accountRun(spec, first, n, w.failed)
		w.batch = nil
	}
	if s.parked {
		s.unpark()
	}
	return n
}

// alike tells whether two commands may be of one run.
func alike(a, b [][]byte) bool {
	if len(a) < 2 || len(b) < 2 {
		return false
	}
	k, l := a[1], b[1]
	n := len(k)
	return n == len(l) && n > 0 && k[n-1] == l[n-1] && bytes.Equal(k, l) && bytes.Equal(a[0], b[0])
}

// runs tells whether commands of a row may be run together: they are short, their
// one key stands first, and nothing but their place in the batch tells them apart.
func runs(spec *command.Spec) bool {
	const never = command.Blocking | command.OffGate | command.Protected | command.MayReplicate | command.Admin | command.InCluster
	return spec.Has(command.Fast|command.Write) && spec.Flags&never == 0 && spec.Path() == command.Claim &&
		spec.KeyPos() == 1 && spec.Run != nil && spec.Gate == nil && spec.Refs == nil && len(spec.Subcommands()) == 0
}

// mayRun tells whether nobody wants to see the commands one by one, and nothing is
// to be decided anew for each.
func (s *session) mayRun() bool {
	r := s.r
	if s.multi.on || s.client.ReplyMode != command.ReplyOn || s.client.Tracking.Options() != nil || s.client.Subs.Total() > 0 {
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
	first := b.Args(i)
	end, size := i, 0
	for end < b.Len() && end-i < runMost && size <= runBytes {
		args := b.Args(end)
		if !spec.ArityOK(len(args)) || end > i && !alike(first, args) {
			break
		}
		size += b.Size(end)
		end++
	}
	return end
}

// Run is the body of the run, with the latch and the gate held. When its own
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
		w.end = min(w.end, w.next+runAtOnce)
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
			return rmw.Done // what is left is looked at anew
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
func (w *run) BeforePark() { w.s.park() }

func (w *run) fail(err error) {
	w.failed++
	w.s.ctx.Reply.Truncate(w.at)
	w.s.replyError(err)
}

// refuse answers for what has not run: all that is left, or the command that has
// panicked outside its handler.
func (w *run) refuse(err error) {
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

// accountRun adds the commands of a run to the statistics. The clock is read once:
// each counts for its share.
func (s *session) accountRun(spec *command.Spec, args [][]byte, n, failed int) {
	if n == 0 {
		return
	}
	r := s.r
	start := s.stop
	s.stop = r.nano()
	took := s.stop - start
	r.counters.Commands.Add(s.client.ID, int64(n))
	r.stats.Commands.RecordRun(s.client.ID, spec.ID(), n, took, failed)
	if limit := r.cfg.Int(config.SlowlogLogSlowerThan); limit >= 0 && took >= limit*1000 {
		r.slow(s, spec, args, took)
	}
	s.tx.Hits, s.tx.Misses = 0, 0 // of writers nobody counts them
}

var _ rmw.Work = (*run)(nil)
