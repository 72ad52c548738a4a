package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/router"
)

// TestWhatIsDurableIsSoOnEveryMember: the node's own disk is not enough, unless
// followers are not waited for.
func TestWhatIsDurableIsSoOnEveryMember(t *testing.T) {
	log := new(router.NoSink)
	s := NewSink(log)
	lsn := s.Append(0, 0, nil)
	require.Equal(t, lsn, s.Durable())
	require.NoError(t, s.AwaitDurable(lsn, nil))

	q := newQuorum(timeout, s.End, s.End, []election.Member{b}, t0)
	s.quorum.Store(q)
	require.Zero(t, s.Durable())
	gone := make(chan struct{})
	close(gone)
	require.ErrorIs(t, s.AwaitDurable(lsn, gone), errLeft)
	s.async.Store(true)
	require.Equal(t, lsn, s.Durable())
	require.NoError(t, s.AwaitDurable(lsn, nil))
	s.async.Store(false)
	q.acked(b, lsn, t0)
	require.Equal(t, lsn, s.Durable())
	require.NoError(t, s.AwaitDurable(lsn, nil))

	lsn = s.Append(0, 0, nil)
	q.fail(command.ErrDeposed)
	require.Equal(t, command.ErrDeposed, s.AwaitDurable(lsn, nil))
	require.Less(t, s.Durable(), lsn)
}
