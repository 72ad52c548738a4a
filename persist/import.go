package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/snapshot"
	"github.com/ferricd/ferricd/store"
)

// Imported is what was taken over.
type Imported struct {
	Keys    int64
	Expired int64 // keys that were left out because their time was over
	Bytes   int64 // read
	Dropped int64 // bytes at the end of a log that were not completely written
}

// importedAt is the position of a snapshot that was imported. It is not 0: a log
// that begins there could seem to cover the snapshot.
const importedAt = 1

// ImportOptions are what ImportRDB needs. Note may be nil.
type ImportOptions struct {
	FS        vfs.FS
	Dir       string // the data directory
	File      string // a file of Redis
	Databases int
	Note      func(string) // told what of the file is left out
}

// ImportRDB makes of a file that Redis has saved a data directory, where there is
// none or an empty one. It holds one value in memory at a time, and 16 bytes for
// each key. After an error the directory is as it was.
func ImportRDB(o ImportOptions) (done Imported, err error) {
	f, size, err := openFile(o.FS, o.File)
	if err != nil {
		return done, err
	}
	defer f.Close()
	d, err := openEmpty(o.FS, o.Dir)
	if err != nil {
		return done, err
	}
	c := conversion{o: o, size: size}
	if err = c.file(f); err != nil {
		err = errors.Join(err, d.Unmake())
	}
	return c.done, errors.Join(err, d.Close())
}

// openEmpty takes a data directory that holds nothing, and makes one if need be.
func openEmpty(fsys vfs.FS, dir string) (*datadir.Dir, error) {
	if err := Vacant(fsys, dir); err != nil {
		return nil, err
	}
	d, err := datadir.Open(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err := Vacant(fsys, dir); err != nil { // nobody else changes it now
		return nil, errors.Join(err, d.Unmake(), d.Close())
	}
	return d, nil
}

// Vacant is an error if a directory holds data. It need not be there.
func Vacant(fsys vfs.FS, dir string) error {
	names, err := dataNames(fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("%s already holds data, %s; import into an empty directory", dir, names[0])
	}
	return nil
}

// openFile opens an ordinary file.
func openFile(fsys vfs.FS, name string) (vfs.File, int64, error) {
	info, err := fsys.Stat(name)
	if err == nil {
		err = ordinary(name, info)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := fsys.Open(name)
	return f, info.Size(), err
}

// ordinary is an error if what a name stands for cannot be read twice and to an end.
func ordinary(name string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &fs.PathError{Op: "read", Path: name, Err: errors.New("it is a directory")}
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "read", Path: name, Err: errors.New("it is not an ordinary file")}
	}
	return nil
}

// A conversion writes what an .rdb holds as a snapshot, key by key. Every value is
// built on the way, so what no value can be is found, and a stream is told twice.
type conversion struct {
	o        ImportOptions
	size     int64
	progress func(read, size int64) // nil: nobody asks
	goOn     func() error           // nil: nobody stops it

	now  int64
	seed maphash.Seed
	seen map[uint64]struct{} // hashes of databases and keys
	ks   *store.Keyspace     // in which values are built; it stays empty
	tx   store.Tx
	done Imported
}

// file reads the file and makes the snapshot.
func (c *conversion) file(f io.Reader) error {
	c.now = time.Now().UnixMilli()
	c.seed, c.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	c.ks = store.New(store.Options{Shards: 1})
	c.ks.SetZSetLimits(store.ZSetLimits{}) // a compact one does not know -0 from 0
	w, err := snapshot.Create(snapshot.Options{FS: c.o.FS, Dir: c.o.Dir}, snapshot.Header{
		LSN: importedAt, Epoch: 1, Time: c.now, Databases: c.o.Databases,
	})
	if err != nil {
		return err
	}
	if err := c.keys(f, w); err != nil {
		w.Abort()
		return err
	}
	if _, err := w.Finish(); err != nil {
		w.Abort()
		return err
	}
	return nil
}

const tellProgressKeys = 1000

func (c *conversion) keys(f io.Reader, w *snapshot.Writer) error {
	r := rdb.NewReader(f)
	r.Note = c.o.Note
	b := c.ks.NewBuilder()
	for n := 0; ; n++ {
		k, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.Value(b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.o.File, err)
		}
		if err := c.key(w, k, b); errors.Is(err, store.ErrEmpty) {
			c.note("The key %q of database %d was left out, it is an empty collection.", shortened(k.Name), k.DB)
		} else if err != nil {
			return fmt.Errorf("%s: byte %d: key %q of database %d: %w", c.o.File, r.Offset(), shortened(k.Name), k.DB, err)
		}
		b.Reset()
		if n%tellProgressKeys != 0 {
			continue
		}
		if c.progress != nil {
			c.progress(min(r.Offset(), c.size-1), c.size)
		}
		if c.goOn != nil {
			if err := c.goOn(); err != nil {
				return err
			}
		}
	}
	c.done.Bytes = r.Offset()
	if n, err := io.Copy(io.Discard, io.LimitReader(r.Rest(), 1)); err != nil {
		return err
	} else if n > 0 {
		return fmt.Errorf("%s: byte %d: something follows the end of the data", c.o.File, c.done.Bytes)
	}
	return nil
}

func (c *conversion) note(format string, args ...any) {
	if c.o.Note != nil {
		c.o.Note(fmt.Sprintf(format, args...))
	}
}

var (
	errKeyTwice = errors.New("it is there twice")
	errDatabase = errors.New("there are not so many databases: raise the parameter databases")
)

// key writes a key. One that has expired is left out, as in Redis.
func (c *conversion) key(w *snapshot.Writer, k rdb.Key, b *store.Builder) error {
	if k.DB >= c.o.Databases {
		return errDatabase
	}
	if err := b.Finish(); err != nil {
		return err
	}
	id := hashKey(c.seed, k)
	if _, twice := c.seen[id]; twice {
		return errKeyTwice
	}
	c.seen[id] = struct{}{}
	if k.ExpireAt != 0 && k.ExpireAt <= c.now {
		c.done.Expired++
		return nil
	}
	c.done.Keys++
	c.tx.Begin(c.ks, store.Alone, 0, 1, nil)
	defer c.tx.End() // without Publish nothing stays
	if err := c.tx.SetBuilt(k.Name, b, store.NoExpiry); err != nil {
		return err
	}
	return w.Whole(k.DB, k.Name, k.ExpireAt, func(to store.Contents) error {
		_, err := c.tx.Visit(k.Name, to)
		return err
	})
}

func hashKey(seed maphash.Seed, k rdb.Key) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var db [8]byte
	binary.LittleEndian.PutUint64(db[:], uint64(k.DB))
	h.Write(db[:]) // it never fails
	h.Write(k.Name)
	return h.Sum64()
}

// shortened is a name for a line.
func shortened(name []byte) []byte { return name[:min(len(name), 100)] }

// takeOver imports the .rdb that lies in a directory without data.
func (k *Keeper) takeOver(databases int) error {
	if k.o.TakeOver == "" {
		return nil
	}
	name := filepath.Join(k.o.Dir, k.o.TakeOver)
	f, size, err := openFile(k.o.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := dataNames(k.o.FS, k.o.Dir)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		k.o.Log.Info(name + " is not looked at: the directory has data of its own")
		return nil
	}
	k.loading.begin(size, nil, 0)
	defer k.loading.end()
	start := time.Now()
	c := conversion{
		o:        ImportOptions{FS: k.o.FS, Dir: k.o.Dir, File: name, Databases: databases, Note: func(text string) { k.o.Log.Warn(text, "file", name) }},
		size:     size,
		progress: func(read, size int64) { k.progress("file", read, size) },
		goOn:     k.loading.goOn,
	}
	if err := c.file(f); err != nil {
		if !errors.Is(err, ErrStopped) {
			err = fmt.Errorf("the data cannot be taken over: %w; move the file away to start without it", err)
		}
		return errors.Join(err, k.dir.Unmake())
	}
	k.o.Log.Info(name+" is taken over into a snapshot, the file stays", "keys", c.done.Keys, "expired", c.done.Expired,
		"bytes", c.done.Bytes, "seconds", fmt.Sprintf("%.3f", time.Since(start).Seconds()))
	return nil
}
