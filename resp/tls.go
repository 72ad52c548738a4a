package resp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// TLSFiles say how the server proves who it is and whom it lets in. The fields
// are redis-server's tls- parameters.
type TLSFiles struct {
	Cert, Key    string // PEM
	CA, CADir    string // of the clients' certificates
	AuthClients  string // "yes" (also ""), "optional" or "no"
	Protocols    string // "TLSv1.2 TLSv1.3" (also "")
	Ciphers      string // OpenSSL's names for TLS 1.2, separated by colons; "" and "DEFAULT": Go's choice
	CipherSuites string // for TLS 1.3: names are checked, Go offers its own three always
	NoSessions   bool   // tls-session-caching no
}

// TLS is a configuration that can be replaced while connections use it.
type TLS struct{ current atomic.Pointer[tls.Config] }

// LoadTLS reads the files.
func LoadTLS(f TLSFiles) (*TLS, error) {
	t := new(TLS)
	return t, t.Reload(f)
}

// Reload reads the files anew for the connections to come. After an error
// things are as before.
func (t *TLS) Reload(f TLSFiles) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	t.current.Store(c)
	return nil
}

// Config is what ListenTLS asks for.
func (t *TLS) Config() *tls.Config { return t.current.Load() }

func (f *TLSFiles) load() (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("TLS needs both tls-cert-file and tls-key-file")
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: f.NoSessions}
	if c.MinVersion, c.MaxVersion, err = tlsVersions(f.Protocols); err != nil {
		return nil, err
	}
	if c.CipherSuites, err = tlsCiphers(f.Ciphers); err != nil {
		return nil, err
	}
	if err := checkSuites13(f.CipherSuites); err != nil {
		return nil, err
	}
	switch f.AuthClients {
	case "yes", "":
		c.ClientAuth = tls.RequireAndVerifyClientCert
	case "optional":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case "no":
		return c, nil
	default:
		return nil, fmt.Errorf("tls-auth-clients: %q is not yes, no or optional", f.AuthClients)
	}
	c.ClientCAs, err = f.authorities()
	return c, err
}

// authorities reads the certificates that clients' certificates must lead to.
func (f *TLSFiles) authorities() (*x509.CertPool, error) {
	files := []string{f.CA}
	if f.CA == "" {
		files = nil
	}
	if f.CADir != "" {
		entries, err := os.ReadDir(f.CADir)
		if err != nil {
			return nil, fmt.Errorf("tls-ca-cert-dir: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(f.CADir, e.Name()))
			}
		}
	}
	pool, found := x509.NewCertPool(), false
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("TLS authority: %w", err)
		}
		ok := pool.AppendCertsFromPEM(pem)
		if !ok && name == f.CA {
			return nil, fmt.Errorf("tls-ca-cert-file: no certificate in %s", name)
		}
		found = found || ok
	}
	if !found {
		return nil, errors.New("tls-auth-clients needs the authority's certificates: tls-ca-cert-file or tls-ca-cert-dir")
	}
	return pool, nil
}

func tlsVersions(s string) (least, most uint16, err error) {
	for _, name := range strings.Fields(s) {
		var v uint16
		switch strings.ToLower(name) {
		case "tlsv1.2":
			v = tls.VersionTLS12
		case "tlsv1.3":
			v = tls.VersionTLS13
		case "tlsv1", "tlsv1.1":
			return 0, 0, fmt.Errorf("tls-protocols: %s is not safe and not supported", name)
		default:
			return 0, 0, fmt.Errorf("tls-protocols: unknown protocol %q", name)
		}
		if least == 0 || v < least {
			least = v
		}
		most = max(most, v)
	}
	if least == 0 {
		least, most = tls.VersionTLS12, tls.VersionTLS13
	}
	return least, most, nil
}

var opensslCiphers = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
}

// tlsCiphers translates a list, leaving out what Go does not have, as OpenSSL
// leaves out what it does not have; a list of which nothing remains is an error.
func tlsCiphers(s string) (ids []uint16, err error) {
	if s == "" || s == "DEFAULT" {
		return nil, nil
	}
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		if strings.HasPrefix(name, "!") || strings.HasPrefix(name, "-") {
			continue // what Go offers holds none of what is usually excluded
		}
		if id, ok := opensslCiphers[strings.ToUpper(name)]; ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("tls-ciphers: no supported cipher in %q", s)
	}
	return ids, nil
}

func checkSuites13(s string) error {
	if s == "" {
		return nil
	}
	for _, name := range strings.Split(s, ":") {
		switch strings.ToUpper(name) {
		case "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256":
			return nil
		}
	}
	return fmt.Errorf("tls-ciphersuites: no supported suite in %q", s)
}
