package main_test

import (
	"context"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/server"
)

// A stage is two servers that play a cluster: one leads, by what the test says.
type stage struct {
	mu     sync.Mutex
	nodes  [2]*server.Server
	leader int
}

// A role is one of the two as its server sees the cluster.
type role struct {
	*stage
	me int
}

func (r role) Failover(command.FailoverRequest) error { return nil }

func (r role) Replication() command.Replication {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := command.Replication{Clustered: true, Name: "n" + strconv.Itoa(r.me), Leader: r.leader == r.me, Epoch: uint64(1 + r.leader), Link: command.LinkConnected}
	for i, s := range r.nodes {
		if s != nil {
			p.Nodes = append(p.Nodes, command.ClusterNode{Name: "n" + strconv.Itoa(i), Host: "127.0.0.1", Port: s.Port(), InSync: true, Online: true})
		}
	}
	if s := r.nodes[r.leader]; s != nil {
		p.LeaderHost, p.LeaderPort = "127.0.0.1", s.Port()
	}
	return p
}

func play(t *testing.T) *stage {
	st := new(stage)
	for i := range st.nodes {
		s := testserver.StartWith(t, server.Options{Nodes: role{st, i}})
		st.mu.Lock()
		st.nodes[i] = s
		st.mu.Unlock()
	}
	return st
}

// elect makes the other one lead, as Sentinel's clients see it.
func (st *stage) elect() {
	st.mu.Lock()
	from, to := st.nodes[st.leader], st.nodes[1-st.leader]
	st.leader = 1 - st.leader
	st.mu.Unlock()
	for _, s := range st.nodes {
		s.AnnounceSwitch(command.Address{Host: "127.0.0.1", Port: from.Port()}, command.Address{Host: "127.0.0.1", Port: to.Port()})
	}
}

func (st *stage) addrs() (list []string) {
	for _, s := range st.nodes {
		list = append(list, s.Addr())
	}
	return list
}

// go-redis finds the leader through any node, and follows when another leads.
func TestGoRedisFindsTheLeader(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run("RESP"+strconv.Itoa(protocol), func(t *testing.T) {
			st := play(t)
			c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "ferricd", SentinelAddrs: st.addrs()[1:], Protocol: protocol})
			defer func() { require.NoError(t, c.Close()) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			at := func() string { return c.ConfigGet(ctx, "dir").Val()["dir"] }
			dir := func(i int) string { return st.nodes[i].Config().Get("dir")[0].Value }
			require.Equal(t, dir(0), at())
			require.NoError(t, c.Set(ctx, "k", "1", 0).Err())
			st.elect()
			require.Eventually(t, func() bool { return at() == dir(1) }, 30*time.Second, 5*time.Millisecond)
			require.ErrorIs(t, c.Get(ctx, "k").Err(), redis.Nil, "these two share nothing")
		})
	}
}

// go-redis' Sentinel client reads what it asks for.
func TestGoRedisReadsSentinelReplies(t *testing.T) {
	st := play(t)
	c := redis.NewSentinelClient(&redis.Options{Addr: st.nodes[1].Addr()})
	defer func() { require.NoError(t, c.Close()) }()
	ctx := t.Context()
	addr, err := c.GetMasterAddrByName(ctx, "ferricd").Result()
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1", strconv.Itoa(st.nodes[0].Port())}, addr)
	require.ErrorIs(t, c.GetMasterAddrByName(ctx, "nosuch").Err(), redis.Nil)
	replicas, err := c.Replicas(ctx, "ferricd").Result()
	require.NoError(t, err)
	require.Len(t, replicas, 1)
	require.Equal(t, strconv.Itoa(st.nodes[1].Port()), replicas[0]["port"])
	others, err := c.Sentinels(ctx, "ferricd").Result()
	require.NoError(t, err)
	require.Len(t, others, 1)
	require.Equal(t, strconv.Itoa(st.nodes[0].Port()), others[0]["port"])
	quorum, err := c.CkQuorum(ctx, "ferricd").Result()
	require.NoError(t, err)
	require.Contains(t, quorum, "OK 2 usable Sentinels.")
}

const python = `
import sys
from redis.sentinel import Sentinel, MasterNotFoundError
s = Sentinel([('127.0.0.1', int(p)) for p in sys.argv[1:]], socket_timeout=10)
try:
    s.discover_master('nosuch')
except MasterNotFoundError:
    pass
print(s.discover_master('ferricd')[1], s.discover_slaves('ferricd')[0][1], s.master_for('ferricd').set('k', 'v'))
`

// redis-py finds the leader, before and after another leads.
func TestRedisPyFindsTheLeader(t *testing.T) {
	interpreter := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import redis.sentinel").Run() == nil {
			interpreter = name
		}
	}
	if interpreter == "" {
		t.Skip("redis-py is not installed")
	}
	st := play(t)
	a, b := strconv.Itoa(st.nodes[0].Port()), strconv.Itoa(st.nodes[1].Port())
	ask := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, interpreter, "-c", python, b, a).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.Equal(t, a+" "+b+" True\n", ask())
	st.elect()
	require.Equal(t, b+" "+a+" True\n", ask())
}
