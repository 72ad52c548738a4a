//go:build linux

package failover

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheChecksSeeALoss tries load and checks on one server without a cluster: with a
// log it keeps what it has acknowledged when it is killed, without one it does not.
func TestTheChecksSeeALoss(t *testing.T) {
	t.Parallel()
	path, err := binary()
	require.NoError(t, err)
	for _, c := range []struct {
		log  string
		lost bool
	}{{"yes", false}, {"no", true}} {
		t.Run("appendonly "+c.log, func(t *testing.T) {
			logs, dir := t.TempDir(), t.TempDir()
			t.Cleanup(func() { showLogs(t, logs) })
			n := &node{name: "alone", client: freePort(t), log: filepath.Join(logs, "alone.log"), c: &cluster{}}
			launch := func() {
				n.process = start(t, n.name, n.log, nil, path, "--dir", dir, "--port", strconv.Itoa(n.client),
					"--appendonly", c.log, "--appendfsync", "always")
				eventually(t, "it serves", func() bool {
					v, err := n.ask(patience, "PING")
					return err == nil && v.Str == "PONG"
				})
			}
			launch()
			w := newLoad(t, []*node{n}, 6)
			w.goesOn(t, 500)
			n.crash()
			launch()
			w.goesOn(t, 500)
			w.end()
			require.Empty(t, w.faults)
			w.readAll(t, n)
			err := w.h.check()
			if !c.lost {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "and is lost")
			require.ErrorContains(t, err, "INCRs were acknowledged")
			require.ErrorContains(t, err, "no order of the calls explains")
		})
	}
}
