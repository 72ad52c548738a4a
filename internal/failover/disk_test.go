//go:build linux

package failover

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// mounted puts a file system of its own under a node's directory: one in memory, which
// can be full, or one in a file, which can be frozen.
func (n *node) mounted(t *testing.T, argv ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it mounts file systems, which only root may")
	}
	at := n.dir
	require.NoError(t, os.MkdirAll(at, 0o755))
	if out, err := exec.Command("mount", append(argv, at)...).CombinedOutput(); err != nil {
		t.Skipf("file systems cannot be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", at).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
}

func (n *node) onTmpfs(t *testing.T) {
	t.Helper()
	n.mounted(t, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
}

func (n *node) onLoop(t *testing.T) {
	t.Helper()
	needs(t, "mkfs.ext4", "fsfreeze")
	image := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 128<<20))
	out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput()
	require.NoError(t, err, "%s", out)
	n.mounted(t, "-o", "loop", image)
	n.dir = filepath.Join(n.dir, "data") // beside lost+found
}

// fill leaves no room on the node's disk.
func (n *node) fill(t *testing.T) {
	t.Helper()
	n.note("the disk is full")
	f, err := os.Create(n.ballast())
	require.NoError(t, err)
	defer f.Close()
	_, err = io.Copy(f, zeros{})
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func (n *node) ballast() string { return filepath.Join(n.dir, "ballast") }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// freeze stalls whatever writes to the node's disk.
func (n *node) freeze(t *testing.T) {
	t.Helper()
	n.note("the disk is stalled")
	at := filepath.Dir(n.dir)
	out, err := exec.Command("fsfreeze", "--freeze", at).CombinedOutput()
	require.NoError(t, err, "%s", out)
	// A process that waits for a frozen disk cannot even be killed.
	t.Cleanup(func() { _ = exec.Command("fsfreeze", "--unfreeze", at).Run() })
}

func (n *node) thaw(t *testing.T) {
	t.Helper()
	n.note("the disk is well")
	out, err := exec.Command("fsfreeze", "--unfreeze", filepath.Dir(n.dir)).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// again makes room and starts the node anew: the first failed write is final for the
// process, whether it has ended or goes on without a log.
func (n *node) again(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Remove(n.ballast()))
	n.crash()
	n.start(t)
}

// TestDisks lets the disk of a leader and of a follower stall, and be full.
func TestDisks(t *testing.T) {
	full, stalls := (*node).onTmpfs, (*node).onLoop
	for _, f := range []struct {
		disk func(*node, *testing.T)
		fault
	}{
		{full, fault{
			name: "the leader's disk is full", effect: anotherLeads,
			do:   func(t *testing.T, s *scene) { s.leader.fill(t) },
			mend: func(t *testing.T, s *scene) { s.leader.again(t) },
		}}, {full, fault{
			name: "a follower's disk is full", effect: nothingChanges, long: true,
			do:   func(t *testing.T, s *scene) { s.follower.fill(t) },
			mend: func(t *testing.T, s *scene) { s.follower.again(t) },
		}}, {stalls, fault{
			name: "the leader's disk stalls", effect: anotherLeads,
			do:   func(t *testing.T, s *scene) { s.leader.freeze(t) },
			mend: func(t *testing.T, s *scene) { s.leader.thaw(t) },
		}}, {stalls, fault{
			name: "a follower's disk stalls", effect: nothingChanges, lasts: 1, long: true,
			do:   func(t *testing.T, s *scene) { s.follower.freeze(t) },
			mend: func(t *testing.T, s *scene) { s.follower.thaw(t) },
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.long {
				long(t)
			}
			c := emptyCluster(t)
			c.init(t)
			for i := range 3 {
				n := c.newNode(t, fmt.Sprint("n", i+1))
				f.disk(n, t)
				n.start(t)
			}
			c.whole(t)
			f.run(t, c)
		})
	}
}
