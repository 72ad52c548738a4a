package router

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/latch"
	"github.com/ferricd/ferricd/pubsub"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/tracking"
)

// A session is what the router keeps for a client. It belongs to the client's
// goroutine; while its call stands in line the coordinator has it instead.
type session struct {
	r      *Router
	client *command.Client
	conn   *resp.Conn // nil for an internal client
	owner  latch.Owner

	*scratch // nil while no batch runs

	multi   multi
	waiter  atomic.Pointer[waiter] // of the call that is blocked
	written int                    // refs of a transaction's writers, which come first

	mark      int   // where the reply of the call in hand begins
	err       error // what the call in hand answered
	stop      int64 // nanoseconds when the last command ended, the start of the next
	parked    bool
	panicked  bool // the handler, in its last run
	closing   bool
	moved     bool // the command did not run, and is to be looked at anew
	here      bool // a follower runs it itself
	ruled     bool // a reply that is not sent yet rests on this node being the leader
	unsent    bool // and this client has written something
	watching  atomic.Bool
	up        Upstream    // nil until a command has been taken to the leader
	listens   atomic.Bool // to other channels than a follower's own
	doubted   bool        // the client was told that its writes are in doubt, and is told nothing more
	wrote     uint64      // position of the client's last record
	owes, saw uint64      // positions that replies not sent yet rest on: by own writes, by what was read
	fixed     int64       // Unix ms at which the record that is applied was made; 0: none is
}

func (r *Router) newSession(id uint64, c *resp.Conn) *session {
	s := &session{r: r, conn: c, client: command.NewClient(id, c), owner: r.runner.NewOwner()}
	s.client.Session = s
	return s
}

// NewSubs is the client's end of the hub.
func (s *session) NewSubs() *pubsub.Client { return s.r.hub.NewClient(s.client) }

// NewTracking is its end of the tracking table.
func (s *session) NewTracking() *tracking.Client { return s.r.tracking.NewClient(s.client.ID) }

// close ends the session; its goroutine runs no call any more.
func (s *session) close() {
	s.Unwatch()
	s.client.Unsubscribe()
	s.client.Tracking().Stop()
	s.r.runner.Retire(s.owner)
}

// begin takes the gate's token for a batch and reads the clock.
func (s *session) begin() {
	s.pass.Enter()
	s.ctx.Now = s.clock()
	s.stop = s.r.nano()
}

// renew lets whoever wants to close the gate do so in the middle of a batch, and
// reads the clock again.
func (s *session) renew() {
	s.pass.Renew()
	s.ctx.Now = s.clock()
}

// clock is the time of the call: the present, but for a record of the log.
func (s *session) clock() int64 {
	if s.fixed != 0 {
		return s.fixed
	}
	return s.r.now().UnixMilli()
}

// touch overlaps the cache misses of a whole batch, and keeps the hashes. It changes no
// result.
func (s *session) touch(b *resp.Batch) {
	s.hashes = s.hashes[:0]
	db, hash := s.client.DB(), uint64(0)
	for i := range b.Len() {
		if args := b.Args(i); len(args) > 1 && (i == 0 || !alike(b.Args(i-1), args)) {
			hash = s.r.ks.Hash(db, args[1])
		}
		s.hashes = append(s.hashes, hash)
	}
	s.r.latches.Touch(s.hashes)
	s.r.ks.Touch(db, s.hashes)
}

// Touch does so for connections with one command each, before the first is run; a
// longer batch touches its own.
func (r *Router) Touch(ready []*resp.Conn) {
	defer r.runner.Grace().Begin(int(ready[0].ID)).End() // no pass is held
	var room [64]uint64
	hashes, db := room[:0], 0
	for _, c := range ready {
		b := c.Next()
		if b.Len() != 1 {
			continue
		}
		args := b.Args(0)
		if len(args) < 2 {
			continue
		}
		if of := c.Data.(*session).client.DB(); of != db || len(hashes) == len(room) {
			r.ks.Touch(db, hashes)
			hashes, db = room[:0], of
		}
		hashes = append(hashes, r.ks.Hash(db, args[1]))
	}
	r.ks.Touch(db, hashes)
}

// serve runs one command from the wire.
func (s *session) serve(args [][]byte) {
	s.mark = s.ctx.Reply.Len()
	s.moved, s.here = false, false
	spec, err := s.lookup(args)
	if err == nil {
		err = s.admit(spec, args)
	}
	switch {
	case err == nil && s.multi.on && !immediate[spec.Name]:
		if err = s.enqueue(spec, args); err != nil {
			s.refuse(spec, err)
		}
	case err == nil:
		s.execute(spec, args)
	case err == errMoved:
		s.moved = true
	default:
		if s.client.Has(command.ClientProxied) && (err == command.ErrMasterDown || err == command.ErrLoading) {
			s.closing = true // what stands behind it goes to another leader
		}
		s.refuse(spec, s.rejected(spec, err))
	}
	if s.parked {
		s.unpark()
	}
	if s.moved {
		return
	}
	if s.client.ReplyMode != command.ReplyOn {
		s.muted(spec)
	}
	if t := s.client.Tracking(); t != nil && t.Caching {
		s.endCaching(spec)
	}
}

// lookup finds the row of a command, or the error that says there is none.
func (s *session) lookup(args [][]byte) (*command.Spec, error) {
	spec := s.r.table.Find(args[0])
	if spec != nil && spec.Has(command.InCluster) && !s.r.server.Replication().Clustered {
		spec = nil
	}
	if spec == nil {
		if crossProtocol(args[0]) {
			s.r.log.Warn("possible attack: HTTP request on the RESP port, connection closed", "client", s.client.ID)
			s.conn.Kill("cross-protocol")
			s.closing = true
		}
		return nil, command.ErrUnknown(args)
	}
	if len(spec.Subcommands()) > 0 && len(args) > 1 {
		sub := spec.Sub(args[1])
		if sub == nil {
			return spec, command.ErrUnknownSub(spec, args[1])
		}
		spec = sub
	}
	if !spec.ArityOK(len(args)) {
		return spec, command.ErrArity(spec)
	}
	return spec, nil
}

// crossProtocol recognises what a browser sends to a Redis port.
func crossProtocol(name []byte) bool {
	s := string(name)
	return s == "POST" || s == "Host:" || s == "post" || s == "host:"
}

// refuse answers a command that does not run.
func (s *session) refuse(spec *command.Spec, err error) {
	s.r.counters.Rejected.Add(1)
	if spec != nil {
		s.r.stats.Commands.Reject(spec.ID())
	}
	s.replyError(err)
}

func (s *session) replyError(err error) {
	w := command.Wire(err)
	s.r.stats.Errors.Add(w.Code())
	s.ctx.Reply.Error(string(w))
}

// execute runs an admitted command and counts it.
func (s *session) execute(spec *command.Spec, args [][]byte) {
	r := s.r
	early := spec.Has(command.Blocking) // shown before it waits
	if early && r.monitors.active() {
		r.monitors.feed(s, spec, args)
	}
	s.client.Note(spec, s.ctx.Now)
	s.ctx.DB = s.client.DB()
	s.ctx.Begin(spec, args, s.ctx.Now, command.NotifyClass(r.watched.Load()))
	s.mark = s.ctx.Reply.Len()
	err := s.run(spec)
	if err == errMoved {
		s.ctx.Reply.Truncate(s.mark)
		s.moved = true
		return
	}
	s.ruled = s.ruled || !s.here && !spec.Has(command.AnyNode)
	if err != nil {
		s.ctx.Reply.Truncate(s.mark)
		s.replyError(err)
	}
	if !early && r.monitors.active() {
		r.monitors.feed(s, spec, s.ctx.Args)
	}
	s.account(spec, s.ctx.Args, err != nil)
	if spec.Has(command.PubSub) || spec.Name == "EXEC" {
		s.noteListening()
	}
	if s.client.Has(command.ClientCloseAfter) {
		s.closing = true
	}
}

// account adds the call to the statistics.
func (s *session) account(spec *command.Spec, args [][]byte, failed bool) {
	r := s.r
	start := s.stop
	s.stop = r.nano()
	took := s.stop - start
	r.counters.Commands.Inc(s.client.ID)
	r.stats.Commands.Record(s.client.ID, spec.ID(), took, failed)
	if limit := r.cfg.Int(config.SlowlogLogSlowerThan); limit >= 0 && took >= limit*1000 && !spec.Has(command.SkipSlowlog) {
		r.slow(s, spec, args, took)
	}
	if r.cfg.Int(config.LatencyMonitorThreshold) > 0 {
		r.late(commandEvent(spec), took)
	}
	if s.tx.Hits|s.tx.Misses != 0 {
		if spec.Has(command.Readonly) {
			r.counters.Hits.Add(s.client.ID, int64(s.tx.Hits))
			r.counters.Misses.Add(s.client.ID, int64(s.tx.Misses))
		}
		s.tx.Hits, s.tx.Misses = 0, 0
	}
}

// muted takes back the reply that CLIENT REPLY suppresses. Subscriptions are
// answered by messages, and those it does not.
func (s *session) muted(spec *command.Spec) {
	if s.client.ReplyMode != command.ReplySkip && (spec == nil || !spec.Has(command.PubSub|command.Listening)) {
		s.ctx.Reply.Truncate(s.mark)
	}
	switch s.client.ReplyMode {
	case command.ReplySkip:
		s.client.ReplyMode = command.ReplySkipping
	case command.ReplySkipping:
		s.client.ReplyMode = command.ReplyOn
	}
}

// handle runs the handler; a panic ends the call, not the process.
func (s *session) handle(spec *command.Spec) (err error) {
	s.panicked = false
	defer func() {
		if v := recover(); v != nil {
			s.panicked = true
			s.r.counters.Panics.Add(1)
			s.r.log.Error("command panicked", "command", spec.Lower(), "panic", v, "stack", string(debug.Stack()))
			err = command.ErrInternal
		}
	}()
	return spec.Run(&s.ctx)
}
