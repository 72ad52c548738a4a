package router

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/resp"
)

// An Internal is a client of the server itself: it takes the same path as
// everyone else. It is used by one goroutine at a time.
type Internal struct{ s *session }

// NewInternal returns an internal client.
func (r *Router) NewInternal() *Internal {
	s := r.newSession(math.MaxUint64-r.internal.Add(1), nil)
	s.borrow(new(resp.Writer)) // for good
	s.client.Authenticated = true
	s.client.SetFlag(command.ClientInternal, true)
	return &Internal{s}
}

// Close ends the client.
func (i *Internal) Close() { i.s.close() }

// Do runs a command in database db and returns its reply as encoded for RESP2;
// an error reply is returned as the error.
func (i *Internal) Do(db int, args ...[]byte) ([]byte, error) {
	return i.run(db, args)
}

// Transact runs commands as one call and returns their replies one behind the other;
// ran is false, and nothing is done, if a key was changed that Do has watched.
func (i *Internal) Transact(db int, commands ...[][]byte) (replies []byte, ran bool, err error) {
	s := i.s
	if err := s.Multi(); err != nil {
		return nil, false, err
	}
	for _, args := range commands {
		spec, err := s.lookup(args)
		if err == nil {
			err = s.enqueue(spec, args)
		}
		if err != nil {
			s.endMulti()
			return nil, false, err
		}
	}
	s.owes = 0
	replies, err = i.run(db, [][]byte{[]byte("EXEC")})
	if s.multi.on { // it may not run here, and is not tried again
		s.endMulti()
	}
	if err == nil && s.owes > 0 && s.r.sink.AwaitDurable(s.owes, nil) != nil {
		err = command.ErrInDoubt
	}
	s.owes = 0
	head, replies, _ := bytes.Cut(replies, []byte("\r\n"))
	return replies, string(head) != "*-1", err
}

// Apply runs a record of the log as it was run at the time now: what had not
// expired then has not expired for it, and it deletes nothing on its own.
func (i *Internal) Apply(db int, now int64, args ...[]byte) error {
	s := i.s
	s.fixed, s.tx.Follows = now, true
	defer func() { s.fixed, s.tx.Follows = 0, false }()
	_, err := i.run(db, args)
	return err
}

func (i *Internal) run(db int, args [][]byte) ([]byte, error) {
	s := i.s
	s.client.SetDB(db)
	s.ctx.Reply.Reset(2)
	spec, err := s.lookup(args)
	if err != nil {
		return nil, err
	}
	if spec.Run == nil {
		return nil, command.ErrArity(spec)
	}
	s.begin()
	defer s.pass.Leave()
	s.ctx.DB = db
	s.ctx.Begin(spec, args, s.ctx.Now, command.NotifyClass(s.r.watched.Load()))
	err = s.run(spec)
	if s.parked {
		s.unpark()
	}
	if err == errMoved {
		err = command.ErrReadonlyRepl
	}
	if err != nil {
		return nil, command.Wire(err)
	}
	return bytes.Clone(s.ctx.Reply.Bytes()), nil
}
