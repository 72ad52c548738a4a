package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// looks has r look n times while nothing happens, and counts how often it was due.
func looks(r *rest, n int, a activity) (due int) {
	for range n {
		if r.due(a) {
			due++
		}
	}
	return due
}

func TestAServerAtRestCollectsOnce(t *testing.T) {
	var r rest
	require.Zero(t, looks(&r, 10, activity{held: 4 * mb}), "an empty one has nothing to give back")

	loaded := activity{commands: 1e6, allocated: 500 * mb, data: 100 * mb, held: 150 * mb}
	require.Zero(t, looks(&r, restAfter, loaded), "the first of them has seen the load")
	require.Equal(t, 1, looks(&r, 1, loaded))
	r.left = -1            // as tendRest says when it has run
	loaded.held = 115 * mb // what is left is gaps
	require.Zero(t, looks(&r, 100, loaded))

	loaded.commands += restCommands + 1
	require.Zero(t, looks(&r, 100, loaded), "a new rest, and no new garbage")
	require.EqualValues(t, 15*mb, r.left)

	loaded.commands += 1e6
	loaded.held += 20 * mb
	require.Zero(t, looks(&r, restAfter, loaded))
	require.Equal(t, 1, looks(&r, 1, loaded), "a rest with new garbage")
}

func TestWhatIsNoRest(t *testing.T) {
	a := activity{data: 100 * mb, held: 200 * mb}
	for name, step := range map[string]activity{
		"commands":    {commands: restCommands + 1},
		"allocations": {allocated: restAllocated + 1},
	} {
		var r rest
		for range 50 {
			a.commands += step.commands
			a.allocated += step.allocated
			require.False(t, r.due(a), name)
		}
	}
	r := rest{commands: a.commands, allocated: a.allocated}
	for i := range restAfter { // somebody watches it
		a.commands += restCommands
		a.allocated += restAllocated
		require.Equal(t, i == restAfter-1, r.due(a))
	}
}

// What was deleted makes the heap no larger, and is given back.
func TestDeletedDataIsGivenBack(t *testing.T) {
	var r rest
	full := activity{commands: 1e6, data: 900 * mb, held: 1000 * mb}
	looks(&r, 100, full)
	r.left = -1
	looks(&r, 100, full)
	empty := full
	empty.commands++ // FLUSHALL, in the midst of a rest
	empty.data = 0
	require.Equal(t, 1, looks(&r, 1, empty))
	r.left = -1
	empty.held = 3 * mb
	require.Zero(t, looks(&r, 100, empty))
}
