//go:build linux

package failover

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
)

// TestClientsFindTheLeader kills the leader of clients that look for it in their own
// ways, and lets each write before and after.
func TestClientsFindTheLeader(t *testing.T) {
	c := newCluster(t)
	leader := c.leader(t)
	epoch := leader.info().number("ferricd_epoch")
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.addr())
	}
	follower := c.others(leader)[0]
	clients := map[string]func(key string) error{
		"go-redis by Sentinel":            goRedisFailover(t, c.name, addrs),
		"go-redis at a follower":          goRedis(t, follower.addr()),
		"redis-py by Sentinel":            redisPy(c.name, addrs),
		"redis-cli at a follower":         redisCLI(follower),
		"redis-cli in a pipe, a follower": redisCLIPipe(follower),
	}
	write := func(moment string) {
		for name, incr := range clients {
			key := name + moment
			t.Run(key, func(t *testing.T) {
				if incr == nil {
					t.Skip("it is not installed")
				}
				eventually(t, "it writes", func() bool {
					err := incr(key)
					if err != nil {
						t.Log(err)
					}
					return err == nil
				})
			})
		}
	}
	write(", before")
	leader.crash()
	write(", after")
	next := c.leads(t, epoch+1, leader)
	for name, incr := range clients {
		if incr == nil {
			continue
		}
		for _, moment := range []string{", before", ", after"} {
			v, err := strconv.Atoi(next.must(t, "GET", name+moment).Str)
			require.NoError(t, err)
			require.Positive(t, v, name+moment)
		}
	}
}

func brief() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Second)
}

func goRedisFailover(t *testing.T, name string, addrs []string) func(string) error {
	to := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: name, SentinelAddrs: addrs})
	t.Cleanup(func() { _ = to.Close() })
	return func(key string) error {
		ctx, cancel := brief()
		defer cancel()
		return to.Incr(ctx, key).Err()
	}
}

func goRedis(t *testing.T, addr string) func(string) error {
	to := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 20 * time.Second})
	t.Cleanup(func() { _ = to.Close() })
	return func(key string) error {
		ctx, cancel := brief()
		defer cancel()
		return to.Incr(ctx, key).Err()
	}
}

// TestRueidisIsRedirected lets one client, which knows one follower, write before and
// after the leadership has moved away from that follower's leader.
func TestRueidisIsRedirected(t *testing.T) {
	c := newCluster(t, "--follower-mode", "redirect")
	leader := c.leader(t)
	others := c.others(leader)
	to, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{others[0].addr()}, DisableCache: true,
		Standalone: rueidis.StandaloneOption{EnableRedirect: true},
	})
	require.NoError(t, err)
	t.Cleanup(to.Close)
	incr := func() {
		eventually(t, "it writes", func() bool {
			ctx, cancel := brief()
			defer cancel()
			return to.Do(ctx, to.B().Incr().Key("k").Build()).Error() == nil
		})
	}
	incr()
	_, stderr, code := c.admin(t, "handover", others[1].name)
	require.Zero(t, code, stderr)
	incr()
	require.Equal(t, "2", others[1].must(t, "GET", "k").Str)
}

func redisCLI(n *node) func(string) error {
	if _, err := exec.LookPath("redis-cli"); err != nil {
		return nil
	}
	return func(key string) error {
		out, err := exec.Command("redis-cli", "-p", strconv.Itoa(n.client), "incr", key).CombinedOutput()
		return said(out, err, strings.TrimSpace(string(out)) == "1")
	}
}

func redisCLIPipe(n *node) func(string) error {
	if _, err := exec.LookPath("redis-cli"); err != nil {
		return nil
	}
	return func(key string) error {
		cmd := exec.Command("redis-cli", "-p", strconv.Itoa(n.client), "--pipe")
		cmd.Stdin = strings.NewReader(strings.Repeat("INCR \""+key+"\"\r\n", 100))
		out, err := cmd.CombinedOutput()
		return said(out, err, strings.Contains(string(out), "errors: 0, replies: 100"))
	}
}

const redisPyIncr = `
import sys
from redis.sentinel import Sentinel
name, key, addrs = sys.argv[1], sys.argv[2], [a.rsplit(":", 1) for a in sys.argv[3:]]
leader = Sentinel([(h, int(p)) for h, p in addrs], socket_timeout=5).master_for(name, socket_timeout=20)
print(leader.incr(key))
`

func redisPy(name string, addrs []string) func(string) error {
	if exec.Command("python3", "-c", "import redis.sentinel").Run() != nil {
		return nil
	}
	return func(key string) error {
		out, err := exec.Command("python3", append([]string{"-c", redisPyIncr, name, key}, addrs...)...).CombinedOutput()
		return said(out, err, err == nil)
	}
}

// said is what a program has said, unless that is well.
func said(out []byte, err error, well bool) error {
	if well {
		return nil
	}
	return errors.Join(err, errors.New(strings.TrimSpace(string(out))))
}
