package replica

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A flaky network ends each connection after so many bytes.
type flaky struct {
	net.Conn
	left atomic.Int64
}

var errFlaky = errors.New("the network is flaky")

func (f *flaky) Read(b []byte) (int, error) {
	if f.left.Load() <= 0 {
		f.Conn.Close()
		return 0, errFlaky
	}
	n, err := f.Conn.Read(b[:min(int64(len(b)), max(1, f.left.Load()))])
	f.left.Add(int64(-n))
	return n, err
}

func (f *flaky) Write(b []byte) (int, error) {
	n, err := f.Conn.Write(b[:min(int64(len(b)), max(0, f.left.Load()))])
	if f.left.Add(int64(-n)); err == nil && n < len(b) {
		f.Conn.Close()
		err = errFlaky
	}
	return n, err
}

// A cluster is three nodes whose part changes.
type clusterOf struct {
	t      *rapid.T
	nodes  []*node
	epoch  uint64
	leader int
	hub    *Hub
	addr   string
	stop   []func()
	steady atomic.Bool // connections last
}

func (c *clusterOf) network(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil || c.steady.Load() {
		return nc, err
	}
	f := &flaky{Conn: nc}
	f.left.Store(int64(rand.Intn(40 << 10)))
	return f, nil
}

// elect makes a node the leader and the others its followers, until depose.
func (c *clusterOf) elect(leader int) {
	c.epoch++
	c.leader = leader
	n := c.nodes[leader]
	n.lead(c.epoch)
	c.hub = NewHub(HubOptions{Me: n.id(), Secrets: secrets})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.hub.Listen(ln)
	c.hub.Lead(c.epoch, n)
	c.addr = ln.Addr().String()
	c.stop = []func(){func() { require.NoError(c.t, c.hub.Close()) }}
	for i, f := range c.nodes {
		if i != leader {
			c.stop = append(c.stop, c.follows(f))
		}
	}
}

// follows keeps a node in sessions.
func (c *clusterOf) follows(f *node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	o := options(f, c.addr)
	o.Network, o.MinEpoch = c.network, c.epoch
	f.current().SetFollowing(true)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := Follow(ctx, o)
			if errors.Is(err, ErrProtocol) || errors.Is(err, ErrStale) {
				c.t.Errorf("%s: %v", f.name, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// settle waits, on a steady network, until all have what the leader has.
func (c *clusterOf) settle() {
	c.steady.Store(true)
	defer c.steady.Store(false)
	for _, n := range c.nodes {
		n.awaitsAt(c.nodes[c.leader].End(), c.epoch)
	}
}

func (c *clusterOf) depose() {
	for _, stop := range c.stop {
		stop()
	}
	c.stop = nil
}

// TestLogsBecomeEqual: whoever leads, whatever breaks meanwhile, and however far
// logs have parted: when the network is steady again all are the leader's.
func TestLogsBecomeEqual(t *testing.T) {
	var cuts, copies int
	rapid.Check(t, func(t *rapid.T) {
		c := &clusterOf{t: t}
		for _, name := range []string{"a", "b", "c"} {
			c.nodes = append(c.nodes, newNode(t, name))
		}
		c.elect(0)
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "elect", "drop", "alone", "alone", "restart"}).Draw(t, "step") {
			case "write":
				c.nodes[c.leader].write(rapid.IntRange(1, 300).Draw(t, "records"), rapid.IntRange(0, 200).Draw(t, "size"))
			case "elect":
				c.depose()
				c.elect(rapid.IntRange(0, 2).Draw(t, "leader"))
			case "drop":
				n := c.nodes[c.leader].current()
				require.NoError(t, n.DropBefore(n.End()))
			case "restart":
				c.depose()
				n := c.nodes[rapid.IntRange(0, 2).Draw(t, "node")]
				n.close()
				n.open()
				c.elect(c.leader)
			case "alone":
				// What nobody else has: the next leader may know nothing of it.
				c.settle()
				c.depose()
				c.nodes[c.leader].write(rapid.IntRange(1, 50).Draw(t, "records"), 10)
				c.elect(rapid.IntRange(0, 2).Draw(t, "leader"))
			}
		}
		c.depose()
		c.elect(rapid.IntRange(0, 2).Draw(t, "leader"))
		leader := c.nodes[c.leader]
		lsn := leader.write(20, 20)
		c.settle()
		c.depose()
		for _, n := range c.nodes {
			require.Equal(t, lsn, n.End())
			for name, b := range n.files() {
				if want, ok := leader.files()[name]; ok {
					require.True(t, bytes.Equal(want, b), "%s of %s", name, n.name)
				}
			}
			cuts += n.cuts
			copies += n.copies
			n.close()
		}
	})
	t.Logf("%d cuts, %d copies", cuts, copies)
}
