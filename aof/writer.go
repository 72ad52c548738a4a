package aof

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"time"
)

// A batch is what the writer takes from the buffer at once.
type batch struct {
	chunks   [][]byte
	rotateAt []SegmentStart
	want     uint64
	refused  error
	last     bool // nothing will follow
}

// writer is the goroutine that writes. It alone changes segments.
func (l *Log) writer() {
	defer l.running.Done()
	defer l.finish()
	defer l.recovered("writer")
	var b batch
	for !b.last {
		if !l.next(&b) {
			return
		}
		err := l.write(&b)
		if err == nil && (Policy(l.policy.Load()) == Always || b.last || b.refused != nil || b.want > l.durable.Load()) {
			err = l.sync()
		}
		if err == nil {
			err = b.refused
		}
		if err != nil {
			l.fail(err)
			return
		}
		if Policy(l.policy.Load()) == EverySec {
			l.askSyncer()
		}
	}
}

// finish ends the log after its writer.
func (l *Log) finish() {
	l.syncing.Lock()
	l.closed = l.file.Close()
	l.syncing.Unlock()
	l.mu.Lock()
	l.once.Do(func() { close(l.over) })
	l.mu.Unlock()
	l.tell()
}

// recovered makes a panic of a goroutine of the log its failure.
func (l *Log) recovered(who string) {
	if p := recover(); p != nil {
		l.fail(fmt.Errorf("panic in the %s of the log: %v\n%s", who, p, debug.Stack()))
	}
}

// next waits until there is something to do and takes it. When somebody waits for
// it, that is at once; else records gather for a moment, so that neither a pipeline
// nor a stream of small calls costs a system call for each. False when the log has
// failed.
func (l *Log) next(b *batch) bool {
	gathered := false
	for {
		l.mu.Lock()
		switch {
		case l.err.Load() != nil:
			l.mu.Unlock()
			return false
		case l.due() || gathered && len(l.buf) > 0:
			l.take(b)
			l.mu.Unlock()
			return true
		}
		var timer <-chan time.Time
		l.asleep = idle
		if len(l.buf) > 0 {
			l.asleep = gathering
			l.timer.Reset(gather)
			timer = l.timer.C
		}
		l.mu.Unlock()
		select {
		case <-l.wake:
		case <-timer:
			gathered = true
		case <-l.over:
		}
	}
}

// due tells whether somebody waits for the writer; the caller holds mu.
func (l *Log) due() bool {
	durable := l.durable.Load()
	return l.closing || l.refused != nil || len(l.rotateAt) > 0 || l.want > durable ||
		l.full.Load() && len(l.buf) > 0 ||
		Policy(l.policy.Load()) == Always && l.written.Load() > durable
}

// take moves the buffer into a batch, whose empty list becomes the buffer's; the
// caller holds mu.
func (l *Log) take(b *batch) {
	l.asleep = working
	b.chunks, l.buf = l.buf, b.chunks[:0]
	b.rotateAt = append(b.rotateAt[:0], l.rotateAt...)
	b.want, b.refused, b.last = l.want, l.refused, l.closing
	l.ages.writing, l.ages.buffered = l.ages.buffered, 0
}

func (l *Log) write(b *batch) error {
	for i, chunk := range b.chunks {
		if err := l.writeChunk(chunk, b); err != nil {
			return err
		}
		b.chunks[i] = nil
		l.release(chunk)
	}
	if cap(b.chunks) > manyChunks {
		b.chunks = nil
	}
	if len(b.rotateAt) > 0 {
		if err := l.rotate(b, 0); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ages.written(l.written.Load() > l.durable.Load())
	return nil
}

// manyChunks is what a list of chunks may hold on to between bursts.
const manyChunks = 1024

// writeChunk computes the checksums of the frames of a chunk and writes them, to
// more than one segment if there is a boundary in it.
func (l *Log) writeChunk(chunk []byte, b *batch) error {
	start := 0
	for at := 0; at < len(chunk); at += seal(chunk[at:]) {
		grown := l.size + int64(at-start)
		if len(b.rotateAt) > 0 && b.rotateAt[0].First == l.written.Load()+uint64(at-start) || grown >= l.o.SegmentBytes && !l.following.Load() {
			if err := l.writeOut(chunk[start:at]); err != nil {
				return err
			}
			start = at
			if err := l.rotate(b, binary.LittleEndian.Uint64(chunk[at+8:])); err != nil {
				return err
			}
		}
	}
	return l.writeOut(chunk[start:])
}

func (l *Log) writeOut(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	l.at(FailWrite)
	if _, err := l.file.Write(p); err != nil {
		return err
	}
	l.at(FailWritten)
	l.size += int64(len(p))
	l.written.Add(uint64(len(p)))
	l.tell()
	return nil
}

// release takes back a chunk that is written.
func (l *Log) release(chunk []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err.Load() != nil {
		return // fail has let go of all
	}
	l.held -= int64(cap(chunk))
	if cap(chunk) == l.chunk && len(l.spare) < spareChunks {
		l.spare = append(l.spare, chunk[:0])
	}
	if l.full.Load() && !l.stopped && l.held <= l.o.BufferBytes/2 {
		l.full.Store(false)
		l.waits.openRoom()
	}
}

// rotate seals the segment and begins the next at the present position, of the
// epoch that was asked for or, where its size ends the segment, of the frame that
// follows. The old one is durable before the new one's name is: only the last
// segment can be torn.
func (l *Log) rotate(b *batch, epoch uint64) error {
	s := SegmentStart{First: l.written.Load(), Epoch: epoch}
	if len(b.rotateAt) > 0 && b.rotateAt[0].First == s.First {
		s = b.rotateAt[0]
		b.rotateAt = append(b.rotateAt[:0], b.rotateAt[1:]...)
	}
	if l.size == 0 {
		return l.relabel(s) // one begins here already
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if err := l.syncFile(); err != nil {
		return err
	}
	f, err := createSegment(l.o.FS, l.o.Dir, l.header(s), false, l.at)
	if err != nil {
		return err
	}
	l.file.Close() // all of it is durable
	l.file, l.size = f, 0
	l.mu.Lock()
	l.segments = append(l.segments, segment{SegmentStart: s})
	l.begun(s)
	l.mu.Unlock()
	l.tell()
	return nil
}

// syncer is the goroutine that makes the log durable once a second, so that a slow
// disk does not keep the writer from writing.
func (l *Log) syncer() {
	defer l.running.Done()
	defer l.recovered("syncer")
	var last time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.syncWake:
		case <-l.over:
			return
		}
		timer.Reset(max(0, l.o.SyncEvery-time.Since(last)))
		select {
		case <-timer.C:
		case <-l.over:
			return
		}
		if Policy(l.policy.Load()) != EverySec {
			continue // the writer does it, or nobody
		}
		last = time.Now()
		if err := l.sync(); err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *Log) askSyncer() {
	select {
	case l.syncWake <- struct{}{}:
	default: // it is asked and has not looked yet
	}
}

// sync makes durable what is written.
func (l *Log) sync() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	return l.syncFile()
}

// syncFile does so for who holds syncing. One sync serves all who wait when it begins.
// When it fails the log has failed before syncing is let go: whoever comes next would
// sync once more, and believe it.
func (l *Log) syncFile() error {
	l.mu.Lock()
	target := l.written.Load()
	if err := l.Err(); err != nil || target == l.durable.Load() {
		l.mu.Unlock()
		return err
	}
	l.waits.begin(target)
	l.ages.sync()
	l.mu.Unlock()

	l.at(FailSync)
	start := time.Now()
	if err := l.file.Sync(); err != nil {
		l.fail(err)
		return err
	}
	took := time.Since(start)
	l.at(FailSynced)

	l.mu.Lock()
	l.syncs.add(took)
	err := l.Err()
	if err == nil { // else nothing is durable any more
		l.durable.Store(target)
		l.ages.syncing = 0
		l.waits.finish()
	}
	l.mu.Unlock()
	l.tell()
	return err
}
