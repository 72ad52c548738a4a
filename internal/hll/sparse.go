package hll

import (
	"slices"
	"strconv"
)

// Behind the header of a sparse HyperLogLog stand the registers as runs:
//
//	00nnnnnn           n+1 registers of rank 0, up to 64
//	01nnnnnn nnnnnnnn  n+1 registers of rank 0, up to 16384
//	1vvvvvnn           n+1 registers of rank v+1, up to 4 of up to 32
type run struct {
	len  int
	rank uint8
	size int // bytes it takes
}

const (
	longZeros = 0x40
	values    = 0x80

	mostZeros  = 64
	mostValues = 4
	topRank    = 32 // of a sparse HyperLogLog
)

// runAt is the run at p. A long one that is cut off counts as if a zero followed,
// as in Redis, where one always does.
func runAt(b []byte, p int) run {
	c := b[p]
	switch {
	case c&values != 0:
		return run{len: int(c&3) + 1, rank: c>>2&31 + 1, size: 1}
	case c&longZeros == 0:
		return run{len: int(c) + 1, size: 1}
	}
	n := int(c&63) << 8
	if p+1 < len(b) {
		n |= int(b[p+1])
	}
	return run{len: n + 1, size: 2}
}

// appendZeros appends a run of n registers of rank 0.
func appendZeros(b []byte, n int) []byte {
	if n > mostZeros {
		n--
		return append(b, byte(longZeros|n>>8), byte(n))
	}
	return append(b, byte(n-1))
}

func valueRun(rank uint8, n int) byte { return values | (rank-1)<<2 | byte(n-1) }

// An Editor changes a HyperLogLog in a copy, which it makes when first something
// is to be changed.
type Editor struct {
	b         []byte
	own       bool
	maxSparse int
}

// NewEditor returns an editor of b, which becomes dense when it would have more
// bytes than maxSparse.
func NewEditor(b []byte, maxSparse int) *Editor {
	return &Editor{b: b, maxSparse: maxSparse}
}

// Bytes are the HyperLogLog as it is now.
func (e *Editor) Bytes() []byte { return e.b }

// Changed tells whether Bytes is another slice than NewEditor was given.
func (e *Editor) Changed() bool { return e.own }

// Add adds an element and tells whether that changed a register.
func (e *Editor) Add(elem []byte) (bool, error) {
	return e.raise(Place(elem))
}

// Merge raises the registers to those of r, in order.
func (e *Editor) Merge(r *Ranks) error {
	for i, rank := range r {
		if rank > 0 {
			if _, err := e.raise(i, rank); err != nil {
				return err
			}
		}
	}
	e.owned()
	SetStale(e.b)
	return nil
}

// owned makes the copy.
func (e *Editor) owned() {
	if !e.own {
		e.b = append(make([]byte, 0, len(e.b)+8), e.b...)
		e.own = true
	}
}

// ToDense gives the HyperLogLog the dense encoding, if it has another.
func (e *Editor) ToDense() error {
	if Dense(e.b) {
		return nil
	}
	var r Ranks
	if err := r.Merge(e.b); err != nil {
		return err
	}
	b := make([]byte, denseSize)
	copy(b, e.b[:header])
	b[len(magic)] = denseEncoding
	for i, rank := range r {
		if rank > 0 {
			setRank(b, i, rank)
		}
	}
	e.b, e.own = b, true
	return nil
}

// raise raises one register and tells whether it was lower.
func (e *Editor) raise(register int, rank uint8) (bool, error) {
	if Dense(e.b) {
		if Rank(e.b, register) >= rank {
			return false, nil
		}
		e.owned()
		setRank(e.b, register, rank)
		SetStale(e.b)
		return true, nil
	}
	if rank > topRank {
		return e.raiseDense(register, rank)
	}
	return e.raiseSparse(register, rank)
}

func (e *Editor) raiseDense(register int, rank uint8) (bool, error) {
	if err := e.ToDense(); err != nil {
		return false, err
	}
	setRank(e.b, register, rank)
	SetStale(e.b)
	return true, nil
}

// raiseSparse splits the run that the register is in. Where the pieces are cut,
// which runs are joined again and when the HyperLogLog is too long, is Redis' way:
// other ways make other bytes.
func (e *Editor) raiseSparse(register int, rank uint8) (bool, error) {
	before, p, first := header, header, 0
	var old run
	for ; ; before, p, first = p, p+old.size, first+old.len {
		if p >= len(e.b) {
			return false, ErrCorrupt
		}
		if old = runAt(e.b, p); register < first+old.len {
			break
		}
	}
	switch {
	case p+old.size > len(e.b):
		return false, ErrCorrupt
	case old.rank >= rank:
		return false, nil
	}
	var room [5]byte
	pieces := split(room[:0], old, register-first, rank)
	if grown := len(pieces) - old.size; grown > 0 && len(e.b)+grown > e.maxSparse {
		return e.raiseDense(register, rank)
	}
	e.owned()
	e.b = slices.Replace(e.b, p, p+old.size, pieces...)
	e.join(before)
	SetStale(e.b)
	return true, nil
}

// split appends the run old with another rank at one of its registers.
func split(b []byte, old run, at int, rank uint8) []byte {
	part := func(n int) {
		switch {
		case n == 0:
		case old.rank == 0:
			b = appendZeros(b, n)
		default:
			b = append(b, valueRun(old.rank, n))
		}
	}
	part(at)
	b = append(b, valueRun(rank, 1))
	part(old.len - at - 1)
	return b
}

// join makes one run of neighbours of the same rank, among the five from p on.
func (e *Editor) join(p int) {
	for n := 0; n < 5 && p < len(e.b); n++ {
		c := e.b[p]
		if c&values == 0 {
			p += runAt(e.b, p).size
			continue
		}
		if p+1 < len(e.b) && e.b[p+1]&^3 == c&^3 {
			if sum := int(c&3) + int(e.b[p+1]&3) + 2; sum <= mostValues {
				e.b[p+1] = c&^3 | byte(sum-1)
				e.b = slices.Delete(e.b, p, p+1)
				continue
			}
		}
		p++
	}
}

// Decode shows the runs of a sparse HyperLogLog as PFDEBUG does: z for zeros, Z
// for many zeros, v for a rank and how often it stands there.
func Decode(b []byte) []byte {
	var text []byte
	for p := header; p < len(b); {
		r := runAt(b, p)
		switch {
		case r.rank > 0:
			text = append(text, "v:"...)
			text = strconv.AppendUint(text, uint64(r.rank), 10)
			text = append(text, ',')
		case r.size > 1:
			text = append(text, "Z:"...)
		default:
			text = append(text, "z:"...)
		}
		text = strconv.AppendInt(text, int64(r.len), 10)
		text = append(text, ' ')
		p += r.size
	}
	return text[:max(len(text)-1, 0)]
}
