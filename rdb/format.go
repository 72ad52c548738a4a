package rdb

import (
	"errors"
	"fmt"
	"hash/crc64"
)

// What begins a value says its type and its encoding.
const (
	typeString        = 0
	typeList          = 1
	typeSet           = 2
	typeZSetText      = 3
	typeHash          = 4
	typeZSet          = 5
	typeModuleOld     = 6
	typeModule        = 7
	typeHashZipmap    = 9
	typeListZiplist   = 10
	typeSetInts       = 11
	typeZSetZiplist   = 12
	typeHashZiplist   = 13
	typeQuicklist     = 14
	typeStream        = 15
	typeHashListpack  = 16
	typeZSetListpack  = 17
	typeQuicklist2    = 18
	typeStream2       = 19
	typeSetListpack   = 20
	typeStream3       = 21
	typeHashTimes     = 24
	typeHashTimesPack = 25
)

// What else may stand in a file where a type does.
const (
	opSlotInfo    = 244
	opFunction    = 245
	opFunctionOld = 246
	opModuleAux   = 247
	opIdle        = 248
	opFreq        = 249
	opAux         = 250
	opResizeDB    = 251
	opExpireMs    = 252
	opExpire      = 253
	opSelectDB    = 254
	opEOF         = 255
)

// How a length is written, by the first two bits of its first byte; of the third
// kind there are two, told by the whole byte.
const (
	len6      = 0
	len14     = 1
	len32     = 0x80
	len64     = 0x81
	lenCoded  = 3
	codeInt8  = 0
	codeInt16 = 1
	codeInt32 = 2
	codeLZF   = 3
)

// The nodes of a list in its newest form.
const (
	nodePlain  = 1
	nodePacked = 2
)

// The flags of a stream's entry.
const (
	entryDeleted = 1
	entrySame    = 2
)

const (
	// MaxVersion is the newest version that is read.
	MaxVersion = 12
	// Version is what is written where nothing needs a newer one.
	Version = 10
	// TimesVersion is the version from which on fields of a hash may expire.
	TimesVersion = 12
)

// maxText is the longest string, or compact part of a value, that is read.
const maxText = 1 << 30

// What is wrong with a payload, a file or what is to be written.
var (
	// ErrSum says that a payload does not end in a known version and its checksum.
	ErrSum = errors.New("rdb: version or checksum are wrong")
	// ErrFormat says that bytes are no value, or no file.
	ErrFormat = errors.New("rdb: bad format")
	// ErrModule says that something belongs to a module of Redis.
	ErrModule = fmt.Errorf("%w: data of a module", ErrFormat)
	// ErrTimes says that expiring fields were to be told to a version that has none.
	ErrTimes = errors.New("rdb: fields of a hash expire, which needs a newer version of the format")
	// ErrCount says that a Contents was not told how many parts follow.
	ErrCount = errors.New("rdb: the number of parts must be known before")
)

// bad is an ErrFormat that says what is wrong.
func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

// jones is the polynomial of the checksum, its bits reversed.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// checksum goes on with a checksum, which begins with 0. Redis inverts it neither
// before nor after.
func checksum(sum uint64, p []byte) uint64 { return ^crc64.Update(^sum, jones, p) }
