package main_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/server"
)

// A frozen cluster stays as it is.
type frozen struct{ part command.Replication }

func (f frozen) Replication() command.Replication       { return f.part }
func (f frozen) Failover(command.FailoverRequest) error { return nil }

// healthcheck --role is content with a server that has the part, and no other.
func TestHealthcheckKnowsRoles(t *testing.T) {
	alone := testserver.Start(t)
	as := func(leader bool, link string, args ...string) *server.Server {
		return testserver.StartWith(t, server.Options{Nodes: frozen{command.Replication{Clustered: true, Leader: leader, Link: link}}}, args...)
	}
	leader, follower := as(true, ""), as(false, command.LinkConnected)
	copying, waiting := as(false, command.LinkSync), as(false, command.LinkConnect)
	locked := as(false, command.LinkConnected, "--requirepass", "secret")
	for _, x := range []struct {
		name string
		s    *server.Server
		args string
		want string // of what it says; empty: it is healthy
	}{
		{"alone", alone, "", ""},
		{"alone", alone, "--role any", ""},
		{"alone", alone, "--role leader", ""},
		{"alone", alone, "--role=follower", `no follower: its role is "master"`},
		{"leader", leader, "--role leader", ""},
		{"leader", leader, "--role follower", `no follower: its role is "master"`},
		{"leader", leader, "", ""},
		{"follower", follower, "--role follower", ""},
		{"follower", follower, "--role leader", `no leader: its role is "slave"`},
		{"follower", follower, "--role=any", ""},
		{"copying", copying, "--role follower", `does not get the leader's log: master_link_status is "down"`},
		{"copying", copying, "", ""},
		{"waiting", waiting, "--role follower", "does not get the leader's log"},
		{"waiting", waiting, "--role any", ""},
		{"locked", locked, "--role follower --requirepass secret", ""},
		{"locked", locked, "--role follower --requirepass wrong", "unexpected answer to PING: -NOAUTH"},
		{"alone", alone, "--role boss", `--role "boss": it is leader, follower or any`},
		{"alone", alone, "--role=", `--role "": it is leader, follower or any`},
	} {
		args := append([]string{"healthcheck"}, strings.Fields(x.args)...)
		out, err := exec.Command(binary, append(args, "--port", strconv.Itoa(x.s.Port()))...).CombinedOutput()
		if x.want == "" {
			require.NoError(t, err, "%s %s: %s", x.name, x.args, out)
			require.Empty(t, out)
			continue
		}
		require.Error(t, err, "%s %s", x.name, x.args)
		require.Contains(t, string(out), x.want, "%s %s", x.name, x.args)
		require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
	}
}
