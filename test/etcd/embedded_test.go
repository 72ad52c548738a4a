// Package etcd_test tries package election over a current etcd. It is a module of its
// own, so that the server's go.sum does not hold what an etcd is made of.
package etcd_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/ferricd/ferricd/internal/electiontest"
	"github.com/ferricd/ferricd/internal/faultnet"
)

// embedded is an etcd in this process. Frozen means that nothing passes the proxy in
// front of it; its leases end all the same.
type embedded struct {
	t            *testing.T
	dir          string
	client, peer string // host:port
	front        *faultnet.Proxy
	etcd         *embed.Etcd
}

func (e *embedded) Address() string { return e.front.Addr() }
func (e *embedded) Freeze()         { e.front.Set(faultnet.Everyone, faultnet.Cut) }
func (e *embedded) Thaw()           { e.front.Heal() }

func (e *embedded) Restart() {
	e.etcd.Close()
	e.start()
}

func (e *embedded) Wipe() {
	e.etcd.Close()
	require.NoError(e.t, os.RemoveAll(e.dir))
	e.start()
}

func (e *embedded) start() {
	e.t.Helper()
	at := func(address string) url.URL { return url.URL{Scheme: "http", Host: address} }
	c := embed.NewConfig()
	c.Name, c.Dir, c.UnsafeNoFsync, c.LogLevel, c.LogOutputs = "e", e.dir, true, "panic", []string{os.DevNull}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{at(e.client)}, []url.URL{at(e.client)}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{at(e.peer)}, []url.URL{at(e.peer)}
	c.InitialCluster = fmt.Sprintf("e=http://%s", e.peer)
	var err error
	e.etcd, err = embed.StartEtcd(c)
	require.NoError(e.t, err)
	select {
	case <-e.etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		require.FailNow(e.t, "etcd does not start")
	}
}

func TestEmbedded(t *testing.T) {
	electiontest.Run(t, func(t *testing.T, test func(*testing.T, electiontest.Etcd)) {
		t.Parallel()
		e := &embedded{t: t, dir: filepath.Join(t.TempDir(), "data"), client: electiontest.FreePort(t), peer: electiontest.FreePort(t)}
		var err error
		e.front, err = faultnet.Listen(e.client, nil)
		require.NoError(t, err)
		e.start()
		t.Cleanup(func() {
			e.Thaw()
			e.etcd.Close()
			require.NoError(t, e.front.Close())
		})
		test(t, electiontest.Over(t, e))
	})
}
