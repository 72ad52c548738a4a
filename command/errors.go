package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ferricd/ferricd/store"
)

// A WireError is an error as the client sees it: its code, a space, its text.
type WireError string

func (e WireError) Error() string { return string(e) }

// Code is the first word: what INFO errorstats counts by.
func (e WireError) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Every error text of the wire stands here, as Redis words it.
const (
	ErrSyntax        WireError = "ERR syntax error"
	ErrWrongType     WireError = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrNotInteger    WireError = "ERR value is not an integer or out of range"
	ErrNotFloat      WireError = "ERR value is not a valid float"
	ErrOverflow      WireError = "ERR increment or decrement would overflow"
	ErrNaN           WireError = "ERR increment would produce NaN or Infinity"
	ErrNoKey         WireError = "ERR no such key"
	ErrOutOfRange    WireError = "ERR value is out of range"
	ErrNotPositive   WireError = "ERR value is out of range, must be positive"
	ErrIndex         WireError = "ERR index out of range"
	ErrOffset        WireError = "ERR offset is out of range"
	ErrTooLong       WireError = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrDBIndex       WireError = "ERR DB index is out of range"
	ErrInvalidDB     WireError = "ERR invalid DB index"
	ErrSameObject    WireError = "ERR source and destination objects are the same"
	ErrInvalidCursor WireError = "ERR invalid cursor"
	ErrTimeout       WireError = "ERR timeout is not a float or out of range"
	ErrTimeoutNeg    WireError = "ERR timeout is negative"

	ErrNoAuth       WireError = "NOAUTH Authentication required."
	ErrWrongPass    WireError = "WRONGPASS invalid username-password pair or user is disabled."
	ErrOOM          WireError = "OOM command not allowed when used memory > 'maxmemory'."
	ErrBusyKey      WireError = "BUSYKEY Target key name already exists."
	ErrContended    WireError = "BUSY key is contended"
	ErrQueueFull    WireError = "BUSY too many calls wait for this key"
	ErrInternal     WireError = "ERR internal error"
	ErrShutdown     WireError = "ERR server is shutting down"
	ErrDamaged      WireError = "ERR value was damaged by a failed command; delete the key or restart"
	ErrNestedMulti  WireError = "ERR MULTI calls can not be nested"
	ErrExecAbort    WireError = "EXECABORT Transaction discarded because of previous errors."
	ErrNotInMulti   WireError = "ERR Command not allowed inside a transaction"
	ErrUnblocked    WireError = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	ErrRoleChanged  WireError = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
	ErrInDoubt      WireError = "INDOUBT the log has failed: whether the last writes of this connection will last is not known"
	ErrSaveFailed   WireError = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	ErrCanceled     WireError = "ERR the client has left"
	ErrSaving       WireError = "ERR Background save already in progress"
	ErrLoading      WireError = "LOADING Redis is loading the dataset in memory"
	ErrReadonlyRepl WireError = "READONLY You can't write against a read only replica."

	ErrExpireNX   WireError = "ERR NX and XX, GT or LT options at the same time are not compatible"
	ErrExpireGTLT WireError = "ERR GT and LT options at the same time are not compatible"
	ErrSwapFirst  WireError = "ERR invalid first DB index"
	ErrSwapSecond WireError = "ERR invalid second DB index"
	ErrNotLRU     WireError = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	ErrNotLFU     WireError = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

	ErrKeysCommand WireError = "ERR Invalid command specified"
	ErrKeysArity   WireError = "ERR Invalid number of arguments specified for command"
	ErrKeysArgs    WireError = "ERR Invalid arguments specified for command"
	ErrKeysNone    WireError = "ERR The command has no key arguments"

	ErrNumKeysZero    WireError = "ERR numkeys should be greater than 0"
	ErrCountZero      WireError = "ERR count should be greater than 0"
	ErrCountNegative  WireError = "ERR COUNT can't be negative"
	ErrMaxLenNegative WireError = "ERR MAXLEN can't be negative"
	ErrRankZero       WireError = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"

	ErrDecrement       WireError = "ERR decrement would overflow"
	ErrLCSTypes        WireError = "ERR The specified keys must contain string values"
	ErrLCSBoth         WireError = "ERR If you want both the length and indexes, please just use IDX."
	ErrLCSMemory       WireError = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
	ErrDigestLength    WireError = "ERR must be exactly 16 hexadecimal characters"
	ErrDelexType       WireError = "ERR Key should be of string type if conditions are specified"
	ErrDelexCondition  WireError = "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
	ErrNumKeys         WireError = "ERR invalid numkeys value"
	ErrPairs           WireError = "ERR wrong number of key-value pairs"
	ErrENX             WireError = "ERR ENX flag requires an expiration"
	ErrBounds          WireError = "ERR LBOUND can't be greater than UBOUND"
	ErrIncrInfinite    WireError = "ERR BYFLOAT increment cannot be Infinity"
	ErrValueInfinite   WireError = "ERR value cannot be Infinity"
	ErrAppliedOverflow WireError = "ERR applied increment would overflow"
	ErrAppliedInfinite WireError = "ERR applied increment would be Infinity"

	ErrBit           WireError = "ERR bit is not an integer or out of range"
	ErrBitOffset     WireError = "ERR bit offset is not an integer or out of range"
	ErrBitArgument   WireError = "ERR The bit argument must be 1 or 0."
	ErrBitNotKeys    WireError = "ERR BITOP NOT must be called with a single source key."
	ErrFieldType     WireError = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	ErrOverflowType  WireError = "ERR Invalid OVERFLOW type specified"
	ErrFieldReadonly WireError = "ERR BITFIELD_RO only supports the GET subcommand"
	ErrNotHLL        WireError = "WRONGTYPE Key is not a valid HyperLogLog string value."
	ErrCorruptHLL    WireError = "INVALIDOBJ Corrupted HLL object detected"
	ErrDebugNoKey    WireError = "ERR The specified key does not exist"
	ErrNotSparse     WireError = "ERR HLL encoding is not sparse"
	ErrSortScores    WireError = "ERR One or more scores can't be converted into double"

	ErrScoreNaN      WireError = "ERR resulting score is not a number (NaN)"
	ErrScoreRange    WireError = "ERR min or max is not a float"
	ErrNameRange     WireError = "ERR min or max not valid string range item"
	ErrZAddNXXX      WireError = "ERR XX and NX options at the same time are not compatible"
	ErrZAddGTLT      WireError = "ERR GT, LT, and/or NX options at the same time are not compatible"
	ErrZAddIncr      WireError = "ERR INCR option supports a single increment-element pair"
	ErrRangeLimit    WireError = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	ErrRangeScores   WireError = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	ErrWeight        WireError = "ERR weight value is not a float"
	ErrLimitNegative WireError = "ERR LIMIT can't be negative"

	ErrUnit        WireError = "ERR unsupported unit provided. please use M, KM, FT, MI"
	ErrGeoRadius   WireError = "ERR need numeric radius"
	ErrGeoNegative WireError = "ERR radius cannot be negative"
	ErrGeoWidth    WireError = "ERR need numeric width"
	ErrGeoHeight   WireError = "ERR need numeric height"
	ErrGeoBox      WireError = "ERR height or width cannot be negative"
	ErrGeoMember   WireError = "ERR could not decode requested zset member"
	ErrGeoCount    WireError = "ERR COUNT must be > 0"
	ErrGeoAny      WireError = "ERR the ANY argument requires COUNT argument"

	ErrHashInt        WireError = "ERR hash value is not an integer"
	ErrHashFloat      WireError = "ERR hash value is not a float"
	ErrInfinite       WireError = "ERR value is NaN or Infinity"
	ErrFieldTime      WireError = "ERR invalid expire time, must be >= 0"
	ErrNoFields       WireError = "ERR Mandatory argument FIELDS is missing or not at the right position"
	ErrNumFields      WireError = "ERR Parameter `numFields` should be greater than 0"
	ErrFieldsPositive WireError = "ERR Number of fields must be a positive integer"
	ErrFieldCount     WireError = "ERR The `numfields` parameter must match the number of arguments"
	ErrFieldNumber    WireError = "ERR invalid number of fields"
	ErrFieldIf        WireError = "ERR Only one of FXX or FNX arguments can be specified"
	ErrFieldTimes     WireError = "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified"
	ErrFieldKeep      WireError = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
	ErrManyKeys       WireError = "ERR Number of keys can't be greater than number of args"
	ErrNoFieldTime    WireError = "ERR missing expire time"

	ErrStreamID       WireError = "ERR Invalid stream ID specified as stream command argument"
	ErrRangeStart     WireError = "ERR invalid start ID for the interval"
	ErrRangeEnd       WireError = "ERR invalid end ID for the interval"
	ErrTrimTwice      WireError = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	ErrTrimHow        WireError = "ERR syntax error, XTRIM must be called with a trimming strategy"
	ErrLimitAlone     WireError = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	ErrLimitExact     WireError = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	ErrTrimLimit      WireError = "ERR The LIMIT argument must be >= 0."
	ErrMaxLenTrim     WireError = "ERR The MAXLEN argument must be >= 0."
	ErrStreamZero     WireError = "ERR The ID specified in XADD must be greater than 0-0"
	ErrStreamSmaller  WireError = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	ErrStreamFull     WireError = "ERR The stream has exhausted the last possible ID, unable to add more items"
	ErrStreamTooLarge WireError = "ERR Elements are too large to be stored"
	ErrSetIDAdded     WireError = "ERR entries_added must be positive"
	ErrSetIDGiven     WireError = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	ErrSetIDTop       WireError = "ERR The ID specified in XSETID is smaller than the target stream top item"
	ErrSetIDLength    WireError = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	ErrGroupKey       WireError = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
	ErrGroupExists    WireError = "BUSYGROUP Consumer Group name already exists"
	ErrEntriesRead    WireError = "ERR value for ENTRIESREAD must be positive or -1"
	ErrGroupMissing   WireError = "ERR Missing GROUP option for XREADGROUP"
	ErrReadGroup      WireError = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	ErrReadNoAck      WireError = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	ErrReadNew        WireError = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	ErrReadLast       WireError = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	ErrReadUnbalanced WireError = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
	ErrReadKeyGone    WireError = "UNBLOCKED the stream key no longer exists"
	ErrReadGroupGone  WireError = "NOGROUP the consumer group this client was blocked on no longer exists"
	ErrAutoClaimCount WireError = "ERR COUNT must be > 0"
	ErrNumIDs         WireError = "ERR Number of IDs must be a positive integer"
	ErrNumIDsMatch    WireError = "ERR The `numids` parameter must match the number of arguments"
)

// ErrArity is the reply to a call with too few or too many arguments.
func ErrArity(s *Spec) WireError {
	return WireError("ERR wrong number of arguments for '" + s.Lower() + "' command")
}

// ErrSubSyntax is the reply to a subcommand that does not take these arguments,
// or that nobody knows.
func ErrSubSyntax(c *Context) WireError {
	return Errorf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		cString(c.Args[1], longestShown), strings.ToUpper(string(c.Args[0])))
}

// ErrExpireTime is the reply to an expiry that no int64 can hold.
func ErrExpireTime(s *Spec) WireError {
	return WireError("ERR invalid expire time in '" + s.Lower() + "' command")
}

// Errorf makes a wire error; format begins with its code. Clients' bytes end at
// the first NUL.
func Errorf(format string, args ...any) WireError {
	for i, a := range args {
		if b, ok := a.([]byte); ok {
			args[i] = cString(b, len(b))
		}
	}
	return WireError(fmt.Sprintf(format, args...))
}

// cString is b as C prints it: up to the first NUL, and no more than most bytes.
func cString(b []byte, most int) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b[:min(most, len(b))])
}

// longestShown is how many bytes of what a client sent stand in an error text.
const longestShown = 128

// ErrLogFailed refuses writes after the log has failed.
func ErrLogFailed(err error) WireError {
	return Errorf("MISCONF Errors writing to the AOF file: %s", strings.ReplaceAll(err.Error(), "\n", " "))
}

// ErrUnknown is the reply to a name that is no command.
func ErrUnknown(args [][]byte) WireError {
	var shown strings.Builder
	for _, a := range args[1:] {
		if shown.Len() >= longestShown {
			break
		}
		shown.WriteString("'" + cString(a, longestShown-shown.Len()) + "' ")
	}
	return Errorf("ERR unknown command '%s', with args beginning with: %s", cString(args[0], longestShown), shown.String())
}

// ErrExecAbortBy is the reply to an EXEC that is refused as a whole.
func ErrExecAbortBy(why WireError) WireError {
	return "EXECABORT Transaction discarded because of: " + WireError(strings.TrimPrefix(string(why), "ERR "))
}

// ErrUnknownSub is the reply to a subcommand that does not exist.
func ErrUnknownSub(container *Spec, sub []byte) WireError {
	return Errorf("ERR unknown subcommand '%s'. Try %s HELP.", cString(sub, longestShown), container.Name)
}

// Wire translates what a handler returned into what the client sees.
func Wire(err error) WireError {
	var w WireError
	switch {
	case errors.As(err, &w):
		return w
	case errors.Is(err, store.ErrWrongType):
		return ErrWrongType
	case errors.Is(err, store.ErrNotInteger):
		return ErrNotInteger
	case errors.Is(err, store.ErrNotFloat):
		return ErrNotFloat
	case errors.Is(err, store.ErrTooLong):
		return ErrTooLong
	case errors.Is(err, store.ErrDamaged):
		return ErrDamaged
	}
	return ErrInternal
}
