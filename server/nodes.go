package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
)

// A Cluster is this node's part in a cluster, as far as commands and INFO need it.
type Cluster interface {
	// Replication is how things stand. It must not block.
	Replication() command.Replication
	// Failover starts to hand leadership over, or calls that off, and returns at once.
	Failover(r command.FailoverRequest) error
}

// join makes commands see a cluster; nil is none.
func (s *Server) join(c Cluster) {
	if c == nil {
		s.cluster.Store(nil)
		return
	}
	s.cluster.Store(&c)
}

// Replication is this node's part in its cluster, or the zero value.
func (s *Server) Replication() command.Replication {
	if c := s.cluster.Load(); c != nil {
		return (*c).Replication()
	}
	return command.Replication{}
}

// Failover starts to hand leadership over, or calls that off.
func (s *Server) Failover(r command.FailoverRequest) error {
	c := s.cluster.Load()
	if c == nil {
		return command.WireError("ERR FAILOVER needs a cluster: nobody else can lead")
	}
	return (*c).Failover(r)
}

// FollowersMoved is called when a follower has acknowledged, come or gone, and when
// this node's role changes: whoever waits in WAIT looks again.
func (s *Server) FollowersMoved() { s.follow.change(func() {}) }

// AwaitReplicas waits until so many replicas have what the client has written, or is
// stopped, and tells how many have. Who follows by PSYNC must have all that was told
// until now, and is never known to have it on disk.
func (s *Server) AwaitReplicas(w command.ReplicaWait) (int, error) {
	lsn, until, asked := w.Client.Session.Written(), s.keeper.Told(), false
	for {
		changed := s.follow.next()
		part := s.Replication()
		if part.Clustered && (!part.Leader || part.Epoch != w.Epoch) {
			return 0, command.ErrRoleChanged
		}
		n, here := 0, 0
		if !w.Durable {
			n, here = s.follow.having(until)
		}
		n += followersHaving(part.Followers, lsn, w.Durable)
		if int64(n) >= w.Want {
			return n, nil
		}
		if !asked && here > 0 {
			asked = true
			s.keeper.Tell("REPLCONF", "GETACK", "*")
		}
		select {
		case <-changed:
		case <-w.Stop:
			return n, nil
		}
	}
}

func followersHaving(followers []command.Follower, lsn uint64, durable bool) (n int) {
	for i := range followers {
		f := &followers[i]
		has := f.Applied
		if durable {
			has = f.Durable
		}
		if f.State == command.Online && has >= lsn {
			n++
		}
	}
	return n
}

// AnnounceSwitch tells those who listen on this node as if it were a Sentinel that
// another node leads. Nobody led before: from is empty.
func (s *Server) AnnounceSwitch(from, to command.Address) {
	if from.Host == "" {
		from = to
	}
	text := fmt.Sprintf("%s %s %d %s %d", s.cfg.String(config.ClusterName), from.Host, from.Port, to.Host, to.Port)
	s.router.PubSub().Publish([]byte("+switch-master"), []byte(text))
}

// replID names the history that clients see: another one for each leadership.
func (s *Server) replID() string {
	part := s.Replication()
	if !part.Clustered {
		return s.id.ReplID
	}
	sum := sha256.Sum256([]byte(part.ClusterID + "/" + strconv.FormatUint(part.Epoch, 10)))
	return hex.EncodeToString(sum[:20])
}

// ago is how long ago something was, in whole seconds; -1 if it was never.
func ago(at time.Time) int64 {
	if at.IsZero() {
		return -1
	}
	return max(0, int64(time.Since(at)/time.Second))
}
