package router

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
)

// The server's own clients write no more than others while somebody else leads or
// writes are held. Records are applied in any case.
func TestTheServerItselfKeepsToItsRole(t *testing.T) {
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	require.Equal(t, "+OK\r\n", do(t, in, "SET k 1"))
	transact := func() error {
		_, _, err := in.Transact(0, words("SET k 2"))
		return err
	}
	refused := func(t *testing.T) {
		for _, line := range []string{"SET k 2", "INCR k", "FLUSHALL", "SORT k STORE l"} {
			require.Equal(t, string(command.ErrReadonlyRepl), do(t, in, line), line)
		}
		require.ErrorIs(t, transact(), command.ErrReadonlyRepl)
		require.Equal(t, "$1\r\n1\r\n", do(t, in, "GET k"))
	}
	release, again := r.HoldWrites(), r.HoldWrites()
	refused(t)
	release()
	release()
	refused(t)
	again()
	require.NoError(t, transact())
	require.Equal(t, "+OK\r\n", do(t, in, "SET k 1"))
	r.SetRole(RoleFollower)
	require.Equal(t, RoleFollower, r.Role())
	refused(t)
	require.NoError(t, in.Apply(0, time.Now().UnixMilli(), words("SET k 3")...))
	require.Equal(t, "$1\r\n3\r\n", do(t, in, "GET k"))
	r.SetRole(RoleLeader)
	require.Equal(t, ":4\r\n", do(t, in, "INCR k"))
}

// What a follower's records change, those learn who watch it.
func TestRecordsOfALeaderAreSeen(t *testing.T) {
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	l := r.NewLoader()
	defer l.Close()
	load := func(line string) {
		require.NoError(t, r.runner.Exclusive(-1, func() {
			require.NoError(t, l.Load(0, time.Now().UnixMilli(), []Record{words(line)}))
		}))
	}
	load("SET k 1")
	for _, c := range []struct {
		line  string
		dirty bool
	}{{"SET other 2", false}, {"SET k 2", true}, {"DEL k", true}, {"EXPIRE k 100", true}} {
		load("SET k 1")
		require.NoError(t, in.s.Watch(0, words("k")))
		load(c.line)
		require.Equal(t, c.dirty, in.s.client.Has(command.ClientDirty), c.line)
		in.s.Unwatch()
	}
}
