package store

import (
	"slices"
	"sort"
	"unsafe"
)

// An ordered is a list of items in the order of their stream IDs, of which no
// two are equal. It lies in blocks that an item is sought in by halving, so that
// adding at the end, where nearly all are added, costs O(1), and anything else
// the move of one block's items. Methods that only read may run at the same time
// as each other. total is where its memory is accounted.
type ordered[T interface{ id() StreamID }] struct {
	blocks [][]T
	n      int
	total  *int64
}

// blockItems is how many items a block has at most.
const blockItems = 128

// A spot is where an item stands, good until the next edit. The spot behind the
// last item is {len(blocks), 0}.
type spot struct{ b, i int }

func (o *ordered[T]) len() int { return o.n }

// seek finds the first item that is not before id, or the spot behind the last.
func (o *ordered[T]) seek(id StreamID) spot {
	b := sort.Search(len(o.blocks), func(b int) bool {
		items := o.blocks[b]
		return !items[len(items)-1].id().Less(id)
	})
	if b == len(o.blocks) {
		return spot{b, 0}
	}
	items := o.blocks[b]
	return spot{b, sort.Search(len(items), func(i int) bool { return !items[i].id().Less(id) })}
}

// find is the item with this ID, nil if there is none, and where it stands or
// belongs.
func (o *ordered[T]) find(id StreamID) (*T, spot) {
	at := o.seek(id)
	if p := o.at(at); p != nil && (*p).id() == id {
		return p, at
	}
	return nil, at
}

// at is the item at p, nil behind the last one or before the first.
func (o *ordered[T]) at(p spot) *T {
	if p.b < 0 || p.b >= len(o.blocks) {
		return nil
	}
	return &o.blocks[p.b][p.i]
}

func (o *ordered[T]) next(p spot) spot {
	if p.i++; p.i == len(o.blocks[p.b]) {
		return spot{p.b + 1, 0}
	}
	return p
}

func (o *ordered[T]) prev(p spot) spot {
	if p.i > 0 {
		return spot{p.b, p.i - 1}
	}
	if p.b--; p.b >= 0 {
		p.i = len(o.blocks[p.b]) - 1
	}
	return p
}

func (o *ordered[T]) first() *T { return o.at(spot{}) }

func (o *ordered[T]) last() *T { return o.at(o.prev(spot{len(o.blocks), 0})) }

// each visits items in order from the first that is not before id, until fn
// returns false. fn must not add or remove any.
func (o *ordered[T]) each(from StreamID, fn func(*T) bool) {
	for p := o.seek(from); p.b < len(o.blocks); p = o.next(p) {
		if !fn(o.at(p)) {
			return
		}
	}
}

// insert puts v where find has said that it belongs.
func (o *ordered[T]) insert(p spot, v T) {
	o.n++
	if p.b == len(o.blocks) && p.b > 0 && len(o.blocks[p.b-1]) < blockItems {
		p = spot{p.b - 1, len(o.blocks[p.b-1])}
	}
	if p.b == len(o.blocks) {
		o.setBlocks(append(o.blocks, nil))
		o.set(p.b, append(o.blocks[p.b], v))
		return
	}
	if len(o.blocks[p.b]) == blockItems {
		p = o.split(p)
	}
	o.set(p.b, slices.Insert(o.blocks[p.b], p.i, v))
}

// split moves the second half of a full block into one of its own.
func (o *ordered[T]) split(p spot) spot {
	const half = blockItems / 2
	items := o.blocks[p.b]
	o.setBlocks(slices.Insert(o.blocks, p.b+1, nil))
	o.set(p.b+1, append(make([]T, 0, blockItems), items[half:]...))
	clear(items[half:])
	o.set(p.b, items[:half])
	if p.i > half {
		return spot{p.b + 1, p.i - half}
	}
	return p
}

// remove takes out the item at p and returns where the one behind it stands.
func (o *ordered[T]) remove(p spot) spot {
	o.n--
	items := slices.Delete(o.blocks[p.b], p.i, p.i+1)
	o.set(p.b, items)
	switch {
	case len(items) == 0:
		o.drop(p.b)
		return spot{p.b, 0}
	case len(items) <= blockItems/4:
		p = o.join(p)
	}
	if p.i == len(o.blocks[p.b]) {
		return spot{p.b + 1, 0}
	}
	return p
}

// join puts the items of a small block with those of a neighbour, or gives back
// the room that is left over.
func (o *ordered[T]) join(p spot) spot {
	const most = blockItems / 2
	items := o.blocks[p.b]
	switch {
	case p.b+1 < len(o.blocks) && len(items)+len(o.blocks[p.b+1]) <= most:
		o.set(p.b, append(items, o.blocks[p.b+1]...))
		o.drop(p.b + 1)
	case p.b > 0 && len(items)+len(o.blocks[p.b-1]) <= most:
		p = spot{p.b - 1, p.i + len(o.blocks[p.b-1])}
		o.set(p.b, append(o.blocks[p.b], items...))
		o.drop(p.b + 1)
	case len(items) <= cap(items)/4:
		o.set(p.b, append(make([]T, 0, 2*len(items)), items...))
	}
	return p
}

// drop takes a block out; at the front, where streams are trimmed, no other moves.
func (o *ordered[T]) drop(b int) {
	o.set(b, nil)
	if b == 0 {
		o.setBlocks(o.blocks[1:])
	} else {
		o.setBlocks(slices.Delete(o.blocks, b, b+1))
	}
	if len(o.blocks) == 0 {
		o.setBlocks(nil)
	}
}

// set replaces a block and accounts its memory.
func (o *ordered[T]) set(b int, items []T) {
	*o.total += blockBytes(cap(items), items) - blockBytes(cap(o.blocks[b]), o.blocks[b])
	o.blocks[b] = items
}

// setBlocks replaces the list of blocks and accounts its memory.
func (o *ordered[T]) setBlocks(blocks [][]T) {
	*o.total += blockBytes(cap(blocks), blocks) - blockBytes(cap(o.blocks), o.blocks)
	o.blocks = blocks
}

func blockBytes[E any](room int, _ []E) int64 {
	var e E
	return sizeClass(room * int(unsafe.Sizeof(e)))
}

// filter keeps the items that keep wants.
func (o *ordered[T]) filter(keep func(*T) bool) {
	old := o.blocks
	o.release()
	for _, items := range old {
		for i := range items {
			if keep(&items[i]) {
				o.insert(spot{len(o.blocks), 0}, items[i])
			}
		}
	}
}

// release takes the memory of the list off the account: it is given up.
func (o *ordered[T]) release() {
	for _, items := range o.blocks {
		*o.total -= blockBytes(cap(items), items)
	}
	*o.total -= blockBytes(cap(o.blocks), o.blocks)
	o.blocks, o.n = nil, 0
}

// copy returns a copy in which change has made every item anew.
func (o *ordered[T]) copy(total *int64, change func(T) T) ordered[T] {
	c := ordered[T]{n: o.n, total: total}
	c.setBlocks(make([][]T, len(o.blocks)))
	for b, items := range o.blocks {
		made := make([]T, len(items))
		for i := range items {
			made[i] = change(items[i])
		}
		c.set(b, made)
	}
	return c
}
