package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// A Header says what a snapshot stands for.
type Header struct {
	LSN       uint64 // the snapshot holds what the log's records before it have made
	Epoch     uint64 // of the primary that took it
	Time      int64  // of the cut, Unix ms
	Databases int
}

// Counts are what a snapshot consists of.
type Counts struct {
	Keys     int64
	Commands int64
	Chunks   int64
	Bytes    int64 // of the file
}

const (
	magic      = "ferricsn"
	format     = 1
	headerSize = 64
	headSize   = 24
	endSize    = 36

	kindData = 1
	kindEnd  = 2

	// A chunk is full from this size on; a large element makes it larger.
	chunkBytes = 256 << 10

	prefix = "snapshot-"
	suffix = ".fer"
	temp   = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Name is the name of the file of the snapshot at a log position.
func Name(lsn uint64) string { return fmt.Sprintf("%s%020d%s", prefix, lsn, suffix) }

// parseName is the reverse of Name.
func parseName(name string) (lsn uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if digits, ok = strings.CutSuffix(digits, suffix); !ok || len(digits) != 20 {
		return 0, false
	}
	lsn, err := strconv.ParseUint(digits, 10, 64)
	return lsn, err == nil
}

// GoodName tells whether a file name is one that Name gives.
func GoodName(name string) bool {
	_, ok := parseName(name)
	return ok
}

// A Mark tells one snapshot from another of the same name: the header with the time, and
// the end with the checksum of all.
type Mark [headerSize + endSize]byte

// MarkOf reads the mark of a file of this size.
func MarkOf(r io.ReaderAt, size int64) (m Mark, err error) {
	if size < headerSize+headSize+endSize {
		return m, io.ErrUnexpectedEOF
	}
	if _, err := r.ReadAt(m[:headerSize], 0); err != nil {
		return m, err
	}
	_, err = r.ReadAt(m[headerSize:], size-endSize)
	if err == io.EOF {
		err = nil
	}
	return m, err
}

func (h Header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.Databases))
	binary.LittleEndian.PutUint64(b[16:], h.LSN)
	binary.LittleEndian.PutUint64(b[24:], h.Epoch)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.Time))
	binary.LittleEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
	return b
}

// decodeHeader returns why b is no header, or "".
func decodeHeader(b []byte) (h Header, reason string) {
	if string(b[:8]) != magic {
		return h, "it does not begin as a snapshot does"
	}
	if crc32.Checksum(b[:headerSize-4], castagnoli) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return h, "the header's checksum is wrong"
	}
	if f := binary.LittleEndian.Uint32(b[8:]); f != format {
		return h, fmt.Sprintf("it has format %d, this server reads %d", f, format)
	}
	h.Databases = int(binary.LittleEndian.Uint32(b[12:]))
	h.LSN = binary.LittleEndian.Uint64(b[16:])
	h.Epoch = binary.LittleEndian.Uint64(b[24:])
	h.Time = int64(binary.LittleEndian.Uint64(b[32:]))
	return h, ""
}

// A head is what stands before the payload of a chunk.
type head struct {
	length, kind, db, commands, keys uint32
	sum                              uint32
}

// encode returns the head of a payload, for which it computes the sum.
func (h head) encode(payload []byte) []byte {
	b := make([]byte, headSize)
	for i, n := range [...]uint32{h.length, h.kind, h.db, h.commands, h.keys} {
		binary.LittleEndian.PutUint32(b[4*i:], n)
	}
	sum := crc32.Checksum(b[:headSize-4], castagnoli)
	binary.LittleEndian.PutUint32(b[headSize-4:], crc32.Update(sum, castagnoli, payload))
	return b
}

func decodeHead(b []byte) (h head) {
	for i, p := range [...]*uint32{&h.length, &h.kind, &h.db, &h.commands, &h.keys, &h.sum} {
		*p = binary.LittleEndian.Uint32(b[4*i:])
	}
	return h
}

// checks tells whether the sum is that of b, the encoded head, and the payload.
func (h head) checks(b, payload []byte) bool {
	return crc32.Update(crc32.Checksum(b[:headSize-4], castagnoli), castagnoli, payload) == h.sum
}

// encode returns the payload of the end chunk; sum is of the file before that.
func (n Counts) encode(sum uint32) []byte {
	b := make([]byte, endSize)
	for i, v := range [...]int64{n.Keys, n.Commands, n.Chunks, n.Bytes} {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint32(b[32:], sum)
	return b
}

func decodeCounts(b []byte) (n Counts, sum uint32) {
	for i, p := range [...]*int64{&n.Keys, &n.Commands, &n.Chunks, &n.Bytes} {
		*p = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return n, binary.LittleEndian.Uint32(b[32:])
}

// A BrokenError says where a file is not as it was written.
type BrokenError struct {
	File   string
	Offset int64
	Reason string
}

// Error names the file, the place and the reason.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s is broken at byte %d: %s (see ferricd check)", e.File, e.Offset, e.Reason)
}
