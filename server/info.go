package server

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/pubsub"
)

// A section of INFO. Field names are Redis'; those without a counterpart here
// are kept for the tools that read them, and are 0 or the word for "no".
type section struct {
	name  string
	extra bool // only with ALL, EVERYTHING, or by name
	write func(s *Server, t *infoText)
}

var sections = []section{
	{name: "Server", write: (*Server).infoServer},
	{name: "Clients", write: (*Server).infoClients},
	{name: "Memory", write: (*Server).infoMemory},
	{name: "Persistence", write: (*Server).infoPersistence},
	{name: "Stats", write: (*Server).infoStats},
	{name: "Replication", write: (*Server).infoReplication},
	{name: "CPU", write: (*Server).infoCPU},
	{name: "Modules", write: func(*Server, *infoText) {}},
	{name: "Commandstats", extra: true, write: (*Server).infoCommands},
	{name: "Errorstats", write: (*Server).infoErrors},
	{name: "Latencystats", extra: true, write: (*Server).infoLatency},
	{name: "Cluster", write: func(_ *Server, t *infoText) { t.field("cluster_enabled", 0) }},
	{name: "RMW", write: (*Server).infoRMW},
	{name: "Keyspace", write: (*Server).infoKeyspace},
}

// infoText collects lines.
type infoText struct{ strings.Builder }

func (t *infoText) field(name string, value any) { fmt.Fprintf(t, "%s:%v\r\n", name, value) }

func (t *infoText) zero(names ...string) {
	for _, n := range names {
		t.field(n, 0)
	}
}

// bytes writes a size, and the same for people.
func (t *infoText) bytes(name string, n int64) {
	t.field(name, n)
	t.field(name+"_human", humanBytes(n))
}

func humanBytes(n int64) string {
	switch f := float64(n); {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", f/(1<<20))
	case n < 1<<40:
		return fmt.Sprintf("%.2fG", f/(1<<30))
	default:
		return fmt.Sprintf("%.2fT", f/(1<<40))
	}
}

// Info is the text of INFO for the sections named, in lower case.
func (s *Server) Info(names []string) string {
	all := slices.Contains(names, "all") || slices.Contains(names, "everything")
	def := len(names) == 0 || slices.Contains(names, "default")
	t := new(infoText)
	for _, sec := range sections {
		lower := strings.ToLower(sec.name)
		if !all && !(def && !sec.extra) && !slices.Contains(names, lower) {
			continue
		}
		if t.Len() > 0 {
			t.WriteString("\r\n")
		}
		t.WriteString("# " + sec.name + "\r\n")
		sec.write(s, t)
	}
	return t.String()
}

func (s *Server) infoServer(t *infoText) {
	up := time.Since(s.id.StartedAt)
	exe, _ := os.Executable()
	t.field("redis_version", RedisVersion)
	t.field("redis_git_sha1", "00000000")
	t.field("redis_git_dirty", 0)
	t.field("redis_build_id", s.id.RunID[:16])
	t.field("redis_mode", "standalone")
	t.field("ferricd_version", Version)
	t.field("os", osName())
	t.field("arch_bits", 64)
	t.field("monotonic_clock", "go")
	t.field("multiplexing_api", "go")
	t.field("atomicvar_api", "go")
	t.field("gcc_version", "0.0.0")
	t.field("go_version", runtime.Version())
	t.field("process_id", s.id.PID)
	t.field("process_supervised", "no")
	t.field("run_id", s.id.RunID)
	t.field("tcp_port", s.Port())
	t.field("server_time_usec", time.Now().UnixMicro())
	t.field("uptime_in_seconds", int64(up/time.Second))
	t.field("uptime_in_days", int64(up/(24*time.Hour)))
	t.field("hz", s.cfg.Int(config.Hz))
	t.field("configured_hz", s.cfg.Int(config.Hz))
	t.field("lru_clock", time.Now().Unix()&(1<<24-1))
	t.field("executable", exe)
	t.field("config_file", s.cfg.File())
	t.field("io_threads_active", 0)
	t.field("shards", s.ks.Shards())
	t.field("gomaxprocs", runtime.GOMAXPROCS(0))
}

func (s *Server) infoClients(t *infoText) {
	var in, out int
	for c := range s.wire.Conns() {
		st := c.Stats()
		in, out = max(in, st.QueryLen), max(out, st.Replies)
	}
	t.field("connected_clients", s.router.ClientCount())
	t.field("cluster_connections", 0)
	t.field("maxclients", s.cfg.Int(config.MaxClients))
	t.field("client_recent_max_input_buffer", in)
	t.field("client_recent_max_output_buffer", out)
	t.field("blocked_clients", int64(s.waits.count())+s.router.Blocked())
	t.field("tracking_clients", s.router.Tracking().Clients())
	t.zero("clients_in_timeout_table")
}

func (s *Server) infoStats(t *infoText) {
	n, r := s.traffic.since(s.wire.Totals()), s.router.Counters()
	ops, in, out := s.rates.now()
	t.field("total_connections_received", n.Accepted)
	t.field("total_commands_processed", r.Commands.Load())
	t.field("instantaneous_ops_per_sec", ops)
	t.field("total_net_input_bytes", n.NetIn)
	t.field("total_net_output_bytes", n.NetOut)
	t.zero("total_net_repl_input_bytes", "total_net_repl_output_bytes")
	t.field("instantaneous_input_kbps", fmt.Sprintf("%.2f", in))
	t.field("instantaneous_output_kbps", fmt.Sprintf("%.2f", out))
	t.field("instantaneous_input_repl_kbps", "0.00")
	t.field("instantaneous_output_repl_kbps", "0.00")
	t.field("rejected_connections", n.Rejected)
	t.field("sync_full", s.follow.copies.Load())
	t.field("sync_partial_ok", 0)
	t.field("sync_partial_err", s.follow.partial.Load())
	t.field("expired_subkeys", r.ExpiredFields.Load())
	t.field("expired_keys", r.Expired.Load())
	t.field("expired_stale_perc", "0.00")
	t.field("expired_time_cap_reached_count", r.ExpiryCapped.Load())
	t.field("expire_cycle_cpu_milliseconds", r.ExpiryTime.Load()/1e6)
	t.field("evicted_keys", r.Evicted.Load())
	t.field("evicted_clients", s.evictedClients.Load())
	t.zero("total_eviction_exceeded_time", "current_eviction_exceeded_time")
	t.field("keyspace_hits", r.Hits.Load())
	t.field("keyspace_misses", r.Misses.Load())
	hub := s.router.PubSub()
	t.field("pubsub_channels", hub.Len(pubsub.Channel))
	t.field("pubsub_patterns", hub.Len(pubsub.Pattern))
	t.field("pubsubshard_channels", hub.Len(pubsub.Shard))
	t.zero("latest_fork_usec", "total_forks",
		"migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses",
		"active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time",
		"current_active_defrag_time")
	t.field("tracking_total_keys", s.router.Tracking().Keys())
	t.field("tracking_total_items", s.router.Tracking().Items())
	t.field("tracking_total_prefixes", s.router.Tracking().Prefixes())
	t.zero("unexpected_error_replies")
	t.field("total_error_replies", s.stats.Errors.Total())
	t.zero("dump_payload_sanitizations")
	t.field("total_reads_processed", n.Reads)
	t.field("total_writes_processed", n.Writes)
	t.zero("io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks", "reply_buffer_expands")
	t.field("client_query_buffer_limit_disconnections", n.QueryLimitDisconnect)
	t.field("client_output_buffer_limit_disconnections", n.OutputLimitDisconnect)
	t.field("acl_access_denied_auth", r.AuthFailures.Load())
	t.field("rejected_calls", r.Rejected.Load())
	t.field("command_panics", r.Panics.Load())
}

func (s *Server) infoKeyspace(t *infoText) {
	now := time.Now().UnixMilli()
	for db := range s.ks.Databases() {
		if n := s.ks.Len(db); n > 0 {
			line := fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", n, s.ks.Expires(db), s.ks.AvgTTL(db, now))
			if parts := s.ks.PartExpires(db); parts > 0 {
				line += fmt.Sprintf(",subexpiry=%d", parts)
			}
			t.field(fmt.Sprintf("db%d", db), line)
		}
	}
}
