package aof

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/internal/vfs"
)

// A Policy says when the log is made durable.
type Policy int32

// The policies, as appendfsync has them.
const (
	Always   Policy = iota // as often as there are records; who waits for one waits for the disk
	EverySec               // once a second
	No                     // when the kernel likes, when somebody asks, and when a segment is sealed
)

// Options are what Open needs.
type Options struct {
	FS      vfs.FS // nil: the machine's
	Dir     string
	Cluster [16]byte // whose log it is
	Epoch   uint64   // of the records to come
	From    uint64   // where the log ends, as Recover tells

	Policy       Policy
	SyncEvery    time.Duration // of EverySec; 0: a second
	SegmentBytes int64         // a segment that has grown to it is sealed; 0: 64 MiB
	BufferBytes  int64         // memory for what is not yet written, beyond which there is no Room; 0: 64 MiB

	// OnFail is called once, with the first failure, by a goroutine of the log.
	OnFail func(error)
	// Fail, for tests, is called at the points that Failpoints lists.
	Fail func(point string)
}

const (
	defaultSegmentBytes = 64 << 20
	defaultBufferBytes  = 64 << 20

	maxChunk = 256 << 10
	minChunk = 4 << 10
	// A frame longer than this is encoded outside the mutex, into memory of its own.
	bigFrame = 32 << 10
	// spareChunks are kept for what comes next, the others of a burst are let go.
	spareChunks = 8
	// gather is how long the writer waits for company when nobody waits for it.
	gather = time.Millisecond
)

// ErrClosed is the error of a wait that the end of the log has ended.
var ErrClosed = errors.New("the log is closed")

// ErrCanceled is the error of a wait that its caller has ended.
var ErrCanceled = errors.New("the wait for the log was canceled")

// A Log is the log of a data directory, open for appending. Its methods may be
// called by many at once.
type Log struct {
	o     Options
	chunk int // bytes of a chunk of the buffer

	end     atomic.Uint64
	written atomic.Uint64
	durable atomic.Uint64
	full    atomic.Bool // no room, or failed or closed
	policy  atomic.Int32
	err     atomic.Pointer[error]

	mu       sync.Mutex     // held for a copy or a few fields, never over I/O
	buf      [][]byte       // frames not yet taken by the writer, in chunks
	spare    [][]byte       // empty chunks
	held     int64          // memory of the chunks that hold frames
	rotateAt []SegmentStart // where new segments begin, ascending, that are not there yet
	epoch    uint64         // of the records to come, never less than that of one that is there
	want     uint64         // somebody waits for this position whatever the policy
	refused  error          // a record that cannot be written; the writer fails with it
	stopped  bool           // failed or closed: nothing is kept any more
	closing  bool
	asleep   sleep
	frames   uint64        // epoch of the last record that is known, below which none may follow
	segments []segment     // ascending; the last one is written
	oldest   uint64        // from here on there is no gap
	moved    chan struct{} // closed when written has moved, for tails; nil: none waits
	waits    waits
	ages     ages
	syncs    syncStats

	wake     chan struct{} // to the writer
	syncWake chan struct{} // to the syncer
	over     chan struct{} // closed when the log has failed or is closed
	running  sync.WaitGroup

	dropping sync.Mutex // DropBefore

	incoming  Frames      // AppendFrames
	following atomic.Bool // segments begin where RotateAt says and nowhere else
	tails     atomic.Int32
	watch     atomic.Pointer[func()]

	// The writer's own, but that who syncs holds syncing and uses file.
	syncing sync.Mutex
	file    vfs.File
	size    int64 // of file's frames
	timer   *time.Timer
	closed  error // of the last Close of file
	once    sync.Once
}

// sleep is what the writer does.
type sleep uint8

const (
	working   sleep = iota
	gathering       // until its timer, or somebody waits
	idle            // until there is something to do
)

// Open opens the log where Recover found its end, or begins one. What is there is
// made durable first: it may have been read from memory that no disk has seen.
func Open(o Options) (*Log, error) {
	o.FS = cmp.Or(o.FS, vfs.OS)
	o.SyncEvery = cmp.Or(o.SyncEvery, time.Second)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, defaultSegmentBytes)
	o.BufferBytes = cmp.Or(o.BufferBytes, defaultBufferBytes)
	l := &Log{
		o:        o,
		chunk:    int(min(max(o.BufferBytes/16, minChunk), maxChunk)),
		wake:     make(chan struct{}, 1),
		syncWake: make(chan struct{}, 1),
		over:     make(chan struct{}),
		timer:    time.NewTimer(time.Hour),
	}
	l.timer.Stop()
	l.policy.Store(int32(o.Policy))
	l.epoch = o.Epoch
	l.end.Store(o.From)
	l.written.Store(o.From)
	l.durable.Store(o.From)
	if err := l.openSegment(); err != nil {
		return nil, fmt.Errorf("the log cannot be opened: %w", err)
	}
	l.running.Add(2)
	go l.writer()
	go l.syncer()
	return l, nil
}

// openSegment continues the last segment, if it ends at From, or begins one there.
func (l *Log) openSegment() error {
	list, err := Segments(l.o.FS, l.o.Dir)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.First > l.o.From {
			return fmt.Errorf("%s begins behind %d, where the log is to go on", s.Name, l.o.From)
		}
		l.segments = append(l.segments, l.inspect(s))
	}
	l.oldest = contiguous(list, l.o.From)
	last := Segment{Size: -1}
	if len(list) > 0 {
		last = list[len(list)-1]
	}
	there := int64(l.o.From - last.First) // frames in the last segment, if it ends at From
	switch frames := last.Size - segmentHeader; {
	case last.Size <= 0 || frames >= 0 && frames < there:
		// None, one that has only got its name, or one that ends sooner, since a
		// snapshot reaches further than the log: it goes on with a new one.
	case frames != there:
		return fmt.Errorf("%s does not end at %d, where the log is to go on", last.Name, l.o.From)
	default:
		l.size = frames
		l.frames = l.framesEpoch()
		l.file, err = openContinued(l.o.FS, l.o.Dir, last, l.o.Cluster)
		return err
	}
	empty := last.Size == 0 && last.First == l.o.From
	if empty {
		l.segments = l.segments[:len(l.segments)-1]
	}
	s := SegmentStart{First: l.o.From, Epoch: l.epoch}
	l.segments = append(l.segments, segment{SegmentStart: s})
	l.file, err = createSegment(l.o.FS, l.o.Dir, l.header(s), empty, l.at)
	return err
}

func (l *Log) header(s SegmentStart) header {
	return header{first: s.First, epoch: s.Epoch, cluster: l.o.Cluster}
}

// at is a point where a test may end the process.
func (l *Log) at(point string) {
	if l.o.Fail != nil {
		l.o.Fail(point)
	}
}

// Append puts the records of one call of database db into the log as one unit and
// returns its position. It copies them, waits for nothing, and never fails: when
// the log has failed it only counts.
func (l *Log) Append(db int, now int64, records []Record) (lsn uint64) {
	payload := payloadSize(records)
	if payload == 0 {
		return l.end.Load()
	}
	size := frameHeader + payload
	var own []byte
	if size > min(bigFrame, l.chunk) && payload <= maxPayload && l.err.Load() == nil {
		own = make([]byte, size)
		encodeRecords(own[frameHeader:], records)
	}
	l.mu.Lock()
	lsn = l.end.Load() + uint64(size)
	l.end.Store(lsn)
	switch {
	case l.stopped:
		l.mu.Unlock()
		return lsn
	case payload > maxPayload:
		l.stopped, l.refused = true, fmt.Errorf("a call makes a record of %d bytes, at most %d can be written", payload, maxPayload)
	case own != nil:
		l.buf = append(l.buf, own)
		l.held += int64(size)
	default:
		own = l.reserve(size)
		encodeRecords(own[frameHeader:], records)
	}
	if l.refused == nil {
		putHeader(own, l.epoch, lsn, now, db)
	}
	l.appended(now)
	l.mu.Unlock()
	return lsn
}

// appended lets the writer know of what is new in the buffer; the caller holds mu.
func (l *Log) appended(now int64) {
	if l.ages.buffered == 0 {
		l.ages.buffered = now
	}
	wake := l.asleep == idle || l.refused != nil
	if l.held >= l.o.BufferBytes && !l.full.Load() {
		l.full.Store(true)
		wake = true
	}
	if wake {
		l.rouse()
	}
}

// reserve returns size bytes at the end of the buffer; the caller holds mu.
func (l *Log) reserve(size int) []byte {
	if n := len(l.buf); n > 0 {
		last := l.buf[n-1]
		if len(last)+size <= cap(last) {
			l.buf[n-1] = last[:len(last)+size]
			return l.buf[n-1][len(last):]
		}
	}
	var chunk []byte
	if n := len(l.spare); n > 0 && size <= l.chunk {
		chunk, l.spare = l.spare[n-1][:size], l.spare[:n-1]
	} else {
		chunk = make([]byte, size, max(size, l.chunk))
	}
	l.buf = append(l.buf, chunk)
	l.held += int64(cap(chunk))
	return chunk
}

// rouse wakes the writer; the caller holds mu.
func (l *Log) rouse() {
	if l.asleep == working {
		return
	}
	l.asleep = working
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// End is the position behind the last record.
func (l *Log) End() uint64 { return l.end.Load() }

// Written is the position up to which the kernel has the log.
func (l *Log) Written() uint64 { return l.written.Load() }

// Durable is the position up to which the log outlives a crash of the machine.
func (l *Log) Durable() uint64 { return l.durable.Load() }

// Err is the first failure, or nil. After it nothing is written any more and
// Durable does not move.
func (l *Log) Err() error {
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}

// fail ends the log with its first failure.
func (l *Log) fail(err error) {
	l.mu.Lock()
	if l.err.Load() != nil {
		l.mu.Unlock()
		return
	}
	err = fmt.Errorf("the log cannot be written: %w", err)
	l.err.Store(&err)
	l.stopped = true
	l.full.Store(true)
	l.buf, l.spare, l.rotateAt, l.held = nil, nil, nil, 0
	l.once.Do(func() { close(l.over) })
	l.mu.Unlock()
	l.tell()
	if l.o.OnFail != nil {
		l.o.OnFail(err)
	}
}

// reason says why a log that is stopped is it; the caller holds mu.
func (l *Log) reason() error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.refused != nil {
		return l.refused
	}
	return ErrClosed
}

// SetPolicy changes the policy. Who waits by the old one is served at once.
func (l *Log) SetPolicy(p Policy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.policy.Store(int32(p))
	l.want = l.end.Load()
	l.rouse()
}

// Rotate lets the records that follow begin a new segment, and returns the position
// where they do. It waits for nothing; the caller sees to it that nobody appends
// meanwhile if the position is to mean something.
func (l *Log) Rotate() (first uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return 0, l.reason()
	}
	first = l.end.Load()
	if l.lastStart().First != first {
		l.beginSegment(SegmentStart{First: first, Epoch: l.epoch})
	}
	return first, nil
}

// Close writes what there is, makes it durable and ends the log. Records that are
// appended later are only counted.
func (l *Log) Close() error {
	l.mu.Lock()
	l.stopped, l.closing = true, true
	l.full.Store(true)
	l.rouse()
	l.mu.Unlock()
	l.running.Wait()
	if err := l.Err(); err != nil {
		return err
	}
	return l.closed
}
