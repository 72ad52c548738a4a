package server

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
)

// busySink is a log that somebody else is always writing to: it ends behind what the
// test's own client has written.
type busySink struct{ *slowSink }

func (l busySink) End() uint64 { return l.slowSink.End() + 1 }

// TestAWriteBesideAReadThatIsNotDurable: what a client of a node is told when its log
// fails rests on how far the log has come. MASTERDOWN says that nothing has run, so who
// has written never gets it, though only what he has read beside it is lost.
func TestAWriteBesideAReadThatIsNotDurable(t *testing.T) {
	const (
		down    = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
		deposed = "-INDOUBT this node does not lead any more: whether the last writes of this connection will last is not known"
		failed  = "-INDOUBT the log has failed: whether the last writes of this connection will last is not known"
	)
	for _, c := range []struct {
		name, lines string
		durable     uint64 // when the log fails
		why         error
		want        string
	}{
		{"the write is durable", "SET a 1\r\nDBSIZE\r\n", 1, command.ErrInDoubt, deposed},
		{"and the node is deposed", "SET a 1\r\nDBSIZE\r\n", 1, command.ErrDeposed, deposed},
		{"the write is not", "SET a 1\r\nDBSIZE\r\n", 0, command.ErrInDoubt, failed},
		{"nor is it of a deposed node", "SET a 1\r\nDBSIZE\r\n", 0, command.ErrDeposed, deposed},
		{"nothing was written", "GET a\r\nDBSIZE\r\n", 0, command.ErrInDoubt, down},
		{"nothing was changed", "DEL a\r\nDBSIZE\r\n", 0, command.ErrDeposed, down},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newSlowSink()
			s := open(t, Options{Sink: busySink{l}})
			require.NoError(t, s.runner.Exclusive(0, func() { s.router.SetStrict(true) }))
			s.Router().SetAuthority(func() bool { return true })
			p := newPeer(t, s)
			p.send(t, c.lines)
			l.awaitCounts(t, 1, 0)
			l.set(func() { l.durable, l.failed = c.durable, c.why })
			p.expect(t, c.want)
			_, err := p.r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection ends")
		})
	}
}
