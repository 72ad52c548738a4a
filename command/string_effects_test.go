package command

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// A stand runs handlers on a keyspace of their own, one call at a time.
type stand struct {
	t   require.TestingT
	ks  *store.Keyspace
	tx  store.Tx
	out resp.Writer
	ctx Context
}

// standServer has settings and nothing else.
type standServer struct {
	Server
	cfg *config.Config
}

func (s standServer) Config() *config.Config { return s.cfg }

func newStand(t require.TestingT) *stand {
	b := &stand{t: t, ks: store.New(store.Options{Shards: 1})}
	b.ctx = Context{Tx: &b.tx, Reply: &b.out, Server: standServer{cfg: config.New()}}
	return b
}

// run runs a call at a time and returns what the log is told of it; the events
// are in ctx.
func (b *stand) run(now int64, words ...string) (records [][]string, err error) {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	spec := All().Lookup(args)
	require.NotNil(b.t, spec, words[0])
	require.True(b.t, spec.ArityOK(len(args)), "%q", words)
	var refs []store.Ref
	_ = spec.EachKey(args, func(i int, _ Access) {
		refs = append(refs, store.Ref{Key: args[i], Hash: b.ks.Hash(0, args[i])})
	})
	b.out.Reset(2)
	b.ctx.Begin(spec, args, now, NotifyGeneric|NotifyString)
	mode := store.Claimed
	if spec.Gate != nil && spec.Gate(args) {
		mode = store.Alone
	}
	b.tx.Begin(b.ks, mode, 0, now, refs)
	defer b.tx.End()
	if err := spec.Run(&b.ctx); err != nil {
		require.False(b.t, b.tx.Changes(), "%q changed something and failed: %v", words, err)
		return nil, err
	}
	effects, own := b.ctx.Effects()
	if !b.tx.Changes() {
		require.Empty(b.t, effects, "%q", words)
		require.Empty(b.t, b.ctx.Events(), "%q", words)
		b.tx.Publish()
		return nil, nil
	}
	if !own {
		effects = [][][]byte{args}
	}
	for _, argv := range effects {
		var words []string
		for _, w := range argv {
			words = append(words, string(w))
		}
		records = append(records, words)
	}
	b.tx.Publish()
	return records, nil
}

func (b *stand) events() (names []string) {
	for _, e := range b.ctx.Events() {
		names = append(names, e.Name+" "+string(e.Key))
	}
	return names
}

// What the log and subscribers are told of a call: the call before it, the call,
// its records and its events.
func TestStringEffects(t *testing.T) {
	const now = 1_700_000_000_000
	in := func(d time.Duration) string { return strconv.FormatInt(now+d.Milliseconds(), 10) }
	for _, c := range []struct{ before, call, records, events string }{
		{"", "set k v", "set k v", "set k"},
		{"", "SET k v EX 100", "SET k v PXAT " + in(100*time.Second), "set k, expire k"},
		{"", "SET k v PX 100 NX GET", "SET k v PXAT " + in(100*time.Millisecond), "set k, expire k"},
		{"", "SET k v EXAT 33177117420", "SET k v PXAT 33177117420000", "set k, expire k"},
		{"SET k a EX 9", "SET k v KEEPTTL XX", "SET k v KEEPTTL", "set k"},
		{"SET k a", "SET k v IFEQ a GET", "SET k v", "set k"},
		{"SET k a", "SET k v IFEQ b", "", ""},
		{"SET k a", "SET k v NX EX 100", "", ""},
		{"", "SET k v XX", "", ""},
		{"", "SETNX k v", "SETNX k v", "set k"},
		{"SET k a", "SETNX k v", "", ""},
		{"", "SETEX k 100 v", "SET k v PXAT " + in(100*time.Second), "set k, expire k"},
		{"", "PSETEX k 100 v", "SET k v PXAT " + in(100*time.Millisecond), "set k, expire k"},
		{"SET k a EX 9", "GETSET k v", "GETSET k v", "set k"},
		{"SET k a", "GETDEL k", "DEL k", "del k"},
		{"", "GETDEL k", "", ""},
		{"SET k a", "GETEX k", "", ""},
		{"SET k a", "GETEX k EX 100", "PEXPIREAT k " + in(100*time.Second), "expire k"},
		{"SET k a EX 9", "GETEX k PERSIST", "PERSIST k", "persist k"},
		{"SET k a", "GETEX k PERSIST", "", ""},
		{"SET k a", "GETEX k PXAT 1", "DEL k", "del k"},
		{"", "MSET a 1 b 2", "MSET a 1 b 2", "set a, set b"},
		{"", "MSETNX a 1 b 2", "MSETNX a 1 b 2", "set a, set b"},
		{"SET b 1", "MSETNX a 1 b 2", "", ""},
		{"", "MSETEX 2 a 1 b 2 NX", "MSETEX 2 a 1 b 2 NX", "set a, set b"},
		{"", "MSETEX 2 a 1 b 2 EX 100 NX", "MSETEX 2 a 1 b 2 PXAT " + in(100*time.Second), "set a, expire a, set b, expire b"},
		{"", "MSETEX 1 a 1 XX EX 100", "", ""},
		{"", "APPEND k v", "APPEND k v", "append k"},
		{"", "SETRANGE k 2 v", "SETRANGE k 2 v", "setrange k"},
		{"", "SETRANGE k 2 ", "", ""},
		{"", "INCR k", "INCR k", "incrby k"},
		{"", "DECRBY k 5", "DECRBY k 5", "incrby k"},
		{"SET k 1 EX 9", "INCRBYFLOAT k 0.5", "SET k 1.5 KEEPTTL", "incrbyfloat k"},
		{"SET k a", "DELEX k IFEQ a", "DEL k", "del k"},
		{"SET k a", "DELEX k IFEQ b", "", ""},
		{"SET k a", "DELIFEQ k a", "DEL k", "del k"},
		{"", "INCREX k", "SET k 1 KEEPTTL", "incrby k"},
		{"", "INCREX k BYFLOAT 1.5", "SET k 1.5 KEEPTTL", "incrbyfloat k"},
		{"SET k 5", "INCREX k BYINT 5 UBOUND 7", "", ""},
		{"SET k 5", "INCREX k BYINT 5 UBOUND 7 SATURATE PX 9", "SET k 7 PXAT " + in(9*time.Millisecond), "incrby k, expire k"},
		{"SET k 5 EX 9", "INCREX k EX 100 ENX", "SET k 6 KEEPTTL", "incrby k"},
		{"SET k 5 EX 9", "INCREX k PERSIST", "SET k 6", "incrby k, persist k"},
		{"SET k 5", "INCREX k PERSIST", "SET k 6", "incrby k"},
		{"SET k 5", "INCREX k EXAT 1", "DEL k", "del k"},
		{"", "INCREX k EXAT 1", "", ""},
	} {
		t.Run(c.before+"; "+c.call, func(t *testing.T) {
			b := newStand(t)
			if c.before != "" {
				_, err := b.run(now, strings.Split(c.before, " ")...)
				require.NoError(t, err)
			}
			records, err := b.run(now, strings.Split(c.call, " ")...)
			require.NoError(t, err)
			var lines []string
			for _, words := range records {
				lines = append(lines, strings.Join(words, " "))
			}
			assert.Equal(t, c.records, strings.Join(lines, ", "))
			assert.Equal(t, c.events, strings.Join(b.events(), ", "))
		})
	}
}

// Whatever is called, the records make the same data when they are replayed a
// day later, and a call that fails or says it did nothing has changed nothing.
func TestStringEffectsReplay(t *testing.T) {
	const now, day = 1_700_000_000_000, 86_400_000
	key := rapid.SampledFrom([]string{"a", "b"})
	value := rapid.SampledFrom([]string{"", "1", "2", "-3", "1.5", "x", "9223372036854775807", strings.Repeat("long", 200)})
	number := rapid.SampledFrom([]string{"1", "-1", "2", "3", "9223372036854775807", "0", "600"})
	float := rapid.SampledFrom([]string{"0.1", "-2.5", "1e20", "inf"})
	expiry := rapid.SampledFrom([]string{"", "", "EX 1000000", "PX 1000000000", "EXAT 4000000000", "PXAT 4000000000123"})
	call := rapid.Custom(func(t *rapid.T) (words []string) {
		template := rapid.SampledFrom([]string{
			"SET K V", "SET K V E", "SET K V KEEPTTL GET", "SET K V NX E", "SET K V XX E", "SET K V IFEQ V E", "SET K V IFNE V E",
			"SETNX K V", "SETEX K 1000000 V", "PSETEX K 1000000000 V", "GETSET K V", "GETDEL K", "GETEX K E", "GETEX K PERSIST",
			"MSET K V K V", "MSETNX K V K V", "MSETEX 2 K V K V E", "MSETEX 2 K V K V NX E", "MSETEX 1 K V XX KEEPTTL",
			"APPEND K V", "SETRANGE K N V", "INCR K", "DECR K", "INCRBY K N", "DECRBY K N", "INCRBYFLOAT K F",
			"DELEX K IFEQ V", "DELEX K IFNE V", "DELEX K", "DELIFEQ K V",
			"INCREX K BYINT N E", "INCREX K LBOUND N SATURATE PERSIST", "INCREX K BYFLOAT F UBOUND N", "INCREX K EX 1000000 ENX",
		}).Draw(t, "template")
		for _, w := range strings.Split(template, " ") {
			switch w {
			case "K":
				w = key.Draw(t, "key")
			case "V":
				w = value.Draw(t, "value")
			case "N":
				w = number.Draw(t, "number")
			case "F":
				w = float.Draw(t, "float")
			case "E":
				words = append(words, strings.Fields(expiry.Draw(t, "expiry"))...)
				continue
			}
			words = append(words, w)
		}
		return words
	})
	rapid.Check(t, func(t *rapid.T) {
		primary, replica := newStand(t), newStand(t)
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			records, _ := primary.run(now, call.Draw(t, "call")...)
			for _, words := range records {
				_, err := replica.run(now+day, words...)
				require.NoError(t, err, "replaying %q", words)
			}
		}
		for _, k := range []string{"a", "b"} {
			for _, probe := range []string{"GET", "PEXPIRETIME"} {
				_, _ = primary.run(now, probe, k)
				_, _ = replica.run(now+day, probe, k)
				require.Equal(t, string(primary.out.Bytes()), string(replica.out.Bytes()), "%s %s", probe, k)
			}
		}
	})
}

// What is called millions of times allocates nothing but what it stores.
func TestStringAllocations(t *testing.T) {
	const now = 1_700_000_000_000
	b := newStand(t)
	for _, c := range []struct {
		call  string
		limit float64
	}{
		{"GET k", 0},
		{"INCR n", 0},
		{"INCREX n UBOUND 1000000 EX 60 ENX", 0},
		{"SET k v", 1},
		{"SET k v EX 100", 1},
		{"SET k v IFEQ v", 1},
		{"GETEX k EX 100", 0},
	} {
		_, err := b.run(now, "SET", "n", "5", "EX", "50")
		require.NoError(t, err)
		_, err = b.run(now, "SET", "k", "v", "EX", "50")
		require.NoError(t, err)
		var args [][]byte
		for _, w := range strings.Split(c.call, " ") {
			args = append(args, []byte(w))
		}
		spec := All().Lookup(args)
		refs := []store.Ref{{Key: args[1], Hash: b.ks.Hash(0, args[1])}}
		got := testing.AllocsPerRun(100, func() {
			b.out.Reset(2)
			b.ctx.Begin(spec, args, now, 0)
			b.tx.Begin(b.ks, store.Claimed, 0, now, refs)
			if err := spec.Run(&b.ctx); err != nil {
				t.Fatal(err)
			}
			b.tx.Publish()
			b.tx.End()
		})
		assert.LessOrEqual(t, got, c.limit, c.call)
	}
}
