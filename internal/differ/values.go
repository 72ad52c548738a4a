package differ

import (
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/command"
)

// nasty are values that handlers have stumbled over, somewhere, at some time.
var nasty = []string{
	"", "a", "b", "0", "1", "-1", "2", "10", "007", "-0", "+1", " 1", "1 ", "1.0", "3.5", "-2.75", "1e3", "0x10", "1_000",
	"inf", "-inf", "+Inf", "infinity", "nan", "1e400", "1e-400", "x y", "\x00\xff\r\n", "a\x00b", "\n", "é", "*", "?", "[a-", `\`,
	"9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
	"18446744073709551615", "18446744073709551616", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967296",
	"99999999999999999999999", "9007199254740993", "(1", "[a", "(a", "-", "+", "$", "#", "1-1", "0-0", "5-*", ">",
	strings.Repeat("m", 44), strings.Repeat("n", 45), strings.Repeat("o", 64), strings.Repeat("p", 65), strings.Repeat("long ", 140),
}

var (
	smallInts  = []string{"0", "1", "2", "3", "4", "5", "7", "10", "-1", "-2", "-3", "-4", "-10"}
	limitInts  = []string{"9223372036854775807", "-9223372036854775808", "-9223372036854775807", "2147483647", "-2147483648", "4294967296", "100", "1000"}
	doubles    = []string{"0", "1", "2", "3", "-1", "1.5", "-2.75", "3.0", "1e3", "1e-7", "0.1", "inf", "-inf", "+inf", "1e308", "-0", "5.0e3", "1234567890123456789", "3.14159265358979323846", "0.30000000000000004", "17179869184", "1e17", "1e21", "123456.789e-3"}
	elements   = []string{"a", "b", "c", "d", "e", "1", "2", "3", "-5", "10", "300", "70000", "5000000000", "foo", "bar", "0.5", "", "x y", "\x00\xff"}
	texts      = []string{"a", "b", "abc", "hello world", "1", "10", "-7", "3.5", "1e2", "12345678901", "", "\x00\x80\xff", "foobar foobar", "0", "255"}
	fields     = []string{"f", "g", "h", "i", "1", "2", "", "f\x00"}
	patterns   = []string{"*", "a*", "?", "[a-c]*", "[^a]*", "*1", "", "x*", `\*`, "[a-", "s?", "**", "h[12]"}
	streamIDs  = []string{"1-1", "1-2", "2-0", "2", "3-5", "3", "5-5", "0", "0-0", "0-1", "10-0", "18446744073709551615-18446744073709551615", "18446744073709551615", "1-", "-1", "7-*", "x-1"}
	rangeIDs   = []string{"-", "+", "(1-1", "(2", "(-", "$", ">"}
	lexes      = []string{"-", "+", "[a", "(a", "[c", "(c", "[", "(", "[foo", "[1", "a", "(\x00", "[z"}
	scores     = []string{"-inf", "+inf", "inf", "(1", "(2", "(-inf", "0", "1", "2", "3", "-1", "1.5", "1000", "(x", "nan", "(nan"}
	longitudes = []string{"13.361389", "15.087269", "2.349", "-74.006", "0", "179.9", "-180", "180.1", "0.5"}
	latitudes  = []string{"38.115556", "37.502669", "48.8566", "40.7128", "0", "85.05", "-85.05112878", "85.06", "0.5"}
	bitTypes   = []string{"u8", "i8", "u1", "i5", "u63", "i64", "u64", "i0", "u16", "i32", "U8", "u", "i", "x8"}
	bitOffsets = []string{"0", "1", "7", "8", "9", "100", "#0", "#1", "#3", "-1", "#-1", "63"}
	timesAgo   = []string{"1", "0", "-5", "1000000000"}
	typeNames  = []string{"string", "list", "set", "zset", "hash", "stream", "HASH", "none", "module"}
)

// named draws a value for an argument by its name, or else by its type.
func (d *drawer) named(a *command.Argument) string {
	if pool := d.pool(a.Name); pool != nil {
		return d.pick(pool...)
	}
	switch a.Type {
	case "key":
		return d.key()
	case "integer":
		return d.integer()
	case "double":
		return d.pick(doubles...)
	case "unix-time", "pattern":
		return d.timeOrPattern(a)
	}
	return d.pick(texts...)
}

// pool is what values of this name are drawn from, if the name tells.
func (d *drawer) pool(name string) []string {
	group := d.call.spec.Group
	switch name {
	case "element", "member", "pivot":
		return elements
	case "field":
		return fields
	case "seconds":
		return []string{d.later(1), d.later(1), "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775", "9223372036"}
	case "milliseconds", "ttl":
		return []string{d.later(1000), d.later(1000), "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854"}
	case "min", "max", "start", "stop", "end":
		return d.bounds()
	case "id", "last-id", "last-delivered-id", "lastid", "entries-read":
		return append(rangeIDs[:d.IntN(len(rangeIDs))], streamIDs...)
	case "group", "groupname":
		return []string{"g1", "g2", "g1", "none", ""}
	case "consumer", "consumername":
		return []string{"c1", "c2", "c1", "none"}
	case "longitude":
		return longitudes
	case "latitude":
		return latitudes
	case "encoding":
		return bitTypes
	case "offset":
		if group == command.Bitmap {
			return bitOffsets
		}
	case "cursor":
		return []string{"0", "0", "0", "0", "1", "17", "-1", "18446744073709551615", "18446744073709551616", "x"}
	case "type":
		return typeNames
	case "db", "destination-db", "index1", "index2":
		return []string{"0", "1", "2", "0", "1", "2", "15", "16", "-1", "x", "3000000000"}
	case "index":
		if group == command.Connection {
			return []string{"0", "1", "2", "0", "1", "2", "0", "15", "16", "-1", "x"}
		}
	}
	return nil
}

// bounds are ends of ranges: of scores, of strings, of IDs or of positions.
func (d *drawer) bounds() []string {
	switch d.call.spec.Group {
	case command.SortedSet:
		switch d.IntN(3) {
		case 0:
			return lexes
		case 1:
			return scores
		}
	case command.Stream:
		return append(rangeIDs[:4:4], streamIDs...)
	}
	if d.chance(15) {
		return limitInts
	}
	return smallInts
}

func (d *drawer) integer() string {
	if d.chance(12) {
		return d.pick(limitInts...)
	}
	return d.pick(smallInts...)
}

func (d *drawer) timeOrPattern(a *command.Argument) string {
	switch {
	case a.Type == "pattern":
		return d.pick(patterns...)
	case d.chance(25):
		return d.pick(timesAgo...)
	case d.chance(10):
		return d.pick(limitInts...)
	case strings.Contains(a.Name, "milli"):
		return d.pick("33177117420000", "33177117420001", "40000000000500", "33177117999000")
	}
	return d.pick("33177117420", "33177117421", "40000000000", "9223372036854775", "9223372036854776")
}

// later is a time from now that does not come while a test runs, and which is
// not drawn twice, so that no two ends of keys depend on who was faster.
func (d *drawer) later(unit int) string { return strconv.Itoa((100_000 + d.IntN(1<<22)) * unit) }

// initials of the keys of each type. Bitmaps and HyperLogLogs are strings, places
// are sorted sets; they get keys of their own besides.
var initials = map[command.Group]string{
	command.String: "s", command.List: "l", command.SetGroup: "e", command.SortedSet: "z", command.Hash: "h",
	command.Stream: "x", command.Bitmap: "b", command.HyperLogLog: "p", command.Geo: "g",
}

// key draws one of a few keys, mostly of the type that the command is about.
func (d *drawer) key() string {
	initial, ok := initials[d.call.spec.Group]
	if !ok || d.chance(10) {
		initial = d.pick("s", "l", "e", "z", "h", "x", "b", "p", "g")
	}
	if d.chance(2) {
		return d.pick("", "none", "\x00k", "{tag}k")
	}
	return initial + d.pick("1", "1", "2", "2", "3")
}
