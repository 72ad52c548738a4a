package resp

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriter(t *testing.T) {
	tests := []struct {
		write        func(w *Writer)
		resp2, resp3 string // resp3 == "": the same
	}{
		{func(w *Writer) { w.OK() }, "+OK\r\n", ""},
		{func(w *Writer) { w.Simple("PONG") }, "+PONG\r\n", ""},
		{func(w *Writer) { w.Error("ERR no\r\n+OK") }, "-ERR no  +OK\r\n", ""},
		{func(w *Writer) { w.Int(math.MinInt64) }, ":-9223372036854775808\r\n", ""},
		{func(w *Writer) { w.Int(7) }, ":7\r\n", ""},
		{func(w *Writer) { w.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n", ""},
		{func(w *Writer) { w.Bulk(nil) }, "$0\r\n\r\n", ""},
		{func(w *Writer) { w.BulkString("abc") }, "$3\r\nabc\r\n", ""},
		{func(w *Writer) { w.BulkInt(-1234) }, "$5\r\n-1234\r\n", ""},
		{func(w *Writer) { w.BulkInt(math.MinInt64) }, "$20\r\n-9223372036854775808\r\n", ""},
		{func(w *Writer) { w.BulkOrNull([]byte("a"), true) }, "$1\r\na\r\n", ""},
		{func(w *Writer) { w.BulkOrNull(nil, false) }, "$-1\r\n", "_\r\n"},
		{func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{func(w *Writer) { w.Array(12) }, "*12\r\n", ""},
		{func(w *Writer) { w.Map(2) }, "*4\r\n", "%2\r\n"},
		{func(w *Writer) { w.Set(3) }, "*3\r\n", "~3\r\n"},
		{func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n"},
		{func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{func(w *Writer) { w.Double(1.5) }, "$3\r\n1.5\r\n", ",1.5\r\n"},
		{func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{func(w *Writer) { w.BigNumber("12345678901234567890") }, "$20\r\n12345678901234567890\r\n", "(12345678901234567890\r\n"},
		{func(w *Writer) { w.Verbatim("txt", "a\nb") }, "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n"},
		{func(w *Writer) { w.Raw([]byte("+a\r\n")); w.RawString("+b\r\n") }, "+a\r\n+b\r\n", ""},
	}
	for i, tt := range tests {
		var w Writer
		require.Equal(t, 2, w.Proto())
		tt.write(&w)
		require.Equal(t, tt.resp2, string(w.Bytes()), "test %d", i)
		if tt.resp3 == "" {
			tt.resp3 = tt.resp2
		}
		w.Reset(3)
		tt.write(&w)
		require.Equal(t, tt.resp3, string(w.Bytes()), "test %d", i)
	}
}

func TestWriterTruncate(t *testing.T) {
	var w Writer
	w.Int(1)
	mark := w.Len()
	w.Array(3)
	w.SetProto(3)
	w.Truncate(mark)
	w.Null()
	require.Equal(t, ":1\r\n_\r\n", string(w.Bytes()))
}

func TestWriterDoesNotAllocate(t *testing.T) {
	var w Writer
	b := []byte("value")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w.Reset(3)
		w.OK()
		w.Int(math.MaxInt64)
		w.Bulk(b)
		w.BulkInt(math.MinInt64)
		w.Double(3.0000000000000004)
		w.Double(1e-300)
		w.Map(100000)
	}))
}

func TestAppendDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", -1: "-1", 3: "3", 1.5: "1.5", 0.1: "0.10000000000000001", -0.2: "-0.20000000000000001",
		3.14: "3.1400000000000001", 1e16: "10000000000000000", 1e17: "1e+17", 123456789012345680: "1.2345678901234568e+17",
		12345678901234567: "12345678901234568", 99999999999999984: "99999999999999984", -1e20: "-1e+20", 1e100: "1e+100", 1e-4: "0.0001", 1e-5: "1.0000000000000001e-05",
		0.00012345: "0.00012344999999999999", 5e-324: "4.9406564584124654e-324", math.MaxFloat64: "1.7976931348623157e+308",
		math.Inf(1): "inf", math.Inf(-1): "-inf", 9007199254740993: "9007199254740992", 0.5: "0.5", 1.0000000000000002: "1.0000000000000002",
	} {
		require.Equal(t, want, string(AppendDouble(nil, f)))
	}
	require.Equal(t, "-0", string(AppendDouble(nil, math.Copysign(0, -1))))
	require.Equal(t, "nan", string(AppendDouble(nil, math.NaN())))
}

// Scores come back from redis-server written as AppendDouble writes them.
func TestDoublesAsRedisPrintsThem(t *testing.T) {
	nc, err := net.Dial("unix", startRedis(t))
	require.NoError(t, err)
	defer nc.Close()
	r := bufio.NewReader(nc)
	rng := rand.New(rand.NewPCG(1, 2))
	var sent []float64
	var req strings.Builder
	for i := range 3000 {
		f := math.Float64frombits(rng.Uint64())
		switch i % 4 {
		case 1:
			f = float64(rng.Int64()-rng.Int64()) / math.Pow10(rng.IntN(20))
		case 2:
			f = float64(rng.Int64N(1 << uint(rng.IntN(62)+1)))
		case 3:
			f = rng.Float64() * math.Pow10(rng.IntN(30)-10)
		}
		if math.IsNaN(f) || f == 0 {
			continue
		}
		sent = append(sent, f)
		req.WriteString(encode([]string{"ZADD", "z", fmt.Sprintf("%.17g", f), "m"}) + encode([]string{"ZSCORE", "z", "m"}))
	}
	go func() { _, _ = nc.Write([]byte(req.String())) }()
	for _, f := range sent {
		_, err := r.ReadString('\n')
		require.NoError(t, err)
		n, err := r.ReadString('\n')
		require.NoError(t, err)
		got, err := r.ReadString('\n')
		require.NoError(t, err)
		want := string(AppendDouble(nil, f))
		require.Equal(t, fmt.Sprintf("$%d\r\n%s\r\n", len(want), want), n+got)
	}
}

func BenchmarkWriter(b *testing.B) {
	var w Writer
	v := []byte(strings.Repeat("x", 64))
	b.ReportAllocs()
	for i := range b.N {
		if i%1000 == 0 {
			w.Reset(2)
		}
		w.Bulk(v)
	}
}
