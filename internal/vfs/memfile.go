package vfs

import (
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// A memFile is an open file of a Mem; what it has open lives on when its name goes.
type memFile struct {
	m      *Mem
	n      *node
	name   string
	flag   int
	holds  bool // the lock of n
	at     int64
	closed bool
}

const accessModes = os.O_RDONLY | os.O_WRONLY | os.O_RDWR

// begin locks the file system; the caller unlocks it when there is no error.
func (f *memFile) begin(op string, forbidden int) error {
	f.m.mu.Lock()
	err := error(nil)
	switch {
	case f.m.crashed:
		err = ErrCrashed
	case f.closed:
		err = fs.ErrClosed
	case f.flag&accessModes == forbidden:
		err = syscall.EBADF
	default:
		return nil
	}
	f.m.mu.Unlock()
	return pathError(op, f.name, err)
}

const nothing = -1 // of begin: no access mode is forbidden

func (f *memFile) Name() string { return f.name }

func (f *memFile) Read(p []byte) (int, error) {
	if err := f.begin("read", os.O_WRONLY); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	n, err := f.n.readAt(p, f.at)
	f.at += int64(n)
	if n > 0 || len(p) == 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.begin("read", os.O_WRONLY); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	return f.n.readAt(p, off)
}

func (n *node) readAt(p []byte, off int64) (int, error) {
	if off >= int64(len(n.data)) {
		return 0, io.EOF
	}
	done := copy(p, n.data[off:])
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.begin("write", os.O_RDONLY); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if f.flag&os.O_APPEND != 0 {
		f.at = int64(len(f.n.data))
	}
	if len(p) == 0 {
		return 0, nil // behind the end too, where more would fill the gap with zeros
	}
	f.n.appended = f.n.appended && f.at >= int64(len(f.n.synced))
	f.n.resize(max(int64(len(f.n.data)), f.at+int64(len(p))))
	copy(f.n.data[f.at:], p)
	f.at += int64(len(p))
	return len(p), nil
}

func (n *node) resize(size int64) {
	if old := int64(len(n.data)); size > old {
		n.data = slices.Grow(n.data, int(size-old))[:size]
		clear(n.data[old:])
		return
	}
	n.data = n.data[:size]
	n.appended = n.appended && size >= int64(len(n.synced))
}

func (f *memFile) Truncate(size int64) error {
	if err := f.begin("truncate", os.O_RDONLY); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if size < 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	f.n.resize(size)
	return nil
}

func (f *memFile) Sync() error {
	if err := f.begin("sync", nothing); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.n.sync()
	return nil
}

// sync keeps what is the same, so that a log that is synced after each record does
// not cost its whole length each time.
func (n *node) sync() {
	if n.appended {
		n.synced = append(n.synced, n.data[len(n.synced):]...)
	} else {
		n.synced = slices.Clone(n.data)
	}
	n.appended = true
}

func (f *memFile) Size() (int64, error) {
	if err := f.begin("stat", nothing); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	if f.holds {
		f.n.locked = false
	}
	return nil
}
