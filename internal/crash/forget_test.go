package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/server"
)

// TestPowerFails takes the disk away from a server under load, in the middle of an
// operation, with whatever the disk happens to have of what was not synced. What
// clients had in their hands is there when the machine comes back.
func TestPowerFails(t *testing.T) {
	for i, policy := range []string{"always", "everysec", "always", "no", "always", "no"} {
		t.Run(fmt.Sprintf("%s/%d", policy, i), func(t *testing.T) {
			t.Parallel()
			d := newClients(t, policy, uint64(100+i))
			d.args = append(d.args, "--dir", "/data")
			d.forgets = true
			m := vfs.NewMem()
			s := d.open(t, m)
			d.fill(t, s.Addr())
			require.NoError(t, s.Close())
			for range lives {
				most := 300 * time.Millisecond
				if policy == "everysec" {
					most = 1500 * time.Millisecond // so that something is synced
				}
				m = d.power(t, m, 400, most)
			}
			d.look(t, d.open(t, m).Addr())
			t.Logf("%d calls, %d repairs", d.calls, d.repairs)
			require.Greater(t, d.calls, 100)
		})
	}
}

// With appendfsync everysec what was acknowledged long before is there after a loss
// of power too.
func TestPowerFailsAfterSeconds(t *testing.T) {
	t.Parallel()
	d := newClients(t, "everysec", 2000)
	d.args = append(d.args, "--dir", "/data")
	d.forgets, d.pace = true, 4*time.Millisecond
	m := vfs.NewMem()
	s := d.open(t, m)
	d.fill(t, s.Addr())
	require.NoError(t, s.Close())
	m = d.power(t, m, 1<<30, 5*time.Second)
	s = d.open(t, m)
	sure := 0
	for _, c := range d.all {
		sure += d.sure(c)
	}
	require.Greater(t, sure, 20, "of all clients, on the busiest machine")
	d.look(t, s.Addr())
}

func (d *directory) tryOpen(t *testing.T, fs vfs.FS) (*server.Server, error) {
	c := config.New()
	require.NoError(t, c.Load(d.args, nil))
	s, err := server.Open(server.Options{Config: c, Addr: "127.0.0.1:0", FS: fs})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// open starts a server on what a crash has left. When of what was not synced the
// disk has a later part and not an earlier one, that looks like any other damage, and
// the server wants the log to be repaired by hand. Nothing acknowledged as durable
// may go by that.
func (d *directory) open(t *testing.T, m *vfs.Mem) *server.Server {
	t.Helper()
	s, err := d.tryOpen(t, m)
	var broken *aof.BrokenError
	if errors.As(err, &broken) {
		d.repairs++
		_, err := persist.Repair(m, "/data", func(string) {})
		require.NoError(t, err)
		s, err = d.tryOpen(t, m)
		require.NoError(t, err)
		return s
	}
	require.NoError(t, err)
	return s
}

// cut lets the power fail at one of the next operations that change a disk, or when
// off is called. It returns what the machine finds then.
func (d *directory) cut(m *vfs.Mem, most int) (fs vfs.FS, off func() *vfs.Mem) {
	d.crashed.Store(false)
	crash := sync.OnceValue(func() *vfs.Mem {
		d.crashed.Store(true)
		d.gone = time.Now()
		return m.Crash(rand.New(rand.NewPCG(d.rng.Uint64(), 3)))
	})
	f := vfs.NewFaulty(m)
	f.Add(vfs.Rule{Ops: vfs.OpChange, Skip: d.rng.IntN(most), Times: 1, Before: func(vfs.Call) { crash() }})
	return f, crash
}

// power is one life: what the last one has left is looked at, and clients work until
// the power fails, within so many operations on the disk and so much time.
func (d *directory) power(t *testing.T, m *vfs.Mem, ops int, most time.Duration) *vfs.Mem {
	t.Helper()
	if d.rng.IntN(3) == 0 { // it fails while the server starts, or is idle
		f, off := d.cut(m, 20)
		if s, err := d.tryOpen(t, f); err == nil {
			m = off()
			_ = s.Close() // of what it could not save
		} else {
			var broken *aof.BrokenError
			require.True(t, d.crashed.Load() || errors.As(err, &broken), err)
			m = off()
		}
	}
	d.crashed.Store(false)
	s := d.open(t, m)
	d.look(t, s.Addr())
	require.NoError(t, s.Close())

	f, off := d.cut(m, ops)
	s, err := d.tryOpen(t, f)
	if err != nil {
		require.True(t, d.crashed.Load(), err)
		return off()
	}
	var working sync.WaitGroup
	for _, c := range d.all {
		working.Go(func() {
			if err := c.work(s.Addr(), d.pace, &d.crashed); err != nil {
				t.Error(err)
			}
		})
	}
	seed := d.rng.Uint64()
	working.Go(func() { d.trouble(t, s.Addr(), seed) })
	ended := make(chan struct{})
	go func() {
		working.Wait()
		close(ended)
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	for !d.crashed.Load() {
		select {
		case <-timer.C:
			off()
		case <-time.After(time.Millisecond):
		}
	}
	after := off()
	_ = s.Close() // it has no disk
	<-ended
	return after
}
