package aof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/internal/vfs"
)

// The header of a segment, little endian:
//
//	 0  8 bytes  magic
//	 8  u32      format
//	12  u32      reserved, 0
//	16  u64      position of the first frame
//	24  u64      epoch in which the segment was begun
//	32  16 bytes cluster
//	48  u32      CRC32C of what is before
const (
	segmentHeader = 52
	segmentMagic  = "FERRLOG\n"
	segmentFormat = 1

	segmentPrefix = "log-"
	segmentSuffix = ".fer"
	segmentDigits = 20

	// BrokenSuffix ends the names of what Repair has set aside.
	BrokenSuffix = ".broken"
)

// A Segment is one file of the log.
type Segment struct {
	First uint64 // the position of its first frame
	Name  string // in the directory
	Size  int64
}

func segmentName(first uint64) string {
	return fmt.Sprintf("%s%0*d%s", segmentPrefix, segmentDigits, first, segmentSuffix)
}

// IsSegment tells whether a file name claims to be a segment's.
func IsSegment(name string) bool {
	return strings.HasPrefix(name, segmentPrefix) && strings.HasSuffix(name, segmentSuffix)
}

// GoodName tells whether a file name is one that the log gives a segment.
func GoodName(name string) bool {
	_, ok := parseName(name)
	return ok
}

func parseName(name string) (first uint64, ok bool) {
	if !IsSegment(name) {
		return 0, false
	}
	number := strings.TrimSuffix(strings.TrimPrefix(name, segmentPrefix), segmentSuffix)
	first, err := strconv.ParseUint(number, 10, 64)
	return first, err == nil && name == segmentName(first)
}

// Segments lists the segments in a directory, oldest first. A name that only
// resembles one is an error: it may be a segment whose name was damaged.
func Segments(fsys vfs.FS, dir string) ([]Segment, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []Segment
	for _, e := range entries {
		if !IsSegment(e.Name()) {
			continue
		}
		first, ok := parseName(e.Name())
		if !ok {
			return nil, fmt.Errorf("%s: the log gives no file such a name; move it away if it is not part of the log", filepath.Join(dir, e.Name()))
		}
		info, err := fsys.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, Segment{First: first, Name: e.Name(), Size: info.Size()})
	}
	return list, nil // names of equal length: their order is that of the positions
}

type header struct {
	first, epoch uint64
	cluster      [16]byte
}

func (h header) encode() []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], segmentFormat)
	binary.LittleEndian.PutUint64(b[16:], h.first)
	binary.LittleEndian.PutUint64(b[24:], h.epoch)
	copy(b[32:], h.cluster[:])
	binary.LittleEndian.PutUint32(b[48:], crc32.Checksum(b[:48], castagnoli))
	return b
}

var (
	errNoHeader = errors.New("the header of the segment does not check")
	errNewer    = errors.New("the segment was written by a newer version of ferricd, use that one")
)

// decodeHeader takes apart the header of a segment. A header that does not check
// is errNoHeader, whatever is wrong; the format is looked at only behind a good checksum.
func decodeHeader(b []byte) (header, error) {
	var h header
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic ||
		binary.LittleEndian.Uint32(b[48:]) != crc32.Checksum(b[:48], castagnoli) {
		return h, errNoHeader
	}
	if binary.LittleEndian.Uint32(b[8:]) != segmentFormat || binary.LittleEndian.Uint32(b[12:]) != 0 {
		return h, errNewer
	}
	h.first = binary.LittleEndian.Uint64(b[16:])
	h.epoch = binary.LittleEndian.Uint64(b[24:])
	copy(h.cluster[:], b[32:])
	return h, nil
}

// createSegment makes a segment that is durable, name included, when it returns. An
// empty file of its name may be there only if it is said to be.
func createSegment(fsys vfs.FS, dir string, h header, empty bool, at func(string)) (vfs.File, error) {
	at(FailCreate)
	flag := os.O_WRONLY | os.O_APPEND
	if !empty {
		flag |= os.O_CREATE | os.O_EXCL
	}
	f, err := fsys.OpenFile(filepath.Join(dir, segmentName(h.first)), flag, vfs.FilePerm)
	if err != nil {
		return nil, err
	}
	at(FailCreated)
	if _, err = f.Write(h.encode()); err == nil {
		at(FailHeader)
		err = f.Sync()
	}
	if err == nil {
		at(FailHeaderSynced)
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	at(FailNamed)
	return f, nil
}

// openContinued opens the last segment to append to it, and makes what is in it durable.
func openContinued(fsys vfs.FS, dir string, last Segment, cluster [16]byte) (vfs.File, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, last.Name), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	b := make([]byte, segmentHeader)
	if _, err = f.ReadAt(b, 0); err == nil {
		var h header
		if h, err = decodeHeader(b); err == nil && (h.first != last.First || h.cluster != cluster) {
			err = fmt.Errorf("%s is not of this log", last.Name)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
