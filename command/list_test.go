package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferricd/ferricd/resp"
	"github.com/ferricd/ferricd/store"
)

// A bench runs handlers on a keyspace of its own, without router or server.
type bench struct {
	t  testing.TB
	ks *store.Keyspace
	tx store.Tx
	c  Context
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, ks: store.New(store.Options{})}
	b.c.Tx, b.c.Reply = &b.tx, new(resp.Writer)
	return b
}

// run runs a line as one call and returns what it tells: events, a colon, and
// what it logs; "-" if it changed nothing.
func (b *bench) run(mode store.Mode, line string) (string, error) {
	b.t.Helper()
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	spec := All().Lookup(args)
	require.NotNil(b.t, spec, line)
	var refs []store.Ref
	require.NoError(b.t, spec.EachKey(args, func(i int, _ Access) {
		refs = append(refs, store.Ref{Key: args[i], Hash: b.ks.Hash(0, args[i])})
	}))
	if spec.Refs != nil {
		spec.Refs(args, 0, func(db int, key []byte) {
			refs = append(refs, store.Ref{Key: key, DB: db, Hash: b.ks.Hash(db, key)})
		})
	}
	b.c.Begin(spec, args, 1, ^NotifyClass(0))
	b.tx.Begin(b.ks, mode, 0, 1, refs)
	defer b.tx.End()
	if err := spec.Run(&b.c); err != nil {
		b.tx.Undo()
		return "-", err
	}
	if !b.tx.Dirty() {
		return "-", nil
	}
	b.tx.Publish()
	return b.told(), nil
}

func (b *bench) told() string {
	var s strings.Builder
	for _, e := range b.c.Events() {
		fmt.Fprintf(&s, "%s %s, ", e.Name, e.Key)
	}
	s.WriteString(": ")
	records, own := b.c.Effects()
	if !own {
		records = [][][]byte{b.c.Args}
	}
	for _, r := range records {
		for _, a := range r {
			s.Write(a)
			s.WriteByte(' ')
		}
	}
	return strings.TrimSpace(strings.Replace(s.String(), ", :", ":", 1))
}

// Events are those of redis-server, in its order; what changes nothing is not
// logged, and everything else in a form that can be replayed.
func TestListEventsAndRecords(t *testing.T) {
	b := newBench(t)
	for _, step := range [][2]string{
		{"LPUSH l a b", "lpush l: LPUSH l a b"},
		{"RPUSH l c", "rpush l: RPUSH l c"},
		{"LPUSHX l d", "lpush l: LPUSHX l d"},
		{"RPUSHX l e f g h", "rpush l: RPUSHX l e f g h"},
		{"LPUSHX none d", "-"},
		{"RPUSHX none d", "-"},
		{"LPOP l", "lpop l: LPOP l"},
		{"RPOP l 2", "rpop l: RPOP l 2"},
		{"LPOP l 0", "-"},
		{"LPOP none", "-"},
		{"RPOP none 1", "-"},
		{"LLEN l", "-"},
		{"LINDEX l 0", "-"},
		{"LRANGE l 0 -1", "-"},
		{"LPOS l b", "-"},
		{"LSET l 0 z", "lset l: LSET l 0 z"},
		{"LINSERT l AFTER z y", "linsert l: LINSERT l AFTER z y"},
		{"LINSERT l AFTER none y", "-"},
		{"LINSERT none AFTER z y", "-"},
		{"LREM l 0 none", "-"},
		{"LREM none 0 z", "-"},
		{"LREM l 1 z", "lrem l: LREM l 1 z"},
		{"LTRIM l 0 -1", "ltrim l:"},
		{"LTRIM none 0 -1", "-"},
		{"LTRIM l 0 -2", "ltrim l: LTRIM l 0 -2"},
		{"LMOVE l m LEFT RIGHT", "rpush m, lpop l: LMOVE l m LEFT RIGHT"},
		{"LMOVE none m LEFT RIGHT", "-"},
		{"RPOPLPUSH m m", "lpush m, rpop m: RPOPLPUSH m m"},
		{"RPOPLPUSH m n", "lpush n, rpop m, del m: RPOPLPUSH m n"},
		{"LMPOP 2 none n LEFT COUNT 9", "lpop n, del n: LPOP n 1"},
		{"LMPOP 1 l RIGHT", "rpop l: RPOP l 1"},
		{"LMPOP 2 none other RIGHT", "-"},
		{"RPUSH t 1", "rpush t: RPUSH t 1"},
		{"LPOP t", "lpop t, del t: LPOP t"},
		{"RPUSH t 1", "rpush t: RPUSH t 1"},
		{"RPOP t 5", "rpop t, del t: RPOP t 5"},
		{"RPUSH t 1", "rpush t: RPUSH t 1"},
		{"LTRIM t 1 0", "ltrim t, del t: LTRIM t 1 0"},
		{"RPUSH t 1", "rpush t: RPUSH t 1"},
		{"LREM t 0 1", "lrem t, del t: LREM t 0 1"},
	} {
		told, err := b.run(store.Claimed, step[0])
		require.NoError(t, err, step[0])
		require.Equal(t, step[1], told, step[0])
	}
}

// A call with much to do does not keep the coordinator, and has changed nothing
// when it says so.
func TestListLongCallsLeaveTheLine(t *testing.T) {
	b := newBench(t)
	many := strings.Repeat(" x", 2*shortWork)
	_, err := b.run(store.InLine, "RPUSH l"+many)
	require.ErrorIs(t, err, store.ErrLocked)
	_, err = b.run(store.Claimed, "RPUSH l"+many)
	require.NoError(t, err)
	for _, pop := range []string{"LPOP", "RPOP"} {
		_, err = b.run(store.InLine, pop+" l 1000")
		require.ErrorIs(t, err, store.ErrLocked)
		told, err := b.run(store.InLine, pop+" l 10")
		require.NoError(t, err)
		require.NotEqual(t, "-", told)
	}
	l := b.list("l")
	require.Equal(t, 2*shortWork-20, l)
}

func (b *bench) list(key string) int {
	refs := []store.Ref{{Key: []byte(key), Hash: b.ks.Hash(0, []byte(key))}}
	b.tx.Begin(b.ks, store.Claimed, 0, 1, refs)
	defer b.tx.End()
	l, err := b.tx.List(refs[0].Key)
	require.NoError(b.t, err)
	return l.Len()
}

// Pushing to and popping from a list that exists costs no allocation.
func TestListCallsAllocateNothing(t *testing.T) {
	b := newBench(t)
	_, err := b.run(store.Claimed, "RPUSH l"+strings.Repeat(" element", 200))
	require.NoError(t, err)
	calls := []func(){
		b.prepared("LPUSH l an-element 12345"), b.prepared("LPOP l"), b.prepared("RPOP l 1"),
		b.prepared("LMOVE l l LEFT RIGHT"), b.prepared("LINDEX l 3"), b.prepared("LRANGE l 0 10"),
		b.prepared("LSET l 3 ELEMENT"), b.prepared("LPOS l ELEMENT"), b.prepared("LPOS l ELEMENT COUNT 0"),
	}
	require.Zero(t, testing.AllocsPerRun(200, func() {
		for _, call := range calls {
			call()
		}
	}))
}

// prepared is run without the words and without the tests.
func (b *bench) prepared(line string) func() {
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	spec := All().Lookup(args)
	var refs []store.Ref
	require.NoError(b.t, spec.EachKey(args, func(i int, _ Access) {
		refs = append(refs, store.Ref{Key: args[i], Hash: b.ks.Hash(0, args[i])})
	}))
	return func() {
		b.c.Reply.Reset(2)
		b.c.Begin(spec, args, 1, 0)
		b.tx.Begin(b.ks, store.Claimed, 0, 1, refs)
		if err := spec.Run(&b.c); err != nil {
			b.t.Fatal(err)
		}
		b.tx.Publish()
		b.tx.End()
	}
}
