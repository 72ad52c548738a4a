package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func (d *dict) testAdd(key string) {
	k := []byte(key)
	d.add(d.hash(k), newCell(k, 0), cellSize(len(k), 0))
}

func (d *dict) testRemove(key string) bool {
	h := d.hash([]byte(key))
	p := d.find(h, []byte(key))
	if p.c == nil {
		return false
	}
	d.remove(h, p, cellSize(len(key), 0))
	return true
}

// checkDict fails unless d holds just the keys of m, each in one place where it
// is found, in tables that are as the comment of dict says.
func checkDict(t require.TestingT, d *dict, m map[string]bool) {
	require.Equal(t, len(m), d.live)
	require.Len(t, d.tables, 1<<d.depth)
	most := int(d.most)
	live, cells, size := 0, int64(0), 8*int64(len(d.tables))
	deepest := uint8(0)
	for i := 0; i < len(d.tables); {
		tab := d.tables[i]
		n := 1 << (d.depth - tab.depth)
		for j := range n {
			require.True(t, d.tables[i+j] == tab)
		}
		require.LessOrEqual(t, tab.live*8, len(tab.groups)*groupPlaces*7)
		require.LessOrEqual(t, len(tab.groups), most)
		if tab.depth > 0 {
			require.Len(t, tab.groups, most)
		}
		in := 0
		tab.each(func(c *cell) bool {
			k := string(c.key())
			if !m[k] || d.get(c.key()) != c || d.table(d.hash(c.key())) != tab {
				t.Errorf("%q should not be there, or is not found", k)
				t.FailNow()
			}
			cells += cellSize(len(k), 0)
			in++
			return true
		})
		require.Equal(t, in, tab.live)
		live += in
		size += dictTableSize + int64(len(tab.groups))*dictGroupSize
		deepest = max(deepest, tab.depth)
		i += n
	}
	require.Equal(t, d.depth, deepest, "the directory is deeper than its tables")
	require.Equal(t, d.live, live)
	require.Equal(t, size, d.size)
	require.Equal(t, cells, d.cells)
}

func TestDictModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d dict
		d.init(rapid.SampledFrom([]int{0, 10, 100}).Draw(t, "room"))
		d.most = uint16(max(len(d.tables[0].groups), 8))
		m := map[string]bool{}
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkDict(t, &d, m) },
			"add": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 5, 50, 500}).Draw(t, "n") {
					k := fmt.Sprint(next)
					next++
					d.testAdd(k)
					m[k] = true
				}
			},
			"remove": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 5, 50, 700}).Draw(t, "n")
				for k := range m {
					if n--; n < 0 {
						break
					}
					if !d.testRemove(k) || d.testRemove(k) {
						t.Fatalf("%q was not there, or stays", k)
					}
					delete(m, k)
				}
			},
			"clone": func(t *rapid.T) {
				c := d.clone(func(c *cell) *cell { return newCell(c.key(), 0) })
				checkDict(t, &c, m)
				for k := range m {
					if !c.testRemove(k) {
						t.Fatalf("%q is missing in the copy", k)
					}
				}
				c.testAdd("another")
			},
		})
	})
}

// scanDict goes through d with fn called between the steps and returns what was
// told.
func scanDict(d *dict, count int, fn func()) map[string]int {
	told := map[string]int{}
	for cursor := uint64(0); ; {
		cursor = d.scan(cursor, count, func(c *cell) { told[string(c.key())]++ })
		if cursor == 0 {
			return told
		}
		fn()
	}
}

// What is there from the first step of a scan to the last is told, and told
// once, while other keys come and go in such numbers that tables grow, split,
// join and shrink.
func TestDictScanKeepsItsGuarantee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d dict
		d.init(0)
		d.most = 8
		stay := rapid.SampledFrom([]int{0, 1, 50, 1000}).Draw(t, "stay")
		for i := range stay {
			d.testAdd(fmt.Sprint("stay", i))
		}
		come, gone, more := 0, 0, true
		told := scanDict(&d, rapid.SampledFrom([]int{1, 10, 100, 1 << 40}).Draw(t, "count"), func() {
			for range rand.IntN(100) { // in waves
				if more = more && come-gone < 1500 || come == gone; more {
					d.testAdd(fmt.Sprint("come", come))
					come++
				} else {
					d.testRemove(fmt.Sprint("come", gone))
					gone++
				}
			}
		})
		for i := range stay {
			require.Equal(t, 1, told[fmt.Sprint("stay", i)])
		}
	})
}

func TestDictScanTakesAnyCursor(t *testing.T) {
	var d dict
	d.init(0)
	for i := range 9000 {
		d.testAdd(fmt.Sprint(i))
	}
	rapid.Check(t, func(t *rapid.T) {
		cursor := rapid.Uint64().Draw(t, "cursor")
		next := d.scan(cursor, rapid.Int().Draw(t, "count"), func(*cell) {})
		require.Less(t, next, uint64(1)<<(64-dictCursorDrop))
	})
}

// Members are chosen alike often, also when the directory is uneven.
func TestDictRandomIsUniform(t *testing.T) {
	for _, n := range []int{1, 5, 100, 6100} {
		var d dict
		d.init(0)
		d.most = 64
		for i := range n {
			d.testAdd(fmt.Sprint(i))
		}
		counts := map[string]int{}
		const each = 200
		for range n * each {
			counts[string(d.random().key())]++
		}
		require.Len(t, counts, n)
		chi := 0.0 // its mean is n-1, its variance 2(n-1)
		for _, c := range counts {
			chi += float64((c-each)*(c-each)) / each
		}
		mean := float64(n - 1)
		require.InDelta(t, mean, chi, 1+8*math.Sqrt(2*mean), "n = %d", n)
	}
}

// Copying one large dict into another that grows takes its time from how many
// cells there are, not from the order in which they come: no search passes more
// than a few groups.
func TestDictsDoNotCrowdEachOther(t *testing.T) {
	var a, b dict
	a.init(0)
	b.init(0)
	for i := range 3000 {
		a.testAdd(fmt.Sprint(i))
	}
	a.each(func(c *cell) bool {
		b.testAdd(string(c.key()))
		for _, t := range b.tables {
			for g := range t.groups {
				if t.groups[g].word>>56 > 64 {
					b.live = -1
					return false
				}
			}
		}
		return true
	})
	require.Positive(t, b.live, "many searches pass one group")
}

// A search does not pass groups on account of cells that have gone.
func TestDictForgetsWhoPassed(t *testing.T) {
	passed := false
	for range 100 {
		var d dict
		d.init(0)
		for i := range 24 {
			d.testAdd(fmt.Sprint(i))
		}
		tab := d.tables[0]
		for g := range tab.groups {
			passed = passed || tab.groups[g].word >= passUnit
		}
		for i := range 24 {
			d.testRemove(fmt.Sprint(i))
		}
		require.True(t, d.tables[0] == tab, "so small a table stays")
		for g := range tab.groups {
			require.Zero(t, tab.groups[g].word)
		}
	}
	require.True(t, passed, "no group was ever full")
}
