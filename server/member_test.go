package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/persist"
	"github.com/ferricd/ferricd/server"
)

// A trio are servers of one cluster in this process, with an etcd in memory.
type trio struct {
	t    *testing.T
	etcd *election.Fake
	args []string
	mu   sync.Mutex
	by   map[string]*server.Server
	logs map[string]*lines
}

// lines are what a server has logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// log is what a node has logged so far.
func (x *trio) log(name string) string {
	x.mu.Lock()
	l := x.logs[name]
	x.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const ttl = 3 * time.Second

func newTrio(t *testing.T, args ...string) *trio {
	x := &trio{t: t, etcd: election.NewFake(), args: args, by: map[string]*server.Server{}, logs: map[string]*lines{}}
	require.NoError(t, x.etcd.Init("ferricd", ""))
	return x
}

func (x *trio) config(name, dir string, args ...string) *config.Config {
	cfg := config.New()
	all := []string{
		"--dir", dir, "--enable-debug-command", "yes", "--etcd-endpoints", "http://127.0.0.1:1", "--replication-secret", "secret",
		"--node-name", name, "--lease-ttl", fmt.Sprint(int(ttl / time.Second)), "--transport", testserver.Transport(), "--follower-mode", "readonly",
	}
	require.NoError(x.t, cfg.Load(append(append(all, x.args...), args...), nil))
	return cfg
}

func (x *trio) open(name, dir string, args ...string) (*server.Server, error) {
	l := new(lines)
	x.mu.Lock()
	x.logs[name] = l
	x.mu.Unlock()
	return server.Open(server.Options{
		Config: x.config(name, dir, args...), Stdout: l, Addr: "127.0.0.1:0",
		Elect: func(me election.Node, healthy func() bool) (election.Coordinator, error) {
			return x.etcd.Open(election.Options{Cluster: "ferricd", Node: me, TTL: ttl, Healthy: healthy})
		},
	})
}

func (x *trio) start(name, dir string, args ...string) *server.Server {
	s, err := x.open(name, dir, args...)
	require.NoError(x.t, err)
	x.mu.Lock()
	x.by[name] = s
	x.mu.Unlock()
	x.t.Cleanup(func() { x.stop(s) })
	return s
}

func (x *trio) stop(s *server.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(x.t, s.Shutdown(ctx))
}

// eventually waits for what goroutines and a lease are to bring about.
func (x *trio) eventually(what string, ok func() bool) {
	x.t.Helper()
	require.Eventually(x.t, ok, time.Minute, 5*time.Millisecond, what)
}

// leader waits until one of these leads, with so many in the in-sync set.
func (x *trio) leader(inSync int, of ...*server.Server) (lead *server.Server) {
	x.t.Helper()
	x.eventually(fmt.Sprintf("somebody leads %d", inSync), func() bool {
		for _, s := range of {
			if r := s.Replication(); r.Leader && len(r.InSync) == inSync {
				lead = s
				return true
			}
		}
		return false
	})
	return lead
}

// A teller talks to one server in inline commands and reads one line or bulk back.
type teller struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func tell(t *testing.T, s *server.Server) *teller {
	nc := testserver.Dial(t, s)
	return &teller{t, nc, bufio.NewReader(nc)}
}

func (c *teller) say(command string) string {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "%s\r\n", command)
	require.NoError(c.t, err)
	return c.reply()
}

func (c *teller) reply() string {
	require.NoError(c.t, c.SetDeadline(time.Now().Add(time.Minute)))
	line, err := c.r.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "$") && line != "$-1" {
		text, err := c.r.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(text)
	}
	return line
}

func segments(t *testing.T, dir string) map[string]string {
	files, err := filepath.Glob(filepath.Join(dir, "log-*.fer"))
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all[filepath.Base(f)] = string(text)
	}
	return all
}

func TestThreeNodes(t *testing.T) {
	x := newTrio(t)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	a := x.start("a", dirs[0])
	require.Equal(t, a, x.leader(1, a), "the first to come leads")
	client := tell(t, a)
	require.Equal(t, "+OK", client.say("SET before 1"))
	b, c := x.start("b", dirs[1]), x.start("c", dirs[2])
	x.leader(3, a)
	require.Equal(t, ":1", client.say("INCR n"))
	require.Equal(t, "+OK", client.say("MSET x 1 y 2"))
	require.Equal(t, ":2", client.say("WAIT 2 0"))

	digest := client.say("DEBUG DIGEST")
	for _, s := range []*server.Server{b, c} {
		follower := tell(t, s)
		require.Equal(t, "-READONLY You can't write against a read only replica.", follower.say("SET x 2"))
		require.Equal(t, digest, follower.say("DEBUG DIGEST"))
		require.Equal(t, "2", follower.say("GET y"))
	}
	require.Equal(t, segments(t, dirs[0]), segments(t, dirs[1]))
	require.Equal(t, segments(t, dirs[0]), segments(t, dirs[2]))
}

// TestTakeOver: the leader's lease runs out while it cannot know. It answers nothing
// more, the next one has everything, and the first comes back as a follower without
// what nobody was told of.
func TestTakeOver(t *testing.T) {
	x := newTrio(t, "--insync-timeout", "60000")
	a, b, c := x.start("a", t.TempDir()), x.start("b", t.TempDir()), x.start("c", t.TempDir())
	lead := x.leader(3, a, b, c)
	name := lead.Replication().Name
	client, reader := tell(t, lead), tell(t, lead)
	require.Equal(t, ":1", client.say("INCR n"))
	x.etcd.Cut(name, true)
	x.eventually("another one leads", func() bool {
		for _, s := range []*server.Server{a, b, c} {
			if s != lead && s.Replication().Leader {
				return true
			}
		}
		return false
	})
	for _, late := range []struct {
		c    *teller
		says string
	}{{client, "INCR n"}, {reader, "GET n"}} {
		if _, err := fmt.Fprintf(late.c, "%s\r\n", late.says); err == nil {
			require.NotRegexp(t, `^(:|\d)`, late.c.reply(), "a deposed leader answers %s", late.says)
		}
	}
	x.etcd.Cut(name, false)
	next := x.leader(3, a, b, c)
	require.NotEqual(t, lead, next)
	after := tell(t, next)
	require.Equal(t, "1", after.say("GET n"))
	require.Equal(t, ":2", after.say("INCR n"))
	require.Equal(t, ":2", after.say("WAIT 2 0"))
	require.Equal(t, after.say("DEBUG DIGEST"), tell(t, lead).say("DEBUG DIGEST"))
}

func TestHandover(t *testing.T) {
	x := newTrio(t)
	a := x.start("a", t.TempDir())
	x.leader(1, a)
	b := x.start("b", t.TempDir())
	x.leader(2, a)
	require.Equal(t, "+OK", tell(t, a).say("SET k v"))
	require.Equal(t, "+OK", tell(t, a).say(fmt.Sprintf("FAILOVER TO 127.0.0.1 %d", b.Port())))
	require.Equal(t, b, x.leader(2, b))
	require.Equal(t, "v", tell(t, b).say("GET k"))
	x.stop(b)
	require.Equal(t, a, x.leader(1, a), "who ends hands over first")
	require.Equal(t, "v", tell(t, a).say("GET k"))
}

func TestTooFewReplicas(t *testing.T) {
	x := newTrio(t, "--min-insync-replicas", "2")
	a := x.start("a", t.TempDir())
	x.leader(1, a)
	client := tell(t, a)
	x.eventually("writes are refused", func() bool {
		return client.say("SET k v") == "-NOREPLICAS Not enough good replicas to write."
	})
	require.Equal(t, "$-1", client.say("GET k"))
	x.start("b", t.TempDir())
	x.leader(2, a)
	x.eventually("writes are taken", func() bool { return client.say("SET k v") == "+OK" })
}

func TestWhoDoesNotBelong(t *testing.T) {
	alone := t.TempDir()
	s := testserver.Start(t, "--dir", alone, "--appendonly", "yes")
	require.Equal(t, "+OK", tell(t, s).say("SET mine 1"))
	require.NoError(t, s.Close())

	x := newTrio(t)
	a := x.start("a", t.TempDir())
	x.leader(1, a)
	_, err := x.open("b", alone)
	require.ErrorContains(t, err, "the data directory is not this cluster's")
	_, err = x.open("a", t.TempDir())
	require.ErrorIs(t, err, election.ErrNameTaken)
	_, err = x.open("b", t.TempDir(), "--appendonly", "no")
	require.ErrorContains(t, err, "appendonly yes")

	empty := &trio{t: t, etcd: election.NewFake(), by: map[string]*server.Server{}, logs: map[string]*lines{}}
	_, err = empty.open("a", t.TempDir())
	require.ErrorIs(t, err, election.ErrNoCluster)

	first := &trio{t: t, etcd: election.NewFake(), by: map[string]*server.Server{}, logs: map[string]*lines{}}
	require.NoError(t, first.etcd.Init("ferricd", "a"))
	_, err = first.open("b", alone)
	require.ErrorContains(t, err, "node a is to be the first")
	lead := first.start("a", alone)
	first.leader(1, lead)
	require.Equal(t, "1", tell(t, lead).say("GET mine"))
	follower := first.start("b", t.TempDir())
	first.leader(2, lead)
	require.Equal(t, "1", tell(t, follower).say("GET mine"), "a server with data has become a cluster")
	first.stop(lead)

	cfg := config.New()
	require.NoError(t, cfg.Load([]string{"--dir", alone}, nil))
	_, err = server.Open(server.Options{Config: cfg, Addr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "that of a node of a cluster")
	copied := filepath.Join(t.TempDir(), "copy")
	_, err = persist.Backup(vfs.OS, alone, copied)
	require.NoError(t, err)
	require.Equal(t, "1", tell(t, testserver.Start(t, "--dir", copied, "--appendonly", "yes")).say("GET mine"))
}

// TestAnEtcdThatIsGoneElectsNobody: the leader serves until its lease could have run
// out, and no longer; what is left follows nobody and refuses.
func TestAnEtcdThatIsGoneElectsNobody(t *testing.T) {
	x := newTrio(t)
	a := x.start("a", t.TempDir())
	x.leader(1, a)
	client := tell(t, a)
	require.Equal(t, "+OK", client.say("SET k v"))
	x.etcd.Freeze()
	x.eventually("it does not lead", func() bool { return !a.Replication().Leader })
	require.Equal(t, "-READONLY You can't write against a read only replica.", tell(t, a).say("SET k w"))
	x.etcd.Thaw()
	x.leader(1, a)
	require.Equal(t, "v", tell(t, a).say("GET k"))
}

// address is where other nodes reach a node.
func (x *trio) address(name string) string {
	admin := x.etcd.Admin("ferricd", ttl)
	defer func() { _ = admin.Close() }()
	view, err := admin.View(context.Background())
	require.NoError(x.t, err)
	return view.Node(name).Replication
}
