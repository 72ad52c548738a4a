//go:build linux

package failover

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// etcd is one etcd with the timing it has by default.
type etcd struct {
	*process
	dir          string
	log          string
	client, peer int
}

func startEtcd(t testing.TB, logs string) *etcd {
	t.Helper()
	e := &etcd{
		dir: filepath.Join(t.TempDir(), "etcd"), log: filepath.Join(logs, "etcd.log"),
		client: freePort(t), peer: freePort(t),
	}
	e.start(t)
	return e
}

func (e *etcd) url() string { return "http://" + address(e.client) }

// start starts it, or starts it again where its data is.
func (e *etcd) start(t testing.TB) {
	t.Helper()
	client, peer := e.url(), "http://"+address(e.peer)
	e.process = start(t, "etcd", e.log, nil, "etcd", "--name", "e1", "--data-dir", e.dir, "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "e1="+peer)
	eventually(t, "etcd is healthy", func() bool {
		if !e.running() {
			return true
		}
		r, err := http.Get(client + "/health")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode == http.StatusOK && string(b) == `{"health":"true"}`
	})
	require.True(t, e.running(), "etcd does not start")
}

func (e *etcd) stop(t testing.TB) {
	t.Helper()
	e.signal(t, syscall.SIGTERM)
	e.exit(t)
}

// wipe loses all that etcd knew.
func (e *etcd) wipe(t testing.TB) {
	t.Helper()
	e.stop(t)
	require.NoError(t, os.RemoveAll(e.dir))
	e.start(t)
}
