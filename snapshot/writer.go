package snapshot

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/store"
)

// Options say where snapshots are.
type Options struct {
	FS  vfs.FS
	Dir string

	// Fail, if not nil, is called before every step that changes the disk:
	// create, write, sync, rename, syncdir, remove. Tests end the process there.
	Fail func(point string)
}

func (o *Options) at(point string) {
	if o.Fail != nil {
		o.Fail("snapshot-" + point)
	}
}

func (o *Options) path(name string) string { return path.Join(o.Dir, name) }

// syncEvery is how much is written before it is made durable, so that the disk
// has never much to do at once.
const syncEvery = 32 << 20

// A Writer writes a snapshot. It is for one goroutine. After its first error
// everything fails with that, and nothing is left but Abort.
type Writer struct {
	o        Options
	lsn      uint64
	file     vfs.File
	err      error
	sum      uint32 // of all that was written
	unsynced int64
	counts   Counts

	db   int
	cmds *Commands
}

// Create begins a snapshot under a temporary name.
func Create(o Options, h Header) (*Writer, error) {
	w := &Writer{o: o, lsn: h.LSN}
	w.cmds = NewCommands(chunkBytes, func(b []byte) []byte {
		w.chunk(w.db, w.cmds.commands, w.cmds.keys, b)
		return keepSmall(b)
	})
	o.at("create")
	f, err := o.FS.Create(w.temp())
	if err != nil {
		return nil, err
	}
	w.file = f
	begun := false
	defer func() {
		if !begun {
			w.Abort()
		}
	}()
	w.write(h.encode())
	begun = w.err == nil
	return w, w.err
}

// keepSmall lets go of a buffer that a large element has made large.
func keepSmall(b []byte) []byte {
	if cap(b) > 4*chunkBytes {
		return nil
	}
	return b
}

func (w *Writer) temp() string { return w.o.path(Name(w.lsn) + temp) }

// Key writes one key; visit tells its contents, once. A stream of which entries
// are pending that were deleted loses those.
func (w *Writer) Key(db int, key []byte, expireAt int64, visit func(store.Contents) error) error {
	w.use(db)
	w.cmds.Begin(key, expireAt, nil)
	err := visit(w.cmds)
	w.cmds.End()
	if w.err != nil {
		return w.err
	}
	if err != nil {
		w.err = fmt.Errorf("key %q: %w", key, err)
	}
	return w.err
}

// Whole writes one key; visit can tell its contents more than once, so nothing of
// a stream is lost.
func (w *Writer) Whole(db int, key []byte, expireAt int64, visit func(store.Contents) error) error {
	w.use(db)
	var err error
	w.cmds.Begin(key, expireAt, func(c store.Contents) { err = errors.Join(err, visit(c)) })
	err = errors.Join(err, visit(w.cmds))
	w.cmds.End()
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("key %q: %w", key, err)
	}
	return w.err
}

// use lets what follows belong to a database.
func (w *Writer) use(db int) {
	if w.db != db {
		w.cmds.Flush()
		w.db = db
	}
}

// Counts are what was written so far.
func (w *Writer) Counts() Counts { return w.counts }

func (w *Writer) chunk(db, commands, keys int, payload []byte) {
	if uint64(len(payload)) > math.MaxUint32 {
		w.fail(errors.New("snapshot: an element is too large"))
		return
	}
	h := head{length: uint32(len(payload)), kind: kindData, db: uint32(db), commands: uint32(commands), keys: uint32(keys)}
	w.write(h.encode(payload))
	w.write(payload)
	w.counts.Keys += int64(keys)
	w.counts.Commands += int64(commands)
	w.counts.Chunks++
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	w.o.at("write")
	n, err := w.file.Write(b)
	if err == nil && n < len(b) {
		err = fmt.Errorf("snapshot: %d of %d bytes were written", n, len(b))
	}
	if err != nil {
		w.fail(err)
		return
	}
	w.sum = crc32.Update(w.sum, castagnoli, b)
	w.counts.Bytes += int64(len(b))
	if w.unsynced += int64(len(b)); w.unsynced >= syncEvery {
		w.sync()
	}
}

func (w *Writer) sync() {
	if w.err == nil {
		w.o.at("sync")
		w.fail(w.file.Sync())
		w.unsynced = 0
	}
}

// Finish ends the snapshot and gives it its name. When it returns without an
// error the snapshot is durable.
func (w *Writer) Finish() (Counts, error) {
	w.cmds.Flush()
	counts := w.counts
	counts.Bytes += headSize + endSize
	end := counts.encode(w.sum)
	w.write(head{length: endSize, kind: kindEnd}.encode(end))
	w.write(end)
	w.sync()
	if w.err == nil {
		f := w.file
		w.file = nil
		w.fail(f.Close())
	}
	_, err := w.o.FS.Stat(w.o.path(Name(w.lsn)))
	again := err == nil // it takes the place of one that says the same
	if w.err == nil {
		w.o.at("rename")
		w.fail(w.o.FS.Rename(w.temp(), w.o.path(Name(w.lsn))))
	}
	if w.err != nil {
		w.Abort()
		return Counts{}, w.err
	}
	w.o.at("syncdir")
	if err := w.o.FS.SyncDir(w.o.Dir); err != nil {
		w.fail(err)
		// It has its name, which may outlive a crash or not. It must not be
		// found by who takes it for durable, unless the name always was.
		if !again {
			_ = w.o.FS.Remove(w.o.path(Name(w.lsn)))
		}
		return Counts{}, err
	}
	return counts, nil
}

// Abort removes what was written. It may follow anything but a Finish without an
// error.
func (w *Writer) Abort() {
	w.fail(errors.New("snapshot: aborted"))
	if w.file != nil {
		_ = w.file.Close() // it goes anyway
		w.file = nil
	}
	_ = w.o.FS.Remove(w.temp()) // the next one empties it, RemoveOlder removes it
}
