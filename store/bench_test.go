package store

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

// loaded returns a keyspace with n keys of 16 bytes, values of 64, and the keys.
func loaded(n int) (*Keyspace, [][]byte) {
	ks := New(Options{Seed: [16]byte{1, 2, 3}})
	keys := make([][]byte, n)
	val := make([]byte, 64)
	for i := range val {
		val[i] = 'x'
	}
	var c caller
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%012d", i)
		c.set(ks, keys[i], val)
	}
	return ks, keys
}

// A caller is a client in tests.
type caller struct {
	Tx
	refs [1]Ref
}

func (c *caller) of(ks *Keyspace, key []byte) []Ref {
	c.refs[0] = Ref{Key: key, Hash: ks.Hash(0, key)}
	return c.refs[:]
}

func (c *caller) set(ks *Keyspace, key, val []byte) {
	c.Begin(ks, Claimed, 0, 1e12, c.of(ks, key))
	c.SetString(key, val, NoExpiry)
	c.Publish()
	c.End()
}

func benchKeys(b *testing.B, run func(b *testing.B, ks *Keyspace, keys [][]byte)) {
	for _, n := range []int{1000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ks, keys := loaded(n)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			run(b, ks, keys)
		})
	}
}

func BenchmarkGet(b *testing.B) {
	benchKeys(b, func(b *testing.B, ks *Keyspace, keys [][]byte) {
		var c caller
		x := uint64(1)
		for b.Loop() {
			x = x*6364136223846793005 + 1442695040888963407
			key := keys[(x>>33)%uint64(len(keys))]
			c.BeginRead(ks, 0, 1e12, c.of(ks, key))
			if v, ok, _ := c.String(key); !ok || len(v) != 64 {
				b.Fatal("not found")
			}
			if !c.EndRead() {
				b.Fatal("invalid")
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	benchKeys(b, func(b *testing.B, ks *Keyspace, keys [][]byte) {
		var c caller
		val := make([]byte, 64)
		x := uint64(1)
		for b.Loop() {
			x = x*6364136223846793005 + 1442695040888963407
			c.set(ks, keys[(x>>33)%uint64(len(keys))], val)
		}
	})
}

func BenchmarkIncr(b *testing.B) {
	ks := New(Options{})
	var c caller
	key := []byte("counter")
	b.ReportAllocs()
	for b.Loop() {
		c.Begin(ks, Claimed, 0, 1e12, c.of(ks, key))
		n, _, _ := c.Int(key)
		c.SetInt(key, n+1)
		c.Publish()
		c.End()
	}
}

// BenchmarkTouched is BenchmarkGet with the keys of 16 commands touched first.
func BenchmarkTouched(b *testing.B) {
	benchKeys(b, func(b *testing.B, ks *Keyspace, keys [][]byte) {
		var c caller
		x := uint64(1)
		var batch [16][]byte
		var hashes [16]uint64
		for i := 0; b.Loop(); i++ {
			if i%16 == 0 {
				for j := range batch {
					x = x*6364136223846793005 + 1442695040888963407
					batch[j] = keys[(x>>33)%uint64(len(keys))]
					hashes[j] = ks.Hash(0, batch[j])
				}
				ks.Touch(0, hashes[:])
			}
			key := batch[i%16]
			c.BeginRead(ks, 0, 1e12, c.of(ks, key))
			if _, ok, _ := c.String(key); !ok {
				b.Fatal("not found")
			}
			c.EndRead()
		}
	})
}

func BenchmarkHash(b *testing.B) {
	for _, n := range []int{8, 16, 40} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ks, key := New(Options{}), make([]byte, n)
			for b.Loop() {
				ks.Hash(0, key)
			}
		})
	}
}

func BenchmarkMemoryPerKey(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ks, keys := loaded(1000000)
		n := len(keys)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "heapB/key")
		b.ReportMetric(float64(ks.Bytes())/float64(n), "B/key")
		runtime.KeepAlive(ks)
	}
}

func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(group{}); n != 64 {
		t.Errorf("a group has %d bytes and is no cache line", n)
	}
	if n := unsafe.Sizeof(entry{}); n != 48 {
		t.Errorf("an entry has %d bytes", n)
	}
	if n := unsafe.Sizeof(shard{}); n%128 != 0 {
		t.Errorf("a shard has %d bytes", n)
	}
	t.Log(unsafe.Sizeof(slot{}), unsafe.Sizeof(table{}), unsafe.Sizeof(space{}))
}
