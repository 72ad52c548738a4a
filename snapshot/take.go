package snapshot

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/store"
)

// A Taking is a snapshot that is being taken of a keyspace in which calls go on.
type Taking struct {
	o    Options
	h    Header
	cut  *store.Cut
	keys int64

	written  atomic.Int64 // bytes
	queued   atomic.Int64 // bytes in queue
	mu       sync.Mutex
	queue    []piece // what editors have handed over
	dropping bool    // nobody comes for the queue any more

	// Of Run.
	db   int
	cmds *Commands
	full []piece // chunks that wait for the mutex to be let go
	room []byte  // of a chunk that was written
}

// A piece is commands of one database.
type piece struct {
	db, commands, keys int
	b                  []byte
}

// Progress tells how far a Taking is.
type Progress struct {
	Keys     int64 // of the cut
	Told     int64 // of them
	Written  int64 // bytes in the file
	Kept     int64 // bytes of memory held for the snapshot alone
	Handover int64 // of them, encoded collections that wait to be written
}

// Begin cuts the keyspace. The gate is closed; it touches no file. Run or Abandon
// must follow. The error is store.ErrCutting while another cut is under way.
func Begin(ks *store.Keyspace, o Options, h Header) (*Taking, error) {
	t := &Taking{o: o, h: h}
	cut, err := ks.BeginCut(t.hand)
	if err != nil {
		return nil, err
	}
	t.cut, t.keys = cut, cut.Keys()
	t.h.Databases = ks.Databases()
	t.cmds = NewCommands(chunkBytes, func(b []byte) []byte {
		t.full = append(t.full, piece{t.db, t.cmds.commands, t.cmds.keys, b})
		room := t.room
		t.room = nil
		return room
	})
	return t, nil
}

// Progress may be asked at any time by anybody.
func (t *Taking) Progress() Progress {
	queued := t.queued.Load()
	return Progress{
		Keys: t.keys, Told: t.cut.Told(), Written: t.written.Load(),
		Kept: t.cut.Kept() + queued, Handover: queued,
	}
}

// Abandon ends a Taking that is not run.
func (t *Taking) Abandon() {
	t.cut.Abandon()
	t.mu.Lock()
	t.queue, t.dropping = nil, true
	t.mu.Unlock()
	t.queued.Store(0)
}

// Result is what Run has written.
type Result struct {
	Name string
	Counts
	Took time.Duration
}

// Run walks the cut and writes the snapshot, in the caller's goroutine. It ends
// early, with the context's error, when ctx is done. After an error, a panic
// included, there is no file and the cut is over.
func (t *Taking) Run(ctx context.Context) (r Result, err error) {
	start := time.Now()
	var w *Writer
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("snapshot: panic: %v\n%s", p, debug.Stack())
		}
		t.Abandon()
		if err != nil && w != nil {
			w.Abort()
		}
	}()
	if w, err = Create(t.o, t.h); err != nil {
		return r, err
	}
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		// Nothing below is done with a mutex held that a call could want.
		t.take()
		if done, err = t.cut.Next(t.walk); err != nil {
			return r, err
		}
		if done {
			t.take()
			t.cmds.Flush()
		}
		if err := t.write(w); err != nil {
			return r, err
		}
		runtime.Gosched()
	}
	counts, err := w.Finish()
	if err != nil {
		return r, err
	}
	return Result{Name: Name(t.h.LSN), Counts: counts, Took: time.Since(start)}, nil
}

// walk encodes a key; its object is locked for reading. It returns false when
// there is something to write.
func (t *Taking) walk(k *store.CutKey) bool {
	if k.DB != t.db {
		t.cmds.Flush()
		t.db = k.DB
	}
	encode(t.cmds, k)
	return len(t.full) == 0
}

func encode(c *Commands, k *store.CutKey) {
	c.Begin(k.Key, k.ExpireAt, k.Visit)
	k.Visit(c)
	c.End()
}

// hand encodes an object that is about to be edited. It runs in the editor's
// goroutine.
func (t *Taking) hand(k *store.CutKey) {
	var pieces []piece
	size := int64(0)
	var c *Commands
	c = NewCommands(chunkBytes, func(b []byte) []byte {
		pieces = append(pieces, piece{k.DB, c.commands, c.keys, b})
		if size += int64(len(b)); len(b) < chunkBytes {
			return nil
		}
		return make([]byte, 0, len(b)) // a large object: the next chunk will be as long
	})
	encode(c, k)
	c.Flush()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dropping {
		t.queue = append(t.queue, pieces...)
		t.queued.Add(size)
	}
}

// take moves what editors have handed over into the chunks to be written.
func (t *Taking) take() {
	t.mu.Lock()
	queue := t.queue
	t.queue = nil
	t.mu.Unlock()
	for _, p := range queue {
		t.queued.Add(-int64(len(p.b)))
		if len(p.b) >= chunkBytes/2 {
			t.full = append(t.full, p)
			continue
		}
		if p.db != t.db {
			t.cmds.Flush()
			t.db = p.db
		}
		t.cmds.add(p)
	}
}

// add takes in commands that another Commands has made.
func (c *Commands) add(p piece) {
	c.keys += p.keys
	c.commands += p.commands - 1
	c.buf = append(c.buf, p.b...)
	c.whole()
}

// write writes the chunks that are full.
func (t *Taking) write(w *Writer) error {
	for i, p := range t.full {
		w.chunk(p.db, p.commands, p.keys, p.b)
		t.full[i] = piece{}
		t.room = keepSmall(p.b[:0])
	}
	t.full = t.full[:0]
	t.written.Store(w.counts.Bytes)
	return w.err
}
