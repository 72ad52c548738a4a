package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
)

// EtcdOptions says, of what the configuration says, how etcd is reached. The node is
// left out.
func EtcdOptions(cfg *config.Config) (election.Options, error) {
	o := election.Options{
		Endpoints: cfg.Endpoints(),
		Username:  cfg.String(config.EtcdUsername),
		Password:  cfg.String(config.EtcdPassword),
		Cluster:   cfg.String(config.ClusterName),
		TTL:       time.Duration(cfg.Int(config.LeaseTTL)) * time.Second,
	}
	if len(o.Endpoints) == 0 {
		return o, errors.New("etcd-endpoints is not set")
	}
	if err := election.CheckEndpoints(o.Endpoints); err != nil {
		return o, err
	}
	var err error
	o.TLS, err = etcdTLS(cfg, strings.HasPrefix(o.Endpoints[0], "https://"))
	return o, err
}

// etcdTLS reads the certificates for etcd, nil when it is spoken to without TLS.
func etcdTLS(cfg *config.Config, secure bool) (*tls.Config, error) {
	cert, key, ca := cfg.String(config.EtcdCert), cfg.String(config.EtcdKey), cfg.String(config.EtcdCACert)
	if !secure {
		if cert != "" || key != "" || ca != "" {
			return nil, errors.New("certificates for etcd are set, and etcd-endpoints are not https")
		}
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if (cert == "") != (key == "") {
		return nil, errors.New("etcd-cert and etcd-key are set together or not at all")
	}
	if cert != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("etcd-cert and etcd-key: %w", err)
		}
		// Read again for each connection: a renewed certificate is used without a restart.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			return &pair, err
		}
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("etcd-cacert: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd-cacert: no certificate is in %s", ca)
		}
	}
	return t, nil
}
