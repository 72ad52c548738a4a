//go:build linux

package failover

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificates are an authority's, its own and those that it has given to etcd and to
// its clients. It has another one's beside them, which nobody trusts.
type certificates struct {
	dir string
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func newCertificates(t testing.TB) *certificates {
	t.Helper()
	c := &certificates{dir: t.TempDir()}
	c.issue(t, "stranger")
	c.ca, c.key = c.issue(t, "ca")
	c.issue(t, "server")
	c.issue(t, "client")
	return c
}

func (c *certificates) file(name string) string { return filepath.Join(c.dir, name) }

// issue makes name.crt and name.key; the first ones are their own authorities.
func (c *certificates) issue(t testing.TB, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: c.ca == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := cert, key
	if c.ca != nil {
		parent, signer = c.ca, c.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{name + ".crt", "CERTIFICATE", der}, {name + ".key", "EC PRIVATE KEY", raw}} {
		require.NoError(t, os.WriteFile(c.file(f.name), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600))
	}
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return made, key
}

// ofServer has etcd speak TLS only, with those who have a certificate.
func (c *certificates) ofServer() []string {
	return []string{"--cert-file", c.file("server.crt"), "--key-file", c.file("server.key"), "--trusted-ca-file", c.file("ca.crt"), "--client-cert-auth"}
}

// ofClient are the parameters of ferricd for it.
func (c *certificates) ofClient() []string {
	return []string{"--etcd-cacert", c.file("ca.crt"), "--etcd-cert", c.file("client.crt"), "--etcd-key", c.file("client.key")}
}

func (c *certificates) client(t testing.TB) *http.Client {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.file("client.crt"), c.file("client.key"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(c.ca)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}}
}

// control runs etcdctl.
func (e *etcd) control(t testing.TB, args ...string) {
	t.Helper()
	argv := append([]string{
		"etcdctl", "--endpoints", e.url(), "--cacert", e.certs.file("ca.crt"), "--cert", e.certs.file("client.crt"), "--key", e.certs.file("client.key"),
	}, args...)
	_, stderr, code := run(t, []string{"ETCDCTL_API=3"}, argv...)
	require.Zero(t, code, "%q: %s", args, stderr)
}

const etcdPassword = "of the nodes"

// secureCluster is an empty cluster on an etcd with TLS, that lets nobody in without a
// certificate and a password, and its user only at the keys of this cluster.
func secureCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	needs(t, "etcd", "etcdctl")
	c := emptyClusterOn(t, args, func(e *etcd) {
		e.certs = newCertificates(t)
		e.credentials = append(e.certs.ofClient(), "--etcd-username", "nodes", "--etcd-password", etcdPassword)
	})
	for _, line := range []string{
		"user add root:root", "user grant-role root root", "role add nodes",
		"role grant-permission nodes --prefix=true readwrite /ferricd/" + c.name + "/",
	} {
		c.etcd.control(t, strings.Fields(line)...)
	}
	c.etcd.control(t, "user", "add", "nodes:"+etcdPassword)
	c.etcd.control(t, "user", "grant-role", "nodes", "nodes")
	c.etcd.control(t, "auth", "enable")
	return c
}

// TestEtcdWithTLSAndPassword: nodes do all that they do over TLS, as a user that may do
// no more than they need, through a change of etcd's users and its restart, which voids
// what they have logged in with.
func TestEtcdWithTLSAndPassword(t *testing.T) {
	const long = 3 * ttl // than a restart of etcd takes
	c := secureCluster(t, "--lease-ttl", fmt.Sprint(long))
	c.init(t)
	for i := range 3 {
		c.newNode(t, fmt.Sprint("n", i+1)).start(t)
	}
	c.whole(t)
	leader := c.leader(t)
	epoch := leader.info().number("ferricd_epoch")
	leader.must(t, "SET", "k", "1")

	c.etcd.control(t, "--user", "root:root", "user", "add", "another:user")
	c.etcd.stop(t)
	c.etcd.start(t)
	leases(2 * long / ttl)
	leader.must(t, "SET", "k", "2")
	require.Equal(t, epoch, c.epoch(), "no lease was lost by that")
	to := c.others(leader)[0]
	_, stderr, code := c.admin(t, "handover", to.name)
	require.Zero(t, code, stderr)
	require.Equal(t, to, c.leads(t, epoch+1, leader))
	c.whole(t)
	to.crash()
	next := c.leads(t, epoch+2, to)
	require.Equal(t, "2", next.must(t, "GET", "k").Str)
}

// TestEtcdLetsNobodyIn: each thing that is wrong with how etcd is spoken to is told in
// one line, by the subcommands at once and by a node in its log, where it goes on trying.
func TestEtcdLetsNobodyIn(t *testing.T) {
	c := secureCluster(t)
	user := []string{"--etcd-username", "nodes", "--etcd-password"}
	right := append(slices.Clone(user), etcdPassword)
	certs := c.etcd.certs
	pair := certs.ofClient()[2:]
	for _, wrong := range []struct {
		name string
		url  string
		args []string
		says string
	}{
		{"password", c.etcd.url(), slices.Concat(certs.ofClient(), user, []string{"wrong"}), "etcd refuses: etcdserver: authentication failed, invalid user ID or password"},
		{"no password", c.etcd.url(), certs.ofClient(), "etcd refuses: etcdserver: permission denied"},
		{"authority", c.etcd.url(), slices.Concat([]string{"--etcd-cacert", certs.file("stranger.crt")}, pair, right), "certificate signed by unknown authority"},
		{"no authority", c.etcd.url(), slices.Concat(pair, right), "certificate signed by unknown authority"},
		{"no certificate", c.etcd.url(), slices.Concat([]string{"--etcd-cacert", certs.file("ca.crt")}, right), "remote error: tls: "},
		{"certificate", c.etcd.url(), slices.Concat([]string{
			"--etcd-cacert", certs.file("ca.crt"), "--etcd-cert", certs.file("stranger.crt"), "--etcd-key", certs.file("stranger.key"),
		}, right), "remote error: tls: "},
		{"no TLS", "http://" + address(c.etcd.client), right, "does not answer as etcd does"},
		{"TLS where there is none", "https://" + address(c.etcd.peer), slices.Concat(certs.ofClient(), right), "does not look like a TLS handshake"},
		{"port", "https://" + address(freePort(t)), slices.Concat(certs.ofClient(), right), "connection refused"},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			_, stderr, code := run(t, nil, append([]string{c.ferricd, "cluster", "status", "--cluster-name", c.name, "--etcd-endpoints", wrong.url}, wrong.args...)...)
			require.Equal(t, 1, code)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.Contains(t, stderr, wrong.says)
		})
	}
	c.init(t)
	for says, args := range map[string][]string{
		"etcd refuses: etcdserver: authentication failed": {"--etcd-password", "wrong"},
		"certificate signed by unknown authority":         {"--etcd-cacert", certs.file("stranger.crt")},
	} {
		n := c.newNode(t, "n1", args...).start(t)
		eventually(t, "the node says why", func() bool {
			b, err := os.ReadFile(n.log)
			require.NoError(t, err)
			return strings.Contains(string(b), says)
		})
		require.True(t, n.running(), "it goes on trying")
		n.crash()
	}
}
