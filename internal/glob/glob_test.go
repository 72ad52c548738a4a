package glob

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", false},
		{"**", "", false},
		{"*", "anything", true},
		{"a*", "a", true},
		{"a**", "a", true},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"h?llo", "hello", true},
		{"h?llo", "hllo", false},
		{"h*llo", "heeeello", true},
		{"h[ae]llo", "hallo", true},
		{"h[ae]llo", "hillo", false},
		{"h[^e]llo", "hallo", true},
		{"h[^e]llo", "hello", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{"h[a-c]llo", "hdllo", false},
		{"[a-]", "-", false}, // the range from a to ], never closed
		{"[a-]", "^", true},
		{"[-a]", "-", true},
		{`[\]]`, "]", true},
		{`[\-a]`, "-", true},
		{"[]", "]", false},
		{"[]]", "]", false},
		{"[^]", "x", true},
		{"[^]]", "x]", true},
		{"[", "[", false},
		{"[^", "x", true},
		{"[abc", "b", true},
		{"[abc", "bc", false},
		{"[a-", "-", true},
		{`[\`, `\`, true},
		{`[a-]b`, "bb", false},
		{"[a-]b]", "b", true},
		{"[a-]b]", "^", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`\`, `\`, true},
		{`a\`, `a\`, true},
		{`\\`, `\`, true},
		{"a]", "a]", true},
		{"*abc*", "xxabxabcx", true},
		{"*abc", "ababc", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"*?*?*", "ab", true},
		{"*?*?*", "a", false},
		{"A", "a", false},
		{"\x00*\xff", "\x00\xff", true},
		{"[a-\xe9]", "A", true},
		{"[a-\xe9]", "z", false},
	} {
		require.Equal(t, c.want, MatchString(c.pattern, c.s), "%q against %q", c.pattern, c.s)
		require.Equal(t, c.want, Match([]byte(c.pattern), []byte(c.s)), "%q against %q", c.pattern, c.s)
	}
}

func TestMatchFold(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"MaxMemory*", "maxmemory-policy", true},
		{"*MEM*", "maxmemory", true},
		{"[A-C]x", "bX", true},
		{"[XYZ]", "y", true},
		{`[\P]ort`, "port", false},
		{`[\p]ort`, "port", true},
		{`\Port`, "port", true},
		{"[Z-a]", "Z", false},
	} {
		require.Equal(t, c.want, MatchStringFold(c.pattern, c.s), "%q against %q", c.pattern, c.s)
		require.Equal(t, c.want, MatchFold([]byte(c.pattern), []byte(c.s)), "%q against %q", c.pattern, c.s)
	}
}

func TestLiteralAndPrefix(t *testing.T) {
	for _, c := range []struct {
		pattern, prefix string
		literal         bool
	}{
		{"", "", true},
		{"user:1", "user:1", true},
		{"a]b^-", "a]b^-", true},
		{"user:*", "user:", false},
		{"u?", "u", false},
		{"u[s]", "u", false},
		{`u\*`, "u", false},
		{"*", "", false},
	} {
		require.Equal(t, c.prefix, string(Prefix([]byte(c.pattern))), "%q", c.pattern)
		require.Equal(t, c.literal, Literal([]byte(c.pattern)), "%q", c.pattern)
		require.Equal(t, c.pattern == "*", All([]byte(c.pattern)), "%q", c.pattern)
	}
}

// TestBombsStopAtTheBudget uses patterns that would match, had they the time.
func TestBombsStopAtTheBudget(t *testing.T) {
	const n = 1 << 13
	run := strings.Repeat("a", n)
	require.False(t, MatchString("*"+run+"b", run+run+"b"))
	require.False(t, MatchStringFold("*"+run+"b", run+run+"b"))
	require.False(t, MatchString(strings.Repeat("a*", n)+run+"b", run+run+run+"b"))
	require.False(t, MatchString("*"+strings.Repeat("?", n)+"b", run+run+"b"))
	require.False(t, MatchString("*["+strings.Repeat("a", n)+"]b", run+"ab"))

	// What is long but plain is within it, and so is what the doc promises.
	require.True(t, MatchString(run+run, run+run))
	require.True(t, MatchString(strings.Repeat("a*", n), run+run))
	require.True(t, MatchString("*"+run[:63]+"b", run+"b"))
	require.True(t, MatchString("*"+run[:254]+"b", run[:255]+"b"))
	require.True(t, MatchString(strings.Repeat("*[aaab]", 32)+"c", run[:250]+"c"))
}

func TestMatchAllocatesNothing(t *testing.T) {
	pattern, s := []byte("us*:[0-9]*?x"), []byte("user:42:abcx")
	require.True(t, Match(pattern, s))
	require.Zero(t, testing.AllocsPerRun(100, func() { Match(pattern, s) }))
}

// slow is the definition: it tries every length for every star. The strings are
// short, and an element of the pattern is read by the same code as in match.
func slow(p, s string, fold bool) bool {
	switch {
	case s == "":
		return strings.Trim(p, "*") == ""
	case p == "":
		return false
	case p[0] == '*':
		for k := range len(s) + 1 {
			if slow(p[1:], s[k:], fold) {
				return true
			}
		}
		return false
	}
	n, ok, _ := one(p, s[0], fold)
	return ok && slow(p[n:], s[1:], fold)
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*?[]^-\A`)), 0, 10, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune(`abAB]-`)), 1, 8, -1).Draw(t, "string")
		fold := rapid.Bool().Draw(t, "fold")
		if got, want := match(p, s, fold), slow(p, s, fold); got != want {
			t.Fatalf("%q against %q, fold %v: %v, want %v", p, s, fold, got, want)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"h[^a-c]l\\lo*", "hello"}, {"[", "["}, {"[^", "x"}, {`[\`, `\`}, {"a*a*a*a*b", "aaaaaaaaaaaa"},
		{"", ""}, {"**?", "a"}, {"[a-", "-"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 1<<16 || len(s) > 1<<16 {
			return
		}
		got := MatchString(p, s)
		if got && !MatchStringFold(p, s) && !strings.ContainsAny(p, "[") {
			t.Fatalf("%q matches %q, but not with case folded", p, s)
		}
		if got && !strings.HasPrefix(s, string(Prefix([]byte(p)))) {
			t.Fatalf("%q matches %q, which does not begin as it does", p, s)
		}
		if Literal([]byte(p)) && got != (p == s) {
			t.Fatalf("literal %q against %q: %v", p, s, got)
		}
		if len(p) <= 10 && 0 < len(s) && len(s) <= 8 && got != slow(p, s, false) {
			t.Fatalf("%q against %q: %v", p, s, got)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct{ name, pattern, s string }{
		{"prefix", "user:*", "user:1000:profile"},
		{"middle", "*:1000:*", "user:1000:profile"},
		{"class", "user:[0-9]*", "user:1000:profile"},
		{"bomb", strings.Repeat("a*", 20) + "b", strings.Repeat("a", 100)},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, s := []byte(c.pattern), []byte(c.s)
			for b.Loop() {
				Match(p, s)
			}
		})
	}
}
