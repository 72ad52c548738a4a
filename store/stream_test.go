package store

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type modelEntry struct {
	id     StreamID
	fields []string
}

func entriesOf(s *Stream, from, to StreamID, back bool) (all []modelEntry) {
	walk := s.Each
	if back {
		walk = s.EachBack
	}
	walk(from, to, func(e *StreamEntry) bool {
		m := modelEntry{id: e.ID}
		e.Each(func(f, v Elem) { m.fields = append(m.fields, f.String(), v.String()) })
		all = append(all, m)
		return true
	})
	return all
}

// weigh counts the memory of a stream anew.
func weigh(s *Stream) int64 {
	n := streamOverhead
	size := func(blocks, room int) { n += sizeClass(blocks * room) }
	size(cap(s.nodes.blocks), 24)
	for _, items := range s.nodes.blocks {
		size(cap(items), 8)
		for _, nd := range items {
			n += nd.bytes()
		}
	}
	for _, g := range s.groups {
		n += groupOverhead + int64(len(g.name))
		size(cap(g.pending.blocks), 24)
		for _, items := range g.pending.blocks {
			size(cap(items), 40)
		}
		for _, c := range g.consumers {
			n += consumerOverhead + int64(len(c.name))
			size(cap(c.pending.blocks), 24)
			for _, items := range c.pending.blocks {
				size(cap(items), 16)
			}
		}
	}
	return n
}

var fieldText = rapid.OneOf(
	rapid.SampledFrom([]string{"", "0", "7", "-1", "007", "127", "128", "-4097", "a", "temperature", "9223372036854775807", "9223372036854775808"}),
	rapid.StringN(0, 80, 300),
)

func drawFields(t *rapid.T) (fields [][]byte) {
	if rapid.Bool().Draw(t, "usual") {
		return [][]byte{[]byte("x"), []byte(fieldText.Draw(t, "x")), []byte("y"), []byte(fieldText.Draw(t, "y"))}
	}
	for range rapid.IntRange(1, 4).Draw(t, "fields") {
		fields = append(fields, []byte(fieldText.Draw(t, "field")), []byte(fieldText.Draw(t, "value")))
	}
	return fields
}

func texts(fields [][]byte) (all []string) {
	for _, f := range fields {
		all = append(all, string(f))
	}
	return all
}

func drawID(t *rapid.T, label string) StreamID {
	n := rapid.OneOf(rapid.Uint64Range(0, 40), rapid.SampledFrom([]uint64{math.MaxUint64, 1 << 40}))
	return StreamID{n.Draw(t, label+" ms"), n.Draw(t, label+" seq")}
}

// A stream behaves like a list of entries in the order of their IDs.
func TestStreamAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStream(StreamLimits{
			rapid.SampledFrom([]int64{0, 60, 4096}).Draw(t, "bytes"), rapid.SampledFrom([]int64{0, 1, 3, 10}).Draw(t, "entries"),
		})
		var model []modelEntry
		maxDeleted := StreamID{}
		added := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "entries") {
					id, ok := s.LastID().Next()
					if !ok {
						t.Skip("no ID is left")
					}
					if rapid.Bool().Draw(t, "far") {
						if far := drawID(t, "far"); id.Less(far) {
							id = far
						}
					}
					fields := drawFields(t)
					s.Append(id, fields)
					model = append(model, modelEntry{id, texts(fields)})
					added++
				}
			},
			"delete": func(t *rapid.T) {
				id := drawID(t, "id")
				if len(model) > 0 && rapid.Bool().Draw(t, "one that is there") {
					id = rapid.SampledFrom(model).Draw(t, "entry").id
				}
				i := slices.IndexFunc(model, func(e modelEntry) bool { return e.id == id })
				require.Equal(t, i >= 0, s.Has(id))
				require.Equal(t, i >= 0, s.Delete(id))
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
					if maxDeleted.Less(id) {
						maxDeleted = id
					}
				}
			},
			"trim": func(t *rapid.T) {
				tr := StreamTrim{ByID: rapid.Bool().Draw(t, "by ID"), Approx: rapid.Bool().Draw(t, "approx")}
				most := 0
				if tr.ByID {
					tr.MinID = drawID(t, "min")
					for most < len(model) && model[most].id.Less(tr.MinID) {
						most++
					}
				} else {
					tr.MaxLen = rapid.Int64Range(0, 60).Draw(t, "len")
					most = max(0, len(model)-int(tr.MaxLen))
				}
				if tr.Approx {
					tr.Limit = rapid.Int64Range(0, 30).Draw(t, "limit")
				}
				require.GreaterOrEqual(t, s.Trims(tr, math.MaxInt), most)
				n := int(s.Trim(tr))
				require.LessOrEqual(t, n, most)
				if tr.Approx && tr.Limit > 0 {
					require.LessOrEqual(t, n, int(tr.Limit))
				} else if !tr.Approx {
					require.Equal(t, most, n)
				}
				model = model[n:]
			},
			"clone": func(*rapid.T) { s = s.Clone().(*Stream) },
			"": func(t *rapid.T) {
				require.Equal(t, len(model), s.Len())
				require.Equal(t, added, s.Added())
				require.Equal(t, maxDeleted, s.MaxDeleted())
				require.Equal(t, weigh(s), s.Bytes())
				from, to := drawID(t, "from"), drawID(t, "to")
				if rapid.Bool().Draw(t, "all") {
					from, to = StreamID{}, MaxStreamID
				}
				var want []modelEntry
				for _, e := range model {
					if !e.id.Less(from) && !to.Less(e.id) {
						want = append(want, e)
					}
				}
				require.Equal(t, want, entriesOf(s, from, to, false))
				slices.Reverse(want)
				require.Equal(t, want, entriesOf(s, from, to, true))
				first, ok := s.First()
				last, _ := s.Last()
				require.Equal(t, len(model) > 0, ok)
				if ok {
					require.Equal(t, model[0].id, first.ID)
					require.Equal(t, model[len(model)-1].id, last.ID)
				}
				require.Equal(t, trieNodes(s), s.RadixNodes())
			},
		})
	})
}

// trieNodes counts by building the tree.
func trieNodes(s *Stream) int {
	type node struct{ kids map[byte]*node }
	root := &node{kids: map[byte]*node{}}
	s.nodes.each(StreamID{}, func(p **streamNode) bool {
		at := root
		for i := range 16 {
			half := (*p).first.Ms
			if i >= 8 {
				half = (*p).first.Seq
			}
			b := byte(half >> (56 - 8*(i%8)))
			if at.kids[b] == nil {
				at.kids[b] = &node{kids: map[byte]*node{}}
			}
			at = at.kids[b]
		}
		return true
	})
	var count func(n *node) int
	count = func(n *node) int {
		if len(n.kids) == 1 { // a path
			k := n
			for len(k.kids) == 1 {
				for _, kid := range k.kids {
					k = kid
				}
			}
			return 1 + count(k)
		}
		total := 1
		for _, kid := range n.kids {
			total += count(kid)
		}
		return total
	}
	return count(root)
}

type modelPending struct {
	consumer  string
	at, count int64
}

// What is pending for a group and for its consumers are the same things.
func TestStreamGroupAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStream(DefaultStreamLimits)
		g := s.CreateGroup([]byte("g"), StreamID{}, 0)
		model := map[StreamID]modelPending{}
		names := map[string]bool{}
		name := rapid.SampledFrom([]string{"a", "b", "c", ""})
		seq := uint64(0)
		consumer := func(t *rapid.T) *Consumer {
			n := name.Draw(t, "consumer")
			c := g.Consumer([]byte(n))
			require.Equal(t, names[n], c != nil)
			if c == nil {
				c = g.CreateConsumer([]byte(n), 1)
				names[n] = true
			}
			return c
		}
		some := func(t *rapid.T) StreamID { return StreamID{1, rapid.Uint64Range(0, seq+1).Draw(t, "id")} }
		t.Repeat(map[string]func(*rapid.T){
			"give new": func(t *rapid.T) {
				c := consumer(t)
				for range rapid.IntRange(1, 200).Draw(t, "entries") {
					seq++
					g.Give(StreamID{1, seq}, c, 5, 1)
					model[StreamID{1, seq}] = modelPending{c.Name(), 5, 1}
				}
			},
			"give any": func(t *rapid.T) {
				c, id := consumer(t), some(t)
				m := modelPending{c.Name(), rapid.Int64().Draw(t, "at"), rapid.Int64().Draw(t, "count")}
				g.Give(id, c, m.at, m.count)
				model[id] = m
			},
			"ack": func(t *rapid.T) {
				from, n := some(t), rapid.IntRange(1, 150).Draw(t, "n")
				for i := range n {
					id := StreamID{1, from.Seq + uint64(i)}
					_, ok := model[id]
					require.Equal(t, ok, g.Ack(id))
					delete(model, id)
				}
			},
			"delete consumer": func(t *rapid.T) {
				c := consumer(t)
				n := 0
				for id, m := range model {
					if m.consumer == c.Name() {
						delete(model, id)
						n++
					}
				}
				delete(names, c.Name())
				require.Equal(t, n, g.DeleteConsumer(c))
			},
			"clone": func(*rapid.T) {
				s = s.Clone().(*Stream)
				g = s.Group([]byte("g"))
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), g.Pending())
				require.Equal(t, weigh(s), s.Bytes())
				prev, n := StreamID{}, 0
				g.Each(StreamID{}, func(p *Pending) bool {
					require.True(t, n == 0 || prev.Less(p.ID))
					require.Equal(t, model[p.ID], modelPending{p.Consumer.Name(), p.At, p.Count})
					prev, n = p.ID, n+1
					return true
				})
				require.Equal(t, len(model), n)
				total := 0
				for _, c := range g.Consumers() {
					total += c.Pending()
					c.Each(StreamID{}, func(id StreamID) bool {
						require.Equal(t, c.Name(), model[id].consumer)
						return true
					})
				}
				require.Equal(t, len(model), total)
				from := some(t)
				if p := g.From(from); p != nil {
					require.False(t, p.ID.Less(from))
				}
			},
		})
		require.True(t, s.DestroyGroup([]byte("g")))
		require.Equal(t, streamOverhead, s.Bytes())
	})
}

func TestStreamIDs(t *testing.T) {
	for _, c := range []struct{ a, b StreamID }{
		{StreamID{0, 0}, StreamID{0, 1}},
		{StreamID{0, math.MaxUint64}, StreamID{1, 0}},
		{StreamID{math.MaxUint64, math.MaxUint64 - 1}, MaxStreamID},
	} {
		next, ok := c.a.Next()
		require.True(t, ok)
		require.Equal(t, c.b, next)
		prev, ok := c.b.Prev()
		require.True(t, ok)
		require.Equal(t, c.a, prev)
		require.True(t, c.a.Less(c.b))
	}
	_, ok := MaxStreamID.Next()
	require.False(t, ok)
	_, ok = StreamID{}.Prev()
	require.False(t, ok)
}

// Readers of a stream may run beside each other.
func TestStreamReadersShare(t *testing.T) {
	s := NewStream(DefaultStreamLimits)
	for i := range uint64(1000) {
		s.Append(StreamID{1, i + 1}, [][]byte{[]byte("f"), fmt.Append(nil, i)})
	}
	done := make(chan int)
	for range 4 {
		go func() { done <- len(entriesOf(s, StreamID{1, 100}, StreamID{1, 900}, true)) + s.RadixNodes() }()
	}
	want := <-done
	for range 3 {
		require.Equal(t, want, <-done)
	}
}

func BenchmarkStreamAppend(b *testing.B) {
	fields := [][]byte{[]byte("sensor"), []byte("1234"), []byte("temperature"), []byte("19.8")}
	s := NewStream(DefaultStreamLimits)
	b.ReportAllocs()
	for i := range b.N {
		s.Append(StreamID{uint64(i) / 10, uint64(i) + 1}, fields)
	}
	b.ReportMetric(float64(s.Bytes())/float64(b.N), "B/entry")
}

// An empty stream is a value; copies are their own; what was staged is seen by
// nobody else.
func TestStreamInTx(t *testing.T) {
	ks := New(Options{Shards: 1})
	run := func(mode Mode, fn func(tx *Tx, a, b []byte)) {
		var tx Tx
		a, b := []byte("a"), []byte("b")
		tx.Begin(ks, mode, 0, 1000, []Ref{{Key: a, Hash: ks.Hash(0, a)}, {Key: b, Hash: ks.Hash(0, b)}})
		fn(&tx, a, b)
		tx.Publish()
		tx.End()
	}
	fields := [][]byte{[]byte("f"), []byte("v")}
	run(Claimed, func(tx *Tx, a, _ []byte) { tx.SetInt(a, 1) })
	run(Claimed, func(tx *Tx, a, _ []byte) { tx.Delete(a) })
	before := ks.Bytes() // of the index alone
	run(Claimed, func(tx *Tx, a, _ []byte) {
		s, err := tx.EditStream(a, true)
		require.NoError(t, err)
		require.Equal(t, StreamType, tx.Type(a), "be it empty")
		s.CreateGroup([]byte("g"), StreamID{}, 0)
	})
	require.EqualValues(t, 1, ks.Len(0))
	run(Claimed, func(tx *Tx, a, b []byte) {
		s, _ := tx.EditStream(a, false)
		for i := range uint64(1000) {
			s.Append(StreamID{1, i + 1}, fields)
		}
		require.True(t, tx.Copy(a, b, 0, false))
		require.Equal(t, 1000, s.Len())
	})
	run(Claimed, func(tx *Tx, a, b []byte) {
		s, _ := tx.EditStream(a, false)
		require.EqualValues(t, 1000, s.Trim(StreamTrim{}))
		other, err := tx.Stream(b)
		require.NoError(t, err)
		require.Equal(t, 1000, other.Len())
		require.NotNil(t, other.Group([]byte("g")))
		_, err = tx.EditStream(b, false)
		require.NoError(t, err)
		tx.Unedited(b)
	})
	run(Claimed, func(tx *Tx, a, _ []byte) {
		info, ok := tx.Peek(a)
		require.True(t, ok)
		require.Equal(t, "stream", info.Encoding)
		require.Zero(t, info.Len)
		_, err := tx.List(a)
		require.ErrorIs(t, err, ErrWrongType)
	})
	run(Claimed, func(tx *Tx, a, b []byte) {
		require.True(t, tx.Delete(a))
		require.True(t, tx.Delete(b))
	})
	require.Equal(t, before, ks.Bytes())
}

// What happens aside counts for WATCH only together with something else.
func TestChangesAside(t *testing.T) {
	ks := New(Options{})
	loud := func(fn func(tx *Tx)) (all, counted int) {
		var tx Tx
		tx.Begin(ks, Alone, 0, testNow, nil)
		defer tx.End()
		fn(&tx)
		tx.Publish()
		tx.EachChanged(func(Ref) { all++ })
		tx.EachLoud(func(Ref) { counted++ })
		return all, counted
	}
	key := []byte("s")
	aside := func(tx *Tx) {
		s, err := tx.EditAside(key, true)
		require.NoError(t, err)
		s.SetLast(StreamID{9, 9})
	}
	edit := func(tx *Tx) {
		_, err := tx.EditStream(key, false)
		require.NoError(t, err)
	}
	publish := func(tx *Tx) { tx.Publish() }
	for _, c := range []struct {
		name    string
		steps   []func(*Tx)
		counted int
	}{
		{"made", []func(*Tx){aside}, 1},
		{"aside", []func(*Tx){aside}, 0},
		{"aside twice", []func(*Tx){aside, publish, aside}, 0},
		{"edited", []func(*Tx){edit}, 1},
		{"both", []func(*Tx){aside, edit}, 1},
		{"the other way round", []func(*Tx){edit, aside}, 1},
		{"one by one", []func(*Tx){aside, publish, edit}, 1},
		{"one by one, the other way round", []func(*Tx){edit, publish, aside}, 1},
	} {
		all, counted := loud(func(tx *Tx) {
			for _, step := range c.steps {
				step(tx)
			}
		})
		require.Equal(t, 1, all, c.name)
		require.Equal(t, c.counted, counted, c.name)
	}
}
