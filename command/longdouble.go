package command

import (
	"bytes"
	"math/big"
	"strconv"
)

// Redis counts INCRBYFLOAT and its kin in C's long double, which on its usual
// machines has 64 bits of mantissa and 15 of exponent: 0.1 + 0.2 prints as 0.3.
// A big.Float of 64 bits rounds in the same way; what this file adds is the
// range, the reading and the printing. Numbers below 2^-16382 keep more bits
// here than there, which no reply can show: at most 17 decimals are printed.
const (
	longDoubleBits   = 64
	longDoubleMaxExp = 16384  // no number has a greater exponent, as MantExp counts
	longDoubleMinExp = -16445 // half of the smallest number has this exponent
	longDoubleDigits = 17     // decimals printed
	longDoubleText   = 5*1024 - 1
)

// The greatest and the least finite long double.
var (
	longDoubleMax = func() *big.Float {
		ones := new(big.Float).SetPrec(longDoubleBits).SetUint64(1<<64 - 1)
		return ones.SetMantExp(ones, longDoubleMaxExp-longDoubleBits)
	}()
	longDoubleMin = new(big.Float).Neg(longDoubleMax)
)

// ParseLongDouble reads a number as C's strtold does, over all of b: decimal or
// hexadecimal, or an infinity. Not-a-number, leading space and what is too
// great or too small to be told from zero are refused.
func ParseLongDouble(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > longDoubleText {
		return nil, false
	}
	neg := b[0] == '-'
	if neg || b[0] == '+' {
		b = b[1:]
	}
	var f *big.Float
	switch {
	case foldEqual(b, "INF") || foldEqual(b, "INFINITY"):
		return newLongDouble().SetInf(neg), true
	case len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x':
		f = parseHexFloat(b[2:])
	default:
		f = parseDecimalFloat(b)
	}
	if f == nil || outOfRange(f) {
		return nil, false
	}
	if neg {
		f.Neg(f)
	}
	return f, true
}

func newLongDouble() *big.Float { return new(big.Float).SetPrec(longDoubleBits) }

func outOfRange(f *big.Float) bool {
	if f.Sign() == 0 {
		return false
	}
	exp := f.MantExp(nil)
	if exp == longDoubleMinExp {
		return f.MinPrec() == 1 // exactly half of the smallest rounds to zero
	}
	return exp < longDoubleMinExp || exp > longDoubleMaxExp
}

// splitFloat cuts a number into its digits without the point, how many of them
// stand after the point, and its exponent; e is the letter of the exponent.
func splitFloat(b []byte, e byte, digit func(byte) bool) (digits []byte, after, exp int, ok bool) {
	digits = make([]byte, 0, len(b))
	point := false
	i := 0
	for ; i < len(b); i++ {
		if b[i] == '.' && !point {
			point = true
			continue
		}
		if !digit(b[i]) {
			break
		}
		digits = append(digits, b[i])
		if point {
			after++
		}
	}
	if len(digits) == 0 {
		return nil, 0, 0, false
	}
	if i < len(b) {
		if b[i]|0x20 != e {
			return nil, 0, 0, false
		}
		if exp, ok = parseExponent(b[i+1:]); !ok {
			return nil, 0, 0, false
		}
	}
	return bytes.TrimLeft(digits, "0"), after, exp, true
}

// parseExponent reads an exponent; beyond a million all are alike.
func parseExponent(b []byte) (int, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 1_000_000)
	}
	if neg {
		n = -n
	}
	return n, len(b) > 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHexDigit(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// parseDecimalFloat returns nil for what is no number or far out of range.
func parseDecimalFloat(b []byte) *big.Float {
	digits, after, exp, ok := splitFloat(b, 'e', isDigit)
	if !ok {
		return nil
	}
	if len(digits) == 0 {
		return newLongDouble()
	}
	shift := exp - after
	if size := len(digits) + shift; size < -5000 || size > 5000 {
		return nil
	}
	if trimmed := bytes.TrimRight(digits, "0"); len(trimmed) < len(digits) {
		shift += len(digits) - len(trimmed)
		digits = trimmed
	}
	mant := exactFloat(digits)
	if shift == 0 {
		return newLongDouble().Set(mant)
	}
	pow := powerOfTen(max(shift, -shift))
	if shift < 0 {
		return newLongDouble().Quo(mant, pow)
	}
	return newLongDouble().Mul(mant, pow)
}

// exactFloat is the integer with these digits, in as many bits as it takes: the
// result is to be rounded once only.
func exactFloat(digits []byte) *big.Float {
	if len(digits) <= 19 {
		n, _ := strconv.ParseUint(string(digits), 10, 64)
		return newLongDouble().SetUint64(n)
	}
	n, _ := new(big.Int).SetString(string(digits), 10)
	return new(big.Float).SetInt(n)
}

func powerOfTen(n int) *big.Float {
	if n <= 19 {
		p := uint64(1)
		for range n {
			p *= 10
		}
		return newLongDouble().SetUint64(p)
	}
	return new(big.Float).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
}

// parseHexFloat is parseDecimalFloat for what follows 0x.
func parseHexFloat(b []byte) *big.Float {
	digits, after, exp, ok := splitFloat(b, 'p', isHexDigit)
	if !ok {
		return nil
	}
	if len(digits) == 0 {
		return newLongDouble()
	}
	n, _ := new(big.Int).SetString(string(digits), 16)
	f := newLongDouble().SetInt(n)
	return f.SetMantExp(f, exp-4*after)
}

// AddLongDouble is a + b, neither of which may be infinite; the sum may be.
func AddLongDouble(a, b *big.Float) *big.Float {
	sum := newLongDouble().Add(a, b)
	if sum.Sign() != 0 && sum.MantExp(nil) > longDoubleMaxExp {
		sum.SetInf(sum.Signbit())
	}
	return sum
}

// AppendLongDouble prints f as Redis does for people: 17 decimals, without the
// zeros at the end, and never an exponent.
func AppendLongDouble(b []byte, f *big.Float) []byte {
	if f.IsInf() {
		if f.Signbit() {
			b = append(b, '-')
		}
		return append(b, "inf"...)
	}
	start := len(b)
	b = f.Append(b, 'f', longDoubleDigits)
	b = bytes.TrimRight(b, "0")
	b = bytes.TrimSuffix(b, []byte("."))
	if string(b[start:]) == "-0" {
		return append(b[:start], '0')
	}
	return b
}
