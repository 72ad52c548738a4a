package transcript

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"OK", "OK", true},
		{"OK", "QUEUED", false},
		{"OK", "OK\nOK", false},
		{"OK\nOK", "OK", false},
		{"(integer) ~100", "(integer) 100", true},
		{"(integer) ~100", "(integer) 98", true},
		{"(integer) ~100", "(integer) 97", false},
		{"(integer) ~10000", "(integer) 9800", true},
		{"(integer) ~10000", "(integer) 10201", false},
		{"(integer) ~-10000", "(integer) -9900", true},
		{"(integer) ~100", "(nil)", false},
		{"(integer) ~100", `"100"`, false},
		{"1) (integer) ~5", "1) (integer) 7", true},
		{"1) (integer) ~5", "1) (integer) 8", false},
		{"2) (integer) ~5", "1) (integer) 5", false},
		{"(error) ERR*", "(error) ERR no", true},
		{"(error) WRONGTYPE*", "(error) ERR no", false},
		{"*", "anything", true},
		{"*", "1) a\n2) b", false},
		{"**", "1) a\n2) b", true},
		{"1) a\n**", "1) a", true},
		{"1) a\n**\n3) c", "1) a\n2) b\n3) c", true},
		{"1) a\n**\n3) c", "1) a\n2) b", false},
		{"~ \"id=* name=x *\"", `"id=7 addr=1 name=x db=0"`, true},
		{"~ \"id=* name=x *\"", `"id=7 addr=1 name=y db=0"`, false},
		{"~ aba*aba", "aba", false},
		{"~ a*b*", "aXXb", true},
		{"~ plain", "plain", true},
		{"~ plain", "plains", false},
		{"(any order)\n1) b\n2) a", "1) a\n2) b", true},
		{"(any order)\n1) b\n2) a", "1) a\n2) a", false},
		{"(any order)\n1) b", "1) a\n2) b", false},
		{"(any order)\n1) b*\n2) bc", "1) bc\n2) bd", true},
		{"(any order)\n1) *\n2) a", "1) a\n2) x", true},
		{"(any order)\n(empty array)", "(empty array)", true},
		{"(any order)\n(empty array)", "1) a", false},
		{"(any order)\n1) \"0\"\n2) 1) b\n   2) a", "1) \"0\"\n2) 1) a\n   2) b", true},
		{"(any order)\n1) \"0\"\n2) 1) b\n   2) a", "1) \"0\"\n2) 1) a\n   2) c", false},
		{"(any order)\n1# a => 1\n2# b => 2", "1# b => 2\n2# a => 1", true},
		{"(any order)\n1# a => 1\n2# b => 2", "1# b => 1\n2# a => 2", false},
		{"(any order by 2)\n1) a\n2) 1\n3) b\n4) 2", "1) b\n2) 2\n3) a\n4) 1", true},
		{"(any order by 2)\n1) a\n2) 1\n3) b\n4) 2", "1) b\n2) 1\n3) a\n4) 2", false},
	} {
		got := matches(strings.Split(c.want, "\n"), strings.Split(c.got, "\n"))
		require.Equal(t, c.ok, got, "want %q, got %q", c.want, c.got)
	}
	require.False(t, matches(nil, []string{"OK"}))
}

func TestAnyOrderReachesTheTenth(t *testing.T) {
	var up, down []Value
	for i := range 12 {
		up = append(up, Value{Kind: '+', Str: string(rune('a' + i))})
		down = append(down, Value{Kind: '+', Str: string(rune('a' + 11 - i))})
	}
	want := append([]string{"(any order)"}, Value{Kind: '*', Elems: up}.lines()...)
	require.True(t, matches(want, Value{Kind: '*', Elems: down}.lines()))
	down[0].Str = "a"
	require.False(t, matches(want, Value{Kind: '*', Elems: down}.lines()))
}
