package aof

import (
	"io/fs"

	"github.com/ferricd/ferricd/internal/vfs"
)

// discard is a disk that takes everything at once and keeps only headers, for benchmarks.
type discard struct{ vfs.FS }

func (d discard) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	return discardFile{f}, err
}

type discardFile struct{ vfs.File }

func (f discardFile) Write(p []byte) (int, error) {
	if len(p) == segmentHeader {
		return f.File.Write(p)
	}
	return len(p), nil
}

func (discardFile) Sync() error { return nil }
