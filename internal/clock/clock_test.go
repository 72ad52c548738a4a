package clock

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSystemRuns(t *testing.T) {
	var c Clock = System()
	wall, nanos := c.Now(), c.Nanos()
	require.GreaterOrEqual(t, nanos, int64(0))
	require.GreaterOrEqual(t, c.UnixMilli(), wall.UnixMilli())
	require.Eventually(t, func() bool { return c.Nanos() > nanos && c.Now().After(wall) }, time.Second, time.Millisecond)
}

func TestFakeGoesOnWhenTold(t *testing.T) {
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	f := NewFake(start)
	var c Clock = f
	require.Equal(t, start, c.Now())
	require.Equal(t, start.UnixMilli(), c.UnixMilli())
	require.Zero(t, c.Nanos())

	f.Advance(1500 * time.Microsecond)
	require.Equal(t, start.Add(1500*time.Microsecond), c.Now())
	require.Equal(t, start.UnixMilli()+1, c.UnixMilli())
	require.EqualValues(t, 1_500_000, c.Nanos())

	f.Jump(start.Add(-time.Hour))
	require.Equal(t, start.Add(-time.Hour), c.Now())
	require.EqualValues(t, 1_500_000, c.Nanos(), "a jump is no time that passes")
	require.Panics(t, func() { f.Advance(-1) })
}

func TestFakeHasNoMonotonicReading(t *testing.T) {
	now := time.Now()
	f := NewFake(now)
	f.Jump(now)
	require.Equal(t, now.Round(0), f.Now())
	require.NotEqual(t, now, f.Now())
}

func TestFakeIsForMany(t *testing.T) {
	f := NewFake(time.Unix(0, 0))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				f.Advance(time.Millisecond)
				f.UnixMilli()
				f.Nanos()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 400, f.UnixMilli())
	require.EqualValues(t, 400*time.Millisecond, f.Nanos())
}
