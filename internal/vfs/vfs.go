package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// An FS holds files under slash-separated names. Its methods may be called by
// many at once.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create opens a file for reading and writing; one that is there is emptied.
	Create(name string) (File, error)
	// OpenFile opens a file as os.OpenFile does, with the flags of package os.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename gives a file another name; a file that has it is replaced.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// ReadDir lists a directory in the order of names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat tells what a name stands for.
	Stat(name string) (fs.FileInfo, error)
	// MkdirAll makes a directory and those above it that are missing.
	MkdirAll(name string, perm fs.FileMode) error
	// SyncDir makes durable what was created, renamed and removed in a directory.
	SyncDir(name string) error
	// Lock opens a file for reading and writing, makes it if need be, and locks it
	// against every other Lock until it is closed or the process ends. The error
	// is ErrLocked when somebody else has it; it never waits.
	Lock(name string) (File, error)
}

// A File is an open file. Read and Write move a position of their own and are for
// one goroutine; ReadAt, Sync and Size may be called beside them.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	// Name is the name the file was opened with.
	Name() string
	// Size is how long the file is.
	Size() (int64, error)
	// Sync makes the bytes of the file durable.
	Sync() error
	// Truncate cuts or extends the file to size bytes.
	Truncate(size int64) error
}

// ErrLocked is the error of Lock when another process, or another part of this
// one, holds the file.
var ErrLocked = errors.New("locked by another process")

// New files and directories are private: they hold other people's data and the
// secret that keys are hashed with.
const (
	FilePerm fs.FileMode = 0o600
	DirPerm  fs.FileMode = 0o700
)

// ReadFile returns what is in a file of at most limit bytes; a longer one is an error.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("the file is too long")}
	}
	return text, err
}

// WriteFile puts text under name so that after a crash there is either all of it
// or what was there before: it is written to name.tmp, synced, renamed, and the
// directory dir of both is synced.
func WriteFile(fsys FS, dir, name string, text []byte) error {
	temp := name + ".tmp"
	f, err := fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, FilePerm)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fsys.Rename(temp, name)
	}
	if err != nil {
		_ = fsys.Remove(temp) // the next attempt empties it anyway
		return err
	}
	return fsys.SyncDir(dir)
}
