package resp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writeCert makes a self-signed certificate for 127.0.0.1, an authority too.
func writeCert(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	require.NoError(t, err)
	kder, err := x509.MarshalECPrivateKey(k)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder}), 0o600))
	return cert, key
}

func startTLS(t *testing.T, d *demo, f TLSFiles) (*Server, *TLS, string) {
	t.Helper()
	conf, err := LoadTLS(f)
	require.NoError(t, err)
	s := NewServer(d, Options{})
	ln, err := s.ListenTLS("127.0.0.1:0", conf.Config)
	require.NoError(t, err)
	serve(t, s)
	return s, conf, ln.Addr().String()
}

func dialTLS(t *testing.T, addr string, c *tls.Config) *client {
	t.Helper()
	nc, err := tls.Dial("tcp", addr, c)
	require.NoError(t, err)
	return newClient(t, nc)
}

func TestTLS(t *testing.T) {
	d := newDemo()
	cert, key := writeCert(t, t.TempDir(), "server")
	s, _, addr := startTLS(t, d, TLSFiles{Cert: cert, Key: key, AuthClients: "no"})
	c := dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true})
	c.send("PING\r\nPARK a\r\n" + encode([]string{"ECHO", strings.Repeat("x", 100000)}))
	conn := <-d.parked
	c.expect("+PONG\r\n")
	require.True(t, conn.IsTLS())
	require.NotNil(t, conn.TLSState())
	require.True(t, conn.Push(message("m")))
	c.expect(string(message("m")))
	eventually(t, "the watch has read the rest", func() bool { return conn.Stats().QueryLen >= 100000 })
	d.release <- struct{}{}
	c.expect("+a released\r\n$100000\r\n" + strings.Repeat("x", 100000) + "\r\n")
	c.send("PARK b\r\n")
	<-d.parked
	require.NoError(t, c.Close())
	<-conn.Gone()
	eventually(t, "it is gone", func() bool { return s.Totals().Clients == 0 })
}

func TestTLSQuitSaysGoodbye(t *testing.T) {
	cert, key := writeCert(t, t.TempDir(), "server")
	_, _, addr := startTLS(t, newDemo(), TLSFiles{Cert: cert, Key: key, AuthClients: "no"})
	c := dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true})
	c.send("QUIT\r\n")
	c.expect("+OK\r\n")
	_, err := c.r.ReadByte()
	require.Equal(t, io.EOF, err, "without close_notify it would be an unexpected EOF")
}

func TestTLSClientCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "server")
	ccert, ckey := writeCert(t, dir, "client")
	_, _, addr := startTLS(t, newDemo(), TLSFiles{Cert: cert, Key: key, CA: ccert})
	pair, err := tls.LoadX509KeyPair(ccert, ckey)
	require.NoError(t, err)
	c := dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	c = dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS13})
	_, _ = io.WriteString(c, "PING\r\n")
	_, err = c.r.ReadByte()
	require.ErrorContains(t, err, "certificate required")
}

func TestTLSReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "first")
	_, conf, addr := startTLS(t, newDemo(), TLSFiles{Cert: cert, Key: key, AuthClients: "no"})
	subject := func() string {
		c := dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true})
		defer c.Close()
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "first", subject())
	require.Error(t, conf.Reload(TLSFiles{Cert: cert, Key: filepath.Join(dir, "missing"), AuthClients: "no"}))
	require.Equal(t, "first", subject())
	cert, key = writeCert(t, dir, "second")
	require.NoError(t, conf.Reload(TLSFiles{Cert: cert, Key: key, AuthClients: "no"}))
	require.Equal(t, "second", subject())
}

// Plain text on the TLS port and a handshake that is never finished end the
// connection and nothing else.
func TestTLSMistakes(t *testing.T) {
	cert, key := writeCert(t, t.TempDir(), "server")
	d := newDemo()
	s, _, addr := startTLS(t, d, TLSFiles{Cert: cert, Key: key, AuthClients: "no"})
	c := dial(t, addr)
	c.send("PING\r\n")
	_, _ = io.Copy(io.Discard, c.r)
	s.Limits().HandshakeTimeout.Store(int64(20 * time.Millisecond))
	c = dial(t, addr)
	c.expectEOF()
	require.Zero(t, d.open.Load())
}

func TestTLSShutdownDuringHandshake(t *testing.T) {
	cert, key := writeCert(t, t.TempDir(), "server")
	s, _, addr := startTLS(t, newDemo(), TLSFiles{Cert: cert, Key: key, AuthClients: "no"})
	c := dial(t, addr)
	eventually(t, "it shakes hands", func() bool {
		all := s.snapshot()
		return len(all) == 1 && all[0].state.Load() == waiting
	})
	require.NoError(t, s.Shutdown(t.Context()))
	c.expectEOF()
}

func TestTLSFilesRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "server")
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	ok := TLSFiles{Cert: cert, Key: key, CA: cert}
	for want, change := range map[string]func(*TLSFiles){
		"":                         func(*TLSFiles) {},
		"needs both":               func(f *TLSFiles) { f.Key = "" },
		"TLS certificate":          func(f *TLSFiles) { f.Cert = junk },
		"no certificate in":        func(f *TLSFiles) { f.CA = junk },
		"needs the authority's":    func(f *TLSFiles) { f.CA = "" },
		"tls-ca-cert-dir":          func(f *TLSFiles) { f.CADir = filepath.Join(dir, "missing") },
		"is not yes, no":           func(f *TLSFiles) { f.AuthClients = "maybe" },
		"not safe":                 func(f *TLSFiles) { f.Protocols = "TLSv1.1 TLSv1.2" },
		"unknown protocol":         func(f *TLSFiles) { f.Protocols = "SSLv3" },
		"no supported cipher":      func(f *TLSFiles) { f.Ciphers = "DES-CBC3-SHA" },
		"tls-ciphersuites: no sup": func(f *TLSFiles) { f.CipherSuites = "TLS_NULL" },
	} {
		f := ok
		change(&f)
		_, err := LoadTLS(f)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	f := ok
	f.CA, f.CADir, f.Protocols, f.Ciphers = "", dir, "TLSv1.2", "!aNULL:ECDHE-RSA-AES128-GCM-SHA256:FOO"
	conf, err := LoadTLS(f)
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, conf.Config().MaxVersion, fmt.Sprint(f))
	require.Len(t, conf.Config().CipherSuites, 1)
}
