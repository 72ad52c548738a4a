package config

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHooksSeeTheNewValues(t *testing.T) {
	c := New()
	var seen []int64
	c.OnChange(func() error { seen = append(seen, c.Int(MaxMemory), c.Int(Hz)); return nil }, MaxMemory, Hz)
	require.NoError(t, c.Set(true, "maxmemory", "1kb", "hz", "20"))
	require.Equal(t, []int64{1024, 20}, seen, "one call for both")
	require.NoError(t, c.Set(true, "maxmemory", "1024", "timeout", "5"))
	require.Len(t, seen, 2, "nothing that the hook is about has changed")
}

func TestFailedHookTakesEverythingBack(t *testing.T) {
	c := New()
	var first, second, third []int64
	c.OnChange(func() error { first = append(first, c.Int(Timeout)); return nil }, Timeout)
	c.OnChange(func() error {
		second = append(second, c.Int(Port))
		if c.Int(Port) == 1 {
			return errors.New("Unable to listen on this port. Check server logs.")
		}
		return nil
	}, Bind, Port)
	c.OnChange(func() error { third = append(third, c.Int(Hz)); return nil }, Hz)
	err := c.Set(true, "hz", "20", "timeout", "5", "port", "1", "daemonize", "no")
	require.EqualError(t, err, "CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config")
	require.Empty(t, first)

	err = c.Set(true, "hz", "20", "timeout", "5", "port", "1", "rdbcompression", "no")
	require.EqualError(t, err, "CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.")
	require.Equal(t, []int64{5, 0}, first, "called again for the old value")
	require.Equal(t, []int64{1, 6379}, second)
	require.Empty(t, third, "never reached, so nothing to take back")
	require.EqualValues(t, 10, c.Int(Hz))
	require.EqualValues(t, 0, c.Int(Timeout))
	require.Empty(t, c.Ignored(), "rdbcompression was never set")
}

func TestPanickingHookTakesEverythingBack(t *testing.T) {
	c := New()
	c.OnChange(func() error { panic("hook") }, Hz)
	require.Panics(t, func() { _ = c.Set(true, "timeout", "5", "hz", "20") })
	require.EqualValues(t, 10, c.Int(Hz))
	require.EqualValues(t, 0, c.Int(Timeout))
	require.NoError(t, c.Set(true, "timeout", "5"), "the lock is free")
}

func TestProtectedParameters(t *testing.T) {
	const refused = "CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config"
	for _, try := range []struct {
		setting       string
		local, remote bool
	}{{"no", false, false}, {"local", true, false}, {"yes", true, true}} {
		c := loaded(t, []string{"--enable-protected-configs", try.setting}, nil)
		for isLocal, allowed := range map[bool]bool{true: try.local, false: try.remote} {
			require.Equal(t, allowed, c.Allows(EnableProtectedConfigs, isLocal))
			err := c.Set(isLocal, "dbfilename", "x.rdb")
			if allowed {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, refused)
			}
		}
	}
}

func TestRefusedValues(t *testing.T) {
	c := loaded(t, []string{"--enable-protected-configs", "yes"}, nil)
	require.ErrorContains(t, c.Set(true, "log-segment-size", "1gb"), "can't set immutable config")
	require.EqualError(t, c.Set(true, "dir", "/"), "CONFIG SET failed (possibly related to argument 'dir') - the data directory cannot change while the server runs")
	require.NoError(t, c.Set(true, "dir", c.String(Dir)))
	require.ErrorContains(t, c.Set(true, "shards", "2"), "can't set immutable config")
	require.NoError(t, c.Set(true, "rmw-wait", "5", "latch-sweep", "6", "rmw-max-queue-per-key", "7", "rmw-max-queue-per-shard", "8"))
}

func TestTypedReads(t *testing.T) {
	c := New()
	require.EqualValues(t, NoEviction, c.Int(MaxMemoryPolicy))
	require.EqualValues(t, LogNotice, c.Int(LogLevel))
	require.Equal(t, OutputLimits{Replica: OutputLimit{256 << 20, 64 << 20, 60}, PubSub: OutputLimit{32 << 20, 8 << 20, 60}}, c.OutputLimits())
	require.Equal(t, []float64{50, 99, 99.9}, c.Percentiles())
	require.Empty(t, c.SavePoints())
	require.Equal(t, []string{"127.0.0.1", "-::1"}, c.Addresses())
	require.True(t, c.Bool(ProtectedMode))
	require.NoError(t, c.Set(true, "maxmemory-clients", "5%", "notify-keyspace-events", "KEAn", "shutdown-on-sigterm", "now save", "maxmemory-policy", "ALLKEYS-LFU"))
	require.EqualValues(t, -5, c.Int(MaxMemoryClients))
	require.EqualValues(t, NotifyAll|NotifyNew|NotifyKeyspace|NotifyKeyevent, c.Int(NotifyKeyspaceEvents))
	require.EqualValues(t, ShutdownSave|ShutdownNow, c.Int(ShutdownOnSIGTERM))
	require.EqualValues(t, AllKeysLFU, c.Int(MaxMemoryPolicy))
	c.Adjust(MaxClients, 99)
	require.Equal(t, "99", c.String(MaxClients))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = c.Int(MaxMemory) + int64(len(c.String(RequirePass)))
	}))
}

func TestHiddenParametersAnswerToTheirName(t *testing.T) {
	c := New()
	require.Equal(t, []Pair{{"Latch-Slots", "256"}}, c.Get("latch-slot?", "Latch-Slots", "latch-slots"))
	require.Empty(t, c.Get("user", "include", "use[r]", "nosuch"))
}

func TestServersDoNotShareValues(t *testing.T) {
	a, b := New(), New()
	require.NoError(t, a.Set(true, "hz", "99", "save", "1 1"))
	require.EqualValues(t, 10, b.Int(Hz))
	require.Empty(t, b.String(Save))
}

// For the race detector, and for the rule that a failed Set is seen by nobody
// afterwards.
func TestSetAndReadsAtOnce(t *testing.T) {
	c := New()
	c.OnChange(func() error {
		if c.Int(Hz) == 13 {
			return errors.New("no")
		}
		return nil
	}, Hz)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				if (n+i)%2 == 0 {
					_ = c.Set(true, "hz", "13", "timeout", "13")
				} else if err := c.Set(true, "hz", "12", "timeout", "12"); err != nil {
					t.Error(err)
				}
				_, _, _ = c.Int(Hz), c.Get("*"), c.Effective()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 12, c.Int(Hz))
	require.EqualValues(t, 12, c.Int(Timeout))
}
