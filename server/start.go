package server

import (
	"crypto/tls"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/ferricd/ferricd/config"
)

// VersionLine is what --version prints.
func VersionLine() string {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range info.Settings {
			if kv.Key == "vcs.revision" && len(kv.Value) >= 8 {
				commit = kv.Value[:8]
			}
		}
	}
	return fmt.Sprintf("ferricd v=%s redis=%s commit=%s go=%s %s/%s", Version, RedisVersion, commit,
		strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH)
}

// greet writes the lines that say who starts, and which parameters have no
// meaning here.
func (s *Server) greet() {
	s.Announce(fmt.Sprintf("ferricd version=%s, redis_version=%s, bits=64, pid=%d, just started", Version, RedisVersion, s.id.PID))
	if file := s.cfg.File(); file != "" {
		s.Announce("Configuration loaded from " + file)
	}
	if ignored := s.cfg.Ignored(); len(ignored) > 0 {
		s.log.Warn("Parameters without a meaning in ferricd: " + strings.Join(ignored, " "))
	}
}

// LocalHost is an address by which this machine reaches a server of this
// configuration.
func LocalHost(c *config.Config) string {
	first, _, _ := strings.Cut(strings.TrimSpace(c.String(config.Bind)), " ")
	switch host := strings.TrimPrefix(first, "-"); host {
	case "", "*", "0.0.0.0":
		return "127.0.0.1"
	case "::", "::*":
		return "::1"
	default:
		return host
	}
}

// HealthTLS is what a health check needs to talk to a TLS port of this
// configuration: it shows the server's own certificate if clients must have
// one, and trusts whoever listens, for it only asks for PONG.
func HealthTLS(c *config.Config) (*tls.Config, error) {
	out := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // loopback, and nothing is told but the password of this server
	if c.String(config.TLSAuthClients) == "no" {
		return out, nil
	}
	cert, err := tls.LoadX509KeyPair(c.String(config.TLSCertFile), c.String(config.TLSKeyFile))
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	out.Certificates = []tls.Certificate{cert}
	return out, nil
}
