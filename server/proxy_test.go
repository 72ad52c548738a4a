package server_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
	"github.com/ferricd/ferricd/proxy"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/server"
)

// A pair is a follower that passes on, and who leads.
type pair struct {
	follower *server.Server
	proxy    *proxy.Proxy
	epoch    atomic.Uint64
	fresh    atomic.Bool

	mu      sync.Mutex // guards the fields below
	leader  *server.Server
	changed chan struct{}
	links   []net.Conn // the follower's ends
}

func newPair(t testing.TB, o proxy.Options, args ...string) *pair {
	t.Helper()
	p := &pair{changed: make(chan struct{})}
	p.follower = testserver.Start(t, args...)
	o.Dial, o.Leader, o.Node = p.dial, p.who, "follower"
	p.proxy = proxy.New(o)
	t.Cleanup(func() { require.NoError(t, p.proxy.Close()) })
	follow(t, p.follower, router.Standby{Forward: p.proxy, Fresh: p.fresh.Load})
	return p
}

func (p *pair) who() (uint64, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch.Load(), p.changed
}

// lead lets somebody lead, or nobody.
func (p *pair) lead(s *server.Server, epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = s
	p.epoch.Store(epoch)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pair) dial(ctx context.Context, hello []byte) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leader == nil {
		return nil, errors.New("nobody leads")
	}
	here, there, err := connection()
	if err != nil {
		return nil, err
	}
	p.links = append(p.links, here)
	p.leader.PassedOn(there, hello)
	return here, ctx.Err()
}

// connection is both ends of a TCP connection.
func connection() (a, b net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	b, err = ln.Accept()
	return a, b, err
}

// cut breaks all links.
func (p *pair) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range p.links {
		_ = nc.Close()
	}
	p.links = nil
}

func led(t testing.TB, o proxy.Options, args ...string) (*pair, *server.Server) {
	t.Helper()
	p := newPair(t, o, args...)
	leader := testserver.Start(t)
	require.NoError(t, leader.SetRole(router.RoleLeader))
	p.lead(leader, 1)
	return p, leader
}

// asked are parameters that change what commands answer. A node has its own, and the
// leader's count.
var asked = map[config.ID]string{
	config.NotifyKeyspaceEvents: "notify-keyspace-events", config.MaxMemory: "maxmemory", config.MaxMemorySamples: "maxmemory-samples",
	config.MaxMemoryPolicy: "maxmemory-policy", config.HashMaxListpackEntries: "hash-max-listpack-entries",
	config.HashMaxListpackValue: "hash-max-listpack-value", config.ProtoMaxBulkLen: "proto-max-bulk-len",
	config.ZsetMaxListpackEntries: "zset-max-listpack-entries", config.ZsetMaxListpackValue: "zset-max-listpack-value",
	config.SetMaxIntsetEntries: "set-max-intset-entries", config.HLLSparseMaxBytes: "hll-sparse-max-bytes",
	config.StreamNodeMaxEntries: "stream-node-max-entries", config.StreamNodeMaxBytes: "stream-node-max-bytes",
	config.ListMaxListpackSize: "list-max-listpack-size",
}

// notThroughAFollower are transcripts of what each node answers by itself, and what of it.
var notThroughAFollower = map[string]string{
	"connection/tracking_optin":   "a command that is answered here does not end CLIENT CACHING",
	"connection/tracking_options": "a command that is answered here does not end CLIENT CACHING",
	"hash/expired_fields":         "DEBUG SET-ACTIVE-EXPIRE stops the cycle of this node, not the leader's",
	"pubsub/clients":              "CLIENT LIST and INFO show what is subscribed to here",
	"pubsub/resp3":                "CLIENT LIST shows what is subscribed to here",
	"pubsub/notify_new":           "CONFIG GET, by which the leader gets it, does not show n beside A",
	"server/debug":                "DEBUG looks at what is here",
	"server/debug_digest":         "DEBUG looks at what is here",
	"server/debug_object":         "DEBUG looks at what is here",
	"server/debug_populate":       "DEBUG looks at what is here, and writes nothing",
	"server/info":                 "INFO tells of this node",
	"server/latency_histogram":    "LATENCY tells of this node",
	"server/memory_stats":         "MEMORY STATS tells of this node",
	"server/slowlog":              "SLOWLOG tells of this node",
	"server/replication":          "a follower is not followed by PSYNC",
}

// later are the lines of a transcript that need to know at once what another client does.
var later = regexp.MustCompile(`(?m)^([1-9] (parks|closes)|[1-9]?> RESET)$`)

// Through a follower that passes on every transcript is the same.
func TestTranscriptsThroughAFollower(t *testing.T) {
	p, leader := led(t, proxy.Options{})
	for id, name := range asked {
		p.follower.Config().OnChange(func() error {
			return leader.Config().Set(false, name, p.follower.Config().Get(name)[0].Value)
		}, id)
	}
	paths, err := filepath.Glob("../command/testdata/*/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "../command/testdata/"), ".txt")
		t.Run(name, func(t *testing.T) {
			if why := notThroughAFollower[name]; why != "" {
				t.Skip(why)
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			if later.Match(text) {
				t.Skip("that a client waits, has left or has begun anew the leader knows a moment later than its follower")
			}
			transcript.Run(t, transcript.TCP(p.follower.Addr()), path, transcript.Options{})
		})
	}
}

func TestAFollowerPassesOn(t *testing.T) {
	p, leader := led(t, proxy.Options{})
	c := dial(t, p.follower)
	require.Equal(t, "PONG", said(t, c, "PING"))
	require.Empty(t, p.links)
	require.Equal(t, "OK", said(t, c, "CLIENT SETNAME me"))
	require.Equal(t, "OK", said(t, c, "SELECT 3"))
	require.Equal(t, "OK", said(t, c, "SET k v"))
	require.Equal(t, `"v"`, said(t, c, "GET k"))
	require.Equal(t, "(integer) 0", said(t, c, "WAIT 0 0"))
	there := dial(t, leader)
	list := said(t, there, "CLIENT LIST")
	require.Contains(t, list, "addr="+c.raw.LocalAddr().String())
	require.Contains(t, list, "name=me")
	require.Contains(t, list, "flags=p db=3")
	said(t, there, "SELECT 3")
	require.Equal(t, `"v"`, said(t, there, "GET k"))
	require.Equal(t, "OK", said(t, c, "SELECT 4"))
	require.Equal(t, "(nil)", said(t, c, "GET k"))
	big := strings.Repeat("x", 3<<20)
	v, err := c.Do("SET", "big", big)
	require.NoError(t, err)
	require.Equal(t, "OK", v.String())
	v, err = c.Do("MGET", "big", "big", "big")
	require.NoError(t, err)
	require.Equal(t, big, v.Elems[2].Str)
	pipeline(t, c, "GET none|PING|SET a 1|INCR a|ECHO x|INCR a|SELECT 3|GET k")
	for _, want := range []string{"(nil)", "PONG", "OK", "(integer) 2", `"x"`, "(integer) 3", "OK", `"v"`} {
		v, err := c.Receive(false)
		require.NoError(t, err)
		require.Equal(t, want, v.String())
	}
	require.Zero(t, p.follower.Keyspace().Len(3))
}
