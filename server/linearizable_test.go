package server_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/internal/testserver"
	"github.com/ferricd/ferricd/internal/transcript"
)

// The histories below are checked by Porcupine, which knows nothing of latches:
// is there an order of the calls, each at some instant between its request and
// its reply, in which one after the other they would have given these replies?

// input is a command with its key first, output its reply as redis-cli prints it.
type input struct{ argv []string }

// keyState is a string key: its value, or none.
type keyState struct {
	set   bool
	value string
}

func stepString(state, in, out any) (bool, any) {
	s, argv, reply := state.(keyState), in.(input).argv, out.(string)
	bulk := func() string {
		if !s.set {
			return "(nil)"
		}
		return strconv.Quote(s.value)
	}
	switch argv[0] {
	case "GET":
		return reply == bulk(), s
	case "SET":
		return reply == "OK", keyState{true, argv[2]}
	case "GETSET":
		return reply == bulk(), keyState{true, argv[2]}
	case "DEL", "GETDEL":
		if argv[0] == "GETDEL" {
			return reply == bulk(), keyState{}
		}
		return reply == fmt.Sprintf("(integer) %d", map[bool]int{true: 1}[s.set]), keyState{}
	case "APPEND":
		v := s.value + argv[2]
		return reply == fmt.Sprintf("(integer) %d", len(v)), keyState{true, v}
	case "EXPIRE", "PERSIST": // far away: it changes nothing that is looked at
		return true, s
	case "INCR":
		if !s.set {
			return reply == "(integer) 1", keyState{true, "1"}
		}
		n, err := strconv.ParseInt(s.value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != s.value {
			return strings.HasPrefix(reply, "(error) ERR value is not an integer"), s
		}
		return reply == fmt.Sprintf("(integer) %d", n+1), keyState{true, strconv.FormatInt(n+1, 10)}
	}
	return false, s
}

var stringModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(input).argv[1]
			byKey[k] = append(byKey[k], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range byKey {
			out = append(out, ops)
		}
		return out
	},
	Init: func() any { return keyState{} },
	Step: stepString,
}

// listState is two lists between which elements move.
type listState struct{ a, b string } // elements, each followed by a comma

func stepLists(state, in, out any) (bool, any) {
	s, argv, reply := state.(listState), in.(input).argv, out.(string)
	get := func(name string) []string {
		text := s.a
		if name == "b" {
			text = s.b
		}
		return slices.DeleteFunc(strings.Split(text, ","), func(e string) bool { return e == "" })
	}
	put := func(name string, list []string) {
		text := ""
		for _, e := range list {
			text += e + ","
		}
		if name == "b" {
			s.b = text
		} else {
			s.a = text
		}
	}
	list := get(argv[1])
	switch argv[0] {
	case "RPUSH":
		list = append(list, argv[2])
		put(argv[1], list)
		return reply == fmt.Sprintf("(integer) %d", len(list)), s
	case "LPOP":
		if len(list) == 0 {
			return reply == "(nil)", s
		}
		put(argv[1], list[1:])
		return reply == strconv.Quote(list[0]), s
	case "LLEN":
		return reply == fmt.Sprintf("(integer) %d", len(list)), s
	case "LMOVE":
		if len(list) == 0 {
			return reply == "(nil)", s
		}
		e := list[0]
		put(argv[1], list[1:])
		put(argv[2], append(get(argv[2]), e))
		return reply == strconv.Quote(e), s
	}
	return false, s
}

var listModel = porcupine.Model{
	Init: func() any { return listState{} },
	Step: stepLists,
}

// record lets clients send random commands at once, each up to most times in one
// piece, and returns what happened.
func record(t *testing.T, args []string, clients, each, most int, next func(*rand.Rand) []string) []porcupine.Operation {
	s := testserver.Start(t, args...)
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for id := range clients {
		conn := testserver.Dial(t, s)
		c := transcript.NewClient(conn, 10*time.Second)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(id), 7))
			for range each {
				argv, n := next(rng), 1+rng.IntN(most)
				call := time.Since(start).Nanoseconds()
				_, err := io.WriteString(conn, strings.Repeat(strings.Join(argv, " ")+"\r\n", n))
				for ; n > 0; n-- {
					var reply transcript.Value
					if err == nil {
						reply, err = c.Receive(false)
					}
					if err != nil {
						t.Errorf("%q: %v", argv, err)
						return
					}
					done := time.Since(start).Nanoseconds()
					mu.Lock()
					history = append(history, porcupine.Operation{
						ClientId: id, Input: input{argv}, Call: call, Output: reply.String(), Return: done,
					})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return history
}

var modes = []struct {
	name string
	args []string
}{
	{"slots collide", []string{"--shards", "1", "--latch-slots", "1"}},
	{"always in line", []string{"--rmw-always-queue", "yes"}},
	{"both", []string{"--shards", "1", "--latch-slots", "1", "--rmw-always-queue", "yes"}},
	{"neither", nil},
}

func TestStringsAreLinearizable(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			history := record(t, mode.args, 8, 100, 3, func(r *rand.Rand) []string {
				key := fmt.Sprint("k", r.IntN(3))
				switch r.IntN(11) {
				case 0, 1:
					return []string{"GET", key}
				case 2:
					return []string{"SET", key, fmt.Sprint(r.IntN(1000))}
				case 3:
					return []string{"GETSET", key, fmt.Sprint(r.IntN(1000))}
				case 4:
					return []string{"DEL", key}
				case 5:
					return []string{"GETDEL", key}
				case 6:
					return []string{"APPEND", key, fmt.Sprint(r.IntN(10))}
				case 7:
					return []string{"EXPIRE", key, "1000"}
				default:
					return []string{"INCR", key}
				}
			})
			require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(stringModel, history, time.Minute))
		})
	}
}

// Two lists are one object to the checker, whose search is exponential in the
// calls that overlap: many short histories say more than a long one.
func TestListsAreLinearizableAcrossKeys(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			var unique atomic.Int64 // elements that differ make the search short
			for range 12 {
				history := record(t, mode.args, 4, 25, 1, func(r *rand.Rand) []string {
					from, to := "a", "b"
					if r.IntN(2) == 0 {
						from, to = to, from
					}
					switch r.IntN(5) {
					case 0, 1:
						return []string{"RPUSH", from, fmt.Sprint(unique.Add(1))}
					case 2:
						return []string{"LPOP", from}
					case 3:
						return []string{"LLEN", from}
					default:
						return []string{"LMOVE", from, to, "LEFT", "RIGHT"}
					}
				})
				require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(listModel, history, time.Minute))
			}
		})
	}
}

// The checker itself must be able to say no.
func TestALostUpdateIsFound(t *testing.T) {
	incr := input{[]string{"INCR", "k"}}
	history := []porcupine.Operation{
		{ClientId: 0, Input: incr, Call: 0, Output: "(integer) 1", Return: 10},
		{ClientId: 1, Input: incr, Call: 0, Output: "(integer) 1", Return: 10},
	}
	require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(stringModel, history, time.Minute))
}
