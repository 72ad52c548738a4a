package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"time"

	"github.com/ferricd/ferricd/command"
	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

const (
	shards = 64
	keys   = 10000
	trim   = 64 // calls after which a string or list is cut back
	batch  = 16 // calls between two breaths
)

// An operation is a command that clients repeat.
type operation struct {
	name   string
	before []string // run once per key before the clients start; the key follows the first word
	calls  [][]string
	cut    []string // instead of every trim-th call
	pair   bool     // names the key's neighbour too
}

var operations = []operation{
	{name: "INCR", calls: [][]string{{"INCR"}}},
	{name: "APPEND", calls: [][]string{{"APPEND", "12345678"}}, cut: []string{"SET", ""}},
	{name: "GETSET", calls: [][]string{{"GETSET", "12345678"}}},
	{name: "LPUSH", calls: [][]string{{"LPUSH", "12345678"}}, cut: []string{"LTRIM", "0", "31"}},
	{
		name: "LMOVE", pair: true,
		before: []string{"RPUSH", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"},
		calls:  [][]string{{"LMOVE", "LEFT", "RIGHT"}},
	},
}

// argv makes the arguments of one call; the key, or both, follow the first word.
func argv(words []string, keys ...[]byte) [][]byte {
	args := [][]byte{[]byte(words[0])}
	args = append(args, keys...)
	for _, w := range words[1:] {
		args = append(args, []byte(w))
	}
	return args
}

// A source is what one client sends: it allocates nothing once made.
type source struct {
	op    *operation
	names [][]byte
	order []int32 // numbers of keys, again and again
	at, n int
	calls [][][]byte
	cut   [][]byte
}

func newSource(op *operation, names [][]byte, order []int32, client int) *source {
	s := &source{op: op, names: names, order: order, at: client * 7919, n: client}
	for _, c := range op.calls {
		s.calls = append(s.calls, argv(c, s.keysOf(0)...))
	}
	if op.cut != nil {
		s.cut = argv(op.cut, s.keysOf(0)...)
	}
	return s
}

func (s *source) keysOf(i int32) [][]byte {
	if s.op.pair {
		return [][]byte{s.names[i], s.names[i^1]}
	}
	return [][]byte{s.names[i]}
}

// next returns the arguments of the next call, valid until the one after.
func (s *source) next() [][]byte {
	key := s.order[s.at%len(s.order)]
	s.at++
	s.n++
	args := s.calls[s.n%len(s.calls)]
	if s.cut != nil && s.n%trim == 0 {
		args = s.cut
	}
	args[1] = s.names[key]
	if s.op.pair { // now this way, now that, so that neither runs empty
		args[1], args[2] = s.names[key&^1], s.names[key|1]
		if s.n&1 == 0 {
			args[1], args[2] = args[2], args[1]
		}
	}
	return args
}

func names(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "key:%06d", i)
	}
	return out
}

// order is a sequence of key numbers.
func order(kind string) []int32 {
	r := rand.New(rand.NewSource(1))
	zipf := rand.NewZipf(r, 1.1, 1, keys-1)
	out := make([]int32, 1<<16)
	for i := range out {
		switch kind {
		case "zipf":
			out[i] = int32(zipf.Uint64())
		case "uniform":
			out[i] = r.Int31n(keys)
		}
	}
	return out
}

// A worker is one client's side of a call: it looks up the command, finds the
// keys, and runs the handler on the store when somebody else has seen to it that
// it is alone with them. It does what package router does, save for counting,
// logging, and the gate.
type worker struct {
	ks    *store.Keyspace
	ctx   command.Context
	tx    store.Tx
	reply resp.Writer
	refs  []store.Ref
	add   func(int, command.Access)
	spec  *command.Spec
	args  [][]byte
	err   error
}

func newWorker(ks *store.Keyspace) *worker {
	w := &worker{ks: ks}
	w.ctx = command.Context{Tx: &w.tx, Reply: &w.reply, Client: command.NewClient(1, nil), Server: host}
	w.add = func(i int, _ command.Access) { w.ref(w.args[i]) }
	w.tick()
	return w
}

// tick reads the clock, as is done once per batch.
func (w *worker) tick() { w.ctx.Now = time.Now().UnixMilli() }

func (w *worker) ref(key []byte) {
	w.refs = append(w.refs, store.Ref{Key: key, Hash: w.ks.Hash(0, key)})
}

var errUnknown = errors.New("no such command, or not so many arguments")

// prepare finds the command and its keys.
func (w *worker) prepare(args [][]byte) error {
	w.spec, w.args, w.refs = command.All().Find(args[0]), args, w.refs[:0]
	if w.spec == nil || !w.spec.ArityOK(len(args)) {
		return errUnknown
	}
	if p := w.spec.KeyPos(); p > 0 {
		w.ref(args[p])
		return nil
	}
	return w.spec.EachKey(args, w.add)
}

// run is the call itself. It returns false, having changed nothing, if it met an
// object that a reader holds and mode says that it must not wait.
func (w *worker) run(mode store.Mode) bool {
	w.reply.Reset(2)
	w.ctx.Begin(w.spec, w.args, w.ctx.Now, 0)
	w.tx.Begin(w.ks, mode, 0, w.ctx.Now, w.refs)
	defer w.tx.End()
	if w.err = w.spec.Run(&w.ctx); w.err != nil {
		w.tx.Undo()
		return mode != store.InLine || !errors.Is(w.err, store.ErrLocked)
	}
	w.tx.Publish()
	return true
}

// text is the reply of a call as inline text: what follows the type byte, or the
// bulk string.
func text(reply []byte) string {
	lines := bytes.Split(bytes.TrimSuffix(reply, []byte("\r\n")), []byte("\r\n"))
	if lines[0][0] == '$' && len(lines) > 1 {
		return string(lines[1])
	}
	return string(lines[0][1:])
}
