package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// A zcompact is a small sorted set: members in order, each with its score behind
// it. A score that is an integer is kept as one (zero loses its sign, as in Redis),
// any other as the bytes of its bits: four if that is all it needs, or eight.
type zcompact struct{ packed }

// intText is the length of the longest integer's text.
const intText = 20

// text is the element as the client sent it; an integer's is written into room.
func (e Elem) text(room *[intText]byte) []byte {
	if e.Str != nil {
		return e.Str
	}
	return strconv.AppendInt(room[:0], e.Int, 10)
}

func (c *zcompact) len() int { return c.packed.len() / 2 }

// pair reads the member and the score at off.
func (c *zcompact) pair(off int) (e Elem, score float64, next int) {
	e, off = c.at(off)
	s, next := c.at(off)
	switch {
	case s.IsInt():
		return e, float64(s.Int), next
	case len(s.Str) == 4:
		return e, float64(math.Float32frombits(binary.LittleEndian.Uint32(s.Str))), next
	}
	return e, math.Float64frombits(binary.LittleEndian.Uint64(s.Str)), next
}

func (c *zcompact) find(e Elem) (off int, ok bool) { return c.packed.find(e, 0, 2) }

func (c *zcompact) rankOf(off int) (rank int) {
	for at := 0; at < off; at = c.skip(at, 2) {
		rank++
	}
	return rank
}

// put puts in a member that is not there.
func (c *zcompact) put(name []byte, score float64) {
	off := 0
	for off < c.end() {
		e, s, next := c.pair(off)
		if s > score {
			break
		}
		var room [intText]byte
		if s == score && bytes.Compare(e.text(&room), name) > 0 {
			break
		}
		off = next
	}
	c.insertAt(off, name, score)
}

// append puts in a member behind all others.
func (c *zcompact) append(name []byte, score float64) { c.insertAt(c.end(), name, score) }

func (c *zcompact) insertAt(off int, name []byte, score float64) {
	var room [8]byte
	s := Elem{Str: room[:]}
	if n := int64(score); math.Abs(score) < 1<<53 && float64(n) == score {
		s = Elem{Int: n}
	} else if f := float32(score); float64(f) == score {
		s.Str = room[:4]
		binary.LittleEndian.PutUint32(s.Str, math.Float32bits(f))
	} else {
		binary.LittleEndian.PutUint64(s.Str, math.Float64bits(score))
	}
	c.insert(off, elemOf(name), s)
}

// count is how many members come before the first that fn does not hold for.
func (c *zcompact) count(fn func(e Elem, score float64) bool) (n int) {
	for off := 0; off < c.end(); n++ {
		e, score, next := c.pair(off)
		if !fn(e, score) {
			break
		}
		off = next
	}
	return n
}

func (c *zcompact) countBelow(score float64, inclusive bool) int {
	return c.count(func(_ Elem, s float64) bool { return s < score || inclusive && s == score })
}

func (c *zcompact) each(rank int, reverse bool, fn func(e Elem, score float64) bool) {
	off := c.seek(2 * rank)
	for {
		e, score, next := c.pair(off)
		if !fn(e, score) || !reverse && next == c.end() || reverse && off == 0 {
			return
		}
		if off = next; reverse {
			for range 4 {
				off = c.before(off)
			}
		}
	}
}
