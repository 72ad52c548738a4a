package command

import (
	"errors"
	"math"
	"strconv"
)

// ParseInt reads an integer as Redis does: no spaces, no plus, no leading
// zeros, all of int64.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits, neg := b, false
	if b[0] == '-' {
		digits, neg = b[1:], true
	}
	if len(digits) == 0 || digits[0] == '0' && (len(digits) > 1 || neg) {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	switch {
	case neg && n <= 1<<63:
		return -int64(n), true
	case !neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// Int64 reads argument i as an integer.
func (c *Context) Int64(i int) (int64, error) {
	n, ok := ParseInt(c.Args[i])
	if !ok {
		return 0, ErrNotInteger
	}
	return n, nil
}

// IntIn reads argument i as an integer between lo and hi; text, or a general
// error if it is empty, is the refusal.
func (c *Context) IntIn(i int, lo, hi int64, text WireError) (int64, error) {
	n, ok := ParseInt(c.Args[i])
	if ok && n >= lo && n <= hi {
		return n, nil
	}
	if text != "" {
		return 0, text
	}
	if !ok {
		return 0, ErrNotInteger
	}
	return 0, Errorf("ERR value is out of range, value must between %d and %d", lo, hi)
}

// Positive reads argument i as a count that must not be negative.
func (c *Context) Positive(i int) (int64, error) {
	return c.IntIn(i, 0, math.MaxInt64, ErrNotPositive)
}

// ParseFloat reads a float as Redis does: C's strtod over the whole argument,
// with no leading space, no NaN, and nothing that is too great or too small.
func ParseFloat(b []byte) (float64, bool) {
	f, inRange, ok := strtod(b)
	return f, ok && inRange
}

// strtod reads what C's function of that name does, over the whole of b: decimal
// or hexadecimal, infinities by name. Not-a-number is refused. It tells whether
// the number was in range; if not it is an infinity or zero.
func strtod(b []byte) (f float64, inRange, ok bool) {
	digits := b
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	hex, exp := len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x', false
	nonzero := false // in the mantissa
	for _, c := range digits {
		switch {
		case c == '_':
			return 0, false, false // of Go's literals
		case c|0x20 == 'p' || !hex && c|0x20 == 'e':
			exp = true
		case !exp && c != '0' && c != '.' && c != 'x' && c != 'X':
			nonzero = true
		}
	}
	text := string(b)
	if hex && !exp {
		text += "p0"
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(f) {
		return 0, false, false
	}
	return f, err == nil && (f != 0 || !nonzero), true
}

// Is tells whether argument i is the given upper-case word, in any case.
func (c *Context) Is(i int, word string) bool {
	return i < len(c.Args) && foldEqual(c.Args[i], word)
}

// addInt64 adds without overflow.
func addInt64(a, b int64) (int64, error) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, ErrOverflow
	}
	return a + b, nil
}
