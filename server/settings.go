package server

import (
	"context"
	"math"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// applyLimits hands the parameters that bound clients to the wire.
func (s *Server) applyLimits() {
	c, l := s.cfg, s.limits
	l.MaxClients.Store(c.Int(config.MaxClients))
	l.MaxBulk.Store(c.Int(config.ProtoMaxBulkLen))
	l.QueryBuffer.Store(c.Int(config.ClientQueryBufferLimit))
	l.IdleTimeout.Store(c.Int(config.Timeout) * int64(time.Second))
	l.TCPKeepalive.Store(c.Int(config.TCPKeepAlive) * int64(time.Second))
	limits := c.OutputLimits()
	storeOutputLimit(&l.Normal, limits.Normal)
	storeOutputLimit(&l.PubSub, limits.PubSub)
	storeOutputLimit(&l.Replica, limits.Replica)
}

func storeOutputLimit(to *resp.OutputLimit, from config.OutputLimit) {
	to.Hard.Store(from.Hard)
	to.Soft.Store(from.Soft)
	to.SoftFor.Store(from.Seconds * int64(time.Second))
}

// applyAccess tells the store how the policy counts accesses.
func (s *Server) applyAccess() {
	c := s.cfg
	policy := c.Int(config.MaxMemoryPolicy)
	s.ks.SetAccess(policy == config.VolatileLFU || policy == config.AllKeysLFU, int(c.Int(config.LFULogFactor)), int(c.Int(config.LFUDecayTime)))
}

// applyLists tells the store how large the chunks of new lists are.
func (s *Server) applyLists() { s.ks.SetListFill(int(s.cfg.Int(config.ListMaxListpackSize))) }

// applyZSets tells the store up to where sorted sets are compact.
func (s *Server) applyZSets() {
	limit := func(p config.ID) uint32 { return uint32(min(s.cfg.Int(p), math.MaxUint32)) }
	s.ks.SetZSetLimits(store.ZSetLimits{Members: limit(config.ZsetMaxListpackEntries), Value: limit(config.ZsetMaxListpackValue)})
}

// applyHashes and applySets tell the store up to where those are compact.
func (s *Server) applyHashes() {
	s.ks.SetHashLimits(s.cfg.Int(config.HashMaxListpackEntries), s.cfg.Int(config.HashMaxListpackValue))
}

func (s *Server) applySets() {
	s.ks.SetSetLimits(s.cfg.Int(config.SetMaxIntsetEntries), s.cfg.Int(config.SetMaxListpackEntries), s.cfg.Int(config.SetMaxListpackValue))
}

// applyStreams tells the store when a node of a stream is full.
func (s *Server) applyStreams() {
	s.ks.SetStreamLimits(store.StreamLimits{
		NodeBytes: s.cfg.Int(config.StreamNodeMaxBytes), NodeEntries: s.cfg.Int(config.StreamNodeMaxEntries),
	})
}

// applyNotify tells the router which keyspace notifications are wanted.
func (s *Server) applyNotify() {
	s.router.Watch(command.NotifyClass(s.cfg.Int(config.NotifyKeyspaceEvents)))
}

// watchConfig makes CONFIG SET take effect.
func (s *Server) watchConfig() {
	apply := func(fn func()) func() error { return func() error { fn(); return nil } }
	c := s.cfg
	c.OnChange(apply(s.applyLimits), config.MaxClients, config.ProtoMaxBulkLen, config.ClientQueryBufferLimit,
		config.Timeout, config.TCPKeepAlive, config.ClientOutputBufferLimit)
	c.OnChange(apply(s.applyAccess), config.MaxMemoryPolicy, config.LFULogFactor, config.LFUDecayTime)
	c.OnChange(apply(s.tuneCollector), config.MaxMemory)
	c.OnChange(apply(s.applyLists), config.ListMaxListpackSize)
	c.OnChange(apply(s.applyNotify), config.NotifyKeyspaceEvents)
	c.OnChange(apply(s.applyHashes), config.HashMaxListpackEntries, config.HashMaxListpackValue)
	c.OnChange(apply(s.applySets), config.SetMaxIntsetEntries, config.SetMaxListpackEntries, config.SetMaxListpackValue)
	c.OnChange(apply(s.applyStreams), config.StreamNodeMaxBytes, config.StreamNodeMaxEntries)
	c.OnChange(apply(s.applyZSets), config.ZsetMaxListpackEntries, config.ZsetMaxListpackValue)
	c.OnChange(apply(func() { s.level.Set(parseLevel(c.String(config.LogLevel))) }), config.LogLevel)
	c.OnChange(apply(func() { s.stats.SlowLog.SetMaxLen(int(c.Int(config.SlowlogMaxLen))) }), config.SlowlogMaxLen)
	c.OnChange(apply(func() { s.stats.Commands.TrackLatency(c.Bool(config.LatencyTracking)) }), config.LatencyTracking)
	c.OnChange(apply(s.applyRMW), config.RMWWait, config.LatchSweep, config.RMWMaxQueuePerKey, config.RMWMaxQueuePerShard)
	c.OnChange(s.reloadTLS, config.TLSCertFile, config.TLSKeyFile, config.TLSCACertFile, config.TLSCACertDir,
		config.TLSAuthClients, config.TLSProtocols)
	c.OnChange(s.moveSockets, config.Bind, config.Port, config.TLSPort)
}

func (s *Server) applyRMW() {
	c := s.cfg
	s.runner.SetWait(time.Duration(c.Int(config.RMWWait)) * time.Millisecond)
	s.runner.SetSweep(time.Duration(c.Int(config.LatchSweep)) * time.Millisecond)
	s.runner.SetBounds(int(c.Int(config.RMWMaxQueuePerKey)), int(c.Int(config.RMWMaxQueuePerShard)))
}

func (s *Server) tlsFiles() resp.TLSFiles {
	c := s.cfg
	return resp.TLSFiles{
		Cert: c.String(config.TLSCertFile), Key: c.String(config.TLSKeyFile),
		CA: c.String(config.TLSCACertFile), CADir: c.String(config.TLSCACertDir),
		AuthClients: c.String(config.TLSAuthClients), Protocols: c.String(config.TLSProtocols),
	}
}

// reloadTLS reads the certificates again; after an error the old ones stay.
func (s *Server) reloadTLS() error {
	if link := s.link.Load(); link != nil {
		if err := link.Reload(s.linkFiles()); err != nil {
			return err
		}
	}
	if t := s.tls.Load(); t != nil {
		return t.Reload(s.tlsFiles())
	}
	return nil
}

// Reload is what SIGHUP asks for: certificates are read again.
func (s *Server) Reload() {
	if err := s.reloadTLS(); err != nil {
		s.log.Warn("TLS files were not reloaded", "error", err)
		return
	}
	s.Announce("Reloaded")
}

// Announce writes a line to the log.
func (s *Server) Announce(text string) { s.log.Log(context.Background(), levelNotice, text) }
