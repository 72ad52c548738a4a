package bench

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/invariants"
)

// A figure of a system that loses updates means nothing: each is tried with
// every command before anybody measures it.
func TestSystemsLoseNothing(t *testing.T) {
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			for _, n := range []int{2, 8} { // keys; LMOVE needs pairs
				loseNothing(t, sys.open(), names(n))
			}
		})
	}
}

const (
	smokeClients = 8
	smokeCalls   = 400 // of each command, per client
)

func loseNothing(t *testing.T, s system, all [][]byte) {
	defer s.stop()
	// One key is for numbers, one for strings ..., so commands may mix.
	key := func(op string, i int) []byte { return append([]byte(op), all[i]...) }
	c := s.client()
	ask := func(c client, words ...string) string {
		reply, err := c.do(argv(words))
		require.NoError(t, err, "%q", words)
		return text(reply)
	}
	for i := range all {
		ask(c, "RPUSH", string(key("m", i)), "a", "b", "c")
	}
	seen := make([][]string, smokeClients)
	var clients sync.WaitGroup
	for g := range smokeClients {
		clients.Go(func() {
			c := s.client()
			defer c.close()
			for i := range smokeCalls {
				k := i % len(all)
				for _, args := range [][][]byte{
					argv([]string{"INCR"}, key("n", k)),
					argv([]string{"APPEND", "xy"}, key("s", k)),
					argv([]string{"LPUSH", "x"}, key("l", k)),
					argv([]string{"LMOVE", "LEFT", "RIGHT"}, key("m", k), key("m", (k+g)%len(all))),
					argv([]string{"GETSET", fmt.Sprint(g, "-", i)}, key("g", k)),
				} {
					reply, err := c.do(args)
					if err != nil {
						t.Errorf("%q: %v", args, err)
						return
					}
					if string(args[0]) == "GETSET" {
						seen[g] = append(seen[g], text(reply))
					}
				}
				if i%batch == 0 {
					c.breathe()
				}
			}
		})
	}
	clients.Wait()
	sums := map[string]int{}
	got := map[string]bool{}
	for i := range all {
		for op, question := range map[string]string{"n": "GET", "s": "STRLEN", "l": "LLEN", "m": "LLEN"} {
			n, err := strconv.Atoi(ask(c, question, string(key(op, i))))
			require.NoError(t, err)
			sums[op] += n
		}
		got[ask(c, "GET", string(key("g", i)))] = true
	}
	c.close()
	total := smokeClients * smokeCalls
	require.Equal(t, map[string]int{"n": total, "s": 2 * total, "l": total, "m": 3 * len(all)}, sums)
	// Every value that was set is given back once, or still there.
	first := 0
	for _, values := range seen {
		for _, v := range values {
			if v == "-1" { // the null of a key that was not there
				first++
				continue
			}
			require.False(t, got[v], "%s was given back twice", v)
			got[v] = true
		}
	}
	require.Equal(t, len(all), first)
	require.Len(t, got, total)
}

// The benchmarks allocate nothing that the system does not: else allocs/op would
// tell of the bench.
func TestClientsAllocateNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the checks allocate")
	}
	op := &operations[0]
	all := names(keys)
	for _, sys := range systems {
		if sys.name == "router" || sys.name == "map" { // see doc.go
			continue
		}
		s := sys.open()
		require.NoError(t, fill(s, op, all))
		c, src := s.client(), newSource(op, all, order("zipf"), 0)
		for range 1 << 16 { // every number has left the small integers' replies and blocks by now
			_, err := c.do(src.next())
			require.NoError(t, err)
		}
		require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = c.do(src.next()) }), 0.1, sys.name)
		c.close()
		s.stop()
	}
}
