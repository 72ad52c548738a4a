package differ

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ferricd/ferricd/internal/transcript"
)

// How says in what two replies to the same call must agree.
type How int

const (
	Exact     How = iota // every byte
	Unordered            // the elements, in any order
	Pairs                // the elements, two by two, in any order
	About                // integers to within what passes between the servers
	Shape                // types, nulls and lengths, and the text of an error
	Kind                 // the type, and the text of an error
	Scanned              // Shape of a cursor; the elements, if it is 0
)

// Agree tells whether two replies are the same by this measure.
func (h How) Agree(want, got transcript.Value) bool {
	if want.IsError() || got.IsError() {
		return same(want, got)
	}
	switch h {
	case Unordered, Pairs:
		by := 1
		if h == Pairs || want.Kind == '%' {
			by = 2
		}
		return want.Kind == got.Kind && want.Null == got.Null && want.Str == got.Str &&
			slices.Equal(inOrder(want.Elems, by), inOrder(got.Elems, by))
	case About:
		return about(want, got)
	case Shape:
		return shaped(want, got)
	case Kind:
		return want.Kind == got.Kind && want.Null == got.Null
	case Scanned:
		return scanned(want, got)
	}
	return same(want, got)
}

func same(a, b transcript.Value) bool {
	return a.Kind == b.Kind && a.Null == b.Null && a.Str == b.Str &&
		slices.EqualFunc(a.Elems, b.Elems, same) && slices.EqualFunc(a.Attrs, b.Attrs, same)
}

func shaped(a, b transcript.Value) bool {
	return a.Kind == b.Kind && a.Null == b.Null && slices.EqualFunc(a.Elems, b.Elems, shaped)
}

// inOrder prints elements, some at a time, in alphabetical order.
func inOrder(elems []transcript.Value, by int) []string {
	var out []string
	for e := range slices.Chunk(elems, by) {
		var parts []string
		for _, v := range e {
			parts = append(parts, string(v.Kind)+v.String())
		}
		out = append(out, strings.Join(parts, "\n"))
	}
	slices.Sort(out)
	return out
}

// passes is how far apart the servers' clocks may be when they run the same
// call, in milliseconds.
const passes = 60_000

func about(a, b transcript.Value) bool {
	x, err1 := strconv.ParseInt(a.Str, 10, 64)
	y, err2 := strconv.ParseInt(b.Str, 10, 64)
	if a.Kind != ':' || b.Kind != ':' || err1 != nil || err2 != nil || x < 0 || y < 0 {
		return same(a, b)
	}
	return max(x, y)-min(x, y) <= passes
}

// scanned compares steps of a scan. Where the servers stand after one step is
// their own business, unless both are through.
func scanned(a, b transcript.Value) bool {
	if len(a.Elems) != 2 || len(b.Elems) != 2 {
		return same(a, b)
	}
	x, y := a.Elems[0], b.Elems[0]
	if x.Kind != y.Kind || a.Elems[1].Kind != b.Elems[1].Kind {
		return false
	}
	if x.Str != "0" || y.Str != "0" {
		return true
	}
	return slices.Equal(inOrder(a.Elems[1].Elems, 1), inOrder(b.Elems[1].Elems, 1))
}
