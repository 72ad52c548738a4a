package glob

import (
	"strings"
	"unsafe"
)

// A match may compare stepsPerByte bytes for each byte of pattern and string,
// and freeSteps besides.
const (
	stepsPerByte = 64
	freeSteps    = 1 << 16
)

// Match tells whether s matches pattern.
func Match(pattern, s []byte) bool { return match(view(pattern), view(s), false) }

// MatchFold is Match with ASCII letters compared regardless of case.
func MatchFold(pattern, s []byte) bool { return match(view(pattern), view(s), true) }

// MatchString is Match for strings.
func MatchString(pattern, s string) bool { return match(pattern, s, false) }

// MatchStringFold is MatchFold for strings.
func MatchStringFold(pattern, s string) bool { return match(pattern, s, true) }

// All tells whether the pattern is the lone "*".
func All(pattern []byte) bool { return len(pattern) == 1 && pattern[0] == '*' }

// Literal tells whether only the string equal to the pattern matches it, so that
// a lookup can take the place of a search. The empty pattern is literal.
func Literal(pattern []byte) bool { return len(Prefix(pattern)) == len(pattern) }

// Prefix returns the part of the pattern, from its start, that stands for
// itself: every string that matches (case included) begins with it.
func Prefix(pattern []byte) []byte {
	for i, c := range pattern {
		switch c {
		case '*', '?', '[', '\\':
			return pattern[:i]
		}
	}
	return pattern
}

// view is b as a string that shares its bytes; it must not outlive the call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// match walks pattern and string together and remembers only the last star: what
// stands between two stars has a fixed length, so if it was found once, trying
// it further right for the sake of the rest can gain nothing that moving the
// last star does not.
func match(p, s string, fold bool) bool {
	if s == "" {
		return p == ""
	}
	budget := freeSteps + stepsPerByte*(len(p)+len(s))
	star, from := -1, 0 // where the pattern goes on after the last star, and the string it tried
	i, j := 0, 0
	for j < len(s) {
		if budget--; budget < 0 {
			return false
		}
		if i < len(p) && p[i] == '*' {
			for i < len(p) && p[i] == '*' {
				i++
			}
			if i == len(p) {
				return true
			}
			star = i
			j += skip(p[i:], s[j:], fold)
			from = j
			continue
		}
		if i < len(p) {
			n, ok, cost := one(p[i:], s[j], fold)
			budget -= cost
			if ok {
				i += n
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		from += skip(p[star:], s[from:], fold)
		i, j = star, from
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// skip tells how many bytes of s cannot be where p begins to match.
func skip(p, s string, fold bool) int {
	c := p[0]
	if fold || c == '?' || c == '[' || c == '\\' {
		return 0
	}
	if n := strings.IndexByte(s, c); n >= 0 {
		return n
	}
	return len(s)
}

// one matches c against the first element of p, which is not a star, and tells
// how long the element is and what reading it cost beyond the first step.
func one(p string, c byte, fold bool) (n int, ok bool, cost int) {
	switch p[0] {
	case '?':
		return 1, true, 0
	case '[':
		n, ok = class(p, c, fold)
		return n, ok, n - 1
	case '\\':
		if len(p) > 1 {
			return 2, same(p[1], c, fold), 0
		}
	}
	return 1, same(p[0], c, fold), 0
}

// class matches c against the class that p begins with.
func class(p string, c byte, fold bool) (n int, ok bool) {
	i := 1
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	for i < len(p) && p[i] != ']' {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			ok = ok || p[i+1] == c // Redis regards the case here, folding or not
			i += 2
		case i+2 < len(p) && p[i+1] == '-':
			ok = ok || within(p[i], p[i+2], c, fold)
			i += 3
		default:
			ok = ok || same(p[i], c, fold)
			i++
		}
	}
	return min(i+1, len(p)), ok != not
}

// within tells whether c lies between two bytes in the order of C's char, which
// is signed where Redis usually runs.
func within(from, to, c byte, fold bool) bool {
	lo, hi := int8(from), int8(to)
	if lo > hi {
		lo, hi = hi, lo
	}
	x := int8(c)
	if fold {
		lo, hi, x = int8(lower(byte(lo))), int8(lower(byte(hi))), int8(lower(c))
	}
	return lo <= x && x <= hi
}

func same(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
