package rdb_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/rdb"
)

// The smallest of each: a ziplist of a, 12, -1 and 300, one of x alone, a zipmap
// with bytes to spare, listpacks, a node of a stream.
const (
	ziplist   = "\x17\x00\x00\x00\x12\x00\x00\x00\x04\x00" + "\x00\x01a" + "\x03\xfd" + "\x02\xfe\xff" + "\x03\xc0\x2c\x01" + "\xff"
	ziplistX  = "\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00" + "\x00\x01x" + "\xff"
	zipmap    = "\x02" + "\x03foo\x03\x00bar" + "\x01n\x01\x027\x00\x00" + "\xff"
	listpack  = "\x0c\x00\x00\x00\x02\x00" + "\x81a\x02" + "\x05\x01" + "\xff"
	timesPack = "\x10\x00\x00\x00\x03\x00" + "\x81f\x02" + "\x81v\x02" + "\xc3\xe8\x02" + "\xff"
	node      = "\x1d\x00\x00\x00\x0a\x00" + "\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01" + "\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01" + "\xff"
	nodeID    = "\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00"
	pendingID = "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00"
	at        = "\xe8\x03\x00\x00\x00\x00\x00\x00" // 1000
	lzfAs     = "\xc3\x05\x0a\x00a\xe0\x00\x00"    // ten times a
)

// forms are values of every type, and what they are.
var forms = []struct {
	name, value string
	want        tape
}{
	{"string", "\x00\x03abc", tape{`string "abc"`}},
	{"string of 14 bits", "\x00\x40\x03abc", tape{`string "abc"`}},
	{"string of 32 bits", "\x00\x80\x00\x00\x00\x03abc", tape{`string "abc"`}},
	{"string of 64 bits", "\x00\x81\x00\x00\x00\x00\x00\x00\x00\x03abc", tape{`string "abc"`}},
	{"integers", "\x01\x03\xc0\xff\xc1\x00\x80\xc2\xff\xff\xff\x7f", tape{"list", `"-1"`, `"-32768"`, `"2147483647"`}},
	{"compressed", "\x00" + lzfAs, tape{`string "aaaaaaaaaa"`}},
	{"set", "\x02\x01" + lzfAs, tape{"set", `"aaaaaaaaaa"`}},
	{"zset of texts", "\x03\x03\x01a\x031.5\x01b\xfe\x01c\xff", tape{"zset", `"a" 1.5`, `"b" +Inf`, `"c" -Inf`}},
	{"hash", "\x04\x01" + lzfAs + "\xc0\x07", tape{"hash false", `"aaaaaaaaaa" "7" 0`}},
	{"zset", "\x05\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x3f", tape{"zset", `"a" 1.5`}},
	{"zipmap", "\x09\x12" + zipmap, tape{"hash false", `"foo" "bar" 0`, `"n" "7" 0`}},
	{"list ziplist", "\x0a\x17" + ziplist, tape{"list", `"a"`, `"12"`, `"-1"`, `"300"`}},
	{"intset", "\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x05\x00", tape{"set", `"-1"`, `"5"`}},
	{"zset ziplist", "\x0c\x17" + ziplist, tape{"zset", `"a" 12`, `"-1" 300`}},
	{"hash ziplist", "\x0d\x17" + ziplist, tape{"hash false", `"a" "12" 0`, `"-1" "300" 0`}},
	{"quicklist", "\x0e\x02\x17" + ziplist + "\x0e" + ziplistX, tape{"list", `"a"`, `"12"`, `"-1"`, `"300"`, `"x"`}},
	{"hash listpack", "\x10\x0c" + listpack, tape{"hash false", `"a" "5" 0`}},
	{"zset listpack", "\x11\x0c" + listpack, tape{"zset", `"a" 5`}},
	{"quicklist 2", "\x12\x02\x02\x0c" + listpack + "\x01\x01x", tape{"list", `"a"`, `"5"`, `"x"`}},
	{"set listpack", "\x14\x0c" + listpack, tape{"set", `"a"`, `"5"`}},
	{"hash with times", "\x18" + at + "\x02\x01\x01f\x01v\x00\x01g\x01w", tape{"hash true", `"f" "v" 1000`, `"g" "w" 0`}},
	{"small hash with times", "\x19" + at + "\x10" + timesPack, tape{"hash true", `"f" "v" 1000`}},
	{"stream", "\x0f\x01" + nodeID + "\x1d" + node + "\x01\x05\x00" + "\x01\x01g\x05\x00" + "\x01" + pendingID + at + "\x02" +
		"\x01\x01c" + at + "\x01" + pendingID, tape{
		"stream", `5-0 ["f" "v"]`, "state {5-0 0-0 1 1}", `group "g" {[103] 5-0 1 1 1}`, `consumer "c" 1000`, `pending 5-0 "c" 1000 2`,
	}},
	{"stream 2", "\x13\x01" + nodeID + "\x1d" + node + "\x01\x05\x00\x05\x00\x03\x00\x09\x01" + "\x01g\x05\x00\x07" + "\x00" +
		"\x01\x01c" + at + "\x00", tape{
		"stream", `5-0 ["f" "v"]`, "state {5-0 3-0 9 1}", `group "g" {[103] 5-0 7 1 0}`, `consumer "c" 1000`,
	}},
	{"stream 3", "\x15\x01" + nodeID + "\x1d" + node + "\x01\x05\x00\x05\x00\x03\x00\x09\x01" +
		"\x01g\x05\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff" + "\x00" + "\x01\x01c" + at + at + "\x00", tape{
		"stream", `5-0 ["f" "v"]`, "state {5-0 3-0 9 1}", `group "g" {[103] 5-0 -1 1 0}`, `consumer "c" 1000`,
	}},
}

// Every form that Redis has ever written is read, and no part of it is missed.
func TestEveryFormIsRead(t *testing.T) {
	for _, f := range forms {
		var got tape
		require.NoError(t, rdb.Decode([]byte(f.value), &got), f.name)
		require.Equal(t, f.want, got, f.name)
		for i := range len(f.value) {
			require.ErrorIs(t, rdb.Decode([]byte(f.value[:i]), new(tape)), rdb.ErrFormat, "%s cut at %d", f.name, i)
		}
	}
}

// What cannot be right is refused.
func TestBrokenFormsAreRefused(t *testing.T) {
	for name, value := range map[string]string{
		"unknown type":                    "\x63\x01a",
		"preliminary type":                "\x16\x01a",
		"no length":                       "\x00\x82abc",
		"coded number":                    "\x01\xc0\x01",
		"unknown code":                    "\x00\xc4\x01",
		"score that is no number":         "\x03\x01\x01a\xfd",
		"score of letters":                "\x03\x01\x01a\x01x",
		"NaN":                             "\x05\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x7f",
		"text compressed to nothing":      "\x00\xc3\x05\x0b\x00a\xe0\x00\x00",
		"text repeats what is not there":  "\x00\xc3\x05\x0a\x00a\xe0\x00\x01",
		"ziplist of another length":       "\x0a\x17\x18" + ziplist[1:],
		"ziplist with another tail":       "\x0a\x17" + ziplist[:4] + "\x11" + ziplist[5:],
		"ziplist with another count":      "\x0a\x17" + ziplist[:8] + "\x05" + ziplist[9:],
		"ziplist with another way back":   "\x0a\x17" + ziplist[:13] + "\x02" + ziplist[14:],
		"ziplist of pairs, one single":    "\x0d\x0e" + ziplistX,
		"zipmap of another count":         "\x09\x12\x03" + zipmap[1:],
		"zipmap with more to spare":       "\x09\x12" + zipmap[:13] + "\x04" + zipmap[14:],
		"intset out of order":             "\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x05\x00\x05\x00",
		"intset of another width":         "\x0b\x0c\x03\x00\x00\x00\x02\x00\x00\x00\x05\x00\x06\x00",
		"intset of another count":         "\x0b\x0c\x02\x00\x00\x00\x03\x00\x00\x00\x05\x00\x06\x00",
		"listpack of another count":       "\x14\x0c" + listpack[:4] + "\x03" + listpack[5:],
		"listpack with another way back":  "\x14\x0c" + listpack[:8] + "\x03" + listpack[9:],
		"node of another form":            "\x12\x01\x03\x0c" + listpack,
		"field expires before all time":   "\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01f\x01v",
		"node with another count":         "\x0f\x01" + nodeID + "\x1d" + node[:6] + "\x02" + node[7:] + "\x01\x05\x00\x00",
		"node of an unknown entry":        "\x0f\x01" + nodeID + "\x1d" + node[:17] + "\x04" + node[18:] + "\x01\x05\x00\x00",
		"node with a short ID":            "\x0f\x01\x01a\x1d" + node + "\x01\x05\x00\x00",
		"pending for nobody":              "\x0f\x00\x00\x05\x00\x01\x01g\x05\x00\x01" + pendingID + at + "\x02\x00",
		"consumer of what is not pending": "\x0f\x00\x00\x05\x00\x01\x01g\x05\x00\x00\x01\x01c" + at + "\x01" + pendingID,
		"pending twice":                   "\x0f\x00\x00\x05\x00\x01\x01g\x05\x00\x02" + pendingID + at + "\x02" + pendingID + at + "\x02\x00",
	} {
		require.ErrorIs(t, rdb.Decode([]byte(value), new(tape)), rdb.ErrFormat, name)
	}
	require.ErrorIs(t, rdb.Decode([]byte("\x07\x81abcdefgh"), new(tape)), rdb.ErrModule)
}

// No length that is only told makes room.
func TestLengthsAreNotTrusted(t *testing.T) {
	const many = "\x80\x3f\xff\xff\xff"
	for _, value := range []string{
		"\x00" + many + "a", "\x01" + many + "\x01a", "\x04" + many + "\x01a\x01b", "\x12" + many + "\x01\x01a",
		"\x00\xc3\x05" + many + "\x00a\xe0\x00\x00", "\x0f" + many, "\x0f\x00\x00\x05\x00" + many,
		"\x0f\x00\x00\x05\x00\x01\x01g\x05\x00" + many, "\x14\x0c\x0c\x00\x00\x00\xff\xff" + "\xf0\xff\xff\xff\xff\x01",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.ErrorIs(t, rdb.Decode([]byte(value), new(tape)), rdb.ErrFormat)
		require.Error(t, readAll([]byte("REDIS0012"+value[:1]+"\x01k"+value[1:]), func() *tape { return new(tape) }))
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "%q", value)
	}
}

// More parts than there are bytes are not even begun.
func TestImpossibleCountsTellNothing(t *testing.T) {
	var got tape
	require.ErrorIs(t, rdb.Decode([]byte("\x01\x03\x01a"), &got), rdb.ErrFormat)
	require.Empty(t, got)
}

// A node whose entries all repeat its long name cannot make much of little.
func TestNamesRepeatedTooOftenAreRefused(t *testing.T) {
	const name, entries = 20000, 2000
	lp := []byte("\x00\x00\x00\x00\xff\xff" + "\xf1\xd0\x07\x03\x00\x01\x01\x01")
	lp = append(lp, "\xf0\x20\x4e\x00\x00"...)
	lp = append(lp, make([]byte, name)...)
	lp = append(lp, "\x01\x9c\xa5\x00\x01"...) // 20005 as 1, 0x1c, 0x25
	for range entries {
		lp = append(lp, "\x02\x01\x00\x01\x00\x01\x01\x01\x04\x01"...)
	}
	lp = append(lp, 0xff)
	binary.LittleEndian.PutUint32(lp, uint32(len(lp)))
	value := append([]byte("\x0f\x01"+nodeID+"\x80"), binary.BigEndian.AppendUint32(nil, uint32(len(lp)))...)
	value = append(append(value, lp...), "\x47\xd0\x05\x00\x00"...)
	require.ErrorContains(t, rdb.Decode(value, new(counter)), "too often")
}
