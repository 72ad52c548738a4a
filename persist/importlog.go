package persist

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/router"
	"github.com/ferricd/ferricd/snapshot"
	"github.com/ferricd/ferricd/store"
)

const (
	rdbMagic       = "REDIS"
	manifestSuffix = ".manifest"
	// maxRedisManifest bounds the list of the files of a log.
	maxRedisManifest = 1 << 20
)

// IsRedisLog tells whether a name stands for a log of Redis: a directory, a
// manifest, or a file that begins with a command or with an .rdb that says so.
func IsRedisLog(fsys vfs.FS, name string) (bool, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return true, nil
	}
	if err := ordinary(name, info); err != nil || strings.HasSuffix(name, manifestSuffix) {
		return err == nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	switch b, err := r.Peek(1); {
	case errors.Is(err, io.EOF):
		return strings.HasSuffix(name, ".aof"), nil
	case err != nil:
		return false, err
	case b[0] == '*' || b[0] == '#':
		return true, nil
	}
	// The remarks come before the first key. What is wrong here who reads all of it finds.
	d := rdb.NewReader(r)
	_, _ = d.Next()
	return d.Aux("aof-preamble") == "1" || d.Aux("aof-base") == "1", nil
}

// refuseRedisLog is an error if the directory holds a log of Redis and no data.
func (k *Keeper) refuseRedisLog() error {
	names, err := dataNames(k.o.FS, k.o.Dir)
	if err != nil || len(names) > 0 {
		return err
	}
	for _, name := range k.o.RedisLogs {
		name = filepath.Join(k.o.Dir, name)
		info, err := k.o.FS.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			if _, err := redisManifest(k.o.FS, name); errors.Is(err, errNoManifest) {
				continue
			}
		}
		return fmt.Errorf("%s is a log of Redis: run ferricd import on it, or move it away to start without it", name)
	}
	return nil
}

// redisFiles lists the files of a log in the order in which they are read.
func redisFiles(fsys vfs.FS, name string) ([]string, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if name, err = redisManifest(fsys, name); err != nil {
			return nil, err
		}
	}
	if !strings.HasSuffix(name, manifestSuffix) {
		return []string{name}, nil
	}
	text, err := vfs.ReadFile(fsys, name, maxRedisManifest)
	if err != nil {
		return nil, err
	}
	files, err := parseRedisManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i, f := range files {
		files[i] = filepath.Join(filepath.Dir(name), f)
	}
	return files, nil
}

var errNoManifest = errors.New("no file that ends in " + manifestSuffix + ", as the log of Redis does")

// redisManifest finds the manifest in a directory.
func redisManifest(fsys vfs.FS, dir string) (string, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return "", err
	}
	found := ""
	for _, e := range entries {
		switch {
		case !strings.HasSuffix(e.Name(), manifestSuffix):
		case found != "":
			return "", fmt.Errorf("%s has %s and %s: name one of them", dir, found, e.Name())
		default:
			found = e.Name()
		}
	}
	if found == "" {
		return "", fmt.Errorf("%s has %w", dir, errNoManifest)
	}
	return filepath.Join(dir, found), nil
}

// parseRedisManifest returns the names in a manifest, that of the base first.
//
//	file appendonly.aof.1.base.rdb seq 1 type b
//
// What has the type h is history.
func parseRedisManifest(text []byte) (files []string, err error) {
	base, last := false, int64(0)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f, err := parseManifestLine(line)
		switch {
		case err != nil:
			return nil, err
		case f.kind == "b" && base:
			return nil, errors.New("it names two base files")
		case f.kind == "b":
			base = true
			files = append([]string{f.name}, files...)
		case f.kind == "i" && f.seq <= last:
			return nil, fmt.Errorf("the numbers of its files do not ascend: %.100q", line)
		case f.kind == "i":
			last = f.seq
			files = append(files, f.name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("it names no file")
	}
	return files, nil
}

type manifestFile struct {
	name, kind string
	seq        int64
}

func parseManifestLine(line string) (f manifestFile, err error) {
	bad := fmt.Errorf("a line is broken: %.100q", line)
	rest, ok := strings.CutPrefix(line, "file ")
	if !ok {
		return f, bad
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		rest = rest[len(quoted):]
		if f.name, err = strconv.Unquote(quoted); err != nil {
			return f, bad
		}
	} else {
		f.name, rest, _ = strings.Cut(rest, " ")
	}
	words := strings.Fields(rest)
	if len(words) != 4 || words[0] != "seq" || words[2] != "type" || !strings.Contains("bih", words[3]) || len(words[3]) != 1 {
		return f, bad
	}
	f.kind = words[3]
	if f.seq, err = strconv.ParseInt(words[1], 10, 64); err != nil || f.seq < 1 {
		return f, bad
	}
	if f.name == "" || f.name == "." || f.name == ".." || strings.ContainsAny(f.name, "/\\\x00") {
		return f, fmt.Errorf("%.100q is no name of a file beside it", f.name)
	}
	return f, nil
}

// ImportLog makes of a log of Redis a snapshot. The directory was loaded and holds
// nothing, and nobody is served. After an error the directory is as it was.
func (k *Keeper) ImportLog(name string, note func(string)) (done Imported, err error) {
	k.busy.Lock()
	defer k.busy.Unlock()
	if k.clustered.Load() {
		return done, ErrClustered
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.dir.Unmake())
		}
	}()
	if err := Vacant(k.o.FS, k.o.Dir); err != nil {
		return done, err
	}
	files, err := redisFiles(k.o.FS, name)
	if err != nil {
		return done, err
	}
	i := logImport{k: k, loader: k.router.NewLoader(), note: note, now: time.Now().UnixMilli()}
	defer i.loader.Close()
	for n, file := range files {
		if err := i.file(file, n+1 == len(files)); err != nil {
			return i.done, fmt.Errorf("%s: %w", file, err)
		}
	}
	return i.done, i.save()
}

// A logImport loads the files of a log of Redis.
type logImport struct {
	k      *Keeper
	loader *router.Loader
	note   func(string)
	now    int64
	tx     store.Tx
	done   Imported
}

// file loads a file: an .rdb, commands, or the one and then the others. Only the
// last file may end in the middle.
func (i *logImport) file(name string, last bool) error {
	f, size, err := openFile(i.k.o.FS, name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, off := io.Reader(bufio.NewReaderSize(f, 64<<10)), int64(0)
	if b, _ := r.(*bufio.Reader).Peek(len(rdbMagic)); bytes.Equal(b, []byte(rdbMagic)) {
		if r, off, err = i.values(r); err != nil {
			return err
		}
	}
	unit := make([]router.Record, 1)
	p := replay{now: i.now, run: func(db int, now int64, args [][]byte) error {
		unit[0] = args
		return i.loader.Load(db, now, unit)
	}}
	whole, err := p.all(newRedisLog(r, off))
	if errors.Is(err, errTorn) && last {
		i.done.Dropped = size - whole
		err = nil
	}
	if errors.Is(err, errTorn) {
		err = &failedAt{whole, err}
	}
	i.done.Bytes += size
	return err
}

// values loads an .rdb, and returns what follows it and where.
func (i *logImport) values(from io.Reader) (io.Reader, int64, error) {
	r := rdb.NewReader(from)
	r.Note = i.note
	b := i.k.ks.NewBuilder()
	for {
		key, err := r.Next()
		if err == io.EOF {
			return r.Rest(), r.Offset(), nil
		}
		if err == nil {
			err = r.Value(b)
		}
		if err != nil {
			return nil, 0, err
		}
		if err := i.put(key, b); err != nil && !errors.Is(err, store.ErrEmpty) { // which Redis leaves out, too
			return nil, 0, fmt.Errorf("byte %d: key %q of database %d: %w", r.Offset(), shortened(key.Name), key.DB, err)
		}
		b.Reset()
	}
}

// put lets a key hold what was built, also one that has expired: commands that
// follow may be about it.
func (i *logImport) put(key rdb.Key, b *store.Builder) error {
	ks := i.k.ks
	if key.DB >= ks.Databases() {
		return errDatabase
	}
	i.tx.Begin(ks, store.Alone, key.DB, 1, nil)
	defer i.tx.End()
	if i.tx.Exists(key.Name) {
		return errKeyTwice
	}
	if err := i.tx.SetBuilt(key.Name, b, key.ExpireAt); err != nil {
		return err
	}
	i.tx.Publish()
	return nil
}

// save writes what was loaded and has not expired as a snapshot.
func (i *logImport) save() error {
	k := i.k
	cut, err := k.ks.BeginCut(func(*store.CutKey) {})
	if err != nil {
		return err
	}
	defer cut.Abandon()
	w, err := snapshot.Create(k.snapshots(), snapshot.Header{LSN: importedAt, Epoch: k.epoch, Time: i.now, Databases: k.ks.Databases()})
	if err != nil {
		return err
	}
	for done := false; !done && err == nil; {
		var failed error
		done, err = cut.Next(func(c *store.CutKey) bool {
			if c.ExpireAt != 0 && c.ExpireAt <= i.now {
				i.done.Expired++
				return true
			}
			i.done.Keys++
			failed = w.Whole(c.DB, c.Key, c.ExpireAt, func(to store.Contents) error {
				c.Visit(to)
				return nil
			})
			return failed == nil
		})
		err = errors.Join(err, failed)
	}
	if err == nil {
		_, err = w.Finish()
	}
	if err != nil {
		w.Abort()
	}
	return err
}
