package persist

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ferricd/ferricd/router"
)

// stream is what followers are told: the records of the journal as the commands that
// redis-server sends its replicas. One stream serves them all, from the moment on
// at which the first begins to follow; what is not told to anybody is not counted.
type stream struct {
	n      atomic.Int32 // feeds
	copies atomic.Int64 // made so far, for their names

	mu     sync.Mutex // taken with latches held: nothing is waited for under it
	feeds  []*Feed
	db     int // that the followers have selected, -1: none
	offset int64
	warned bool
	log    *slog.Logger
}

// A Feed is the stream as one follower gets it: kept until Start, sent from then on.
type Feed struct {
	s     *stream
	limit func() int64      // bytes that may be kept, 0: any number
	send  func([]byte) bool // waits for nothing; false: the follower is gone
	drop  func()            // the follower is to go; waits for nothing

	// Guarded by s.mu.
	kept  [][]byte
	bytes int64
	live  bool
	over  bool // nothing is told it any more
}

// begin lets f be told everything from now on, and returns the stream's offset. The
// gate is closed.
func (s *stream) begin(f *Feed, log *slog.Logger) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = log
	s.feeds = append(s.feeds, f)
	s.n.Store(int32(len(s.feeds)))
	s.db = -1
	return s.offset
}

// Start sends what was kept, and from now on everything at once.
func (f *Feed) Start() {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range f.kept {
		if f.over || !f.send(b) {
			s.forget(f)
			break
		}
	}
	f.kept, f.bytes, f.live = nil, 0, true
}

// Stop ends the feed.
func (f *Feed) Stop() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.forget(f)
}

func (s *stream) forget(f *Feed) {
	if f.over {
		return
	}
	f.over, f.kept = true, nil
	s.feeds = slices.DeleteFunc(slices.Clone(s.feeds), func(x *Feed) bool { return x == f })
	s.n.Store(int32(len(s.feeds)))
}

// dropAll ends all feeds and their followers, which must begin anew.
func (s *stream) dropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		s.forget(f)
		f.drop()
	}
}

// tell sends b to all; s.mu is held.
func (s *stream) tell(b []byte) {
	s.offset += int64(len(b))
	for _, f := range s.feeds {
		if f.live {
			if !f.send(b) {
				s.forget(f)
			}
			continue
		}
		f.keep(b)
		if limit := f.limit(); limit > 0 && f.bytes > limit {
			s.forget(f)
			f.drop()
		}
	}
}

// feedChunk is how much is kept in one piece: Start sends the pieces with latches
// waiting for it, and there must not be millions of them.
const feedChunk = 64 << 10

func (f *Feed) keep(b []byte) {
	f.bytes += int64(len(b))
	if n := len(f.kept); n > 0 && len(f.kept[n-1])+len(b) <= cap(f.kept[n-1]) {
		f.kept[n-1] = append(f.kept[n-1], b...)
		return
	}
	f.kept = append(f.kept, append(make([]byte, 0, max(feedChunk, len(b))), b...))
}

// append tells one unit of the log, several commands as a transaction.
func (s *stream) append(db int, records []router.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.feeds) == 0 {
		return
	}
	calls := s.calls(db, records)
	if len(calls) == 0 {
		return
	}
	var b []byte
	for i, c := range calls {
		if c.db != s.db {
			b = appendCall(b, []byte("SELECT"), strconv.AppendInt(nil, int64(c.db), 10))
			s.db = c.db
		}
		if i == 0 && len(calls) > 1 {
			b = appendCall(b, []byte("MULTI"))
		}
		b = appendCall(b, c.args...)
	}
	if len(calls) > 1 {
		b = appendCall(b, []byte("EXEC"))
	}
	s.tell(b)
}

// A call is a command with its database.
type call struct {
	db   int
	args router.Record
}

// calls are the commands of a unit as followers are told them. What there are no
// words for is left out, with one line in the log.
func (s *stream) calls(db int, records []router.Record) (calls []call) {
	for _, r := range records {
		if len(r) == 2 && string(r[0]) == "SELECT" {
			db, _ = strconv.Atoi(string(r[1]))
			continue
		}
		told, ok := older(r)
		if !ok && !s.warned {
			s.warned = true
			s.log.Warn("replicas no longer have the same data: they cannot be told of a command that redis-server 7.0 does not know", "command", string(r[0]))
		}
		for _, args := range told {
			if ok {
				calls = append(calls, call{db, args})
			}
		}
	}
	return calls
}

// appendCall appends a command as a client sends it.
func appendCall(b []byte, args ...[]byte) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}
