package server_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// anyBits is a random command on bitmaps and HyperLogLogs, or a SORT: part of
// anything.
func anyBits(r *rand.Rand) []string {
	key := func() string { return fmt.Sprint("s", r.IntN(6)) }
	hll := func() string { return fmt.Sprint("h", r.IntN(3)) }
	list := func() string { return fmt.Sprint("l", r.IntN(4)) }
	num := func() string { return fmt.Sprint(r.IntN(100)) }
	switch r.IntN(12) {
	case 0, 1:
		return []string{"SETBIT", key(), fmt.Sprint(r.IntN(6000)), fmt.Sprint(r.IntN(2))}
	case 2:
		return []string{"BITOP", []string{"AND", "OR", "XOR", "ONE"}[r.IntN(4)], key(), key(), key()}
	case 3:
		return []string{"BITFIELD", key(), "INCRBY", "u5", num(), num(), "OVERFLOW", "FAIL", "SET", "i7", "#" + num(), num(), "GET", "u8", "0"}
	case 4, 5:
		return []string{"PFADD", hll(), num(), num(), num()}
	case 6:
		return []string{"PFCOUNT", hll()}
	case 7:
		return []string{"PFMERGE", hll(), hll(), hll()}
	case 8:
		return []string{"PFDEBUG", "TODENSE", hll()}
	case 9:
		return []string{"SORT", list(), "ALPHA", "DESC", "STORE", list()}
	case 10:
		return []string{"SORT", list(), "BY", "s*", "ALPHA", "LIMIT", "0", "8", "GET", "s*", "GET", "#", "STORE", list()}
	}
	return []string{"DEL", hll()}
}

// A SORT that reads keys nobody has named sees all of them at one moment.
func TestSortSeesOneMoment(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			s := testserver.Start(t, mode.args...)
			const keys, sum = 8, 8000
			c := transcript.NewClient(testserver.Dial(t, s), time.Minute)
			do := func(args ...string) transcript.Value {
				v, err := c.Do(args...)
				require.NoError(t, err)
				require.False(t, v.IsError(), "%q: %s", args, v)
				return v
			}
			for i := range keys {
				do("RPUSH", "l", strconv.Itoa(i))
				do("SET", fmt.Sprint("n", i), strconv.Itoa(sum/keys))
			}
			var stop atomic.Bool
			var moved atomic.Int64
			var wg sync.WaitGroup
			for id := range 3 {
				w := transcript.NewClient(testserver.Dial(t, s), time.Minute)
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(id), 5))
					for !stop.Load() {
						from, to := fmt.Sprint("n", r.IntN(keys)), fmt.Sprint("n", r.IntN(keys))
						for _, call := range [][]string{{"MULTI"}, {"DECR", from}, {"INCR", to}, {"EXEC"}} {
							if v, err := w.Do(call...); !assert.NoError(t, err) || !assert.False(t, v.IsError(), v) {
								return
							}
						}
						moved.Add(1)
					}
				})
			}
			for n := 0; n < 200 || moved.Load() < 100; n++ {
				var got []transcript.Value
				if n%2 == 0 {
					got = do("SORT", "l", "BY", "n*", "GET", "n*").Elems
				} else {
					do("SORT", "l", "BY", "nosort", "GET", "n*", "STORE", "d")
					got = do("LRANGE", "d", "0", "-1").Elems
				}
				total := 0
				for _, e := range got {
					v, err := strconv.Atoi(e.Str)
					require.NoError(t, err)
					total += v
				}
				require.Equal(t, sum, total)
			}
			stop.Store(true)
			wg.Wait()
		})
	}
}
