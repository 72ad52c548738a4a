package persist

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/ferricd/ferricd/rdb"
	"github.com/ferricd/ferricd/store"
)

// An rdbCut writes a cut of the keyspace as an .rdb, in which calls go on.
type rdbCut struct {
	cut   *store.Cut
	times bool // of fields are written, which only Redis 7.4 reads

	mu       sync.Mutex
	queue    []encoded // what editors have handed over
	dropping bool      // nobody comes for the queue any more
}

// An encoded key is one that its editor has encoded.
type encoded struct {
	key   rdb.Key
	value []byte
	err   error
}

// chunk is how much is encoded, at least, between two writes to the file.
const rdbChunk = 64 << 10

// beginRDB cuts the keyspace. The gate is closed; run or abandon must follow.
func beginRDB(ks *store.Keyspace, times bool) (*rdbCut, error) {
	r := &rdbCut{times: times}
	cut, err := ks.BeginCut(r.hand)
	r.cut = cut
	return r, err
}

func (r *rdbCut) version() int {
	if r.times {
		return rdb.TimesVersion
	}
	return rdb.Version
}

func (r *rdbCut) contents(c store.Contents) store.Contents {
	if r.times {
		return c
	}
	return withoutTimes{c}
}

func rdbKey(k *store.CutKey) rdb.Key {
	return rdb.Key{DB: k.DB, Name: k.Key, ExpireAt: k.ExpireAt, Idle: -1, Freq: -1}
}

// hand encodes an object that is about to be edited, in its editor's goroutine.
func (r *rdbCut) hand(k *store.CutKey) {
	e := rdb.NewEncoder(r.version())
	k.Visit(r.contents(e))
	value, err := e.Bytes()
	key := rdbKey(k)
	key.Name = bytes.Clone(key.Name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dropping {
		r.queue = append(r.queue, encoded{key, value, err})
	}
}

func (r *rdbCut) abandon() {
	r.cut.Abandon()
	r.mu.Lock()
	r.queue, r.dropping = nil, true
	r.mu.Unlock()
}

// run writes the file. goOn is asked between chunks. What is encoded goes to memory
// first: the file is written to with no object locked.
func (r *rdbCut) run(to io.Writer, goOn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("rdb: panic: %v\n%s", p, debug.Stack())
		}
		r.abandon()
	}()
	var buf bytes.Buffer
	w := rdb.NewWriter(&buf, r.version())
	w.Aux("redis-ver", "7.0.0")
	w.Aux("redis-bits", "64")
	for done := false; !done; {
		if err := goOn(); err != nil {
			return err
		}
		if err := r.take(w); err != nil {
			return err
		}
		if done, err = r.cut.Next(func(k *store.CutKey) bool {
			k.Visit(r.contents(w.Key(rdbKey(k))))
			return buf.Len() < rdbChunk && w.Err() == nil
		}); err != nil {
			return err
		}
		if done {
			if err := r.take(w); err != nil {
				return err
			}
			_ = w.Close()
		}
		if err := w.Err(); err != nil {
			return err
		}
		if _, err := buf.WriteTo(to); err != nil {
			return err
		}
		runtime.Gosched()
	}
	return nil
}

// take writes what editors have handed over.
func (r *rdbCut) take(w *rdb.Writer) error {
	r.mu.Lock()
	queue := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, e := range queue {
		if e.err != nil {
			return e.err
		}
		w.Encoded(e.key, e.value)
	}
	return w.Err()
}

// emptyRDB is a file without keys.
func emptyRDB(to io.Writer) error {
	w := rdb.NewWriter(to, rdb.Version)
	w.Aux("redis-ver", "7.0.0")
	return w.Close()
}
