package store

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"unsafe"
)

// A dict is the hash table of a large set or hash. Its object's mutex guards it;
// methods that only read may run at the same time.
//
// The hash of a key says from its first bits which table of the directory the
// key belongs to, and from the next ones its group in there. So a walk from
// group to group is a walk by hash, and a cursor is a hash: what stands before it
// is done, however the dict grows and shrinks meanwhile. While there is one table
// it doubles and halves; of maxGroups a table that is full splits alone, and two
// that are sparse join, so that no edit moves more than a few thousand cells.
//
// Each dict has a seed of its own: the order of one says nothing about another,
// into which its cells could otherwise not be put one by one without all of them
// crowding in the same groups.
//
// Groups are those of the keyspace's index (see there), without its readers.
type dict struct {
	seed   seed
	tables []*dictTable // 1<<depth; one of less depth stands several times
	depth  uint8
	most   uint16 // groups of a table that does not grow any more but splits: maxGroups
	live   int
	size   int64 // of directory and tables
	cells  int64 // of the cells
}

type dictTable struct {
	groups []dictGroup // a power of two
	depth  uint8       // directory bits
	shift  uint8       // what is left of a hash after this shift is its group
	live   int
}

type dictGroup struct {
	word   uint64
	places [groupPlaces]*cell
}

const (
	dictTableSize = int64(unsafe.Sizeof(dictTable{}))
	dictGroupSize = int64(unsafe.Sizeof(dictGroup{}))

	dictKeepGroups = 4 // a table is not made smaller than this
	dictCursorDrop = 16
)

// dictTag is the byte that a group keeps of a hash, from the bits that choose
// neither table nor group.
func dictTag(hash uint64) uint64 { return hash&0x7f | 0x80 }

// init makes d empty, with room for so many cells at least if they are few.
func (d *dict) init(room int) {
	*d = dict{seed: seed{rand.Uint64(), rand.Uint64()}, most: maxGroups}
	d.tables = make([]*dictTable, 1)
	d.size += 8
	d.set(d.newTable(min(groupsFor(room), maxGroups), 0), 0)
}

func (d *dict) newTable(groups int, depth uint8) *dictTable {
	d.size += dictTableSize + int64(groups)*dictGroupSize
	return &dictTable{
		groups: make([]dictGroup, groups), depth: depth,
		shift: 64 - uint8(bits.TrailingZeros(uint(groups))),
	}
}

func (d *dict) forget(t *dictTable) {
	d.size -= dictTableSize + int64(len(t.groups))*dictGroupSize
}

// bytes is the memory of all that hangs off d.
func (d *dict) bytes() int64 { return d.size + d.cells }

func (d *dict) hash(key []byte) uint64 { return d.seed.hash(key) }

func (d *dict) table(hash uint64) *dictTable { return d.tables[hash>>(64-d.depth)] }

// set lets the directory point to t from the entry of hash on.
func (d *dict) set(t *dictTable, hash uint64) {
	n := 1 << (d.depth - t.depth)
	from := int(hash>>(64-d.depth)) &^ (n - 1)
	for i := range n {
		d.tables[from+i] = t
	}
}

func (t *dictTable) home(hash uint64) int { return int(hash << t.depth >> t.shift) }

// A dictPlace is where a cell stands.
type dictPlace struct {
	t    *dictTable
	g, i int
	c    *cell // nil: nowhere
}

func (d *dict) find(hash uint64, key []byte) dictPlace {
	t := d.table(hash)
	tag := dictTag(hash)
	mask := len(t.groups) - 1
	g := t.home(hash)
	for range t.groups {
		gr := &t.groups[g]
		for m := matches(gr.word, tag); m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(m) / 8
			if c := gr.places[i]; c != nil && string(c.key()) == string(key) {
				return dictPlace{t, g, i, c}
			}
		}
		if gr.word < passUnit {
			break
		}
		g = (g + 1) & mask
	}
	return dictPlace{}
}

// get returns the cell of key, or nil.
func (d *dict) get(key []byte) *cell { return d.find(d.hash(key), key).c }

// swap puts a cell in the place of another one with the same key.
func (p *dictPlace) swap(c *cell) { p.t.groups[p.g].places[p.i] = c }

// add takes in a cell whose key, of this hash, is not there; size is its memory.
func (d *dict) add(hash uint64, c *cell, size int64) {
	t := d.table(hash)
	for (t.live+1)*8 > len(t.groups)*groupPlaces*7 {
		if len(t.groups) < int(d.most) {
			d.resize(2 * len(t.groups))
		} else {
			d.split(hash, t)
		}
		t = d.table(hash)
	}
	t.insert(hash, c)
	d.live++
	d.cells += size
}

func (t *dictTable) insert(hash uint64, c *cell) {
	mask := len(t.groups) - 1
	for g := t.home(hash); ; g = (g + 1) & mask {
		gr := &t.groups[g]
		free := ^gr.word & tagBytes
		if free == 0 {
			if gr.word>>56 < passFull {
				gr.word += passUnit
			}
			continue
		}
		i := bits.TrailingZeros64(free) / 8
		gr.places[i] = c
		gr.word |= dictTag(hash) << (8 * i)
		break
	}
	t.live++
}

// remove takes out what find has found; size is the memory of the cell.
func (d *dict) remove(hash uint64, p dictPlace, size int64) {
	t := p.t
	gr := &t.groups[p.g]
	gr.word &^= 0xff << (8 * p.i)
	gr.places[p.i] = nil
	mask := len(t.groups) - 1
	for g := t.home(hash); g != p.g; g = (g + 1) & mask {
		if t.groups[g].word>>56 < passFull {
			t.groups[g].word -= passUnit
		}
	}
	t.live--
	d.live--
	d.cells -= size
	switch sparse := t.live*8 < len(t.groups)*groupPlaces; {
	case !sparse:
	case t.depth > 0:
		d.join(hash, t)
	case len(t.groups) > dictKeepGroups:
		d.resize(max(groupsFor(t.live), dictKeepGroups))
	}
}

func (t *dictTable) each(fn func(*cell) bool) bool {
	for g := range t.groups {
		gr := &t.groups[g]
		for m := gr.word & tagBytes; m != 0; m &= m - 1 {
			if !fn(gr.places[bits.TrailingZeros64(m)/8]) {
				return false
			}
		}
	}
	return true
}

// resize gives the only table another size.
func (d *dict) resize(groups int) {
	old := d.tables[0]
	t := d.newTable(groups, 0)
	d.move(old, func(uint64) *dictTable { return t })
	d.set(t, 0)
}

// move inserts all cells of a table into others.
func (d *dict) move(old *dictTable, into func(hash uint64) *dictTable) {
	for g := range old.groups {
		gr := &old.groups[g]
		for m := gr.word & tagBytes; m != 0; m &= m - 1 {
			c := gr.places[bits.TrailingZeros64(m)/8]
			h := d.hash(c.key())
			into(h).insert(h, c)
		}
	}
	d.forget(old)
}

// split makes two tables of t, to which hash belongs.
func (d *dict) split(hash uint64, t *dictTable) {
	if t.depth == d.depth {
		tables := make([]*dictTable, 2*len(d.tables))
		for i := range tables {
			tables[i] = d.tables[i/2]
		}
		d.size += 8 * int64(len(d.tables))
		d.tables = tables
		d.depth++
	}
	bit := uint64(1) << (63 - t.depth)
	lo, hi := d.newTable(int(d.most), t.depth+1), d.newTable(int(d.most), t.depth+1)
	d.move(t, func(h uint64) *dictTable {
		if h&bit != 0 {
			return hi
		}
		return lo
	})
	d.set(lo, hash&^bit)
	d.set(hi, hash|bit)
}

// join makes one table of t, to which hash belongs, and its neighbour, if the
// two leave it some room.
func (d *dict) join(hash uint64, t *dictTable) {
	bit := uint64(1) << (64 - t.depth)
	other := d.table(hash ^ bit)
	if other.depth != t.depth || (t.live+other.live)*8 > int(d.most)*groupPlaces*3 {
		return
	}
	both := d.newTable(int(d.most), t.depth-1)
	into := func(uint64) *dictTable { return both }
	d.move(t, into)
	d.move(other, into)
	d.set(both, hash)
	d.shallow()
}

// shallow halves the directory as long as no table needs its last bit.
func (d *dict) shallow() {
	for d.depth > 0 {
		for _, t := range d.tables {
			if t.depth == d.depth {
				return
			}
		}
		tables := make([]*dictTable, len(d.tables)/2)
		for i := range tables {
			tables[i] = d.tables[2*i]
		}
		d.size -= 8 * int64(len(tables))
		d.tables = tables
		d.depth--
	}
}

// clone returns a copy of the same order; each cell is copied by fn.
func (d *dict) clone(fn func(*cell) *cell) dict {
	n := *d
	n.tables = make([]*dictTable, len(d.tables))
	for i := 0; i < len(d.tables); i += 1 << (d.depth - d.tables[i].depth) {
		t := *d.tables[i]
		t.groups = slices.Clone(t.groups)
		for g := range t.groups {
			gr := &t.groups[g]
			for m := gr.word & tagBytes; m != 0; m &= m - 1 {
				p := &gr.places[bits.TrailingZeros64(m)/8]
				*p = fn(*p)
			}
		}
		n.set(&t, uint64(i)<<(64-d.depth))
	}
	return n
}

// each calls fn for every cell until it returns false.
func (d *dict) each(fn func(*cell) bool) {
	for i := 0; i < len(d.tables); {
		t := d.tables[i]
		if !t.each(fn) {
			return
		}
		i += 1 << (d.depth - t.depth)
	}
}

// scan calls fn for about count cells and returns the cursor to go on with, 0 at
// the end. What is there from the first call to the last is told once.
func (d *dict) scan(cursor uint64, count int, fn func(*cell)) (next uint64) {
	pos := cursor << dictCursorDrop
	count = min(max(count, 1), 1<<30)
	for found, looked := 0, 0; found < count && looked < 10*count; looked++ {
		t := d.table(pos)
		found += d.scanGroup(t, pos, fn)
		width := uint64(1) << (t.shift - t.depth) // 0: all
		if pos = (pos | (width - 1)) + 1; pos == 0 {
			return 0
		}
	}
	return pos >> dictCursorDrop
}

// scanGroup calls fn for the cells whose search begins at the group of pos, but
// for those before pos.
func (d *dict) scanGroup(t *dictTable, pos uint64, fn func(*cell)) (found int) {
	home := t.home(pos)
	g := home
	for range t.groups {
		gr := &t.groups[g]
		for m := gr.word & tagBytes; m != 0; m &= m - 1 {
			c := gr.places[bits.TrailingZeros64(m)/8]
			if h := d.hash(c.key()); t.home(h) == home && h >= pos {
				fn(c)
				found++
			}
		}
		if gr.word < passUnit {
			break
		}
		g = (g + 1) & (len(t.groups) - 1)
	}
	return found
}

// dictRandomTries is how many places random looks at before it counts them off. Of
// the places that it looks at, an eighth or more are taken.
const dictRandomTries = 200

// random returns any cell, all alike likely; there is one.
func (d *dict) random() *cell {
	for range dictRandomTries {
		r := rand.Uint64()
		t := d.table(r)
		// A table that stands in the directory several times would be chosen
		// too often.
		if r&(1<<(d.depth-t.depth)-1) != 0 {
			continue
		}
		gr := &t.groups[rand.IntN(len(t.groups))]
		i := rand.IntN(groupPlaces)
		if gr.word>>(8*i)&0x80 != 0 {
			return gr.places[i]
		}
	}
	var at *cell
	n := rand.IntN(d.live)
	d.each(func(c *cell) bool {
		at = c
		n--
		return n >= 0
	})
	return at
}
