package main_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/electiontest"
)

func TestClusterCommand(t *testing.T) {
	e := electiontest.Process(t)
	etcd := []string{"--etcd-endpoints", "http://" + e.Address(), "--cluster-name", "c"}
	run := func(args ...string) string {
		t.Helper()
		out, errs, code := ferricd(t, append(append([]string{"cluster"}, args...), etcd...)...)
		require.Equal(t, 0, code, errs)
		return out
	}
	refused := func(text string, args ...string) {
		t.Helper()
		out, errs, code := ferricd(t, append(append([]string{"cluster"}, args...), etcd...)...)
		require.Equal(t, 1, code, out)
		require.Regexp(t, `^ferricd cluster [a-z]+: [^\n]*\n$`, errs)
		require.Contains(t, errs, text)
	}
	refused("create it with ferricd cluster init", "status")
	refused("create it with ferricd cluster init", "handover")
	refused("--first wants", "init", "--first")
	refused("letters, digits", "init", "--first", "a/b")
	require.Equal(t, "cluster c is created; node n1 will be the first to lead it\n", run("init", "--first", "n1"))
	require.Equal(t, "cluster c exists already; nothing is changed\n", run("init", "--first", "n2"))
	require.Contains(t, run("status"), "it waits for its first node: n1\n")
	refused("no node leads", "handover", "n2")

	open := func(name string) election.Coordinator {
		c, err := election.Open(election.Options{
			Endpoints: []string{"http://" + e.Address()}, Cluster: "c", TTL: 10 * time.Second,
			Node: election.Node{Name: name, ID: "d" + name, Incarnation: "1", Client: name + ":6379", Replication: name + ":16379"},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		require.NoError(t, c.Ready(t.Context()))
		return c
	}
	n1, n2 := open("n1"), open("n2")
	term, err := n1.Campaign(t.Context(), election.Claim{Cluster: "c1"})
	require.NoError(t, err)
	require.NoError(t, term.SetInSync(t.Context(), []election.Member{{Name: "n1", ID: "dn1"}, {Name: "n2", ID: "dn2"}, {Name: "n3", ID: "dn3"}}))
	n2.SetStatus(election.Status{Role: "follower", Epoch: term.Epoch(), LSN: 1000, Lag: 20})
	var status struct {
		Leader string
		Epoch  uint64
		InSync []struct{ Name string } `json:"insync"`
		Nodes  []struct {
			Name, Role string
			Alive      bool
			InSync     bool `json:"insync"`
			LSN        uint64
			Lag        int64
			Client     string
		}
	}
	require.Eventually(t, func() bool {
		require.NoError(t, json.Unmarshal([]byte(run("status", "--json")), &status))
		return status.Nodes[1].LSN == 1000
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, "n1", status.Leader)
	require.Equal(t, term.Epoch(), status.Epoch)
	require.Len(t, status.InSync, 3)
	require.Len(t, status.Nodes, 3)
	table := run("status")
	require.Regexp(t, `(?m)^cluster c, id c1, leader n1, epoch \d+$`, table)
	require.Regexp(t, `(?m)^n1 +leader +\d+ +yes +0 +0 +n1:6379 +n1:16379$`, table)
	require.Regexp(t, `(?m)^n2 +follower +\d+ +yes +1000 +20 +n2:6379 +n2:16379$`, table)
	require.Regexp(t, `(?m)^n3 +gone +- +yes +- +- +- +-$`, table)

	// Both do what a node does: the leader makes way, the other stands.
	done := make(chan error, 1)
	go func() {
		for n1.View().Handover != "n2" {
			select {
			case <-n1.Changed():
			case <-time.After(100 * time.Millisecond):
			}
		}
		err := term.Resign(t.Context(), "n2")
		if err == nil {
			_, err = n2.Campaign(t.Context(), election.Claim{Cluster: "c1"})
		}
		done <- err
	}()
	require.Equal(t, "n2 leads now, at n2:6379\n", run("handover"))
	require.NoError(t, <-done)
	refused("another node leads: it is n2 already", "handover", "n2")
	refused("not alive: n3", "handover", "n3")
}

func TestClusterCommandIsRefused(t *testing.T) {
	for _, args := range [][]string{{"cluster"}, {"cluster", "begin"}, {"cluster", "-x"}} {
		requireRefused(t, "usage: ferricd cluster", args...)
	}
	for text, args := range map[string][]string{
		"etcd-endpoints is not set":                {"cluster", "status"},
		"are not https":                            {"cluster", "init", "--etcd-endpoints", "http://127.0.0.1:1", "--etcd-cacert", "x"},
		"no such file":                             {"cluster", "init", "--etcd-endpoints", "https://127.0.0.1:1", "--etcd-cacert", "/none"},
		"http://127.0.0.1:1: etcd is out of reach": {"cluster", "status", "--etcd-endpoints", "http://127.0.0.1:1"},
		"have letters, digits, dots":               {"cluster", "status", "--etcd-endpoints", "http://127.0.0.1:1", "--cluster-name", "a/b"},
	} {
		_, errs, code := ferricd(t, args...)
		require.Equal(t, 1, code)
		require.Regexp(t, `^ferricd cluster [a-z]+: [^\n]*\n$`, errs)
		require.Contains(t, errs, text)
	}
	out, _, code := ferricd(t, "cluster", "--help")
	require.Equal(t, 0, code)
	require.Contains(t, out, "ferricd cluster handover [NODE]")
}
