package electiontest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/faultnet"
)

// A Backend is an etcd that listens on a port.
type Backend interface {
	// Address is host:port, the same for its whole life.
	Address() string
	Freeze()
	Thaw()
	Restart()
	Wipe()
}

// Over makes an Etcd of a Backend: each node reaches it through a proxy of its own.
func Over(t *testing.T, b Backend) Etcd {
	return &network{Backend: b, t: t, proxies: map[string]*faultnet.Proxy{}}
}

type network struct {
	Backend
	t       *testing.T
	proxies map[string]*faultnet.Proxy
}

// proxy is the way of a node. The test's goroutine alone asks for it.
func (n *network) proxy(node string) *faultnet.Proxy {
	if n.proxies[node] == nil {
		p, err := faultnet.Listen(n.Address(), nil)
		require.NoError(n.t, err)
		n.t.Cleanup(func() { require.NoError(n.t, p.Close()) })
		n.proxies[node] = p
	}
	return n.proxies[node]
}

func (n *network) Open(o election.Options) (election.Coordinator, error) {
	o.Endpoints = []string{"http://" + n.proxy(o.Node.Name).Addr()}
	return election.Open(o)
}

func (n *network) Admin(cluster string) (*election.Admin, error) {
	return election.OpenAdmin(election.Options{Endpoints: []string{n.Address()}, Cluster: cluster, TTL: TTL})
}

func (n *network) Cut(node string, cut bool) {
	if cut {
		n.proxy(node).Set(faultnet.Everyone, faultnet.Cut)
	} else {
		n.proxy(node).Heal()
	}
}
