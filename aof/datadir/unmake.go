package datadir

import (
	"errors"
	"path/filepath"
)

// ManifestName is the name of the manifest in its directory.
const ManifestName = manifestName

// MaxManifest is how long a manifest may be.
const MaxManifest = maxManifest

// LockName is the name of the file that a process holds that uses the directory.
const LockName = lockName

// Unmake takes back what Open has made where there was no data directory, so that
// nobody takes what follows a failure for one that is merely empty. Close follows.
func (d *Dir) Unmake() error {
	if !d.born {
		return nil
	}
	err := errors.Join(
		d.fs.Remove(filepath.Join(d.path, manifestName)),
		d.fs.Remove(filepath.Join(d.path, lockName)),
	)
	if d.made {
		return errors.Join(err, d.fs.Remove(d.path))
	}
	return errors.Join(err, d.fs.SyncDir(d.path))
}
