package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
)

// infoReplication has Redis' fields of a primary or a replica, and in a cluster
// ours behind them.
func (s *Server) infoReplication(t *infoText) {
	part := s.Replication()
	follows := part.Clustered && !part.Leader
	replicas, offset := s.Replicas()
	if follows {
		t.field("role", "slave")
		infoFollower(t, &part)
		offset = int64(part.Applied)
	} else {
		t.field("role", "master")
	}
	t.field("connected_slaves", len(replicas))
	if part.Leader && part.MinInSync > 1 {
		t.field("min_slaves_good_slaves", max(0, len(part.InSync)-1))
	}
	for i := range replicas {
		r := &replicas[i]
		t.field(fmt.Sprintf("slave%d", i), fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d", r.IP, r.Port, r.State, r.Offset, r.Lag))
	}
	state := part.FailoverState
	if state == "" {
		state = command.NoFailover
	}
	t.field("master_failover_state", state)
	t.field("master_replid", s.replID())
	t.field("master_replid2", strings.Repeat("0", 40))
	t.field("master_repl_offset", offset)
	t.field("second_repl_offset", -1)
	t.zero("repl_backlog_active")
	t.field("repl_backlog_size", 1<<20)
	t.zero("repl_backlog_first_byte_offset", "repl_backlog_histlen")
	if part.Clustered {
		s.infoNodes(t, &part)
		s.infoLinks(t)
	}
}

// infoFollower has the fields of a replica.
func infoFollower(t *infoText, part *command.Replication) {
	up, syncing := part.Link == command.LinkConnected, part.Link == command.LinkSync
	link := "down"
	if up {
		link = "up"
	}
	t.field("master_host", part.LeaderHost)
	t.field("master_port", part.LeaderPort)
	t.field("master_link_status", link)
	t.field("master_last_io_seconds_ago", lastIO(part, up))
	t.field("master_sync_in_progress", flag(syncing))
	t.field("slave_read_repl_offset", part.End)
	t.field("slave_repl_offset", part.Applied)
	if syncing {
		done := part.SyncTotal - part.SyncLeft
		t.field("master_sync_total_bytes", part.SyncTotal)
		t.field("master_sync_read_bytes", done)
		t.field("master_sync_left_bytes", part.SyncLeft)
		t.field("master_sync_perc", fmt.Sprintf("%.2f", 100*float64(done)/float64(max(part.SyncTotal, 1))))
		t.field("master_sync_last_io_seconds_ago", ago(part.LastIO))
	}
	if !up {
		t.field("master_link_down_since_seconds", ago(part.LinkDown))
	}
	t.field("slave_priority", 100)
	t.field("slave_read_only", 1)
	t.field("replica_announced", 1)
}

// lastIO is -1 while there is no link, as in Redis.
func lastIO(part *command.Replication, up bool) int64 {
	if !up {
		return -1
	}
	return max(0, ago(part.LastIO))
}

// infoNodes has what Redis has no field for.
func (s *Server) infoNodes(t *infoText, part *command.Replication) {
	role := "follower"
	if part.Leader {
		role = "leader"
	}
	t.field("ferricd_cluster", s.cfg.String(config.ClusterName))
	t.field("ferricd_cluster_id", part.ClusterID)
	t.field("ferricd_node", part.Name)
	t.field("ferricd_role", role)
	t.field("ferricd_epoch", part.Epoch)
	t.field("ferricd_isr", strings.Join(part.InSync, ","))
	t.field("ferricd_isr_size", len(part.InSync))
	t.field("ferricd_ack_mode", part.AckPolicy)
	t.field("ferricd_min_insync_replicas", part.MinInSync)
	t.field("ferricd_lease_remaining_ms", part.LeaseRemaining.Milliseconds())
	t.field("ferricd_end_offset", part.End)
	t.field("ferricd_applied_offset", part.Applied)
	t.field("ferricd_durable_offset", part.Durable)
	t.field("ferricd_insync_commit_offset", part.Commit)
	for i := range part.Followers {
		f := &part.Followers[i]
		lag := int64(-1)
		if !f.LastAck.IsZero() {
			lag = max(0, time.Since(f.LastAck).Milliseconds())
		}
		t.field(fmt.Sprintf("ferricd_follower%d", i), fmt.Sprintf("name=%s,ip=%s,port=%d,state=%s,received=%d,applied=%d,durable=%d,lag_bytes=%d,last_ack_ms=%d",
			f.Name, f.Host, f.Port, f.State, f.Received, f.Applied, f.Durable, behind(part.End, f.Durable), lag))
	}
	for i := range part.Nodes {
		n := &part.Nodes[i]
		t.field(fmt.Sprintf("ferricd_node%d", i), fmt.Sprintf("name=%s,ip=%s,port=%d,role=%s,offset=%d,insync=%d,online=%d",
			n.Name, n.Host, n.Port, n.Role, n.Offset, flag(n.InSync), flag(n.Online)))
	}
}

// infoLinks counts what the links to other nodes have been used for, and how they
// have ended.
func (s *Server) infoLinks(t *infoText) {
	if s.node == nil {
		return
	}
	ended := s.node.SessionsEnded()
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(ended)) {
		causes = append(causes, fmt.Sprintf("%s=%d", cause, ended[cause]))
	}
	t.field("ferricd_sessions_ended", strings.Join(causes, ","))
	p := s.proxy.Counters()
	t.field("ferricd_proxy_links", p.Links)
	t.field("ferricd_proxy_dialled", p.Dialled)
	t.field("ferricd_proxy_forwarded", s.router.Counters().Forwarded.Load())
	t.field("ferricd_proxy_failed", p.Failed)
	t.field("ferricd_proxy_indoubt", p.Doubted)
}

// behind is how far at is from end, which was read a little earlier.
func behind(end, at uint64) uint64 {
	if at >= end {
		return 0
	}
	return end - at
}
