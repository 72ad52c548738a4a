package aof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/ferricd/ferricd/internal/vfs"
)

const (
	readAhead = 256 << 10
	// What a huge frame needed is let go after it.
	keepBuffer = 1 << 20
	keepWords  = 1 << 16
	// scanWindow is what is searched for a whole record at once.
	scanWindow = 1 << 20
)

// A segmentReader reads the frames of one segment up to limit, which lies in the
// file. A reader of a live log would raise it as the log grows.
type segmentReader struct {
	f     vfs.File
	first uint64
	limit int64  // bytes of the file that are to be read
	off   int64  // of the next frame
	epoch uint64 // below which no frame's may be
	mem   []byte // to read into
	buf   []byte // the part of it that was read ahead, from off on
}

// A frameError says that what is at the reader's offset is not a frame of this log.
type frameError struct {
	reason error
	// whole: its checksum fits, so no crash has cut it.
	whole bool
}

func (e *frameError) Error() string { return e.reason.Error() }

// openSegment opens a segment and reads its header.
func openSegment(fsys vfs.FS, dir string, s Segment) (*segmentReader, header, error) {
	f, err := fsys.Open(filepath.Join(dir, s.Name))
	if err != nil {
		return nil, header{}, err
	}
	r := &segmentReader{f: f, first: s.First, limit: s.Size, off: segmentHeader}
	b := make([]byte, min(segmentHeader, s.Size))
	h := header{}
	if _, err = io.ReadFull(io.NewSectionReader(f, 0, s.Size), b); err == nil {
		h, err = decodeHeader(b)
	}
	return r, h, err // the reader even with an error: the rest of the file may be looked at
}

func (r *segmentReader) close() { r.f.Close() }

// position is that of the next frame.
func (r *segmentReader) position() uint64 { return r.positionAt(r.off) }

func (r *segmentReader) positionAt(off int64) uint64 { return r.first + uint64(off-segmentHeader) }

// fill sees to it that n bytes from off on are in buf; the caller knows that the
// file has them.
func (r *segmentReader) fill(n int64) error {
	if int64(len(r.buf)) >= n {
		return nil
	}
	have := int64(len(r.buf))
	size := min(max(n, readAhead), r.limit-r.off)
	if int64(len(r.mem)) < size || len(r.mem) > keepBuffer && size <= keepBuffer {
		r.mem = make([]byte, max(size, min(readAhead, r.limit)))
	}
	buf := r.mem[:size]
	copy(buf, r.buf)
	if _, err := r.f.ReadAt(buf[have:], r.off+have); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s is shorter than it was: %w", r.f.Name(), io.ErrUnexpectedEOF)
		}
		return err
	}
	r.buf = buf
	return nil
}

// next reads a frame. The error is io.EOF at the limit, a *frameError when there is
// no frame at off, or what the file system says.
func (r *segmentReader) next(f *Frame) error {
	rest := r.limit - r.off
	if rest <= 0 {
		return io.EOF
	}
	if rest < frameHeader {
		return &frameError{reason: errCutShort}
	}
	if err := r.fill(frameHeader); err != nil {
		return err
	}
	size := frameHeader + int64(binary.LittleEndian.Uint32(r.buf))
	if size > rest {
		return &frameError{reason: errCutShort}
	}
	if err := r.fill(size); err != nil {
		return err
	}
	b := r.buf[:size]
	if binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[crcFrom:], castagnoli) {
		return &frameError{reason: errChecksum}
	}
	if err := r.decode(f, b); err != nil {
		return &frameError{reason: err, whole: true}
	}
	r.off += size
	r.buf = r.buf[size:]
	return nil
}

// decode takes apart a frame whose checksum fits.
func (r *segmentReader) decode(f *Frame, b []byte) error {
	f.keep(keepWords)
	f.header(b)
	switch flags := binary.LittleEndian.Uint32(b[36:]); {
	case f.LSN != r.position()+uint64(len(b)):
		return fmt.Errorf("a record that belongs to position %d stands at %d", f.LSN-uint64(len(b)), r.position())
	case flags != 0:
		return fmt.Errorf("the record has flags %#x, which this version does not know", flags)
	case f.Epoch < r.epoch:
		return fmt.Errorf("the record is of epoch %d, the one before it of %d", f.Epoch, r.epoch)
	}
	r.epoch = f.Epoch
	return f.parse(b[frameHeader:])
}

// wholeAfter looks for a whole frame from offset off on, at every byte, and returns
// where it begins and ends; 0, 0 when there is none. A frame is looked at closely
// only if its LSN is that of the place. Who makes values that look like frames for
// many places makes the search give up: then it answers the last of these places,
// since to take them for records is the safe side.
func (r *segmentReader) wholeAfter(off int64) (begin, end int64, err error) {
	budget := 64*(r.limit-off) + 64<<20
	buf := make([]byte, min(scanWindow, max(0, r.limit-off)))
	for off+frameHeader <= r.limit {
		b := buf[:min(int64(len(buf)), r.limit-off)]
		if _, err := r.f.ReadAt(b, off); err != nil {
			return 0, 0, err
		}
		for i := 0; i+frameHeader <= len(b); i++ {
			at := off + int64(i)
			size := frameHeader + int64(binary.LittleEndian.Uint32(b[i:]))
			if size > r.limit-at || binary.LittleEndian.Uint64(b[i+16:]) != r.positionAt(at)+uint64(size) {
				continue
			}
			sum, err := r.checksum(at+crcFrom, at+size)
			if err != nil {
				return 0, 0, err
			}
			budget -= size
			if budget < 0 || sum == binary.LittleEndian.Uint32(b[i+4:]) {
				return at, at + size, nil
			}
		}
		off += int64(len(b)) - frameHeader + 1
	}
	return 0, 0, nil
}

func (r *segmentReader) checksum(from, to int64) (uint32, error) {
	h := crc32.New(castagnoli)
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(r.f, from, to-from), make([]byte, 32<<10))
	return h.Sum32(), err
}
