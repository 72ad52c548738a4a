package router

import (
	"sync/atomic"

	"github.com/ferricd/ferricd/command"
)

// durable is what replies are held back for, with appendfsync always: a reply is
// sent only when a crash cannot take back what it shows. That holds for readers
// too: what they have read may be a write that is not on the disk yet.
type durable struct {
	strict atomic.Bool
	// By latch, the position of the last record of a call that held it. It is
	// stored before that call publishes, so who sees the value sees the position.
	last []atomic.Uint64
	all  atomic.Uint64 // of calls that have closed the gate
}

// SetStrict says whether replies wait for the log. The gate is closed, so that no
// call is half of each.
func (r *Router) SetStrict(on bool) {
	r.durable.all.Store(r.sink.End())
	r.durable.strict.Store(on)
}

// SetLoading says whether data is being loaded: most commands are refused then.
func (r *Router) SetLoading(on bool) { r.loading.Store(on) }

// Loading tells what SetLoading has said.
func (r *Router) Loading() bool { return r.loading.Load() }

// append puts what the call in hand has done into the log. Its latches are held
// and nothing of it is published.
func (s *session) append(db int, now int64, records []Record) {
	lsn := s.r.sink.Append(db, now, records)
	s.wrote, s.unsent = lsn, true
	d := &s.r.durable
	if !d.strict.Load() {
		return
	}
	s.owes = lsn
	if len(s.refs) == 0 {
		d.all.Store(lsn)
		return
	}
	for i := range s.refs {
		d.last[s.r.latches.ID(s.refs[i].Hash)].Store(lsn)
	}
}

// sees is called when the call in hand has read all that it will answer.
func (s *session) sees() {
	d := &s.r.durable
	if !d.strict.Load() {
		return
	}
	lsn := d.all.Load()
	if len(s.refs) == 0 {
		lsn = s.r.sink.End()
	}
	for i := range s.refs {
		lsn = max(lsn, d.last[s.r.latches.ID(s.refs[i].Hash)].Load())
	}
	s.saw = max(s.saw, lsn)
}

// seesAll is sees for a call that has looked at more than the keys it has named.
func (s *session) seesAll() {
	if s.r.durable.strict.Load() {
		s.saw = max(s.saw, s.r.sink.End())
	}
}

// settle holds the replies back until what they rest on is durable. Nothing is
// held. Once the log has failed readers are answered as if it had not, and who
// has written is told that nobody knows. That is the last he is told: what came
// behind it would look like the answer to one of the commands that have none.
func (s *session) settle() {
	lsn, owes := max(s.saw, s.owes), s.owes
	ruled, unsent := s.ruled, s.unsent
	s.saw, s.owes, s.ruled, s.unsent = 0, 0, false, false
	if s.conn == nil {
		return
	}
	if lsn > s.r.sink.Durable() {
		s.conn.StepAside()
		if err := s.r.sink.AwaitDurable(lsn, s.conn.Gone()); err != nil && s.unsettled(err, owes, unsent) {
			return
		}
	}
	if valid := s.r.roles.authority.Load(); valid != nil && ruled && !(*valid)() {
		if unsent {
			s.retract(command.ErrDeposed)
		} else {
			s.retract(command.ErrMasterDown)
		}
	}
}

// unsettled answers who was to be told of what is not known to be durable; false: he may
// be. A server that is alone goes on to show what its log has not taken. A node does not:
// another one will lead without it.
func (s *session) unsettled(err error, owes uint64, wrote bool) bool {
	switch {
	case owes > s.r.sink.Durable() && err == command.ErrDeposed:
		s.retract(command.ErrDeposed)
	case owes > s.r.sink.Durable():
		s.retract(command.ErrInDoubt)
	case s.r.roles.authority.Load() == nil:
		return false
	case wrote: // and that is durable; what was read beside it is not
		s.retract(command.ErrDeposed)
	default:
		s.retract(command.ErrMasterDown)
	}
	return true
}

// retract puts an error in the place of replies that must not be sent, and ends the
// connection.
func (s *session) retract(why error) {
	s.ctx.Reply.Truncate(0)
	if !s.doubted {
		s.replyError(why)
	}
	s.closing, s.doubted = true, true
	s.conn.Close()
}

// end gives back the gate's token of a batch, and waits until its replies may be
// sent.
func (s *session) end() {
	s.pass.Leave()
	s.settle()
}

// noRoom lets who would write wait until the log takes another write, with neither
// gate nor latch. When it never will, PING says so too, as in Redis: that is how
// monitors learn of it.
func (s *session) noRoom(spec *command.Spec, args [][]byte) error {
	if spec.Name == "PING" {
		return s.r.sink.Err()
	}
	if spec.Flags&command.Write == 0 && !(spec.Name == "EXEC" && s.multi.writes()) {
		return nil
	}
	s.ctx.Args = args
	s.refs = s.refs[:0]
	s.pass.Leave()
	defer s.pass.Enter()
	if s.conn == nil {
		return s.r.sink.AwaitRoom(nil)
	}
	s.park()
	err := s.r.sink.AwaitRoom(s.conn.Gone())
	if err != nil {
		s.unpark() // nothing runs that would
	}
	return err
}

// AwaitLog waits until everything that the client has written is durable.
func (s *session) AwaitLog(gone <-chan struct{}) error {
	return s.r.sink.AwaitDurable(s.wrote, gone)
}

// Written is the log's position behind the client's last record.
func (s *session) Written() uint64 { return s.wrote }
