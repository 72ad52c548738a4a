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
	certs        *certificates // nil: it is spoken to without TLS
	credentials  []string      // arguments with which nodes speak to it
}

func newEtcd(t testing.TB, logs string) *etcd {
	return &etcd{
		dir: filepath.Join(t.TempDir(), "etcd"), log: filepath.Join(logs, "etcd.log"),
		client: freePort(t), peer: freePort(t),
	}
}

func (e *etcd) scheme() string {
	if e.certs != nil {
		return "https://"
	}
	return "http://"
}

func (e *etcd) url() string { return e.scheme() + address(e.client) }

// start starts it, or starts it again where its data is.
func (e *etcd) start(t testing.TB) {
	t.Helper()
	client, peer := e.url(), "http://"+address(e.peer)
	argv := []string{
		"etcd", "--name", "e1", "--data-dir", e.dir, "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "e1=" + peer,
	}
	web := http.DefaultClient
	if e.certs != nil {
		argv = append(argv, e.certs.ofServer()...)
		web = e.certs.client(t)
	}
	e.process = start(t, "etcd", e.log, nil, argv...)
	eventually(t, "etcd is healthy", func() bool {
		if !e.running() {
			return true
		}
		r, err := web.Get(client + "/health")
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
