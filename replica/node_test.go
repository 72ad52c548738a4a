package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/internal/vfs"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// A node is a log without the data that it would make: Source and Standby in one.
type node struct {
	t       require.TestingT
	name    string
	segment int64 // its size
	fs      *vfs.Mem

	mu          sync.Mutex
	log         *aof.Log
	moved       chan struct{}
	copies      int // installed
	cuts        int
	fetched     int64 // bytes written into staging
	cannotCut   bool
	staged      map[string][]byte
	blockAppend chan struct{} // closed when Append may go on; nil: at once
	blockPin    bool
	beforeWant  func()
	beforePin   func()
}

func newNode(t require.TestingT, name string) *node { return newNodeOf(t, name, 4<<10) }

func newNodeOf(t require.TestingT, name string, segment int64) *node {
	n := &node{t: t, name: name, segment: segment, fs: vfs.NewMem(), staged: map[string][]byte{}}
	n.open()
	return n
}

func (n *node) id() Identity { return Identity{Name: n.name, ID: "id-" + n.name, Incarnation: "1"} }

func (n *node) open() {
	list, err := aof.Segments(n.fs, ".")
	require.NoError(n.t, err)
	from := uint64(0)
	if len(list) > 0 {
		from = list[0].First
	}
	found, err := aof.Recover(aof.Source{FS: n.fs, Dir: ".", From: from}, func(*aof.Frame) error { return nil })
	require.NoError(n.t, err)
	l, err := aof.Open(aof.Options{FS: n.fs, Dir: ".", From: found.End, Epoch: found.Epoch, SegmentBytes: n.segment})
	require.NoError(n.t, err)
	l.SetFollowing(true)
	l.Watch(n.notify)
	n.mu.Lock()
	n.log = l
	n.mu.Unlock()
	n.notify()
}

func (n *node) close() { require.NoError(n.t, n.current().Close()) }

func (n *node) current() *aof.Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log
}

func (n *node) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.moved != nil {
		close(n.moved)
		n.moved = nil
	}
}

// lead begins a leadership in the log.
func (n *node) lead(epoch uint64) {
	n.current().SetFollowing(false)
	_, err := n.current().AppendEpoch(epoch, 1)
	require.NoError(n.t, err)
}

// write appends records and returns where they end.
func (n *node) write(count, size int) (lsn uint64) {
	l := n.current()
	for i := range count {
		value := bytes.Repeat([]byte{byte('a' + i%26)}, size)
		lsn = l.Append(0, int64(i), []aof.Record{{[]byte("SET"), fmt.Appendf(nil, "%s-%d", n.name, i), value}})
	}
	return lsn
}

// awaits waits until the log is on disk up to lsn.
func (n *node) awaits(lsn uint64) { n.awaitsAt(lsn, 0) }

// awaitsAt waits for that and for an epoch.
func (n *node) awaitsAt(lsn, epoch uint64) {
	late := time.After(patience)
	for {
		moved := n.Moved()
		if _, _, durable := n.Positions(); durable >= lsn && n.current().Epoch() >= epoch {
			return
		}
		select {
		case <-moved:
		case <-late:
			received, _, durable := n.Positions()
			require.Fail(n.t, "the log does not come", "%s: %d of %d, %d durable", n.name, received, lsn, durable)
			return
		}
	}
}

func (n *node) files() map[string][]byte {
	all := map[string][]byte{}
	list, err := aof.Segments(n.fs, ".")
	require.NoError(n.t, err)
	for _, s := range list {
		all[s.Name], err = vfs.ReadFile(n.fs, s.Name, 1<<30)
		require.NoError(n.t, err)
	}
	return all
}

// Source

func (n *node) Cluster() string           { return "c" }
func (n *node) History() []aof.EpochStart { return n.current().History() }
func (n *node) End() uint64               { return n.current().End() }
func (n *node) Commit() uint64            { return n.current().Durable() }

func (n *node) Tail(from uint64) (Tail, error) { return aof.OpenTail(n.current(), from) }

func (n *node) Pin(ctx context.Context) (Pinned, error) {
	if n.blockPin {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if n.beforePin != nil {
		n.beforePin()
	}
	l := n.current()
	p := &pinnedFiles{files: map[string][]byte{}, epoch: l.Epoch()}
	segments, written := l.Segments()
	p.lsn = written
	for i, s := range segments {
		b, err := vfs.ReadFile(n.fs, s.Name, 1<<30)
		if err != nil {
			return nil, err
		}
		b = b[:s.Size]
		p.files[s.Name] = b
		p.list = append(p.list, FileInfo{Name: s.Name, Size: s.Size, SHA256: sha256.Sum256(b), Sealed: i+1 < len(segments)})
	}
	return p, nil
}

type pinnedFiles struct {
	files      map[string][]byte
	list       []FileInfo
	lsn, epoch uint64
}

func (p *pinnedFiles) Files() []FileInfo { return p.list }
func (p *pinnedFiles) End() uint64       { return p.lsn }
func (p *pinnedFiles) Epoch() uint64     { return p.epoch }
func (p *pinnedFiles) Release()          { p.files = nil }
func (p *pinnedFiles) Open(name string) (PinnedFile, error) {
	b, ok := p.files[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return struct {
		io.ReaderAt
		io.Closer
	}{bytes.NewReader(b), io.NopCloser(nil)}, nil
}

// Standby

func (n *node) Append(b []byte) error {
	n.mu.Lock()
	block := n.blockAppend
	n.mu.Unlock()
	if block != nil {
		<-block
	}
	if err := n.current().AwaitRoom(nil); err != nil {
		return err
	}
	return n.current().AppendFrames(b)
}

func (n *node) Segment(first, epoch uint64) error { return n.current().RotateAt(first, epoch) }

func (n *node) Positions() (received, applied, durable uint64) {
	l := n.current()
	durable = l.Durable()
	received = l.End()
	return received, received, durable
}

func (n *node) Moved() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.moved == nil {
		n.moved = make(chan struct{})
	}
	return n.moved
}

func (n *node) CutBack(to uint64) error {
	if n.cannotCut {
		return ErrCannotCut
	}
	source := aof.Source{FS: n.fs, Dir: "."}
	n.close()
	defer n.open()
	err := aof.Truncate(source, to)
	if errors.Is(err, aof.ErrGone) {
		return ErrCannotCut
	}
	n.cuts++
	return err
}

func (n *node) Stage() (Staging, error) { return &stagedFiles{n: n}, nil }

type stagedFiles struct {
	n    *node
	want map[string]FileInfo
}

func (s *stagedFiles) Want(list []FileInfo) (wants []Want, err error) {
	if s.n.beforeWant != nil {
		s.n.beforeWant()
	}
	s.want = map[string]FileInfo{}
	for _, f := range list {
		s.want[f.Name] = f
		have := s.n.staged[f.Name]
		if int64(len(have)) > f.Size {
			have = nil
		}
		s.n.staged[f.Name] = have
		if int64(len(have)) < f.Size || sha256.Sum256(have) != f.SHA256 {
			wants = append(wants, Want{f.Name, int64(len(have))})
		}
	}
	return wants, nil
}

func (s *stagedFiles) Write(name string, offset int64, p []byte) error {
	if have := int64(len(s.n.staged[name])); have != offset {
		return fmt.Errorf("%d bytes of %s are here, not %d", have, name, offset)
	}
	s.n.staged[name] = append(s.n.staged[name], p...)
	s.n.fetched += int64(len(p))
	return nil
}

var errHash = errors.New("the hash does not fit")

func (s *stagedFiles) Done(name string) error {
	if sha256.Sum256(s.n.staged[name]) != s.want[name].SHA256 {
		delete(s.n.staged, name)
		return errHash
	}
	return nil
}

func (s *stagedFiles) Install(lsn uint64, cluster string, epoch uint64) error {
	n := s.n
	n.close()
	defer n.open()
	for name := range n.files() {
		if err := n.fs.Remove(name); err != nil {
			return err
		}
	}
	for name := range s.want {
		if err := vfs.WriteFile(n.fs, ".", name, n.staged[name]); err != nil {
			return err
		}
	}
	n.staged = map[string][]byte{}
	n.copies++
	return nil
}

func (s *stagedFiles) Close() error { return nil }
