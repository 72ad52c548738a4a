package persist

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
	"github.com/ferricd/ferricd/store"
)

// copyFrom brings a full copy of the leader to the node, in pieces, and says when it
// was interrupted.
func (n *node) copyFrom(leader *node, piece int, most int) error {
	p, err := leader.k.Pin()
	if err != nil {
		return err
	}
	defer p.Release()
	t, err := n.s.Stage()
	if err != nil {
		return err
	}
	missing, err := t.Want(p.Files())
	if err != nil {
		return err
	}
	for _, m := range missing {
		r, err := p.Open(m.Name)
		if err != nil {
			return err
		}
		buf := make([]byte, piece)
		for at := m.Offset; at < m.Size; {
			if most--; most < 0 {
				t.Close()
				return errInterrupted
			}
			c, err := r.ReadAt(buf[:min(int64(piece), m.Size-at)], at)
			if err != nil && err != io.EOF {
				return err
			}
			if err := t.Write(m.Name, at, buf[:c]); err != nil {
				return err
			}
			at += int64(c)
		}
		if err := t.Done(m.Name); err != nil {
			return err
		}
	}
	return t.Install(p.LSN(), p.Cluster(), p.Epoch())
}

var errInterrupted = errors.New("interrupted")

// filled is a leader with a snapshot and several segments behind it.
func filled(t testing.TB, fsys vfs.FS) *node {
	a := newNode(t, fsys)
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	for i := range 60 {
		a.run(fmt.Sprintf("SET key%d %s", i, strings.Repeat("v", 100)))
		if i == 20 {
			require.NoError(t, a.k.Save())
		}
	}
	a.sync()
	return a
}

func TestAFullCopy(t *testing.T) {
	a := filled(t, vfs.NewMem())
	m := vfs.NewMem()
	b := newNode(t, m)
	b.run("SET mine 1") // of no cluster
	b.run("SADD other a b c")
	require.NoError(t, b.k.Save())
	require.ErrorIs(t, b.k.Adopt(a.k.Cluster()), ErrForeign)
	s, err := b.k.Standby()
	require.NoError(t, err)
	b.s = s
	require.NoError(t, b.copyFrom(a, 777, 1<<30))
	same(t, a, b)
	require.Equal(t, a.k.Cluster(), b.k.Cluster())
	require.NotEqual(t, a.k.Node(), b.k.Node())
	member, epoch := b.k.Member()
	require.True(t, member)
	require.Equal(t, uint64(5), epoch)
	require.Equal(t, "$-1\r\n", b.get("mine"))

	a.run("SET more 1")
	require.NoError(t, b.catchUp(a, 1000))
	same(t, a, b)
	for _, e := range names(t, m) {
		require.False(t, strings.HasPrefix(e, "staging"), e)
	}
	require.NoError(t, b.close())
	b = newNode(t, m)
	same(t, a, b)
}

func names(t require.TestingT, fsys vfs.FS) (list []string) {
	entries, err := fsys.ReadDir(nodeDir)
	require.NoError(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// TestAnInterruptedCopyGoesOn: nothing that was fetched is fetched again, over ends of
// the connection and of the process.
func TestAnInterruptedCopyGoesOn(t *testing.T) {
	a := filled(t, vfs.NewMem())
	p, err := a.k.Pin()
	require.NoError(t, err)
	size := int64(0)
	for _, f := range p.Files() {
		size += f.Size
	}
	p.Release()
	const piece, most = 500, 3
	m := vfs.NewMem()
	b := newNode(t, m)
	tries := int64(0)
	for err = errInterrupted; errors.Is(err, errInterrupted); tries++ {
		b.follow(a)
		err = b.copyFrom(a, piece, most)
		if tries%2 == 1 && err != nil {
			require.NoError(t, b.close())
			b = newNode(t, m)
		} else if err != nil {
			require.NoError(t, b.s.Close())
		}
	}
	require.NoError(t, err)
	same(t, a, b)
	// Each file ends with a piece that is not full.
	require.LessOrEqual(t, (tries-1)*piece*most, size+piece*int64(len(p.Files())))
	require.Greater(t, tries, int64(3))
}

// TestACopyTakesWhatIsThere: a node that has most of the segments asks for the others
// only.
func TestACopyTakesWhatIsThere(t *testing.T) {
	a, b := newNode(t, vfs.NewMem()), newNode(t, vfs.NewMem())
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	require.NoError(t, a.k.Save())
	b.follow(a)
	require.NoError(t, b.copyFrom(a, 1000, 1<<30))
	for i := range 60 {
		a.run(fmt.Sprintf("SET key%d %s", i, strings.Repeat("v", 100)))
	}
	require.NoError(t, b.catchUp(a, 1000))
	a.run("SET more 1")
	a.sync()
	p, err := a.k.Pin()
	require.NoError(t, err)
	defer p.Release()
	st, err := b.s.Stage()
	require.NoError(t, err)
	missing, err := st.Want(p.Files())
	require.NoError(t, err)
	require.Greater(t, len(p.Files()), 3)
	require.Len(t, missing, 2, "the last segment, and the one that is the last here")
	before := named(t, b, "log-")
	require.NoError(t, b.k.Save())
	require.Equal(t, before, named(t, b, "log-"), "what is counted on stays")
	require.NoError(t, b.copyFrom(a, 1000, 1<<30))
	same(t, a, b)
}

func named(t require.TestingT, n *node, prefix string) []string {
	return slices.DeleteFunc(names(t, n.fs), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

func TestHostileCopies(t *testing.T) {
	const sum = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	const good = "log-00000000000000000000.fer"
	m := vfs.NewMem()
	b := newNode(t, m)
	s, err := b.k.Standby()
	require.NoError(t, err)
	b.s = s
	st, err := s.Stage()
	require.NoError(t, err)
	for _, name := range []string{
		"", ".", "..", "/", "../x", "/etc/passwd", "manifest.json", "LOCK", "staging.json", "log-.fer", "log-0.fer", "log-../../x.fer",
		"log-00000000000000000000.fer/..", "x/" + good, "../" + good, "log-99999999999999999999.fer", "log-+0000000000000000000.fer",
		"snapshot-1.fer", "snapshot-000000000000000000-1.fer", good + ".tmp", good + "\x00", "log-0000000000000000000\n.fer", "staging-" + good,
		"log-00000000000000000000.FER", "snapshot-0000000000000000000a.fer", strings.Repeat("a", 1<<20),
	} {
		_, err := st.Want([]FileInfo{{Name: name, Size: 1, SHA256: sum}})
		require.ErrorIs(t, err, ErrName, "%q", name)
		require.ErrorIs(t, st.Write(name, 0, []byte("x")), ErrName)
		require.ErrorIs(t, st.Done(name), ErrName)
	}
	for _, bad := range [][]FileInfo{
		{{Name: good, Size: -1, SHA256: sum}},
		{{Name: good, Size: 1 << 62, SHA256: sum}},
		{{Name: good, Size: 1, SHA256: sum[1:]}},
		{{Name: good, Size: 1, SHA256: strings.ToUpper(sum)}},
		{{Name: good, Size: 1, SHA256: ""}},
		{{Name: good, Size: 1, SHA256: sum}, {Name: good, Size: 1, SHA256: sum}},
		make([]FileInfo, maxStaged+1),
	} {
		_, err := st.Want(bad)
		require.Error(t, err)
	}
	missing, err := st.Want([]FileInfo{{Name: good, Size: 10, SHA256: sum}})
	require.NoError(t, err)
	require.Len(t, missing, 1)
	require.ErrorIs(t, st.Write("log-00000000000000000001.fer", 0, []byte("x")), ErrName, "not in the list")
	require.ErrorIs(t, st.Write(good, 1, []byte("x")), ErrStaging, "a gap")
	require.ErrorIs(t, st.Write(good, -1, []byte("x")), ErrStaging)
	require.ErrorIs(t, st.Write(good, 0, make([]byte, 11)), ErrStaging, "too long")
	require.NoError(t, st.Write(good, 0, make([]byte, 5)))
	require.ErrorIs(t, st.Write(good, 0, make([]byte, 5)), ErrStaging, "twice")
	require.ErrorIs(t, st.Done(good), ErrStaging, "too early")
	require.ErrorIs(t, st.Install(0, b.k.Cluster(), 1), ErrStaging)
	require.NoError(t, st.Write(good, 5, make([]byte, 5)))
	require.Contains(t, names(t, m), "staging-"+good)
	require.ErrorIs(t, st.Done(good), ErrHash)
	require.NotContains(t, names(t, m), "staging-"+good)
	require.Error(t, st.Install(0, "zz", 1))
	require.NoError(t, st.Write(good, 0, make([]byte, 10)), "from its beginning")
	require.Equal(t, []string{"LOCK", good, "manifest.json", "staging-" + good}, names(t, m))
	require.NoError(t, s.Segment(0, 3), "the leader goes on with the stream")
	require.ErrorIs(t, st.Write(good, 0, nil), ErrOver)
}

// TestACopyThatCannotBeLoadedChangesNothing: the hashes fit and the data does not.
func TestACopyThatCannotBeLoadedChangesNothing(t *testing.T) {
	a := filled(t, vfs.NewMem())
	for name, change := range map[string]func(lsn uint64, cluster string) (uint64, string){
		"another end":     func(lsn uint64, c string) (uint64, string) { return lsn - 1, c },
		"another cluster": func(lsn uint64, c string) (uint64, string) { return lsn, strings.Repeat("ab", 16) },
	} {
		b := newNode(t, vfs.NewMem())
		b.run("SET mine 1")
		s, err := b.k.Standby()
		require.NoError(t, err)
		b.s = s
		before := names(t, b.fs)
		p, err := a.k.Pin()
		require.NoError(t, err)
		st, err := s.Stage()
		require.NoError(t, err)
		missing, err := st.Want(p.Files())
		require.NoError(t, err)
		for _, f := range missing {
			r, err := p.Open(f.Name)
			require.NoError(t, err)
			all, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, st.Write(f.Name, 0, all))
			require.NoError(t, st.Done(f.Name))
		}
		lsn, cluster := change(p.LSN(), p.Cluster())
		require.Error(t, st.Install(lsn, cluster, 5), name)
		p.Release()
		require.Equal(t, "$1\r\n1\r\n", b.get("mine"))
		require.Equal(t, before, slices.DeleteFunc(names(t, b.fs), func(n string) bool { return strings.HasPrefix(n, stagePrefix) }))
		require.NoError(t, s.Err())
	}
}

// TestAPinnedCopyOutlivesItsFiles: the leader drops what a follower still reads.
func TestAPinnedCopyOutlivesItsFiles(t *testing.T) {
	a := filled(t, vfs.NewMem())
	p, err := a.k.Pin()
	require.NoError(t, err)
	defer p.Release()
	tail, err := a.k.Tail(a.k.OldestLSN())
	require.NoError(t, err)
	defer tail.Close()
	a.run("SET more 1")
	require.NoError(t, a.k.Save())
	for _, f := range p.Files() {
		require.NotContains(t, names(t, a.fs), f.Name)
		r, err := p.Open(f.Name)
		require.NoError(t, err)
		sum, err := hashReader(r, f.Size, func() error { return nil })
		require.NoError(t, err)
		require.Equal(t, f.SHA256, sum)
	}
	first, err := tail.Next(t.Context(), 1000)
	require.NoError(t, err)
	require.NotNil(t, first.Segment)
	for err == nil {
		_, err = tail.Next(t.Context(), 1000)
	}
	require.ErrorIs(t, err, aof.ErrGone)
}

// TestACopyWaitsForTheLog: a snapshot may be durable before the log is written up to it,
// and a copy of both would end before its snapshot.
func TestACopyWaitsForTheLog(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	a, b := newNode(t, f), newNode(t, vfs.NewMem())
	_, err := a.k.Lead(5)
	require.NoError(t, err)
	a.sync()
	writing, release := f.Block(vfs.OpWrite, "log-*")
	defer release()
	a.run("SET k v")
	<-writing
	require.NoError(t, a.k.Save())
	// It is closed once when it was looked for, and then by who has pinned it.
	f.Add(vfs.Rule{Ops: vfs.OpClose, Name: "snapshot-*", Skip: 1, Times: 1, Before: func(vfs.Call) { release() }})
	b.follow(a)
	require.NoError(t, b.copyFrom(a, 1000, 1<<30))
	same(t, a, b)
}

// TestSealedSegmentsAreHashedOnce counts what is read.
func TestSealedSegmentsAreHashedOnce(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	a := filled(t, f)
	p, err := a.k.Pin()
	require.NoError(t, err)
	p.Release()
	require.NotEmpty(t, a.k.dir.Manifest().Files)
	before := f.Count(vfs.OpRead)
	again, err := a.k.Pin()
	require.NoError(t, err)
	defer again.Release()
	require.Equal(t, p.Files(), again.Files())
	// The snapshot's header and end, by two who look at them; the last segment.
	require.LessOrEqual(t, f.Count(vfs.OpRead)-before, 5)
	for _, x := range again.Files() {
		sum, err := hashFile(f, path.Join(nodeDir, x.Name), x.Size, func() error { return nil })
		require.NoError(t, err)
		require.Equal(t, sum, x.SHA256)
	}
}

// TestACrashAtEveryStepOfACopy: whatever operation is the last, a start finds the old
// data or the new, whole.
func TestACrashAtEveryStepOfACopy(t *testing.T) {
	a := filled(t, vfs.NewMem())
	for _, crash := range []bool{true, false} {
		rng := rand.New(rand.NewPCG(3, 4))
		was, is := 0, 0
		for at, hit := 0, true; hit; at++ {
			m := vfs.NewMem()
			b := newNode(t, m)
			b.run("SET mine 1")
			old := b.digest()
			require.NoError(t, b.k.Save())
			require.NoError(t, b.close())

			f := vfs.NewFaulty(m)
			left := m
			b = newNode(t, f)
			s, err := b.k.Standby()
			require.NoError(t, err)
			b.s = s
			rule := vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Err: syscall.EIO}
			if crash {
				rule = vfs.Rule{Ops: vfs.OpChange, Skip: at, Times: 1, Before: func(vfs.Call) { left = m.Crash(rng) }}
			}
			before := f.Count(vfs.OpChange)
			f.Add(rule)
			err = b.copyFrom(a, 3000, 1<<30)
			hit = f.Count(vfs.OpChange) > before+at
			if hit && !crash {
				require.Error(t, err, "operation %d failed and nobody noticed", at)
			}
			_ = b.close()
			if left == m {
				left = m.Crash(nil)
			}
			b = newNode(t, left)
			switch b.digest() {
			case old:
				was++
				require.True(t, hit)
			case a.digest():
				is++
				same(t, a, b)
			default:
				require.Fail(t, "neither", "operation %d", at)
			}
			require.NotContains(t, names(t, left), installName)
			require.NoError(t, b.close())
		}
		require.Greater(t, was, 10)
		require.Greater(t, is, 5)
	}
}

// TestASnapshotIsHashedForWhatItHolds: one of the same position, size and time may say it
// in another order.
func TestASnapshotIsHashedForWhatItHolds(t *testing.T) {
	a := newNode(t, vfs.NewMem())
	a.run("SET key a")
	hashes := map[string]bool{}
	require.NoError(t, a.k.Save())
	for _, value := range []string{"a", "b"} {
		h := snapshot.Header{LSN: a.end(), Epoch: 1, Time: 1, Databases: 16}
		w, err := snapshot.Create(snapshot.Options{FS: a.fs, Dir: nodeDir}, h)
		require.NoError(t, err)
		require.NoError(t, w.Key(0, []byte("key"), 0, func(c store.Contents) error {
			c.String([]byte(value))
			return nil
		}))
		_, err = w.Finish()
		require.NoError(t, err)
		p, err := a.k.Pin()
		require.NoError(t, err)
		hashes[p.Files()[0].SHA256] = true
		p.Release()
	}
	require.Len(t, hashes, 2)
}
