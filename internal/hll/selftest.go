package hll

import (
	"encoding/binary"
	"errors"
	"math"
)

// SelfTest checks the registers and, on elements that are always the same, that
// the estimates are as good as they should be.
func SelfTest() error {
	dense := NewEditor(New(), 0)
	if err := dense.ToDense(); err != nil {
		return err
	}
	b := dense.Bytes()
	for i := range registers {
		setRank(b, i, uint8(i%64))
	}
	for i := range registers {
		if Rank(b, i) != uint8(i%64) {
			return errors.New("hll: a register does not hold what was stored in it")
		}
		setRank(b, i, 0)
	}
	sparse := NewEditor(New(), 3000)
	var elem [8]byte
	const last, allowed = 100_000, 5 * 1.04 / 128
	for i := 1; i <= last; i++ {
		binary.BigEndian.PutUint64(elem[:], uint64(i))
		Raise(b, elem[:])
		if !Dense(sparse.Bytes()) {
			if _, err := sparse.Add(elem[:]); err != nil {
				return err
			}
		}
		if i&(i-1) != 0 && i != last {
			continue
		}
		n, err := Count(b)
		if err != nil {
			return err
		}
		if math.Abs(float64(n)-float64(i)) > math.Ceil(allowed*float64(i)) {
			return errors.New("hll: an estimate is too far away")
		}
		if Dense(sparse.Bytes()) {
			continue
		}
		if m, err := Count(sparse.Bytes()); err != nil || m != n {
			return errors.New("hll: sparse and dense count differently")
		}
	}
	return nil
}
