package aof

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// A Record is one command in replayable form.
type Record = [][]byte

// The frame, little endian:
//
//	 0  u32  length of the payload
//	 4  u32  CRC32C of everything after this field
//	 8  u64  epoch
//	16  u64  LSN: the position just after the frame
//	24  i64  Unix time of the call in ms
//	32  u32  database
//	36  u32  flags, 0 so far
//	40       payload: the records as RESP arrays of bulk strings; none in the first unit of an epoch
//
// The LSN binds the length and the place in the file to the checksum: a whole
// frame at another place is not a record of that place.
const (
	frameHeader = 40
	crcFrom     = 8
	maxPayload  = math.MaxUint32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Frame is one unit of the log as it is read: what one call did.
type Frame struct {
	LSN   uint64 // the position after it
	Epoch uint64
	Now   int64 // Unix time of the call in ms
	DB    int
	// Records are valid until the function that was given the Frame returns.
	Records []Record

	args   [][]byte // of all records; kept for the next frame
	counts []int
}

func digits(n int) int {
	d := 1
	for n >= 10 {
		n /= 10
		d++
	}
	return d
}

// payloadSize is how many bytes encodeRecords writes. A record without words says
// nothing and is left out.
func payloadSize(records []Record) int {
	size := 0
	for _, args := range records {
		if len(args) == 0 {
			continue
		}
		size += 1 + digits(len(args)) + 2
		for _, arg := range args {
			size += 1 + digits(len(arg)) + 2 + len(arg) + 2
		}
	}
	return size
}

// putHeader fills in what is known when a frame is appended; the checksum is
// computed by the writer, outside the mutex.
func putHeader(b []byte, epoch, lsn uint64, now int64, db int) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameHeader))
	binary.LittleEndian.PutUint64(b[8:], epoch)
	binary.LittleEndian.PutUint64(b[16:], lsn)
	binary.LittleEndian.PutUint64(b[24:], uint64(now))
	binary.LittleEndian.PutUint32(b[32:], uint32(db))
	binary.LittleEndian.PutUint32(b[36:], 0)
}

// seal computes the checksum of the frame at the start of b and returns its length.
func seal(b []byte) int {
	size := frameHeader + int(binary.LittleEndian.Uint32(b))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[crcFrom:size], castagnoli))
	return size
}

func encodeRecords(b []byte, records []Record) {
	for _, args := range records {
		if len(args) == 0 {
			continue
		}
		b = putCount(b, '*', len(args))
		for _, arg := range args {
			b = putCount(b, '$', len(arg))
			b = b[copy(b, arg):]
			b[0], b[1] = '\r', '\n'
			b = b[2:]
		}
	}
}

// putCount writes a header of RESP and returns what is behind it.
func putCount(b []byte, kind byte, n int) []byte {
	size := digits(n)
	b[0] = kind
	for i := size; i > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	b[size+1], b[size+2] = '\r', '\n'
	return b[size+3:]
}

var (
	errCutShort = errors.New("the record is cut short")
	errChecksum = errors.New("the checksum of the record does not fit")
	errPayload  = errors.New("the record passes its checksum, but is not a list of commands")
)

// parse takes apart the payload of a frame. It accepts exactly what encodeRecords
// writes; counts in it are never trusted for an allocation.
func (f *Frame) parse(payload []byte) error {
	f.args, f.counts, f.Records = f.args[:0], f.counts[:0], f.Records[:0]
	for len(payload) > 0 {
		words, rest, ok := count(payload, '*')
		if !ok || words == 0 {
			return errPayload
		}
		payload = rest
		for range words {
			n, rest, ok := count(payload, '$')
			if !ok || len(rest)-2 < n || rest[n] != '\r' || rest[n+1] != '\n' {
				return errPayload
			}
			f.args = append(f.args, rest[:n:n])
			payload = rest[n+2:]
		}
		f.counts = append(f.counts, words)
	}
	at := 0
	for _, words := range f.counts {
		f.Records = append(f.Records, f.args[at:at+words:at+words])
		at += words
	}
	return nil
}

// count reads a header of RESP: no sign, no leading zero.
func count(b []byte, kind byte) (n int, rest []byte, ok bool) {
	if len(b) < 4 || b[0] != kind {
		return 0, nil, false
	}
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if n = n*10 + int(b[i]-'0'); n > maxPayload {
			return 0, nil, false
		}
	}
	if i == 1 || i > 2 && b[1] == '0' || len(b) < i+2 || b[i] != '\r' || b[i+1] != '\n' {
		return 0, nil, false
	}
	return n, b[i+2:], true
}

// keep bounds what a huge frame leaves behind for the next ones.
func (f *Frame) keep(words int) {
	if cap(f.args) > words {
		f.args = nil
	}
	if cap(f.counts) > words {
		f.counts, f.Records = nil, nil
	}
}
