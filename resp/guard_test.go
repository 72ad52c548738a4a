package resp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parsed is what an input makes of bytes: the commands, and the error that ends
// them.
type parsed struct {
	Cmds   [][]string
	Broken string
}

// feed shows data to an input in pieces of the given size (0: at once).
func feed(data []byte, piece int, unauth bool) parsed {
	var p parsed
	var in input
	in.guard.reset()
	in.guard.maxBulk, in.guard.unauth = 512<<20, unauth
	b := batchPool.Get().(*Batch)
	defer b.free()
	if piece == 0 {
		piece = max(1, len(data))
	}
	for len(data) > 0 {
		n := copy(in.room(), data[:min(piece, len(data))])
		in.got(n)
		data = data[n:]
		for {
			p.Broken = in.parse(b)
			if len(b.cmds) == 0 {
				break
			}
			for i := range b.Len() {
				var words []string
				for _, a := range b.Args(i) {
					words = append(words, string(a))
				}
				p.Cmds = append(p.Cmds, words)
			}
			b.reset()
		}
		if p.Broken != "" {
			return p
		}
		in.idle()
	}
	return p
}

func TestGuard(t *testing.T) {
	const ping = "*1\r\n$4\r\nPING\r\n"
	tests := []struct {
		in     string
		cmds   string // words joined by |, commands by a line
		broken string
	}{
		{ping, "PING", ""},
		{ping + ping, "PING\nPING", ""},
		{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "GET|", ""},
		{"*1\r\n$0\r\n\r\n", "", ""},
		{"*0\r\n*-1\r\n*-9223372036854775808\r\n\r\n\n" + ping, "PING", ""},
		{"*1\rX$4\rXPINGxy" + ping, "PING\nPING", ""},
		{"*1\x00\r\n" + ping, "", ""},
		{"PI\x00NG\r\n" + ping, "", ""},
		{"*1\r\nX", "", ""},
		{"*1\r\nX\r", "", ""},
		{"*1\r\nX\r\n", "", "Protocol error: expected '$', got 'X'"},
		{ping + "*1\r\n*1\r\n", "PING", "Protocol error: expected '$', got '*'"},
		{"*\r\n", "", "Protocol error: invalid multibulk length"},
		{"*01\r\n", "", "Protocol error: invalid multibulk length"},
		{"*+1\r\n", "", "Protocol error: invalid multibulk length"},
		{"*1048577\r\n", "", "Protocol error: invalid multibulk length"},
		{"*3000000000\r\n", "", "Protocol error: invalid multibulk length"},
		{"*9223372036854775807\r\n", "", "Protocol error: invalid multibulk length"},
		{"*18446744073709551617\r\n", "", "Protocol error: invalid multibulk length"},
		{"*-9223372036854775809\r\n", "", "Protocol error: invalid multibulk length"},
		{"*1\r\n$9223372036854775807\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$18446744073709551620\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$536870913\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$536870912\r\n", "", ""},
		{"*1\r\n$-1\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$+3\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$ 3\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$03\r\n", "", "Protocol error: invalid bulk length"},
		{"*1\r\n$\r\n", "", "Protocol error: invalid bulk length"},
		{strings.Repeat("x", maxLine), "", ""},
		{strings.Repeat("x", maxLine) + "\n", strings.Repeat("x", maxLine), ""},
		{strings.Repeat("x", maxLine+1), "", "Protocol error: too big inline request"},
		{"*" + strings.Repeat("1", maxLine-1), "", ""},
		{"*" + strings.Repeat("1", maxLine), "", "Protocol error: too big mbulk count string"},
		{"*1\r\n$" + strings.Repeat("1", maxLine-1), "", ""},
		{"*1\r\n$" + strings.Repeat("1", maxLine), "", "Protocol error: too big bulk count string"},
		{"$4\r\nPING\r\n", "$4\nPING", ""},
		{"SET a 'b\r\n", "", "Protocol error: unbalanced quotes in request"},
	}
	for _, tt := range tests {
		want := parsed{Broken: tt.broken}
		for line := range strings.SplitSeq(tt.cmds, "\n") {
			if tt.cmds != "" {
				want.Cmds = append(want.Cmds, strings.Split(line, "|"))
			}
		}
		if tt.in == "*1\r\n$0\r\n\r\n" {
			want.Cmds = [][]string{{""}}
		}
		name := tt.in[:min(len(tt.in), 40)]
		for _, piece := range []int{0, 1, 2, 7} {
			require.Equal(t, want, feed([]byte(tt.in), piece, false), "%q in pieces of %d", name, piece)
		}
	}
}

func TestGuardOfStrangers(t *testing.T) {
	bulk := func(n int) string { return fmt.Sprintf("*1\r\n$%d\r\n%s\r\n", n, strings.Repeat("x", n)) }
	require.Len(t, feed([]byte(bulk(maxBulkUnauth)), 0, true).Cmds, 1)
	require.Equal(t, "Protocol error: unauthenticated bulk length", feed([]byte(bulk(maxBulkUnauth+1)), 0, true).Broken)
	require.Empty(t, feed([]byte(bulk(maxBulkUnauth+1)), 0, false).Broken)
	require.Equal(t, "Protocol error: unauthenticated multibulk length", feed([]byte("*11\r\n"), 0, true).Broken)
	require.Empty(t, feed([]byte("*10\r\n"), 0, true).Broken)
}

// A command that comes in small pieces must not be looked at from its start for
// each of them.
func TestGuardPassesEachByteOnce(t *testing.T) {
	var in []byte
	const argc = 50000
	in = fmt.Appendf(in, "*%d\r\n", argc)
	for range argc {
		in = append(in, "$1\r\nx\r\n"...)
	}
	g := guard{maxBulk: 1 << 20}
	g.reset()
	last := -1
	for end := 64; ; end += 64 {
		v, n := g.scan(in[:min(end, len(in))], nil)
		if v == vCommand {
			require.Equal(t, len(in), n)
			return
		}
		require.Equal(t, vMore, v)
		require.Greater(t, g.pos, last, "the guard stands still")
		require.Less(t, min(end, len(in))-g.pos, 16, "the guard stays behind")
		last = g.pos
	}
}

func TestGuardRemembersWhereItLooked(t *testing.T) {
	for _, start := range []string{"", "*", "*1\r\n$"} {
		g := guard{maxBulk: 1 << 20}
		g.reset()
		for n := 100; n < 1000; n += 100 {
			b := start + strings.Repeat("1", n)
			v, _ := g.scan([]byte(b), nil)
			require.Equal(t, vMore, v)
			require.Equal(t, len(b), g.pos+g.looked)
		}
	}
}

func TestGuardDoesNotAllocate(t *testing.T) {
	in := append(benchInput(), "PING\r\n"...)
	var p input
	p.guard.reset()
	p.guard.maxBulk = 1 << 20
	b := batchPool.Get().(*Batch)
	defer b.free()
	p.buf = &buffer{in}
	allocs := testing.AllocsPerRun(100, func() {
		p.pos = 0
		b.reset()
		if p.parse(b); b.Len() != 65 {
			t.Fatal(b.Len())
		}
	})
	require.Zero(t, allocs)
}

func TestSplitInline(t *testing.T) {
	tests := []struct {
		in   string
		want []string // nil: unbalanced
	}{
		{"", []string{}},
		{" \t\v\f ", []string{}},
		{"a b  c", []string{"a", "b", "c"}},
		{"a\rb", []string{"a", "b"}},
		{"a\vb", []string{"a\vb"}},
		{`"a b" c`, []string{"a b", "c"}},
		{`a"b c" d`, []string{"ab c", "d"}},
		{`'a"b' "c'd"`, []string{`a"b`, "c'd"}},
		{`""`, []string{""}},
		{`a""`, []string{"a"}},
		{`"\x41\n\r\t\b\a\q\"\\"`, []string{"A\n\r\t\b\aq\"\\"}},
		{`"\xZZ\x4"`, []string{"xZZx4"}},
		{`"\xfF"`, []string{"\xff"}},
		{`'a\'b\n'`, []string{`a'b\n`}},
		{`"a`, nil},
		{`'a`, nil},
		{`"a"b`, nil},
		{`'a'b`, nil},
		{`"a"'b'`, nil},
		{`"a\`, nil},
		{`"a\"`, nil},
		{`'a\'`, nil},
		{`"\x4`, nil},
		{"\"a\"\vb", []string{"a", "b"}},
	}
	for _, tt := range tests {
		for _, end := range []string{"\n", "\r\n"} {
			args, ok := splitInline([]byte(tt.in+end), nil)
			require.Equal(t, tt.want != nil, ok, "%q", tt.in)
			if !ok {
				continue
			}
			got := []string{}
			for _, a := range args {
				got = append(got, string(a))
			}
			require.Equal(t, tt.want, got, "%q", tt.in)
		}
	}
}

// A half-sent command costs what was sent of it, not what it announces.
func TestInputGrowsAsBytesArrive(t *testing.T) {
	var in input
	in.guard.reset()
	in.guard.maxBulk = 512 << 20
	b := batchPool.Get().(*Batch)
	defer b.free()
	take := func(data []byte) {
		for len(data) > 0 {
			n := copy(in.room(), data)
			in.got(n)
			data = data[n:]
		}
		require.Empty(t, in.parse(b))
		require.Zero(t, b.Len())
	}
	take([]byte("*2\r\n$3\r\nSET\r\n$500000000\r\n"))
	in.idle()
	require.LessOrEqual(t, cap(in.buf.b), 128)
	sent := in.unread()
	for range 200 {
		take(bytes.Repeat([]byte("x"), 10000))
		sent += 10000
		in.idle()
		require.Equal(t, sent, in.unread())
		require.LessOrEqual(t, cap(in.buf.b), 4*sent+minBuffer)
	}
}

// A batch of commands with many arguments ends before it is large, so that the
// next one finds its room; one command with more of them than that is whole.
func TestBatchKeepsItsRoom(t *testing.T) {
	command := func(args int) string { return fmt.Sprintf("*%d\r\n", args) + strings.Repeat("$1\r\nx\r\n", args) }
	var in input
	in.guard.reset()
	in.guard.maxBulk = 1 << 20
	b := &Batch{}
	parse := func(text string) (commands int, large bool) {
		in.buf, in.pos = &buffer{[]byte(text)}, 0
		for in.unread() > 0 {
			b.reset()
			require.Empty(t, in.parse(b))
			require.NotZero(t, b.Len())
			commands += b.Len()
			large = large || b.large()
		}
		return commands, large
	}
	commands, large := parse(strings.Repeat(command(batchArgs/2), 3) + strings.Repeat(command(22), 600))
	require.Equal(t, 603, commands)
	require.False(t, large)
	commands, large = parse(command(2) + command(5*batchArgs))
	require.Equal(t, 2, commands)
	require.True(t, large)
	require.Len(t, b.Args(1), 5*batchArgs)
}

func benchInput() []byte {
	return bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n"+strings.Repeat("x", 64)+"\r\n"), 64)
}

func BenchmarkParseSet(b *testing.B) { benchmarkParse(b, benchInput()) }

func BenchmarkParseGet(b *testing.B) {
	benchmarkParse(b, bytes.Repeat([]byte("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n"), 64))
}

func benchmarkParse(b *testing.B, data []byte) {
	var in input
	in.guard.reset()
	in.guard.maxBulk = 1 << 20
	in.buf = &buffer{data}
	batch := batchPool.Get().(*Batch)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 64 {
		in.pos = 0
		in.parse(batch)
		if batch.Len() != 64 {
			b.Fatal(batch.Len())
		}
		batch.reset()
	}
}
