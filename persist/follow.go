package persist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/ferricd/ferricd/internal/vfs"
)

// A Follower is who wants all data and then every change. Its funcs are called by
// whoever changes data, with what others want held, and wait for nothing.
type Follower struct {
	Limit func() int64        // bytes kept for it until Start, 0: any number
	Send  func(b []byte) bool // false: it is gone
	Drop  func()              // it must begin anew, or is too slow
	// GoOn is called now and then, by Follow only, while the copy is made; its error
	// ends that.
	GoOn func() error
	// Empty leaves all keys out of the copy. Times has it say when fields of hashes
	// expire, if any does: then only Redis 7.4 reads it.
	Empty, Times bool
}

// A Copy is all data as of an offset of the stream, as an .rdb in a temporary file.
type Copy struct {
	Feed   *Feed
	Offset int64
	Size   int64

	k    *Keeper
	file vfs.File
}

// Read returns the file. It is read once.
func (c *Copy) Read() io.Reader { return io.NewSectionReader(c.file, 0, c.Size) }

// Close removes the file. The Feed goes on, if it was started.
func (c *Copy) Close() {
	_ = c.file.Close()
	_ = c.k.o.FS.Remove(c.file.Name())
}

// The name of a temporary copy.
const (
	copyPrefix = "replica-"
	copySuffix = ".tmp"
)

// lookEvery is how often who waits for another snapshot looks.
const lookEvery = 50 * time.Millisecond

// Follow makes a copy for a follower. What is changed from its instant on is in its
// Feed. The caller closes the copy and ends the feed.
func (k *Keeper) Follow(f Follower) (*Copy, error) {
	for !k.busy.TryLock() {
		if err := f.GoOn(); err != nil {
			return nil, err
		}
		select {
		case <-k.ctx.Done():
			return nil, k.ctx.Err()
		case <-time.After(lookEvery):
		}
	}
	defer k.busy.Unlock()
	if err := k.ctx.Err(); err != nil {
		return nil, err
	}
	if k.journal.lost.Load() {
		return nil, errLost
	}
	name := fmt.Sprintf("%s%d%s", copyPrefix, k.journal.stream.copies.Add(1), copySuffix)
	file, err := k.o.FS.Create(filepath.Join(k.o.Dir, name))
	if err != nil {
		return nil, err
	}
	c := &Copy{k: k, file: file, Feed: &Feed{s: &k.journal.stream, limit: f.Limit, send: f.Send, drop: f.Drop}}
	times := f.Times && k.partsExpire()
	if err := k.copyInto(c, f, times); err != nil {
		c.Feed.Stop()
		c.Close()
		return nil, err
	}
	return c, nil
}

func (k *Keeper) copyInto(c *Copy, f Follower, times bool) error {
	var r *rdbCut
	var err error
	gate := k.runner.Exclusive(0, func() {
		if !f.Empty {
			r, err = beginRDB(k.ks, times)
		}
		if err == nil {
			c.Offset = k.journal.stream.begin(c.Feed, k.o.Log)
		}
	})
	if err = errors.Join(gate, err); err != nil {
		return err
	}
	w := bufio.NewWriter(c.file)
	if f.Empty {
		err = emptyRDB(w)
	} else {
		err = r.run(w, func() error {
			if err := k.job.Load().ctx.Err(); err != nil {
				return err
			}
			return f.GoOn()
		})
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		c.Size, err = c.file.Size()
	}
	return err
}

// partsExpire tells whether a field of a hash does.
func (k *Keeper) partsExpire() bool {
	for db := range k.ks.Databases() {
		if k.ks.PartExpires(db) > 0 {
			return true
		}
	}
	return false
}

// RemoveCopies removes what a process that was killed has left.
func (k *Keeper) RemoveCopies() error {
	entries, err := k.o.FS.ReadDir(k.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), copyPrefix) && strings.HasSuffix(e.Name(), copySuffix) {
			err = errors.Join(err, k.o.FS.Remove(filepath.Join(k.o.Dir, e.Name())))
		}
	}
	return err
}

// Tell sends followers a command that is in no log.
func (k *Keeper) Tell(args ...string) {
	s := &k.journal.stream
	if s.n.Load() == 0 {
		return
	}
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.feeds) > 0 {
		s.tell(appendCall(nil, words...))
	}
}

// Told is how many bytes of the stream there have been.
func (k *Keeper) Told() int64 {
	s := &k.journal.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}
