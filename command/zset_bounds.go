package command

import (
	"bytes"
	"math"

	"github.com/ferricd/ferricd/store"
)

// A zrange is a range of a sorted set as a command states it, before anybody has
// looked at the set.
type zrange struct {
	by          rangeBy
	reverse     bool
	start, stop int64    // byRank
	min, max    scoreEnd // byScore
	from, to    nameEnd  // byName
	offset      int64    // of what is in the range, so many are left out;
	limit       int64    // so many are taken, all if negative
	scores      bool
}

type rangeBy uint8

const (
	byAny rangeBy = iota // options decide
	byRank
	byScore
	byName
)

// A scoreEnd is one end of a range of scores.
type scoreEnd struct {
	score float64
	open  bool // the score itself is outside
}

// A nameEnd is one end of a range of names.
type nameEnd struct {
	name     []byte
	open     bool
	infinite int // -1 is before all names, 1 behind them
}

// parseScoreEnd reads a number, perhaps after a parenthesis, as C's strtod reads
// a string: space may precede it, a zero byte ends it, nothing is zero, and what
// is out of range is infinite.
func parseScoreEnd(b []byte) (e scoreEnd, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		e.open, b = true, b[1:]
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return e, true
	}
	e.score, _, ok = strtod(bytes.TrimLeft(b, " \t\n\v\f\r"))
	return e, ok
}

func parseNameEnd(b []byte) (e nameEnd, ok bool) {
	switch {
	case len(b) == 0:
		return e, false
	case b[0] == '(' || b[0] == '[':
		return nameEnd{name: b[1:], open: b[0] == '('}, true
	case len(b) == 1 && b[0] == '-':
		return nameEnd{infinite: -1}, true
	case len(b) == 1 && b[0] == '+':
		return nameEnd{infinite: 1}, true
	}
	return e, false
}

// ends reads arguments i and i+1 as the ends of the range.
func (r *zrange) ends(c *Context, i int) (err error) {
	if r.by == byRank {
		if r.start, err = c.Int64(i); err == nil {
			r.stop, err = c.Int64(i + 1)
		}
		return err
	}
	lo, hi := c.Args[i], c.Args[i+1]
	if r.reverse {
		lo, hi = hi, lo
	}
	var ok1, ok2 bool
	if r.by == byScore {
		r.min, ok1 = parseScoreEnd(lo)
		r.max, ok2 = parseScoreEnd(hi)
		err = ErrScoreRange
	} else {
		r.from, ok1 = parseNameEnd(lo)
		r.to, ok2 = parseNameEnd(hi)
		err = ErrNameRange
	}
	if ok1 && ok2 {
		return nil
	}
	return err
}

// before is how many members of z come before the range, if e is its lower end,
// or also those in it, if e is the upper one.
func (e scoreEnd) before(z *store.ZSet, upper bool) int {
	return z.CountBelow(e.score, e.open != upper)
}

func (e nameEnd) before(z *store.ZSet, upper bool) int {
	switch e.infinite {
	case -1:
		return 0
	case 1:
		return z.Len()
	}
	return z.CountBefore(e.name, e.open != upper)
}

// of is where the range begins in z, counted from the other end if it is
// reversed, and how many members it has, without offset and limit.
func (r *zrange) of(z *store.ZSet) (rank, n int) {
	lo, hi, size := 0, 0, z.Len()
	switch r.by {
	case byScore:
		lo, hi = r.min.before(z, false), r.max.before(z, true)
	case byName:
		lo, hi = r.from.before(z, false), r.to.before(z, true)
	default:
		start, stop := r.start, r.stop
		if start < 0 {
			start = max(start+int64(size), 0)
		}
		if stop < 0 {
			stop += int64(size)
		}
		if stop = min(stop, int64(size-1)); start > stop {
			return 0, 0
		}
		return int(start), int(stop-start) + 1
	}
	if hi <= lo {
		return 0, 0
	}
	if r.reverse {
		return size - hi, hi - lo
	}
	return lo, hi - lo
}

// clip is of with offset and limit.
func (r *zrange) clip(z *store.ZSet) (rank, n int) {
	rank, n = r.of(z)
	if r.offset < 0 || r.offset >= int64(n) {
		return 0, 0
	}
	rank, n = rank+int(r.offset), n-int(r.offset)
	if r.limit >= 0 {
		n = int(min(int64(n), r.limit))
	}
	return rank, n
}

// each calls fn for the members of the range, which are n from rank on.
func (r *zrange) each(z *store.ZSet, rank, n int, fn func(e store.Elem, score float64)) {
	if n == 0 {
		return
	}
	if r.reverse {
		rank = z.Len() - 1 - rank
	}
	z.Each(rank, r.reverse, func(e store.Elem, score float64) bool {
		fn(e, score)
		n--
		return n > 0
	})
}

// options reads what stands behind the ends of a range, from argument i on.
func (r *zrange) options(c *Context, i int, auto, store bool) (err error) {
	r.limit = -1
	reverse := false
	for ; i < len(c.Args); i++ {
		switch {
		case !store && c.Is(i, "WITHSCORES"):
			r.scores = true
		case c.Is(i, "LIMIT") && len(c.Args)-i > 2:
			if r.offset, err = c.Int64(i + 1); err != nil {
				return err
			}
			if r.limit, err = c.Int64(i + 2); err != nil {
				return err
			}
			i += 2
		case auto && !reverse && c.Is(i, "REV"):
			r.reverse, reverse = true, true
		case r.by == byAny && c.Is(i, "BYLEX"):
			r.by = byName
		case r.by == byAny && c.Is(i, "BYSCORE"):
			r.by = byScore
		default:
			return ErrSyntax
		}
	}
	if r.by == byAny {
		r.by = byRank
	}
	switch {
	case r.limit != -1 && r.by == byRank:
		return ErrRangeLimit
	case r.scores && r.by == byName:
		return ErrRangeScores
	}
	if r.by == byRank {
		r.offset, r.limit = 0, math.MaxInt64
	}
	return nil
}
