package vfs

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCrashed is the error of everything that is done with a Mem, and with its
// files, after its Crash.
var ErrCrashed = errors.New("the machine has crashed")

// A Mem is a file system in memory that knows what is durable. It starts with an
// empty, durable root; "/a/b", "a/b" and "./a/b" are the same file.
type Mem struct {
	mu      sync.Mutex
	root    *node
	crashed bool
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newDirNode()} }

// A node is a file or a directory. For each there is what a reader sees and what
// a crash leaves.
type node struct {
	dir    bool
	locked bool

	data     []byte // of a file
	synced   []byte // data as of the last Sync
	appended bool   // since then data was only appended to

	entries map[string]*node // of a directory
	durable map[string]*node // entries as of the last SyncDir
	journal []change         // what was done to entries since, in order
}

// A change is one operation on a directory: what names stand for afterwards, nil
// for nothing. A rename inside one directory is a single change.
type change map[string]*node

func newDirNode() *node {
	return &node{dir: true, entries: map[string]*node{}, durable: map[string]*node{}}
}

func (n *node) apply(c change) {
	put(n.entries, c)
	n.journal = append(n.journal, c)
}

func put(entries map[string]*node, c change) {
	for name, child := range c {
		if child == nil {
			delete(entries, name)
		} else {
			entries[name] = child
		}
	}
}

// Crash returns what the machine finds when its power is back, and lets every
// later use of m, and of files opened on it, fail. With a nil rng only what was
// synced is there. With one some of the rest is there too, as real disks have it:
// of each directory a prefix of its changes, of each file a prefix of the bytes
// written, some sectors of which may be zeros.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
	return &Mem{root: m.root.afterCrash(rng, map[*node]*node{})}
}

// afterCrash is idempotent: it may run for a file system that has crashed before,
// and changes none of its nodes. A file under two names stays one file.
func (n *node) afterCrash(rng *rand.Rand, seen map[*node]*node) *node {
	if done := seen[n]; done != nil {
		return done
	}
	if !n.dir {
		data := n.dataAfterCrash(rng)
		seen[n] = &node{data: slices.Clone(data), synced: data, appended: true}
		return seen[n]
	}
	left := newDirNode()
	seen[n] = left
	names := maps.Clone(n.durable)
	if rng != nil {
		for _, c := range n.journal[:rng.IntN(len(n.journal)+1)] {
			put(names, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		left.entries[name] = names[name].afterCrash(rng, seen)
	}
	left.durable = maps.Clone(left.entries)
	return left
}

const sector = 512

func (n *node) dataAfterCrash(rng *rand.Rand) []byte {
	if rng == nil || rng.IntN(3) == 0 {
		return slices.Clone(n.synced)
	}
	keep := 0 // what both have in common survives whatever happens
	for keep < min(len(n.synced), len(n.data)) && n.synced[keep] == n.data[keep] {
		keep++
	}
	data := slices.Clone(n.data[:keep+rng.IntN(len(n.data)-keep+1)])
	if rng.IntN(3) == 0 {
		for at := keep; at < len(data); {
			end := min(len(data), (at/sector+1)*sector)
			if rng.IntN(2) == 0 {
				clear(data[at:end])
			}
			at = end
		}
	}
	return data
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func split(name string) []string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// find returns the node of a name; the caller holds m.mu.
func (m *Mem) find(name string) (*node, error) {
	if m.crashed {
		return nil, ErrCrashed
	}
	n := m.root
	for _, part := range split(name) {
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent returns the directory that name is in, and the last part of the name.
func (m *Mem) parent(name string) (*node, string, error) {
	dir, last := path.Split(path.Clean("/" + name))
	n, err := m.find(dir)
	switch {
	case err != nil:
		return nil, "", err
	case last == "":
		return nil, "", syscall.EBUSY // the root
	case !n.dir:
		return nil, "", syscall.ENOTDIR
	}
	return n, last, nil
}

// Open opens a file for reading.
func (m *Mem) Open(name string) (File, error) { return m.OpenFile(name, os.O_RDONLY, 0) }

// Create opens an empty file.
func (m *Mem) Create(name string) (File, error) {
	return m.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, FilePerm)
}

// OpenFile opens a file with the flags of package os.
func (m *Mem) OpenFile(name string, flag int, _ fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.open(name, flag)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &memFile{m: m, n: n, name: name, flag: flag}, nil
}

func (m *Mem) open(name string, flag int) (*node, error) {
	dir, last, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	n := dir.entries[last]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	case n == nil:
		n = &node{appended: true}
		dir.apply(change{last: n})
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, fs.ErrExist
	case n.dir:
		return nil, syscall.EISDIR
	case flag&os.O_TRUNC != 0:
		n.resize(0)
	}
	return n, nil
}

// Rename gives a file another name. Into another directory it is two changes, each
// durable with its own directory.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	source, last, err := m.parent(from)
	if err != nil {
		return pathError("rename", from, err)
	}
	target, newLast, err := m.parent(to)
	if err != nil {
		return pathError("rename", to, err)
	}
	n := source.entries[last]
	switch old := target.entries[newLast]; {
	case n == nil:
		return pathError("rename", from, fs.ErrNotExist)
	case old == n:
		return nil
	case old != nil && (old.dir || n.dir):
		return pathError("rename", to, fs.ErrExist)
	}
	if source == target {
		source.apply(change{last: nil, newLast: n})
		return nil
	}
	target.apply(change{newLast: n})
	source.apply(change{last: nil})
	return nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.parent(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	switch n := dir.entries[last]; {
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case n.dir && len(n.entries) > 0:
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	dir.apply(change{last: nil})
	return nil
}

// ReadDir lists a directory.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	list := make([]fs.DirEntry, 0, len(n.entries))
	for _, last := range slices.Sorted(maps.Keys(n.entries)) {
		list = append(list, fs.FileInfoToDirEntry(n.entries[last].info(last)))
	}
	return list, nil
}

// Stat tells what a name stands for.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(name)), nil
}

// MkdirAll makes a directory and those above it.
func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed {
		return pathError("mkdir", name, ErrCrashed)
	}
	n := m.root
	for _, part := range split(name) {
		child := n.entries[part]
		switch {
		case child == nil:
			child = newDirNode()
			n.apply(change{part: child})
		case !child.dir:
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		n = child
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("sync", name, err)
	}
	n.durable, n.journal = maps.Clone(n.entries), nil
	return nil
}

// Lock opens and locks a file.
func (m *Mem) Lock(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.open(name, os.O_RDWR|os.O_CREATE)
	if err == nil && n.locked {
		err = ErrLocked
	}
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	n.locked = true
	return &memFile{m: m, n: n, name: name, flag: os.O_RDWR, holds: true}, nil
}

type memInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (n *node) info(name string) fs.FileInfo {
	if n.dir {
		return memInfo{name: name, mode: fs.ModeDir | DirPerm}
	}
	return memInfo{name: name, size: int64(len(n.data)), mode: FilePerm}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
