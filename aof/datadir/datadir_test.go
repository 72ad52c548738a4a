package datadir

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/vfs"
)

func mustOpen(t *testing.T, fsys vfs.FS, path string) *Dir {
	d, err := Open(fsys, path)
	require.NoError(t, err)
	return d
}

func put(t *testing.T, fsys vfs.FS, name, text string) {
	f, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestBirthAndReopening(t *testing.T) {
	for _, fsys := range []vfs.FS{vfs.OS, vfs.NewMem()} {
		path := filepath.Join(t.TempDir(), "a/b")
		d := mustOpen(t, fsys, path)
		require.True(t, d.born)
		m := d.Manifest()
		require.Equal(t, Format, m.Format)
		require.NotEqual(t, ID{}, m.Cluster)
		require.NotEqual(t, m.Cluster, m.HashSeed)

		_, err := Open(fsys, path)
		require.ErrorIs(t, err, vfs.ErrLocked)
		require.ErrorContains(t, err, fmt.Sprintf("%s is in use by process %d", path, os.Getpid()))
		read, err := ReadManifest(fsys, path)
		require.NoError(t, err)
		require.Equal(t, m.Cluster, read.Cluster)

		require.NoError(t, d.Close())
		d = mustOpen(t, fsys, path)
		require.False(t, d.born)
		require.Equal(t, m.Cluster, d.Manifest().Cluster)
		require.Equal(t, m.HashSeed, d.Manifest().HashSeed)
		require.NoError(t, d.Close())
	}
}

func TestUpdate(t *testing.T) {
	m := vfs.NewMem()
	f := vfs.NewFaulty(m)
	d := mustOpen(t, f, "d")
	require.NoError(t, d.Close())
	text, err := vfs.ReadFile(m, "d/manifest.json", 1000)
	require.NoError(t, err)
	put(t, m, "d/manifest.json", strings.Replace(string(text), "{", `{"later": {"x": [1]},`, 1))
	d = mustOpen(t, f, "d")
	file := File{Name: "log-1", Size: 5, SHA256: "ab"}
	require.NoError(t, d.Update(func(m *Manifest) { m.Files = append(m.Files, file) }))

	f.Add(vfs.Rule{Ops: vfs.OpWrite, Times: 1, Err: syscall.ENOSPC})
	require.ErrorIs(t, d.Update(func(m *Manifest) { m.Files[0].Size = 6 }), syscall.ENOSPC)
	require.Equal(t, []File{file}, d.Manifest().Files, "the old one counts")
	cluster := d.Manifest().Cluster

	d = mustOpen(t, m.Crash(nil), "d")
	require.Equal(t, []File{file}, d.Manifest().Files)
	require.Equal(t, cluster, d.Manifest().Cluster)
	require.JSONEq(t, `{"x": [1]}`, string(d.Manifest().unknown["later"]))
}

func TestWhatIsRefused(t *testing.T) {
	good := `"cluster":"000102030405060708090a0b0c0d0e0f","hash_seed":"100102030405060708090a0b0c0d0e0f"`
	for _, c := range []struct{ file, text, want string }{
		{"manifest.json", "", "manifest d/manifest.json cannot be used"},
		{"manifest.json", "{", "cannot be used"},
		{"manifest.json", "[]", "cannot be used"},
		{"manifest.json", "null", "names no format"},
		{"manifest.json", "{" + good + "}", "names no format"},
		{"manifest.json", `{"format":0,` + good + "}", "names no format"},
		{"manifest.json", `{"format":2,"cluster":[]}`, "newer version of ferricd; this one knows formats up to 1"},
		{"manifest.json", `{"format":1,"cluster":"00"}`, "not 16 bytes"},
		{"manifest.json", `{"format":1}`, "lacks the cluster"},
		{"manifest.json", `{"format":1,` + good + `,"files":3}`, "cannot be used"},
		{"log-00000000000000000000.fer", "", "has log-00000000000000000000.fer but no manifest.json"},
		{"snapshot-00000000000000000007.fer", "", "has snapshot-00000000000000000007.fer but no manifest.json"},
		{"manifest.json", `{"format":1,"node":"200102030405060708090a0b0c0d0e0f",` + good + "}", ""},
		{"dump.rdb", "REDIS", ""},
		{"manifest.json.tmp", "{", ""},
	} {
		m := vfs.NewMem()
		require.NoError(t, m.MkdirAll("d", vfs.DirPerm))
		put(t, m, "d/"+c.file, c.text)
		for range 2 { // the lock is given back with the refusal
			d, err := Open(m, "d")
			if c.want == "" {
				require.NoError(t, err, c)
				require.NoError(t, d.Close())
				continue
			}
			require.ErrorContains(t, err, c.want, c.text)
			require.NotErrorIs(t, err, vfs.ErrLocked)
		}
		text, err := vfs.ReadFile(m, "d/"+c.file, 1000)
		if c.file != "manifest.json.tmp" {
			require.NoError(t, err)
			require.Equal(t, c.text, string(text), "what is refused is left as it was")
		}
	}
}

// TestEveryFaultAtBirth lets each operation of a first start fail, or the machine
// crash there: the next start finds a directory of its own or makes one, and one
// whose making was reported stays what it was.
func TestEveryFaultAtBirth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n, hit := 0, true; hit; n++ {
		for _, crash := range []bool{false, true} {
			m := vfs.NewMem()
			after, rule := m, vfs.Rule{Skip: n, Times: 1, Err: syscall.EIO}
			if crash {
				rule = vfs.Rule{Skip: n, Times: 1, Before: func(vfs.Call) { after = m.Crash(rng) }}
			}
			f := vfs.NewFaulty(m)
			f.Add(rule)
			d, err := Open(f, "a/d")
			hit = f.Count(^vfs.Op(0)) > n
			if err == nil {
				require.False(t, hit, "an operation failed and nobody noticed")
				require.Greater(t, n, 10)
				after = m.Crash(nil)
			}
			again, errAgain := Open(after, "a/d")
			require.NoError(t, errAgain, "operation %d, crash %v: %v", n, crash, err)
			if err == nil {
				require.Equal(t, d.Manifest().Cluster, again.Manifest().Cluster)
				require.Equal(t, d.Manifest().HashSeed, again.Manifest().HashSeed)
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	text, err := newManifest().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1,"files":[{"name":"x"}],"Format":7}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decodeManifest(text)
		if err != nil {
			return
		}
		again, err := m.encode()
		require.NoError(t, err)
		n, err := decodeManifest(again)
		require.NoError(t, err)
		require.Equal(t, m.Cluster, n.Cluster)
		require.Equal(t, m.HashSeed, n.HashSeed)
		require.Equal(t, m.Files, n.Files)
	})
}

func TestTheManifestIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	d := mustOpen(t, vfs.OS, path)
	require.NoError(t, d.Close())
	for name, want := range map[string]fs.FileMode{"": vfs.DirPerm, manifestName: vfs.FilePerm} {
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), name)
	}
}

// TestOldManifestsGetANode: they were written before there were clusters.
func TestOldManifestsGetANode(t *testing.T) {
	m := vfs.NewMem()
	require.NoError(t, m.MkdirAll("d", vfs.DirPerm))
	put(t, m, "d/manifest.json", `{"format":1,"cluster":"000102030405060708090a0b0c0d0e0f","hash_seed":"100102030405060708090a0b0c0d0e0f"}`)
	require.NoError(t, m.SyncDir("."))
	d, err := Open(m, "d")
	require.NoError(t, err)
	node := d.Manifest().Node
	require.NotZero(t, node)
	require.False(t, d.Manifest().Member)
	require.NoError(t, d.Update(func(m *Manifest) { m.Member, m.Epoch = true, 1<<63+1 }))
	require.NoError(t, d.Close())
	d, err = Open(m.Crash(nil), "d")
	require.NoError(t, err)
	require.Equal(t, node, d.Manifest().Node)
	require.True(t, d.Manifest().Member)
	require.Equal(t, uint64(1<<63+1), d.Manifest().Epoch)
	require.NoError(t, d.Close())
}
