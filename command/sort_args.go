package command

import (
	"bytes"
	"math"
)

// sortArgs are the options of SORT.
type sortArgs struct {
	by      []byte // a pattern of keys that hold what is compared; nil: the elements are
	get     [][]byte
	store   int // argument with the destination, 0: none
	offset  int64
	count   int64
	desc    bool
	alpha   bool
	nosort  bool // BY said something that is no pattern
	unknown bool // which keys are read follows from the elements
}

// parseSort reads the options of SORT or, where nothing may be stored, SORT_RO.
func parseSort(args [][]byte, readonly bool) (o sortArgs, err error) {
	o.count = -1
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		switch word := args[i]; {
		case foldEqual(word, "ASC"):
			o.desc = false
		case foldEqual(word, "DESC"):
			o.desc = true
		case foldEqual(word, "ALPHA"):
			o.alpha = true
		case foldEqual(word, "LIMIT") && left >= 2:
			var ok, also bool
			o.offset, ok = ParseInt(args[i+1])
			o.count, also = ParseInt(args[i+2])
			if !ok || !also {
				return o, ErrNotInteger
			}
			i += 2
		case foldEqual(word, "STORE") && left >= 1 && !readonly:
			i++
			o.store = i
		case foldEqual(word, "BY") && left >= 1:
			i++
			o.by = args[i]
			if star(o.by) < 0 {
				o.nosort = true
			} else {
				o.unknown = true
			}
		case foldEqual(word, "GET") && left >= 1:
			i++
			o.get = append(o.get, args[i])
			o.unknown = o.unknown || star(args[i]) >= 0
		default:
			return o, ErrSyntax
		}
	}
	return o, nil
}

// star is where the element is put into a pattern, -1 if nowhere. As C sees it, a
// pattern ends at the first NUL for whoever looks for the star.
func star(pattern []byte) int {
	if i := bytes.IndexByte(pattern, 0); i >= 0 {
		pattern = pattern[:i]
	}
	return bytes.IndexByte(pattern, '*')
}

// window is which of n sorted elements are asked for.
func (o *sortArgs) window(n int) (from, to int) {
	size := int64(n)
	first := min(max(o.offset, 0), size)
	if o.count < 0 {
		return int(first), n
	}
	return int(first), int(first + min(o.count, size-first))
}

// sortGate tells whether a SORT reads keys that only its elements name.
func sortGate(args [][]byte) bool {
	o, err := parseSort(args, false)
	return err == nil && o.unknown
}

// noKeys stands for the keys that nobody can find.
func noKeys([][]byte) []int { return nil }

// sortStoreKey finds the destination of SORT: the last one that is named.
func sortStoreKey(args [][]byte) []int {
	at := 0
	for i := 2; i < len(args); i++ {
		switch {
		case foldEqual(args[i], "LIMIT"):
			i += 2
		case foldEqual(args[i], "GET"), foldEqual(args[i], "BY"):
			i++
		case foldEqual(args[i], "STORE") && i+1 < len(args):
			i++
			at = i
		}
	}
	if at == 0 {
		return nil
	}
	return []int{at}
}

// sortNumber reads the start of b, up to a NUL, as C's strtod does when a number
// is wanted and nothing else: spaces may precede it, and nothing at all is 0.
func sortNumber(b []byte) (float64, bool) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0, true
	}
	f, ok := ParseFloat(bytes.TrimLeft(b, " \t\n\v\f\r"))
	return f, ok && !math.IsNaN(f)
}
