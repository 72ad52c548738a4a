package snapshot

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/ferricd/ferricd/internal/vfs"
)

// An Info is what is known of a snapshot that was read.
type Info struct {
	Name string
	Header
	Counts
}

// Read calls fn for every command of the file name, in order, and checks all of
// it: a chunk before its commands are told, the counts and the sum of the file at
// the end. Whoever applies what it is told therefore throws that away after an
// error. args are valid until fn returns. progress, which may be nil, is told
// bytes read and in all.
//
// What is not as it was written is a *BrokenError; other errors are those of the
// disk and of fn.
func Read(fsys vfs.FS, name string, fn func(db int, args [][]byte) error, progress func(read, size int64)) (Info, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	r := &reader{name: name}
	if r.size, err = f.Size(); err != nil {
		return Info{}, err
	}
	r.r = bufio.NewReaderSize(f, chunkBytes)
	return r.read(fn, progress)
}

// Verify reads a snapshot and tells whether all of it is as it was written.
func Verify(fsys vfs.FS, name string, progress func(read, size int64)) (Info, error) {
	return Read(fsys, name, func(int, [][]byte) error { return nil }, progress)
}

type reader struct {
	name string
	r    io.Reader
	at   int64 // how much was read
	size int64 // of the file
	sum  uint32
	info Info

	payload []byte
	args    [][]byte
}

func (r *reader) broken(at int64, format string, args ...any) error {
	return &BrokenError{File: r.name, Offset: at, Reason: fmt.Sprintf(format, args...)}
}

// next reads n bytes, of which the file has that many.
func (r *reader) next(b []byte) error {
	if int64(len(b)) > r.size-r.at {
		return r.broken(r.size, "it ends in the middle")
	}
	n, err := io.ReadFull(r.r, b)
	r.at += int64(n)
	r.sum = crc32.Update(r.sum, castagnoli, b[:n])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return r.broken(r.at, "it has become shorter while it was read")
	}
	return err
}

func (r *reader) read(fn func(int, [][]byte) error, progress func(int64, int64)) (Info, error) {
	var b [headerSize]byte
	if err := r.next(b[:]); err != nil {
		return Info{}, err
	}
	h, reason := decodeHeader(b[:])
	if reason != "" {
		return Info{}, r.broken(0, "%s", reason)
	}
	r.info = Info{Name: r.name, Header: h}
	for {
		at, sum := r.at, r.sum
		h, err := r.chunk()
		if err != nil {
			return Info{}, err
		}
		if h.kind == kindEnd {
			return r.info, r.end(at, sum)
		}
		if err := r.commands(at, h, fn); err != nil {
			return Info{}, err
		}
		r.info.Keys += int64(h.keys)
		r.info.Commands += int64(h.commands)
		r.info.Chunks++
		if progress != nil {
			progress(r.at, r.size)
		}
	}
}

// chunk reads a chunk, which checks.
func (r *reader) chunk() (h head, err error) {
	at := r.at
	var b [headSize]byte
	if err := r.next(b[:]); err != nil {
		return h, err
	}
	h = decodeHead(b[:])
	if int64(h.length) > r.size-r.at {
		return h, r.broken(at, "a chunk is longer than the rest of the file")
	}
	if r.payload = keepSmall(r.payload); cap(r.payload) < int(h.length) {
		r.payload = make([]byte, h.length)
	}
	r.payload = r.payload[:h.length]
	if err := r.next(r.payload); err != nil {
		return h, err
	}
	switch {
	case !h.checks(b[:], r.payload):
		return h, r.broken(at, "the checksum of a chunk is wrong")
	case h.kind != kindData && h.kind != kindEnd:
		return h, r.broken(at, "a chunk is of kind %d, which this server does not know", h.kind)
	case h.kind == kindData && int64(h.db) >= int64(r.info.Databases):
		return h, r.broken(at, "a chunk is of database %d of %d", h.db, r.info.Databases)
	}
	return h, nil
}

// end checks the end chunk, which begins at a place where the sum was this.
func (r *reader) end(at int64, sum uint32) error {
	if len(r.payload) != endSize {
		return r.broken(at, "the end has %d bytes", len(r.payload))
	}
	r.info.Bytes = r.at
	switch n, want := decodeCounts(r.payload); {
	case r.at != r.size:
		return r.broken(r.at, "something follows the end")
	case want != sum:
		return r.broken(at, "the checksum of the file is wrong")
	case n != r.info.Counts:
		return r.broken(at, "the counts at the end are wrong")
	}
	return nil
}

func (r *reader) commands(at int64, h head, fn func(int, [][]byte) error) error {
	n := uint32(0)
	for off := 0; off < len(r.payload); n++ {
		var size int
		if r.args, size = parseCommand(r.args[:0], r.payload[off:]); size == 0 {
			return r.broken(at+headSize+int64(off), "this is no command")
		}
		if err := fn(int(h.db), r.args); err != nil {
			return err
		}
		off += size
	}
	if n != h.commands {
		return r.broken(at, "a chunk has %d commands, not %d", n, h.commands)
	}
	return nil
}

// parseCommand appends the arguments of the command that b begins with, which
// point into b, and returns its length, 0 if there is none.
func parseCommand(args [][]byte, b []byte) ([][]byte, int) {
	n, off := parseLength(b, '*')
	if off == 0 || n == 0 {
		return args, 0
	}
	for range n {
		size, m := parseLength(b[off:], '$')
		off += m
		if m == 0 || size > len(b)-off-2 || b[off+size] != '\r' || b[off+size+1] != '\n' {
			return args, 0
		}
		args = append(args, b[off:off+size:off+size])
		off += size + 2
	}
	return args, off
}

// parseLength reads a line of a mark and a number and returns its length, 0 if
// there is none.
func parseLength(b []byte, mark byte) (n, size int) {
	end := bytes.IndexByte(b[:min(len(b), 16)], '\r')
	if end < 2 || b[0] != mark || end+1 >= len(b) || b[end+1] != '\n' {
		return 0, 0
	}
	for _, d := range b[1:end] {
		if d < '0' || d > '9' {
			return 0, 0
		}
		n = 10*n + int(d-'0')
	}
	if n > math.MaxInt32 {
		return 0, 0
	}
	return n, end + 2
}
