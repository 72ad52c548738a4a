package store

import (
	"bytes"
	"slices"
	"sort"
	"unsafe"
)

// A zelem is a member in its place in the order of a sorted set: by score, and by
// name where scores are equal.
type zelem struct {
	score float64
	m     *zmember
}

func (e zelem) less(f zelem) bool {
	if e.score != f.score {
		return e.score < f.score
	}
	return bytes.Compare(e.m.name(), f.m.name()) < 0
}

// A ztree is a B+ tree that knows how many elements stand below every node, so
// that the way from an element to its rank, and back, is as long as the tree is
// high. The leaves are linked.
type ztree struct {
	root  *znode
	bytes int64
}

// A znode is a leaf, which has elements and perhaps neighbours, or not, and has
// other nodes, each one with its least element and its number of elements.
type znode struct {
	elems      []zelem
	kids       []zkid
	prev, next *znode
}

type zkid struct {
	node  *znode
	size  int
	least zelem
}

const (
	zfan  = 64       // a node has no more elements or nodes than this,
	zthin = zfan / 4 // and after a removal no less, if it has anything to join
	zfull = zfan / 4 * 3
)

var znodeOverhead = sizeClass(int(unsafe.Sizeof(znode{})))

func (t *ztree) init() {
	t.root = new(znode)
	t.bytes = t.root.bytes()
}

func (n *znode) bytes() int64 {
	return znodeOverhead + sizeClass(cap(n.elems)*int(unsafe.Sizeof(zelem{}))) + sizeClass(cap(n.kids)*int(unsafe.Sizeof(zkid{})))
}

func (n *znode) leaf() bool { return n.kids == nil }

// width is how many elements or nodes it has.
func (n *znode) width() int { return len(n.elems) + len(n.kids) }

func (n *znode) least() zelem {
	if n.leaf() {
		return n.elems[0]
	}
	return n.kids[0].least
}

// size is how many elements stand below it.
func (n *znode) size() int {
	size := len(n.elems)
	for i := range n.kids {
		size += n.kids[i].size
	}
	return size
}

// refresh takes up what has changed in a node below.
func (k *zkid) refresh(more int) {
	k.size += more
	if k.size > 0 {
		k.least = k.node.least()
	}
}

// count is how many elements come before a bound, of which before tells.
func (t *ztree) count(before func(zelem) bool) (rank int) {
	n := t.root
	for !n.leaf() {
		i := sort.Search(len(n.kids), func(i int) bool { return !before(n.kids[i].least) })
		if i == 0 {
			return rank
		}
		for _, k := range n.kids[:i-1] {
			rank += k.size
		}
		n = n.kids[i-1].node
	}
	return rank + sort.Search(len(n.elems), func(i int) bool { return !before(n.elems[i]) })
}

// rank is how many elements are less than e.
func (t *ztree) rank(e zelem) int { return t.count(func(f zelem) bool { return f.less(e) }) }

// at finds the leaf and the place in it of the element of a rank.
func (t *ztree) at(rank int) (leaf *znode, i int) {
	n := t.root
	for !n.leaf() {
		i, rank = n.seek(rank)
		n = n.kids[i].node
	}
	return n, rank
}

// seek finds the node that holds the element of a rank, and its rank there.
func (n *znode) seek(rank int) (i, rest int) {
	for rank >= n.kids[i].size {
		rank -= n.kids[i].size
		i++
	}
	return i, rank
}

// insert puts in an element that is not there.
func (t *ztree) insert(e zelem) {
	old := t.root
	if split := t.insertBelow(old, e); split != nil {
		t.root = &znode{kids: roomFor[zkid](2)}
		t.root.kids = append(t.root.kids, zkid{old, old.size(), old.least()}, zkid{split, split.size(), split.least()})
		t.bytes += t.root.bytes()
	}
}

// insertBelow puts e in below n. If n was full, it returns the node that is to
// follow it.
func (t *ztree) insertBelow(n *znode, e zelem) (split *znode) {
	if n.leaf() {
		i := sort.Search(len(n.elems), func(i int) bool { return e.less(n.elems[i]) })
		if len(n.elems) == zfan {
			n, i, split = t.split(n, i)
		}
		t.bytes -= n.bytes()
		n.elems = slices.Insert(grown(n.elems), i, e)
		t.bytes += n.bytes()
		return split
	}
	i := max(sort.Search(len(n.kids), func(i int) bool { return e.less(n.kids[i].least) }), 1) - 1
	below := t.insertBelow(n.kids[i].node, e)
	if below == nil {
		n.kids[i].refresh(1)
		return nil
	}
	n.kids[i].refresh(1 - below.size())
	i++
	if len(n.kids) == zfan {
		n, i, split = t.split(n, i)
	}
	t.bytes -= n.bytes()
	n.kids = slices.Insert(grown(n.kids), i, zkid{below, below.size(), below.least()})
	t.bytes += n.bytes()
	return split
}

// split cuts a full node in two and returns the one, and the place in it, where
// that belongs which is to be put in at i.
func (t *ztree) split(n *znode, i int) (into *znode, at int, split *znode) {
	t.bytes -= n.bytes()
	split = new(znode)
	n.elems, split.elems = cut(n.elems)
	n.kids, split.kids = cut(n.kids)
	t.bytes += n.bytes() + split.bytes()
	if n.leaf() {
		split.prev, split.next = n, n.next
		if n.next != nil {
			n.next.prev = split
		}
		n.next = split
	}
	if half := n.width(); i > half {
		return split, i - half, split
	}
	return n, i, split
}

// cut makes two of a slice, neither with room to spare.
func cut[T any](s []T) (a, b []T) {
	if s == nil {
		return nil, nil
	}
	half := len(s) / 2
	return append(roomFor[T](half), s[:half]...), append(roomFor[T](len(s)-half), s[half:]...)
}

// remove takes out the element of a rank.
func (t *ztree) remove(rank int) zelem {
	e := t.removeBelow(t.root, rank)
	for len(t.root.kids) == 1 {
		t.bytes -= t.root.bytes()
		t.root = t.root.kids[0].node
	}
	return e
}

func (t *ztree) removeBelow(n *znode, rank int) (e zelem) {
	if n.leaf() {
		e = n.elems[rank]
		t.bytes -= n.bytes()
		n.elems = shrunk(slices.Delete(n.elems, rank, rank+1))
		t.bytes += n.bytes()
		return e
	}
	i, rank := n.seek(rank)
	e = t.removeBelow(n.kids[i].node, rank)
	n.kids[i].refresh(-1)
	if n.kids[i].node.width() < zthin && len(n.kids) > 1 {
		t.mend(n, max(i, 1)-1)
	}
	return e
}

// mend makes one node of n's i-th and the next, or two of about the same width.
func (t *ztree) mend(n *znode, i int) {
	a, b := &n.kids[i], &n.kids[i+1]
	t.bytes -= n.bytes() + a.node.bytes() + b.node.bytes()
	if a.node.width()+b.node.width() <= zfull {
		a.node.elems = append(a.node.elems, b.node.elems...)
		a.node.kids = append(a.node.kids, b.node.kids...)
		if a.node.leaf() {
			a.node.next = b.node.next
			if a.node.next != nil {
				a.node.next.prev = a.node
			}
		}
		a.refresh(b.size)
		n.kids = shrunk(slices.Delete(n.kids, i+1, i+2))
		t.bytes += n.bytes() + a.node.bytes()
		return
	}
	a.node.elems, b.node.elems = level(a.node.elems, b.node.elems)
	a.node.kids, b.node.kids = level(a.node.kids, b.node.kids)
	for _, k := range []*zkid{a, b} {
		k.size = 0
		k.refresh(k.node.size())
	}
	t.bytes += n.bytes() + a.node.bytes() + b.node.bytes()
}

// level shares what stands in a and then in b out in halves.
func level[T any](a, b []T) (x, y []T) {
	if a == nil {
		return nil, nil
	}
	return cut(append(append(make([]T, 0, 2*zfan), a...), b...))
}

// each calls fn for the elements from a rank on, to the end or, in reverse, to
// the beginning, until it returns false.
func (t *ztree) each(rank int, reverse bool, fn func(e zelem) bool) {
	n, i := t.at(rank)
	if reverse {
		for ; n != nil; n = n.prev {
			if i < 0 {
				i = len(n.elems) - 1
			}
			for ; i >= 0; i-- {
				if !fn(n.elems[i]) {
					return
				}
			}
		}
		return
	}
	for ; n != nil; n = n.next {
		for ; i < len(n.elems); i++ {
			if !fn(n.elems[i]) {
				return
			}
		}
		i = 0
	}
}

// move gives the element of a rank another score, if that leaves it between its
// neighbours in the same leaf.
func (t *ztree) move(rank int, score float64) bool {
	n, i := t.at(rank)
	if i == 0 || i == len(n.elems)-1 {
		return false
	}
	e := zelem{score, n.elems[i].m}
	if !n.elems[i-1].less(e) || !e.less(n.elems[i+1]) {
		return false
	}
	n.elems[i].score = score
	return true
}

// adopt makes a tree of n elements that come in order, leaving its nodes some
// room.
func (t *ztree) adopt(n int, next func() zelem) {
	t.bytes = 0
	var last *znode
	level := adoptLevel(t, n, func(width int) zkid {
		leaf := &znode{elems: roomFor[zelem](width), prev: last}
		for range width {
			leaf.elems = append(leaf.elems, next())
		}
		if last != nil {
			last.next = leaf
		}
		last = leaf
		return zkid{node: leaf}
	})
	for len(level) > 1 {
		below := level
		level = adoptLevel(t, len(below), func(width int) zkid {
			n := &znode{kids: append(roomFor[zkid](width), below[:width]...)}
			below = below[width:]
			return zkid{node: n}
		})
	}
	t.root = level[0].node
}

// adoptLevel shares n things out to nodes evenly, so that none begins too thin.
func adoptLevel(t *ztree, n int, node func(width int) zkid) (level []zkid) {
	nodes := (n + zfull - 1) / zfull
	for i := range nodes {
		k := node(n*(i+1)/nodes - n*i/nodes)
		t.bytes += k.node.bytes()
		k.refresh(k.node.size())
		level = append(level, k)
	}
	return level
}
