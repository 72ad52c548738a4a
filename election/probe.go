package election

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"
)

// probeTime is what each endpoint has to show why it is not spoken to.
const probeTime = time.Second

// probe tells why no endpoint can be spoken to, as far as connections show: etcd's
// client tries again whatever the reason, and in the end says only that time is up. It
// is nil when one can, or the reason is another.
func (e *etcd) probe(ctx context.Context) error {
	var all []string
	for _, endpoint := range e.config.Endpoints {
		scheme, host, ok := strings.Cut(endpoint, "://")
		if !ok {
			scheme, host = "http", endpoint
		}
		config := e.config.TLS
		switch {
		case scheme != "https":
			config = nil
		case config == nil:
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		err := greeted(ctx, strings.TrimSuffix(host, "/"), config)
		if err == nil {
			return nil
		}
		all = append(all, endpoint+": "+err.Error())
	}
	return errors.New(strings.Join(all, "; "))
}

// http2 is how every client of etcd begins: the preface of HTTP/2 and empty settings.
const http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

var errNotEtcd = errors.New("what listens there does not answer as etcd does; is it http instead of https, or the reverse?")

// greeted connects as the client does. A server that does not take the client's
// certificate says so only when it is read from.
func greeted(ctx context.Context, host string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	defer func() { c.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"h2"}
		if config.ServerName == "" {
			if config.ServerName, _, err = net.SplitHostPort(host); err != nil {
				return err
			}
		}
		secure := tls.Client(c, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		c = secure
	}
	if _, err := c.Write([]byte(http2)); err != nil {
		return err
	}
	// Its own settings come: a length below 64 KiB, then their kind.
	head := make([]byte, 4)
	n, err := c.Read(head)
	if config == nil && (err != nil || n > 0 && head[0] != 0) {
		return errNotEtcd
	}
	return err
}
