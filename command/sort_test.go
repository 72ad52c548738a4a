package command

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSortNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"": 0, "1": 1, " \t\n-2.5": -2.5, "0x10": 16, "1e3": 1000, "inf": math.Inf(1), "-Infinity": math.Inf(-1),
		"1\x00x": 1, "\x00": 0, "9223372036854775807": 1 << 63,
	} {
		f, ok := sortNumber([]byte(text))
		require.True(t, ok, "%q", text)
		require.Equal(t, want, f, "%q", text)
	}
	for _, text := range []string{" ", "1 ", "x", "1x", "nan", "1e400", "-1e400", "1_0", "+", "--1"} {
		_, ok := sortNumber([]byte(text))
		require.False(t, ok, "%q", text)
	}
}

func TestSortWindow(t *testing.T) {
	for _, c := range []struct {
		offset, count int64
		n, from, to   int
	}{
		{0, -1, 5, 0, 5}, {0, 0, 5, 0, 0}, {1, 2, 5, 1, 3}, {4, 9, 5, 4, 5}, {5, 1, 5, 5, 5}, {9, 9, 5, 5, 5},
		{-3, 2, 5, 0, 2}, {2, -9, 5, 2, 5}, {0, 3, 0, 0, 0}, {math.MinInt64, math.MaxInt64, 5, 0, 5},
		{math.MaxInt64, math.MaxInt64, 5, 5, 5}, {3, math.MaxInt64, 5, 3, 5}, {0, math.MinInt64, 5, 0, 5},
	} {
		o := sortArgs{offset: c.offset, count: c.count}
		from, to := o.window(c.n)
		require.Equal(t, [2]int{c.from, c.to}, [2]int{from, to}, "%+v", c)
	}
}

// A part that is sorted alone is what it is among all.
func TestSortPart(t *testing.T) {
	compare := func(a, b sortKey) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.at, b.at)) }
	rapid.Check(t, func(t *rapid.T) {
		keys := make([]sortKey, rapid.IntRange(0, 2000).Draw(t, "n"))
		spread := rapid.SampledFrom([]int{1, 10, 1 << 20}).Draw(t, "spread")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for i := range keys {
			keys[i] = sortKey{float64(r.IntN(spread)), i}
		}
		if rapid.Bool().Draw(t, "in order") {
			slices.SortFunc(keys, compare)
		}
		want := slices.SortedFunc(slices.Values(keys), compare)
		to := rapid.IntRange(0, len(keys)).Draw(t, "to")
		from := max(0, to-rapid.IntRange(0, 100).Draw(t, "length"))
		sortPart(keys, from, to, compare)
		require.True(t, slices.Equal(want[from:to], keys[from:to]))
		slices.SortFunc(keys, compare)
		require.True(t, slices.Equal(want, keys))
	})
}

func TestSortGate(t *testing.T) {
	for line, want := range map[string]bool{
		"SORT l": false, "SORT l BY x GET # STORE d": false, "SORT l BY w_*": true, "SORT l GET o_*": true,
		"SORT l GET x": false, "SORT l LIMIT 0 1 GET o_*->f": true, "SORT l STORE w_*": false, "SORT w_*": false,
		"SORT l BY nosort BY w_*": true, "SORT l BY w_* FOO": false,
	} {
		require.Equal(t, want, sortGate(split(line)), line)
	}
}

func split(line string) (args [][]byte) {
	var word []byte
	for _, c := range []byte(line + " ") {
		if c != ' ' {
			word = append(word, c)
			continue
		}
		args, word = append(args, word), nil
	}
	return args
}

// What is stored is logged as what it is.
func TestSortTells(t *testing.T) {
	b := newStand(t)
	step := func(want string, words ...string) {
		t.Helper()
		records, err := b.run(1, words...)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprint(records), "%q", words)
	}
	step("[[RPUSH l 2 1]]", "RPUSH", "l", "2", "1")
	step("[]", "SORT", "l")
	step("[[RPUSH d 1 2]]", "SORT", "l", "STORE", "d")
	step("[[DEL d] [RPUSH d 2]]", "SORT", "l", "LIMIT", "1", "1", "STORE", "d")
	step("[[SET w_1 9]]", "SET", "w_1", "9")
	step("[[DEL d] [RPUSH d  2 9 1]]", "SORT", "l", "BY", "w_*", "GET", "w_*", "GET", "#", "STORE", "d")
	step("[[DEL d]]", "SORT", "none", "STORE", "d")
	step("[]", "SORT", "none", "STORE", "d")
	step("[[DEL l] [RPUSH l 1 2]]", "SORT", "l", "STORE", "l")
}

func TestSortAgreesWithRedis(t *testing.T) {
	b := newAskBoth(t)
	keys := []string{"l", "z", "s", "d", "w_1", "w_2", "w_a", "w_", "text", "1", "a"}
	elem := rapid.SampledFrom([]string{"1", "2", "3", "10", "-1", "1.5", "01", "", "a", "b", "aa", "a\x00b"})
	member := elem.Filter(func(e string) bool { return e != "a\x00b" }) // which is shown as if it were a
	pattern := rapid.SampledFrom([]string{"w_*", "*", "x", "#", "w_*->f", "**", ""})
	rapid.Check(t, func(t *rapid.T) {
		for _, k := range keys {
			b.ask(t, "DEL", k)
		}
		b.ask(t, "SET", "text", "x")
		for range rapid.IntRange(1, 12).Draw(t, "calls") {
			switch rapid.IntRange(0, 8).Draw(t, "command") {
			case 0:
				list := rapid.SampledFrom([]string{"l", "w_a"}).Draw(t, "list")
				b.ask(t, append([]string{"RPUSH", list}, rapid.SliceOfN(elem, 1, 8).Draw(t, "elements")...)...)
			case 1:
				b.ask(t, append([]string{"SADD", "s"}, rapid.SliceOfN(member, 1, 8).Draw(t, "members")...)...)
			case 2:
				b.ask(t, "ZADD", "z", rapid.SampledFrom([]string{"1", "2", "-1"}).Draw(t, "score"), member.Draw(t, "member"))
			case 3:
				b.ask(t, "SET", rapid.SampledFrom(keys[4:]).Draw(t, "weight"), elem.Draw(t, "value"))
			case 4:
				b.ask(t, "HSET", rapid.SampledFrom(keys[4:]).Draw(t, "weights"), "f", elem.Draw(t, "value"))
			default:
				call := sortCall(t, pattern)
				b.ask(t, call...)
				b.ask(t, "LRANGE", "d", "0", "-1")
				b.ask(t, "TYPE", "d")
			}
		}
	})
}

func sortCall(t *rapid.T, pattern *rapid.Generator[string]) []string {
	call := []string{
		rapid.SampledFrom([]string{"SORT", "SORT_RO"}).Draw(t, "name"),
		rapid.SampledFrom([]string{"l", "z", "s", "text", "none"}).Draw(t, "source"),
	}
	// Redis keeps no order among equal weights where it had none before, nor in a
	// part of the list.
	ordered := call[1] != "s" && call[1] != "z"
	limited, by, alpha := false, false, false
	for range rapid.IntRange(0, 4).Draw(t, "options") {
		switch rapid.IntRange(0, 6).Draw(t, "option") {
		case 0:
			call = append(call, "DESC")
		case 1:
			if by && (limited || !ordered) {
				continue
			}
			alpha = true
			call = append(call, "ALPHA")
		case 2:
			call = append(call, "GET", pattern.Draw(t, "get"))
		case 3:
			p := pattern.Draw(t, "by")
			if alpha && (limited || !ordered) || call[1] == "s" && !strings.Contains(p, "*") {
				continue
			}
			by = true
			call = append(call, "BY", p)
		case 4:
			if alpha && by {
				continue
			}
			limited = true
			call = append(call, "LIMIT", strconv.Itoa(rapid.IntRange(-1, 9).Draw(t, "offset")), strconv.Itoa(rapid.IntRange(-1, 9).Draw(t, "count")))
		case 5:
			call = append(call, "STORE", "d")
		case 6:
			call = append(call, "ASC")
		}
	}
	return call
}
