package server_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/server"
)

// A pretender is a cluster in which nothing happens but what the test says.
type pretender struct {
	mu     sync.Mutex
	part   command.Replication
	asked  []command.FailoverRequest
	looked func() // what happens as soon as somebody has looked, or nil
}

func (p *pretender) Replication() command.Replication {
	p.mu.Lock()
	part, looked := p.part, p.looked
	part.Followers = append([]command.Follower(nil), p.part.Followers...)
	p.mu.Unlock()
	if looked != nil {
		looked()
	}
	return part
}

func (p *pretender) Failover(r command.FailoverRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r)
	p.part.FailoverState = command.FailoverWaiting
	if r.Abort {
		p.part.FailoverState = command.NoFailover
	}
	return nil
}

func (p *pretender) set(fn func(part *command.Replication)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(&p.part)
}

func (p *pretender) requests() []command.FailoverRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// threeNodes are n1, n2 and n3, of which n1 leads; n3 is being sent a copy.
func threeNodes() command.Replication {
	return command.Replication{
		Clustered: true, ClusterID: "c0ffee", Epoch: 7, End: 5000, Applied: 5000, Durable: 4900, Commit: 4800,
		LeaderHost: "10.0.0.1", LeaderPort: 6379, InSync: []string{"n1", "n2"}, AckPolicy: "insync", MinInSync: 2,
		Nodes: []command.ClusterNode{
			{Name: "n1", Host: "10.0.0.1", Port: 6379, Role: "leader", Offset: 4990, InSync: true, Online: true},
			{Name: "n2", Host: "10.0.0.2", Port: 6379, Role: "follower", Offset: 4700, InSync: true, Online: true},
			{Name: "n3", Host: "10.0.0.3", Port: 6380, Role: "follower"},
		},
	}
}

func asLeader() *pretender {
	p := threeNodes()
	p.Name, p.Leader, p.LeaseRemaining = "n1", true, 4*time.Second
	p.Followers = []command.Follower{
		{Name: "n2", Host: "10.0.0.2", Port: 6379, State: command.Online, Received: 4950, Applied: 4900, Durable: 4800, LastAck: time.Now()},
		{Name: "n3", Host: "10.0.0.3", Port: 6380, State: "send_bulk"},
	}
	return &pretender{part: p}
}

func asFollower() *pretender {
	p := threeNodes()
	p.Name, p.Link, p.LastIO, p.Applied = "n2", command.LinkConnected, time.Now(), 4700
	return &pretender{part: p}
}

// asWaiting is a follower of nobody.
func asWaiting() *pretender {
	f := asFollower()
	f.part.LeaderHost, f.part.LeaderPort, f.part.Link, f.part.LinkDown = "", 0, command.LinkConnect, time.Now()
	f.part.Nodes[0].Online, f.part.Nodes[0].Role = false, "follower"
	return f
}

func startAs(t *testing.T, p *pretender, args ...string) *server.Server {
	t.Helper()
	return testserver.StartWith(t, server.Options{Nodes: p}, args...)
}

// What a node says of itself and of the others, in each part that it can have.
func TestNodeTranscripts(t *testing.T) {
	for dir, as := range map[string]func() *pretender{"leader": asLeader, "follower": asFollower, "nobody": asWaiting} {
		t.Run(dir, func(t *testing.T) {
			s := startAs(t, as())
			transcript.RunDir(t, transcript.TCP(s.Addr()), transcript.Options{}, "testdata/"+dir+"/*.txt")
		})
	}
}

// FAILOVER passes on what it was told, and only what is possible.
func TestFailoverIsPassedOn(t *testing.T) {
	p := asLeader()
	c := dialNode(t, startAs(t, p).Addr())
	for _, line := range []string{"FAILOVER", "FAILOVER TO 10.0.0.2 6379 FORCE TIMEOUT 100", "FAILOVER TO 10.0.0.2 6379", "FAILOVER TIMEOUT 5"} {
		require.Equal(t, "OK", c.do(line), line)
		require.Equal(t, command.FailoverWaiting, c.info("replication", "master_failover_state"), line)
		require.Equal(t, "ERR FAILOVER already in progress.", c.do("FAILOVER"), line)
		require.Equal(t, "OK", c.do("FAILOVER ABORT"), line)
		require.Equal(t, command.NoFailover, c.info("replication", "master_failover_state"), line)
	}
	require.Equal(t, "ERR No failover in progress.", c.do("FAILOVER ABORT"))
	abort := command.FailoverRequest{Abort: true}
	require.Equal(t, []command.FailoverRequest{
		{}, abort,
		{Host: "10.0.0.2", Port: 6379, Force: true, Timeout: 100 * time.Millisecond}, abort,
		{Host: "10.0.0.2", Port: 6379}, abort,
		{Timeout: 5 * time.Millisecond}, abort,
	}, p.requests())
}
