package persist

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/rmw"
	"github.com/ferricd/ferricd/router"
)

// errLocalWrite is a fault of this server: the router must not let calls write.
var errLocalWrite = errors.New("a call has written at a standby: its data is no longer the leader's")

// An ApplyError is the end of a standby: memory is not what its log says. Only a full
// copy helps.
type ApplyError struct {
	LSN uint64 // behind the last unit that was applied
	Err error
}

func (e *ApplyError) Error() string {
	return fmt.Sprintf("what follows position %d cannot be applied: %v", e.LSN, e.Err)
}

func (e *ApplyError) Unwrap() error { return e.Err }

const (
	// queueBytes bounds what is received and not yet applied.
	queueBytes = 32 << 20
	// queueChunk is how much of it lies in one piece, at least.
	queueChunk = 64 << 10
	// applyTime is how long readers wait for a batch that is applied, about.
	applyTime = 2 * time.Millisecond
	// applyPolite is how long a batch waits for a long call to end.
	applyPolite = 100 * time.Millisecond
)

// A Standby takes the leader's frames: each is logged as it is and then applied to
// memory, in batches of whole units with the gate closed, so that whoever reads sees
// no unit half.
type Standby struct {
	k      *Keeper
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the applier has ended
	work   chan struct{} // there is something to apply, or nothing will follow

	applied atomic.Uint64

	// appending is held by who appends, and over a change of the log. It is taken
	// behind the Keeper's role.
	appending sync.Mutex

	mu     sync.Mutex // for a few fields; nothing is waited for under it
	queue  [][]byte   // frames
	bytes  int        // in queue and in the applier's hands
	over   bool       // nothing more is taken
	last   bool       // nothing more comes into the queue
	gen    int        // of the queue: what was queued before is void
	err    error      // it has failed
	moved  chan struct{}
	frames aof.Frames // the applier's
}

func newStandby(k *Keeper) *Standby {
	s := &Standby{k: k, done: make(chan struct{}), work: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(k.ctx)
	return s
}

// follow lets the standby go on in a log whose records are all written.
func (s *Standby) follow(l *aof.Log) {
	l.SetFollowing(true)
	l.Watch(s.notify)
}

func (s *Standby) log() *aof.Log { return s.k.journal.log.Load() }

// Append takes whole frames that follow what was received. It returns when they are
// in the log's buffer; it waits while too much is not yet applied or written. A
// *aof.FramesError says that they do not fit: nothing was taken of them.
func (s *Standby) Append(frames []byte) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	if err := s.awaitQueue(); err != nil {
		return err
	}
	l := s.log()
	if err := l.AwaitRoom(s.ctx.Done()); err != nil {
		return err
	}
	if err := l.AppendFrames(frames); err != nil {
		return err
	}
	s.k.endStaging()
	s.push(frames)
	s.notify()
	return nil
}

// Segment says that the leader began a segment at first, where the log ends.
func (s *Standby) Segment(first, epoch uint64) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.k.endStaging()
	return s.log().RotateAt(first, epoch)
}

// awaitQueue waits until there is room in the queue.
func (s *Standby) awaitQueue() error {
	for {
		moved := s.Moved()
		s.mu.Lock()
		room, err := s.bytes < queueBytes, s.usableLocked()
		s.mu.Unlock()
		if err != nil || room {
			return err
		}
		select {
		case <-moved:
		case <-s.ctx.Done():
			return ErrOver
		}
	}
}

func (s *Standby) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usableLocked()
}

func (s *Standby) usableLocked() error {
	switch {
	case s.err != nil:
		return s.err
	case s.over:
		return ErrOver
	}
	return nil
}

func (s *Standby) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// failure is why memory is not to be trusted, or nil.
func (s *Standby) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the standby but for a full copy. It waits for nothing.
func (s *Standby) fail(err error) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = &ApplyError{s.applied.Load(), err}
		err = s.err
		s.queue, s.bytes = nil, 0
	}
	s.mu.Unlock()
	if first {
		s.k.journal.lost.Store(true)
		s.k.o.Log.Error("the standby has failed: it needs a full copy", "error", err)
		s.notify()
	}
}

// push queues a copy of frames.
func (s *Standby) push(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.bytes += len(frames)
	if n := len(s.queue); n > 0 && len(s.queue[n-1])+len(frames) <= cap(s.queue[n-1]) {
		s.queue[n-1] = append(s.queue[n-1], frames...)
	} else {
		s.queue = append(s.queue, append(make([]byte, 0, max(queueChunk, len(frames))), frames...))
	}
	s.wake()
}

func (s *Standby) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// Positions are up to where the log was received, applied to memory, and is durable.
func (s *Standby) Positions() (received, applied, durable uint64) {
	l := s.log()
	applied = s.applied.Load() // first: it is never ahead of the others that are told
	durable = l.Durable()
	return l.End(), applied, durable
}

// Epoch is that of the last record received, or of a segment that was begun since.
func (s *Standby) Epoch() uint64 { return s.log().Epoch() }

// History is that of the log.
func (s *Standby) History() []aof.EpochStart { return s.log().History() }

// Moved is closed when one of the positions moves, or the standby fails or ends. Who
// looks at them takes it before.
func (s *Standby) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved == nil {
		s.moved = make(chan struct{})
	}
	return s.moved
}

func (s *Standby) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// Err is why the standby has failed, or nil.
func (s *Standby) Err() error { return s.failure() }

// Close applies what was received and ends the standby; the log stays open. The node
// takes no writes until Lead. The error is the one with which it has failed.
func (s *Standby) Close() error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.cancel()
	s.notify()
	s.appending.Lock() // who appends has seen it
	s.mu.Lock()
	s.last = true
	s.wake()
	s.mu.Unlock()
	s.appending.Unlock()
	<-s.done
	s.notify()
	return s.failure()
}

// apply is the goroutine that brings the log into memory.
func (s *Standby) apply() {
	defer close(s.done)
	defer func() {
		if p := recover(); p != nil {
			s.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	loader := s.k.router.NewLoader()
	defer loader.Close()
	for range s.work {
		s.mu.Lock()
		queue, last, gen := s.queue, s.last, s.gen
		s.queue = nil
		s.mu.Unlock()
		for len(queue) > 0 && s.failure() == nil {
			rest, n, err := s.batch(loader, queue, gen)
			if err != nil {
				s.fail(err)
			}
			s.taken(n, gen)
			queue = rest
			runtime.Gosched()
		}
		if last {
			return
		}
	}
}

func (s *Standby) taken(n, gen int) {
	s.mu.Lock()
	if s.err == nil && s.gen == gen {
		s.bytes -= n
	}
	s.mu.Unlock()
	s.notify()
}

// batch applies units for a moment, with the gate closed, and returns what is left.
func (s *Standby) batch(l *router.Loader, queue [][]byte, gen int) (rest [][]byte, n int, err error) {
	do := func() {
		if s.current(gen) {
			rest, n, err = s.units(l, queue)
		}
	}
	gate := s.k.runner.Exclusive(applyPolite, do)
	if errors.Is(gate, rmw.ErrBusy) {
		gate = s.k.runner.Exclusive(-1, do)
	}
	return rest, n, errors.Join(gate, err)
}

// current tells whether a queue still counts.
func (s *Standby) current(gen int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen == gen
}

// begin lets the standby go on at a position, with nothing queued, as after a start.
// The gate is closed.
func (s *Standby) begin(at uint64) {
	s.mu.Lock()
	s.gen++
	s.queue, s.bytes, s.err = nil, 0, nil
	s.mu.Unlock()
	s.applied.Store(at)
	s.notify()
}

// lookEach is how many units are applied between two looks at the clock.
const lookEach = 32

func (s *Standby) units(l *router.Loader, queue [][]byte) (rest [][]byte, n int, err error) {
	start := time.Now()
	for done := 1; len(queue) > 0; done++ {
		f, behind, err := s.frames.Next(queue[0])
		if err == nil {
			err = l.Load(f.DB, f.Now, f.Records)
		}
		if err != nil {
			return nil, n, err
		}
		n += len(queue[0]) - len(behind)
		s.applied.Store(f.LSN)
		s.k.epoch = f.Epoch
		if queue[0] = behind; len(behind) == 0 {
			queue[0] = nil
			queue = queue[1:]
		}
		if done%lookEach == 0 && time.Since(start) > applyTime {
			break
		}
	}
	return queue, n, nil
}
