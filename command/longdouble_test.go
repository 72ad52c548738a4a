package command

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLongDoubleSum(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"0.1", "0.2", "0.3"},
		{"3.0", "1.1", "4.1"},
		{"1", "1", "2"},
		{"5.0e3", "200", "5200"},
		{"10.50", "0.1", "10.6"},
		{"10.6", "-5", "5.6"},
		{"-0", "-0", "0"},
		{"0", "-1e-20", "0"},
		{"3", "1e-17", "3.00000000000000001"},
		{"17179869184", "1.5", "17179869185.5"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{"18446744073709551615", "0.5", "18446744073709551616"},
		{"0x10", "0x1p-1", "16.5"},
		{"0X1.8p1", "+1", "4"},
		{"0x.8", "1", "1.5"},
		{"1.", ".5", "1.5"},
		{"1e+2", "1", "101"},
		{"0e99999999", "1", "1"},
		{"0x0p99999999", "1", "1"},
		{"1e20", "0", "100000000000000000000"},
		{"1e4932", "1e4932", "inf"},
		{"-1e4932", "-1e4932", "-inf"},
	} {
		a, ok := ParseLongDouble([]byte(c.a))
		require.True(t, ok, c.a)
		b, ok := ParseLongDouble([]byte(c.b))
		require.True(t, ok, c.b)
		require.Equal(t, c.want, string(AppendLongDouble(nil, AddLongDouble(a, b))), "%s + %s", c.a, c.b)
	}
}

func TestParseLongDoubleRange(t *testing.T) {
	for _, s := range []string{
		"1.18973149535723176502e4932", "-1.18973149535723176502e4932", "2e-4951", "0x1p16383", "0x1p-16445",
		"0x1.8p-16446", "inf", "-Infinity", "+INF", "0." + strings.Repeat("0", 4900) + "1",
	} {
		_, ok := ParseLongDouble([]byte(s))
		require.True(t, ok, s)
	}
	for _, s := range []string{
		"", "+", "-", ".", "0x", "0x.", "--1", "+-1", " 1", "1 ", "1\x00", "1e", "1e+", "1_0", "0b1", "0o7", "1p4",
		"0x1p", "0x1_0", "nan", "-nan", "nan(1)", "infi", "inf ", "1.5abc", "1,5", "1e1.5", "1..2",
		"1.1897314953572317651e4932", "1e4933", "1e-4951", "1e-5000", "1e5000", "0x1p16384", "0x1p-16446",
		"1e99999999999999999999", strings.Repeat("1", 5120),
	} {
		_, ok := ParseLongDouble([]byte(s))
		require.False(t, ok, "%.40q", s)
	}
}

// Rounding happens once: these decimals lie just beside the middle of two
// neighbours.
func TestParseLongDoubleRoundsOnce(t *testing.T) {
	const even = "36893488147419103234" // 2^65 + 2 is exactly between 2^65 and 2^65 + 4
	for s, want := range map[string]string{
		even: "36893488147419103232",
		even + "." + strings.Repeat("0", 60) + "1":        "36893488147419103236",
		"36893488147419103233." + strings.Repeat("9", 60): "36893488147419103232",
	} {
		f, ok := ParseLongDouble([]byte(s))
		require.True(t, ok)
		require.Equal(t, want, string(AppendLongDouble(nil, f)))
	}
}

func TestLongDoubleMax(t *testing.T) {
	f, ok := ParseLongDouble(AppendLongDouble(nil, longDoubleMax))
	require.True(t, ok)
	require.Zero(t, f.Cmp(longDoubleMax))
	require.True(t, AddLongDouble(f, f).IsInf())
	require.Equal(t, "-inf", string(AppendLongDouble(nil, new(big.Float).SetInf(true))))
}

// What is printed is read as the same number, to the decimals that are printed.
func FuzzParseLongDouble(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", "1e400", "0x1p-1", "inf", ".5", "5.", "1e-30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ParseLongDouble([]byte(s))
		if !ok || n.IsInf() {
			return
		}
		text := AppendLongDouble(nil, n)
		again, ok := ParseLongDouble(text)
		require.True(t, ok, "%q printed as %q", s, text)
		require.Equal(t, string(text), string(AppendLongDouble(nil, again)))
	})
}
