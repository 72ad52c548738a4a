package store

import (
	"fmt"
	"runtime"
	"testing"
)

// smallSizes are about how many bytes of elements the collections have.
var smallSizes = []int{10, 100, 250, 500, 1000}

// A benchCall is a call on a collection; size says how large it was made.
type benchCall struct {
	fill func(tx *Tx, key []byte, i int) // adds the i-th element
	size int                             // of an element
	call func(tx *Tx, key []byte, i int)
	read bool
}

// benchForms runs a call on collections of several sizes, in blocks and in
// holders: the difference is what inlineMax weighs against memory.
func benchForms(b *testing.B, c benchCall) {
	for _, size := range smallSizes {
		for _, form := range []string{"block", "holder"} {
			b.Run(fmt.Sprintf("%d/%s", size, form), func(b *testing.B) {
				ks := New(Options{Seed: [16]byte{1, 2, 3}})
				if ks.inline = 2*size + 40; form == "holder" {
					ks.inHolders()
				}
				c.run(b, ks, size)
			})
		}
	}
}

func (c *benchCall) run(b *testing.B, ks *Keyspace, size int) {
	ks.SetHashLimits(1<<20, 64)
	ks.SetSetLimits(1<<20, 1<<20, 64)
	ks.SetZSetLimits(ZSetLimits{Members: 1 << 20, Value: 64})
	var client caller
	do := func(key []byte, fn func(tx *Tx)) {
		client.Begin(ks, Claimed, 0, testNow, client.of(ks, key))
		fn(&client.Tx)
		client.Publish()
		client.End()
	}
	keys := make([][]byte, 20000)
	for k := range keys {
		keys[k] = fmt.Appendf(nil, "key:%08d", k)
		do(keys[k], func(tx *Tx) {
			for i := range max(size/c.size, 1) {
				c.fill(tx, keys[k], i)
			}
		})
	}
	runtime.GC()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := keys[i%len(keys)]
		if c.read {
			client.BeginRead(ks, 0, testNow, client.of(ks, key))
			c.call(&client.Tx, key, i)
			client.EndRead()
			continue
		}
		client.Begin(ks, Claimed, 0, testNow, client.of(ks, key))
		c.call(&client.Tx, key, i)
		client.Publish()
		client.End()
	}
}

var benchNames, benchVals = func() (names, vals [][]byte) {
	for i := range 1024 {
		names = append(names, fmt.Appendf(nil, "name%05d", i))
		vals = append(vals, fmt.Appendf(nil, "value%05d", i))
	}
	return names, vals
}()

func fillHash(tx *Tx, key []byte, i int) {
	h, _ := tx.EditHash(key, true)
	h.Set(benchNames[i&1023], benchVals[i&1023], testNow)
}

func BenchmarkSmallHSet(b *testing.B) {
	benchForms(b, benchCall{fill: fillHash, size: 23, call: func(tx *Tx, key []byte, i int) {
		h, _ := tx.EditHash(key, true)
		h.Set(benchNames[0], benchVals[i&1023], testNow)
	}})
}

func BenchmarkSmallHGet(b *testing.B) {
	benchForms(b, benchCall{read: true, fill: fillHash, size: 23, call: func(tx *Tx, key []byte, _ int) {
		h, _ := tx.Hash(key)
		h.Get(benchNames[0], testNow)
	}})
}

// Each member comes and goes.
func BenchmarkSmallSAddSRem(b *testing.B) {
	benchForms(b, benchCall{fill: func(tx *Tx, key []byte, i int) {
		s, _ := tx.EditSet(key, true)
		s.Add(benchNames[i&1023])
	}, size: 11, call: func(tx *Tx, key []byte, i int) {
		s, _ := tx.EditSet(key, true)
		if !s.Add(benchVals[0]) {
			s.Remove(benchVals[0])
		}
	}})
}

func BenchmarkSmallZAdd(b *testing.B) {
	benchForms(b, benchCall{fill: func(tx *Tx, key []byte, i int) {
		z, _ := tx.EditZSet(key, true)
		z.Set(benchNames[i&1023], float64(i))
	}, size: 15, call: func(tx *Tx, key []byte, i int) {
		z, _ := tx.EditZSet(key, true)
		z.Set(benchNames[0], float64(i&7))
	}})
}

// Two calls on a list: one pushes, one pops at the other end.
func BenchmarkSmallLPushRPop(b *testing.B) {
	benchForms(b, benchCall{fill: func(tx *Tx, key []byte, i int) {
		l, _ := tx.EditList(key, true)
		l.PushBack(benchVals[i&1023])
	}, size: 12, call: func(tx *Tx, key []byte, i int) {
		l, _ := tx.EditList(key, true)
		l.PushFront(benchVals[i&1023])
		tx.Publish()
		l, _ = tx.EditList(key, true)
		l.PopBack()
	}})
}

// A queue that is mostly empty: what is pushed makes the key, what is popped
// removes it.
func BenchmarkSmallQueue(b *testing.B) {
	benchForms(b, benchCall{fill: func(*Tx, []byte, int) {}, size: 1 << 20, call: func(tx *Tx, key []byte, i int) {
		l, _ := tx.EditList(key, true)
		l.PushFront(benchVals[i&1023])
		tx.Publish()
		l, _ = tx.EditList(key, true)
		l.PopBack()
	}})
}
