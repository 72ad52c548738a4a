package vfs

import (
	"io/fs"
	"os"
	"path"
	"sync"
)

// An Op is a kind of operation, or several or'ed together.
type Op uint32

// The operations that a Faulty knows. OpenFile counts as OpCreate when it may make
// or empty a file, else as OpOpen.
const (
	OpOpen Op = 1 << iota
	OpCreate
	OpRead // Read and ReadAt
	OpWrite
	OpSync
	OpTruncate
	OpClose
	OpRename
	OpRemove
	OpReadDir
	OpStat // Stat and Size
	OpMkdir
	OpSyncDir
	OpLock

	// OpChange is everything that changes what is on disk or makes it durable.
	OpChange = OpCreate | OpWrite | OpSync | OpTruncate | OpRename | OpRemove | OpMkdir | OpSyncDir | OpLock
)

// A Call is an operation about to be done.
type Call struct {
	Op   Op
	Name string // of the file; of a rename the old name
}

// A Rule says what happens to some operations. The first rule that matches an
// operation and is not yet used up decides.
type Rule struct {
	Ops   Op     // which; 0: all
	Name  string // pattern for the last part of the name, as path.Match has it; "": all
	Skip  int    // how many that match pass first
	Times int    // how many it then applies to; 0: all that follow
	Err   error  // instead of doing it; nil: it is done
	Short int    // of a write: so many bytes are written before Err

	// Before, if there is one, runs first. It may wait; no lock is held.
	Before func(Call)
}

// A Faulty passes operations on to another FS and lets some of them fail or wait.
type Faulty struct {
	under FS

	mu    sync.Mutex
	rules []*Rule
	calls map[Op]int
}

// NewFaulty returns a Faulty without rules.
func NewFaulty(under FS) *Faulty { return &Faulty{under: under, calls: map[Op]int{}} }

// Add adds a rule.
func (f *Faulty) Add(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &r)
}

// Clear removes all rules; an operation that waits in Before goes on waiting.
func (f *Faulty) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count tells how many operations of these kinds there were, whatever became of them.
func (f *Faulty) Count(ops Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for op, calls := range f.calls {
		if op&ops != 0 {
			n += calls
		}
	}
	return n
}

// Block makes operations wait, beginning with the next. Entered gets a value for
// the first of them; release lets all go on, and those that come later pass.
func (f *Faulty) Block(ops Op, name string) (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}, 1), make(chan struct{})
	f.Add(Rule{Ops: ops, Name: name, Before: func(Call) {
		select {
		case in <- struct{}{}:
		default:
		}
		<-out
	}})
	return in, sync.OnceFunc(func() { close(out) })
}

// do runs the rules for an operation. When short is not negative, so many bytes
// are to be written before the error is returned.
func (f *Faulty) do(op Op, name string) (short int, err error) {
	f.mu.Lock()
	f.calls[op]++
	r := f.match(op, name)
	f.mu.Unlock()
	if r == nil {
		return 0, nil
	}
	if r.Before != nil {
		r.Before(Call{Op: op, Name: name})
	}
	if r.Err != nil {
		return r.Short, pathError(opNames[op], name, r.Err)
	}
	return 0, nil
}

var opNames = map[Op]string{
	OpOpen: "open", OpCreate: "open", OpRead: "read", OpWrite: "write", OpSync: "sync", OpTruncate: "truncate",
	OpClose: "close", OpRename: "rename", OpRemove: "remove", OpReadDir: "readdir", OpStat: "stat", OpMkdir: "mkdir",
	OpSyncDir: "sync", OpLock: "lock",
}

// match takes one use of the rule for an operation.
func (f *Faulty) match(op Op, name string) *Rule {
	for i, r := range f.rules {
		if r.Ops != 0 && r.Ops&op == 0 {
			continue
		}
		if r.Name != "" {
			if ok, _ := path.Match(r.Name, path.Base(name)); !ok {
				continue
			}
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		if r.Times > 0 {
			if r.Times--; r.Times == 0 {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			}
		}
		return r
	}
	return nil
}

func (f *Faulty) file(op Op, name string, open func() (File, error)) (File, error) {
	if _, err := f.do(op, name); err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, f: f}, nil
}

// Open opens a file for reading.
func (f *Faulty) Open(name string) (File, error) {
	return f.file(OpOpen, name, func() (File, error) { return f.under.Open(name) })
}

// Create opens an empty file.
func (f *Faulty) Create(name string) (File, error) {
	return f.file(OpCreate, name, func() (File, error) { return f.under.Create(name) })
}

// OpenFile opens a file with the flags of package os.
func (f *Faulty) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	op := OpOpen
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		op = OpCreate
	}
	return f.file(op, name, func() (File, error) { return f.under.OpenFile(name, flag, perm) })
}

// Lock opens and locks a file.
func (f *Faulty) Lock(name string) (File, error) {
	return f.file(OpLock, name, func() (File, error) { return f.under.Lock(name) })
}

// Rename gives a file another name.
func (f *Faulty) Rename(from, to string) error {
	if _, err := f.do(OpRename, from); err != nil {
		return err
	}
	return f.under.Rename(from, to)
}

// Remove removes a file or an empty directory.
func (f *Faulty) Remove(name string) error {
	if _, err := f.do(OpRemove, name); err != nil {
		return err
	}
	return f.under.Remove(name)
}

// ReadDir lists a directory.
func (f *Faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := f.do(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.under.ReadDir(name)
}

// Stat tells what a name stands for.
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if _, err := f.do(OpStat, name); err != nil {
		return nil, err
	}
	return f.under.Stat(name)
}

// MkdirAll makes a directory and those above it.
func (f *Faulty) MkdirAll(name string, perm fs.FileMode) error {
	if _, err := f.do(OpMkdir, name); err != nil {
		return err
	}
	return f.under.MkdirAll(name, perm)
}

// SyncDir makes the names in a directory durable.
func (f *Faulty) SyncDir(name string) error {
	if _, err := f.do(OpSyncDir, name); err != nil {
		return err
	}
	return f.under.SyncDir(name)
}

type faultyFile struct {
	File
	f *Faulty
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if _, err := f.f.do(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.f.do(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) Write(p []byte) (int, error) {
	short, err := f.f.do(OpWrite, f.Name())
	if err == nil {
		return f.File.Write(p)
	}
	n := 0
	if short > 0 {
		n, _ = f.File.Write(p[:min(short, len(p))]) // the rule's error is the one that is asked for
	}
	return n, err
}

func (f *faultyFile) Size() (int64, error) {
	if _, err := f.f.do(OpStat, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *faultyFile) Sync() error {
	if _, err := f.f.do(OpSync, f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	if _, err := f.f.do(OpTruncate, f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Close closes the file even when it answers an error, as the kernel does.
func (f *faultyFile) Close() error {
	_, err := f.f.do(OpClose, f.Name())
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}
