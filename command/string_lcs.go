package command

import (
	"errors"
	"math/bits"

	"github.com/ferricd/ferricd/store"
)

// The longest common subsequence of a and b is read off a table of len(a)+1
// rows. A row needs one bit per byte of b: whether the length grows by one at
// that byte (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004), so
// that 64 places are worked out at once and the largest pair that Redis allows
// takes 16 MB where its own table takes 512.

// growth is the row of a prefix of a: bit j is set if the longest common
// subsequence with b[:j+1] is longer than the one with b[:j].
type growth []uint64

func (g growth) at(j int) int { return int(g[j/64] >> (j % 64) & 1) }

// length is that of the longest common subsequence with b[:j].
func (g growth) length(j int) int {
	n := 0
	for _, w := range g[:j/64] {
		n += bits.OnesCount64(w)
	}
	if j%64 != 0 {
		n += bits.OnesCount64(g[j/64] << (64 - j%64))
	}
	return n
}

// places tells for each byte where it stands in b, as far as it occurs in a.
type places struct {
	slot  [256]int // in rows, plus one; 0: not in a
	rows  []uint64
	words int
}

func findPlaces(a, b []byte) *places {
	p := &places{words: len(b)/64 + 1}
	n := 0
	for _, c := range a {
		if p.slot[c] == 0 {
			n++
			p.slot[c] = n
		}
	}
	p.rows = make([]uint64, n*p.words)
	for j, c := range b {
		if s := p.slot[c]; s > 0 {
			p.rows[(s-1)*p.words+j/64] |= 1 << (j % 64)
		}
	}
	return p
}

func (p *places) of(c byte) []uint64 {
	s := p.slot[c]
	return p.rows[(s-1)*p.words : s*p.words]
}

// next works out the row to follow. from and to may be the same row.
func (p *places) next(from, to growth, c byte) {
	carry := uint64(0)
	for w, at := range p.of(c) {
		still := ^from[w]
		match := still & at
		sum := uint64(0)
		sum, carry = bits.Add64(still, match, carry)
		to[w] = ^(sum | still&^match)
	}
}

// lcsLength is the length alone, in one row.
func lcsLength(a, b []byte) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	p := findPlaces(a, b)
	row := make(growth, p.words)
	for _, c := range a {
		p.next(row, row, c)
	}
	return row.length(len(b))
}

// lcsWalk calls found for every pair of bytes of the longest common subsequence
// of a and b, from the last to the first, and returns its length. Of several
// subsequences it is the one that Redis finds: a step towards the start of a is
// taken only where it leaves more than one towards the start of b.
func lcsWalk(a, b []byte, found func(i, j int)) int {
	if len(a) > len(b) { // few and long rows
		return walkRows(b, a, true, func(i, j int) { found(j, i) })
	}
	return walkRows(a, b, false, found)
}

// walkRows is lcsWalk for any a and b; upFirst says that a step towards the
// start of a is also taken where it leaves as much.
func walkRows(a, b []byte, upFirst bool, found func(i, j int)) int {
	p := findPlaces(a, b)
	all := make([]uint64, (len(a)+1)*p.words)
	row := func(i int) growth { return all[i*p.words : (i+1)*p.words] }
	for i, c := range a {
		p.next(row(i), row(i+1), c)
	}
	total := row(len(a)).length(len(b))
	i, j, here := len(a), len(b), total
	for i > 0 && j > 0 {
		if a[i-1] == b[j-1] {
			i, j, here = i-1, j-1, here-1
			found(i, j)
			continue
		}
		this, above := row(i), row(i-1)
		for up := above.length(j); j > 0 && a[i-1] != b[j-1]; j-- {
			left := here - this.at(j-1)
			if up > left || upFirst && up == left {
				i, here = i-1, up
				break
			}
			here, up = left, up-above.at(j-1)
		}
	}
	return total
}

// An lcsRange is a run of the common subsequence: bytes a[a:a+n] and b[b:b+n].
type lcsRange struct{ a, b, n int }

// lcsRanges are the runs of at least atLeast bytes, the last one first.
func lcsRanges(a, b []byte, atLeast int) (ranges []lcsRange, total int) {
	var run lcsRange
	keep := func() {
		if run.n > 0 && run.n >= atLeast {
			ranges = append(ranges, run)
		}
	}
	total = lcsWalk(a, b, func(i, j int) {
		if run.n > 0 && i+1 == run.a && j+1 == run.b {
			run.a, run.b, run.n = i, j, run.n+1
			return
		}
		keep()
		run = lcsRange{i, j, 1}
	})
	keep()
	return ranges, total
}

func lcsString(a, b []byte) []byte {
	var back []byte
	lcsWalk(a, b, func(i, _ int) { back = append(back, a[i]) })
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}

type lcsOptions struct {
	length, ranges, withLength bool
	atLeast                    int64
}

func lcs(c *Context) error {
	a, b, err := lcsStrings(c)
	if err != nil {
		return err
	}
	o, err := parseLCS(c)
	if err != nil {
		return err
	}
	if (int64(len(a))+1)*(int64(len(b))+1)*4 > c.maxString() {
		return ErrLCSMemory
	}
	switch {
	case o.ranges:
		replyLCSRanges(c, a, b, o)
	case o.length:
		c.Reply.Int(int64(lcsLength(a, b)))
	default:
		c.Reply.Bulk(lcsString(a, b))
	}
	return nil
}

func lcsStrings(c *Context) (a, b []byte, err error) {
	a, _, err = c.Tx.String(c.Args[1])
	if err == nil {
		b, _, err = c.Tx.String(c.Args[2])
	}
	if errors.Is(err, store.ErrWrongType) {
		err = ErrLCSTypes
	}
	return a, b, err
}

func parseLCS(c *Context) (o lcsOptions, err error) {
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "IDX"):
			o.ranges = true
		case c.Is(i, "LEN"):
			o.length = true
		case c.Is(i, "WITHMATCHLEN"):
			o.withLength = true
		case c.Is(i, "MINMATCHLEN") && i+1 < len(c.Args):
			i++
			if o.atLeast, err = c.Int64(i); err != nil {
				return o, err
			}
		default:
			return o, ErrSyntax
		}
	}
	if o.ranges && o.length {
		return o, ErrLCSBoth
	}
	return o, nil
}

func replyLCSRanges(c *Context, a, b []byte, o lcsOptions) {
	ranges, total := lcsRanges(a, b, int(max(o.atLeast, 0)))
	c.Reply.Map(2)
	c.Reply.BulkString("matches")
	c.Reply.Array(len(ranges))
	for _, r := range ranges {
		if o.withLength {
			c.Reply.Array(3)
		} else {
			c.Reply.Array(2)
		}
		for _, start := range [2]int{r.a, r.b} {
			c.Reply.Array(2)
			c.Reply.Int(int64(start))
			c.Reply.Int(int64(start + r.n - 1))
		}
		if o.withLength {
			c.Reply.Int(int64(r.n))
		}
	}
	c.Reply.BulkString("len")
	c.Reply.Int(int64(total))
}

var stringLCSCommands = []Spec{
	{
		Name: "LCS", Usage: "key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:integer] [WITHMATCHLEN]", Arity: -3,
		Group: String, Since: "7.0.0", Complexity: "O(N*M) where N and M are the lengths of the two strings",
		Flags: Readonly, Keys: []KeySpec{Keys(1, 2, 1, RO|Reads)}, Run: lcs,
		Summary: "Finds the longest common subsequence of two strings.",
	},
}
