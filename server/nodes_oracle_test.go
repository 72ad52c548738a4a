package server_test

import (
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/internal/transcript"
)

// shape prints the types of a reply. Below its first level, with named, the strings
// that are names of fields are printed too.
func shape(v transcript.Value, named bool, depth int) string {
	b := []byte{v.Kind}
	if v.Null {
		b = append(b, '0')
	}
	for i, e := range v.Elems {
		if named && i%2 == 0 && len(e.Elems) == 0 && (depth > 0 || len(v.Elems) > 2) {
			b = append(b, ' ')
			b = append(b, e.Str...)
			continue
		}
		b = append(b, " ("+shape(e, named, depth+1)+")"...)
	}
	return string(b)
}

// fieldNames are those of INFO replication that are Redis'.
func (a node) fieldNames() (names []string) {
	for line := range strings.Lines(a.do("INFO replication")) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(name, "ferricd_") {
			names = append(names, name)
		}
	}
	return names
}

func (a node) shapeOf(line string, named bool) string {
	v, err := a.c.Do(strings.Fields(line)...)
	require.NoError(a.t, err)
	return shape(v, named, 0)
}

func splitAddr(t *testing.T, addr string) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return host, port
}

// ROLE, INFO replication and HELLO of a node look as those of redis-server in the
// same part.
func TestPartsLookAsInRedis(t *testing.T) {
	primary := transcript.StartRedis(t)
	_, port := splitAddr(t, primary)
	p := dialNode(t, primary)
	r := dialNode(t, transcript.StartRedis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(port)))
	link := func(want string) {
		eventually(t, "link "+want, func() bool { return r.info("replication", "master_link_status") == want })
	}
	link("up")
	l := asLeader()
	l.part.Followers, l.part.MinInSync = l.part.Followers[:1], 1
	leader, follower, waiting := dialNode(t, startAs(t, l).Addr()), dialNode(t, startAs(t, asFollower()).Addr()), dialNode(t, startAs(t, asWaiting()).Addr())
	eventually(t, "the replica is online", func() bool { return strings.Contains(p.info("replication", "slave0"), "state=online") })
	same := func(theirs, ours node) {
		t.Helper()
		require.Equal(t, theirs.fieldNames(), ours.fieldNames())
		require.Equal(t, theirs.shapeOf("ROLE", false), ours.shapeOf("ROLE", false))
		require.Equal(t, theirs.all("ROLE")[0], ours.all("ROLE")[0])
		require.Equal(t, theirs.all("HELLO")[10:12], ours.all("HELLO")[10:12])
		for _, line := range []string{"WAIT 0", "WAIT x 0", "FAILOVER ABORT", "FAILOVER TO nobody 1", "FAILOVER FORCE", "FAILOVER TO nobody 1 FORCE", "FAILOVER TIMEOUT 0"} {
			require.Equal(t, theirs.do(line), ours.do(line), line)
		}
	}
	same(p, leader)
	same(r, follower)
	pid, err := strconv.Atoi(p.info("server", "process_id"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	link("down")
	same(r, waiting)
}

// What Sentinel answers nodes answer in the same form.
func TestNodesAnswerAsSentinel(t *testing.T) {
	const name = "ferricd"
	primary := transcript.StartRedis(t, "--repl-diskless-sync-delay", "0")
	host, port := splitAddr(t, primary)
	replica := transcript.StartRedis(t, "--replicaof", host+" "+strconv.Itoa(port))
	eventually(t, "it follows", func() bool { return dialNode(t, replica).info("replication", "master_link_status") == "up" })
	watcher, other := transcript.StartSentinel(t, name, primary), transcript.StartSentinel(t, name, primary)
	theirs := dialNode(t, watcher)
	eventually(t, "Sentinel knows all", func() bool {
		return len(theirs.all("SENTINEL SENTINELS "+name)) == 2 && len(theirs.all("SENTINEL REPLICAS "+name)) == 2 &&
			!strings.Contains(theirs.shapeOf("SENTINEL REPLICAS "+name, true), "s_down")
	})
	_, otherPort := splitAddr(t, other)
	f := asLeader()
	f.part.LeaderHost, f.part.LeaderPort = host, port
	f.part.Nodes = []command.ClusterNode{
		{Name: "n1", Host: host, Port: port, InSync: true, Online: true},
		{Name: "n2", Host: host, Port: otherPort, InSync: true, Online: true},
	}
	ours := dialNode(t, startAs(t, f).Addr())
	for _, protocol := range []string{"2", "3"} {
		theirs.do("HELLO " + protocol)
		ours.do("HELLO " + protocol)
		for _, what := range []string{"MASTER", "REPLICAS", "SLAVES", "SENTINELS", "CKQUORUM", "GET-MASTER-ADDR-BY-NAME"} {
			require.Equal(t, theirs.shapeOf("SENTINEL "+what+" "+name, true), ours.shapeOf("SENTINEL "+what+" "+name, true), what)
			require.Equal(t, theirs.all("SENTINEL "+what+" nosuch"), ours.all("SENTINEL "+what+" nosuch"), what)
			require.Equal(t, theirs.shapeOf("SENTINEL "+what+" nosuch", true), ours.shapeOf("SENTINEL "+what+" nosuch", true), what)
			require.Equal(t, theirs.do("SENTINEL "+what), ours.do("SENTINEL "+what), what)
		}
		for _, line := range []string{"SENTINEL MASTERS", "SENTINEL MYID"} {
			require.Equal(t, theirs.shapeOf(line, true), ours.shapeOf(line, true), line)
		}
		for _, line := range []string{"SENTINEL CKQUORUM " + name, "SENTINEL GET-MASTER-ADDR-BY-NAME " + name, "SENTINEL", "SENTINEL nosuch", "SENTINEL MASTERS x", "PING"} {
			require.Equal(t, theirs.all(line), ours.all(line), line)
		}
		require.Len(t, ours.do("SENTINEL MYID"), len(theirs.do("SENTINEL MYID")))
	}
}

// Clients of Sentinel's channels hear of a new leader what Sentinel would say.
func TestANewLeaderIsAnnounced(t *testing.T) {
	s := startAs(t, asFollower())
	c := dialNode(t, s.Addr())
	require.NoError(t, c.c.Send("SUBSCRIBE", "+switch-master"))
	_, err := c.c.Next()
	require.NoError(t, err)
	for _, x := range []struct {
		from, to command.Address
		text     string
	}{
		{command.Address{Host: "10.0.0.1", Port: 6379}, command.Address{Host: "10.0.0.2", Port: 6380}, "ferricd 10.0.0.1 6379 10.0.0.2 6380"},
		{command.Address{}, command.Address{Host: "10.0.0.3", Port: 1}, "ferricd 10.0.0.3 1 10.0.0.3 1"},
	} {
		s.AnnounceSwitch(x.from, x.to)
		v, err := c.c.Next()
		require.NoError(t, err)
		require.Equal(t, "+switch-master", v.Elems[1].Str)
		require.Equal(t, x.text, v.Elems[2].Str)
	}
}
