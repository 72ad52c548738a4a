package store

import (
	"encoding/binary"
	"math"
)

// An intset is integers in ascending order, each in 2, 4 or 8 bytes: as many as
// the widest needs. It lies in the buffer of a packed whose mark is the width.
type intset struct{ *packed }

// intWidth is how many bytes n takes.
func intWidth(n int64) uint8 {
	switch {
	case n == int64(int16(n)):
		return 2
	case n == int64(int32(n)):
		return 4
	}
	return 8
}

func (s intset) at(i int) int64 {
	w := int(s.mark)
	switch b := s.buf[i*w:]; w {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	default:
		return int64(binary.LittleEndian.Uint64(b))
	}
}

func (s intset) put(i int, n int64) {
	w := int(s.mark)
	switch b := s.buf[i*w:]; w {
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(n))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(n))
	default:
		binary.LittleEndian.PutUint64(b, uint64(n))
	}
}

// find returns where n stands, or where it belongs.
func (s intset) find(n int64) (i int, ok bool) {
	lo, hi := 0, s.len()
	for lo < hi {
		mid := (lo + hi) / 2
		switch x := s.at(mid); {
		case x == n:
			return mid, true
		case x < n:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

func (s intset) add(n int64) bool {
	i, ok := s.find(n)
	if ok {
		return false
	}
	if s.n == math.MaxUint32 {
		panic("store: too many integers in a compact set")
	}
	if w := intWidth(n); w > s.mark {
		s.widen(w)
	}
	w := int(s.mark)
	s.splice(i*w, 0, w)
	s.n++
	s.put(i, n)
	return true
}

// widen lets every integer take w bytes.
func (s intset) widen(w uint8) {
	old := intset{&packed{buf: s.buf, n: s.n, mark: s.mark}}
	s.mark = w
	s.buf = newBuffer((s.len() + 1) * int(w))[:s.len()*int(w)]
	for i := range s.len() {
		s.put(i, old.at(i))
	}
}

func (s intset) remove(n int64) bool {
	i, ok := s.find(n)
	if !ok {
		return false
	}
	w := int(s.mark)
	s.splice(i*w, w, 0)
	s.n--
	s.trim()
	return true
}
