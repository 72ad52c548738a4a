package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
)

// linkTLS is TLS between nodes: each shows its certificate, which must lead to an
// authority of the parameters. Names in certificates are not looked at, since nodes
// are dialled by address; who a node is, the secret proves. nil without tls-replication.
func (s *Server) linkTLS() (accepts, dials *tls.Config, err error) {
	if !s.cfg.Bool(config.TLSReplication) {
		return nil, nil, nil
	}
	link, err := resp.LoadTLS(s.linkFiles())
	if err != nil {
		return nil, nil, err
	}
	s.link.Store(link)
	accepts = &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := link.Config().Clone()
			c.MinVersion = tls.VersionTLS13
			return c, nil
		},
	}
	dials = &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection looks at the chain
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &link.Config().Certificates[0], nil
		},
		VerifyConnection: func(state tls.ConnectionState) error { return leadsTo(link.Config().ClientCAs, state) },
	}
	return accepts, dials, nil
}

func (s *Server) linkFiles() resp.TLSFiles {
	files := s.tlsFiles()
	files.AuthClients, files.Protocols = "yes", "TLSv1.3"
	return files
}

// leadsTo is an error if the peer's certificate does not lead to one of the authorities.
func leadsTo(authorities *x509.CertPool, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the other node shows no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny},
	})
	return err
}
