package rmw

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/latch"
)

// §12.1, §12.7: recorded histories, checked per key by a checker that knows
// nothing of latches. A call that was withdrawn must fit as one that did nothing.

type regInput struct {
	key int
	op  string // incr, getset, get
	arg int
}

type regOutput struct {
	value int
	lost  bool
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			keys := map[int][]porcupine.Operation{}
			for _, op := range history {
				k := op.Input.(regInput).key
				keys[k] = append(keys[k], op)
			}
			var parts [][]porcupine.Operation
			for _, p := range keys {
				parts = append(parts, p)
			}
			return parts
		},
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			v, in, out := state.(int), input.(regInput), output.(regOutput)
			if out.lost {
				return true, v
			}
			switch in.op {
			case "incr":
				return out.value == v+1, v + 1
			case "getset":
				return out.value == v, in.arg
			default:
				return out.value == v, v
			}
		},
	}
}

func TestHistoriesAreLinearizable(t *testing.T) {
	for name, o := range map[string]Options{
		"as served":      {Shards: 2, Slots: 4},
		"colliding":      {Shards: 1, Slots: 1, Drain: 3},
		"always in line": {Shards: 2, Slots: 2, AlwaysQueue: true, Drain: 8},
	} {
		t.Run(name, func(t *testing.T) {
			h := recordHistory(t, startHooked(t, o, yields))
			require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(registerModel(), h, time.Minute))

			i := rand.IntN(len(h))
			for h[i].Output.(regOutput).lost || h[i].Input.(regInput).op == "get" {
				i = (i + 1) % len(h)
			}
			h[i].Output = regOutput{value: -1}
			require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(registerModel(), h, time.Minute), "the checker sees a wrong answer")
		})
	}
}

func recordHistory(t *testing.T, r *Runner) []porcupine.Operation {
	const clients, rounds, keys = 6, 300, 3
	var mu sync.Mutex
	var history []porcupine.Operation
	values := make([]int, keys)
	begin := time.Now()
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() {
			c := newClient(r)
			for range rounds {
				in := regInput{key: rand.IntN(keys), op: []string{"incr", "getset", "get"}[rand.IntN(3)], arg: rand.IntN(1000)}
				k := &Call{Latches: []latch.ID{r.table.ID(uint64(in.key)<<63 | uint64(in.key))}, Short: rand.IntN(2) == 0}
				if rand.IntN(4) == 0 {
					k.Wait = time.Duration(1 + rand.IntN(20_000))
				}
				var out regOutput
				k.Work = do(func() {
					v := values[in.key]
					yields("")
					switch out.value = v; in.op {
					case "incr":
						out.value = v + 1
						values[in.key] = v + 1
					case "getset":
						values[in.key] = in.arg
					}
				})
				call := time.Since(begin)
				switch err := c.run(k); err {
				case nil:
				case ErrBusy:
					out = regOutput{lost: true}
				default:
					t.Error(err)
				}
				ret := time.Since(begin)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: int64(call), Output: out, Return: int64(ret)})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}
