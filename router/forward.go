package router

import (
	"errors"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
)

// A Forwarder takes clients' commands to the leader.
type Forwarder interface {
	// Open makes a client's way there. Nothing is dialled before there is a command.
	Open(c *command.Client) Upstream
}

// An Upstream is one client's way to the leader. It is for the client's goroutine.
type Upstream interface {
	// Add puts a command behind those that the next Do sends. Its words stay as they
	// are until then. spec is nil for what is no command, or not a whole one. The reply
	// of a muted one is dropped.
	Add(spec *command.Spec, args [][]byte, muted bool)
	// Do tells the leader what has changed about the client, its database, name and
	// protocol, sends what was added, hands the replies to out in order, and tells how many
	// commands were answered; the others are forgotten. It gives up when the client
	// has left, or stop is closed before something was sent. An error is one of those
	// below.
	Do(out Replies, stop <-chan struct{}) (answered int, err error)
	// Pinned tells whether the leader keeps something for the client that would be
	// lost with the connection.
	Pinned() bool
	// Captive tells whether everything the client sends goes there: the leader queues
	// it, or knows better what may be sent.
	Captive() bool
	// Close ends it. It may be used again, as if it were new.
	Close()
}

// Replies takes what the leader answers.
type Replies interface {
	// Reply takes bytes of replies and messages, in the order in which they are to
	// reach the client. They are good until it returns. An error: nobody wants more.
	Reply(b []byte) error
	// Pause is called before more is waited for; whole: no reply is begun.
	Pause(whole bool) error
}

// What Do ends with, besides nil.
var (
	ErrNoLeader = errors.New("router: nobody leads") // what was not answered certainly did not run
	ErrCutOff   = errors.New("router: it is not known whether what was sent has run")
	ErrLost     = errors.New("router: the client's state at the leader is lost") // and it has been told, if it must be
	ErrStopped  = errors.New("router: called off")                               // what was not answered was not sent
)

// At most so many commands and bytes are sent to the leader before its replies are
// waited for.
const (
	forwardCommands = 512
	forwardBytes    = 1 << 20
)

// passedOn gives the session of a client that another node passes on what it is there.
func (s *session) passedOn(from *resp.Origin) {
	c := s.client
	c.SetFlag(command.ClientProxied, true)
	c.Authenticated, c.User = from.Authenticated, from.User
	c.SetName(from.Name)
	c.SetLibrary(&from.LibName, &from.LibVer)
	if from.DB >= 0 && from.DB < s.r.ks.Databases() {
		c.SetDB(from.DB)
	}
	c.SetProto(from.Proto)
	s.conn.Reply.SetProto(from.Proto)
}

// forward takes the commands of a batch from number i on to the leader, as far as
// they are for it, and returns how many have been dealt with: those that stand first
// and no others.
func (s *session) forward(b *resp.Batch, i int) (n int) {
	if s.up == nil && !s.r.roles.follows() {
		return 0
	}
	for i+n < b.Len() && !s.conn.Closing() {
		done, more := s.forwardRun(b, i+n)
		n += done
		if !more {
			break
		}
	}
	if s.conn.Closing() {
		return b.Len() - i
	}
	return n
}

// forwardRun is forward for as many commands as are sent at once; more: there may be
// others behind them.
func (s *session) forwardRun(b *resp.Batch, i int) (n int, more bool) {
	if !s.r.roles.follows() {
		s.comeHome()
		return 0, false
	}
	for size := 0; i+n < b.Len() && n < forwardCommands && size < forwardBytes; n++ {
		args := b.Args(i + n)
		spec, err := s.lookup(args)
		if !s.isAway(spec, err, args) {
			break
		}
		if spec != nil && s.r.pause.on.Load() && !spec.Has(command.Admin) {
			s.waitPause(spec, args)
		}
		if err != nil && spec != nil && spec.Name != "EXEC" { // which ends a transaction all the same
			spec = nil
		}
		s.sendAway(spec, args)
		size += b.Size(i + n)
	}
	if n == 0 {
		if spec, err := s.lookup(b.Args(i)); err == nil && spec.Name == "RESET" && s.up != nil {
			s.up.Close() // it keeps nothing there either
		}
		return 0, false
	}
	done, err := s.exchange()
	if errors.Is(err, ErrNoLeader) {
		for range n - done {
			s.unled()
		}
		return n, true
	}
	if err != nil {
		return done, s.forwardFailed(err)
	}
	return n, true
}

// comeHome ends what the client has at another node, for this one leads now.
func (s *session) comeHome() {
	if s.up == nil {
		return
	}
	if s.up.Pinned() {
		s.conn.Close()
	}
	s.up.Close()
	s.up = nil
}

// isAway tells whether a command of a follower's client is for the leader.
func (s *session) isAway(spec *command.Spec, err error, args [][]byte) bool {
	st := s.r.roles.standby.Load()
	switch {
	case s.client.Has(command.ClientProxied) || st.mode(s) != config.FollowerProxy:
		return false
	case s.up != nil && s.up.Captive():
		return spec == nil || spec.Name != "QUIT" && spec.Name != "RESET"
	case err != nil || spec.Run == nil || spec.Has(command.AnyNode):
		return false
	case !s.client.LoggedIn(s.r.cfg) || s.client.MaySend(spec) != nil:
		return false // it is refused here
	case s.up != nil && s.up.Pinned():
		return true
	case s.listensHere(spec, args) || spec.Name == "PSYNC" || spec.Name == "SYNC":
		return false
	}
	return !s.readsHere(spec, st)
}

// readsHere tells whether a client that has said READONLY gets an answer of what this
// follower has.
func (s *session) readsHere(spec *command.Spec, st *Standby) bool {
	return s.client.Has(command.ClientReadonly) && spec.Has(command.Readonly) && spec.Flags&(command.Blocking|command.MayReplicate|command.Write) == 0 && st.fresh()
}

// sendAway adds a command to those that are sent next.
func (s *session) sendAway(spec *command.Spec, args [][]byte) {
	if s.up == nil {
		s.up = s.r.roles.standby.Load().Forward.Open(s.client)
	}
	if spec != nil {
		if s.r.monitors.active() {
			s.r.monitors.feed(s, spec, args)
		}
		s.client.Note(spec, s.ctx.Now)
	}
	muted := s.client.ReplyMode != command.ReplyOn && (spec == nil || !spec.Has(command.PubSub|command.Listening))
	if s.client.ReplyMode == command.ReplySkipping {
		s.client.ReplyMode = command.ReplyOn
	}
	s.up.Add(spec, args, muted)
	s.r.counters.Commands.Inc(s.client.ID)
	s.r.counters.Forwarded.Add(1)
}

// exchange sends what was added and waits for the replies, with nothing held.
func (s *session) exchange() (answered int, err error) {
	stop := s.r.roles.wait()
	if !s.r.roles.follows() {
		stop = closedChan
	}
	s.ctx.Args, s.refs = nil, s.refs[:0] // the words stay where they are until the batch is done
	s.pass.Leave()
	s.park()
	s.client.SetFlag(command.ClientBlocked, true)
	answered, err = s.up.Do((*replies)(s), stop)
	s.client.SetFlag(command.ClientBlocked, false)
	s.unpark()
	s.pass.Enter()
	return answered, err
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// unled answers for a command that nobody was found for.
func (s *session) unled() {
	s.mark = s.ctx.Reply.Len()
	s.replyError(command.ErrMasterDown)
	if s.client.ReplyMode != command.ReplyOn {
		s.ctx.Reply.Truncate(s.mark)
	}
}

// forwardFailed answers for commands that the leader has not answered, and tells
// whether the client's next may be looked at.
func (s *session) forwardFailed(err error) (more bool) {
	switch {
	case errors.Is(err, ErrStopped):
		return true // this node's part has changed
	case errors.Is(err, ErrCutOff):
		s.replyError(command.ErrCutOff)
	}
	s.conn.Close()
	return false
}

// replies are the session's as Do sees it.
type replies session

// Reply puts what the leader has answered where it is sent. Messages of this node's
// own wait until it is whole.
func (r *replies) Reply(b []byte) error {
	c := r.conn
	c.HoldPushes()
	c.Reply.Raw(b)
	if c.Reply.Len() < int(r.r.limits.ReplyChunk.Load()) {
		return nil
	}
	return c.Flush()
}

// Pause sends what the client is owed.
func (r *replies) Pause(whole bool) error {
	c := r.conn
	if c.Reply.Len() > 0 {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	if whole {
		c.ReleasePushes()
	}
	return nil
}
