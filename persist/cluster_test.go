package persist

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
)

// TestOneCopyOfALogIsOneNode: what a cluster knows of a node must not be believed of
// a copy of its directory, nor after something was taken away from it.
func TestOneCopyOfALogIsOneNode(t *testing.T) {
	m := vfs.NewMem()
	a := newNode(t, m)
	a.run("SET k v")
	a.run("SET k w")
	id := a.k.Node()
	require.Len(t, id, 32)
	require.NoError(t, a.close())
	a = newNode(t, m)
	require.Equal(t, id, a.k.Node(), "over a restart")
	require.NoError(t, a.close())

	_, err := Backup(m, nodeDir, "to")
	require.NoError(t, err)
	was, err := datadir.ReadManifest(m, nodeDir)
	require.NoError(t, err)
	is, err := datadir.ReadManifest(m, "to")
	require.NoError(t, err)
	require.NotEqual(t, was.Node, is.Node)
	require.NotZero(t, is.Node)
	require.Equal(t, was.Cluster, is.Cluster)

	sound, err := Repair(m, nodeDir, func(string) {})
	require.NoError(t, err)
	require.True(t, sound)
	is, err = datadir.ReadManifest(m, nodeDir)
	require.NoError(t, err)
	require.Equal(t, was.Node, is.Node, "nothing was to be repaired")
	f, err := m.OpenFile(path.Join(nodeDir, named(t, a, "log-")[0]), 2, 0)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size-1))
	require.NoError(t, f.Close())
	_, err = Repair(m, nodeDir, func(string) {})
	require.NoError(t, err)
	is, err = datadir.ReadManifest(m, nodeDir)
	require.NoError(t, err)
	require.NotEqual(t, was.Node, is.Node)
}

func TestMembership(t *testing.T) {
	m := vfs.NewMem()
	a := newNode(t, m)
	member, epoch := a.k.Member()
	require.False(t, member)
	require.Zero(t, epoch)
	require.True(t, a.k.Empty())
	other := strings.Repeat("ab", 16)
	require.Error(t, a.k.Adopt("x"))
	require.NoError(t, a.k.Adopt(other))
	require.Equal(t, other, a.k.Cluster())
	require.NoError(t, a.k.NoteMember(7))
	require.NoError(t, a.k.NoteMember(5))
	_, err := a.k.Lead(6)
	require.ErrorIs(t, err, aof.ErrEpoch)
	_, err = a.k.Lead(7)
	require.NoError(t, err)
	_, err = a.k.Lead(7)
	require.ErrorIs(t, err, aof.ErrEpoch)
	require.False(t, a.k.Empty())
	require.ErrorIs(t, a.k.Adopt(strings.Repeat("cd", 16)), ErrForeign)
	require.NoError(t, a.k.Adopt(other))
	a.run("SET k v")
	require.NoError(t, a.close())
	a = newNode(t, m.Crash(nil))
	member, epoch = a.k.Member()
	require.True(t, member)
	require.Equal(t, uint64(7), epoch)
	require.Equal(t, other, a.k.Cluster())
	require.Equal(t, "$1\r\nv\r\n", a.get("k"))
	require.Equal(t, []aof.EpochStart{{Epoch: 7, First: 0}}, a.k.History())
}

// TestTheOfflineToolsAndEpochs: a unit without records is nothing to tell.
func TestTheOfflineToolsAndEpochs(t *testing.T) {
	m := vfs.NewMem()
	a := newNode(t, m)
	_, err := a.k.Lead(3)
	require.NoError(t, err)
	a.run("SET k v")
	_, err = a.k.Lead(4)
	require.NoError(t, err)
	require.NoError(t, a.close())
	var text strings.Builder
	require.NoError(t, Dump(m, nodeDir, &text, true))
	require.Equal(t, "SELECT 0\nSET k v\n", text.String())
	text.Reset()
	sound, err := Check(m, nodeDir, func(line string) { fmt.Fprintln(&text, line) })
	require.NoError(t, err)
	require.True(t, sound)
	require.Contains(t, text.String(), "then runs 3 records")
}

// TestADirectoryInTransit is finished by a start and by a repair, and read by nobody.
func TestADirectoryInTransit(t *testing.T) {
	a := filled(t, vfs.NewMem())
	for _, how := range []string{"start", "repair"} {
		m := vfs.NewMem()
		f := vfs.NewFaulty(m)
		b := newNode(t, f)
		b.run("SET mine 1")
		s, err := b.k.Standby()
		require.NoError(t, err)
		b.s = s
		left := m
		f.Add(vfs.Rule{Ops: vfs.OpRemove, Name: "staging.json", Before: func(vfs.Call) {
			if left == m {
				left = m.Crash(nil)
			}
		}})
		require.Error(t, b.copyFrom(a, 1000, 1<<30))
		_ = b.close()
		require.Contains(t, names(t, left), installName)
		_, err = Check(left, nodeDir, func(string) {})
		require.ErrorIs(t, err, errInstalling)
		require.ErrorIs(t, Dump(left, nodeDir, &strings.Builder{}, true), errInstalling)
		_, err = Backup(left, nodeDir, "to")
		require.ErrorIs(t, err, errInstalling)
		if how == "repair" {
			sound, err := Repair(left, nodeDir, func(string) {})
			require.NoError(t, err)
			require.True(t, sound)
			require.NotContains(t, names(t, left), installName)
		}
		b = newNode(t, left)
		same(t, a, b)
	}
}

// TestWhatACopyHasLeftGoes with the next snapshot, if nobody goes on with it.
func TestWhatACopyHasLeftGoes(t *testing.T) {
	a, b := filled(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	b.follow(a)
	require.ErrorIs(t, b.copyFrom(a, 1000, 2), errInterrupted)
	require.NotEmpty(t, named(t, b, stagePrefix))
	require.NoError(t, b.k.Save())
	require.Empty(t, named(t, b, stagePrefix))
}
