package resp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/redcon"
)

// badPackets is what a server on the network gets to see sooner or later.
func badPackets() []string {
	const ping = "*1\r\n$4\r\nPING\r\n"
	seeds := []string{
		ping, ping + ping + ping, "PING\r\n", "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n",
		"*1\r\n$9223372036854775807\r\n", "*1\r\n$9223372036854775800\r\n", "*1\r\n$18446744073709551620\r\nPING\r\n",
		"*1\r\n$-2\r\n", "*1\r\n$+3\r\n", "*1\r\n$ 3\r\n", "*1\r\n$03\r\n", "*1\r\n$\r\n", "*1\r\n$536870913\r\n",
		"*9223372036854775807\r\n", "*0\r\n" + ping, "*-1\r\n" + ping, "*\r\n", "*1\r\n*1\r\n", "\n", "\r\n" + ping, "*1\n$4\nPING\n",
		"*1\r\n$4\nPING\r\n", "*1\r1\n$4\r\nPING\r\n", "*1\r\n$4\r4\nPING\r\n", "*1\r\n$4\r\nPINGxx" + ping, "*1\r\n$3\r\nPING\r\n",
		"ECHO 'a\r\n", "ECHO \"a\r\n", "ECHO \"a\"b\r\n", "ECHO a\"b c\"\r\n", `ECHO "\x41\n\q"` + "\r\n", "PI\x00NG\r\n" + ping, "ECHO \xff\xfe\r\n",
		"*1\x00\r\n" + ping, "*2\r\n$4\r\nECHO\r\n$4\r\n\x00\xff\r\n\r\n", "%1\r\n+a\r\n:1\r\n", "~1\r\n:1\r\n", ">1\r\n:1\r\n", "_\r\n", "#t\r\n", ",1.5\r\n",
		"HEAD / HTTP/1.1\r\nAccept: */*\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "gets a b c\r\nadd a 0 0 1\r\n1\r\n",
		"*1\r\n$0\r\n\r\n", "*2\r\n$0\r\n\r\n$0\r\n\r\n", "*2\r\n$3\r\nfoo\r\n$8\r\na\r\n+OK\r\n\r\n",
		"*1\r\nPING\r\n", "*1\r\n\r\n", "*1\r\n\n\r\n", "*1\r\n\x00\r\n", "*-10\r\n" + ping, "*00\r\n", "*-0\r\n", "*1 \r\n",
		"$4\r\nPING\r\n", "*2147483648\r\n", "*-9223372036854775809\r\n", "PING\r\r\n", " PING \r\n", "PING\n", "\"\" a\r\n", "*1\r\n$4\r\nPIN",
	}
	return append(seeds, longPackets()...)
}

func longPackets() []string {
	return []string{
		strings.Repeat("x", maxLine+1), "*" + strings.Repeat("1", maxLine), "*1\r\n$" + strings.Repeat("1", maxLine),
		"*1\r\n" + strings.Repeat("x", maxLine+1), "*3000\r\n" + strings.Repeat("$0\r\n\r\n", 3000),
		"*1\r\n$70000\r\n" + strings.Repeat("x", 70000) + "\r\nPING\r\n", strings.Repeat("PING\r\n", 3000),
	}
}

func encode(words []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// FuzzGuard compares the guard with itself, the bytes coming at once or one by
// one, and with redcon's parser wherever that one accepts what is well formed.
func FuzzGuard(f *testing.F) {
	for _, s := range badPackets() {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, unauth bool) {
		got := feed(data, 0, unauth)
		for _, piece := range []int{1, 3} {
			if again := feed(data, piece, unauth); !slices.EqualFunc(got.Cmds, again.Cmds, slices.Equal) || got.Broken != again.Broken {
				t.Fatalf("at once: %q\nin pieces of %d: %q", got, piece, again)
			}
		}
		if unauth {
			return
		}
		for i, cmd := range redconCommands(data) {
			if i >= len(got.Cmds) || !slices.Equal(cmd, got.Cmds[i]) {
				t.Fatalf("redcon reads command %d as %q, the guard %q", i, cmd, got)
			}
		}
		for _, words := range got.Cmds {
			one := []byte(encode(words))
			ok, args, _, rest, err := redcon.ReadNextCommand(one, nil)
			if err != nil || !ok || len(rest) > 0 || !slices.Equal(words, toStrings(args)) {
				t.Fatalf("the guard passed %q, redcon says %v %q %q %v", words, ok, args, rest, err)
			}
		}
	})
}

// redconCommands is what redcon reads, up to the first command that is not
// written in the one way that everybody agrees about.
func redconCommands(data []byte) (cmds [][]string) {
	defer func() { _ = recover() }() // it panics for lengths below 0
	for len(data) > 0 && data[0] == '*' && wellFormed(data) {
		ok, args, _, rest, err := redcon.ReadNextCommand(data, nil)
		if err != nil || !ok {
			return cmds
		}
		words := toStrings(args)
		if encode(words) != string(data[:len(data)-len(rest)]) || len(words) == 0 {
			return cmds
		}
		cmds, data = append(cmds, words), rest
	}
	return cmds
}

// wellFormed keeps from redcon the lengths that overflow and those that it
// counts for minutes.
func wellFormed(data []byte) bool {
	digits := 0
	for _, c := range data {
		if c < '0' || c > '9' {
			digits = 0
		} else if digits++; digits > 7 {
			return false
		}
	}
	return true
}

func toStrings(args [][]byte) (words []string) {
	for _, a := range args {
		words = append(words, string(a))
	}
	return words
}

// FuzzInline checks the splitting of lines: it never panics, words that were
// quoted come back, and splitting what it gave yields the same again.
func FuzzInline(f *testing.F) {
	for _, s := range []string{`a b`, `"a\x41" 'b\''`, `a"b"`, `"a"b`, `'`, `"\`, "\v\f\t", `""`, `"\x4"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if slices.Contains(line, '\n') || slices.Contains(line, 0) {
			return
		}
		args, ok := splitInline(append(slices.Clone(line), '\n'), nil)
		if !ok {
			return
		}
		var quoted []byte
		for _, a := range args {
			quoted = append(quoted, '"')
			for _, c := range a {
				quoted = fmt.Appendf(quoted, `\x%02x`, c)
			}
			quoted = append(quoted, '"', ' ')
		}
		again, ok := splitInline(append(quoted, '\r', '\n'), nil)
		if !ok || !slices.EqualFunc(args, again, slices.Equal) {
			t.Fatalf("%q was split into %q, and that quoted into %q (%v)", line, args, again, ok)
		}
	})
}

func TestWellFormed(t *testing.T) { // the comparison compares something
	require.Len(t, redconCommands([]byte("*1\r\n$4\r\nPING\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n")), 2)
	require.Empty(t, redconCommands([]byte("*1\r\n$04\r\nPING\r\n")))
}
