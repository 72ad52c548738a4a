package aof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A FramesError says why bytes are not the frames that come next in a log.
type FramesError struct {
	LSN    uint64 // where the frame begins
	Reason error
}

func (e *FramesError) Error() string {
	return fmt.Sprintf("what is to stand at position %d of the log does not fit: %v", e.LSN, e.Reason)
}

func (e *FramesError) Unwrap() error { return e.Reason }

// A Frames takes whole frames apart, one after the other. What it returns is valid
// until the next call.
type Frames struct{ frame Frame }

// Next decodes the frame at the beginning of b, and returns what is behind it. It
// looks at neither checksum nor position.
func (d *Frames) Next(b []byte) (f *Frame, rest []byte, err error) {
	size, err := frameSize(b)
	if err != nil {
		return nil, nil, err
	}
	f = &d.frame
	f.keep(keepWords)
	f.header(b)
	return f, b[size:], f.parse(b[frameHeader:size:size])
}

// frameSize is the length of the frame that b begins with, all of which is there.
func frameSize(b []byte) (int, error) {
	if len(b) < frameHeader {
		return 0, errCutShort
	}
	size := frameHeader + int64(binary.LittleEndian.Uint32(b))
	if size > int64(len(b)) {
		return 0, errCutShort
	}
	return int(size), nil
}

// header reads what stands before the payload.
func (f *Frame) header(b []byte) {
	f.Epoch = binary.LittleEndian.Uint64(b[8:])
	f.LSN = binary.LittleEndian.Uint64(b[16:])
	f.Now = int64(binary.LittleEndian.Uint64(b[24:]))
	f.DB = int(binary.LittleEndian.Uint32(b[32:]))
}

var errFlags = errors.New("the record has flags that this version does not know")

// verify tells whether b is whole frames that follow a record of an epoch at a
// position, and returns the epoch of the last.
func (d *Frames) verify(b []byte, at, epoch uint64) (last uint64, err error) {
	for len(b) > 0 {
		size, err := frameSize(b)
		if err != nil {
			return 0, &FramesError{at, err}
		}
		if binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[crcFrom:size], castagnoli) {
			return 0, &FramesError{at, errChecksum}
		}
		f, rest, err := d.Next(b)
		switch {
		case err != nil:
		case f.LSN != at+uint64(size):
			err = fmt.Errorf("the record belongs to position %d", f.LSN-uint64(size))
		case f.Epoch < epoch:
			err = fmt.Errorf("%w: a record of epoch %d is to follow one of %d", ErrEpoch, f.Epoch, epoch)
		case binary.LittleEndian.Uint32(b[36:]) != 0:
			err = errFlags
		}
		if err != nil {
			return 0, &FramesError{at, err}
		}
		b, at, epoch = rest, f.LSN, f.Epoch
	}
	return epoch, nil
}

// AppendFrames appends whole frames of another log as they are. They must fit:
// checksum, position, epoch; else the error is a *FramesError and nothing is
// appended. It copies b, waits for nothing, and is for one goroutine, which has
// asked for room before. No other record is appended meanwhile.
func (l *Log) AppendFrames(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l.mu.Lock()
	at, epoch := l.end.Load(), l.frames
	l.mu.Unlock()
	epoch, err := l.incoming.verify(b, at, epoch)
	if err != nil {
		return err
	}
	first := binary.LittleEndian.Uint64(b[8:])
	var own []byte
	if len(b) > min(bigFrame, l.chunk) {
		own = append(make([]byte, 0, len(b)), b...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return l.reason()
	}
	if end := l.end.Load(); end != at {
		return fmt.Errorf("%w: it has moved from %d to %d meanwhile", ErrPosition, at, end)
	}
	// A segment that another leadership has begun here, and that came to nothing,
	// must not claim a later epoch than its records have.
	if s := l.lastStart(); s.First == at && s.Epoch != first {
		l.beginSegment(SegmentStart{at, first})
	}
	if own != nil {
		l.buf = append(l.buf, own)
		l.held += int64(len(own))
	} else {
		copy(l.reserve(len(b)), b)
	}
	l.epoch, l.frames = epoch, epoch
	end := at + uint64(len(b))
	l.end.Store(end)
	l.appended(time.Now().UnixMilli())
	if Policy(l.policy.Load()) == Always {
		// Who waits for these waits at the leader: they do not gather here.
		l.want = max(l.want, end)
		l.rouse()
	}
	return nil
}
