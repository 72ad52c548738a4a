package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/invariants"
	"github.com/ferricd/ferricd/tracking"
)

// A reader is remembered before it looks: a write that comes right after the look
// finds it.
func TestReadersAreRememberedBeforeTheyLook(t *testing.T) {
	r := newRouter(t)
	reader, writer := r.NewInternal(), r.NewInternal()
	defer reader.Close()
	defer writer.Close()
	reader.s.client.Tracker().Start(tracking.Options{}, nil)
	get := command.All().Find([]byte("GET"))
	look, looks := get.Run, 0
	defer func() { get.Run = look }()
	get.Run = func(c *command.Context) error {
		err := look(c)
		if looks++; looks == 1 {
			_, err := writer.Do(0, words("SET k 1")...)
			require.NoError(t, err)
		}
		return err
	}
	_, err := reader.Do(0, words("GET k")...)
	require.NoError(t, err)
	require.Equal(t, 1, looks)
	require.Zero(t, r.tracking.Keys(), "the write has not found the reader")
	_, err = reader.Do(0, words("GET k")...)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.tracking.Keys())
}

// A tracked read allocates nothing once its key is known, nor does a write because
// of others who track other keys.
func TestTrackingDoesNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the checks allocate")
	}
	r := newRouter(t)
	in := r.NewInternal()
	defer in.Close()
	s := in.s
	s.begin()
	defer s.pass.Leave()
	s.client.Tracker().Start(tracking.Options{}, nil)
	other := r.tracking.NewClient(1)
	other.Start(tracking.Options{Broadcast: true}, []string{"x"})
	s.serve(words("SET k v"))
	for line, most := range map[string]float64{"GET k": 0, "INCR n": 0, "SET l some-text-that-is-longer": 1} {
		args := words(line)
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
			s.ctx.Reply.Truncate(0)
			s.serve(args)
		}), most, line)
	}
	require.EqualValues(t, 1, r.tracking.Keys())
}

// Which events are told is decided by the classes, and nothing is without a channel
// to go to.
func TestWatchNeedsAChannel(t *testing.T) {
	r := newRouter(t)
	r.Watch(command.NotifyString)
	require.False(t, r.wants(command.NotifyString))
	r.Watch(command.NotifyString | command.NotifyKeyevent)
	require.True(t, r.wants(command.NotifyString))
	require.False(t, r.wants(command.NotifyList))
}
