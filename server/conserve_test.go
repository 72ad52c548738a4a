package server

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// crowd lets clients call at random, each as often as is said, while look is
// called over and over.
func crowd(t *testing.T, s *Server, clients, each int, call func(r *rand.Rand) []string, look func()) {
	t.Helper()
	var wg sync.WaitGroup
	for id := range clients {
		c := dial(t, s)
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(id), 2))
			for range each {
				if _, err := c.Do(call(r)...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for {
		look()
		select {
		case <-done:
			look()
			return
		default:
		}
	}
}

// Members move between sets of several shards. Each is always in exactly one.
func TestSetsConserveTheirMembers(t *testing.T) {
	const sets, members = 5, 600
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		c := dial(t, s)
		for m := range members {
			do(t, c, "SADD", fmt.Sprint("set", m%sets), fmt.Sprint("m", m))
		}
		union, sizes := []string{"SUNIONSTORE", "all"}, [][]string{{"MULTI"}}
		for i := range sets {
			union = append(union, fmt.Sprint("set", i))
			sizes = append(sizes, []string{"SCARD", fmt.Sprint("set", i)})
		}
		call := func(r *rand.Rand) []string {
			return []string{"SMOVE", fmt.Sprint("set", r.IntN(sets)), fmt.Sprint("set", r.IntN(sets)), fmt.Sprint("m", r.IntN(members))}
		}
		crowd(t, s, 4, 600, call, func() {
			require.Equal(t, fmt.Sprintf("(integer) %d", members), do(t, c, union...))
			for _, argv := range sizes {
				do(t, c, argv...)
			}
			v, err := c.Do("EXEC")
			require.NoError(t, err)
			sum := 0
			for _, e := range v.Elems {
				n, err := strconv.Atoi(e.Str)
				require.NoError(t, err)
				sum += n
			}
			require.Equal(t, members, sum)
		})
		atRest(t, s)
	}
}

// Points pass from one sorted set to another, of another shard. Their union, stored
// at a third, always has all of them.
func TestUnionsSeeOneMoment(t *testing.T) {
	const sets, points = 4, 1000
	for _, args := range [][]string{nil, collisions, {"--rmw-always-queue", "yes"}} {
		s := open(t, Options{}, args...)
		c := dial(t, s)
		union := []string{"ZUNIONSTORE", "sum", strconv.Itoa(sets)}
		for i := range sets {
			zadd := []string{"ZADD", fmt.Sprint("zset", i), strconv.Itoa(points / sets), "player"}
			for m := range 200 { // so that it takes a while
				zadd = append(zadd, "1", fmt.Sprint("other", m))
			}
			do(t, c, zadd...)
			union = append(union, fmt.Sprint("zset", i))
		}
		var wg sync.WaitGroup
		for id := range 3 {
			payer := dial(t, s)
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(id), 3))
				for range 100 {
					n := strconv.Itoa(1 + r.IntN(50))
					do(t, payer, "MULTI")
					do(t, payer, "ZINCRBY", fmt.Sprint("zset", r.IntN(sets)), "-"+n, "player")
					do(t, payer, "ZINCRBY", fmt.Sprint("zset", r.IntN(sets)), n, "player")
					do(t, payer, "EXEC")
				}
			})
		}
		noise := func(r *rand.Rand) []string { // others store there, too
			return append([]string{"ZINTERSTORE", "sum"}, union[2:]...)
		}
		crowd(t, s, 2, 80, noise, func() {
			require.Equal(t, "(integer) 201", do(t, c, union...))
			require.Equal(t, strconv.Quote(strconv.Itoa(points)), do(t, c, "ZSCORE", "sum", "player"))
		})
		wg.Wait()
		atRest(t, s)
	}
}
