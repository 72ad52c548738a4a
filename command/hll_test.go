package command

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// allocated is how many bytes have been allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestHLLAgreesWithRedis(t *testing.T) {
	b := newAskBoth(t)
	key := rapid.SampledFrom([]string{"a", "b", "c", "text", "none"})
	rapid.Check(t, func(t *rapid.T) {
		for _, k := range []string{"a", "b", "c", "text", "none"} {
			b.ask(t, "DEL", k)
		}
		b.ask(t, "SET", "text", "HYLL and more than sixteen")
		for range rapid.IntRange(1, 15).Draw(t, "calls") {
			k := key.Draw(t, "key")
			call := []string{"PFADD", k}
			switch rapid.IntRange(0, 6).Draw(t, "command") {
			case 0, 1, 2:
				from, n := rapid.IntRange(0, 2000).Draw(t, "from"), rapid.SampledFrom([]int{0, 1, 4, 100, 2500}).Draw(t, "n")
				for i := range n {
					call = append(call, fmt.Sprint("e", from+i))
				}
			case 3:
				call = append([]string{"PFCOUNT", k}, rapid.SliceOfN(key, 0, 2).Draw(t, "more")...)
			case 4:
				call = append([]string{"PFMERGE", k}, rapid.SliceOfN(key, 0, 2).Draw(t, "sources")...)
			case 5:
				call = []string{"PFDEBUG", rapid.SampledFrom([]string{"GETREG", "DECODE", "ENCODING", "TODENSE", "x"}).Draw(t, "sub"), k}
			case 6:
				call = []string{"SETRANGE", k, strconv.Itoa(rapid.IntRange(0, 30).Draw(t, "at")), rapid.SampledFrom([]string{"\x80", "\x01", "\x7f\xff"}).Draw(t, "bytes")}
				if k == "none" {
					continue
				}
			}
			if b.ask(t, call...) && call[0] != "SETRANGE" {
				// Refused for a damaged value: there some elements are in by then, here none is.
				b.ask(t, "DEL", k)
			}
			b.ask(t, "GET", k)
		}
	})
}

// Only what changed is told, and PFCOUNT tells that it noted a count.
func TestHLLTells(t *testing.T) {
	b := newStand(t)
	step := func(want string, words ...string) {
		t.Helper()
		records, err := b.run(1, words...)
		require.NoError(t, err)
		got := ""
		for _, e := range b.ctx.Events() {
			got += e.Name + " "
		}
		require.Equal(t, want, fmt.Sprint(got, records), "%q", words)
	}
	step("pfadd [[PFADD h]]", "PFADD", "h")
	step("[]", "PFADD", "h")
	step("pfadd [[PFADD h a b]]", "PFADD", "h", "a", "b")
	step("[]", "PFADD", "h", "b", "a")
	step("[[PFCOUNT h]]", "PFCOUNT", "h")
	step("[]", "PFCOUNT", "h")
	step("[]", "PFCOUNT", "h", "h")
	step("pfadd [[PFMERGE h]]", "PFMERGE", "h")
	step("[[PFDEBUG TODENSE h]]", "PFDEBUG", "TODENSE", "h")
	step("[]", "PFDEBUG", "TODENSE", "h")
	step("pfadd [[PFADD h c]]", "PFADD", "h", "c")
	step("[]", "PFADD", "h", "a", "c")
}

// A dense HyperLogLog is edited where it lies.
func TestDenseHLLIsEditedInPlace(t *testing.T) {
	b := newStand(t)
	for _, words := range [][]string{{"PFADD", "h", "a"}, {"PFDEBUG", "TODENSE", "h"}, {"PFADD", "h", "b"}} {
		_, err := b.run(1, words...)
		require.NoError(t, err)
	}
	before := allocated()
	for i := range 200 {
		_, err := b.run(1, "PFADD", "h", strconv.Itoa(i))
		require.NoError(t, err)
	}
	require.Less(t, allocated()-before, uint64(200*4096))
}
