package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority signs the certificates of a test's nodes.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.crt and name.key; without an issuer the certificate is its own.
func (a *authority) issue(name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	require.NoError(a.t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(a.file(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(a.t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	made, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return made, key
}

// node are the parameters of a node whose certificate this authority has signed.
func (a *authority) node(name string) []string {
	a.issue(name, a)
	return []string{
		"--tls-replication", "yes", "--tls-cert-file", a.file(name + ".crt"), "--tls-key-file", a.file(name + ".key"),
		"--tls-ca-cert-file", a.file("ca.crt"),
	}
}

// TestNodesOverTLS: nodes follow, and bring clients, over TLS; who has no certificate of
// their authority is not let in, and does not let them in.
func TestNodesOverTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	x := newTrio(t)
	a := x.start("a", t.TempDir(), ours.node("a")...)
	x.leader(1, a)
	b := x.start("b", t.TempDir(), append(ours.node("b"), "--follower-mode", "proxy")...)
	x.leader(2, a)
	require.Equal(t, "+OK", tell(t, b).say("SET k v"))
	require.Equal(t, "v", tell(t, a).say("GET k"))

	link := x.address("a")
	_, err := tls.Dial("tcp", link, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	require.Error(t, err, "an old version of TLS")
	nc, err := tls.Dial("tcp", link, &tls.Config{InsecureSkipVerify: true})
	if err == nil { // the refusal comes when the first byte is read
		_, err = nc.Read(make([]byte, 1))
		_ = nc.Close()
	}
	require.ErrorContains(t, err, "certificate")

	theirs.node("c")
	other, err := tls.LoadX509KeyPair(theirs.file("c.crt"), theirs.file("c.key"))
	require.NoError(t, err)
	nc, err = tls.Dial("tcp", link, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{other}})
	if err == nil {
		_, err = nc.Read(make([]byte, 1))
		_ = nc.Close()
	}
	require.ErrorContains(t, err, "unknown certificate authority")

	// Nor does a node follow whom another authority vouches for.
	stranger := x.start("c", t.TempDir(), theirs.node("c")...)
	x.eventually("it has tried", func() bool {
		return strings.Contains(x.log("c"), "not following") && strings.Contains(x.log("c"), "certificate signed by unknown authority")
	})
	require.Equal(t, "-READONLY You can't write against a read only replica.", tell(t, stranger).say("SET k w"))
	require.Len(t, x.leader(2, a).Replication().Followers, 1)
}
