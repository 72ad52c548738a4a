package command

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The legacy range of key specs that follow each other, and of those that do not.
func TestLegacyKeys(t *testing.T) {
	for _, c := range []struct {
		keys []KeySpec
		want Legacy
	}{
		{nil, Legacy{}},
		{[]KeySpec{Key(1, RO)}, Legacy{1, 1, 1, false}},
		{[]KeySpec{Keys(1, -1, 2, OW)}, Legacy{1, -1, 2, false}},
		{[]KeySpec{Key(1, RO), Key(2, OW)}, Legacy{1, 2, 1, false}},
		{[]KeySpec{Key(2, OW), Keys(3, -1, 1, RO)}, Legacy{2, -1, 1, false}},
		{[]KeySpec{Key(1, OW), CountedKeys(2, RO)}, Legacy{1, 1, 1, true}},
		{[]KeySpec{Key(1, RO), Key(3, OW)}, Legacy{1, 1, 1, true}},
		{[]KeySpec{CountedKeys(1, RO)}, Legacy{Movable: true}},
		{[]KeySpec{After("STREAMS", Keys(1, -1, 1, RO).Half())}, Legacy{Movable: true}},
		{[]KeySpec{Key(3, RW), After("KEYS", Keys(1, -1, 1, RW|Incomplete)).From(-2)}, Legacy{3, 3, 1, true}},
		{[]KeySpec{Key(1, RO|Incomplete)}, Legacy{1, 1, 1, true}},
	} {
		s := Spec{Keys: c.keys}
		assert.Equal(t, c.want, s.LegacyKeys(), "%+v", c.keys)
	}
}

func TestHelpWraps(t *testing.T) {
	assert.Equal(t, []string{"    aa bb", "    cc"}, wrap("aa bb cc", 9))
	assert.Equal(t, []string{"    longerthanallowed", "    x"}, wrap("longerthanallowed x", 9))
}

// Finding keys allocates nothing, also where options decide on the access.
func TestEachKeyAllocatesNothing(t *testing.T) {
	fn := func(int, Access) {}
	for _, line := range []string{"MSET a 1 b 2 c 3", "SET a b GET", "LMPOP 2 a b LEFT", "LMOVE a b LEFT LEFT"} {
		args := words(line)
		s := All().Lookup(args)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = s.EachKey(args, fn) }), line)
	}
}
