package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/metrics"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/store"
)

// A host is as much of a server as the commands of these tests ask for.
type host struct {
	command.Server
	ks *store.Keyspace
}

func (h host) Keyspace() *store.Keyspace { return h.ks }

// A node is a keeper with its keyspace, in this process.
type node struct {
	t      require.TestingT
	fs     vfs.FS
	k      *Keeper
	ks     *store.Keyspace
	runner *rmw.Runner
	do     *router.Internal
	s      *Standby
}

const nodeDir = "data"

// startNode opens what a file system has; the caller ends it with close.
func startNode(t require.TestingT, fsys vfs.FS, change ...func(*Options)) (*node, error) {
	o := Options{FS: fsys, Dir: nodeDir, Policy: aof.Always, SegmentBytes: 2000}
	for _, c := range change {
		c(&o)
	}
	k, err := Open(o)
	if err != nil {
		return nil, err
	}
	n := &node{t: t, fs: fsys, k: k}
	cfg := config.New()
	require.NoError(t, cfg.Load([]string{"--enable-debug-command", "yes"}, nil))
	n.runner = rmw.New(rmw.Options{Shards: 4})
	n.ks = store.New(store.Options{Shards: 4, Databases: 16, Seed: k.Seed(), Slots: n.runner.Table()})
	n.ks.SetListFill(-2)
	r := router.New(router.Options{
		Config: cfg, Keyspace: n.ks, Runner: n.runner, Limits: resp.NewLimits(), Sink: k.Journal(), Server: host{ks: n.ks},
		Stats: &command.Stats{
			Commands: metrics.NewCommands(len(command.All().Rows())), SlowLog: metrics.NewSlowLog(16),
			Latency: metrics.NewLatencyMonitor(), Errors: metrics.NewErrors(),
		},
	})
	n.do = r.NewInternal()
	k.Attach(n.ks, r, n.runner)
	if err := k.Load(true, nil); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func newNode(t testing.TB, fsys vfs.FS, change ...func(*Options)) *node {
	t.Helper()
	n, err := startNode(t, fsys, change...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.close() })
	return n
}

// restart opens what a crash has left. When of what was not synced the disk has a later
// part and not an earlier one, that is damage like any other, and takes a repair.
func restart(t require.TestingT, fsys vfs.FS) *node {
	n, err := startNode(t, fsys)
	if broken := (*aof.BrokenError)(nil); errors.As(err, &broken) {
		_, err = Repair(fsys, nodeDir, func(string) {})
		require.NoError(t, err)
		n, err = startNode(t, fsys)
	}
	require.NoError(t, err)
	return n
}

// close may come twice.
func (n *node) close() error {
	if n.do == nil {
		return nil
	}
	n.do.Close()
	n.do = nil
	return errors.Join(n.k.Close(), n.runner.Stop(context.Background()))
}

func (n *node) run(line string) {
	_, err := n.do.Do(0, bytes.Fields([]byte(line))...)
	require.NoError(n.t, err, line)
}

func (n *node) get(key string) string {
	b, err := n.do.Do(0, []byte("GET"), []byte(key))
	require.NoError(n.t, err)
	return string(b)
}

func (n *node) digest() string {
	b, err := n.do.Do(0, []byte("DEBUG"), []byte("DIGEST"))
	require.NoError(n.t, err)
	return string(b)
}

func (n *node) sync() { require.NoError(n.t, n.k.journal.log.Load().Sync()) }

func (n *node) end() uint64 { return n.k.journal.End() }

// follow makes the node a standby of a leader's cluster.
func (n *node) follow(leader *node) *Standby {
	if n.k.Empty() {
		require.NoError(n.t, n.k.Adopt(leader.k.Cluster()))
	}
	s, err := n.k.Standby()
	require.NoError(n.t, err)
	n.s = s
	return s
}

// catchUp brings everything up to the leader's end to a standby, in chunks of about
// max bytes.
func (n *node) catchUp(leader *node, max int) error {
	end := leader.end()
	received, _, _ := n.s.Positions()
	t, err := leader.k.Tail(received)
	if err != nil {
		return err
	}
	defer t.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for at := received; at < end; {
		c, err := t.Next(ctx, max)
		if err == nil && c.Segment != nil {
			err = n.s.Segment(c.Segment.First, c.Segment.Epoch)
		} else if err == nil {
			err = n.s.Append(c.Frames)
		}
		if err != nil {
			return err
		}
		at = c.End
	}
	return n.settle(end)
}

// settle waits until a position is applied and durable.
func (n *node) settle(lsn uint64) error {
	deadline := time.After(time.Minute)
	for {
		moved := n.s.Moved()
		_, applied, durable := n.s.Positions()
		switch {
		case n.s.Err() != nil:
			return n.s.Err()
		case n.k.journal.log.Load().Err() != nil:
			return n.k.journal.log.Load().Err()
		case applied >= lsn && durable >= lsn:
			return nil
		}
		select {
		case <-moved:
		case <-deadline:
			return fmt.Errorf("applied %d, durable %d, never %d", applied, durable, lsn)
		}
	}
}

// logFiles are the segments that hold something behind a position.
func logFiles(t require.TestingT, fsys vfs.FS, from uint64) map[string]string {
	files := map[string]string{}
	list, err := aof.Segments(fsys, nodeDir)
	require.NoError(t, err)
	for _, s := range list {
		// A header alone, or less, is a segment that the other may not have been told of yet.
		const header = 52
		if s.Size <= header || s.First+uint64(s.Size) <= from+header {
			continue
		}
		b, err := vfs.ReadFile(fsys, path.Join(nodeDir, s.Name), 1<<30)
		require.NoError(t, err)
		files[s.Name] = string(b)
	}
	return files
}

// same holds two nodes against each other: memory, history, bytes of the log.
func same(t require.TestingT, a, b *node) {
	require.Equal(t, a.end(), b.end())
	require.Equal(t, a.digest(), b.digest(), "what they hold in memory")
	oldest := max(a.k.OldestLSN(), b.k.OldestLSN())
	la, lb := logFiles(t, a.fs, oldest), logFiles(t, b.fs, oldest)
	require.Equal(t, keysOf(la), keysOf(lb))
	for name := range la {
		require.True(t, la[name] == lb[name], "the bytes of %s", name)
	}
}

func keysOf(m map[string]string) map[string]int {
	sizes := map[string]int{}
	for name, b := range m {
		sizes[name] = len(b)
	}
	return sizes
}

func TestAStandbyIsWhatItsLeaderIs(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	a.run("SET before 1")
	lsn, err := a.k.Lead(7)
	require.NoError(t, err)
	require.Equal(t, lsn, a.end())
	require.Equal(t, []aof.EpochStart{{Epoch: 1, First: 0}, {Epoch: 7, First: lsn - 40}}, a.k.History())
	s := b.follow(a)
	for i := range 100 {
		a.run(fmt.Sprintf("RPUSH list%d %s", i%7, strings.Repeat("x", i+1)))
	}
	require.NoError(t, b.catchUp(a, 300))
	same(t, a, b)
	require.Equal(t, a.k.History(), s.History())
	require.Equal(t, uint64(7), s.Epoch())
	require.Equal(t, a.k.Cluster(), b.k.Cluster())

	_, err = b.k.Standby()
	require.Error(t, err, "one at a time")
	require.ErrorIs(t, b.k.SetLogging(false), ErrClustered)
	require.ErrorIs(t, b.k.Reload(true), ErrClustered)
	_, err = b.k.ImportLog("x", nil)
	require.ErrorIs(t, err, ErrClustered)

	lsn, err = b.k.Lead(9)
	require.NoError(t, err)
	require.ErrorIs(t, s.Append(nil), ErrOver)
	b.run("SET mine 1")
	require.Greater(t, b.end(), lsn)
	a.follow(b)
	require.NoError(t, a.catchUp(b, 1<<20))
	same(t, a, b)
	require.Equal(t, "$1\r\n1\r\n", a.get("mine"))
}
