package command

import (
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/store"
)

// bitsOf are the bits of b, one by one.
func bitsOf(b []byte) []bool {
	var all []bool
	for _, c := range b {
		for i := range 8 {
			all = append(all, c&(0x80>>i) != 0)
		}
	}
	return all
}

// someBytes draws strings with long runs of equal bits.
func someBytes(most int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := make([]byte, rapid.IntRange(0, most).Draw(t, "size"))
		if rapid.Bool().Draw(t, "ones") {
			for i := range b {
				b[i] = 0xff
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			if len(b) > 0 {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		return b
	})
}

func TestBitsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := someBytes(100).Draw(t, "b")
		all := bitsOf(b)
		to := rapid.IntRange(0, len(all)).Draw(t, "to")
		from := rapid.IntRange(0, to).Draw(t, "from")
		count, first := 0, map[bool]int{true: -1, false: -1}
		for i := to - 1; i >= from; i-- {
			first[all[i]] = i
			if all[i] {
				count++
			}
		}
		require.Equal(t, count, countBits(b, from, to))
		require.Equal(t, first[true], findBit(b, from, to, true))
		require.Equal(t, first[false], findBit(b, from, to, false))
	})
}

func TestBitOpsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op := bitOp(rapid.IntRange(0, int(bitOne)).Draw(t, "op"))
		most := 5
		if op == bitNot {
			most = 1
		}
		src := rapid.SliceOfN(someBytes(40), 1, most).Draw(t, "sources")
		longest := slices.MaxFunc(src, func(a, b []byte) int { return len(a) - len(b) })
		dst := make([]byte, len(longest))
		kept := make([][]byte, len(src))
		for i := range src {
			kept[i] = slices.Clone(src[i])
		}
		op.combine(dst, src)
		require.Equal(t, kept, src)
		for i, got := range bitsOf(dst) {
			n, first := 0, false // how many have the bit, and whether the first has
			for j, s := range src {
				if all := bitsOf(s); i < len(all) && all[i] {
					n++
					first = first || j == 0
				}
			}
			others := n > 1 || n == 1 && !first
			want := map[bitOp]bool{
				bitAnd: n == len(src), bitOr: n > 0, bitXor: n%2 == 1, bitNot: n == 0,
				bitDiff: first && !others, bitDiff1: !first && others, bitAndOr: first && others, bitOne: n == 1,
			}[op]
			require.Equal(t, want, got, "bit %d", i)
		}
	})
}

// Fields against integers without limits.
func TestBitInt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := bitInt{signed: rapid.Bool().Draw(t, "signed")}
		most := 63
		if f.signed {
			most = 64
		}
		f.bits = uint(rapid.IntRange(1, most).Draw(t, "bits"))
		b := someBytes(30).Draw(t, "b")
		f.at = rapid.Int64Range(0, int64(len(b)*8+70)).Draw(t, "at")
		all := append(bitsOf(b), make([]bool, 200)...)
		want := new(big.Int)
		for i := range int(f.bits) {
			want.Lsh(want, 1)
			if all[int(f.at)+i] {
				want.SetBit(want, 0, 1)
			}
		}
		size := new(big.Int).Lsh(big.NewInt(1), f.bits)
		wrapped := func(n *big.Int) int64 {
			n = new(big.Int).Mod(n, size)
			if f.signed && n.Bit(int(f.bits)-1) == 1 {
				n.Sub(n, size)
			}
			return n.Int64()
		}
		old := f.get(b)
		require.Equal(t, wrapped(want), old)

		v := rapid.Int64().Draw(t, "v")
		sum := new(big.Int).Add(big.NewInt(old), big.NewInt(v))
		got, ok := f.add(old, v, overflowWrap)
		require.True(t, ok)
		require.Equal(t, wrapped(sum), got)
		lo, hi := f.limits()
		fits := sum.Cmp(big.NewInt(lo)) >= 0 && sum.Cmp(big.NewInt(hi)) <= 0
		_, ok = f.add(old, v, overflowFail)
		require.Equal(t, fits, ok)
		got, _ = f.add(old, v, overflowSat)
		switch {
		case fits:
			require.Equal(t, sum.Int64(), got)
		case sum.Cmp(big.NewInt(lo)) < 0:
			require.Equal(t, lo, got)
		default:
			require.Equal(t, hi, got)
		}

		long := append(slices.Clone(b), make([]byte, 30)...)
		before := bitsOf(long)
		f.set(long, v)
		require.Equal(t, wrapped(big.NewInt(v)), f.get(long))
		for i, bit := range bitsOf(long) {
			if int64(i) < f.at || int64(i) >= f.end() {
				require.Equal(t, before[i], bit, "a bit beside the field")
			}
		}
	})
}

// What is told of calls that change nothing, or not what they seem to.
func TestBitmapTells(t *testing.T) {
	b := newStand(t)
	step := func(events string, words ...string) {
		t.Helper()
		records, err := b.run(1, words...)
		require.NoError(t, err)
		require.Equal(t, events != "-", records != nil, "%q", words)
		got := ""
		for _, e := range b.ctx.Events() {
			got += e.Name + " "
		}
		if events != "-" {
			require.Equal(t, events, got, "%q", words)
		}
	}
	step("setbit ", "SETBIT", "k", "9", "0")
	step("-", "SETBIT", "k", "9", "0")
	step("setbit ", "SETBIT", "k", "9", "1")
	step("-", "BITFIELD", "k", "SET", "u1", "9", "1")
	step("-", "BITFIELD", "k", "GET", "u1", "9")
	step("-", "BITFIELD", "k", "OVERFLOW", "FAIL", "INCRBY", "u1", "9", "1")
	step("setbit ", "BITFIELD", "k", "SET", "u1", "9", "1", "SET", "u1", "8", "1")
	step("", "BITFIELD", "grown", "OVERFLOW", "FAIL", "INCRBY", "u1", "9", "2")
	step("set ", "SET", "n", "12")
	step("-", "SETBIT", "n", "0", "0") // but for the encoding, which nobody is told of
	step("-", "SETBIT", "n", "0", "0")
	step("set ", "BITOP", "OR", "d", "k")
	step("set ", "BITOP", "OR", "d", "k")
	step("del ", "BITOP", "OR", "d", "none")
	step("-", "BITOP", "OR", "d", "none")
	step("-", "BITCOUNT", "k")
}

// A string of megabytes is edited where it lies, and never copied for a bit.
func TestLongBitmapsAreEditedInPlace(t *testing.T) {
	b := newStand(t)
	_, err := b.run(1, "SETBIT", "k", strconv.Itoa(64<<20), "1")
	require.NoError(t, err)
	i := 0
	require.Less(t, testing.AllocsPerRun(20, func() {
		i += 7919
		_, err := b.run(1, "SETBIT", "k", strconv.Itoa(i), "1")
		require.NoError(t, err)
	}), 30.0)
	var before, after uint64
	before = allocated()
	for i := range 20 {
		_, err := b.run(1, "BITFIELD", "k", "INCRBY", "u32", strconv.Itoa(i*1000), "1")
		require.NoError(t, err)
	}
	after = allocated()
	require.Less(t, after-before, uint64(1<<20))
}

// Who runs a shard's lines copies no long strings.
func TestLongCopiesYield(t *testing.T) {
	b := newStand(t)
	_, err := b.run(1, "SET", "k", string(make([]byte, 100<<10)))
	require.NoError(t, err)
	ref := []store.Ref{{Key: []byte("k"), Hash: b.ks.Hash(0, []byte("k"))}}
	inLine := func() error {
		b.out.Reset(2)
		args := [][]byte{[]byte("SETBIT"), ref[0].Key, []byte("5"), []byte("1")}
		b.ctx.Begin(All().Lookup(args), args, 1, 0)
		b.tx.Begin(b.ks, store.InLine, 0, 1, ref)
		defer b.tx.End()
		err := setBit(&b.ctx)
		if err != nil {
			b.tx.Undo()
		} else {
			b.tx.Publish()
		}
		return err
	}
	require.ErrorIs(t, inLine(), store.ErrLocked)
	_, err = b.run(1, "SETBIT", "k", "7", "1")
	require.NoError(t, err)
	require.NoError(t, inLine())
}

// A random call of a bitmap command.
func bitmapCall(t *rapid.T) []string {
	key := rapid.SampledFrom([]string{"a", "b", "c", "list"})
	pos := rapid.Map(rapid.OneOf(rapid.Int64Range(-40, 200), rapid.SampledFrom([]int64{
		-1 << 63, 1<<63 - 1, 1<<32 - 1, 1 << 32, -1, 0})), func(n int64) string { return strconv.FormatInt(n, 10) })
	near := rapid.Map(rapid.Int64Range(-5, 300), func(n int64) string { return strconv.FormatInt(n, 10) })
	unit := rapid.SampledFrom([]string{"BIT", "BYTE", "bit", "x"})
	words := func(from ...any) []string {
		var w []string
		for _, f := range from {
			switch f := f.(type) {
			case string:
				w = append(w, f)
			case *rapid.Generator[string]:
				w = append(w, f.Draw(t, "word"))
			}
		}
		return w
	}
	switch rapid.IntRange(0, 9).Draw(t, "command") {
	case 0:
		return words("SETBIT", key, near, rapid.SampledFrom([]string{"0", "1", "2"}))
	case 1:
		return words("GETBIT", key, pos)
	case 2:
		w := words("BITCOUNT", key, pos, pos, unit)
		return w[:rapid.IntRange(2, len(w)).Draw(t, "length")]
	case 3, 4:
		w := words("BITPOS", key, rapid.SampledFrom([]string{"0", "1", "2"}), pos, pos, unit)
		return w[:rapid.IntRange(3, len(w)).Draw(t, "length")]
	case 5, 6:
		w := words("BITOP", rapid.SampledFrom([]string{"AND", "OR", "xor", "NOT"}), key, key, key, key)
		return w[:rapid.IntRange(4, len(w)).Draw(t, "length")]
	case 7:
		return words("SET", key, rapid.Map(someBytes(20), func(b []byte) string { return string(b) }))
	}
	w := words(rapid.SampledFrom([]string{"BITFIELD", "BITFIELD_RO"}), key)
	kind := rapid.SampledFrom([]string{"u8", "i8", "u1", "i1", "u63", "i64", "i33", "u64", "u5"})
	place := rapid.OneOf(near, rapid.SampledFrom([]string{"#0", "#3", "#-1"}))
	for range rapid.IntRange(0, 4).Draw(t, "operations") {
		switch rapid.IntRange(0, 3).Draw(t, "operation") {
		case 0:
			w = append(w, words("GET", kind, place)...)
		case 1:
			w = append(w, words("SET", kind, place, pos)...)
		case 2:
			w = append(w, words("INCRBY", kind, place, pos)...)
		case 3:
			w = append(w, words("OVERFLOW", rapid.SampledFrom([]string{"WRAP", "sat", "FAIL", "x"}))...)
		}
	}
	return w
}

func TestBitmapAgreesWithRedis(t *testing.T) {
	b := newAskBoth(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, k := range []string{"a", "b", "c", "list"} {
			b.ask(t, "DEL", k)
		}
		b.ask(t, "RPUSH", "list", "x")
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			call := bitmapCall(t)
			b.ask(t, call...)
			if call[0] == "BITOP" {
				call[1] = call[2]
			}
			b.ask(t, "GET", call[1])
			b.ask(t, "OBJECT", "ENCODING", call[1])
		}
	})
}
